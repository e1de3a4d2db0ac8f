"""A target that is a set of labels: multi-label classification."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from trueweight.data.cells import Cells, ReadOptions, SetCells
from trueweight.data.column import Arrays
from trueweight.data.sample import BottomK
from trueweight.errors import DataError
from trueweight.metrics.prediction import Prediction, SetPrediction
from trueweight.metrics.truth import Truth
from trueweight.model.heads.labels import natural_order, read_as
from trueweight.recipes.tables import METRICS
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from trueweight.model.protocols import Head, Solving
    from trueweight.nn.answers import AnyOfMany
    from trueweight.nn.boosted import Boosted
    from trueweight.nn.encoding import Form

__all__ = ["SetHead"]

MIN_ROWS = 2
"""A label of fewer rows is not learnt: nothing could be said about rows other than its own."""


class SetHead(PartSpec):
    """Predicts for each label the probability that it belongs to the row's set.

    Example:
        ``topics: {type: set, separator: "|"}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {"loss": ["cross_entropy", "focal"]}

    type: Literal["set"] = "set"
    """Name of this part."""

    separator: str | None = None
    """Between the labels of a cell. Null: the set column's own choice."""

    loss: Literal["cross_entropy", "binary_cross_entropy", "focal"] = "cross_entropy"
    """Of each label on its own; cross_entropy and binary_cross_entropy are one thing here. focal pays less for
    labels that are already right."""

    gamma: Annotated[float, Field(ge=0)] = 2.0
    """Exponent of focal loss."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each label that is spread over yes and no while training by gradients."""

    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability from which a label is answered."""

    loss_weight: Annotated[float, Field(ge=0)] = 1.0
    """Share of this target in the summed loss of all."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> Cells:
        """Interpret raw label cells as the set column does."""
        return read_as("set", raw, options, **({} if self.separator is None else {"separator": self.separator}))

    def learn(
        self,
        cells: Cells,
        rows: np.ndarray,
        sample: BottomK,  # noqa: ARG002
        *,
        name: str,
        weight_N: np.ndarray | None = None,
    ) -> dict[str, Any]:
        """``{"labels", "counts", "rows"}``, in natural order.

        Raises:
            DataError: No row has a set, or no label occurs both in some rows and not in others.
        """
        where = f"targets.{name}"
        known = _sets(cells)
        present = int((~known.missing_N[rows]).sum())
        if not present:
            said = f"all {len(rows)} training rows of {name!r} have no set"
            raise DataError(said, where=where, hint="is it the right column?")
        chosen = np.zeros(len(known), dtype=bool)
        chosen[rows] = True
        counts = np.bincount(known.code_M[chosen[_owner(known)]], minlength=len(known.levels))
        found: dict[str, float] = {
            level: int(n) for level, n in zip(known.levels, counts, strict=True) if n >= MIN_ROWS
        }
        if not any(n < present for n in found.values()):
            said = f"no label of {name!r} tells {present} training rows apart"
            raise DataError(said, where=where, hint="check the separator, or choose another target")
        labels = natural_order(list(found))
        if weight_N is not None:
            each = np.where(chosen & ~known.missing_N, weight_N, 0.0)
            mass = np.bincount(known.code_M, each[_owner(known)], minlength=len(known.levels)) * present / each.sum()
            found = {level: float(m) for level, m in zip(known.levels, mass, strict=True) if level in found}
        return {"labels": labels, "counts": [found[label] for label in labels], "rows": present}

    def encode(self, cells: Cells, learnt: Mapping[str, Any]) -> Arrays:
        """ "hot" (N, C) and "present"."""
        known = _sets(cells)
        return {"present": ~known.missing_N, "hot": _hot(known, learnt["labels"]).astype(np.float32)}

    def truth(self, cells: Cells, learnt: Mapping[str, Any]) -> Truth:
        """Which labels each row has; labels never seen in training are left out."""
        known = _sets(cells)
        return Truth(_hot(known, learnt["labels"]), ~known.missing_N)

    def build(self, form: "Form", learnt: Mapping[str, Any]) -> "Head":
        """A logit per label with the loss asked for."""
        return self._module(form, learnt)

    def build_solving(self, form: "Form", learnt: Mapping[str, Any]) -> "Solving":
        """The same logits, solved as independent logistic regressions."""
        return self._module(form, learnt).requires_grad_(False)

    def build_boosted(self, form: "Form", learnt: Mapping[str, Any]) -> "Boosted":
        """The same answers, of scores that boosted trees learn by cross entropy."""
        from trueweight.nn.boosted import boosted

        plain = self.model_copy(update={"loss": "cross_entropy", "label_smoothing": 0.0})
        return boosted(lambda scores: plain._module(scores, learnt), len(learnt["labels"]), form)

    def constant(self, learnt: Mapping[str, Any], n: int) -> Prediction:
        """The labels' frequencies."""
        return self._read(np.tile(np.array(learnt["counts"]) / learnt["rows"], (n, 1)), learnt)

    def metrics(self, learnt: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Default metrics."""
        return list(METRICS[self.type])

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """Number of labels and the most frequent."""
        pairs = sorted(zip(learnt["counts"], learnt["labels"], strict=True), reverse=True)[:4]
        most = ", ".join(f"{label} {100 * count / learnt['rows']:.0f} %" for count, label in pairs)
        return f"{len(learnt['labels'])} labels: {most}"

    def _module(self, form: "Form", learnt: Mapping[str, Any]) -> "AnyOfMany":
        from trueweight.nn.answers import AnyOfMany

        prior = [(count + 0.5) / (learnt["rows"] + 1) for count in learnt["counts"]]
        gamma = self.gamma if self.loss == "focal" else 0.0
        return AnyOfMany(form, prior_C=prior, gamma=gamma, label_smoothing=self.label_smoothing, reader=self._read)

    def _read(self, probability_NC: np.ndarray, facts: Mapping[str, Any]) -> Prediction:
        return SetPrediction(probability_NC, tuple(facts["labels"]), self.threshold)


def _sets(cells: Cells) -> SetCells:
    if not isinstance(cells, SetCells):
        raise TypeError(f"labels must be SetCells, not {type(cells).__name__}")
    return cells


def _owner(cells: SetCells) -> np.ndarray:
    """Row of each member, (M,) int64."""
    return np.repeat(np.arange(len(cells)), np.diff(cells.start_N1))


def _hot(cells: SetCells, labels: list[str]) -> np.ndarray:
    known = {label: index for index, label in enumerate(labels)}
    table = np.array([known.get(level, -1) for level in cells.levels], dtype=np.int64)
    hot = np.zeros((len(cells), len(labels)), dtype=bool)
    if len(cells.code_M):
        place_M = table[cells.code_M]
        hot[_owner(cells)[place_M >= 0], place_M[place_M >= 0]] = True
    return hot
