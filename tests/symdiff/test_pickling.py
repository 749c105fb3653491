"""Copies and pickles: a copy is the node itself, a pickle becomes the same node, here or in another process."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import symdiff as sd
from symdiff.traversal import topological
from tests.operations import OPERATIONS, Operation

TOP = Path(__file__).parents[2]
n, d = sd.dims("n d")
X, y, w = sd.symbol("X", (n, d)), sd.symbol("y", n), sd.symbol("w", d, positive=True)
LOSS = sd.sum(sd.softplus(X @ w) * y) + sd.max(w) ** 2 / n + sd.sum(sd.constant([1.0, 2.5]) * 0.1)
LOOP = sd.grad(sd.scan(lambda c, row: (sd.tanh(c) + row * w, None), w, X)[0][0], w)
ROOTS = [LOSS, sd.grad(LOSS, w), sd.hessian(LOSS, w), X[::2, 1:], sd.arange(n) * y, X.T @ X, LOOP]


def chain(length: int, leaf: Any) -> Any:
    for k in range(length):
        leaf = sd.sin(leaf) + k
    return leaf


def test_a_copy_is_the_node_itself() -> None:
    for node in topological(ROOTS):
        assert copy.copy(node) is node
        assert copy.deepcopy({"node": [node]}) == {"node": [node]}
    size = copy.deepcopy(X.shape)[0]
    assert size == n
    assert size.terms[0][0][0][0] is n.terms[0][0][0][0]


def test_pickles_become_the_living_nodes() -> None:
    for node in topological(ROOTS):
        assert pickle.loads(pickle.dumps(node)) is node
    tree = pickle.loads(pickle.dumps({"roots": ROOTS, "size": n * 2}))
    assert all(a is b for a, b in zip(tree["roots"], ROOTS, strict=True))
    assert tree["size"] == 2 * n


Stored = dict[str, tuple[bytes, str, list[bytes]]]


@pytest.fixture(scope="module")
def stored() -> Stored:
    """By the name of each operation: a pickle of its formula, the text, and the structural hashes; none of it lives any more.

    One collection for all: in a process that has run many tests it takes seconds.
    """
    def told(row: Operation) -> tuple[bytes, str, list[bytes]]:
        node = row.formula(sd, *row.symbols())
        return pickle.dumps(node), str(node), [each.key for each in topological([node])]
    found = {row.name: told(row) for row in OPERATIONS}
    gc.collect()
    return found


@pytest.mark.parametrize("name", [row.name for row in OPERATIONS])
def test_every_operation(name: str, stored: Stored) -> None:
    """Read when nothing of it lives any more, a pickle gives the same formula and the same structural hashes."""
    data, text, keys = stored[name]
    found = pickle.loads(data)
    assert [each.key for each in topological([found])] == keys
    assert str(found) == text


def test_another_process() -> None:
    code = ("import pickle, sys, symdiff as sd\n"
            "roots = pickle.load(sys.stdin.buffer)\n"
            "print([r.key for r in roots]); print(*roots, sep=chr(10)); print(roots[0].origin)")
    environment = {**os.environ, "PYTHONPATH": str(TOP), "PYTHONHASHSEED": "3", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], input=pickle.dumps(ROOTS), cwd=TOP, env=environment,
                          capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    expected = [str([r.key for r in ROOTS]), *[line for r in ROOTS for line in str(r).split("\n")], str(LOSS.origin)]
    assert done.stdout.decode().splitlines() == expected


def test_deep_graphs() -> None:
    node = chain(20_000, sd.symbol("x"))
    assert pickle.loads(pickle.dumps(node)) is node


def test_declared_minimum_of_a_size_is_kept() -> None:
    name = "kept_by_pickle"
    code = (f"import pickle, sys, symdiff as sd\nx = sd.symbol('x', sd.dim({name!r}, minimum=6))\n"
            "sys.stdout.buffer.write(pickle.dumps(x[5]))")
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    stored = subprocess.run([sys.executable, "-c", code], cwd=TOP, env=environment, capture_output=True, timeout=120,
                            check=True).stdout
    (x,) = [node for node in topological([pickle.loads(stored)]) if not node.children]
    assert x[5] is pickle.loads(stored)
    with pytest.raises(sd.ArgumentMismatch, match="at least 6"):
        sd.evaluate(x[5], {x: [1.0, 2.0]})


def test_errors_keep_their_parts() -> None:
    with pytest.raises(sd.ShapeMismatch) as caught:
        _ = X + y
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert (again.what, again.where, again.mend) == (caught.value.what, caught.value.where, caught.value.mend)
