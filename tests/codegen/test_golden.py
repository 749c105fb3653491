"""Golden text of eight kernels, loop IR and source, and the same text from processes with other hash seeds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import symdiff as sd
from symdiff.operators import methods

ROOT = Path(__file__).parents[2]
n, d, k = sd.dims("n d k")
SIZES = {"n": 1000, "d": 10, "k": 3}
X, y, w, lam = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d), sd.symbol("lam")


def derivatives(loss: Any, wrt: Any) -> list[Any]:
    """Value, gradient and Hessian."""
    return [loss, sd.grad(loss, wrt), sd.hessian(loss, wrt)]


def ridge() -> Any:
    return derivatives(sd.sum((X @ w - y) ** 2) / n + lam * sd.sum(w**2), w)


def logistic() -> Any:
    z = X @ w
    return derivatives(sd.sum(sd.softplus(z) - y * z), w)


def softmax_regression() -> Any:
    W, Y = sd.symbol("W", (d, k)), sd.symbol("Y", (n, k))
    return sd.grad(-sd.sum(Y * sd.log_softmax(X @ W, axis=1)), W)


def xor_net() -> Any:
    A, W1, b1 = sd.symbol("A", (4, 2)), sd.symbol("W1", (2, 8)), sd.symbol("b1", 8)
    W2, b2, t = sd.symbol("W2", 8), sd.symbol("b2"), sd.symbol("t", 4)
    out = sd.sigmoid(sd.sigmoid(A @ W1 + b1) @ W2 + b2)
    return sd.value_and_grad(sd.mean((out - t) ** 2), [W1, b1, W2, b2])


def concat_and_slices() -> Any:
    v = sd.symbol("v", n)
    joined = sd.concat([v[1:] * y[:-1], 2 * v[::-1]])
    return {"joined": joined, "gradient": sd.grad(sd.sum(joined**2), v)}


def diagonal_hessian() -> Any:
    return sd.hessian(sd.sum(y * sd.exp(w_n := sd.symbol("u", n))), w_n)


def standardisation() -> Any:
    centred = X - sd.mean(X, axis=0)
    return centred / sd.std(X, axis=0)


def rosenbrock() -> Any:
    # Names of its own: an equal sum that lives elsewhere would keep its terms in the order written there.
    a, b = sd.symbols("golden_a golden_b")
    loss = (1 - a) ** 2 + 100 * (b - a**2) ** 2
    return derivatives(loss, [a, b])


PROGRAMS: dict[str, Callable[[], Any]] = {f.__name__: f for f in (
    ridge, logistic, softmax_regression, xor_net, concat_and_slices, diagonal_hessian, standardisation, rosenbrock)}


def kernel(name: str) -> Any:
    """The kernel of a program, planned for SIZES."""
    f = sd.compile(PROGRAMS[name](), target="numba")
    f.planned(SIZES)
    return f


def digests() -> str:
    """One line a program: a digest of both texts."""
    lines = []
    for name in PROGRAMS:
        f = kernel(name)
        lines.append(f"{name} {hashlib.sha256((f.loop_ir + f.source).encode()).hexdigest()}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_loop_ir(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"kernels/{name}.loop_ir.txt", kernel(name).loop_ir)


@pytest.mark.parametrize("name", PROGRAMS)
def test_source(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"kernels/{name}.source.txt", kernel(name).source)


@pytest.mark.parametrize("hash_seed", ["0", "1", "4711"])
def test_text_does_not_depend_on_the_process(hash_seed: str) -> None:
    # Other expressions come first, so that identities and creation order differ as well.
    code = ("import symdiff as sd; z = sd.symbol('z', ('d', 'n')); kept = [sd.sum(sd.exp(z * i)) for i in range(50)]\n"
            "from tests.codegen.test_golden import PROGRAMS, digests\n"
            "import sys; sys.stdout.write(digests())")
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.stderr == "" and done.stdout == digests()


def test_one_pass_for_a_sum_over_samples() -> None:
    """Value, gradient and Hessian of logistic regression read the data in one range section; standardisation in two."""
    sections = {name: [(s.kind, s.pass_number) for s in kernel(name).planned().program.sections if s.kind == "range"]
                for name in ("ridge", "logistic", "softmax_regression", "standardisation")}
    assert sections == {"ridge": [("range", 0)], "logistic": [("range", 0)], "softmax_regression": [("range", 0)],
                        "standardisation": [("range", 0), ("range", 1), ("range", 2)]}


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_pass_asks_whether_nodes_are_equal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`==` of nodes is an expression, and `in` a list of them builds one for each: passes ask what is the same."""
    outputs = PROGRAMS[name]()
    monkeypatch.setattr(methods, "compared", lambda *asked: pytest.fail(f"== of {asked}"))
    for target in ("cpu", "numba"):
        assert sd.compile(outputs, target=target).planned(SIZES).program.sections
