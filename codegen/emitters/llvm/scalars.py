"""The scalar functions of the loop IR as instructions: one table, one entry for each row of `codegen.loop_ir.scalars`.

An entry takes the writer, the arguments (alike in type and lanes, but for casts and selections) and the LLVM type of the
result.  What has no recipe of our own is a call of the C library, lane by lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from codegen.emitters.llvm import angles, error_functions, exponentials, logarithms, mathematics, powers, roots, square_roots
from codegen.emitters.llvm.instructions import BITS, Function, Ssa, literal
from codegen.emitters.llvm.mathematics import constant

Code = Callable[..., Ssa]
Recipe = Callable[..., Ssa]
LOG_2 = math.log(2.0)
FLOATS = ("double", "float")


def floating(x: Ssa) -> bool:
    """Whether a value is a floating one."""
    return x.kind in FLOATS


def arithmetic(name: str) -> Code:
    """`fadd` or `add` and the like, by the type."""
    of_floats = f"f{name}"

    def code(w: Function, a: Ssa, b: Ssa, kind: str) -> Ssa:
        if kind in FLOATS:
            return w.binary(f"{of_floats} {w.flags}" if w.flags else of_floats, a, b)
        if kind == "i1":
            return w.logic("and" if name == "mul" else "or" if name == "add" else "xor", a, b)
        return w.binary(name, a, b)
    return code


def div(w: Function, a: Ssa, b: Ssa, kind: str) -> Ssa:
    """a / b."""
    return w.binary(f"fdiv {w.flags}".rstrip(), a, b)


def neg(w: Function, a: Ssa, kind: str) -> Ssa:
    """−a."""
    return w.unary("fneg", a) if kind in FLOATS else w.binary("sub", literal(0, kind, a.lanes), a)


def reciprocal(w: Function, a: Ssa, kind: str) -> Ssa:
    """1 / a."""
    return div(w, constant(a, 1.0), a, kind)


def square(w: Function, a: Ssa, kind: str) -> Ssa:
    """a²."""
    return ARITHMETIC["mul"](w, a, a, kind)


def cube(w: Function, a: Ssa, kind: str) -> Ssa:
    """a³."""
    return ARITHMETIC["mul"](w, square(w, a, kind), a, kind)


def raised(w: Function, a: Ssa, n: int, kind: str) -> Ssa:
    """aⁿ by squaring, n ≥ 0."""
    result = literal(1, kind, a.lanes)
    while n:
        if n & 1:
            result = a if result.name in (literal(1, kind, a.lanes).name,) else ARITHMETIC["mul"](w, result, a, kind)
        n >>= 1
        if n:
            a = square(w, a, kind)
    return result


def power_int(w: Function, a: Ssa, n: Ssa, kind: str) -> Ssa:
    """aⁿ for an integer n: by multiplication where n is a small literal, else a power, or of integers a loop over its bits."""
    if n.lanes == 1 and n.name[0] != "%" and (kind not in FLOATS or 0 <= int(n.name) <= 8):
        p = int(n.name)
        if p >= 0:
            return raised(w, a, p, kind)
    if kind in FLOATS:
        exponent = w.convert("sitofp", n, kind) if n.name[0] == "%" else literal(int(n.name), kind)
        base, exponent = w.alike(a, exponent)
        return power(w, base, exponent, kind)
    base, exponent = w.alike(a, resized(w, n, "i64"))
    return integer_power(w, base, exponent, kind)


def integer_power(w: Function, a: Ssa, n: Ssa, kind: str) -> Ssa:
    """aⁿ of integers that wraps round; a negative exponent gives the truncated quotient, and 0 for 0."""
    one, zero = literal(1, kind, a.lanes), literal(0, kind, a.lanes)
    result, base, bits = one, a, n
    for step in range(BITS[kind]):
        bit = w.compare("icmp ne", w.binary("and", bits, literal(1, "i64", n.lanes)), literal(0, "i64", n.lanes))
        result = w.select(bit, w.binary("mul", result, base), result)
        if step + 1 < BITS[kind]:
            base = w.binary("mul", base, base)
            bits = w.binary("lshr", bits, literal(1, "i64", n.lanes))
    odd = w.compare("icmp ne", w.binary("and", n, literal(1, "i64", n.lanes)), literal(0, "i64", n.lanes))
    minus = literal(-1, kind, a.lanes)
    of_minus_one = w.select(w.compare("icmp eq", a, minus), w.select(odd, minus, one), zero)
    inverse = w.select(w.compare("icmp eq", a, one), one, of_minus_one)
    return w.select(w.compare("icmp slt", n, literal(0, "i64", n.lanes)), inverse, result)


def power(w: Function, a: Ssa, b: Ssa, kind: str) -> Ssa:
    """aᵇ; alone it is a call of the library."""
    return library(w, "pow", a, b) if a.lanes == 1 else powers.power(w, a, b)


def remainder(w: Function, a: Ssa, b: Ssa, kind: str) -> Ssa:
    """a mod b with the sign of b, as NumPy has it."""
    zero = literal(0, kind, a.lanes)
    if kind in FLOATS:
        r = library(w, "fmod", a, b)
        moved = w.compare("icmp ne", w.compare("fcmp olt", b, zero), w.compare("fcmp olt", r, zero))
        moved = w.select(moved, w.binary("fadd", r, b), r)
        return w.select(w.compare("fcmp oeq", r, zero), w.intrinsic("copysign", zero, b), moved)
    trap, divisor = safe_divisor(w, b, kind)
    r = w.binary("srem", a, divisor)
    moved = w.logic("and", w.compare("icmp ne", r, zero),
                    w.compare("icmp slt", w.binary("xor", r, divisor), zero))
    return w.select(trap, zero, w.select(moved, w.binary("add", r, divisor), r))


def floor_divide(w: Function, a: Ssa, b: Ssa, kind: str) -> Ssa:
    """⌊a / b⌋, as NumPy has it; of integers 0 for a divisor of 0."""
    zero, one = literal(0, kind, a.lanes), literal(1, kind, a.lanes)
    if kind in FLOATS:
        r = library(w, "fmod", a, b)
        q = w.binary("fdiv", w.binary("fsub", a, r), b)
        opposite = w.compare("icmp ne", w.compare("fcmp olt", b, zero), w.compare("fcmp olt", r, zero))
        q = w.select(w.logic("and", w.compare("fcmp une", r, zero), opposite), w.binary("fsub", q, one), q)
        whole = w.intrinsic("floor", q)
        up = w.compare("fcmp ogt", w.binary("fsub", q, whole), constant(a, 0.5))
        whole = w.select(up, w.binary("fadd", whole, one), whole)
        ratio = w.binary("fdiv", a, b)
        value = w.select(w.compare("fcmp oeq", q, zero), w.intrinsic("copysign", zero, ratio), whole)
        return w.select(w.compare("fcmp oeq", b, zero), ratio, value)
    trap, divisor = safe_divisor(w, b, kind)
    q, r = w.binary("sdiv", a, divisor), w.binary("srem", a, divisor)
    lower = w.logic("and", w.compare("icmp ne", r, zero), w.compare("icmp slt", w.binary("xor", r, divisor), zero))
    q = w.select(lower, w.binary("sub", q, one), q)
    by_minus_one = w.select(w.compare("icmp eq", b, zero), zero, w.binary("sub", zero, a))
    return w.select(trap, by_minus_one, q)


def safe_divisor(w: Function, b: Ssa, kind: str) -> tuple[Ssa, Ssa]:
    """(whether b is 0 or −1, which trap, b or 1 there)."""
    trap = w.logic("or", w.compare("icmp eq", b, literal(0, kind, b.lanes)), w.compare("icmp eq", b, literal(-1, kind, b.lanes)))
    return trap, w.select(trap, literal(1, kind, b.lanes), b)


def absolute(w: Function, a: Ssa, kind: str) -> Ssa:
    """|a|."""
    if kind in FLOATS:
        return w.intrinsic("fabs", a)
    return w.select(w.compare("icmp slt", a, literal(0, kind, a.lanes)), neg(w, a, kind), a)


def sign(w: Function, a: Ssa, kind: str) -> Ssa:
    """−1, 0 or 1; NaN for NaN."""
    zero = literal(0, kind, a.lanes)
    less, more = ("fcmp olt", "fcmp ogt") if kind in FLOATS else ("icmp slt", "icmp sgt")
    value = w.select(w.compare(more, a, zero), literal(1, kind, a.lanes), zero)
    value = w.select(w.compare(less, a, zero), literal(-1, kind, a.lanes), value)
    return w.select(w.compare("fcmp uno", a, a), a, value) if kind in FLOATS else value


def extreme(float_op: str, int_op: str, bool_op: str) -> Code:
    """The larger or smaller of two; NaN where one is."""
    def code(w: Function, a: Ssa, b: Ssa, kind: str) -> Ssa:
        if kind == "i1":
            return w.logic(bool_op, a, b)
        if kind not in FLOATS:
            return w.select(w.compare(int_op, a, b), a, b)
        chosen = w.select(w.compare(float_op, a, b), a, b)
        return w.select(w.compare("fcmp uno", a, a), a, chosen)
    return code


def rounding(name: str) -> Code:
    """A rounding of floats; integers stay."""
    return lambda w, a, kind: w.intrinsic(name, a) if kind in FLOATS else a


def library(w: Function, name: str, *args: Ssa) -> Ssa:
    """A function of the C library, lane by lane: that is a function of the module, so that where it is called stays short."""
    args = w.alike(*args)
    a = args[0]
    full = name if a.kind == "double" else name + "f"
    if full not in w.declared:
        w.declare(full, f"declare {a.kind} @{full}({', '.join([a.kind] * len(args))}) #0")
    if a.lanes > 1:
        full = w.declare(f".{full}.{a.lanes}", for_each_lane(full, a, len(args)))
    given = ", ".join([f"{v.type} {v.name}" for v in args])
    return w.pure(f"call {a.type} @{full}({given}) #0", a.kind, a.lanes, max(w.branch_depth, *[v.depth for v in args]))


def for_each_lane(full: str, like: Ssa, arity: int) -> str:
    """The function that calls a function of the C library for each lane of its arguments, vectors like one."""
    inner = Function()
    vectors = [Ssa(f"%.v{k}", like.kind, like.lanes) for k in range(arity)]
    results = []
    for k in range(like.lanes):
        given = ", ".join([f"{like.kind} {inner.lane(v, k).name}" for v in vectors])
        results.append(inner.here(f"call {like.kind} @{full}({given}) #0", like.kind))
    inner.block.end = f"ret {like.type} {inner.gathered(results).name}"
    parameters = ", ".join([f"{v.type} {v.name}" for v in vectors])
    return "\n".join([f"define internal {like.type} @.{full}.{like.lanes}({parameters}) #0 {{", *inner.lines(), "}"])


def recipe(name: str, own: Recipe) -> Code:
    """A row that is a recipe of ours in vectors; alone it is a call of the library where that has it, for shorter code."""
    return lambda w, *args: library(w, name, *args[:-1]) if args[0].lanes == 1 else own(w, *args[:-1])


def angle(name: str, own: Recipe) -> Code:
    """A function of an angle; where that is very large, or no number, the library's."""
    def code(w: Function, a: Ssa, kind: str) -> Ssa:
        if a.lanes == 1:
            return library(w, name, a)
        limit = constant(a, mathematics.FORMATS[a.kind].largest_angle)
        large = w.any_lane(w.compare("fcmp uge", w.intrinsic("fabs", a), limit))
        return w.either(large, lambda: library(w, name, a), lambda: own(w, a))
    return code


def exp_below(w: Function, x: Ssa) -> Ssa:
    """eˣ for x that does not overflow it."""
    return library(w, "exp", x) if x.lanes == 1 else exponentials.exp_below(w, x)


def log_up_to_two(w: Function, e: Ssa) -> Ssa:
    """log(1 + e) for e from 0 to 1."""
    return library(w, "log1p", e) if e.lanes == 1 else logarithms.log_up_to_two(w, e)


def sigmoid(w: Function, x: Ssa, kind: str) -> Ssa:
    """1 / (1 + e) for x ≥ 0, e / (1 + e) below, with e = e^(−|x|), which serves σ(x), σ(−x) and softplus at once."""
    e = exp_below(w, w.unary("fneg", w.intrinsic("fabs", x)))
    top = w.select(w.compare("fcmp olt", x, constant(x, 0.0)), e, constant(x, 1.0))
    return w.binary("fdiv", top, w.binary("fadd", constant(x, 1.0), e))


def sech_squared(w: Function, x: Ssa, kind: str) -> Ssa:
    """4e / (1 + e)² with e = e^(−2|x|), and what 1 + e loses by being rounded."""
    size = w.intrinsic("fabs", x)
    e = exp_below(w, w.unary("fneg", w.binary("fadd", size, size)))
    twice, below = w.binary("fadd", e, e), w.binary("fadd", constant(x, 1.0), e)
    lost = w.binary("fsub", e, w.binary("fsub", below, constant(x, 1.0)))
    square = mathematics.fma(w, below, below, w.binary("fmul", below, w.binary("fadd", lost, lost)))
    return w.binary("fdiv", w.binary("fadd", twice, twice), square)


def softplus(w: Function, x: Ssa, kind: str) -> Ssa:
    """max(x, 0) + log(1 + e^(−|x|))."""
    e = exp_below(w, w.unary("fneg", w.intrinsic("fabs", x)))
    return w.binary("fadd", mathematics.at_least(w, x, 0.0), log_up_to_two(w, e))


def logaddexp(w: Function, a: Ssa, b: Ssa, kind: str) -> Ssa:
    """log(eᵃ + eᵇ); of two equal infinities that infinity."""
    e = exp_below(w, w.unary("fneg", w.intrinsic("fabs", w.binary("fsub", a, b))))
    value = w.binary("fadd", EXTREMES["maximum"](w, a, b, kind), log_up_to_two(w, e))
    return w.select(w.compare("fcmp oeq", a, b), w.binary("fadd", a, constant(a, LOG_2)), value)


def xlogy(w: Function, x: Ssa, y: Ssa, kind: str) -> Ssa:
    """x log y with 0 log 0 = 0."""
    value = w.binary("fmul", x, FUNCTIONS["log"](w, y, kind))
    zero = w.logic("and", w.compare("fcmp oeq", x, constant(x, 0.0)), w.compare("fcmp ord", y, y))
    return w.select(zero, constant(x, 0.0), value)


def comparison(float_op: str, int_op: str, bool_op: str) -> Code:
    """A comparison by the type of its arguments."""
    def code(w: Function, a: Ssa, b: Ssa, kind: str) -> Ssa:
        if a.kind in FLOATS:
            return w.compare(f"fcmp {float_op}", a, b)
        return w.compare(f"icmp {bool_op if a.kind == 'i1' else int_op}", a, b)
    return code


def isnan(w: Function, a: Ssa, kind: str) -> Ssa:
    """Whether a is NaN."""
    return w.compare("fcmp uno", a, a) if floating(a) else literal(False, "i1")


def isfinite(w: Function, a: Ssa, kind: str) -> Ssa:
    """Whether a is neither NaN nor infinite."""
    return w.compare("fcmp olt", w.intrinsic("fabs", a), constant(a, math.inf)) if floating(a) else literal(True, "i1")


def isinf(w: Function, a: Ssa, kind: str) -> Ssa:
    """Whether a is infinite."""
    return w.compare("fcmp oeq", w.intrinsic("fabs", a), constant(a, math.inf)) if floating(a) else literal(False, "i1")


def resized(w: Function, a: Ssa, kind: str) -> Ssa:
    """An integer in another width."""
    if a.kind == kind:
        return a
    if a.name[0] != "%" and a.lanes == 1 and a.kind != "i1":
        return literal(int(a.name), kind)
    if a.kind == "i1":
        return w.convert("zext", a, kind)
    return w.convert("sext" if BITS[a.kind] < BITS[kind] else "trunc", a, kind)


def cast(w: Function, a: Ssa, kind: str) -> Ssa:
    """A value in another type."""
    if a.kind == kind:
        return a
    if kind == "i1":
        zero = literal(0, a.kind, a.lanes)
        return w.compare("fcmp une" if floating(a) else "icmp ne", a, zero)
    if kind in FLOATS:
        if floating(a):
            return w.convert("fpext" if kind == "double" else "fptrunc", a, kind)
        return w.convert("uitofp" if a.kind == "i1" else "sitofp", a, kind)
    return w.convert("fptosi", a, kind) if floating(a) else resized(w, a, kind)


RECIPES: dict[str, Recipe] = {
    "exp": exponentials.exp, "exp2": exponentials.exp2, "expm1": exponentials.expm1, "tanh": exponentials.tanh,
    "sinh": exponentials.sinh, "cosh": exponentials.cosh, "erf": error_functions.erf, "erfc": error_functions.erfc,
    "log": logarithms.log, "log1p": logarithms.log1p, "log2": logarithms.log2, "log10": logarithms.log10,
    "asinh": logarithms.asinh, "acosh": logarithms.acosh, "atanh": logarithms.atanh,
    "asin": angles.asin, "acos": angles.acos, "atan": angles.atan, "atan2": angles.atan2,
    "cbrt": roots.cbrt, "hypot": roots.hypot,
}
ARITHMETIC: dict[str, Code] = {
    "add": arithmetic("add"), "sub": arithmetic("sub"), "mul": arithmetic("mul"), "div": div, "neg": neg,
    "reciprocal": reciprocal, "square": square, "cube": cube, "power": power, "power_int": power_int,
    "floor_divide": floor_divide, "remainder": remainder, "abs": absolute, "sign": sign,
    "floor": rounding("floor"), "ceil": rounding("ceil"), "trunc": rounding("trunc"), "round": rounding("rint"),
}
EXTREMES: dict[str, Code] = {
    "maximum": extreme("fcmp ogt", "icmp sgt", "or"), "minimum": extreme("fcmp olt", "icmp slt", "and"),
}
FUNCTIONS: dict[str, Code] = {
    "sqrt": lambda w, a, kind: square_roots.sqrt(w, a),
    **{name: recipe(name, own) for name, own in RECIPES.items()},
    "sin": angle("sin", angles.sin), "cos": angle("cos", angles.cos), "tan": angle("tan", angles.tan),
    "sigmoid": sigmoid, "sech_squared": sech_squared, "softplus": softplus, "logaddexp": logaddexp, "xlogy": xlogy,
}
LOGIC: dict[str, Code] = {
    "less": comparison("olt", "slt", "ult"), "less_equal": comparison("ole", "sle", "ule"),
    "greater": comparison("ogt", "sgt", "ugt"), "greater_equal": comparison("oge", "sge", "uge"),
    "equal": comparison("oeq", "eq", "eq"), "not_equal": comparison("une", "ne", "ne"),
    "logical_and": lambda w, a, b, kind: w.logic("and", a, b), "logical_or": lambda w, a, b, kind: w.logic("or", a, b),
    "logical_xor": lambda w, a, b, kind: w.binary("xor", a, b), "logical_not": lambda w, a, kind: w.negation(a),
    "isnan": isnan, "isfinite": isfinite, "isinf": isinf, "cast": cast,
}
# `select` is missing: it guards the reads in its branches, so the writer of values does it itself.
CODES: dict[str, Code] = {**ARITHMETIC, **EXTREMES, **FUNCTIONS, **LOGIC}
