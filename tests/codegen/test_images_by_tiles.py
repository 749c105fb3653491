"""Random nets of convolutions on a few images, cut into tiles of images however small they are: compiled and by the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff as sd
from codegen.planning import cuts, passes

SEEDS = (*range(8), 322, 326)


def net(seed: int) -> tuple[list[Any], list[Any], list[Any]]:
    """The inputs, their values, and the loss with its derivatives."""
    rng = np.random.default_rng(seed)
    images, size = int(rng.integers(2, 6)), [int(rng.integers(7, 11)), int(rng.integers(7, 11))]
    dtype = "float32" if seed % 4 == 3 else "float64"
    channels = int(rng.integers(1, 4))
    x = sd.symbol("x", (images, channels, *size), dtype)
    inputs, h = [x], x
    for layer in range(int(rng.integers(1, 4))):
        out, side = int(rng.choice([3, 8, 9])), int(rng.integers(1, 4))
        w, b = sd.symbol(f"w{layer}", (out, channels, side, side), dtype), sd.symbol(f"b{layer}", out, dtype)
        inputs += [w, b]
        step = int(rng.choice([1, 1, 2])) if min(h.shape[2:]) > 5 else 1
        h = sd.nn.conv2d(h, w, b, stride=step, padding=side // 2)
        h = [sd.relu, sd.tanh, sd.nn.silu, lambda v: v][int(rng.integers(4))](h)
        if rng.integers(3) == 0 and min(h.shape[2:]) > 3:
            h = (sd.nn.max_pool2d if rng.integers(2) else sd.nn.avg_pool2d)(h, 2)
        if rng.integers(4) == 0:
            h = h - sd.mean(h, axis=(0, 2, 3), keepdims=True)
        channels = out
    y, V = sd.symbol("y", (images, 3), dtype), sd.symbol("V", (channels, 3), dtype)
    inputs += [y, V]
    loss = sd.sum((sd.mean(h, axis=(2, 3)) @ V - y)**2) + 0.1 * sd.sum(h**2)
    over = inputs[:-2] if seed % 2 else inputs[1:-2]
    outputs = [loss, *sd.grad(loss, [*over, V]), sd.hvp(loss, inputs[1], sd.cos(inputs[1]))]
    return inputs, [rng.normal(size=s.shape).astype(dtype) * 0.5 for s in inputs], outputs


@pytest.mark.parametrize("seed", SEEDS)
def test_random_nets(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the largest arrays taken for larger than the cache, and as they are."""
    inputs, values, outputs = net(seed)
    wanted = sd.evaluate(outputs, dict(zip(inputs, values, strict=True)))
    tolerance, one = 2e-3 if inputs[0].dtype == "float32" else 1e-9, seed % 3 > 0
    for small in (True, False):
        if small:
            for module in (passes, cuts):
                monkeypatch.setattr(module, "WHOLE_BYTES", 64)
            alone = ("LEAST_ROWS", "PRODUCT_ROWS", "BLOCK_ROWS") if one else ()
            for name, value in (("TILE_BYTES", 256), ("PASS", 0.0), *[(name, 1) for name in alone]):
                monkeypatch.setattr(cuts, name, value)
        else:
            monkeypatch.undo()
        for target in ("cpu", "interpreter"):
            kernel = sd.compile(outputs, inputs, target=target, cache=False)
            assert not small or "tiles of" in kernel.explain()
            for got, want in zip(kernel(*values), wanted, strict=True):
                np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * (1e-2 + np.max(np.abs(want), initial=0)))
