r"""What is wrong with a LaTeX formula: braces, \left and \right, environments, double scripts, unknown commands."""

from __future__ import annotations

import re

import pytest

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[^\s]", re.DOTALL)
WORDS = """aligned cases bmatrix""".split()
LETTERS = """alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi varphi
chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega""".split()
COMMANDS = """left right begin end frac sqrt mathrm mathbf operatorname text phantom nabla top odot cdot infty sum prod
lfloor rfloor lceil rceil ldots exp log sin cos tan arcsin arccos arctan sinh cosh tanh max min land lor lnot veebar neq
le ge mapsto leftarrow in displaystyle equiv""".split()
# What matplotlib's mathtext has under another name, or not at all.
OTHER_WORDS = {r"\text{": r"\mathrm{", r"\mathbf{1}": "1", r"\land": r"\wedge", r"\lor": r"\vee", r"\lnot": r"\neg",
               r"\le ": r"\leq ", r"\ge ": r"\geq ", r"\left\|": r"\left|", r"\right\|": r"\right|", r"\top": "T"}
LONGEST = 2000
PLAIN = {"\\" + word for word in LETTERS + COMMANDS} | {r"\_", r"\\", r"\|"}


def faults(text: str) -> list[str]:
    """One line for each fault; none for a formula that TeX takes."""
    found = [] if text.isascii() else [f"no ASCII: {text}"]
    # What is open: what opened it, and the scripts that its last atom has.
    open_groups: list[str] = []
    scripts: list[set[str]] = [set()]
    argument = False
    tokens = [match[0] for match in TOKEN.finditer(text)]
    found += [f"unknown {token}" for token in tokens if token.startswith("\\") and token not in PLAIN]
    k = 0
    while k < len(tokens):
        token, last = tokens[k], argument
        argument = False
        k += 1
        if token in ("_", "^"):
            if token in scripts[-1]:
                found.append(f"double {token}")
            scripts[-1].add(token)
            argument = True
            continue
        if not last and token not in ("}", r"\right", r"\end"):
            scripts[-1].clear()
        if token in ("{", r"\left", r"\begin"):
            k, name = named(tokens, k, token)
            open_groups.append(name)
            scripts.append(set())
        elif token in ("}", r"\right", r"\end"):
            k, name = named(tokens, k, token)
            if not open_groups or open_groups.pop() != name:
                return [*found, f"{token} {name} closes nothing"]
            scripts.pop()
    return found + [f"{name} stays open" for name in open_groups]


def named(tokens: list[str], k: int, token: str) -> tuple[int, str]:
    r"""What a token opens or closes, and the place behind it; \left and \right take a delimiter."""
    if token in ("{", "}"):
        return k, "{}"
    if token in (r"\left", r"\right"):
        return k + 1, r"\left"
    stop = tokens.index("}", k)
    name = "".join(tokens[k + 1:stop])
    return stop + 1, name if name in WORDS else f"unknown {name}"


def render(text: str) -> None:
    """Let matplotlib lay out a formula, unless it has environments, which mathtext lacks, or is very long."""
    mathtext = pytest.importorskip("matplotlib.mathtext")
    if r"\begin" in text or len(text) > LONGEST:
        return
    for word, other in OTHER_WORDS.items():
        text = text.replace(word, other)
    mathtext.MathTextParser("path").parse(f"${text}$")
