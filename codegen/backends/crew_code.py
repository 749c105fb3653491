"""The machine code of calls that workers help with.

    call_shared(addresses, sizes, crew)     runs a call as `kernel(addresses, sizes, routines)` does, by a crew of threads

BLAS runs on one thread meanwhile, as in kernels that are not shared; a program without products has a table of no routines.
A call looks at no more desks than it wants helpers, so that many calls at once have no more of them than one has.

A crew is a line of 64-bit words (`TABLE` to `MET`): the table of `shared_call_code` as it begins, how many words of it are to
be copied, where it is copied to, where in it the addresses of the threads' arrays begin, how many these are, how many threads,
the routines, the desks, the tiles of each thread but the first (how many, which arrays they are, their addresses), whether the
call is short, and how often such a one has met a worker asleep: it wakes some, for the next calls, and does not wait for them.
"""

from __future__ import annotations

from codegen.backends.fast_call_table import load, loop
from codegen.backends.shared_call_code import LOOKS, SIZES, between_looks, share, word
from codegen.backends.worker_code import DECLARED, exchanged, field, nap, serve
from codegen.emitters.llvm.module import AS_BEFORE, ONE_THREAD, STUBS
from codegen.runtime.workers import (
    ASLEEP,
    CALL,
    HELD,
    LINE,
    LOCK,
    LOOKING,
    NAP,
    NOBODY,
    OFFERED,
    OFFERS,
    OWN_NAP,
    PLACE,
    STATE,
    WORKING,
)

CREW = 13
TABLE, WORDS, COPY, ARRAYS_AT, ARRAYS, THREADS, ROUTINES_AT, DESKS_AT, TILES, TILE_PLACES, TILES_AT, IS_SHORT, MET = range(CREW)
# A short call rouses a worker when it meets one asleep the eighth time: of calls in a row few go without, of single ones few wait.
ROUSED_EVERY = 8
# How many helpers there are behind a desk: one more where one looks, sleeps, or is started.
HELPERS = ", ".join([f"[ %helpers, %desk.{by} ]" for by in ("rouse", "up", "call", "awake", "hold")] + [
    f"[ %helper, %desk.{by} ]" for by in ("put", "wake", "start")])
# What tells that no thread could be started.
NO_THREAD = -1
NEXT = "\n  "


def at_desk(name: str) -> str:
    """The lines that give the desk at a line, and the places of its state and of the call that is offered there."""
    return f"""\
  %{name}.at = mul nsw i64 %{name}.line, {LINE}
  %{name} = getelementptr inbounds i64, ptr %desks, i64 %{name}.at
  {field(f"{name}.state.p", f"%{name}", STATE)}
  {field(f"{name}.call.p", f"%{name}", CALL)}"""


def call_shared() -> str:
    """The function that runs a call by a crew."""
    return f"""\
define void @call_shared(ptr %addresses, ptr %sizes, ptr %crew) {{
start:
  {word("table", "ptr", "%crew", TABLE)}
  {word("words", "i64", "%crew", WORDS)}
  {word("copy", "ptr", "%crew", COPY)}
  {word("arrays.at", "i64", "%crew", ARRAYS_AT)}
  {word("arrays", "i64", "%crew", ARRAYS)}
  {word("threads", "i64", "%crew", THREADS)}
  {word(".routines", "ptr", "%crew", ROUTINES_AT)}
  {word("desks", "ptr", "%crew", DESKS_AT)}
  {word("tiles", "i64", "%crew", TILES)}
  {word("tile.places", "ptr", "%crew", TILE_PLACES)}
  {word("tiles.at", "ptr", "%crew", TILES_AT)}
  {word("nap", "ptr", "%desks", NAP)}
  {word("is.short", "i64", "%crew", IS_SHORT)}
  %short = icmp ne i64 %is.short, 0
  br label %word.more

{loop("word", "start", "%words", "word.one", "copied", "word.one")}
word.one:
  {load("as.it.begins", "i64", "%table", "%word")}
  %word.p = getelementptr inbounds i64, ptr %copy, i64 %word
  store i64 %as.it.begins, ptr %word.p, align 8
  br label %word.more

copied:
  {field("sizes.p", "%copy", SIZES)}
  store ptr %sizes, ptr %sizes.p, align 8
  br label %thread.more

{loop("thread", "copied", "%threads", "thread.one", "offer", "tile.more")}
thread.one:
  %own.words = mul nsw i64 %thread, %arrays
  %own.at = add nsw i64 %arrays.at, %own.words
  %own = getelementptr inbounds i64, ptr %copy, i64 %own.at
  br label %array.more

{loop("array", "thread.one", "%arrays", "array.one", "own.tiles", "array.one")}
array.one:
  {load("given", "ptr", "%addresses", "%array")}
  %array.p = getelementptr inbounds ptr, ptr %own, i64 %array
  store ptr %given, ptr %array.p, align 8
  br label %array.more

own.tiles:
  %is.first = icmp eq i64 %thread, 0
  %tiles.left = select i1 %is.first, i64 0, i64 %tiles
  %thread.before = sub nsw i64 %thread, 1
  %tiles.before = mul nsw i64 %thread.before, %tiles
  br label %tile.more

{loop("tile", "own.tiles", "%tiles.left", "tile.one", "thread.more", "tile.one")}
tile.one:
  %tile.at = add nsw i64 %tiles.before, %tile
  {load("tile.address", "ptr", "%tiles.at", "%tile.at")}
  {load("tile.place", "i64", "%tile.places", "%tile")}
  %tile.own.p = getelementptr inbounds ptr, ptr %own, i64 %tile.place
  store ptr %tile.address, ptr %tile.own.p, align 8
  br label %tile.more

offer:
  {NEXT.join(ONE_THREAD)}
  %wanted = sub nsw i64 %threads, 1
  br label %desk.more

desk.more:
  %desk.line = phi i64 [ 1, %offer ], [ %desk.next, %desk.left ]
  %helpers = phi i64 [ 0, %offer ], [ %helpers.next, %desk.left ]
  %are.wanted = icmp sle i64 %desk.line, %wanted
  br i1 %are.wanted, label %desk.one, label %run

desk.one:
{at_desk("desk")}
  {field("desk.place.p", "%desk", PLACE)}
  {field("desk.lock.p", "%desk", LOCK)}
  {field("desk.nap.p", "%desk", OWN_NAP)}
  %before = load atomic i64, ptr %desk.state.p monotonic, align 8
  %is.free = icmp ule i64 %before, {ASLEEP}
  %is.asleep = icmp eq i64 %before, {ASLEEP}
  %is.roused = and i1 %is.asleep, %short
  br i1 %is.roused, label %desk.rouse, label %desk.awake

desk.rouse:
  {word("met", "i64", "%crew", MET)}
  %met.now = add i64 %met, 1
  store i64 %met.now, ptr %met.p, align 8
  %turn = urem i64 %met.now, {ROUSED_EVERY}
  %is.turn = icmp eq i64 %turn, 0
  br i1 %is.turn, label %desk.up, label %desk.left

desk.up:
  {exchanged("is.up", "%desk.state.p", ASLEEP, LOOKING)}
  br i1 %is.up, label %desk.call, label %desk.left

desk.call:
  %roused = load ptr, ptr %desk.lock.p, align 8
  call void @PyThread_release_lock(ptr %roused)
  br label %desk.left

desk.awake:
  br i1 %is.free, label %desk.hold, label %desk.left

desk.hold:
  {exchanged("is.held", "%desk.state.p", "%before", HELD)}
  br i1 %is.held, label %desk.write, label %desk.left

desk.write:
  %helper = add nsw i64 %helpers, 1
  store atomic ptr %copy, ptr %desk.call.p monotonic, align 8
  store i64 %helper, ptr %desk.place.p, align 8
  {field("desk.offers.p", "%desk", OFFERS)}
  %offers = load atomic i64, ptr %desk.offers.p monotonic, align 8
  %offers.next = add i64 %offers, 1
  store atomic i64 %offers.next, ptr %desk.offers.p monotonic, align 8
  switch i64 %before, label %desk.put [ i64 {NOBODY}, label %desk.hire
    i64 {ASLEEP}, label %desk.wake ]

desk.put:
  store atomic i64 {OFFERED}, ptr %desk.state.p release, align 8
  br label %desk.left

desk.wake:
  %sleeping = load ptr, ptr %desk.lock.p, align 8
  store atomic i64 {OFFERED}, ptr %desk.state.p release, align 8
  call void @PyThread_release_lock(ptr %sleeping)
  br label %desk.left

desk.hire:
  %lock = call ptr @PyThread_allocate_lock()
  %no.lock = icmp eq ptr %lock, null
  br i1 %no.lock, label %desk.leave, label %desk.start

desk.start:
  %taken = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  store ptr %lock, ptr %desk.lock.p, align 8
  store ptr %nap, ptr %desk.nap.p, align 8
  store atomic i64 {OFFERED}, ptr %desk.state.p release, align 8
  %started = call i64 @PyThread_start_new_thread(ptr @serve, ptr %desk)
  %not.started = icmp eq i64 %started, {NO_THREAD}
  br i1 %not.started, label %desk.free, label %desk.left

desk.free:
  call void @PyThread_free_lock(ptr %lock)
  br label %desk.leave

desk.leave:
  store atomic i64 {NOBODY}, ptr %desk.state.p release, align 8
  br label %run

desk.left:
  %helpers.next = phi i64 {HELPERS}
  %desk.next = add nsw i64 %desk.line, 1
  br label %desk.more

run:
  %left = call i64 @share(ptr %copy, i64 0)
  %is.left = icmp ne i64 %left, 0
  br i1 %is.left, label %rest, label %back.line.more

rest:
  {nap("rested")}
  br label %run

{loop("back.line", "run", "%desk.line", "back.one", "over", "back.done", first="1")}
back.one:
{at_desk("back")}
  br label %back.look

back.look:
  %looked = phi i64 [ 0, %back.one ], [ 0, %back.take ], [ 0, %back.rest ], [ %looked.next, %back.again ]
  %looked.next = add nsw i64 %looked, 1
  %whose = load atomic ptr, ptr %back.call.p monotonic, align 8
  %is.mine = icmp eq ptr %whose, %copy
  br i1 %is.mine, label %back.mine, label %back.done

back.mine:
  %now = load atomic i64, ptr %back.state.p acquire, align 8
  switch i64 %now, label %back.done [ i64 {OFFERED}, label %back.take
    i64 {WORKING}, label %back.wait ]

back.take:
  {exchanged("is.back", "%back.state.p", OFFERED, LOOKING)}
  br i1 %is.back, label %back.done, label %back.look

back.wait:
  %enough = icmp sge i64 %looked.next, {LOOKS}
  br i1 %enough, label %back.rest, label %back.again

back.again:
  call void @.between(i64 %looked.next)
  br label %back.look

back.rest:
  {nap("rested.again")}
  br label %back.look

back.done:
  br label %back.line.more

over:
  {AS_BEFORE}
  ret void
}}
"""


def code(triple: str) -> str:
    """The text of the module for a processor."""
    return "\n".join([between_looks(triple), DECLARED, STUBS, share(), serve(), call_shared()])
