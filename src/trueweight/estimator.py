"""Trueweight as scikit-learn estimators: in memory, no files, the same preparation, fitting and Predictor.

Needs scikit-learn: ``pip install 'trueweight[sklearn]'``.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from trueweight.api.starting import bodies_of
from trueweight.data.frames import from_frame
from trueweight.data.table import Table
from trueweight.errors import TrueweightError
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction
from trueweight.metrics.registry import metric
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth
from trueweight.model.protocols import Predictor
from trueweight.spec.load import parse_spec
from trueweight.spec.run import RunSpec
from trueweight.train.build import fit
from trueweight.train.prepare import prepare

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import Tags, check_consistent_length, check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as missing:  # pragma: no cover  # the extra is installed wherever tests run
    raise ImportError("trueweight.Estimator needs scikit-learn: pip install 'trueweight[sklearn]'") from missing

__all__ = ["Estimator", "Regressor", "Writer"]

ANSWER = "target of this estimator"  # a column name that no frame has by accident


class _TableEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What classifier, regressor and writer share. See :class:`Estimator` for the parameters."""

    def __init__(
        self, target: str | None = None, *, preset: Literal["fast", "standard", "best"] = "standard",
        budget: str | float | None = None, random_state: int | np.random.RandomState | None = 0,
        spec: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.target = target
        self.preset = preset
        self.budget = budget
        self.random_state = random_state
        self.spec = spec

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = False  # arrays of numbers; texts come in frames
        tags.target_tags.required = True
        return tags

    def _take_target(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Split the target column off a frame; a ``y`` given apart wins over it."""
        if self.target is None or not _is_frame(X) or self.target not in _names(X):
            if y is None and self.target is not None:
                raise ValueError(f"X has no column {self.target!r}, and no y was given")
            return X, y
        return _without(X, self.target), X[self.target] if y is None else y

    def _checked(self, X: Any, y: Any = None) -> Any:
        """X as scikit-learn wants it checked: a frame as it is, anything else as a float array."""
        reset = y is not None
        if _is_frame(X):
            validate_data(self, X, skip_check_array=True, reset=reset)
            if reset:
                check_consistent_length(X, y)
            return X
        options: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": "allow-nan", "reset": reset}
        if reset:
            return validate_data(self, X, y, ensure_min_samples=2, multi_output=True, **options)[0]
        return validate_data(self, X, **options)

    def _fit(self, X: Any, label: Any, head: dict[str, Any]) -> Self:
        table = self._table(X)
        table = replace(table, data=table.data.append_column(ANSWER, [label.tolist()]))
        try:
            spec = self._run_spec(table, head, numeric=not _is_frame(X))
            start = spec.model.start
            lent = None if start is None else bodies_of(Path(start.source))
            fitted = fit(prepare(table, spec, lent=lent), None, None, lent)
        except TrueweightError as error:
            raise ValueError(str(error)) from error
        self.predictor_: Predictor = fitted.predictor.with_runtime("double")
        self.n_iter_ = max(1, *(member.steps for member in fitted.members))
        return self

    def _run_spec(self, table: Table, head: dict[str, Any], *, numeric: bool) -> RunSpec:
        raw: dict[str, Any] = dict(self.spec or {})
        raw["seed"] = self._seed()
        raw["targets"] = {ANSWER: head}
        raw["split"] = {"test": 0} | raw.get("split", {})
        raw.setdefault("model", {})
        raw["model"] = {"preset": self.preset} | raw["model"]
        if self.budget is not None:
            train = dict(raw.get("train", {}))
            raw["train"] = train | {"budget": {**train.get("budget", {}), "time": self.budget}}
        if numeric:
            numbers = {name: {"type": "number"} for name in table.names if name != ANSWER}
            raw["features"] = numbers | raw.get("features", {})
        return parse_spec(raw)

    def _table(self, X: Any) -> Table:
        """Paths of pictures and sounds in it start where the spec says, from where we are."""
        folder = (self.spec or {}).get("data", {}).get("media_dir")
        table = from_frame(X)
        return table if folder is None else replace(table, media_dir=Path(folder))

    def _seed(self) -> int:
        state = self.random_state
        if state is None or isinstance(state, int | np.integer):
            return int(state or 0)
        return int(check_random_state(state).randint(2**31))

    def _answers(self, X: Any) -> Any:
        check_is_fitted(self)
        if self.target is not None and _is_frame(X) and self.target in _names(X):
            X = _without(X, self.target)
        return self.predictor_.predict(self._table(self._checked(X)))[ANSWER]


class Estimator(ClassifierMixin, _TableEstimator):  # type: ignore[misc]
    """A classifier with scikit-learn's interface.

    Takes frames (pandas, Polars, Arrow) with texts, dates and missing values as they are, and arrays of numbers.
    Nothing is written to disk.

    Args:
        target: Name of the target column, when ``fit`` is given one frame and no ``y``.
        preset: fast (the solved linear model), standard (a validated blend), best.
        budget: Time for fitting, seconds or ``"2m"``; None: the preset's.
        random_state: Seed of every random choice. None is 0: the same data gives the same model.
        spec: Any other part of a run spec, as plain data, e.g. ``{"split": {"group": "customer"}}``.

    Attributes:
        classes_: Labels, sorted.
        predictor_: The fitted Predictor.
        n_features_in_: Columns seen by ``fit``.
        n_iter_: Steps of the member that took most: optimiser steps, or strengths of regularisation tried.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit on rows X (N, F) and labels y (N,).

        Raises:
            ValueError: The data cannot carry a model; says why and what to do.
        """
        X, y = self._take_target(X, y)
        X = self._checked(X, y)
        y = column_or_1d(y, warn=True)
        if missing := _missing(y):
            raise ValueError(f"y contains NaN: {missing} of {len(y)} labels are missing; drop those rows")
        check_classification_targets(y)
        self.classes_, code = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"there is only one class in y: {self.classes_[0]!r}; a classifier needs two")
        head: dict[str, Any] = (
            {"type": "category"} if len(self.classes_) > 2 else {"type": "binary", "positive_class": "1"}
        )
        head["min_class_rows"] = 1  # scikit-learn's users decide that for themselves
        return self._fit(X, code.astype(str), head)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class, (N, classes), in the order of ``classes_``."""
        prediction = self._answers(X)
        assert isinstance(prediction, ClassPrediction)
        order = np.argsort([int(label) for label in prediction.classes])
        known = np.sort([int(label) for label in prediction.classes])
        full = np.zeros((len(prediction), len(self.classes_)))
        full[:, known] = prediction.probability_NC[:, order]
        return full

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row, (N,)."""
        chosen = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[chosen])

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Share of right answers on rows X (N, F) with answers y (N,); y may be a column of X that ``target`` names."""
        X, y = self._take_target(X, y)
        return float(super().score(X, y, sample_weight))


class Regressor(RegressorMixin, _TableEstimator):  # type: ignore[misc]
    """A regressor with scikit-learn's interface.

    Takes what :class:`Estimator` takes, and writes nothing to disk either.

    Args:
        target: Name of the target column, when ``fit`` is given one frame and no ``y``.
        preset: fast (the solved linear model), standard (a validated blend), best.
        budget: Time for fitting, seconds or ``"2m"``; None: the preset's.
        random_state: Seed of every random choice. None is 0: the same data gives the same model.
        spec: Any other part of a run spec, as plain data, e.g. ``{"split": {"group": "customer"}}``.

    Attributes:
        predictor_: The fitted Predictor.
        n_features_in_: Columns seen by ``fit``.
        n_iter_: Steps of the member that took most: optimiser steps, or strengths of regularisation tried.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit on rows X (N, F) and values y (N,).

        Raises:
            ValueError: The data cannot carry a model; says why and what to do.
        """
        X, y = self._take_target(X, y)
        X = self._checked(X, y)
        y = np.asarray(column_or_1d(y, warn=True), dtype=np.float64)
        if not np.isfinite(y).all():
            raise ValueError("y contains NaN or infinity: drop those rows")
        return self._fit(X, y, {"type": "number"})

    def predict(self, X: Any) -> np.ndarray:
        """The expected value of each row, (N,) float64."""
        prediction = self._answers(X)
        assert isinstance(prediction, NumberPrediction)
        return prediction.value_N

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R squared on rows X (N, F) with answers y (N,); y may be a column of X that ``target`` names."""
        X, y = self._take_target(X, y)
        return float(super().score(X, y, sample_weight))


class Writer(_TableEstimator):
    """An estimator whose answers are texts, with scikit-learn's interface: a translation, a summary.

    Takes frames as :class:`Estimator` does, and writes nothing to disk either.

    Args:
        target: Name of the target column, when ``fit`` is given one frame and no ``y``.
        preset: fast, standard, best.
        budget: Time for fitting, seconds or ``"2m"``; None: the preset's.
        random_state: Seed of every random choice. None is 0: the same data gives the same model.
        spec: Any other part of a run spec, as plain data.
        head: Options of the target, e.g. ``{"decoder": {"type": "lstm"}, "max_tokens": 40}``.

    Attributes:
        predictor_: The fitted Predictor.
        n_features_in_: Columns seen by ``fit``.
        n_iter_: Steps of the member that took most.
    """

    def __init__(
        self, target: str | None = None, *, preset: Literal["fast", "standard", "best"] = "standard",
        budget: str | float | None = None, random_state: int | np.random.RandomState | None = 0,
        spec: dict[str, Any] | None = None, head: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(target, preset=preset, budget=budget, random_state=random_state, spec=spec)
        self.head = head

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit on rows X (N, F) and texts y (N,).

        Raises:
            ValueError: The data cannot carry a model; says why and what to do.
        """
        X, y = self._take_target(X, y)
        X, y = self._checked(X, y), _texts(y)
        return self._fit(X, y, {"type": "text"} | (self.head or {}))

    def predict(self, X: Any) -> np.ndarray:
        """The text written for each row, (N,) of str."""
        prediction = self._answers(X)
        assert isinstance(prediction, TextPrediction)
        return prediction.text_N

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """chrF of what is written for rows X (N, F), 0 to 1; y (N,) may be a column of X that ``target`` names."""
        X, y = self._take_target(X, y)
        prediction, true = self._answers(X), _texts(y)
        weight_N = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        return metric("chrf").compute(prediction, Truth(true, np.ones(len(true), bool), weight_N))


def _texts(y: Any) -> np.ndarray:
    """Labels as texts.

    Raises:
        ValueError: Some are missing, or no texts.
    """
    every = np.asarray(column_or_1d(y, warn=True), dtype=object)
    wrong = sum(not isinstance(label, str) for label in every.tolist())
    if wrong:
        raise ValueError(f"{wrong} of {len(every)} values of y are no texts: drop those rows, or make them str")
    return every


def _is_frame(X: Any) -> bool:
    return type(X).__module__.split(".")[0] in ("pandas", "polars", "pyarrow")


def _missing(y: np.ndarray) -> int:
    """How many labels are None or NaN."""
    return sum(label is None or (isinstance(label, float) and math.isnan(label)) for label in y.tolist())


def _names(X: Any) -> list[str]:
    """Of a frame's columns."""
    return list(X.column_names) if type(X).__module__.startswith("pyarrow") else list(X.columns)


def _without(X: Any, name: str) -> Any:
    """The frame without one column."""
    return X.drop(columns=[name]) if type(X).__module__.startswith("pandas") else X.drop([name])
