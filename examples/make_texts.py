"""Texts that ship with what scikit-learn needs: paragraphs of documentation, and their subject.

Called by ``make_data.py``. The sources are read as text, not imported: what a paragraph says depends on the versions
that are installed and on nothing else.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SUBJECTS = {
    "metrics": ("sklearn", "metrics"),
    "optimization": ("scipy", "optimize"),
    "signals": ("scipy", "signal"),
    "sparse matrices": ("scipy", "sparse"),
}
"""Subject to the package and folder whose documentation is about it."""

SHORTEST = 60
"""Characters."""

PROSE = 0.8
"""Least share of letters and spaces: tables, formulas and code have fewer."""


def write_texts(folder: Path) -> None:
    """``paragraphs.parquet``: text, subject, and the function or class that it documents."""
    texts, subjects, places = zip(*paragraphs(), strict=True)
    pq.write_table(pa.table({"text": texts, "subject": subjects, "documents": places}), folder / "paragraphs.parquet")


@cache
def paragraphs() -> Sequence[tuple[str, str, str]]:
    """About 2,000 paragraphs of prose, each once: (text, subject, what it documents)."""
    found: dict[str, tuple[str, str, str]] = {}
    for subject, (package, part) in SUBJECTS.items():
        for place, doc in _docstrings(package, part):
            for text in _prose(doc):
                found.setdefault(text, (text, subject, place))
    return list(found.values())


def _docstrings(package: str, part: str) -> Iterator[tuple[str, str]]:
    root = Path(find_spec(package).origin).parent / part
    for file in sorted(root.rglob("*.py")):
        if "tests" in file.parts:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in _definitions(tree):
            if doc := ast.get_docstring(node):
                yield f"{package}.{part}.{file.stem}.{node.name}", doc


def _definitions(node: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Functions, classes and methods; what is defined inside functions is left out."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield child
        if isinstance(child, ast.ClassDef):
            yield from _definitions(child)


def _prose(doc: str) -> Iterator[str]:
    """What stands above the first heading and below "Notes", paragraph by paragraph."""
    above, *sections = re.split(r"\n([A-Z][A-Za-z ]+)\n-{3,}\n", doc)
    notes = [text for heading, text in zip(sections[::2], sections[1::2], strict=True) if heading == "Notes"]
    for piece in re.split(r"\n\s*\n", "\n\n".join([above, *notes])):
        text = " ".join(piece.split())
        letters = sum(character.isalpha() or character == " " for character in text)
        code = ">>>" in text or text.startswith(("..", "- ", "* "))
        if len(text) >= SHORTEST and letters >= PROSE * len(text) and not code:
            yield text
