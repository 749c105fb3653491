"""Convolution and pooling: products and reductions over affine windows; batch, channel, height, width.

Nothing is unfolded: x[b, c, s i + d p − m, s j + d q − m] is one read, which is zero outside.
"""

from __future__ import annotations

import math
from typing import Any

from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Node
from symdiff.index_notation import Index, tidy
from symdiff.normal_form import product
from symdiff.operators.arithmetic import add, divide
from symdiff.operators.coercion import as_node, located, to_dtype, where_written
from symdiff.operators.parameters import whole_number
from symdiff.operators.reductions import floating
from symdiff.operators.reductions import max as largest
from symdiff.operators.reductions import sum as total
from symdiff.operators.shaping import expand_dims, pad, view
from symdiff.sizes import Size, combine, floor_divide, multiply
from symdiff.tensor_type import TensorType, promote

Value = Any
Pair = tuple[int, int]


def pair(value: Any, name: str, operation: str, *values: Value, least: int) -> Pair:
    """Two whole numbers, one of which may stand for both."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2:
        raise TypeMismatch(f"{name} has {len(both)} numbers", where=where_written(operation, *values),
                           mend="give one number, or one for height and one for width")
    return (whole_number(both[0], name, operation, *values, least=least),
            whole_number(both[1], name, operation, *values, least=least))


def steps(size: Size, window: Size, stride: int, dilation: int, margin: int) -> Size:
    """How many positions a window has: ⌊(size + 2 margin − dilation (window − 1) − 1) / stride⌋ + 1."""
    room = combine(((1, size), (1, 2 * margin - 1 + dilation), (-1, multiply(dilation, window))))
    return combine(((1, floor_divide(room, stride)), (1, 1)))


def positions(label: int, inner: int, stride: int, dilation: int, margin: int) -> Index:
    """stride · label + dilation · inner − margin."""
    return tidy(-margin, {label: stride, inner: dilation})


def four_axes(x: Value, operation: str) -> Node:
    """An expression of shape (batch, channels, height, width); raises `ShapeMismatch`."""
    node = floating(x)
    if node.ndim != 4:
        raise ShapeMismatch(f"{operation} takes (batch, channels, height, width), not {node.ndim} axes",
                            where=where_written(operation, node), mend="x[None] gives a batch of one")
    return node


def positive(sizes: tuple[Size, ...], operation: str, *values: Node) -> None:
    """Raise `ShapeMismatch` where a window does not fit."""
    if any(isinstance(s, int) and s < 1 for s in sizes):
        raise ShapeMismatch("the window is larger than what it slides over", where=where_written(operation, *values),
                            mend="use a smaller window, or pad")


def conv2d(x: Value, weight: Value, bias: Value = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
           groups: int = 1) -> Node:
    """y[b,o,i,j] = Σ_cpq x[b, c, s i + d p − m, s j + d q − m] w[o,c,p,q] + bias[o], zero outside of x.

    Shapes: x (batch, C, height, width), weight (O, C / groups, kh, kw), bias (O,), all of one floating dtype or promoted;
    `stride`, `padding` (a margin of zeros, or "same" or "valid") and `dilation` are one number or a pair.  With `groups`,
    each of as many equal parts of the channels has its own weights.  Raises `ShapeMismatch` where shapes do not fit.
    The layout and names are those of PyTorch's function (LeCun et al., Proc. IEEE 86 (11), 1998, sec. II).

    >>> import symdiff as sd
    >>> x, w = sd.symbol("x", ("n", 1, 8, 8)), sd.symbol("w", (16, 1, 3, 3))
    >>> sd.nn.conv2d(x, w, padding=1).shape
    (n, 16, 8, 8)
    """
    image, w = four_axes(x, "conv2d"), four_axes(weight, "conv2d")
    group_count = whole_number(groups, "groups", "conv2d", image, w, least=1)
    (s, t), (d, e) = (pair(v, name, "conv2d", image, w, least=1) for v, name in ((stride, "stride"), (dilation, "dilation")))
    margin = margins(padding, (s, t), (d, e), image, w)
    channels, outputs = w.shape[1], floor_divide(w.shape[0], group_count)
    if multiply(group_count, channels) != image.shape[1] or multiply(group_count, outputs) != w.shape[0]:
        raise ShapeMismatch(f"weights for {group_count} · {channels} channels in, {w.shape[0]} out do not fit "
                            f"{image.shape[1]} channels", where=where_written("conv2d", image, w),
                            mend="weight has shape (channels out, channels in / groups, height, width)")
    height = steps(image.shape[2], w.shape[2], s, d, margin[0])
    width = steps(image.shape[3], w.shape[3], t, e, margin[1])
    positive((height, width), "conv2d", image, w)
    dtype = promote(image.dtype, w.dtype)
    # Labels: batch, output of a group, row, column, group, channel of a group, row and column of the window.
    extents: dict[int, Size] = {0: image.shape[0], 1: outputs, 2: height, 3: width, 4: group_count, 5: channels,
                                6: w.shape[2], 7: w.shape[3]}
    one = group_count == 1
    if one:
        del extents[4]
    read: Index = 5 if one else tidy(0, {4: channels, 5: 1})
    write: Index = 1 if one else tidy(0, {4: outputs, 1: 1})
    result = product(1, [(to_dtype(image, dtype), (0, read, positions(2, 6, s, d, margin[0]), positions(3, 7, t, e, margin[1]))),
                         (to_dtype(w, dtype), (write, 5, 6, 7))],
                     [0, write, 2, 3], extents, TensorType(dtype, (image.shape[0], w.shape[0], height, width)))
    if bias is None:
        return located(result)
    b = as_node(bias)
    if b.shape != (w.shape[0],):
        raise ShapeMismatch(f"a bias of shape {b.shape} for {w.shape[0]} channels", where=where_written("conv2d", image, w, b),
                            mend="give one number for each channel that comes out")
    return add(result, expand_dims(b, (1, 2)))


def margins(padding: Any, stride: Pair, dilation: Pair, image: Node, w: Node) -> Pair:
    """The margins of zeros; raises `TypeMismatch` for what tells none."""
    if padding == "valid":
        return 0, 0
    if padding != "same":
        return pair(padding, "padding", "conv2d", image, w, least=0)
    windows = w.shape[2:]
    if stride != (1, 1) or not all(isinstance(k, int) and (k - 1) * d % 2 == 0 for k, d in zip(windows, dilation, strict=True)):
        raise TypeMismatch("padding='same' needs a stride of 1 and windows of odd size", where=where_written("conv2d", image, w),
                           mend="give the margin as a number")
    return (windows[0] - 1) * dilation[0] // 2, (windows[1] - 1) * dilation[1] // 2


def windows_of(x: Value, kernel_size: Any, stride: Any, padding: Any, fill: float, operation: str) -> tuple[Node, Pair]:
    """x[b, c, s i + p, s j + q] with axes (b, c, i, j, p, q), and the size of the window."""
    image = four_axes(x, operation)
    window = pair(kernel_size, "kernel_size", operation, image, least=1)
    stride = window if stride is None else pair(stride, "stride", operation, image, least=1)
    margin = pair(padding, "padding", operation, image, least=0)
    if any(2 * m > k for m, k in zip(margin, window, strict=True)):
        raise ShapeMismatch(f"a margin of {margin} is more than half of the window {window}",
                            where=where_written(operation, image), mend="use a smaller padding")
    if margin != (0, 0):
        image = pad(image, ((0, 0), (0, 0), (margin[0],) * 2, (margin[1],) * 2), constant_values=fill)
    height, width = (steps(image.shape[2 + k], window[k], stride[k], 1, 0) for k in range(2))
    positive((height, width), operation, image)
    shape = (image.shape[0], image.shape[1], height, width, *window)
    at: tuple[Index, ...] = (0, 1, positions(2, 4, stride[0], 1, 0), positions(3, 5, stride[1], 1, 0))
    return view(image, at, range(6), dict(enumerate(shape)), shape), window


def max_pool2d(x: Value, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Node:
    """y[b,c,i,j] = max over the window of x at (s i, s j); a window a stride apart unless `stride` says otherwise.

    x has shape (batch, channels, height, width); what `padding` adds counts as −∞.  Where several elements are largest, each
    gets its share of the derivative.

    >>> import symdiff as sd
    >>> sd.nn.max_pool2d(sd.symbol("x", ("n", 3, 8, 8)), 2).shape
    (n, 3, 4, 4)
    """
    windows, _ = windows_of(x, kernel_size, stride, padding, -math.inf, "max_pool2d")
    return largest(windows, axis=(4, 5))


def avg_pool2d(x: Value, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Node:
    """y[b,c,i,j] = mean over the window of x at (s i, s j); zeros that `padding` adds are counted.

    >>> import symdiff as sd
    >>> x = sd.symbol("x", (1, 1, 2, 2))
    >>> float(sd.evaluate(sd.nn.avg_pool2d(x, 2), {"x": [[[[1.0, 2.0], [3.0, 6.0]]]]})[0, 0, 0, 0])
    3.0
    """
    windows, window = windows_of(x, kernel_size, stride, padding, 0.0, "avg_pool2d")
    return divide(total(windows, axis=(4, 5)), window[0] * window[1])
