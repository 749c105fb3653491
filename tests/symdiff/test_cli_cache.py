"""`python -m symdiff cache`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.codegen.test_kernel_store import stored

TOP = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "symdiff", "cache", *arguments], cwd=TOP, capture_output=True, text=True)


def test_command(tmp_path: Path) -> None:
    folder = tmp_path / "kernels"
    at = ("--folder", str(folder))
    assert "kernels: 0" in run(*at).stdout
    with stored(folder, 4):
        pass
    assert "kernels: 4\nbytes: 4,000 of" in run("show", *at).stdout
    only_one = sorted(folder.iterdir())[1]
    only_one.write_bytes(only_one.read_bytes()[:-1])
    done = run("verify", *at)
    assert done.returncode == 1 and f"damaged: {only_one}: it holds" in done.stdout
    assert "removed: 2 kernels, 2,000 bytes\nkernels: 2" in run("prune", "--size", "2K", *at).stdout
    assert "kernels: 0" in run("prune", "--all", *at).stdout
    done = run("show", "--all", *at)
    assert done.returncode == 2 and "takes no size" in done.stderr
    assert "no number of bytes" in run("prune", "--size", "many", *at).stderr
    folder.chmod(0o777)
    done = run("verify", *at)
    assert done.returncode == 2 and "other users may write to the folder" in done.stderr
