"""Functions that emitted modules carry with them: matrix products, and the helpers of scalar functions.

Texts here are templates: `$f` is the function's own name, `$one` and so on are literals of a dtype.  A helper says
`fastmath=False` itself: without it Numba compiles it with the flags of its first caller, and for all later ones too.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

SUFFIXES = {"float64": "", "float32": "_f32", "int64": "_i64", "int32": "_i32", "bool": "_bool"}
TYPES = {"float64": "np.float64", "float32": "np.float32", "int64": "np.int64", "int32": "np.int32", "bool": "np.bool_"}
STRICT = "@njit(error_model=\"numpy\", nogil=True, fastmath=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)"

IMPORTS = '''\
import numpy as np
from numba import njit
'''

BLAS_IMPORTS = '''\
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic


def blas(name, kinds):
    """A BLAS routine that compiled code calls with a tuple of c(haracters), i(ntegers), r(eals) and p(ointers)."""
    address = get_cython_function_address("scipy.linalg.cython_blas", name)
    real = ir.DoubleType() if name.startswith("d") else ir.FloatType()
    kind_types = {"c": ir.IntType(8), "i": ir.IntType(32), "r": real}
    pointer = ir.IntType(8).as_pointer()

    @intrinsic
    def routine(context, arguments):
        def build(context, builder, signature, values):
            places = []
            for kind, value in zip(kinds, cgutils.unpack_tuple(builder, values[0])):
                if kind == "p":
                    places.append(builder.inttoptr(value, pointer))
                    continue
                # BLAS takes everything by reference.
                place = cgutils.alloca_once(builder, kind_types[kind])
                builder.store(value if kind == "r" else builder.trunc(value, kind_types[kind]), place)
                places.append(builder.bitcast(place, pointer))
            function_type = ir.FunctionType(ir.VoidType(), [pointer] * len(places))
            function = builder.inttoptr(ir.Constant(ir.IntType(64), address), function_type.as_pointer())
            builder.call(function, places)
            return context.get_dummy_value()

        return types.void(arguments), build

    return routine
'''

LEADING = '''
def leading(rows, columns, row_step, column_step):
    """How BLAS, which stores by columns, sees a matrix: (leading dimension, N or T); steps count elements."""
    if column_step == 1 or columns <= 1:
        return max(row_step if rows > 1 else 1, columns, 1), ord("N")
    return max(column_step, rows, 1), ord("T")
'''

MULTIPLY = '''
def $f(alpha, a, b, beta, c):
    """c = alpha * a @ b + beta * c, by loops."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            c[i, j] = $zero if beta == 0 else beta * c[i, j]
        for p in range(a.shape[1]):
            x = alpha * a[i, p]
            for j in range(c.shape[1]):
                c[i, j] += x * b[p, j]
'''

MULTIPLY_VECTOR = '''
def $f(a, x, beta, y):
    """y = a @ x + beta * y, by loops."""
    for i in range(y.shape[0]):
        s = $zero
        for p in range(x.shape[0]):
            s += a[i, p] * x[p]
        y[i] = s if beta == 0 else s + beta * y[i]
'''

GEMM = '''
def $f(alpha, a, b, beta, c):
    """c = alpha * a @ b + beta * c, by BLAS."""
    m, n, k = c.shape[0], c.shape[1], a.shape[1]
    lda, ta = leading(m, k, a.strides[0] // $item, a.strides[1] // $item)
    ldb, tb = leading(k, n, b.strides[0] // $item, b.strides[1] // $item)
    ldc = leading(m, n, c.strides[0] // $item, 1)[0]
    # Stored by columns, it is c.T = b.T @ a.T.
    $blas((tb, ta, n, m, k, alpha, b.ctypes.data, ldb, a.ctypes.data, lda, beta, c.ctypes.data, ldc))
'''

SYMMETRIC = '''
def $f(alpha, a, b, beta, c):
    """The lower triangle of c = alpha * a @ b + beta * c, which is symmetric, in four strips."""
    for strip in range(4):
        first, last = c.shape[0] * strip // 4, c.shape[0] * (strip + 1) // 4
        if first < last:
            $gemm(alpha, a[first:last], b[:, :last], beta, c[first:last, :last])
'''

GEMV = '''
def $f(a, x, beta, y):
    """y = a @ x + beta * y, by BLAS."""
    m, k = a.shape
    if beta != 1:  # not left to BLAS: some read the old y even for 0
        for i in range(m):
            y[i] = $zero if beta == 0 else beta * y[i]
    lda, ta = leading(m, k, a.strides[0] // $item, a.strides[1] // $item)
    swapped, rows, columns = (ord("N"), m, k) if ta == ord("T") else (ord("T"), k, m)
    x_step, y_step = max(x.strides[0] // $item, 1), max(y.strides[0] // $item, 1)
    $blas((swapped, rows, columns, $one, a.ctypes.data, lda, x.ctypes.data, x_step, $one, y.ctypes.data, y_step))
'''

LOOPS = {"multiply": MULTIPLY, "multiply_vector": MULTIPLY_VECTOR, "symmetric": SYMMETRIC}
ROUTINES = {"gemm": (GEMM, "cciiirpipirpi"), "gemv": (GEMV, "ciirpipirpi")}


def literals(dtype: str) -> dict[str, str]:
    """The literals that templates may use, in a dtype."""
    if dtype == "float64":
        numbers = {"zero": "0.0", "half": "0.5", "one": "1.0", "log2": "0.6931471805599453"}
    elif dtype == "int64":
        numbers = {"zero": "0", "one": "1"}
    elif dtype == "bool":
        numbers = {"zero": "False", "one": "True"}
    elif dtype == "int32":
        numbers = {"zero": "np.int32(0)", "one": "np.int32(1)"}
    else:
        numbers = {name: f"np.float32({text})" for name, text in literals("float64").items() if name != "type"}
    return {"type": TYPES[dtype], **numbers}


def expand(template: str, dtype: str, **names: str) -> str:
    """A template with its literals and names put in."""
    return Template(template).substitute(literals(dtype), **names)


def routine_texts(routines: Iterable[tuple[str, str]]) -> list[str]:
    """The definitions of the matrix routines (routine, dtype) that a module uses, callees first."""
    wanted = sorted(set(routines))
    texts = [STRICT + LEADING] if any(routine in ROUTINES for routine, _ in wanted) else []
    for routine, dtype in wanted:
        name = routine + SUFFIXES[dtype]
        if routine in LOOPS:
            texts.append(STRICT + expand(LOOPS[routine], dtype, f=name, gemm="gemm" + SUFFIXES[dtype]))
            continue
        template, kinds = ROUTINES[routine]
        letter, item = ("d", "8") if dtype == "float64" else ("s", "4")
        blas = letter.upper() + routine.upper()
        texts.append(f'{blas} = blas("{letter}{routine}", "{kinds}")\n')
        texts.append(STRICT + expand(template, dtype, f=name, blas=blas, item=item))
    return texts
