"""The examples and the command line run as a user runs them, warnings being errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from symdiff.cli import main

TOP = Path(__file__).parents[1]
EXAMPLES = sorted((TOP / "examples").glob("*.py"))
MODEL = """
import symdiff as sd

X, y, w = sd.symbol("X", ("n", "d")), sd.symbol("y", "n"), sd.symbol("w", "d")
loss = ((X @ w - y) ** 2).mean()
number = 3
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python."""
    paths = [str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run([sys.executable, *arguments], cwd=TOP, env=environment, capture_output=True, text=True,
                          timeout=300, encoding="utf-8")


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.py"
    path.write_text(MODEL, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path) -> None:
    done = run("-W", "error", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_demo() -> None:
    done = run("-W", "error", "-m", "symdiff", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("ridge", "logistic", "spector", "xor"):
        assert f"{name:<10} every number reached" in done.stdout
    for text in ("∇²w L", "complex step", "def range_0", "plain NumPy", "solved from", "published"):
        assert text in done.stdout


def test_demo_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "sklearn.py").write_text("raise ImportError('not here')", encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from symdiff.cli import main; sys.exit(main(['demo', 'ridge']))"
    done = run("-c", code)
    assert done.returncode == 1
    assert "scikit-learn is not installed" in done.stdout
    assert "pip install 'symdiff[examples]'" in done.stdout


@pytest.mark.parametrize(("arguments", "expected"), [
    (["derive", "MODEL:loss", "--wrt", "w"], "∇²w L = 2 Xᵀ X / n"),
    (["derive", "MODEL:loss", "--wrt", "w", "--order", "1"], "∇w L"),
    (["derive", "MODEL:loss", "--wrt", "w", "--style", "latex"], r"\frac"),
    (["derive", "MODEL:loss", "--wrt", "w", "--style", "numpy"], "def "),
    (["explain", "MODEL:loss", "--wrt", "w"], "passes over the data"),
    (["explain", "MODEL:loss", "--source"], "@njit"),
    (["check", "MODEL:loss", "--wrt", "w"], "complex step"),
    (["check", "MODEL:loss", "--target", "reference", "--order", "1"], "reference"),
    (["bench", "6", "--peers", "numpy", "--rounds", "1"], "XOR net"),
    (["cache"], "kernels: "),
    (["cache", "verify"], "damaged: 0"),
    (["cache", "prune", "--size", "64M"], "removed: 0"),
    *[([verb, "--help"], "usage:") for verb in ("demo", "derive", "explain", "check", "bench", "cache")],
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_command(arguments: list[str], expected: str, model: str) -> None:
    done = run("-m", "symdiff", *[a.replace("MODEL", model) for a in arguments])
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


@pytest.mark.parametrize(("arguments", "expected"), [
    (["derive", "MODEL:los"], "nothing called los"),
    (["derive", "MODEL:number"], "int, not an expression"),
    (["derive", "MODEL"], "is not FILE.py:NAME"),
    (["derive", "absent.py:loss"], "no file absent.py"),
    (["derive", "MODEL:loss", "--wrt", "v"], "no symbol 'v'"),
    (["check", "MODEL:loss", "--at", "absent.npz"], "no file absent.npz"),
    (["check", "MODEL:loss", "--at", "pyproject.toml"], "holds no values by name"),
    (["check", "MODEL:loss", "--target", "nubma"], "did you mean 'numba'"),
    (["check", "MODEL:loss", "--seed", "-1"], "'-1' is not an integer of at least 0"),
    (["demo", "--seeds", "0"], "'0' is not an integer of at least 1"),
    (["derive", "pyproject.toml:loss"], "pyproject.toml is no Python file"),
    (["demo", "rigde"], "no demo model 'rigde'"),
    (["bench", "xor"], "'xor' is no line"),
    (["bench", "--peers", "jaxx"], "'jaxx' is no peer"),
    (["cache", "--all"], "cache show takes no size"),
    (["explain", "MODEL:loss", "--target", "abacus"], "abacus"),
    ([], "usage:"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_use(arguments: list[str], expected: str, model: str) -> None:
    done = run("-m", "symdiff", *[a.replace("MODEL", model) for a in arguments])
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_bench_needs_a_clone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr("symdiff.cli.TOP", tmp_path)
    assert main(["bench", "--rounds", "1"]) == 2
    assert "the benchmarks are not part of an installed symdiff" in capsys.readouterr().err


@pytest.mark.parametrize(("source", "arguments", "expected"), [
    ("k = sd.symbol('k', 3, 'int64'); f = sd.sum(k * 1.5)", ["derive", "--wrt", "k"], "k has dtype int64"),
    ("f = sd.symbol('x', 3) * 2", ["derive"], "needs a scalar"),
    ("f = sd.symbol('a') + sd.sum(sd.symbol('a', 3))", ["derive"], "two symbols have the name a"),
    ("f = sd.sum(sd.log(-sd.symbol('x', 3, positive=True)))", ["check"], "nan at this point"),
    ("f = (", ["derive"], "is not Python"),
])
def test_faults_in_the_file_show_no_line_of_ours(source: str, arguments: list[str], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(f"import symdiff as sd\n{source}\n", encoding="utf-8")
    done = run("-m", "symdiff", arguments[0], f"{path}:f", *arguments[1:])
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr and "frozen" not in done.stderr


@pytest.mark.parametrize("name", ["one.npy", "objects.npz", "broken.npz"])
def test_files_that_hold_no_values(model: str, tmp_path: Path, name: str) -> None:
    import numpy as np
    np.save(tmp_path / "one.npy", np.ones(3))
    np.savez(tmp_path / "objects.npz", X=np.array([None, "a"], object))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 and no more")
    done = run("-m", "symdiff", "check", f"{model}:loss", "--at", str(tmp_path / name))
    assert done.returncode == 2
    assert "holds no values by name" in done.stderr and "Traceback" not in done.stderr


def test_check_reads_values(model: str, tmp_path: Path) -> None:
    import numpy as np
    np.savez(tmp_path / "at.npz", X=np.eye(3), y=np.ones(3), w=np.arange(3.0))
    done = run("-m", "symdiff", "check", f"{model}:loss", "--at", str(tmp_path / "at.npz"))
    assert done.returncode == 0, done.stderr


def test_a_terminal_that_knows_ascii_alone_gets_formulas(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import symdiff as sd\nmu = sd.symbol('mu')\nloss = sd.exp(mu) ** 2\n")
    command = [sys.executable, "-m", "symdiff", "derive", "model.py:loss"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(TOP)}
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=True)
    assert "2 e" in found.stdout and not found.stderr and found.stdout.isascii()
