"""Hand-built programs for the tests of everything from the loop IR on."""

from __future__ import annotations

from codegen.loop_ir.nodes import (
    Accumulate,
    Affine,
    Assign,
    Buffer,
    Call,
    Carried,
    Fill,
    If,
    IndexValue,
    Inside,
    Let,
    Literal,
    Load,
    Loop,
    MatMul,
    MatVec,
    Mirror,
    Panel,
    Program,
    Quotient,
    Register,
    Remainder,
    SampleLoop,
    Section,
    SizeValue,
    Store,
    TileLoop,
    Update,
)
from symdiff.sizes import dim, dims

n, d, k = dims("n d k")
F = "float64"


def at(*names, plus=0):
    return tuple(Affine(plus, ((v, 1),)) for v in names)


def f(value, dtype=F):
    return Literal(value, dtype)


def call(function, *args, dtype=F):
    return Call(function, args, dtype)


def r(name):
    return Register(name)


def over(var, *body, size=5, carried=()):
    """A loop with a literal number of turns."""
    return Loop(var, 0, size, body, carried=carried)


def chain(dtype=F):
    """o = exp(-x) * (x + 2) - 1/x, elementwise."""
    x = r("v0")
    body = (
        Let("v0", dtype, Load("a0", at("i", "j"))),
        Let("v1", dtype, call("exp", call("neg", x, dtype=dtype), dtype=dtype)),
        Store("o0", at("i", "j"), call(
            "sub", call("mul", r("v1"), call("add", x, f(2, dtype), dtype=dtype), dtype=dtype),
            call("reciprocal", x, dtype=dtype), dtype=dtype)),
    )
    loops = Loop("i", 0, n, (Loop("j", 0, d, body, kind="lane"),), comment="every element on its own")
    buffers = (Buffer("a0", dtype, (n, d), "arg"), Buffer("o0", dtype, (n, d), "out"))
    return Program("chain", ("n", "d"), buffers, (Section("init", 0, (loops,)),))


def mean():
    """o = sum(a) / n, by a carried register."""
    body = (
        Loop("i", 0, n, (Update("add", "s0", Load("a0", at("i"))),), carried=(Carried("s0", F, f(0)),)),
        Store("o0", (), call("div", r("s0"), SizeValue(n, F))),
    )
    return Program("mean", ("n",), (Buffer("a0", F, (n,), "arg"), Buffer("o0", F, (), "out")),
                   (Section("init", 0, body),))


def argmax():
    """o = argmax of each row, o1 = the greatest."""
    turn = (
        Let("v0", F, Load("a0", at("i", "j"))),
        Let("v1", "bool", Call("greater", (r("v0"), r("s0")), "bool")),
        Assign("s1", Call("select", (r("v1"), IndexValue(Affine(0, (("j", 1),)), "int64"), r("s1")), "int64")),
        Update("max", "s0", r("v0")),
    )
    carried = (Carried("s0", F, f(float("-inf"))), Carried("s1", "int64", f(0, "int64")))
    body = (Loop("i", 0, n, (Loop("j", 0, d, turn, carried=carried), Store("o0", at("i"), r("s1")),
                             Store("o1", at("i"), r("s0")))),)
    buffers = (Buffer("a0", F, (n, d), "arg"), Buffer("o0", "int64", (n,), "out"), Buffer("o1", F, (n,), "out"))
    return Program("argmax", ("n", "d"), buffers, (Section("init", 0, body),))


def gradient(rows=4):
    """Value ½‖Xw − y‖²/n, gradient Xᵀ(Xw − y)/n and Hessian XᵀX/n in one tiled pass over X."""
    zero = (Affine(0),)
    residual = (
        Let("v0", F, call("sub", Load("t0", at("i")), Load("a1", at("i")))),
        Store("t0", at("i"), r("v0")),
        Update("add", "s0", call("square", r("v0"))),
    )
    x_tile = Panel("a0", zero * 2, 0, 1)
    xt_tile = Panel("a0", zero * 2, 1, 0)
    tile = TileLoop("p0", rows, (
        MatVec("dot", x_tile, Panel("a2", zero, 0, None), Panel("t0", zero, 0, None), None, d),
        SampleLoop("i", residual, carried=(Carried("s0", F, f(0)),), comment="residuals and their squares"),
        Accumulate("add", "b0", (), r("s0")),
        MatVec("axpy", xt_tile, Panel("t0", zero, 0, None), Panel("b1", zero, 0, None), d, None, beta=1.0),
        MatMul(xt_tile, x_tile, Panel("o2", zero * 2, 0, 1), d, d, None, beta=1.0, kind="symmetric"),
    ), comment="tiles of samples")
    init = (Fill("b0", f(0)), Fill("b1", f(0)), Fill("o2", f(0)))
    finish = (
        Store("o0", (), call("div", call("mul", f(0.5), Load("b0", ())), SizeValue(n, F))),
        Loop("j", 0, d, (Store("o1", at("j"), call("div", Load("b1", at("j")), SizeValue(n, F))),)),
        Mirror("o2"),
        Loop("i", 0, d, (Loop("j", 0, d, (
            Store("o2", at("i", "j"), call("div", Load("o2", at("i", "j")), SizeValue(n, F))),)),)),
    )
    buffers = (
        Buffer("a0", F, (n, d), "arg", 0), Buffer("a1", F, (n,), "arg", 0), Buffer("a2", F, (d,), "arg"),
        Buffer("o0", F, (), "out"), Buffer("o1", F, (d,), "out"), Buffer("o2", F, (d, d), "out"),
        Buffer("t0", F, (n,), "tile", 0), Buffer("b0", F, (), "accumulator"), Buffer("b1", F, (d,), "accumulator"),
    )
    sections = (Section("init", 0, init), Section("range", 0, (tile,), n), Section("finish", 0, finish))
    return Program("gradient", ("n", "d"), buffers, sections)


def panel(name, transposed, batch=False):
    lead = at("q") if batch else ()
    first = len(lead)
    rows, columns = (first + 1, first) if transposed else (first, first + 1)
    return Panel(name, lead + (Affine(0),) * 2, rows, columns)


def matmul(ta=False, tb=False, tc=False, dtype=F, kind="gemm", alpha=1.0, beta=0.0, batch=False):
    """c = alpha a b + beta c with operands stored as they are or transposed, perhaps for each of k matrices."""
    lead = (k,) if batch else ()
    m = dim("m")
    size = {"a": (n, d), "b": (d, m), "c": (n, m)}
    shape = {x: lead + (s[::-1] if t else s) for (x, s), t in zip(size.items(), (ta, tb, tc), strict=True)}
    product = MatMul(panel("a0", ta, batch), panel("a1", tb, batch), panel("o0", tc, batch), n, m, d, alpha, beta, kind)
    body = (Loop("q", 0, k, (product,)),) if batch else (product,)
    fill = (Fill("o0", f(1, dtype)),) if beta else ()
    names = ("n", "d", "m", *(("k",) if batch else ()))
    buffers = (Buffer("a0", dtype, shape["a"], "arg"), Buffer("a1", dtype, shape["b"], "arg"),
               Buffer("o0", dtype, shape["c"], "out"))
    return Program("matmul", names, buffers, (Section("init", 0, fill + body),))


def shift():
    """o[i] = a[i - 1], zero outside, by a guarded read; the argument has n - 1 elements."""
    where = Affine(-1, (("i", 1),))
    value = call("select", Inside(where, n - 1), Load("a0", (where,)), f(0))
    body = (Loop("i", 0, n, (Store("o0", at("i"), value),)),)
    return Program("shift", ("n",), (Buffer("a0", F, (n - 1,), "arg"), Buffer("o0", F, (n,), "out")),
                   (Section("init", 0, body),))


def reshape():
    """o of shape (n d,) as (d, n), by quotient and remainder."""
    flat = Affine(0, (("i", n), ("j", 1)))
    index = (Affine(0, ((Quotient(flat, d), 1),)), Affine(0, ((Remainder(flat, d), 1),)))
    body = (Loop("i", 0, d, (Loop("j", 0, n, (Store("o0", at("i", "j"), Load("a0", index)),)),)),)
    return Program("reshape", ("n", "d"), (Buffer("a0", F, (n, d), "arg"), Buffer("o0", F, (d, n), "out")),
                   (Section("init", 0, body),))


def folds():
    """any(a > 0), the count of a > 0 as int32, the greatest, the product as float32, and a table of per-row sums."""
    above = call("greater", Load("a0", at("i", "j")), f(0), dtype="bool")
    f32 = Call("cast", (Load("a0", at("i", "j")),), "float32")
    inner = (
        Let("v0", "bool", above),
        Update("max", "s0", r("v0")),
        If(r("v0"), (Update("add", "s1", f(1, "int32")),)),
        Update("max", "s2", Load("a0", at("i", "j"))),
        Update("mul", "s3", f32),
        Accumulate("add", "o4", at("j"), Load("a0", at("i", "j"))),
        Accumulate("min", "o5", at("j"), Call("cast", (Load("a0", at("i", "j")),), "int32")),
    )
    carried = (Carried("s0", "bool", f(False, "bool")), Carried("s1", "int32", f(0, "int32")),
               Carried("s2", F, f(float("-inf"))), Carried("s3", "float32", f(1, "float32")))
    body = (Fill("o4", f(0)), Fill("o5", f(2**31 - 1, "int32")),
            Loop("i", 0, n, (Loop("j", 0, d, inner),), carried=carried),
            *(Store(f"o{k}", (), r(f"s{k}")) for k in range(4)))
    types = ("bool", "int32", F, "float32")
    buffers = (Buffer("a0", F, (n, d), "arg"), *(Buffer(f"o{k}", t, (), "out") for k, t in enumerate(types)),
               Buffer("o4", F, (d,), "out"), Buffer("o5", "int32", (d,), "out"))
    return Program("folds", ("n", "d"), buffers, (Section("init", 0, body),))


def mirrored():
    """Each matrix of a stack, its lower triangle copied to the upper one; tiles hold samples last."""
    b = at("i", "j", "q")
    tile = TileLoop("p0", 4, (SampleLoop("i", (Loop("j", 0, d, (Loop("q", 0, d, (
        Store("t0", at("j", "q", "i"), Load("a0", b)), Store("o0", b, Load("t0", at("j", "q", "i")))),),)),)),))
    buffers = (Buffer("a0", F, (n, d, d), "arg", 0), Buffer("o0", F, (n, d, d), "out", 0),
               Buffer("t0", F, (d, d, n), "tile", 2))
    return Program("mirrored", ("n", "d"), buffers,
                   (Section("range", 0, (tile,), n), Section("finish", 0, (Mirror("o0"),))))
