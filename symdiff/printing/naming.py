"""Names that stay apart where a style spells, changes or adds names."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Hashable, Iterable, Iterator


class Distinct:
    """A namespace: each key gets a name of its own, and keeps it."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)
        self.known: dict[Hashable, str] = {}

    def of(self, key: Hashable, wishes: Iterable[str]) -> str:
        """The name of a key: the first of the wishes, which do not end before one of them is free."""
        if key not in self.known:
            self.known[key] = next(name for name in wishes if name not in self.taken)
            self.taken.add(self.known[key])
        return self.known[key]


def numbered(stem: str, first: int = 2) -> Iterator[str]:
    """stem2, stem3, … without an end.

    >>> list(itertools.islice(numbered("t", 1), 3))
    ['t1', 't2', 't3']
    """
    return (f"{stem}{k}" for k in itertools.count(first))


def spelled(name: str) -> str:
    """An identifier in plain characters: Greek letters and what else is not ASCII become words.

    Nothing but a letter itself is spelled as a single letter: those are the indices of the index form.

    >>> spelled("θ"), spelled("θ1"), spelled("Δx"), spelled("w_λ"), spelled("é"), spelled("ℓ")
    ('theta', 'theta1', 'Delta_x', 'w_lambda', 'e_acute', 'l_')
    """
    if name.isascii():
        return name
    text = ""
    worded = False
    for ch in unicodedata.normalize("NFKC", name):
        word = ch if ch.isascii() else word_of_letter(ch)
        apart = text and text[-1] != "_" and (not ch.isascii() or (worded and ch.isalpha()))
        text += f"_{word}" if apart else word
        worded = not ch.isascii()
    return text if len(text) > 1 else f"{text}_"


def word_of_letter(ch: str) -> str:
    """The name of a letter: `theta` for θ, `Theta` for Θ."""
    words = unicodedata.name(ch, f"u{ord(ch):x}").replace("-", " ").split()
    script, _, letter = " ".join(words).partition(" LETTER ")
    kept = [w for w in (letter or " ".join(words)).split() if w not in ("WITH", "COMBINING")]
    word = "_".join(kept).lower().replace("lamda", "lambda")
    if len(word) == 1:
        return f"{script.split()[0].lower()}_{word}"
    return word.capitalize() if "CAPITAL" in script else word
