"""What a model that was trained elsewhere gave back, as a prediction: labels, probabilities or numbers.

Shape suffixes:
    N  rows    C  classes or labels    D  width of a vector
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueweight.data.cells import ReadOptions
from trueweight.data.frames import arrow_array
from trueweight.data.levels import level_numbers
from trueweight.data.parse_texts import read_levels
from trueweight.data.signature import ColumnFacts
from trueweight.errors import DataError
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction, VectorPrediction

__all__ = ["Output", "gives_labels", "prediction_of", "texts_of"]

ROUNDING = 1e-3
"""How far probabilities may be from summing to 1: float16 and rounded outputs come so near."""

MOST_AT_ODDS = 0.01
"""Share of rows whose own label may differ from the class of the largest probability: ties and thresholds."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a model gave for one target."""

    values: Any
    """Labels (N,), probabilities (N,) or (N, C), or numbers; anything that NumPy reads."""
    classes: tuple[str, ...] | None = None
    """Order of the probabilities' columns, where the model says it."""
    labels: Any = None
    """Labels (N,) that the model gave beside its probabilities."""


def texts_of(labels: Any) -> list[str]:
    """Labels as they are written in answers: 1 for 1.0, true for True."""
    cells = read_levels(arrow_array(labels), ReadOptions(()))
    return [cells.levels[code] if code >= 0 else "" for code in cells.code_N]


def gives_labels(output: Output, kind: str) -> bool:
    """Whether a model of classes answers with labels alone, so that nothing can be said of its probabilities."""
    values = _array(output.values)
    return kind in ("binary", "category") and values.ndim == 1 and values.dtype.kind != "f"


def prediction_of(output: Output, facts: ColumnFacts, rows: int, *, threshold: float = 0.5) -> Prediction:
    """An output as a prediction.

    Args:
        output: Of the model.
        facts: Of the target: its type and, of classes, their names.
        rows: How many were asked about.
        threshold: From which probability the positive one of two classes is answered.

    Raises:
        DataError: The output has another shape than the target's type asks for, or is no probability.
    """
    values = _array(output.values)
    if values.ndim == 0 or len(values) != rows:
        raise _wrong(facts, f"{rows} rows were asked about, and the output has the shape {values.shape}")
    if values.ndim > 2:
        raise _wrong(facts, f"the output has the shape {values.shape}", "give one row of numbers for each row")
    if facts.type == "number":
        return NumberPrediction(_floats(values, facts, 1))
    if facts.type == "vector":
        return VectorPrediction(_floats(values, facts, 2))
    if facts.type == "set":
        labels = output.classes or tuple(facts.learnt["labels"])
        wide = _floats(values, facts, 2)
        _require_width(wide, labels, facts)
        order = level_numbers(facts.learnt["labels"], labels)
        return SetPrediction(wide[:, order], tuple(facts.learnt["labels"]))
    return _classes(output, values, facts, threshold)


def _array(values: Any) -> np.ndarray:
    """Frames and tensors too; a column of one number a row is that number."""
    array = np.asarray(values)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _floats(values: np.ndarray, facts: ColumnFacts, axes: int) -> np.ndarray:
    if values.ndim == 1 and axes == 2:
        values = values[:, None]
    if values.ndim != axes or values.dtype.kind not in "fiub":
        said = f"the output has the shape {values.shape} and the type {values.dtype}"
        raise _wrong(facts, said, f"give {'a number' if axes == 1 else 'a row of numbers'} for each row")
    return values.astype(np.float64)


def _classes(output: Output, values: np.ndarray, facts: ColumnFacts, threshold: float) -> Prediction:
    names = tuple(facts.learnt["classes"])
    asked = output.classes or names
    binary = facts.type == "binary"
    if values.ndim == 1 and values.dtype.kind == "f" and binary:
        if (wild := values[np.isfinite(values) & ((values < -ROUNDING) | (values > 1 + ROUNDING))]).size:
            hint = "give probabilities; logits need a sigmoid. For amounts say targets.NAME.type=number"
            raise _wrong(facts, f"{wild[0]:.4g} is no probability", hint.replace("NAME", facts.name))
        positive = np.clip(values, 0.0, 1.0).astype(np.float64)
        wide = np.stack([1 - positive, positive], axis=1)
    elif values.ndim == 1:
        wide = _one_hot(values, asked, facts)
    else:
        wide = _probabilities(values, asked, facts)
    if output.labels is not None and values.ndim == 2:
        _require_agreement(wide, asked, output.labels, facts)
    wide = _in_order(wide, asked, names)
    return ClassPrediction(wide, names, binary=binary, threshold=threshold)


def _one_hot(values: np.ndarray, classes: Sequence[str], facts: ColumnFacts) -> np.ndarray:
    texts = texts_of(values)
    place_N = level_numbers(texts, classes)
    if (place_N < 0).any():
        said = f"the model answered {texts[int(np.flatnonzero(place_N < 0)[0])]!r}"
        known = ", ".join(map(repr, classes[:8]))
        raise _wrong(facts, f"{said}, and the classes are {known}", "name all of the model's classes with classes")
    return np.asarray(np.eye(len(classes))[place_N])


def _probabilities(values: np.ndarray, classes: Sequence[str], facts: ColumnFacts) -> np.ndarray:
    _require_width(values, classes, facts)
    wide = _floats(values, facts, 2)
    total_N = wide.sum(1)
    known_N = np.isfinite(total_N)
    odd_N = known_N & ((wide < -ROUNDING).any(1) | (np.abs(total_N - 1) > ROUNDING))
    if odd_N.any():
        row = int(np.flatnonzero(odd_N)[0])
        said = f"row {row + 1} sums to {total_N[row]:.4g}" + (", with a negative part" if wide[row].min() < 0 else "")
        raise _wrong(facts, said, "give probabilities; logits need a softmax")
    wide = np.maximum(wide, 0.0)
    return np.asarray(wide / np.where(known_N, wide.sum(1), 1.0)[:, None])


def _require_width(values: np.ndarray, classes: Sequence[str], facts: ColumnFacts) -> None:
    if values.ndim != 2 or values.shape[1] != len(classes):
        known = ", ".join(map(repr, classes[:8])) + (", …" if len(classes) > 8 else "")
        said = f"the output has the shape {values.shape}, and there are {len(classes)} classes in the rows: {known}"
        raise _wrong(facts, said, "name the model's classes, in the order of its columns, with classes")


def _require_agreement(wide: np.ndarray, classes: Sequence[str], labels: Any, facts: ColumnFacts) -> None:
    """The model's own labels must be those of its largest probabilities, or the columns mean something else."""
    own_N = level_numbers(texts_of(_array(labels)), classes)
    odd_N = own_N != wide.argmax(1)
    if odd_N.mean() > MOST_AT_ODDS:
        row = int(np.flatnonzero(odd_N)[0])
        said = f"the model's label for row {row + 1} is {texts_of(_array(labels))[row]!r}, its largest probability is"
        hint = "name the model's classes, in the order of its columns, with classes"
        raise _wrong(facts, f"{said} that of {classes[int(wide[row].argmax())]!r}", hint)


def _in_order(wide: np.ndarray, classes: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Columns of the model's classes as the signature orders them."""
    place = level_numbers(list(names), classes)
    return np.where(place[None, :] >= 0, wide[:, place], 0.0)


def _wrong(facts: ColumnFacts, said: str, hint: str = "") -> DataError:
    return DataError(f"the model's answers for {facts.name!r} ({facts.type}): {said}", hint=hint)
