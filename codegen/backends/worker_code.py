"""The machine code of workers, and of calls that they help with: two functions beside the one that shares a call.

    serve(desk)                             what a worker does: it looks for an offer, works, looks again, and falls asleep
    call_shared(addresses, sizes, crew)     runs a call as `kernel(addresses, sizes, routines)` does, by a crew of threads

A call looks at no more desks than it wants helpers, so that many calls at once have no more of them than one has.

Nothing here asks for the interpreter's lock; the locks are those that it makes itself of, which every system has.

A crew is a line of 64-bit words (`TABLE` to `TILES`): the table of `shared_call_code` as it begins, how many words of it are to
be copied, where it is copied to, where in it the addresses of the threads' arrays begin, how many these are, how many threads,
the routines, the desks, and the tiles of each thread but the first: how many, which arrays they are, their addresses.
"""

from __future__ import annotations

from codegen.backends.fast_call_table import load, loop
from codegen.backends.shared_call_code import LOOKS, SIZES, pause_of, share, word
from codegen.runtime.blas import ROUTINES as OF_BLAS
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
    OWN_NAP,
    PLACE,
    STATE,
    WORKING,
)

CREW = 11
TABLE, WORDS, COPY, ARRAYS_AT, ARRAYS, THREADS, ROUTINES_AT, DESKS_AT, TILES, TILE_PLACES, TILES_AT = range(CREW)
# Who waits for others looks again after so many microseconds.
NAP_MICROSECONDS = 20
# How many helpers there are behind a desk: one more where one looks, sleeps, or is started.
HELPERS = ", ".join([f"[ %helpers, %desk.{by} ]" for by in ("one", "hold")] + [f"[ %helper, %desk.{by} ]" for by in (
    "put", "wake", "start")])
# What tells that no thread could be started.
NO_THREAD = -1

DECLARED = """\
declare ptr @PyThread_allocate_lock()
declare void @PyThread_free_lock(ptr)
declare i32 @PyThread_acquire_lock(ptr, i32)
declare i32 @PyThread_acquire_lock_timed(ptr, i64, i32)
declare void @PyThread_release_lock(ptr)
declare i64 @PyThread_start_new_thread(ptr, ptr)
"""


def field(name: str, base: str, at: int) -> str:
    """The line that gives the place of a word."""
    return f"%{name} = getelementptr inbounds i64, ptr {base}, i64 {at}"


def nap(name: str) -> str:
    """The line that sleeps for a while, on the lock that nobody gives back."""
    return f"%{name} = call i32 @PyThread_acquire_lock_timed(ptr %nap, i64 {NAP_MICROSECONDS}, i32 0)"


def exchanged(name: str, place: str, old: str | int, new: int) -> str:
    """Two lines: whether a state was the old one, and is the new one now."""
    return f"""%{name}.pair = cmpxchg ptr {place}, i64 {old}, i64 {new} acq_rel acquire, align 8
  %{name} = extractvalue {{ i64, i1 }} %{name}.pair, 1"""


def serve(pause: str) -> str:
    """The function of a worker; `pause` is what is called between two looks."""
    return f"""\
define void @serve(ptr %desk) {{
start:
  {field("state.p", "%desk", STATE)}
  {field("call.p", "%desk", CALL)}
  {field("place.p", "%desk", PLACE)}
  {field("lock.p", "%desk", LOCK)}
  %lock = load ptr, ptr %lock.p, align 8
  br label %look

look:
  %looked = phi i64 [ 0, %start ], [ 0, %done ], [ 0, %slept ], [ %looked.next, %again ], [ 0, %take ]
  %state = load atomic i64, ptr %state.p acquire, align 8
  %is.offered = icmp eq i64 %state, {OFFERED}
  br i1 %is.offered, label %take, label %none

none:
  %looked.next = add nsw i64 %looked, 1
  %enough = icmp sge i64 %looked.next, {LOOKS}
  br i1 %enough, label %leave, label %again

again:
  {pause}
  br label %look

leave:
  {exchanged("is.away", "%state.p", LOOKING, ASLEEP)}
  br i1 %is.away, label %sleep, label %slept

sleep:
  %woken = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  br label %slept

slept:
  br label %look

take:
  {exchanged("is.mine", "%state.p", OFFERED, WORKING)}
  br i1 %is.mine, label %work, label %look

work:
  %call = load atomic ptr, ptr %call.p monotonic, align 8
  %place = load i64, ptr %place.p, align 8
  br label %turn

turn:
  %left = call i64 @share(ptr %call, i64 %place)
  %is.left = icmp ne i64 %left, 0
  br i1 %is.left, label %rest, label %done

rest:
  {word("nap", "ptr", "%desk", OWN_NAP)}
  {nap("rested")}
  br label %turn

done:
  store atomic i64 {LOOKING}, ptr %state.p release, align 8
  br label %look
}}
"""


# BLAS runs on one thread, as in kernels that are not shared.
BLAS_ON_ONE = f"""\
blas:
  %no.blas = icmp eq ptr %routines, null
  br i1 %no.blas, label %offer, label %blas.ask

blas.ask:
  {word("tell", "ptr", "%routines", len(OF_BLAS))}
  {word("put", "ptr", "%routines", len(OF_BLAS) + 1)}
  %no.tell = icmp eq ptr %tell, null
  br i1 %no.tell, label %offer, label %blas.tell

blas.tell:
  %told = call i32 %tell()
  %is.one = icmp eq i32 %told, 1
  br i1 %is.one, label %offer, label %blas.put

blas.put:
  call void %put(i32 1)
  br label %offer
"""
DESK = f"""\
  %NAME.at = mul nsw i64 %NAME.line, {LINE}
  %NAME = getelementptr inbounds i64, ptr %desks, i64 %NAME.at
  {field("NAME.state.p", "%NAME", STATE)}
  {field("NAME.call.p", "%NAME", CALL)}"""


def call_shared(pause: str) -> str:
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
  {word("routines", "ptr", "%crew", ROUTINES_AT)}
  {word("desks", "ptr", "%crew", DESKS_AT)}
  {word("tiles", "i64", "%crew", TILES)}
  {word("tile.places", "ptr", "%crew", TILE_PLACES)}
  {word("tiles.at", "ptr", "%crew", TILES_AT)}
  {word("nap", "ptr", "%desks", NAP)}
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

{loop("thread", "copied", "%threads", "thread.one", "blas", "tile.more")}
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

{BLAS_ON_ONE}
offer:
  %blas.before = phi i32 [ 1, %blas ], [ 1, %blas.ask ], [ 1, %blas.tell ], [ %told, %blas.put ]
  %wanted = sub nsw i64 %threads, 1
  br label %desk.more

desk.more:
  %desk.line = phi i64 [ 1, %offer ], [ %desk.next, %desk.left ]
  %helpers = phi i64 [ 0, %offer ], [ %helpers.next, %desk.left ]
  %are.wanted = icmp sle i64 %desk.line, %wanted
  br i1 %are.wanted, label %desk.one, label %run

desk.one:
{DESK.replace("NAME", "desk")}
  {field("desk.place.p", "%desk", PLACE)}
  {field("desk.lock.p", "%desk", LOCK)}
  {field("desk.nap.p", "%desk", OWN_NAP)}
  %before = load atomic i64, ptr %desk.state.p monotonic, align 8
  %is.free = icmp ule i64 %before, {ASLEEP}
  br i1 %is.free, label %desk.hold, label %desk.left

desk.hold:
  {exchanged("is.held", "%desk.state.p", "%before", HELD)}
  br i1 %is.held, label %desk.write, label %desk.left

desk.write:
  %helper = add nsw i64 %helpers, 1
  store atomic ptr %copy, ptr %desk.call.p monotonic, align 8
  store i64 %helper, ptr %desk.place.p, align 8
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
  br i1 %is.left, label %rest, label %back.more

rest:
  {nap("rested")}
  br label %run

{loop("back.line", "run", "%desk.line", "back.one", "over", "back.done", first="1").replace("back.line.more", "back.more")}
back.one:
{DESK.replace("NAME", "back")}
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
  {pause}
  br label %back.look

back.rest:
  {nap("rested.again")}
  br label %back.look

back.done:
  br label %back.more

over:
  %as.before = icmp eq i32 %blas.before, 1
  br i1 %as.before, label %end, label %blas.back

blas.back:
  {word("put.back", "ptr", "%routines", len(OF_BLAS) + 1)}
  call void %put.back(i32 %blas.before)
  br label %end

end:
  ret void
}}
"""


def code(triple: str) -> str:
    """The text of the module for a processor."""
    declared, pause = pause_of(triple)
    return "\n".join([declared, DECLARED, share(pause), serve(pause), call_shared(pause)])
