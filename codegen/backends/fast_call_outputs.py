"""Where the results of a fast call go, new arrays or those of `out=`, and how they are put together.

A new number is written on the stack, and becomes an object when the kernel has run: no array is made for it.
"""

from __future__ import annotations

from codegen.backends.fast_call_table import (
    ARGUMENT,
    CALLED,
    HEAD,
    ITEMS,
    MAPPING,
    OPERATION,
    OUTPUT,
    PART,
    SEQUENCE,
    STEP,
    TYPE,
    VALUE,
    WRITEABLE,
    apart,
    fits,
    load,
    loop,
    put,
)

OUTPUTS = f"""
targets:
  %out = load ptr, ptr %out.place, align 8
  %is.fresh = icmp eq ptr %out, null
  br i1 %is.fresh, label %new, label %u.more

new:
  {load("make", "ptr", "%table", "16")}
  {load("give", "ptr", "%table", "24")}
  {load("number.maker", "ptr", "%table", "144")}
  br label %o.more

{loop("o", "new", "%outputs", "new.one", "run", "new.good")}
new.one:
  %o.row = mul nsw i64 %o, {OUTPUT}
  %new.row = getelementptr inbounds i64, ptr %outs, i64 %o.row
  {load("new.rank", "i64", "%new.row", "8")}
  %new.is.number = icmp eq i64 %new.rank, 0
  br i1 %new.is.number, label %new.number, label %new.array

new.number:
  %slot = getelementptr inbounds i64, ptr %slots, i64 %o
  br label %new.good

new.array:
  {load("number", "i64", "%new.row", "24")}
  %number.short = trunc i64 %number to i32
  %new.rank.short = trunc i64 %new.rank to i32
  {load("new.extents", "ptr", "%new.row", "16")}
  %result = call ptr %make(ptr %array_type, i32 %new.rank.short, ptr %new.extents, i32 %number.short, ptr null, ptr null,
                           i32 0, i32 0, ptr null)
  %failed = icmp eq ptr %result, null
  br i1 %failed, label %no.memory, label %new.made

no.memory:
  ret ptr null

new.made:
  {load("result.data", "ptr", "%result", str(VALUE))}
  br label %new.good

new.good:
  %new.object = phi ptr [ null, %new.number ], [ %result, %new.made ]
  %new.data = phi ptr [ %slot, %new.number ], [ %result.data, %new.made ]
{put("new", "%o", "%new.object", "%new.data")}
  br label %o.more

{loop("u", "targets", "%outputs", "use.one", "run", "before.more")}
use.one:
  %u.row = mul nsw i64 %u, {OUTPUT}
  %use.row = getelementptr inbounds i64, ptr %outs, i64 %u.row
  {load("path", "ptr", "%use.row", "40")}
  %depth = load i64, ptr %path, align 8
  br label %step.more

step.more:
  %step = phi i64 [ 0, %use.one ], [ %step.next, %step.down ]
  %item = phi ptr [ %out, %use.one ], [ %entry, %step.down ]
  {load("item.type", "ptr", "%item", str(TYPE))}
  %step.next = add nsw i64 %step, 1
  %step.left = icmp slt i64 %step, %depth
  br i1 %step.left, label %step.one, label %use.item

step.one:
  %step.words = mul nsw i64 %step, {STEP}
  %step.row = getelementptr inbounds i64, ptr %path, i64 %step.words
  {load("step.type", "ptr", "%step.row", "8")}
  {load("step.count", "i64", "%step.row", "16")}
  {load("step.list", "i64", "%step.row", "24")}
  {load("step.entry", "i64", "%step.row", "32")}
  %tuple.items = getelementptr inbounds i8, ptr %item, i64 {ITEMS}
  %same.type = icmp eq ptr %item.type, %step.type
  br i1 %same.type, label %step.open, label %careful

step.open:
  {load("item.count", "i64", "%item", str(VALUE))}
  %same.count = icmp eq i64 %item.count, %step.count
  br i1 %same.count, label %step.counted, label %careful

step.counted:
  %is.tuple = icmp eq i64 %step.list, 0
  br i1 %is.tuple, label %step.down, label %step.list.items

step.list.items:
  {load("list.items", "ptr", "%item", str(ITEMS))}
  br label %step.down

step.down:
  %items = phi ptr [ %tuple.items, %step.counted ], [ %list.items, %step.list.items ]
  {load("entry", "ptr", "%items", "%step.entry")}
  br label %step.more

use.item:
  %item.is.array = icmp eq ptr %item.type, %array_type
  br i1 %item.is.array, label %use.where, label %careful

use.where:
  {load("use.bytes", "i64", "%use.row", "32")}
  {load("item.data", "ptr", "%item", str(VALUE))}
  br label %use.look

{fits("use", "%item", "%use.row", WRITEABLE, "use.place")}
use.place:
  %item.end = getelementptr inbounds i8, ptr %item.data, i64 %use.bytes
{put("item", "%u", "%item", "%item.data")}
  br label %in.more

{apart("in", "use.place", "%inputs", "0", ("%table", ARGUMENT, HEAD + 6), "before.more")}
{apart("before", "in.more", "%u", "%first", ("%outs", OUTPUT, 4), "u.more")}
"""

# The result is put together on a stack of parts; arrays that were given stay arrays.
RESULT = f"""

join:
  %parts = alloca ptr, i64 %operations, align 8
  br label %op.more

op.more:
  %op = phi i64 [ 0, %join ], [ %op.next, %push ]
  %top = phi i64 [ 0, %join ], [ %top.next, %push ]
  %part = phi i64 [ 0, %join ], [ %part.next, %push ]
  %op.next = add nsw i64 %op, 1
  %op.left = icmp slt i64 %op, %operations
  br i1 %op.left, label %op.one, label %done

op.one:
  %op.words = mul nsw i64 %op, {OPERATION}
  %op.row = getelementptr inbounds i64, ptr %program, i64 %op.words
  {load("code", "i64", "%op.row", "0")}
  {load("eaten", "i64", "%op.row", "8")}
  {load("object", "ptr", "%op.row", "16")}
  %low = sub nsw i64 %top, %eaten
  %low.p = getelementptr inbounds ptr, ptr %parts, i64 %low
  switch i64 %code, label %part.one [
    i64 {SEQUENCE}, label %sequence
    i64 {MAPPING}, label %mapping
    i64 {CALLED}, label %called
  ]

part.one:
  {load("made.one", "ptr", "%made", "%part")}
  br i1 %is.fresh, label %part.fresh, label %push

part.fresh:
  %is.number.part = icmp eq ptr %made.one, null
  br i1 %is.number.part, label %part.number, label %part.array

part.number:
  %part.words = mul nsw i64 %part, {OUTPUT}
  %part.row = getelementptr inbounds i64, ptr %outs, i64 %part.words
  {load("part.dtype", "ptr", "%part.row", "0")}
  %part.slot = getelementptr inbounds i64, ptr %slots, i64 %part
  %number.object = call ptr %maker(ptr %part.slot, ptr %part.dtype, ptr null)
  %no.number = icmp eq ptr %number.object, null
  br i1 %no.number, label %no.memory, label %push

part.array:
  %returned = call ptr %giver(ptr %made.one)
  br label %push

sequence:
  %is.list = icmp eq ptr %object, @PyList_Type
  %build = select i1 %is.list, ptr @PyList_New, ptr @PyTuple_New
  %put = select i1 %is.list, ptr @PyList_SetItem, ptr @PyTuple_SetItem
  %row.of.parts = call ptr %build(i64 %eaten)
  %no.row = icmp eq ptr %row.of.parts, null
  br i1 %no.row, label %no.memory, label %s.more

{loop("s", "sequence", "%eaten", "sequence.one", "push", "sequence.one")}
sequence.one:
  {load("s.part", "ptr", "%low.p", "%s")}
  %s.state = call i32 %put(ptr %row.of.parts, i64 %s, ptr %s.part)
  br label %s.more

mapping:
  %keys = getelementptr inbounds i8, ptr %object, i64 {ITEMS}
  %dict = call ptr @PyDict_New()
  %no.dict = icmp eq ptr %dict, null
  br i1 %no.dict, label %no.memory, label %m.more

{loop("m", "mapping", "%eaten", "mapping.one", "push", "mapping.one")}
mapping.one:
  {load("key", "ptr", "%keys", "%m")}
  {load("m.part", "ptr", "%low.p", "%m")}
  %m.state = call i32 @PyDict_SetItem(ptr %dict, ptr %key, ptr %m.part)
  call void @Py_DecRef(ptr %m.part)
  br label %m.more

called:
  %entries = load ptr, ptr %low.p, align 8
  %answered = call ptr @PyObject_CallObject(ptr %object, ptr %entries)
  call void @Py_DecRef(ptr %entries)
  %no.answer = icmp eq ptr %answered, null
  br i1 %no.answer, label %no.memory, label %push

push:
  %pushed = phi ptr [ %made.one, %part.one ], [ %returned, %part.array ], [ %number.object, %part.number ],
                   [ %row.of.parts, %s.more ], [ %dict, %m.more ], [ %answered, %called ]
  store ptr %pushed, ptr %low.p, align 8
  %top.next = add nsw i64 %low, 1
  %is.part = icmp eq i64 %code, {PART}
  %more.parts = zext i1 %is.part to i64
  %part.next = add nsw i64 %part, %more.parts
  br label %op.more

done:
  %result.whole = load ptr, ptr %parts, align 8
  ret ptr %result.whole
}}
"""
