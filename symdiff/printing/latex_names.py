"""Names in LaTeX: Greek letters, subscripts, upright words; names that would look the same are kept apart."""

from __future__ import annotations

import re
from collections.abc import Iterator

from symdiff.printing.naming import numbered, spelled

GREEK = {name: "\\" + name for name in (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega").split()} | {"lam": r"\lambda", "lambda_": r"\lambda",
                                                                             "eps": r"\varepsilon"}


def spellings(name: str) -> Iterator[str]:
    r"""The name as a person writes it, then as it stands, then with numbers.

    >>> next(spellings("w_1")), next(spellings("θ")), next(spellings("X_train"))
    ('w_{1}', '\\theta', 'X_{\\mathrm{train}}')
    """
    plain = spelled(name)
    yield pretty(plain)
    yield upright(plain)
    yield from map(upright, numbered(plain))


def upright(text: str) -> str:
    """A word as it stands."""
    return rf"\mathrm{{{escaped(text)}}}"


def escaped(text: str) -> str:
    """Text with its underscores as characters."""
    return text.replace("_", r"\_")


def pretty(name: str) -> str:
    """Greek names become letters, trailing digits and what follows an underscore subscripts, longer names upright."""
    match = re.fullmatch(r"(\w*?[^\W\d_])_?(\d+)", name)
    stem, digits = (match[1], match[2]) if match else (name, "")
    base, _, rest = stem.partition("_")
    if stem in GREEK:
        base, rest = stem, ""
    elif not base or "_" in (stem[-1], rest[:1]):
        return upright(name)
    letter = GREEK.get(base) or (base if len(base) == 1 else rf"\mathrm{{{base}}}")
    below = ",".join(x for x in (escaped(rest), digits) if x)
    if len(below) > 1 and not below.isdigit():
        below = rf"\mathrm{{{below}}}"
    return letter + (f"_{{{below}}}" if below else "")


def scripts_at_end(text: str) -> str:
    r"""The marks of the sub- and superscripts that a text ends with: `^_` for `x_{1}^{2}`.

    >>> scripts_at_end(r"x_{1}^{2}"), scripts_at_end(r"\frac{a_{1}}{b}")
    ('^_', '')
    """
    found = ""
    while text.endswith("}"):
        depth, k = 1, len(text) - 1
        while depth and k:
            k -= 1
            depth += (text[k] == "}") - (text[k] == "{")
        if text[k - 1:k] not in ("_", "^"):
            break
        found += text[k - 1]
        text = text[:k - 1]
    return found


def scripted(text: str, mark: str, script: str) -> str:
    """An atom with a sub- or superscript, in braces where it has one of that kind already."""
    inner = f"{{{text}}}" if mark in scripts_at_end(text) else text
    return f"{inner}{mark}{{{script}}}"
