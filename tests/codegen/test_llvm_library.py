"""LLVM's library is loaded beside planning: whatever becomes of that, kernels are built."""

import os
import subprocess
import sys

import pytest

from codegen.backends import llvm_library

FORKED = """
import os, sys
import numpy as np
import symdiff as sd
x = sd.symbol("x", 3)
f = sd.compile(sd.sum(x**2), cache=False)
child = os.fork()
if not child:
    os._exit(0 if f(np.arange(3.0)) == 5.0 else 1)
assert f(np.arange(3.0)) == 5.0
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_may_be_forked_while_the_library_is_loaded() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], check=True, timeout=120)


@pytest.mark.parametrize("files", [{}, {sys.platform: "no_such_library"}])
def test_without_the_file_llvmlite_loads_it_alone(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {name: module for name, module in sys.modules.items() if name != "llvmlite"}
    monkeypatch.setattr(llvm_library, "FILES", files)
    monkeypatch.setattr(llvm_library.sys, "modules", modules)
    llvm_library.preload.__wrapped__()
    assert "llvmlite" not in modules


def test_the_reference_loads_no_compiler() -> None:
    run = "import sys, symdiff as sd; x = sd.symbol('x', 2); sd.compile(sd.sum(x), target='numpy')([1.0, 2.0]); " \
          "sys.exit('libllvmlite' in open('/proc/self/maps').read() if sys.platform == 'linux' else 'llvmlite' in sys.modules)"
    subprocess.run([sys.executable, "-c", run], check=True, timeout=120)
