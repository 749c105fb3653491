"""The ground plan, held by machine: floors, circles, file length, deferred imports, faces, names, environment.

Each rule is a function from a `House` to a list of faults; it is run on the project, which must have none, and on a
small house with one planted fault, which it must find.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]

# What codegen may know of symdiff: pure mathematics at or below the expression, and what rewrites it.
GROUND = (
    "symdiff.errors", "symdiff.long_calls", "symdiff.provenance", "symdiff.settings",
    "symdiff.sizes", "symdiff.bounds", "symdiff.tensor_type",
    "symdiff.notation",
    "symdiff.index_notation", "symdiff.functions", "symdiff.expression", "symdiff.normal_form", "symdiff.reference",
    "symdiff.gathers", "symdiff.loops", "symdiff.bodies",
    "symdiff.products", "symdiff.nodes", "symdiff.shared_steps", "symdiff.exponential_sums",
    "symdiff.facts", "symdiff.traversal", "symdiff.trees", "symdiff.simplification", "symdiff.binding",
    "symdiff.option_values", "symdiff.namesakes", "symdiff.pickling", "symdiff.resizing",
)
# What stands above both packages; nothing else may import it.
ROOF = ("symdiff.training", "symdiff.verification", "symdiff.demo", "symdiff.cli", "symdiff.__main__", "symdiff=")

# Who may import what of ours.  A name stands for a module, its submodules and its variants (`symdiff.cli` for
# `symdiff.cli_demo` too); with `=` for itself alone, with `.*` for its submodules alone.  The first row to fit holds.
FLOORS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    # floor          importers        may import
    ("roof",         ROOF,            ("symdiff", "codegen")),
    ("ground",       GROUND,          GROUND),
    ("codegen",      ("codegen",),    ("codegen", *GROUND)),
    ("mathematics",  ("symdiff",),    ("symdiff.*",)),
)  # fmt: skip

MAX_LINES = 400
ENVIRONMENT = {"SYMDIFF_DEBUG", "SYMDIFF_THREADS", "SYMDIFF_CHECK", "SYMDIFF_TARGET", "SYMDIFF_CACHE_DIR"}
BAD_NAME = re.compile(r"^(?!__)(.*_)?((utils?|misc|helpers?)(_|$)|(new|old)_)")
OWN = ("symdiff", "codegen")
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Import:
    """One import of one of our own modules."""

    target: str
    line: int
    deferred: bool
    typing_only: bool


class House:
    """Modules by dotted name (a package is its `__init__`), each parsed once."""

    def __init__(self, sources: dict[str, str], packages: set[str]) -> None:
        self.sources, self.packages = sources, packages
        self.trees = {name: ast.parse(text) for name, text in sources.items()}
        self.imports = {name: list(self.own_imports(name)) for name in sources}

    @classmethod
    def of_folder(cls, top: Path) -> House:
        """The modules of the packages under `top`."""
        sources, packages = {}, set()
        for path in sorted(path for package in OWN for path in (top / package).rglob("*.py")):
            parts = path.relative_to(top).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
                packages.add(".".join(parts))
            sources[".".join(parts)] = path.read_text(encoding="utf-8")
        return cls(sources, packages)

    def own_imports(self, name: str) -> Iterator[Import]:
        """The imports of our own modules in module `name`, those inside functions included."""
        for node, deferred, typing_only in visit(self.trees[name]):
            for target in self.targets(name, node):
                if target.split(".")[0] in OWN:
                    yield Import(target, node.lineno, deferred, typing_only)

    def targets(self, importer: str, node: ast.stmt) -> list[str]:
        """The modules that an import statement loads; `from package import module` loads the module."""
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if not isinstance(node, ast.ImportFrom):
            return []
        base = node.module or ""
        if node.level:
            parts = importer.split(".")
            up = node.level - (importer in self.packages)
            base = ".".join(parts[: len(parts) - up] + ([base] if base else []))
        full = [f"{base}.{alias.name}" for alias in node.names]
        return sorted({target if target in self.sources else base for target in full})


def visit(tree: ast.AST, deferred: bool = False, typing_only: bool = False) -> Iterator[tuple[ast.stmt, bool, bool]]:
    """All statements with whether they stand inside a function, and under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.stmt):
            yield child, deferred, typing_only
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for statement in child.body:
                yield statement, deferred, True
                yield from visit(statement, deferred, True)
            for statement in child.orelse:
                yield statement, deferred, typing_only
                yield from visit(statement, deferred, typing_only)
        else:
            yield from visit(child, deferred or isinstance(child, Function), typing_only)


def stands_for(pattern: str, module: str) -> bool:
    """Whether a name of the table stands for `module`."""
    if pattern.endswith("="):
        return module == pattern[:-1]
    if pattern.endswith(".*"):
        return module.startswith(pattern[:-1])
    return module == pattern or module.startswith((f"{pattern}.", f"{pattern}_"))


def stands_among(patterns: tuple[str, ...], module: str) -> bool:
    """Whether one of the names stands for `module`."""
    return any(stands_for(pattern, module) for pattern in patterns)


def floor_faults(house: House) -> list[str]:
    """Imports that the table of floors does not allow."""
    faults = []
    for name, imports in house.imports.items():
        floor, _, allowed = next(row for row in FLOORS if stands_among(row[1], name))
        for i in imports:
            from_above = floor != "roof" and stands_among(ROOF, i.target)
            if from_above or not stands_among(allowed, i.target):
                faults.append(f"{name}:{i.line} ({floor}) imports {i.target}")
    return faults


def circle_faults(house: House) -> list[str]:
    """A circle of files that import each other at run time."""
    graph = {
        name: {i.target for i in imports if not i.typing_only and i.target in house.sources}
        for name, imports in house.imports.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" <- ".join(error.args[1])]
    return []


def length_faults(house: House) -> list[str]:
    """Files that are too long."""
    lengths = {name: text.count("\n") for name, text in house.sources.items()}
    return [f"{name} has {length} lines" for name, length in lengths.items() if length > MAX_LINES]


def deferred_faults(house: House) -> list[str]:
    """Imports of our own modules inside functions, and imports by a computed name."""
    faults = [f"{n}:{i.line} defers {i.target}" for n, imports in house.imports.items() for i in imports if i.deferred]
    for name, tree in house.trees.items():
        in_face = {n for f in tree.body if name == "symdiff" and is_face_hook(f) for n in ast.walk(f)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or node in in_face:
                continue
            called = ast.unparse(node.func).split(".")[-1]
            argument = node.args[0] if node.args else None
            known = isinstance(argument, ast.Constant) and str(argument.value).split(".")[0] not in (*OWN, "")
            if called in ("import_module", "__import__") and not known:
                faults.append(f"{name}:{node.lineno} imports by a computed name, or one of ours")
    return faults


def is_face_hook(node: ast.AST) -> bool:
    """Whether this is a definition that a face may hold."""
    return isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")


def face_faults(house: House) -> list[str]:
    """Definitions in a face, and names of a face that hide one of its modules."""
    faults = []
    for name in sorted(house.packages):
        tree = house.trees[name]
        hooks = {n for f in tree.body if is_face_hook(f) for n in ast.walk(f)}
        for node in ast.walk(tree):
            if isinstance(node, (*Function, ast.ClassDef)) and node not in hooks:
                faults.append(f"{name}:{node.lineno} defines {node.name} in a face")
            if isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    shown = f"{name}.{alias.asname or alias.name}"
                    if shown in house.sources and shown != f"{node.module}.{alias.name}":
                        faults.append(f"{name}:{node.lineno} hides the module {shown}")
    return faults


def name_faults(house: House) -> list[str]:
    """Modules that bear the name of what they define, and names that say nothing."""
    faults = []
    for name, tree in house.trees.items():
        last = name.split(".")[-1]
        defined = [n for n in ast.walk(tree) if isinstance(n, (*Function, ast.ClassDef))]
        faults += [f"{name} bears the name of what it defines" for n in tree.body if n in defined and n.name == last]
        faults += [f"{name}:{n.lineno} {n.name} is no name" for n in defined if BAD_NAME.search(n.name)]
        if BAD_NAME.search(last):
            faults.append(f"{name} is no name")
    return faults


def environment_reads(tree: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    """Where the environment is read, and the expression of the variable's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            if ast.unparse(node.value) in ("os.environ", "environ"):
                yield node.lineno, node.slice
        elif isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func)
            if re.fullmatch(r"(os\.)?(getenv|environ\.(get|pop|setdefault))", called):
                yield node.lineno, node.args[0]
        elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[-1]) in ("os.environ", "environ"):
            yield node.lineno, node.left


def environment_faults(house: House) -> list[str]:
    """Environment variables beyond the five; only `symdiff.settings` may compute a variable's name."""
    faults = set()
    for name, tree in house.trees.items():
        for line, key in environment_reads(tree):
            if isinstance(key, ast.Constant):
                if key.value not in ENVIRONMENT:
                    faults.add(f"{name}:{line} reads {key.value}")
            elif name != "symdiff.settings":
                faults.add(f"{name}:{line} reads a variable by a computed name")
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and re.fullmatch(r"SYMDIFF_[A-Z_]+", text) and text not in ENVIRONMENT:
                faults.add(f"{name}:{node.lineno} reads {text}")
    return sorted(faults)


RULES: tuple[Callable[[House], list[str]], ...] = (
    floor_faults, circle_faults, length_faults, deferred_faults, face_faults, name_faults, environment_faults,
)  # fmt: skip


@pytest.fixture(scope="module")
def project() -> House:
    return House.of_folder(TOP)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_project_keeps(rule: Callable[[House], list[str]], project: House) -> None:
    faults = rule(project)
    assert not faults, f"{rule.__doc__}\n  " + "\n  ".join(faults)


def test_tests_are_short() -> None:
    lengths = {path.name: path.read_text(encoding="utf-8").count("\n") for path in TOP.glob("tests/**/*.py")}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_every_folder_has_a_face() -> None:
    folders = {path.parent for package in OWN for path in (TOP / package).rglob("*.py")}
    assert [str(f.relative_to(TOP)) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


TYPE_CHECKING = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "
PLANTED: tuple[tuple[Callable[[House], list[str]], dict[str, str]], ...] = (
    (floor_faults, {"codegen.lowering": "import symdiff"}),
    (floor_faults, {"codegen.lowering": "from symdiff.operators import shaping"}),
    (floor_faults, {"codegen.lowering": TYPE_CHECKING + "from symdiff.printing import style"}),
    (floor_faults, {"symdiff.operators": "import codegen.compiler"}),
    (floor_faults, {"symdiff.operators": "from symdiff import grad"}),
    (floor_faults, {"symdiff.simplification.phases": "from symdiff.operators import exp"}),
    (floor_faults, {"symdiff.printing.matrix": "from symdiff.training import minimize"}),
    (circle_faults, {"symdiff.a": "import symdiff.b", "symdiff.b": "def f():\n    from symdiff.a import x"}),
    (circle_faults, {"symdiff": "", "symdiff.a": "from . import b", "symdiff.b": "from .a import x"}),
    (length_faults, {"symdiff.a": "\n" * (MAX_LINES + 1)}),
    (deferred_faults, {"symdiff.training.loop": "def f():\n    import codegen.compiler"}),
    (deferred_faults, {"codegen.cache": "import importlib\ndef f(name):\n    return importlib.import_module(name)"}),
    (face_faults, {"symdiff": "def grad(): ..."}),
    (face_faults, {"symdiff": "from symdiff.nn.layers import sizes", "symdiff.sizes": ""}),
    (name_faults, {"symdiff.simplify": "def simplify(): ..."}),
    (name_faults, {"codegen.array_utils": ""}),
    (name_faults, {"codegen.arrays": "def new_shape(): ..."}),
    (environment_faults, {"symdiff.settings": "import os\nos.environ.get('SYMDIFF_EXTRA')"}),
    (environment_faults, {"codegen.cache": "import os\nos.environ['HOME']"}),
    (environment_faults, {"codegen.cache": "import os\ndef f(name): return os.getenv(name)"}),
)
ALLOWED = {
    "symdiff": f"{TYPE_CHECKING}from codegen.compiler import compile\n"
               "def __getattr__(name):\n    return importlib.import_module(HOMES[name])",
    "symdiff.sizes": "import os\nos.environ.get('SYMDIFF_DEBUG')\nos.environ['OMP_NUM_THREADS'] = '1'",
    "symdiff.cli_demo": "from codegen.compiler import compile",
    "symdiff.sympy_bridge": "def from_sympy():\n    import sympy\n    importlib.import_module('scipy.linalg')",
    "codegen.compiler": "from symdiff.sizes import Dim\nfrom symdiff.simplification.phases import simplify",
    "symdiff.simplification.phases": f"from symdiff import sizes\n{TYPE_CHECKING}from symdiff.facts import Facts",
    "symdiff.facts": "def fold_axes(): ...\nclass Fact:\n    def __new__(cls): ...",
}


def house_of(sources: dict[str, str]) -> House:
    return House(sources, {"symdiff"} & set(sources))


@pytest.mark.parametrize(("rule", "sources"), PLANTED)
def test_rule_finds_a_planted_fault(rule: Callable[[House], list[str]], sources: dict[str, str]) -> None:
    assert len(rule(house_of(sources))) == 1


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_lets_good_houses_be(rule: Callable[[House], list[str]]) -> None:
    assert rule(house_of(ALLOWED)) == []
