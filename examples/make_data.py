"""Write the small data that the examples and the documentation use, from what scikit-learn and its needs ship.

    python examples/make_data.py FOLDER

Tables are made here, pictures, texts, series and a mixed table by the files beside this one. The same bytes every time:
what is drawn is drawn from a fixed seed, so that results can be compared.
"""

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from make_mixed import write_mixed
from make_pictures import write_pictures
from make_series import write_series
from make_texts import write_texts
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

CULTIVARS = ("Barolo", "Grignolino", "Barbera")
HELD_BACK = 5
"""Every fifth row is kept for later, so that there is something that no model has seen."""


def main(folder: Path) -> None:
    """Fill ``folder``; see the comments for what each file is for."""
    folder.mkdir(parents=True, exist_ok=True)
    _three_files(folder, "tumours", *tumours(), target="diagnosis")
    _three_files(folder, "wine", *wine(), target="cultivar")
    _three_files(folder, "diabetes", *diabetes(), target="progression")
    _write(folder / "wine-two-targets.csv", *wine_with_gaps())
    _write(folder / "tumours-with-parts.csv", *tumours_with_parts())
    _write(folder / "line.csv", *line())
    _write(folder / "line-new.csv", ("x1", "x2"), [(0, 0), (1, 0), (0, 1)])
    for write in (write_pictures, write_texts, write_series, write_mixed):
        write(folder)


def tumours() -> tuple[list[str], list[list[Any]]]:
    """569 tumours, 30 measurements of their cells, benign or malignant (Wolberg et al. 1995)."""
    data = load_breast_cancer()
    names = [name.replace(" ", "_") for name in data.feature_names]
    words = [data.target_names[number] for number in data.target]
    return [*names, "diagnosis"], [[*row, word] for row, word in zip(data.data.tolist(), words, strict=True)]


def wine() -> tuple[list[str], list[list[Any]]]:
    """178 Italian wines of three cultivars, 13 chemical measurements each (Forina et al. 1991)."""
    data = load_wine()
    names = [name.replace("/", "_") for name in data.feature_names]
    words = [CULTIVARS[number] for number in data.target]
    return [*names, "cultivar"], [[*row, word] for row, word in zip(data.data.tolist(), words, strict=True)]


def diabetes() -> tuple[list[str], list[list[Any]]]:
    """442 patients: age, sex, body mass, blood; how far the disease went in a year (Efron et al. 2004)."""
    data = load_diabetes(scaled=False)
    return [*data.feature_names, "progression"], [
        [*row, value] for row, value in zip(data.data.tolist(), data.target.tolist(), strict=True)
    ]


def wine_with_gaps() -> tuple[list[str], list[list[Any]]]:
    """The wines again, some without their cultivar and some without their alcohol: labels are often missing."""
    names, rows = wine()
    cultivar, alcohol = names.index("cultivar"), names.index("alcohol")
    for number, row in enumerate(rows):
        if number % 7 == 0:
            row[cultivar] = ""
        if number % 5 == 0:
            row[alcohol] = ""
    return names, rows


def tumours_with_parts() -> tuple[list[str], list[list[Any]]]:
    """The tumours with a column that says which rows train, validate and test."""
    names, rows = tumours()
    parts = ("train", "train", "train", "validation", "test")
    return [*names, "part"], [[*row, parts[number % 5]] for number, row in enumerate(rows)]


def line() -> tuple[list[str], list[list[Any]]]:
    """200 points of a plane: y = 3 x1 - 2 x2 + 7, to the last digit."""
    points = [((7 * n) % 40 / 4, (11 * n) % 60 / 4) for n in range(200)]
    return ["x1", "x2", "y"], [[a, b, 3 * a - 2 * b + 7] for a, b in points]


def _three_files(folder: Path, name: str, names: Sequence[str], rows: Sequence[Sequence[Any]], *, target: str) -> None:
    """``NAME.csv`` to train from, ``later-NAME.csv`` with the answers, ``new-NAME.csv`` without them."""
    later = [row for number, row in enumerate(rows) if number % HELD_BACK == HELD_BACK - 1]
    _write(folder / f"{name}.csv", names, [row for n, row in enumerate(rows) if n % HELD_BACK != HELD_BACK - 1])
    _write(folder / f"later-{name}.csv", names, later)
    kept = [place for place, column in enumerate(names) if column != target]
    _write(folder / f"new-{name}.csv", [names[p] for p in kept], [[row[p] for p in kept] for row in later[:5]])


def _write(path: Path, names: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([[f"{cell:g}" if isinstance(cell, float) else cell for cell in row] for row in rows])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
