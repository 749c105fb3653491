"""The error function and its complement as straight lines of instructions.

erf x = x + x P(x²) on |x| ≤ 1, and from there on it is 1 − 2^L(|x|) with a polynomial L near log₂ erfc, of which only the error
times erfc matters.  erfc x = e^(−x²) Q((x − 3)/(x + 3))/x, relatively exact in its tail.  P and Q were fitted at Chebyshev points
with 50 digits, L and 2ʳ are minimax fits, their leading coefficients rounded one after another.
"""

from __future__ import annotations

from codegen.emitters.llvm import avx512, erf_table
from codegen.emitters.llvm.exponentials import exp_parts
from codegen.emitters.llvm.instructions import Function, Ssa
from codegen.emitters.llvm.mathematics import (
    at_most,
    constant,
    fma,
    nearest,
    polynomial,
    power_of_two,
    scaled,
    signed,
)

INNER = {
    "double": (0.1283791670955126, -0.3761263890318375, 0.11283791670954879, -0.026866170645076792, 0.0052239776248180145,
               -0.000854832698083379, 0.0001205533111164271, -1.4925595266831182e-05, 1.6461000484121368e-06,
               -1.6350312701054695e-07, 1.4659775274047436e-08, -1.1372848856791674e-09, 5.957176147748911e-11),
    "float": (0.12837916584835093, -0.37612626666720334, 0.11283594715160218, -0.026854212010626412, 0.005189087423433974,
              -0.000801686428716587, 7.875875062685488e-05),
}
OUTER = {
    "double": (0.5370034535441699, 0.09530622695922801, -0.14658304803289104, 0.13988054760177027, -0.09546975030662444,
               0.04635026333127724, -0.0140198256263189, 0.0009108226894492583, 0.0012428761624847739,
               -0.00041254379572838794, -8.460825118795925e-05, 6.89800127346669e-05, 6.464194678184232e-06,
               -1.1110816343199863e-05, -9.93259568077422e-07, 1.8853409285211902e-06, 2.9799775127163e-07,
               -3.282738100488352e-07, -9.52427562397314e-08, 5.900273574444265e-08, 2.181957112016767e-08,
               -1.1505294583117407e-08),
    "float": (0.5370034533525533, 0.09530622573040859, -0.14658301159929285, 0.13988059793285795, -0.09547086465432329,
              0.04634993964911143, -0.014007825086525623, 0.0009080390425584014, 0.00118966294303461,
              -0.0003826032312736911),
}
# log₂ erfc(1 + t), and the number from which on erf is 1.
LOGARITHM = {
    "double": (-2.6684166967815997, -3.8072253458535874, -1.21634665768717, -0.05995999001551884, 0.01447574983402976,
               -0.002853508310991007, 0.00034237536256121544, 3.793730886060043e-05, -3.923938789691999e-05,
               1.3952349440529235e-05, -3.075327533355894e-06, 2.9523564389924227e-07, 8.379797650088585e-08,
               -4.820486254101163e-08, 1.2296338484928955e-08, -1.90386014329762e-09, 1.7220352212520282e-10,
               -7.019875566557516e-12),
    "float": (-2.668416738510132, -3.807223320007324, -1.2163643836975098, -0.0598975270986557, 0.014352617785334587,
              -0.0027188058011233807, 0.0002943085855804384),
}
ONE_FROM = {"double": 5.95, "float": 3.93}
EXP2 = {
    "double": (1.0, 0.6931471805599453, 0.2402265069591012, 0.05550410866482261, 0.009618129107597706, 0.0013333558146255027,
               0.00015403530453427818, 1.525273394917304e-05, 1.3215436851892423e-06, 1.0178021200215611e-07,
               7.07354550948304e-09, 4.460367380821373e-10),
    "float": (1.0, 0.6931472420692444, 0.24022236466407776, 0.055502749979496, 0.009671760722994804, 0.0013416551519185305),
}
# Beyond this e^(−x²) is zero in either precision, and x² does not overflow.
LAST = {"double": 28.0, "float": 11.0}


def tail(w: Function, size: Ssa) -> Ssa:
    """erfc of a number that is at least 1."""
    size = w.select(w.compare("fcmp olt", size, constant(size, LAST[size.kind])), size, constant(size, LAST[size.kind]))
    square = w.binary("fmul", size, size)
    lost = fma(w, size, size, w.unary("fneg", square))
    grown, k = exp_parts(w, w.unary("fneg", square), w.unary("fneg", lost))
    three = constant(size, 3.0)
    t = w.binary("fdiv", w.binary("fsub", size, three), w.binary("fadd", size, three))
    value = w.binary("fdiv", polynomial(w, t, OUTER[size.kind]), size)
    return scaled(w, fma(w, value, grown, value), k)


def erf(w: Function, x: Ssa) -> Ssa:
    """2/√π ∫₀ˣ e^(−t²) dt."""
    if x.kind == "double" and avx512.fills_register(w, x):
        return erf_table.erf(w, x)
    size, one = w.intrinsic("fabs", x), constant(x, 1.0)
    inner = fma(w, x, polynomial(w, w.binary("fmul", x, x), INNER[x.kind]), x)
    t = w.binary("fsub", at_most(w, size, ONE_FROM[x.kind]), one)
    first, second, *others = LOGARITHM[x.kind]
    logarithm = fma(w, fma(w, polynomial(w, t, tuple(others)), t, constant(x, second)), t, constant(x, first))
    k, bits = nearest(w, logarithm, 1.0)
    power = w.binary("fmul", polynomial(w, w.binary("fsub", logarithm, k), EXP2[x.kind]), power_of_two(w, bits, x.kind))
    # NaN stays with the inner one.
    return w.select(w.compare("fcmp ogt", size, one), signed(w, w.binary("fsub", one, power), x), inner)


def erfc(w: Function, x: Ssa) -> Ssa:
    """1 − erf x, relatively exact in its tail."""
    size = w.intrinsic("fabs", x)
    one = constant(x, 1.0)
    inner = polynomial(w, w.binary("fmul", x, x), INNER[x.kind])
    inner = fma(w, w.unary("fneg", x), inner, w.binary("fsub", one, x))
    outer = tail(w, size)
    outer = w.select(w.compare("fcmp olt", x, constant(x, 0.0)), w.binary("fsub", constant(x, 2.0), outer), outer)
    value = w.select(w.compare("fcmp ole", size, one), inner, outer)
    return w.select(w.compare("fcmp uno", x, x), x, value)
