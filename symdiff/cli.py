"""The command line: `python -m symdiff demo | derive | explain | check | bench | cache`.

`derive`, `explain` and `check` take the user's own Python file and a name in it, `model.py:loss`: the file is run, as
`python model.py` would run it, and the name must be an expression.  No text of a formula is ever evaluated.
"""

from __future__ import annotations

import argparse
import importlib
import io
import runpy
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from codegen.compiler import compile
from symdiff.cli_cache import add_cache_command
from symdiff.demo import SEEDS, run_demo
from symdiff.demo_models import MODELS
from symdiff.derivations import derive_all
from symdiff.differentiation import value_and_grad
from symdiff.errors import ArgumentMismatch, SymdiffError, TypeMismatch
from symdiff.expression import Node, Symbol
from symdiff.namesakes import refuse_doubles
from symdiff.printing import formula
from symdiff.tensor_type import FLOATING
from symdiff.traversal import symbols_of
from symdiff.verification import check_derivatives, sample_point

# The folder that holds this package; in a checkout the benchmarks lie there too.
TOP = Path(__file__).parents[1]
STYLES = ("matrix", "index", "latex", "numpy", "ascii")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 good, 1 a check failed, 2 wrong use."""
    top = parser()
    options, more = top.parse_known_args(arguments)
    options.more = more
    if more and options.command != "bench":
        top.error(f"unrecognized arguments: {' '.join(more)}")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # formulas hold letters that not every terminal knows
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(options.run(options))
    except SymdiffError as error:
        print(f"symdiff: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="python -m symdiff", description="Formulas, their derivatives, and kernels.")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    demo = commands.add_parser("demo", help="fit models on real data and show every step",
                               description="Models on real data: formulas, derivative check, kernel, fit, times.")
    demo.add_argument("models", nargs="*", metavar="model", help=f"some of {', '.join(MODELS)} (all unless given)")
    demo.add_argument("--seeds", type=whole_number(1), metavar="COUNT", default=SEEDS,
                      help=f"random starts of the net ({SEEDS} unless given)")
    demo.set_defaults(run=demo_command)

    derive = expression_command(commands, "derive", "print an expression, its gradient and its Hessian as formulas")
    derive.add_argument("--order", type=int, choices=(0, 1, 2), default=2, help="highest derivative (2 unless given)")
    derive.add_argument("--style", choices=STYLES, default="matrix", help="style of the formulas")
    derive.set_defaults(run=derive_command)

    explain = expression_command(commands, "explain", "say where each step of value and gradient goes in the kernel")
    explain.add_argument("--target", default="cpu", help="target of the kernel (cpu unless given)")
    explain.add_argument("--source", action="store_true", help="print the kernel's source too")
    explain.set_defaults(run=explain_command)

    check = expression_command(commands, "check", "compare symbolic with numeric derivatives")
    check.add_argument("--order", type=int, choices=(1, 2), default=2, help="highest derivative (2 unless given)")
    check.add_argument("--target", default="cpu", help="target of the kernel, or reference for none")
    check.add_argument("--at", metavar="FILE.npz", help="values of the symbols by name (random numbers unless given)")
    check.add_argument("--seed", type=whole_number(0), default=0, help="seed of the random numbers")
    check.set_defaults(run=check_command)

    # All that follows, --help included, is for the suite, which has a command line of its own.
    bench = commands.add_parser("bench", add_help=False, help="time kernels beside other libraries and hand-written ones "
                                                              "(needs a clone of the repository)")
    bench.set_defaults(run=bench_command)

    add_cache_command(commands)
    return top


def expression_command(commands: Any, name: str, about: str) -> argparse.ArgumentParser:
    """A command on an expression of the user's file."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=about, description=f"{about[0].upper()}{about[1:]}.",
        epilog="The file is run as Python runs it; only give files that you trust.")
    command.add_argument("expression", metavar="FILE.py:NAME", help="a Python file and the name of an expression in it")
    command.add_argument("--wrt", metavar="a,b", help="symbols to differentiate by (all floating ones unless given)")
    return command


def whole_number(least: int) -> Callable[[str], int]:
    """The type of an option that takes an integer of at least `least`."""
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least {least}")
        return int(text)
    return read


def load(text: str) -> Node:
    """The expression NAME that the user's FILE.py makes; raises `ArgumentMismatch` or `TypeMismatch`."""
    path, colon, name = text.rpartition(":")
    if not colon or not path or not name.isidentifier():
        raise ArgumentMismatch(f"{text!r} is not FILE.py:NAME", mend="write for example model.py:loss")
    if not Path(path).is_file():
        raise ArgumentMismatch(f"there is no file {path}", mend="give the path of a Python file")
    try:
        # As `python model.py` has it, modules beside the file are found.
        sys.path.insert(0, str(Path(path).resolve().parent))
        names = runpy.run_path(path) if path.endswith(".py") else None
    except SyntaxError as error:
        raise ArgumentMismatch(f"{path} is not Python: {error}", mend="give the path of a Python file") from None
    except SymdiffError:
        raise
    except Exception as error:
        raise ArgumentMismatch(f"{path} does not run: {type(error).__name__}: {error}", mend=f"try python {path}") from None
    finally:
        sys.path.pop(0)
    if names is None:
        raise ArgumentMismatch(f"{path} is no Python file", mend="give the path of a file that ends with .py")
    if name not in names:
        found = ", ".join(key for key, value in names.items() if isinstance(value, Node)) or "none"
        raise ArgumentMismatch(f"{path} makes nothing called {name}", mend=f"expressions in it: {found}")
    expression = names[name]
    if not isinstance(expression, Node):
        raise TypeMismatch(f"{name} in {path} is a {type(expression).__name__}, not an expression",
                           mend="name an expression")
    return expression


def chosen(expression: Node, names: str | None) -> list[Symbol]:
    """The symbols to differentiate by."""
    symbols = symbols_of([expression])
    refuse_doubles(symbols)
    present = {s.name: s for s in symbols}
    floating = [s for s in present.values() if s.dtype in FLOATING]
    if names is None:
        return floating
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in present:
            raise ArgumentMismatch(f"there is no symbol {name!r}", mend=f"the symbols are {', '.join(present)}")
    return [present[name] for name in wanted]


def known_models(names: Sequence[str]) -> list[str]:
    """The names, each checked."""
    for name in names:
        if name not in MODELS:
            raise ArgumentMismatch(f"there is no demo model {name!r}", mend=f"the models are {', '.join(MODELS)}")
    return list(names)


def demo_command(options: argparse.Namespace) -> int:
    """`demo`."""
    return 0 if run_demo(known_models(options.models), seeds=options.seeds) else 1


def derive_command(options: argparse.Namespace) -> int:
    """`derive`."""
    expression = load(options.expression)
    symbols = chosen(expression, options.wrt)
    derivation = derive_all(expression, symbols[0] if len(symbols) == 1 else symbols, order=options.order)
    if options.style == "matrix":
        print(derivation)
        return 0
    for label, _, node in derivation.rows():
        print(f"{label}:\n{formula(node, options.style)}\n")
    return 0


def explain_command(options: argparse.Namespace) -> int:
    """`explain`."""
    expression = load(options.expression)
    outputs = value_and_grad(expression, chosen(expression, options.wrt)) if not expression.shape else expression
    kernel = compile(outputs, target=options.target)
    print(kernel.explain())
    print()
    for key, value in kernel.stats().items():
        print(f"{key}: {value}")
    if options.source:
        print(f"\n{kernel.source}")
    return 0


def stored_values(path: str) -> dict[str, Any]:
    """The arrays of a file of `numpy.savez`; raises `ArgumentMismatch` for another file."""
    if not Path(path).is_file():
        raise ArgumentMismatch(f"there is no file {path}", mend="save values with numpy.savez")
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.lib.npyio.NpzFile):
            with stored:
                return dict(stored)
        why = "it holds one array without a name"
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        why = str(error)
    raise ArgumentMismatch(f"{path} holds no values by name: {why}",
                           mend="save arrays of numbers with numpy.savez(file, name=array)")


def check_command(options: argparse.Namespace) -> int:
    """`check`."""
    expression = load(options.expression)
    at = stored_values(options.at) if options.at else sample_point(expression, options.seed)
    try:
        print(check_derivatives(expression, chosen(expression, options.wrt), at, options.order, options.target))
    except AssertionError as error:
        print(error)
        return 1
    return 0


def bench_command(options: argparse.Namespace) -> int:
    """`bench`: the package `benchmarks` of the checkout; raises `ArgumentMismatch` where there is none."""
    if not (TOP / "benchmarks" / "__main__.py").is_file():
        raise ArgumentMismatch("the benchmarks are not part of an installed symdiff",
                               mend="run them in a clone of the repository, after pip install -e '.[bench]'")
    sys.path.insert(0, str(TOP))
    return int(importlib.import_module("benchmarks.threads").run_again(options.more))
