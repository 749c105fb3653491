"""What users of a kernel are promised: any layout, inputs untouched, safe out=, no name in the source, no wide temporary."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
import tokenize
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

import symdiff as sd
from symdiff.errors import ArgumentMismatch

n, d = sd.dims("n d")
X, y, w = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d)
RNG = np.random.default_rng(3)
Array = np.ndarray[Any, Any]


def logistic() -> list[Any]:
    z = X @ w
    loss = sd.sum(sd.softplus(z) - y * z)
    return [loss, sd.grad(loss, w), sd.hessian(loss, w)]


def data(rows: int = 90, columns: int = 5) -> list[Array]:
    return [RNG.normal(size=(rows, columns)), (RNG.random(rows) < 0.5).astype(float), RNG.normal(size=columns)]


@pytest.fixture(scope="module")
def kernel() -> Any:
    return sd.compile(logistic(), [X, y, w], target="numba")


def reference(values: list[Any]) -> list[Any]:
    return list(sd.evaluate(logistic(), dict(zip((X, y, w), map(np.asarray, values), strict=True))))


def same(found: Any, expected: Any, rtol: float = 1e-11) -> None:
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=rtol, atol=rtol)


def unaligned(a: Array) -> Array:
    raw = np.empty(a.nbytes + 1, np.uint8)
    moved = raw[1:].view(a.dtype).reshape(a.shape)
    moved[...] = a
    return moved


def strided(a: Array) -> Array:
    wide = np.zeros([2 * s + 1 for s in a.shape])
    view = wide[tuple(slice(1, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def frozen(a: Array) -> Array:
    copy = a.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS: dict[str, Callable[[Array], Any]] = {
    "C": np.ascontiguousarray, "Fortran": np.asfortranarray, "strided": strided, "unaligned": unaligned,
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1], "read-only": frozen,
    "turned": lambda a: np.ascontiguousarray(a[..., ::-1].T).T[..., ::-1],
    "big-endian": lambda a: a.astype(">f8"), "list": np.ndarray.tolist, "float32": lambda a: a.astype(np.float32),
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape), "subclass": lambda a: a.view(np.recarray),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_and_inputs_untouched(kernel: Any, layout: str) -> None:
    values = [LAYOUTS[layout](a) for a in data()]
    before = [np.asarray(v).tobytes() for v in values]
    same(kernel(*values), reference(values))
    assert [np.asarray(v).tobytes() for v in values] == before


def test_integers_for_floats(kernel: Any) -> None:
    values = [RNG.integers(-2, 3, (70, 4)), RNG.integers(0, 2, 70).astype(np.int32), [1, 0, -1, 2]]
    same(kernel(*values), reference(values))
    with pytest.raises(ArgumentMismatch, match="k has dtype float64, but int64"):
        sd.compile(sd.symbol("k", 3, "int64") + 1)(np.ones(3))


def test_out_that_overlaps_inputs(kernel: Any) -> None:
    Xv, yv, wv = data(60, 5)
    expected = reference([Xv, yv, wv])
    for gradient, hessian in itertools.product(range(3), range(3)):
        block = np.zeros(400)
        block[:300] = Xv.ravel()
        own = [block[:300].reshape(60, 5), yv.copy(), wv.copy()]
        out = [np.empty(()), [own[2], own[0][3], own[1][2:7]][gradient],
               [block[300 - 13:300 + 12].reshape(5, 5), block[40:65].reshape(5, 5), block[99:50:-2].reshape(5, 5)][hessian]]
        if gradient == 1 and np.shares_memory(out[1], out[2]):
            continue
        result = kernel(*own, out=out)
        assert all(a is b for a, b in zip(result, out, strict=True))
        same(out, expected)


@pytest.mark.parametrize("target", ["numba", "interpreter"])
def test_elementwise_in_place(target: str) -> None:
    a, b = sd.symbol("a", n), sd.symbol("b", n)
    f = sd.compile([a + b[::-1], a * b], [a, b], target=target)
    memory = RNG.normal(size=300)
    left, right = memory[:100].copy(), memory[50:150].copy()
    expected = [left + right[::-1], left * right]
    f(memory[:100], memory[50:150], out=[memory[25:125], memory[200:]])
    same([memory[25:125], memory[200:]], expected)


NAMES = ["lambda_", "class_", "größe", "δ", "__import__", "a0", "o0", "i0", "v0", "t0", "n0", "kernel", "run", "np", "njit",
         "range", "exec", "r0", "init_0", "sigmoid", "lo", "hi"]


def test_names_stay_out_of_the_source() -> None:
    symbols = [sd.symbol(name, sd.dim(f"size_{name}")) for name in NAMES]
    loss = sum(sd.sum(sd.sigmoid((k + 1) * s)) for k, s in enumerate(symbols))
    f = sd.compile([loss, *sd.grad(loss, symbols[:3])], symbols, target="numba")
    plain = [sd.symbol(f"p{k}", sd.dim(f"q{k}")) for k in range(len(NAMES))]
    other = sum(sd.sum(sd.sigmoid((k + 1) * s)) for k, s in enumerate(plain))
    anonymous = sd.compile([other, *sd.grad(other, plain[:3])], plain, target="numba")
    assert words(f.source) == words(anonymous.source)
    values = [RNG.normal(size=k + 1) for k in range(len(NAMES))]
    expected = sd.evaluate([loss, *sd.grad(loss, symbols[:3])], dict(zip(symbols, values, strict=True)))
    same(f(**dict(zip(NAMES, values, strict=True))), expected)
    assert not any(name in f.source for name in ("lambda_", "class_", "größe", "δ", "__import__", "exec", "size_"))


def words(source: str) -> set[str]:
    """The identifiers and texts of a source."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.string for t in tokens if t.type == tokenize.NAME or (t.type == tokenize.STRING and "kernel" not in t.string)}


def buffer_sizes(f: Any, sizes: dict[str, int]) -> list[int]:
    f.planned(sizes)
    return [int(np.prod([s if isinstance(s, int) else sd.sizes.value_of(s, sizes) for s in b.shape], dtype=int))
            for b in f.planned().program.buffers if b.role not in ("arg", "out", "const")]


def test_no_square_temporary() -> None:
    sizes = {"n": 5000, "d": 4}
    v = sd.symbol("v", n)
    outputs = [sd.diag(y) @ v, sd.diag(y) @ X, sd.trace(sd.outer(y, v)), X.T @ sd.diag(y) @ X, sd.eye(n) @ y,
               sd.grad(sd.sum(sd.diag(sd.diag(y) @ sd.outer(v, y))), y)]
    for target in (*outputs, logistic(), sd.hvp(logistic()[0], w, sd.symbol("u", d)), outputs):
        assert max(buffer_sizes(sd.compile(target), sizes), default=0) <= 5000 * 4


def test_one_kernel_one_pass(kernel: Any) -> None:
    assert [s.kind for s in kernel.planned({"n": 90, "d": 5}).program.sections].count("range") == 1
    assert kernel.source.count("def kernel(") == 1 and kernel.source.count("def range_") == 1


STANDALONE = '''
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("symdiff", "codegen", "sympy"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
space = {}
exec(compile(open(sys.argv[1], encoding="utf-8").read(), "kernel", "exec"), space)
data = np.load(sys.argv[2])
results = space["run"](*[data[key] for key in sorted(data)])
np.savez(sys.argv[3], *results)
'''


def test_source_runs_on_its_own(kernel: Any, tmp_path: Path) -> None:
    values = data()
    (tmp_path / "kernel.txt").write_text(kernel.source, encoding="utf-8")
    (tmp_path / "alone.py").write_text(STANDALONE, encoding="utf-8")
    np.savez(tmp_path / "in.npz", **{f"a{k}": v for k, v in enumerate(values)})
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-W", "error", "alone.py", "kernel.txt", "in.npz", "out.npz"], cwd=tmp_path,
                          env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as found:
        same([found[f"arr_{k}"] for k in range(3)], kernel(*values), 1e-14)


def test_sizes_vary_between_calls() -> None:
    fresh = sd.compile(logistic(), [X, y, w], target="numba")
    for rows, columns in itertools.product((64, 1, 2, 63, 65, 1000, 513), (3, 1, 40)):
        values = data(rows, columns)
        same(fresh(*values), reference(values), 1e-10)
    small_first = sd.compile(logistic(), [X, y, w], target="numba")
    for rows in (2, 1000, 1, 64):
        values = data(rows, 3)
        same(small_first(*values), reference(values), 1e-10)


def test_no_samples_at_all(kernel: Any) -> None:
    values = data()
    kernel(*values)
    with pytest.raises(ArgumentMismatch, match="size n is 0"):
        kernel(np.empty((0, 5)), np.empty(0), values[2])


def test_threads_at_once() -> None:
    fresh = sd.compile(logistic(), [X, y, w], target="numba")
    sets = [data(rows, 4) for rows in (10, 70, 600, 65)]
    expected = [reference(values) for values in sets]

    def work(k: int) -> None:
        for turn in range(20):
            which = (k + turn) % 4
            same(fresh(*sets[which]), expected[which])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_structures_of_outputs() -> None:
    a, b = sd.symbol("a", 3), sd.symbol("b")
    av, bv = np.array([1.0, 2.0, 4.0]), 0.5
    total = sd.sum(a)
    tree = {"one": total, "pair": (a * b, [b + 1, {"deep": total * b}]), "again": total, "input": a, "number": b * 0 + 2,
            "constant": sd.constant([1.0, 2.0]), "scalar input": b, "count": sd.argmax(a), "truth": a > 1.5}
    for target in ("numba", "interpreter"):
        f = sd.compile(tree, [a, b], target=target)
        found = f(av, bv)
        assert list(found) == list(tree) and isinstance(found["pair"], tuple) and isinstance(found["pair"][1], list)
        assert found["one"] == found["again"] == 7 and type(found["one"]) is np.float64
        np.testing.assert_array_equal(found["pair"][0], av * bv)
        assert found["pair"][1][0] == 1.5 and found["pair"][1][1]["deep"] == 3.5
        np.testing.assert_array_equal(found["input"], av)
        assert found["input"] is not av and not np.shares_memory(found["input"], av)
        assert found["number"] == 2 and found["scalar input"] == 0.5
        np.testing.assert_array_equal(found["constant"], [1, 2])
        assert found["count"] == 2 and found["count"].dtype == np.int64 and found["truth"].tolist() == [False, True, True]
        first = found["input"].copy()
        f(av + 1, bv)
        np.testing.assert_array_equal(found["input"], first)
        out = {**tree, "one": np.empty(()), "pair": (np.empty(3), [np.empty(()), {"deep": np.empty(())}]),
               "again": np.empty(()), "input": np.empty(3), "number": np.empty(()), "constant": np.empty(2),
               "scalar input": np.empty(()), "count": np.empty((), np.int64), "truth": np.empty(3, bool)}
        assert f(av, bv, out=out)["pair"][0] is out["pair"][0]
        assert out["pair"][1][1]["deep"] == 3.5 and out["one"] == out["again"] == 7


def test_one_output_and_scalars() -> None:
    b = sd.symbol("b")
    assert sd.compile(b**2, target="numba")(3) == 9.0
    assert sd.compile((b**2,), target="numba")(np.float32(3)) == (9.0,)
    assert sd.compile(sd.symbol("k", (), "int64") * 2, target="numba")(4).dtype == np.int64


def test_unused_inputs() -> None:
    extra, label = sd.symbol("extra", (n, 2)), sd.symbol("label", n, "bool")
    f = sd.compile([sd.sum(y), sd.ones((n, 2))], [extra, y, label], target="numba")
    total, ones = f(np.zeros((80, 2)), np.ones(80), np.zeros(80, bool))
    assert total == 80 and ones.shape == (80, 2) and ones.all()
    with pytest.raises(ArgumentMismatch, match="no value is given for label"):
        f(np.zeros((80, 2)), np.ones(80))


def test_njit_inside_njit(kernel: Any) -> None:
    f, table = kernel.njit, sd.constant([[1.0, 2.0], [3.0, 4.0]])
    g = sd.compile(table @ sd.symbol("x", 2), target="numba").njit

    @njit
    def descend(X: Array, y: Array, w: Array, steps: int) -> Array:
        for _ in range(steps):
            _, gradient, _ = f(X, y, w)
            w = w - 0.01 * gradient
        return w

    Xv, yv, wv = data()
    expected = wv
    for _ in range(5):
        expected = expected - 0.01 * reference([Xv, yv, expected])[1]
    np.testing.assert_allclose(descend(Xv, yv, wv, 5), expected, rtol=1e-10)
    np.testing.assert_allclose(descend(np.asfortranarray(Xv), yv, wv, 5), expected, rtol=1e-10)

    @njit
    def twice(x: Array) -> Array:
        return g(g(x))

    np.testing.assert_allclose(twice(np.array([1.0, -1.0])), [-3.0, -7.0])


def test_njit_called_from_python(kernel: Any) -> None:
    """The errors of a kernel, in the user's names; in compiled code wrong sizes are told by position."""
    f = kernel.njit
    Xv, yv, wv = data()
    same(f(Xv, yv, wv), kernel(Xv, yv, wv))
    same(f(Xv.tolist(), yv, wv), kernel(Xv, yv, wv))
    for bad, message in (((yv, yv, wv), "X has 1 axis"), ((Xv, yv, None), "w holds"), ((Xv, yv), "no value is given for w"),
                         ((Xv + 0j, yv, wv), "X holds complex"), ((Xv, yv, wv[1:]), "size d is 5 by axis 1 of X")):
        with pytest.raises(ArgumentMismatch, match=message):
            f(*bad)

    @njit
    def apply(g: Any, X: Array, y: Array, w: Array) -> Any:
        return g(X, y, w)

    same(apply(f, Xv, yv, wv), kernel(Xv, yv, wv))
    with pytest.raises(ValueError, match=r"argument 3 must have the shape \(n\d,\); n\d comes from axis 1 of argument 1"):
        apply(f, Xv, yv, wv[1:])


def test_float32_stays_float32() -> None:
    a = sd.symbol("a", (n, 3), "float32")
    loss = sd.sum(sd.exp(a) / 3 + sd.mean(a**2, axis=0) * 0.1)
    for target in ("numba", "interpreter"):
        value, gradient = sd.compile(sd.value_and_grad(loss, a), target=target)(np.ones((70, 3), np.float32))
        assert value.dtype == gradient.dtype == np.float32


@pytest.mark.parametrize("target", ["interpreter", "numba"])
def test_products_for_each_sample_over_many_tiles(target: str) -> None:
    P, Q = sd.symbol("P", ("n", 5, 20)), sd.symbol("Q", ("n", 20, 21))
    R = sd.exp(P) @ sd.tanh(Q)
    outputs = [sd.sum(R**2), sd.grad(sd.sum(R**2), P)]
    rows = 30 if target == "interpreter" else 1300
    values = [RNG.normal(size=(rows, 5, 20)), RNG.normal(size=(rows, 20, 21))]
    kernel = sd.compile(outputs, [P, Q], target=target)
    assert "matmul" in kernel.loop_ir and "tile" in kernel.loop_ir
    same(kernel(*values), sd.evaluate(outputs, {"P": values[0], "Q": values[1]}))


def test_a_pattern_is_read_after_it_is_written() -> None:
    x = sd.symbol("x", n)
    turned = sd.expand_dims(sd.reshape(x, (-1, 1)), 1)
    outputs = [turned, sd.sum(sd.tanh(turned)), sd.diag(x), sd.sum(sd.exp(sd.diag(x)), axis=1)]
    values = RNG.normal(size=70)
    same(sd.compile(outputs, [x], target="interpreter")(values), sd.evaluate(outputs, {x: values}))
