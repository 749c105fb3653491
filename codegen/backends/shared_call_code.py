"""The machine code by which threads share a call: a function, the same for all kernels, driven by a table.

The stages of a call follow each other; the parts of one are run by whoever is free.  Each thread begins with a share of its own,
the same one at each call, so that what it wrote is still in its cache, and then takes from those of the others.

The table, of 64-bit words in lines of eight: a head (stages, threads, sizes, routines, arrays); for each thread the stage at
which it is, and whether it has slept there; for each stage a line (kind, function, parts, ends, how many arrays a part has
instances of, their places, addresses of the instances, how many sets of them); for each stage how many parts of each thread's
share have begun, and how many of all have ended, a line each; for each thread the addresses of the arrays.
"""

from __future__ import annotations

from codegen.backends.fast_call_table import load, loop
from codegen.runtime.workers import LINE

# What a stage calls: a function of sections, one of parts, or one that folds instances.
SECTIONS, PARTS, FOLDS = range(3)
# Words of the head and of a stage's line.
STAGES, THREADS, SIZES, ROUTINES, ARRAYS = range(5)
KIND, FUNCTION, COUNT, ENDS, OWN, PLACES, INSTANCES, SETS = range(8)
# How often a thread looks whether the others have ended before it goes to sleep, some tenths of a millisecond, and each time
# after that.
LOOKS, LOOKS_AGAIN = 8192, 64
# What a thread does between two looks, so that it takes little from one that shares its core, and what it does every so many
# times instead, so that it takes nothing from one that waits for that core: a sleeper may wake up where the one who woke it runs.
PAUSES = {("x86_64", "i686", "i386"): ("@llvm.x86.sse2.pause()", "@llvm.x86.sse2.pause()"),
          ("aarch64", "arm64"): ("@llvm.aarch64.hint(i32)", "@llvm.aarch64.hint(i32 1)")}
GIVES_WAY = {"windows": "@SwitchToThread"}
LOOKS_ON_END = 64


def word(name: str, kind: str, base: str, at: str | int) -> str:
    """Two lines that load a word of a table."""
    return load(name, kind, base, str(8 * at) if isinstance(at, int) else at)


def between_looks(triple: str) -> str:
    """The function that is called between two looks, with their number, for a processor and a system."""
    declared, pause = next((words for names, words in PAUSES.items() if triple.startswith(names)), ("", ""))
    gives_way = next((name for system, name in GIVES_WAY.items() if system in triple), "@sched_yield")
    return f"""\
{declared and f"declare void {declared}"}
declare i32 {gives_way}()

define internal void @.between(i64 %looked) {{
  %many = and i64 %looked, {LOOKS_ON_END - 1}
  %is.end = icmp eq i64 %many, {LOOKS_ON_END - 1}
  br i1 %is.end, label %way, label %pause

way:
  %given = call i32 {gives_way}()
  ret void

pause:
  {pause and f"call void {pause}"}
  ret void
}}
"""


def share() -> str:
    """The function."""
    return f"""\
define i64 @share(ptr %plan, i64 %place) {{
start:
  {word("stages", "i64", "%plan", STAGES)}
  {word("threads", "i64", "%plan", THREADS)}
  {word("sizes", "ptr", "%plan", SIZES)}
  {word("routines", "ptr", "%plan", ROUTINES)}
  {word("arrays", "i64", "%plan", ARRAYS)}
  %here.line = add nsw i64 %place, 1
  %here.at = mul nsw i64 %here.line, {LINE}
  {word("here", "i64", "%plan", "%here.at")}
  %slept.p = getelementptr inbounds i64, ptr %here.p, i64 1
  %records.line = add nsw i64 %threads, 1
  %counters.line = add nsw i64 %records.line, %stages
  %counted = mul nsw i64 %stages, %records.line
  %tables.line = add nsw i64 %counters.line, %counted
  %tables.at = mul nsw i64 %tables.line, {LINE}
  %mine.words = mul nsw i64 %place, %arrays
  %mine.at = add nsw i64 %tables.at, %mine.words
  %mine = getelementptr inbounds i64, ptr %plan, i64 %mine.at
  br label %stage.more

{loop("stage", "start", "%stages", "stage.one", "done", "stage.ended", first="%here")}
done:
  ret i64 0

stage.one:
  %record.line = add nsw i64 %records.line, %stage
  %record.at = mul nsw i64 %record.line, {LINE}
  %record = getelementptr inbounds i64, ptr %plan, i64 %record.at
  {word("kind", "i64", "%record", KIND)}
  {word("function", "ptr", "%record", FUNCTION)}
  {word("count", "i64", "%record", COUNT)}
  {word("ends", "ptr", "%record", ENDS)}
  {word("own", "i64", "%record", OWN)}
  {word("places", "ptr", "%record", PLACES)}
  {word("instances", "ptr", "%record", INSTANCES)}
  {word("sets", "i64", "%record", SETS)}
  %lines.before = mul nsw i64 %stage, %records.line
  %begun.line = add nsw i64 %counters.line, %lines.before
  %ended.line = add nsw i64 %begun.line, %threads
  %ended.at = mul nsw i64 %ended.line, {LINE}
  %ended.p = getelementptr inbounds i64, ptr %plan, i64 %ended.at
  %slept = load i64, ptr %slept.p, align 8
  %is.fresh = icmp eq i64 %slept, 0
  %looks = select i1 %is.fresh, i64 {LOOKS}, i64 {LOOKS_AGAIN}
  br label %thread.more

{loop("thread", "stage.one", "%threads", "thread.one", "wait", "take")}
thread.one:
  %whose.sum = add nsw i64 %place, %thread
  %whose = urem i64 %whose.sum, %threads
  %whose.next = add nsw i64 %whose, 1
  %first.part = mul nsw i64 %count, %whose
  %first = udiv i64 %first.part, %threads
  %last.part = mul nsw i64 %count, %whose.next
  %last = udiv i64 %last.part, %threads
  %whose.line = add nsw i64 %begun.line, %whose
  %whose.at = mul nsw i64 %whose.line, {LINE}
  %begun.p = getelementptr inbounds i64, ptr %plan, i64 %whose.at
  br label %take

take:
  %begun = atomicrmw add ptr %begun.p, i64 1 monotonic, align 8
  %part = add nsw i64 %first, %begun
  %some = icmp slt i64 %part, %last
  br i1 %some, label %run, label %thread.more

run:
  %end.at = mul nsw i64 %part, 2
  switch i64 %kind, label %sections [ i64 {PARTS}, label %parts
    i64 {FOLDS}, label %folds ]

sections:
  call void %function(ptr %mine, ptr %sizes, ptr %routines)
  br label %ran

parts:
  {word("lo", "i64", "%ends", "%end.at")}
  %hi.at = add nsw i64 %end.at, 1
  {word("hi", "i64", "%ends", "%hi.at")}
  %before = sub nsw i64 %part, 1
  %first.own = mul nsw i64 %before, %own
  %is.first = icmp eq i64 %part, 0
  %moved = select i1 %is.first, i64 0, i64 %own
  br label %mine.k.more

{loop("mine.k", "parts", "%moved", "mine.k.one", "one.part", "mine.k.one")}
mine.k.one:
  %instance.at = add nsw i64 %first.own, %mine.k
  {word("instance", "i64", "%instances", "%instance.at")}
  {word("slot", "i64", "%places", "%mine.k")}
  %slot.there = getelementptr inbounds i64, ptr %mine, i64 %slot
  store i64 %instance, ptr %slot.there, align 8
  br label %mine.k.more

one.part:
  call void %function(ptr %mine, ptr %sizes, ptr %routines, i64 %lo, i64 %hi)
  br label %ran

folds:
  {word("low", "i64", "%ends", "%end.at")}
  %high.at = add nsw i64 %end.at, 1
  {word("high", "i64", "%ends", "%high.at")}
  call void %function(ptr %mine, ptr %sizes, ptr %routines, i64 %low, i64 %high, ptr %instances, i64 %sets)
  br label %ran

ran:
  %one.more = atomicrmw add ptr %ended.p, i64 1 release, align 8
  br label %take

wait:
  %looked = phi i64 [ 0, %thread.more ], [ %looked.next, %again ]
  %ended = load atomic i64, ptr %ended.p acquire, align 8
  %all = icmp sge i64 %ended, %count
  br i1 %all, label %stage.ended, label %look

look:
  %looked.next = add nsw i64 %looked, 1
  %enough = icmp sge i64 %looked.next, %looks
  br i1 %enough, label %sleep, label %again

again:
  call void @.between(i64 %looked.next)
  br label %wait

stage.ended:
  store i64 0, ptr %slept.p, align 8
  br label %stage.more

sleep:
  store i64 %stage, ptr %here.p, align 8
  store i64 1, ptr %slept.p, align 8
  ret i64 1
}}
"""
