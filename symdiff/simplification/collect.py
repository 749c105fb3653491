"""Collecting rules: what becomes visible only in a whole derivative."""

from __future__ import annotations

from symdiff.simplification.rule import Rule

RULES: tuple[Rule, ...] = ()
