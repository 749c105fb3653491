"""The machine code of fast calls: a built-in function, the same for all kernels, driven by a table."""

from __future__ import annotations

from codegen.backends.fast_call_outputs import OUTPUTS, RESULT
from codegen.backends.fast_call_table import (
    ARGUMENT,
    HEAD,
    ITEMS,
    READABLE,
    TYPE,
    VALUE,
    counted,
    fits,
    load,
    loop,
)

START = f"""\
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
@PyList_Type = external global i8
declare ptr @PyList_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyDict_New()
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare ptr @PyObject_CallObject(ptr, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)

define ptr @fast_call(ptr %self, ptr %args, i64 %count, ptr %names) {{
start:
  {load("table", "ptr", "%self", str(VALUE))}
  {load("array_type", "ptr", "%table", "8")}
  {load("kernel", "ptr", "%table", "32")}
  {load("sizes", "ptr", "%table", "40")}
  {load("routines", "ptr", "%table", "48")}
  {load("calls", "i64", "%table", "56")}
  {load("inputs", "i64", "%table", "64")}
  {load("outputs", "i64", "%table", "72")}
  {load("operations", "i64", "%table", "80")}
  {load("addresses", "ptr", "%table", "88")}
  {load("first", "i64", "%table", "96")}
  {load("limit", "i64", "%table", "104")}
  {load("released", "i64", "%table", "112")}
  {load("busy", "i64", "%table", "120")}
  {load("out.name", "ptr", "%table", "128")}
  {load("program", "ptr", "%table", "136")}
  %made = alloca ptr, i64 %outputs, align 8
  %slots = alloca i64, i64 %outputs, align 8
  %named.values = alloca ptr, i64 %inputs, align 8
  %out.place = alloca ptr, align 8
  store ptr null, ptr %out.place, align 8
  %outs.a = mul nsw i64 %inputs, {ARGUMENT}
  %outs.at = add nsw i64 %outs.a, {HEAD}
  %outs = getelementptr inbounds i64, ptr %table, i64 %outs.at
  %full = icmp eq i64 %calls, %limit
  %runs = icmp ne i64 %busy, 0
  %other = or i1 %full, %runs
  br i1 %other, label %careful, label %fit

fit:
  %is.named = icmp ne ptr %names, null
  %many = icmp ne i64 %count, %inputs
  br i1 %is.named, label %by.name, label %by.position

by.position:
  br i1 %many, label %careful, label %go

careful:
  %fallback = load ptr, ptr %table, align 8
  %answer = call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %count, ptr %names)
  ret ptr %answer
"""

# Values by name: each goes to the place of its name, and no place may be left empty.
NAMED = f"""
by.name:
  {load("names.count", "i64", "%names", str(VALUE))}
  %too.many = icmp sgt i64 %count, %inputs
  br i1 %too.many, label %careful, label %place.more

{loop("place", "by.name", "%inputs", "place.one", "keyword.more", "place.one")}
place.one:
  %is.given = icmp slt i64 %place, %count
  %given.p = getelementptr inbounds ptr, ptr %args, i64 %place
  %safe.p = select i1 %is.given, ptr %given.p, ptr %out.place
  %given.value = load ptr, ptr %safe.p, align 8
  %place.p = getelementptr inbounds ptr, ptr %named.values, i64 %place
  store ptr %given.value, ptr %place.p, align 8
  br label %place.more

{loop("keyword", "place.more", "%names.count", "keyword.one", "whole.more", "keyword.put")}
keyword.one:
  %names.items = getelementptr inbounds i8, ptr %names, i64 {ITEMS}
  {load("name", "ptr", "%names.items", "%keyword")}
  %value.at = add nsw i64 %count, %keyword
  %value.p = getelementptr inbounds ptr, ptr %args, i64 %value.at
  %value = load ptr, ptr %value.p, align 8
  %is.out = icmp eq ptr %name, %out.name
  br i1 %is.out, label %keyword.put, label %seek.more

seek.more:
  %seek = phi i64 [ %count, %keyword.one ], [ %seek.next, %seek.one ]
  %seek.next = add nsw i64 %seek, 1
  %seek.left = icmp slt i64 %seek, %inputs
  br i1 %seek.left, label %seek.one, label %careful

seek.one:
  %seek.row = mul nsw i64 %seek, {ARGUMENT}
  %seek.at = add nsw i64 %seek.row, {HEAD + 5}
  {load("known.name", "ptr", "%table", "%seek.at")}
  %is.it = icmp eq ptr %known.name, %name
  br i1 %is.it, label %keyword.put, label %seek.more

keyword.put:
  %target = phi i64 [ 0, %keyword.one ], [ %seek, %seek.one ]
  %target.p = getelementptr inbounds ptr, ptr %named.values, i64 %target
  %put.p = select i1 %is.out, ptr %out.place, ptr %target.p
  store ptr %value, ptr %put.p, align 8
  br label %keyword.more

{loop("whole", "keyword.more", "%inputs", "whole.one", "go", "whole.one")}
whole.one:
  {load("whole.value", "ptr", "%named.values", "%whole")}
  %is.missing = icmp eq ptr %whole.value, null
  br i1 %is.missing, label %careful, label %whole.more
"""

ARGUMENTS = f"""
go:
  %values = phi ptr [ %args, %by.position ], [ %named.values, %whole.more ]
  br label %k.more

{loop("k", "go", "%inputs", "argument", "targets", "looked")}
argument:
  {load("arg", "ptr", "%values", "%k")}
  {load("type", "ptr", "%arg", str(TYPE))}
  %k.row = mul nsw i64 %k, {ARGUMENT}
  %row.at = add nsw i64 %k.row, {HEAD}
  %row = getelementptr inbounds i64, ptr %table, i64 %row.at
  {load("looked.at", "i64", "%row", "56")}
  %is.array = icmp eq ptr %type, %array_type
  br i1 %is.array, label %array.look, label %scalar

{fits("array", "%arg", "%row", READABLE, "taken")}
scalar:
  {load("number.a", "ptr", "%row", "24")}
  {load("number.b", "ptr", "%row", "32")}
  %is.a = icmp eq ptr %type, %number.a
  %is.b = icmp eq ptr %type, %number.b
  %is.number = or i1 %is.a, %is.b
  br i1 %is.number, label %taken.scalar, label %careful

taken.scalar:
  %number.place = getelementptr inbounds i8, ptr %arg, i64 {VALUE}
  br label %taken

taken:
  %direct = phi ptr [ null, %array.axis.more ], [ %number.place, %taken.scalar ]
  {load("data", "ptr", "%arg", str(VALUE))}
  %from.array = icmp eq ptr %direct, null
  %address = select i1 %from.array, ptr %data, ptr %direct
  %address.p = getelementptr inbounds ptr, ptr %addresses, i64 %k
  store ptr %address, ptr %address.p, align 8
  {load("least", "i64", "%row", "64")}
  {load("many.k", "i64", "%row", "72")}
  {load("width", "i64", "%row", "80")}
  %is.wide = icmp eq i64 %width, 8
  %is.real = icmp eq i64 %width, 0
  %in.vectors = and i64 %looked.at, -8
  %least.one = insertelement <8 x i64> poison, i64 %least, i64 0
  %least.all = shufflevector <8 x i64> %least.one, <8 x i64> poison, <8 x i32> zeroinitializer
  %many.one = insertelement <8 x i64> poison, i64 %many.k, i64 0
  %many.all = shufflevector <8 x i64> %many.one, <8 x i64> poison, <8 x i32> zeroinitializer
  br i1 %is.real, label %r.more, label %v.more

{loop("v", "taken", "%in.vectors", "v.some", "at.more", "v.read", "8")}
v.some:
  br i1 %is.wide, label %v.wide, label %v.short

v.wide:
  {load("longs", "<8 x i64>", "%address", "%v", "i64")}
  br label %v.read

v.short:
  {load("shorts", "<8 x i32>", "%address", "%v", "i32")}
  %shorts.wide = sext <8 x i32> %shorts to <8 x i64>
  br label %v.read

v.read:
  %together = phi <8 x i64> [ %longs, %v.wide ], [ %shorts.wide, %v.short ]
  %together.up = sub <8 x i64> %together, %least.all
  %are.outside = icmp uge <8 x i64> %together.up, %many.all
  %outside.bits = bitcast <8 x i1> %are.outside to i8
  %some.outside = icmp ne i8 %outside.bits, 0
  br i1 %some.outside, label %careful, label %v.more

{loop("at", "v.more", "%looked.at", "at.one", "looked", "at.read", first="%in.vectors")}
at.one:
  br i1 %is.wide, label %at.wide, label %at.short

at.wide:
  {load("long", "i64", "%address", "%at", "i64")}
  br label %at.read

at.short:
  {load("short", "i32", "%address", "%at", "i32")}
  %short.wide = sext i32 %short to i64
  br label %at.read

at.read:
  %position = phi i64 [ %long, %at.wide ], [ %short.wide, %at.short ]
  %position.up = sub i64 %position, %least
  %is.outside = icmp uge i64 %position.up, %many.k
  br i1 %is.outside, label %careful, label %at.more

{loop("r", "taken", "%looked.at", "r.one", "looked", "r.inside")}
r.one:
  {load("real", "double", "%address", "%r", "double")}
  %real.least = bitcast i64 %least to double
  %real.greatest = bitcast i64 %many.k to double
  %is.low = fcmp ult double %real, %real.least
  br i1 %is.low, label %careful, label %r.inside

r.inside:
  %is.high = fcmp ugt double %real, %real.greatest
  br i1 %is.high, label %careful, label %r.more

looked:
  br label %k.more
"""

# While the lock is given away, others may change the caller's list of outputs, or drop this function: what is used is held.
RUN = f"""
run:
  %giver = phi ptr [ %give, %o.more ], [ null, %u.more ]
  %maker = phi ptr [ %number.maker, %o.more ], [ null, %u.more ]
  %calls.next = add nsw i64 %calls, 1
  store i64 %calls.next, ptr %calls.p, align 8
  %keeps.lock = icmp eq i64 %released, 0
  br i1 %keeps.lock, label %run.locked, label %hold.self

run.locked:
  call void %kernel(ptr %addresses, ptr %sizes, ptr %routines)
  br label %over

hold.self:
  store i64 1, ptr %busy.p, align 8
  call void @Py_IncRef(ptr %self)
  br label %hold.more

{counted("hold", "hold.self", "Py_IncRef", "run.released")}
run.released:
  %state = call ptr @PyEval_SaveThread()
  call void %kernel(ptr %addresses, ptr %sizes, ptr %routines)
  call void @PyEval_RestoreThread(ptr %state)
  store i64 0, ptr %busy.p, align 8
  br label %drop.more

{counted("drop", "run.released", "Py_DecRef", "drop.self")}
drop.self:
  call void @Py_DecRef(ptr %self)
  br label %over

over:
  br i1 %is.fresh, label %join, label %keep.more

{counted("keep", "over", "Py_IncRef", "join")}"""

CODE = START + NAMED + ARGUMENTS + OUTPUTS + RUN + RESULT
