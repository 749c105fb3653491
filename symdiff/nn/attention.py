"""Attention and layer normalisation."""

from __future__ import annotations

import math
from typing import Any

from symdiff.errors import ShapeMismatch, TypeMismatch
from symdiff.expression import Node
from symdiff.normal_form.numbers import size_number
from symdiff.operators.arithmetic import add, divide, multiply, subtract, where
from symdiff.operators.coercion import as_node, where_written
from symdiff.operators.contraction import matmul
from symdiff.operators.creation import arange
from symdiff.operators.elementwise import greater_equal, sqrt
from symdiff.operators.parameters import flag
from symdiff.operators.reductions import floating, mean, softmax, var
from symdiff.operators.shaping import expand_dims, matrix_transpose

Value = Any


def scaled_dot_product_attention(query: Value, key: Value, value: Value, mask: Value = None, is_causal: bool = False,
                                 scale: Value = None) -> Node:
    """softmax(Q Kᵀ / √d) V over the last axis of the scores.

    Shapes: query (…, l, d), key (…, s, d), value (…, s, e) give (…, l, e); the leading axes are broadcast.  `mask` is
    broadcast to the scores (…, l, s): truth values say which of them count, numbers are added to them.  `is_causal` lets
    position i see positions 0 … i alone; `scale` takes the place of 1 / √d.
    Source: Vaswani et al., Attention Is All You Need, 2017, eq. 1.

    >>> import symdiff as sd
    >>> Q, K, V = sd.symbol("Q", ("t", "d")), sd.symbol("K", ("t", "d")), sd.symbol("V", ("t", "e"))
    >>> sd.nn.scaled_dot_product_attention(Q, K, V).shape
    (t, e)
    """
    q, k, v = floating(query), floating(key), floating(value)
    for node in (q, k, v):
        if node.ndim < 2:
            raise ShapeMismatch("attention takes matrices (…, positions, features)",
                                where=where_written("scaled_dot_product_attention", q, k, v), mend="x[None] makes a vector a row")
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeMismatch(f"queries of {q.shape[-1]} and keys of {k.shape[-1]} features, {k.shape[-2]} keys and "
                            f"{v.shape[-2]} values",
                            where=where_written("scaled_dot_product_attention", q, k, v),
                            mend="query and key share their last axis, key and value the one before")
    scores = matmul(q, matrix_transpose(k))
    scores = divide(scores, sqrt(size_number(q.shape[-1], q.dtype))) if scale is None else multiply(scores, scale)
    if flag(is_causal, "is_causal", "scaled_dot_product_attention", q, k, v):
        earlier = greater_equal(expand_dims(arange(q.shape[-2]), 1), arange(k.shape[-2]))
        scores = where(earlier, scores, -math.inf)
    if mask is not None:
        chosen = as_node(mask)
        scores = where(chosen, scores, -math.inf) if chosen.dtype == "bool" else add(scores, chosen)
    return matmul(softmax(scores, axis=-1), v)


def layer_norm(x: Value, weight: Value = None, bias: Value = None, axis: Any = -1, eps: float = 1e-5) -> Node:
    """(x − mean) / √(variance + eps) along `axis`, times `weight`, plus `bias`.

    The variance is that of the population; weight and bias are broadcast to x.
    Source: Ba, Kiros, Hinton, Layer Normalization, 2016, eq. 3.

    >>> import symdiff as sd
    >>> x = sd.symbol("x", 2)
    >>> sd.evaluate(sd.nn.layer_norm(x, eps=0.0), {"x": [1.0, 3.0]})
    array([-1.,  1.])
    """
    node = floating(x)
    if not isinstance(eps, (int, float)) or isinstance(eps, bool) or not eps >= 0:
        raise TypeMismatch(f"eps is {eps!r}", where=where_written("layer_norm", node), mend="give a small number such as 1e-5")
    centred = subtract(node, mean(node, axis=axis, keepdims=True))
    result = divide(centred, sqrt(add(var(node, axis=axis, keepdims=True), eps)))
    if weight is not None:
        result = multiply(result, weight)
    return result if bias is None else add(result, bias)
