"""The machine code of a worker, beside that which shares a call.

    serve(desk)        what a worker does: it looks for an offer, works, looks again, and falls asleep

Nothing here asks for the interpreter's lock; the locks are those that it makes itself of, which every system has.
"""

from __future__ import annotations

from codegen.backends.shared_call_code import word
from codegen.runtime.workers import ASLEEP, CALL, LOCK, LOOKING, OFFERED, OFFERS, OWN_NAP, PLACE, SEEN, STATE, WORKING

# How often a worker looks for work before it falls asleep, a millisecond or two: to wake it takes a tenth of one, and
# its core some more until it is as fast as before.
WORKER_LOOKS = 65536
# Who waits for others looks again after so many microseconds.
NAP_MICROSECONDS = 20

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


def serve() -> str:
    """The function of a worker.

    Who wakes up may be put where the one who woke it runs, and then misses offers: after a nap that core is seen to be taken, and
    another one is found.
    """
    return f"""\
define void @serve(ptr %desk) {{
start:
  {field("state.p", "%desk", STATE)}
  {field("call.p", "%desk", CALL)}
  {field("place.p", "%desk", PLACE)}
  {field("lock.p", "%desk", LOCK)}
  {field("offers.p", "%desk", OFFERS)}
  {field("seen.p", "%desk", SEEN)}
  {word("nap", "ptr", "%desk", OWN_NAP)}
  %lock = load ptr, ptr %lock.p, align 8
  br label %look

look:
  %looked = phi i64 [ 0, %start ], [ 0, %done ], [ 0, %slept ], [ %looked.next, %again ], [ 0, %take ], [ 0, %missed ]
  %state = load atomic i64, ptr %state.p acquire, align 8
  %is.offered = icmp eq i64 %state, {OFFERED}
  br i1 %is.offered, label %take, label %none

none:
  %offers = load atomic i64, ptr %offers.p monotonic, align 8
  %seen = load i64, ptr %seen.p, align 8
  %is.missed = icmp ne i64 %offers, %seen
  br i1 %is.missed, label %missed, label %wait

missed:
  store i64 %offers, ptr %seen.p, align 8
  {nap("moved")}
  br label %look

wait:
  %looked.next = add nsw i64 %looked, 1
  %enough = icmp sge i64 %looked.next, {WORKER_LOOKS}
  br i1 %enough, label %leave, label %again

again:
  call void @.between(i64 %looked.next)
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
  %offers.now = load atomic i64, ptr %offers.p monotonic, align 8
  store i64 %offers.now, ptr %seen.p, align 8
  %call = load atomic ptr, ptr %call.p monotonic, align 8
  %place = load i64, ptr %place.p, align 8
  br label %turn

turn:
  %left = call i64 @share(ptr %call, i64 %place)
  %is.left = icmp ne i64 %left, 0
  br i1 %is.left, label %rest, label %done

rest:
  {nap("rested")}
  br label %turn

done:
  store atomic i64 {LOOKING}, ptr %state.p release, align 8
  br label %look
}}
"""
