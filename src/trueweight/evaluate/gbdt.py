"""Boosted trees, as scikit-learn ships them, to be held against: fitted, asked, and never kept.

Ke et al. 2017, "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", is what scikit-learn's
``HistGradientBoosting`` models follow. Nothing is tuned: this is what somebody has who takes ten minutes for it.

Shape suffixes:
    N  rows    C  classes or labels    D  width of a vector
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.spill import taken
from trueweight.data.table import Table
from trueweight.errors import SpecError, TrueweightError
from trueweight.evaluate.tree_columns import TreeColumns
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction, VectorPrediction
from trueweight.metrics.truth import Truth
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way
from trueweight.seeds import stream_seed
from trueweight.train.prepare import Prepared
from trueweight.train.selection import run_truths

__all__ = ["TreesPredictor", "fit_trees", "require_trees"]

MOST_MODELS = 32
"""Labels of a set, or places of a vector, each of which takes models of its own."""


def require_trees(ready: Prepared) -> None:
    """Refuse what boosted trees cannot do here, before anything is fitted.

    Raises:
        SpecError: scikit-learn is not installed, or a target would take too many models.
    """
    _sklearn()
    for facts in ready.signature.targets():
        outputs = len(facts.learnt.get("labels", ())) or _width(facts)
        if outputs > MOST_MODELS:
            problem = f"gbdt would take {outputs} models for target {facts.name!r}, {MOST_MODELS} are the most"
            raise SpecError(problem, where="evaluate.baselines", hint="leave gbdt out")


def _width(facts: ColumnFacts) -> int:
    return len(facts.learnt["mean"]) if facts.type == "vector" else 1


def _sklearn() -> Any:
    try:
        import sklearn.ensemble
    except ImportError:
        hint = "pip install 'trueweight[sklearn]', or leave gbdt out"
        problem = "the baseline gbdt is scikit-learn's, which is not installed"
        raise SpecError(problem, where="evaluate.baselines", hint=hint) from None
    return sklearn.ensemble


@dataclass(frozen=True)
class TreesPredictor:
    """A leaf of fitted trees. It lives as long as the run: scikit-learn's models are code as much as data, and bundles
    hold no code."""

    signature: Signature
    columns: TreeColumns
    models: Mapping[str, Sequence[Any]]
    """By target: one for a class or a number, one for each label of a set or place of a vector. A number where nothing
    was to be learnt."""

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:  # noqa: ARG002
        """Answers by target."""
        matrix_NP, _ = self.columns.matrix(table)
        return {facts.name: _answer(facts, self.models[facts.name], matrix_NP) for facts in self.signature.targets()}

    def with_runtime(self, way: Way) -> "TreesPredictor":  # noqa: ARG002  # they run as they do
        """Itself."""
        return self

    def members(self) -> Sequence[Predictor]:
        """None: a leaf."""
        return ()

    def state(self) -> State:
        """Refused.

        Raises:
            TrueweightError: Always.
        """
        raise TrueweightError("the baseline gbdt is not kept: its models are code, and bundles hold none")

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "TreesPredictor":  # noqa: ARG003
        """Refused: see :meth:`state`.

        Raises:
            TrueweightError: Always.
        """
        raise TrueweightError(f"{state.kind!r} cannot be loaded: boosted trees are never kept")


def fit_trees(ready: Prepared) -> TreesPredictor:
    """Boosted trees of a run's training rows and columns.

    Raises:
        SpecError: See :func:`require_trees`.
    """
    require_trees(ready)
    rows = ready.split.train
    table = taken(ready.table, rows)
    columns = TreeColumns.of(ready, table)
    matrix_NP, levels_P = columns.matrix(table)
    options = {"categorical_features": levels_P, "random_state": stream_seed(ready.spec.seed, "gbdt") % 2**32}
    truths = run_truths(ready.signature, ready.table, ready.weight_N)
    models = {
        facts.name: _fitted(facts, matrix_NP, truths[facts.name].take(rows), options)
        for facts in ready.signature.targets()
    }
    return TreesPredictor(ready.signature, columns, models)


def _fitted(facts: ColumnFacts, matrix_NP: np.ndarray, truth: Truth, options: Mapping[str, Any]) -> list[Any]:
    ensemble, known = _sklearn(), truth.present_N
    if facts.type in ("binary", "category"):
        known = known & (truth.value >= 0)
    x_NP, weight_N = matrix_NP[known], None if truth.weight_N is None else truth.weight_N[known]
    value = _forward(facts, truth.value[known])
    classes = facts.type in ("binary", "category", "set")
    kind = ensemble.HistGradientBoostingClassifier if classes else ensemble.HistGradientBoostingRegressor
    found: list[Any] = []
    for one_N in value.reshape(len(value), -1).T:
        if (one_N == one_N[0]).all():
            found.append(float(one_N[0]))
        else:
            found.append(kind(**options).fit(x_NP, one_N, sample_weight=weight_N))
    return found


def _forward(facts: ColumnFacts, value: np.ndarray) -> np.ndarray:
    return np.log1p(value) if facts.learnt.get("transform") == "log1p" else value


def _answer(facts: ColumnFacts, models: Sequence[Any], matrix_NP: np.ndarray) -> Prediction:
    learnt = facts.learnt
    match facts.type:
        case "binary" | "category":
            probability_NC = np.zeros((len(matrix_NP), len(learnt["classes"])))
            probability_NC[:, models[0].classes_.astype(np.int64)] = models[0].predict_proba(matrix_NP)
            threshold = facts.spec.get("threshold", 0.5)
            cut = float(threshold) if isinstance(threshold, float | int) else 0.5  # else it is learnt afterwards
            return ClassPrediction(probability_NC, tuple(learnt["classes"]), facts.type == "binary", cut)
        case "set":
            member_NC = np.stack([_yes(model, matrix_NP) for model in models], axis=1)
            return SetPrediction(member_NC, tuple(learnt["labels"]), float(facts.spec["threshold"]))
    value_ND = np.stack([_value(model, matrix_NP) for model in models], axis=1)
    if facts.type == "vector":
        return VectorPrediction(value_ND)
    return NumberPrediction(np.expm1(value_ND[:, 0]) if learnt.get("transform") == "log1p" else value_ND[:, 0])


def _yes(model: Any, matrix_NP: np.ndarray) -> np.ndarray:
    if isinstance(model, float):
        return np.full(len(matrix_NP), model)
    return np.asarray(model.predict_proba(matrix_NP)[:, 1])


def _value(model: Any, matrix_NP: np.ndarray) -> np.ndarray:
    return np.full(len(matrix_NP), model) if isinstance(model, float) else np.asarray(model.predict(matrix_NP))
