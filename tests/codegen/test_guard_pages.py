"""Kernels at the ends of memory: what lies before an array or behind it is neither read nor written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
# Each array ends where a page begins that nobody may touch, or starts behind one.
PROGRAM = """
import ctypes, itertools, mmap, sys
import numpy as np
import symdiff as sd

PAGE = mmap.PAGESIZE
protect = ctypes.CDLL(None).mprotect
protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
kept = []

def guarded(values, at_end):
    values = np.ascontiguousarray(values)
    pages = -(-max(values.nbytes, 1) // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    kept.append(memory)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    offset = (pages + 1) * PAGE - values.nbytes if at_end else PAGE
    array = np.frombuffer(memory, values.dtype, values.size, offset).reshape(values.shape)
    array[...] = values
    assert protect(base, PAGE, 0) == 0 == protect(base + (pages + 1) * PAGE, PAGE, 0)
    return array

n = sd.dim("guarded", minimum=2)
dtype = sys.argv[1]
A, X, x, w = sd.symbol("A", (n, n), dtype), sd.symbol("X", (n, 5), dtype), sd.symbol("x", n, dtype), sd.symbol("w", 5, dtype)
i = sd.symbol("i", n, "int64")
y = sd.tanh(X @ w)
turns, _ = sd.scan(lambda c, row: (sd.tanh(row * c), c), w, X)
models = [
    ([x @ A @ x, sd.grad(x @ A @ x, x)], [A, x]), ([A @ A.T, A.T @ x, sd.sum(A, axis=0)], [A, x]),
    (sd.hessian(sd.sum(sd.log(1 + sd.exp(X @ w))), w), [X, w]), (sd.grad(sd.sum(sd.softmax(A, axis=1) * A), A), [A]),
    ([x[i], sd.grad(sd.sum(x[i] ** 2 * X[i, 2]), x), X[i]], [x, i, X]), ([sd.sum(turns), sd.grad(sd.sum(turns), [w, X])], [w, X]),
    ([sd.sum(y), *sd.grad(sd.sum(y * y), [X, w])], [X, w]), (sd.grad(sd.sum(sd.diff(x) ** 2), x), [x]),
    ([sd.where(A > 0, sd.sqrt(A), 0), sd.max(A, axis=0), sd.argmax(A, axis=1)], [A]),
    ([sd.sum(sd.where(X > 0, sd.log(X), X), axis=0), sd.concatenate([x, 2 * x[1:]])], [X, x]),
]
rng = np.random.default_rng(0)
close = {"float64": 1e-9, "float32": 2e-3}[dtype]
for outputs, inputs in models:
    kernel = sd.compile(outputs, inputs, cache=False)
    for size, at_end in itertools.product((605, 2, 3, 7, 9, 17, 31, 100), (True, False)):
        shapes = {s: [{n: size}.get(k, k) for k in s.shape] for s in inputs}
        values = {s: rng.integers(-size, size, size) if s is i else rng.normal(size=shapes[s]).astype(dtype) for s in inputs}
        with np.errstate(all="ignore"):
            expected = sd.evaluate(outputs, values)
        given = [guarded(values[s], at_end) for s in inputs]
        leaves, one = (expected, False) if isinstance(expected, list) else ([expected], True)
        leaves = [leaf for part in leaves for leaf in (part if isinstance(part, list) else [part])]
        for _ in range(3):
            found = kernel(*given)
        flat = [leaf for part in ([found] if one else found) for leaf in (part if isinstance(part, list) else [part])]
        for mine, right in zip(flat, leaves, strict=True):
            np.testing.assert_allclose(mine, right, rtol=close, atol=close * size)
        if one:
            out = guarded(np.zeros_like(expected), at_end)
            np.testing.assert_allclose(kernel(*given, out=out), expected, rtol=close, atol=close * size)
print("unharmed")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect is asked for as Linux takes it")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_nothing_beside_an_array_is_touched(dtype: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, dtype], cwd=TOP, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0 and done.stdout == "unharmed\n", done.stderr[-2000:]
