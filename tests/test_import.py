"""`import symdiff` loads NumPy and nothing heavier, and each package can be imported first."""

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
HEAVY = ("numba", "llvmlite", "sympy", "scipy", "matplotlib", "sklearn", "pandas", "codegen")


def run_python(code: str) -> str:
    """What a fresh Python prints when it runs `code`."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light() -> None:
    code = f"import sys, symdiff; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    assert run_python(code).split() == []


def test_import_time_is_reported() -> None:
    """Timings depend on the machine, so the time is printed (pytest -s) and only its being measured is asserted."""
    code = "import time, numpy; t = time.perf_counter(); import symdiff; print(time.perf_counter() - t)"
    seconds = min(float(run_python(code)) for _ in range(5))
    print(f"import symdiff: {1000 * seconds:.0f} ms beyond NumPy")
    assert seconds > 0


@pytest.mark.parametrize("first", ["symdiff", "symdiff.expression", "codegen", "codegen.compiler"])
def test_any_package_may_be_imported_first(first: str) -> None:
    run_python(f"import {first}, symdiff, codegen")
