"""What random graphs are drawn from: templates over names, and who picks the names that fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from symdiff.traversal import symbols_of

Line = tuple[str, str]
NAMES = ("fn", "fd", "fk")

SMOOTH = """sd.exp(0.4 * {0}); sd.sin({0}); sd.cos({0}); sd.tanh({0}); sd.sigmoid({0}); sd.softplus({0}); {0}**2; {0}**3
sd.square({0}); sd.sqrt({0}**2 + 1); sd.log({0}**2 + 0.5); 1 / ({0}**2 + 1.5); sd.erf({0}); sd.expm1(0.3 * {0})
sd.log1p({0}**2); sd.atan({0}); sd.asinh({0}); 2 - {0}; -{0}; {0} / 3; 0.5 * {0} + 1; sd.sinh(0.3 * {0}); sd.cosh({0} / 4)
({0}**2 + 0.7)**1.5; 2**(0.3 * {0}); sd.erfc({0}); sd.exp2({0} / 2); sd.acos(0.9 * sd.tanh({0})); ({0}**2 + 1)**-2"""
KINKY = """sd.abs({0}); sd.relu({0}); sd.sign({0}); sd.stop_gradient({0}); sd.clip({0}, -0.513, 0.777); sd.floor({0} + 0.123)
sd.round(3 * {0}); sd.ceil({0} - 0.317); sd.trunc(2 * {0}); sd.where({0} > 0.1234, {0}, 0); sd.where({0} < 0.21, {0}**2, 1)
sd.where({0} > 0.0517, sd.log({0}), {0}); sd.where(sd.isfinite(1 / {0}), {0}, 0.0)"""
RISKY = "sd.sqrt({0}); sd.log({0}); 1 / {0}; sd.acos({0}); {0}**0.3; sd.log1p({0}); {0} / sd.relu({0}); sd.log(sd.relu({0}))"
PAIRS = """{0} + {1}; {0} - {1}; {0} * {1}; {0} / ({1}**2 + 1.3); 2 * {0} - {1} / 3; sd.hypot({0}, {1}**2 + 1); {0} * {1} * {1}
sd.logaddexp({0}, {1}); sd.atan2({0}, {1}**2 + 1); sd.exp(-({0} - {1})**2); ({0} - {1})**2; sd.xlogy({0}, {1}**2 + 0.4)
({0}**2 + 0.3)**(0.4 * sd.tanh({1}))"""
KINKY_PAIRS = """sd.maximum({0}, {1}); sd.minimum({0}, {1}); sd.where({1} > 0.1357, {0}, {1}); sd.where({0} > 0.0613, {0} * {1}, 0)
sd.where(({0} > 0.11) & ~({1} > 0.22), {0}, {1}); sd.where(({0} < -0.3) | ({1} < 0.4), sd.sin({0}), {1})"""
MIXED = """{0} * {1}; {0} + {1}; sd.where({1} > 0, {0}, 2); sd.astype({1}, "float64") - {0}; sd.where({1} == 1, {0}, -{0})
{0} * ({1} > 0); sd.maximum({0} + 0.1357, {1})"""
INTEGRAL = "{0} + 1; -{0}; {0} * {0}; {0} // 2; {0} % 3; {0} > 0; sd.sum({0}, axis=0); sd.max({0}); sd.argmax({0}, axis=0)"
BOOLEAN = "~{0}; sd.any({0}, axis=0); sd.all({0}); sd.sum({0}); sd.astype({0}, 'int64'); {0} ^ True"
PARTS = ": : : 1: :-1 ::2 ::-1 1:-1 ::-2 -1::-3 0 -1 1 None,: 1:3 3:0:-1 -3:-1 1::2 2::-1 ...".split()
FOLDS = "sum sum sum mean mean max min prod logsumexp var std norm".split()
NETWORKS = """sd.nn.gelu({0}); sd.nn.elu({0}); sd.nn.leaky_relu({0} - 0.0113); sd.nn.hard_tanh(1.3 * {0} + 0.017); sd.nn.mish({0})
sd.nn.silu({0}); sd.nn.softsign({0}); sd.nn.log_sigmoid({0}); {0} * sd.nn.layer_norm({0})
sd.cos({0}) * sd.nn.layer_norm({0}, axis=0, eps=0.01)
sd.cbrt({0}**2 + 0.3); sd.log2({0}**2 + 0.6); sd.log10(1 + {0}**2); sd.acosh(1.2 + {0}**2); sd.atanh(0.8 * sd.tanh({0}))
{0} % 1.37; sd.special.ndtr({0}); sd.special.log_ndtr({0}); sd.special.logit(0.1 + 0.8 * sd.sigmoid({0})); sd.rint(1.7 * {0})"""
NETWORKS_OF_TWO = """sd.nn.huber({0}, {1} + 0.021); sd.nn.mse({0}, {1}); sd.nn.mean_absolute_error({0}, {1} + 0.0117)
sd.nn.binary_cross_entropy_with_logits({0}, sd.sigmoid({1})); sd.nn.poisson_nll({0}, {1}**2); sd.special.xlog1py({0}, {1}**2)
sd.fmax({0}, {1} + 0.0123); sd.fmin({0}, {1} - 0.0321); sd.special.rel_entr({0}**2 + 0.2, {1}**2 + 0.3)"""
IMAGES = """sd.nn.max_pool2d({0}[None, None] + 0.001, 2)[0, 0]; sd.nn.avg_pool2d({0}[None, None], 2, stride=1)[0, 0]
sd.nn.max_pool2d({0}[None, None], 3, stride=2, padding=1)[0, 0]; sd.nn.avg_pool2d({0}[None, None], 2, padding=1)[0, 0]"""
IMAGES_OF_TWO = """sd.nn.conv2d({0}[None, None], {1}[:2, :2][None, None])[0, 0]
sd.nn.conv2d({0}[None, None], {1}[None, None, :3, :3], padding=1)[0, 0]
sd.nn.conv2d({0}[None, None], sd.stack([{1}[:2, :2], {1}[:2, -2:]])[:, None], stride=2)[0]
sd.nn.scaled_dot_product_attention({0}, {1}, {1}); sd.nn.scaled_dot_product_attention({0}, {0}, {0}, is_causal=True)
sd.tensordot({0}, {1}, axes=((1,), (1,))); sd.vecdot({0}, {1}[0])"""
ROWS = """sd.scan(lambda c, s: (sd.tanh(c + s), c * s), 0 * {0}[0] + 0.3, {0})[1]
sd.scan(lambda c, s: (0.6 * c + s, sd.sin(c)), 0 * {0}[0] + 0.2, {0}, reverse=True)[1]
sd.scan(lambda c, s: (0.5 * sd.sin(c * s) + 0.2, None), sd.cos({0}[-1]), {0})[0]
sd.scan(lambda c, s: ((sd.sigmoid(c[0]) * sd.tanh(s) + 0.3 * c[1], sd.cos(c[0] * s)), c[0] * c[1]), ({0}[0], {0}[-1]), {0})[1]
sd.scan(lambda c, s: (sd.where(s > 0.0517, sd.log(s) * c, 0.5 * c), c), sd.cos({0}[0]), {0})[1]
sd.scan(lambda c, s: (sd.where(c < s, sd.exp(c - s), 0.4 * c), c * s), sd.sin({0}[0]), {0}, reverse=True)[1]
sd.fori(0, 3, lambda k, c: sd.tanh(c + 0.1 * k), {0}); sd.fori(0, fd, lambda k, c: 0.5 * c + 0.4 * sd.sin(c + k), {0})"""
ROWS_AND_MORE = """sd.scan(lambda c, s: (sd.tanh(c * {1} + s), c), 0 * {0}[0] + 0.3, {0})[1]
sd.scan(lambda c, s: (0.5 * sd.cos(c) + s * {1}, sd.exp(-c * c) * {1}), 0 * {0}[0], {0})[1]
sd.scan(lambda c, s: (0.4 * c + sd.where({1} > 0.0713, sd.log({1}) * s, sd.sin(s)), None), 0 * {0}[0], {0}, reverse=True)[0]"""
ROWS_BY_MATRICES = """sd.scan(lambda c, s: (sd.tanh(0.2 * (c @ {1}) + s), c), 0 * {0}[0] + 0.1, {0})[1]
sd.scan(lambda c, s: (sd.sigmoid(c @ {1}.T) * sd.tanh(s @ {1}), None), 0 * {0}[0], {0})[0]"""
ENDS = """sd.sum({0}); sd.mean({0}**2); sd.sum(sd.sin({0})); sd.logsumexp({0}); sd.sum({0} * {0}) / 3; sd.mean(sd.tanh({0}))
sd.norm(sd.ravel({0}) + 0.3); sd.sum(sd.softplus({0})); sd.sum({0})**2 / 50"""


def choices(text: str) -> list[str]:
    """The templates of a table."""
    return [part.strip() for part in re.split(r";|\n", text)]


class Pool:
    """The names at hand while a graph is drawn."""

    def __init__(self, rng: np.random.Generator, risky: bool) -> None:
        self.rng, self.risky = rng, risky
        self.nodes: dict[str, Any] = {}
        self.used: set[str] = set()
        self.leaves = 0

    def one(self, items: Any) -> Any:
        """One of the items."""
        items = list(items)
        return items[int(self.rng.integers(len(items)))] if items else None

    def axis(self, ndim: int) -> int:
        """An axis, at times counted from the end."""
        k = int(self.rng.integers(ndim))
        return k - ndim if self.rng.random() < 0.3 else k

    def pick(self, least: int = 0, most: int = 9, kind: str = "float", fits: Callable[[Any], bool] | None = None) -> str | None:
        """A name of the kind with so many axes, rather a late one."""
        found = [n for n, v in self.nodes.items()
                 if least <= v.ndim <= most and v.dtype.startswith(kind) and (fits is None or fits(v))]
        if not found:
            return None
        return found[-1] if self.rng.random() < 0.35 else self.one(found)  # type: ignore[no-any-return]

    def shape(self, name: str) -> tuple[Any, ...]:
        return self.nodes[name].shape  # type: ignore[no-any-return]

    def take(self, template: str, *names: str | None) -> str | None:
        """The template over names, None where one is missing."""
        if any(name is None for name in names):
            return None
        return template.format(*names)

    def draw_leaves(self) -> list[Line]:
        """Symbols and a few arrays that are known."""
        rng = self.rng
        floats = self.one(["float64"] * 8 + ["float32", "mixed"])
        # An input that nothing uses tells every size.
        lines = [("z", "symbol('z', ('fn', 'fd', 'fk'), 'bool')")]
        sizes: list[Any] = ["fn", "fn", "fd", "fd", "fk", 1, 3, 2]
        for k in range(int(rng.integers(2, 5))):
            shape = tuple(self.one(sizes) for _ in range(int(rng.choice([0, 1, 1, 2, 2, 2, 3]))))
            if rng.random() < 0.2:
                shape = (*shape[:1], "fd", "fd")
            dtype = self.one(["float64", "float32"]) if floats == "mixed" else floats
            lines.append((f"x{k}", f"symbol('x{k}', {shape!r}, '{dtype}')"))
        if rng.random() < 0.35:
            kind = self.one(["int64", "int64", "int32", "bool", "bool"])
            shape = tuple(self.one(["fn", "fd", 3]) for _ in range(int(rng.integers(0, 3))))
            lines.append(("b0", f"symbol('b0', {shape!r}, '{kind}')"))
        if rng.random() < 0.15:
            numbers = np.round(rng.uniform(-1, 1, tuple(rng.integers(1, 4, 2))), 2).tolist()
            lines.append(("c0", f"sd.constant({numbers})"))
        if rng.random() < 0.15:
            lines.append(("c1", self.one(["sd.arange(fn) / 100.0", "sd.eye(fd)", "sd.arange(fd, dtype='float64') - 1",
                                          "sd.linspace(0, 1, fn)"])))
        self.leaves = len(lines)
        return lines

    def scalar(self, name: str) -> str:
        """A scalar of a name."""
        if not self.nodes[name].ndim:
            return self.one([name, f"sd.sin({name})", f"{name}**2"])  # type: ignore[no-any-return]
        return self.one(choices(ENDS)).format(name)  # type: ignore[no-any-return]


def broadcasts(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two shapes go together."""
    return all(s == t or s == 1 or t == 1 for s, t in zip(a[::-1], b[::-1], strict=False))


def unary(p: Pool) -> str | None:
    table = RISKY if p.risky and p.rng.random() < 0.3 else KINKY if p.rng.random() < 0.3 else SMOOTH
    return p.take(p.one(choices(table)), p.pick())


def binary(p: Pool) -> str | None:
    x = p.pick()
    y = p.pick(fits=lambda v: x is not None and broadcasts(p.shape(x), v.shape))
    return p.take(p.one(choices(KINKY_PAIRS if p.rng.random() < 0.3 else PAIRS)), x, y)


def mixed(p: Pool) -> str | None:
    kind = p.one(["int", "bool"])
    if p.rng.random() < 0.4:
        return p.take(p.one(choices(INTEGRAL if kind == "int" else BOOLEAN)), p.pick(1, kind=kind))
    b = p.pick(kind=kind)
    return p.take(p.one(choices(MIXED)), p.pick(fits=lambda v: b is not None and broadcasts(p.shape(b), v.shape)), b)


def reduced(p: Pool) -> str | None:
    x = p.pick(1)
    if x is None:
        return None
    ndim = len(p.shape(x))
    axes = sorted({p.axis(ndim) % ndim for _ in range(int(p.rng.integers(1, 3)))})
    axis = p.one([None, axes[0], tuple(axes), axes[0] - ndim])
    fold, keep = p.one(FOLDS), bool(p.rng.random() < 0.4)
    if fold == "norm":
        return f"sd.norm({x} + 0.2, axis={axes[0]}, keepdims={keep})"
    inner = f"1 + 0.2 * sd.tanh({x})" if fold == "prod" else f"{x}**2 + {x}" if fold == "std" else x
    return f"sd.{fold}({inner}, axis={axis}, keepdims={keep})" + (" + 0.1" if fold == "std" else "")


def softmax(p: Pool) -> str | None:
    x = p.pick(1)
    return None if x is None else f"sd.{p.one(['softmax', 'log_softmax'])}({x}, axis={p.axis(len(p.shape(x)))})"


def matmul(p: Pool) -> str | None:
    x = p.pick(1)
    y = p.pick(1, fits=lambda v: x is not None and v.shape[max(v.ndim - 2, 0)] == p.shape(x)[-1])
    return p.take(p.one(["{0} @ {1}", "sd.matmul({0}, {1})", "sd.dot({0}, {1})"]), x, y)


def einsum(p: Pool) -> str | None:
    names = [p.pick(1, 3) for _ in range(p.one([1, 2, 2, 2, 3]))]
    letters: dict[str, Any] = {}
    groups = []
    for name in names:
        if name is None:
            return None
        group = ""
        for size in p.shape(name):
            same = [c for c, s in letters.items() if s == size and size != 1]
            letter = p.one(same) if same and p.rng.random() < 0.7 else "ijklpqrst"[len(letters)]
            letters.setdefault(letter, size)
            group += letter
        groups.append(group)
    order = [str(c) for c in p.rng.permutation(list(letters))]
    out = "".join(order[:int(p.rng.integers(0, min(len(order), 3) + 1))])
    return f"sd.einsum('{','.join(groups)}->{out}', {', '.join(map(str, names))})"


def matrices(p: Pool) -> str | None:
    square = p.pick(2, 3, fits=lambda v: v.shape[-1] == v.shape[-2])
    vector, matrix = p.pick(1, 1), p.pick(2)
    line = p.one([("sd.outer({0}, {1})", vector, p.pick(1, 1)), ("sd.diag({0})", vector), ("sd.diag({0}, 1)", vector),
                  ("sd.trace({0}, axis1=-1, axis2=-2)", square), ("sd.diagonal({0}, 0, -2, -1)", square),
                  ("sd.tril({0})", matrix), ("sd.triu({0}, 1)", matrix), ("sd.tril({0}, -1)", square),
                  ("{0} + {0}.mT", square), ("{0} @ {0}.mT", matrix), ("sd.diag({0}) @ {1}", vector, matrix)])
    return p.take(*line)


def sliced(p: Pool) -> str | None:
    x = p.pick(1)
    if x is None:
        return None
    parts = [p.one(PARTS) for _ in range(int(p.rng.integers(1, len(p.shape(x)) + 1)))]
    parts = [part for k, part in enumerate(parts) if part != "..." or "..." not in parts[:k]]
    return f"{x}[{', '.join(parts)}]"


def picked(p: Pool) -> str | None:
    """Rows, columns or entries at positions that are known at the call: -2 … 3, inside every named size."""
    axis = p.one([0, 0, 1])
    x = p.pick(axis + 1, fits=lambda v: str(v.shape[axis]) in NAMES)
    i = p.pick(0, 2, kind="int", fits=lambda v: v.dtype in ("int64", "int32"))
    # What arithmetic makes of positions may be outside.
    at = "sd.clip({1}, -4, 3)" if i is not None and i.startswith("t") else "{1}"
    there = f"[{':, ' * axis}{at}]"
    return p.take(p.one(["{0}" + there, "{0}" + there.replace(at, "{1} % 3"), "sd.sin({0})" + there]), x, i)


def joined(p: Pool) -> str | None:
    x = p.pick(1)
    if x is None:
        return None
    axis = p.axis(len(p.shape(x)))
    rest = [s for k, s in enumerate(p.shape(x)) if k != axis % len(p.shape(x))]
    y = p.pick(fits=lambda v: v.ndim == len(p.shape(x)) and
               rest == [s for k, s in enumerate(v.shape) if k != axis % v.ndim])
    same = p.pick(fits=lambda v: v.shape == p.shape(x))
    return p.take(*p.one([(f"sd.concat([{{0}}, {{1}}], axis={axis})", x, y), (f"sd.stack([{{0}}, {{1}}], axis={axis})", x, same),
                          (f"sd.concat([{{0}}, 2 * {{0}}[::-1], {{0}}], axis={axis})", x)]))


def shaped(p: Pool) -> str | None:
    x = p.pick(1)
    if x is None:
        return None
    ndim = len(p.shape(x))
    axis, order = p.axis(ndim), tuple(int(k) for k in p.rng.permutation(ndim))
    return p.take(p.one([
        f"sd.permute_dims({{0}}, {order})", "{0}.T", f"sd.flip({{0}}, axis={axis})", "sd.flip({0})", "sd.ravel({0})",
        f"sd.roll({{0}}, {int(p.rng.integers(-3, 4))}, axis={axis})", f"sd.expand_dims({{0}}, {axis})", "sd.squeeze({0})",
        f"sd.repeat({{0}}, 2, axis={axis})", "sd.tile({0}, 2)", f"sd.diff({{0}}, axis={axis})", "sd.pad({0}, 1)",
        f"sd.pad({{0}}, {tuple((int(a), int(b)) for a, b in p.rng.integers(0, 3, (ndim, 2)))})", "sd.reshape({0}, (-1, 1))",
        "sd.reshape({0}, (-1, 2))", "sd.reshape({0}, (2, -1))", "sd.pad({0}, (1, 0), constant_values=0.5)",
        "sd.broadcast_to({0}, (3, *{0}.shape))", f"{{0}} - sd.mean({{0}}, axis={axis}, keepdims=True)",
    ]), x)


def looped(p: Pool) -> str | None:
    """Loops over the first axis."""
    x = p.pick(1)
    if x is None:
        return None
    row = p.shape(x)[1:]
    more = p.pick(fits=lambda v: v.shape == row)
    square = p.pick(2, 2, fits=lambda v: bool(row) and v.shape == (row[-1], row[-1]))
    return p.take(*p.one([(p.one(choices(ROWS)), x), (p.one(choices(ROWS_AND_MORE)), x, more),
                          (p.one(choices(ROWS_BY_MATRICES)), x, square)]))


def network(p: Pool) -> str | None:
    """Layers, losses and functions of networks."""
    x, image = p.pick(1), p.pick(2, 2)
    y = p.pick(fits=lambda v: x is not None and broadcasts(p.shape(x), v.shape))
    return p.take(*p.one([(p.one(choices(NETWORKS)), x), (p.one(choices(NETWORKS_OF_TWO)), x, y),
                          (p.one(choices(IMAGES)), image), (p.one(choices(IMAGES_OF_TWO)), image, p.pick(2, 2))]))


def differentiated(p: Pool) -> str | None:
    """A gradient or a Jacobian inside of a graph, whose own derivatives go to the third and fourth order."""
    leaf = p.pick(fits=lambda v: hasattr(v, "name"))
    y = p.pick(fits=lambda v: leaf is not None and p.nodes[leaf] in symbols_of([v]))
    if y is None:
        return None
    return p.take(p.one([f"sd.grad({p.scalar(y)}, {{0}})", "sd.vjp({1}, {0}, sd.tanh({1}))", "sd.jvp({1}, {0}, sd.sin({0}))",
                         "sd.jacobian({1}, {0})"]), leaf, y)


OPERATIONS: list[Callable[[Pool], str | None]] = [
    unary, unary, unary, binary, binary, binary, mixed, mixed, reduced, reduced, softmax, matmul, matmul, einsum, einsum,
    matrices, sliced, sliced, picked, joined, shaped, shaped]
# Graphs of seeds from MORE_FROM on hold these too; those before stay what they were, and so the ones that were once wrong.
MORE_OPERATIONS = [*OPERATIONS, looped, looped, network, network, differentiated]
MORE_FROM = 1_000_000
