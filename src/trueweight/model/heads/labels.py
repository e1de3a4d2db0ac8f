"""What heads with classes share: which classes there are, which is which, and what they weigh.

Shape suffixes:
    N  rows
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator, Field

from trueweight.data.cells import Cells, LevelCells, ReadOptions
from trueweight.data.levels import level_numbers
from trueweight.errors import DataError, SpecError
from trueweight.metrics.words import counted
from trueweight.registry import registry

__all__ = [
    "ClassWeight", "Label", "class_index", "class_weights", "find_label", "level_cells", "natural_order",
    "read_as", "refuse_few", "shares", "tally",
    "weighted",
]  # fmt: skip


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value


Label = Annotated[str, BeforeValidator(_text)]
"""A class as it is written in the data; YAML's ``1`` and ``true`` count as texts."""

ClassWeight = Literal["none", "balanced"] | dict[Label, Annotated[float, Field(gt=0, allow_inf_nan=False)]]


def read_as(column: str, raw: pa.ChunkedArray, options: ReadOptions, **fields: Any) -> Cells:
    """Read raw label cells as a column type does."""
    part: Any = registry("column")[column]
    cells: Cells = part.model_validate({"type": column, **fields}).read(raw, options)
    return cells


def level_cells(cells: Cells) -> LevelCells:
    """The cells, known to be texts with repeats."""
    if not isinstance(cells, LevelCells):
        raise TypeError(f"labels must be LevelCells, not {type(cells).__name__}")
    return cells


def tally(cells: LevelCells, rows: np.ndarray) -> dict[str, int]:
    """How many of these rows hold each level; levels that none holds are left out."""
    codes = cells.code_N[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(cells.levels))
    return {level: int(count) for level, count in zip(cells.levels, counts, strict=True) if count}


def weighted(
    counts: Mapping[str, int], cells: LevelCells, rows: np.ndarray, weight_N: np.ndarray | None
) -> Mapping[str, float]:
    """The counts as they would be if each row counted as its weight says; they add up to the same number."""
    if weight_N is None:
        return counts
    codes, weights = cells.code_N[rows], weight_N[rows]
    known = codes >= 0
    mass = np.bincount(codes[known], weights[known], minlength=len(cells.levels))
    scale = sum(counts.values()) / mass.sum()
    return {level: float(m * scale) for level, m in zip(cells.levels, mass, strict=True) if level in counts}


def refuse_few(counts: Mapping[str, int], rows: int, name: str, least: int = 2) -> None:
    """Raise where classes cannot be learnt.

    Args:
        counts: Training rows of each class.
        rows: All training rows.
        name: Of the target.
        least: Fewest rows that a class may have.

    Raises:
        DataError: No label, one class alone, or a class with too few rows.
    """
    where = f"targets.{name}"
    if not counts:
        said = f"all {rows} training rows of {name!r} have no label"
        raise DataError(said, where=where, hint="is it the right column?")
    if len(counts) == 1:
        only, count = next(iter(counts.items()))
        raise DataError(
            f"{name!r} is {only!r} in all {count} labelled training rows: there is nothing to learn",
            where=where,
            hint="choose another target, or add rows of another class",
        )
    if single := [level for level, count in counts.items() if count < least]:
        found = "one training row" if counts[single[0]] == 1 else f"{counts[single[0]]} training rows"
        others = counted(len(single) - 1, "more class has", "more classes have")
        more = f", and {others} fewer than {least}" if len(single) > 1 else ""
        raise DataError(
            f"class {single[0]!r} of {name!r} has only {found}{more}",
            where=where,
            hint="add rows of that class, merge it with another, or empty its label",
        )


def natural_order(labels: Sequence[str]) -> list[str]:
    """By number if all are numbers, else by alphabet."""
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)


def find_label(asked: str, labels: Sequence[str]) -> str | None:
    """The label that is meant: the same text, or the same but for capitals."""
    return asked if asked in labels else next((label for label in labels if label.lower() == asked.lower()), None)


def class_index(cells: LevelCells, classes: Sequence[str]) -> np.ndarray:
    """Class number of each row, (N,) int64; -1 for a level that is none of them, -2 where missing.

    Other spellings of the same number or truth value count as the class, as they do in features.
    """
    table = np.append(level_numbers(cells.levels, classes), -2)
    return np.asarray(table[cells.code_N])  # code -1 picks the last


def class_weights(asked: ClassWeight, classes: Sequence[str], counts: Sequence[int]) -> list[float]:
    """Factor of each class in the loss, 1 on average over training rows so that learning rates keep their meaning.

    "balanced" is scikit-learn's: inverse to the class's frequency.

    Raises:
        SpecError: A weight for a class that there is none of.
    """
    if asked == "none":
        return [1.0] * len(classes)
    if isinstance(asked, dict):
        named = {find_label(label, classes): weight for label, weight in asked.items()}
        if None in named:
            unknown = next(label for label in asked if find_label(label, classes) is None)
            shown = ", ".join(map(repr, classes[:8]))
            raise SpecError(f"class_weight names {unknown!r}, which is no class", hint=f"there is {shown}")
        raw = np.array([named.get(label, 1.0) for label in classes])
    else:
        raw = 1.0 / np.array(counts, dtype=np.float64)
    mean = float((raw * counts).sum() / sum(counts))
    return [float(weight) / mean for weight in raw]


def shares(classes: Sequence[str], counts: Sequence[int], *, most: int = 4) -> str:
    """ "yes 38 %, no 62 %": the largest first."""
    order = sorted(range(len(classes)), key=lambda c: -counts[c])
    words = [f"{classes[c]} {100 * counts[c] / sum(counts):.0f} %" for c in order[:most]]
    return ", ".join([*words, *(["…"] if len(classes) > most else [])])
