"""Pairs of texts to choose defaults on: summary lines of docstrings from what follows them, of packages that are there.

    python -m benchmarks docstrings .venv-rivals/lib/python3.11/site-packages docstrings.csv

Nothing is run or imported: files are parsed. A row is ``source`` (the docstring behind its first paragraph, its first
900 characters), ``target`` (the first paragraph, 15 to 120 characters of ASCII) and ``part``; no source comes twice.
What is found depends on the versions that are installed, and so do the numbers. Docstrings of one package resemble each
other, and may lie on both sides of the split.
"""

import argparse
import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

ROWS, TEST, VALIDATION = 30_000, 1000, 400
LETTERS, SOURCE = (15, 120), (120, 900)
DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)


def pairs(folder: Path) -> Iterator[tuple[str, str]]:
    """What follows a summary line, and that line, of everything that is documented below a folder."""
    for file in sorted(folder.rglob("*.py")):
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError, RecursionError):  # tests of parsers hold such files
            continue
        for node in ast.walk(tree):
            if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
                head, _, body = text.partition("\n\n")
                yield body.strip()[: SOURCE[1]], " ".join(head.split())


def rows_of(folder: Path) -> pd.DataFrame:
    """Of all pairs that are long enough, so many drawn at random."""
    found = {s: t for s, t in pairs(folder) if len(s) >= SOURCE[0] and LETTERS[0] <= len(t) <= LETTERS[1]}
    table = pd.DataFrame(found.items(), columns=["source", "target"])
    table = table[table.target.str.isascii()].sample(frac=1, random_state=0)[:ROWS].reset_index(drop=True)
    parts = ["test"] * TEST + ["validation"] * VALIDATION
    return table.assign(part=[*parts, *["train"] * len(table)][: len(table)])


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    rows_of(chosen.packages).to_csv(chosen.out, index=False)


if __name__ == "__main__":
    main()
