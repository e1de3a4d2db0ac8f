"""Who is asked, and how: functions, scikit-learn's estimators, LightGBM, Keras, ONNX. Nothing is ever unpickled."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trueweight.data.table import Table
from trueweight.errors import DataError, TrueweightError
from trueweight.model.foreign.onnx import OnnxModel
from trueweight.model.foreign.outputs import Output, texts_of
from trueweight.model.foreign.rows import Rows

__all__ = ["Model", "known_features", "model_of"]


class Model:
    """Something that answers, whoever made it.

    Args:
        kind: What it is: "function", "estimator", "keras", "onnx".
        name: What to call it.
        run: Gives it rows and its answers back: one output, a list of them for several targets, or a mapping by target.
        classes: In the order of its probabilities' columns, for each target in order; None where it does not say.
        numbers: Whether it is known to answer numbers, not classes.
    """

    def __init__(
        self, kind: str, name: str, run: Callable[[Rows, Table, Sequence[str]], Any], *,
        classes: Sequence[Sequence[str]] | None = None, numbers: bool = False,
    ) -> None:  # fmt: skip
        self.kind, self.name, self.classes, self.numbers = kind, name, classes, numbers
        self._run = run

    def ask(
        self, rows: Rows, table: Table, targets: Sequence[str], classes: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Output]:
        """Outputs by target.

        Args:
            rows: How rows are handed over.
            table: The rows.
            targets: In order.
            classes: What the caller says of the order of columns; stronger than the model's word.

        Raises:
            DataError: The model failed, or answered for other targets.
        """
        try:
            found = self._run(rows, table, targets)
        except TrueweightError:
            raise
        except Exception as error:
            told = " ".join(str(error).split())[:300]
            given = f"it is given {_given(rows)} with the columns {', '.join(map(repr, rows.names[:8]))}"
            raise DataError(f"the model failed: {type(error).__name__}: {told}", where=self.name, hint=given) from error
        outputs = self._by_target(found, targets)
        own = dict(zip(targets, self.classes or (), strict=False))
        named = {name: tuple(classes.get(name) or one.classes or own.get(name) or ()) for name, one in outputs.items()}
        return {name: Output(one.values, named[name] or None, one.labels) for name, one in outputs.items()}

    def _by_target(self, found: Any, targets: Sequence[str]) -> dict[str, Output]:
        if isinstance(found, Mapping):
            if lost := [target for target in targets if target not in found]:
                there = ", ".join(map(repr, found))
                raise DataError(f"the model answers nothing for {lost[0]!r}, only for {there}", where=self.name)
            pairs = {target: found[target] for target in targets}
        elif len(targets) == 1:
            pairs = {targets[0]: found}
        elif isinstance(found, list | tuple) and len(found) == len(targets):
            pairs = dict(zip(targets, found, strict=True))
        else:
            hint = "give a mapping of each target to its answers"
            raise DataError(
                f"there are {len(targets)} targets, and the model gave one answer", where=self.name, hint=hint
            )
        return {name: one if isinstance(one, Output) else Output(one) for name, one in pairs.items()}


def _given(rows: Rows) -> str:
    return {"pandas": "a pandas frame", "polars": "a Polars frame", "arrays": "a mapping of arrays"}[rows.form]


def model_of(model: Any) -> Model:
    """Anything that answers: a path of an ONNX file, an estimator, a Keras model, or a function of a frame.

    Raises:
        SpecError: It is a path, and of no ONNX model.
        DataError: It cannot be asked anything.
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, str | Path):
        session = OnnxModel(Path(model))
        return Model("onnx", Path(model).name, session.ask)
    name = type(model).__name__
    if any(kind.__module__.split(".")[0] in ("keras", "tensorflow", "tf_keras") for kind in type(model).__mro__):
        return Model("keras", name, lambda rows, table, _: model.predict(_keras_rows(model, rows, table), verbose=0))
    numbers, classes = _answers_numbers(model), _classes(model)
    for method in ("predict_proba", "predict"):
        if (asked := _has(model, method)) is not None and not (numbers and method == "predict_proba"):
            return Model("estimator", name, _of_frames(asked), classes=classes, numbers=numbers)
    if callable(model):
        return Model("function", str(_has(model, "__name__") or name), _of_frames(model))
    hint = "give a function of a frame, an object with predict or predict_proba, or the path of an ONNX file"
    raise DataError(f"a {name} cannot be asked", hint=hint)


def _of_frames(asked: Callable[[Any], Any]) -> Callable[[Rows, Table, Sequence[str]], Any]:
    return lambda rows, table, _: asked(rows.of(table))


def known_features(model: Any) -> list[str] | None:
    """The columns that an estimator says it was fitted on, in its order."""
    names = _has(model, "feature_names_in_")
    return None if names is None else [str(name) for name in names]


def _has(model: Any, name: str) -> Any:
    """An attribute of an object that is not ours, None without it.

    An estimator's class may have a method that the object refuses, as a pipeline that ends in one without
    probabilities does: only trying tells.
    """
    return getattr(model, name, None)


def _answers_numbers(model: Any) -> bool:
    tags = _has(model, "__sklearn_tags__")
    return tags is not None and tags().estimator_type == "regressor"


def _classes(model: Any) -> list[list[str]] | None:
    found = _has(model, "classes_")
    if found is None or not len(found):
        return None
    several = isinstance(found, list) and isinstance(found[0], np.ndarray | list)
    return [texts_of(one) for one in (found if several else [found])]


def _keras_rows(model: Any, rows: Rows, table: Table) -> Any:
    """One matrix; or, where the model has several inputs, the columns by their names."""
    inputs = [one.name.split(":")[0] for one in model.inputs or ()]
    if len(inputs) < 2:
        return rows.matrix(table)
    columns = rows.arrays(table)
    return {name: columns[name].astype(np.float32)[:, None] if name in rows.numbers else columns[name][:, None]
            for name in inputs}  # fmt: skip
