"""Formulas of any expression are of bounded length, and say where something is left out."""

from __future__ import annotations

import re

import symdiff as sd
from symdiff.printing import formula, text_of

A = sd.symbol("A", (3, 3))
x = sd.symbol("x", 5)


def test_repeated_squares_are_named() -> None:
    node = A
    for _ in range(22):
        node = node @ node
    text = text_of(node)
    assert len(text) < 400 and text.endswith("where t1 = A A A A A A A A A A A A A A A A\n" + text.split("\n", 2)[2])
    assert len(formula(node, style="latex")) < 600 and len(formula(node, style="index")) < 20_000


def test_shared_quotients_are_named() -> None:
    one, two = sd.symbols("a b")
    for _ in range(16):
        one, two = one * two, two / one
    assert len(text_of(one)) < 1_500


def test_of_a_long_sum_the_first_terms_are_shown() -> None:
    pairs = [sd.symbol(f"a{i}") * sd.symbol(f"b{i}") for i in range(5_000)]
    total = pairs[0]
    for pair in pairs[1:]:
        total = total + pair
    text = text_of(total)
    assert text.startswith("a0 b0 + a1 b1 + ") and text.endswith("a99 b99 + …") and text.count("…") == 1


def test_what_is_left_out_is_never_taken_for_equal() -> None:
    node = x
    for i in range(1_000):
        node = sd.tanh(node * sd.symbol(f"w{i % 7}", 5))
    text = text_of(sd.grad(sd.sum(node), x))
    assert "…" in text and set(re.findall("…([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text)) <= {"²"}


def test_very_long_numbers_are_rounded() -> None:
    text = text_of(7**300 * sd.symbol("a"))
    assert text == "3.38385702e253 a"
