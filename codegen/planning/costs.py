"""Sizes as the cost model takes them: those of the first call, else `typical=` hints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from symdiff.sizes import NAMED, Size, named_sizes, value_of


class Hints(Struct, frozen=True):
    """Named sizes known or guessed when a plan is made; the plan is valid for every size all the same."""

    sizes: Mapping[str, int]

    def named(self, name: str) -> int:
        """A named size as a number."""
        return self.sizes.get(name) or NAMED[name].typical or 100

    def value(self, size: Size) -> int:
        """The size as a number."""
        if isinstance(size, int):
            return size
        names = {name: self.named(name) for name in named_sizes(size)}
        return max(value_of(size, names), 1)

    def count(self, sizes: Iterable[Size]) -> int:
        """The product of sizes as a number."""
        total = 1
        for size in sizes:
            total *= self.value(size)
        return total
