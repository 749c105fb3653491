"""Products that are shared: what weights multiply is what the bias sums, and costly factors that go together are one."""

from __future__ import annotations

from typing import Any

import numpy as np

import symdiff as sd
from codegen.planning.shared_products import join_companions, share_products
from symdiff.differentiation.late_sums import terms_of
from symdiff.expression import Product
from symdiff.loops import is_scan
from symdiff.normal_form import product

RNG = np.random.default_rng(3)


def layer(dtype: str = "float64") -> tuple[list[Any], list[Any]]:
    """The gradient of a layer: outputs and inputs."""
    X, W, b = sd.symbol("X", (200, 30), dtype=dtype), sd.symbol("W", (30, 40), dtype=dtype), sd.symbol("b", 40, dtype=dtype)
    V, c = sd.symbol("V", (40, 20), dtype=dtype), sd.symbol("c", 20, dtype=dtype)
    loss = sd.mean((sd.relu(X @ W + b) @ V + c) ** 2)
    return [loss, *sd.grad(loss, [W, b, V, c])], [X, W, b, V, c]


def test_a_bias_sums_what_the_weights_multiply() -> None:
    outputs, inputs = layer()
    kernel = sd.compile(outputs, inputs, cache=False)
    given = [RNG.normal(size=s.shape) for s in inputs]
    for found, right in zip(kernel(*given), sd.compile(outputs, inputs, target="numpy")(*given), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)


def test_products_are_shared_where_they_are_one() -> None:
    r, m, x = sd.symbol("r", (5, 4)), sd.symbol("m", (5, 4)), sd.symbol("x", (5, 3))
    i, j, n = 0, 1, 2
    product = Product(1, ((r, (0, 1)), (m, (0, 1))), (0, 1), (5, 4), r.type)

    def core(factors: Any, out: tuple[int, ...], extents: tuple[int, ...]) -> Product:
        return Product(1, factors, out, extents, sd.symbol("like", tuple(extents[k] for k in out)).type)
    weights = core(((x, (n, i)), (product, (n, j))), (i, j), (3, 4, 5))
    bias = core(((r, (1, 0)), (m, (1, 0))), (0,), (4, 5))
    shared = share_products([weights, bias])
    assert shared[0] is weights
    assert isinstance(shared[1], Product) and shared[1].children == (product,)
    assert share_products([bias]) == [bias]
    # One factor of the product is not the product.
    other = core(((r, (1, 0)), (x, (1, 2))), (0, 2), (4, 5, 3))
    assert share_products([weights, other])[1] is other


def test_a_product_of_parts_is_not_shared_as_that_of_the_whole() -> None:
    """A part at the start of an axis is read at plain positions too."""
    r, m, x = sd.symbol("r", (5, 4)), sd.symbol("m", (5, 4)), sd.symbol("x", (2, 3))
    part = Product(1, ((r, (0, 1)), (m, (0, 1))), (0, 1), (2, 4), sd.symbol("like", (2, 4)).type)
    weights = Product(1, ((x, (2, 0)), (part, (2, 1))), (0, 1), (3, 4, 2), sd.symbol("like", (3, 4)).type)
    whole = Product(1, ((r, (1, 0)), (m, (1, 0))), (0,), (4, 5), sd.symbol("like", 4).type)
    assert share_products([weights, whole]) == [weights, whole]


def test_costly_factors_that_are_never_read_apart_are_one() -> None:
    x, a, b = sd.symbol("x", (5, 4)), sd.symbol("a", (5, 4)), sd.symbol("b", 5)
    e = sd.exp(x)
    r = 1 / (1 + e)
    here, rows = (0, 1), (0,)
    scaled = Product(1, ((a, here), (e, here), (r, here)), here, (5, 4), x.type)
    summed = Product(1, ((b, rows), (e, here), (r, here)), (0,), (5, 4), b.type)
    first, second = join_companions([scaled, summed])
    assert isinstance(first, Product) and isinstance(second, Product)
    (pair,) = {f for f in first.children if isinstance(f, Product)}
    assert set(pair.children) == {e, r} and set(first.children) == {a, pair} and set(second.children) == {b, pair}
    assert second.out == (0,) and second.extents == (5, 4)
    # Where one is read alone, turned, or in one place only, they stay apart.
    assert join_companions([scaled, summed, a * e]) == [scaled, summed, a * e]
    turned = Product(1, ((e, (1, 0)), (r, here)), here, (4, 4), sd.symbol("like", (4, 4)).type)
    assert join_companions([scaled, turned]) == [scaled, turned]
    assert join_companions([scaled]) == [scaled]


def test_layer_normalisation_of_long_rows_stores_one_array_for_its_gradient() -> None:
    """What is little to compute from an argument is computed again in each pass."""
    x = sd.symbol("x", (3, "n"))
    centred = x - sd.mean(x, axis=1, keepdims=True)
    loss = sd.sum(sd.tanh(centred / sd.sqrt(sd.var(x, axis=1, keepdims=True) + 1e-5)))
    outputs = [loss, *sd.grad(loss, [x])]
    kernel = sd.compile(outputs, [x], cache=False)
    given = RNG.normal(size=(3, 2000))
    for found, right in zip(kernel(given), sd.compile(outputs, [x], target="numpy")(given), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-12)
    assert sum(line.strip().startswith("full") and "[3, n]" in line for line in str(kernel.loop_ir).splitlines()) == 1


def test_the_start_of_a_sum_is_not_told_as_the_sum() -> None:
    d = sd.symbol("d", (6, 5))
    like = sd.symbol("like", 5).type
    whole = product(1, [(d, (1, 0))], [0], {0: 5, 1: 6}, like)
    inner = Product(1, ((d, (1, 0)),), (0,), (3, 6), sd.symbol("like", 3).type)
    start = Product(1, ((inner, (0,)),), (0,), (3,), like)
    assert terms_of([(1, start)]) != terms_of([(1, whole)])
    short = sd.symbol("short", (6, 3))
    inner = Product(1, ((short, (1, 0)),), (0,), (3, 6), sd.symbol("like", 3).type)
    start = Product(1, ((inner, (0,)),), (0,), (3,), like)
    assert terms_of([(1, start)]) == terms_of([(1, product(1, [(short, (1, 0))], [0], {0: 5, 1: 6}, like))])


def test_the_bias_of_a_recurrent_net_is_summed_behind_the_loop() -> None:
    X, W, U, b = sd.symbol("X", (7, 6, 5)), sd.symbol("W", (5, 8)), sd.symbol("U", (4, 8)), sd.symbol("b", 8)

    def step(h: Any, x: Any) -> Any:
        z = x @ W + h @ U + b
        h = sd.tanh(z[:, :4]) * sd.sigmoid(z[:, 4:])
        return h, h
    loss = sd.sum(sd.scan(step, sd.zeros((6, 4)), X)[1] ** 2)
    inputs = [X, W, U, b]
    outputs = [loss, *sd.grad(loss, [W, U, b])]
    kernel = sd.compile(outputs, inputs, cache=False)
    given = [RNG.normal(size=s.shape) for s in inputs]
    found = kernel(*given)
    # Each is one contraction of what the loops have kept for every turn.
    for gradient in outputs[1:]:
        assert isinstance(gradient, Product) and gradient.is_core and all(is_scan(f) or f is X for f in gradient.children)
    plain = sd.compile(loss, inputs, target="numpy")
    for k, gradient in zip((1, 2, 3), found[1:], strict=True):
        change = RNG.normal(size=given[k].shape)
        up, down_ = ([*given[:k], given[k] + sign * 1e-5 * change, *given[k + 1:]] for sign in (1, -1))
        np.testing.assert_allclose(np.sum(gradient * change), (plain(*up) - plain(*down_)) / 2e-5, rtol=1e-6, atol=1e-8)
