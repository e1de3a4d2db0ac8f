"""Imports point downwards only. The list is the architecture (docs/architecture.md); change it on purpose."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "trueweight"

LAYERS = [  # top first; parts on one line must not import each other
    {"__main__", "__init__"},
    {"cli", "estimator"},  # both are faces of api: words on a terminal, and scikit-learn's protocol
    {"api"},
    {"serve", "federated"},
    {"bundle"},
    {"report"},
    {"explain", "compress", "planner", "tune"},  # a search fits and selects; it judges nothing
    {"evaluate"},
    {"train"},
    {"model", "privacy"},
    {"data", "nn"},
    {"recipes", "metrics"},
    {"execute"},
    {"evidence"},
    {"spec"},
    {"registry", "files", "progress", "seeds"},
    {"errors"},
]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
PUBLIC = "__init__"
"""``from trueweight import x`` means the package's own module, unless x is a part."""

FORBIDDEN_FOLDERS = {"utils", "util", "common", "helpers", "helper", "core", "base", "misc"}
MOST_LINES_OF_A_FUNCTION = 60
MOST_LINES_OF_A_FILE = 500
"""We aim at 400; between the two a reviewer asks."""


@functools.cache
def trees() -> dict[str, ast.Module]:
    """Syntax trees of all our modules by path below the package."""
    return {str(f.relative_to(PACKAGE)): ast.parse(f.read_text(), str(f)) for f in sorted(PACKAGE.rglob("*.py"))}


def part_of(module: str) -> str | None:
    """``trueweight.data.table`` -> ``data``; None for what is not ours."""
    names = module.split(".")
    if names[0] != "trueweight":
        return None
    return names[1] if len(names) > 1 else PUBLIC


def imports_of(place: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full module name of every import in a file, wherever it stands: in functions and for types too."""
    package = ["trueweight", *Path(place).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base == "trueweight":  # from trueweight import data, or from . import data
                yield from ((node.lineno, f"{base}.{a.name}" if a.name in RANK else base) for a in node.names)
            else:
                yield node.lineno, base
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value


def wrong_imports(files: dict[str, ast.Module]) -> list[str]:
    """One line for each import that does not point downwards."""
    wrong = []
    for place, tree in files.items():
        here = Path(place).parts[0].removesuffix(".py")
        for line, module in imports_of(place, tree):
            there = part_of(module)
            if there is None or there == here:
                continue
            if there not in RANK:
                wrong.append(f"{place}:{line} imports {there}, which has no layer")
            elif there == PUBLIC and here in ("cli", "__main__"):
                continue  # the version number
            elif RANK[there] <= RANK[here]:
                wrong.append(f"{place}:{line} imports {there}")
    return wrong


def test_every_part_has_a_layer() -> None:
    parts = {Path(place).parts[0].removesuffix(".py") for place in trees()}
    assert not parts - RANK.keys(), f"add to LAYERS: {sorted(parts - RANK.keys())}"


def test_imports_point_downwards() -> None:
    wrong = wrong_imports(trees())
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "line",
    [
        "import trueweight.train.loop",
        "from trueweight.train import loop",
        "from trueweight import train",
        "from ..train import loop",
        "from .. import train",
        "def f():\n    from trueweight.train.loop import x",
        "if TYPE_CHECKING:\n    from trueweight.train.loop import x",
        "importlib.import_module('trueweight.train.loop')",
        "from trueweight.nn.encoding import x",
    ],
)
def test_a_wrong_import_is_found(line: str) -> None:
    assert wrong_imports({"data/table.py": ast.parse(line)})


def test_a_right_import_is_left_alone() -> None:
    lines = "import numpy\nfrom trueweight.errors import DataError\nfrom . import cells\nfrom .cells import Cells"
    assert not wrong_imports({"data/table.py": ast.parse(lines)})


def test_there_are_no_cycles() -> None:
    """Within a part too: module imports module at the top, never around in a circle."""
    edges: dict[str, set[str]] = {}
    for place, tree in trees().items():
        module = "trueweight." + place.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        top = ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
        edges[module] = {name for _, name in imports_of(place, top) if name.startswith("trueweight.")} - {module}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for below in edges.get(module, ()):
                visit(below, (*path, module))
            done.add(module)

    for module in edges:
        visit(module, ())


def test_every_module_says_what_it_is_for() -> None:
    silent = [place for place, tree in trees().items() if not ast.get_docstring(tree)]
    assert not silent


def test_no_folder_has_a_name_that_says_nothing() -> None:
    names = {part for place in trees() for part in Path(place).parts[:-1]}
    assert not names & FORBIDDEN_FOLDERS
    assert not {Path(place).stem for place in trees()} & (FORBIDDEN_FOLDERS - {"base"})


def test_the_library_does_not_print() -> None:
    found = [
        f"{place}:{node.lineno}"
        for place, tree in trees().items()
        if not place.startswith("cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not found


FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "torchvision"}
FORBIDDEN_CALLS = {"eval", "exec", "torch.load", "torch.save", "np.load", "numpy.load", "yaml.load"}


def test_nothing_unpickles_or_evaluates() -> None:
    found = []
    for place, tree in trees().items():
        found += [f"{place}:{n} {m}" for n, m in imports_of(place, tree) if m.split(".")[0] in FORBIDDEN_MODULES]
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        found += [f"{place}:{c.lineno} {n}" for c in calls if (n := ast.unparse(c.func)) in FORBIDDEN_CALLS]
    assert not found


def test_functions_and_files_can_be_read_in_one_go() -> None:
    long = []
    for place, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                if lines > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{place}:{node.lineno} {node.name} has {lines} lines")
        lines = len((PACKAGE / place).read_text().splitlines())
        if lines > MOST_LINES_OF_A_FILE:
            long.append(f"{place} has {lines} lines")
    assert not long, "\n".join(long)


TORCH_FREE = """
import sys
from trueweight.registry import KINDS, registry
for kind in KINDS:
    for name in registry(kind):
        registry(kind)[name]
        assert "torch" not in sys.modules, f"{kind} {name!r} imports torch"
"""


def test_parts_are_imported_without_torch() -> None:
    """So that `check`, `schema` and `parts` are instant."""
    done = subprocess.run([sys.executable, "-c", TORCH_FREE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]


def test_every_declared_part_exists() -> None:
    """Every entry point names a file of ours that is there and says what it is."""
    import tomllib

    project = tomllib.loads((PACKAGE.parent.parent / "pyproject.toml").read_text())["project"]
    for group, points in project["entry-points"].items():
        for name, value in points.items():
            module, _, attribute = value.partition(":")
            place = module.removeprefix("trueweight.").replace(".", "/") + ".py"
            assert place in trees(), f"{group} {name}: no file {place}"
            classes = {n.name: n for n in trees()[place].body if isinstance(n, ast.ClassDef)}
            assert attribute in classes, f"{group} {name}: no class {attribute} in {place}"
            assert ast.get_docstring(classes[attribute]), f"{group} {name}: {attribute} has no docstring"


def test_every_kind_of_part_has_a_contract_suite() -> None:
    from trueweight.registry import KINDS

    suites = Path(__file__).parent / "contracts"
    missing = [kind for kind in KINDS if not (suites / f"test_{kind}_contract.py").is_file()]
    assert not missing, f"no contract suite for {', '.join(missing)}: parts of that kind would go untested"
