"""Golden files, reviewable text that a test must reproduce, renewed with `pytest --update-golden`; settings of all tests."""

import atexit
import difflib
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Programs are checked between passes in every test.
os.environ.setdefault("SYMDIFF_CHECK", "1")
# Kernels are kept in a folder of this run, never in that of the user; workers share the one of the process that began.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["SYMDIFF_CACHE_DIR"] = tempfile.mkdtemp(prefix="symdiff-tests-")
    atexit.register(shutil.rmtree, os.environ["SYMDIFF_CACHE_DIR"], ignore_errors=True)
GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")


@pytest.fixture(scope="module", autouse=True)
def _old_objects_are_not_searched() -> Iterator[None]:
    """What a module of tests leaves alive (compiled functions of Numba, gigabytes in the end) is not searched for garbage again."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)` compares `text` with tests/golden/<name>, or writes it there when updating."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        text = text.rstrip("\n") + "\n"
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            return
        if not path.exists():
            pytest.fail(f"no golden file tests/golden/{name}; write it with --update-golden", pytrace=False)
        expected = path.read_bytes().decode()
        if text != expected:
            lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm="")
            pytest.fail("\n".join(lines) + "\nif the new text is right: pytest --update-golden", pytrace=False)

    return compare
