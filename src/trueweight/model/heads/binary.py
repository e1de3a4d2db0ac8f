"""A target with two classes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from trueweight.data.cells import Cells, ReadOptions
from trueweight.data.column import Arrays
from trueweight.data.sample import BottomK
from trueweight.errors import DataError
from trueweight.metrics.prediction import ClassPrediction, Prediction
from trueweight.metrics.truth import Truth
from trueweight.model.heads.labels import (
    ClassWeight,
    Label,
    class_index,
    class_weights,
    find_label,
    level_cells,
    natural_order,
    read_as,
    refuse_few,
    shares,
    tally,
    weighted,
)  # fmt: skip
from trueweight.recipes.tables import METRICS
from trueweight.spec.base import PartSpec, Spec

if TYPE_CHECKING:
    from trueweight.model.protocols import Head, Solving
    from trueweight.nn.answers import OneOfTwo
    from trueweight.nn.boosted import Boosted
    from trueweight.nn.encoding import Form

__all__ = ["BinaryHead", "CostsSpec", "LearntThreshold"]

POSITIVE_WORDS = ("yes", "y", "true", "t", "positive", "pos", "1")


class CostsSpec(Spec):
    """What mistakes cost, in any unit: only their ratio decides."""

    false_positive: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Cost of answering the positive class where the other one is true."""

    false_negative: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Cost of missing the positive class."""


class LearntThreshold(Spec):
    """A threshold that calibration rows teach."""

    minimize_cost: CostsSpec
    """Answer so that mistakes cost least."""


class BinaryHead(PartSpec):
    """Predicts the probability of the positive one of two classes.

    Example:
        ``fraud: {type: binary, positive_class: "yes", class_weight: balanced}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "class_weight": ["none", "balanced"], "loss": ["cross_entropy", "focal"], "label_smoothing": [0.0, 0.05],
    }  # fmt: skip

    type: Literal["binary"] = "binary"
    """Name of this part."""

    positive_class: Label | None = None
    """The class whose probability is answered. Null: the larger of two numbers, or the one written yes, true,
    positive or the like, or the last by alphabet."""

    class_weight: ClassWeight = "none"
    """Weight of each class in the loss: none, balanced (inverse to its frequency), or numbers by class."""

    loss: Literal["cross_entropy", "binary_cross_entropy", "focal"] = "cross_entropy"
    """cross_entropy and binary_cross_entropy are one thing here. focal pays less for rows that are already
    right. A solved model always minimises cross entropy."""

    gamma: Annotated[float, Field(ge=0)] = 2.0
    """Exponent of focal loss."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each label that is spread evenly over both classes while training by gradients."""

    threshold: Annotated[float, Field(gt=0, lt=1)] | LearntThreshold = 0.5
    """Probability from which the positive class is answered; or ``{minimize_cost: {false_positive: 80, false_negative:
    2500}}``, to learn on calibration rows where mistakes cost least."""

    loss_weight: Annotated[float, Field(ge=0)] = 1.0
    """Share of this target in the summed loss of all."""

    min_class_rows: Annotated[int, Field(ge=1)] = 2
    """Fewest training rows of a class. With fewer the run is refused: one row can be learnt or tested, not both."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> Cells:
        """Interpret raw label cells as the category column does."""
        return read_as("category", raw, options)

    def learn(
        self,
        cells: Cells,
        rows: np.ndarray,
        sample: BottomK,  # noqa: ARG002
        *,
        name: str,
        weight_N: np.ndarray | None = None,
    ) -> dict[str, Any]:
        """``{"classes", "counts"}``, the positive class last.

        Raises:
            DataError: No label, not two classes, a class with one row, or no such positive class.
        """
        counts = tally(level_cells(cells), rows)
        if len(counts) > 2:
            most = sorted(counts, key=lambda level: -counts[level])
            shown = ", ".join(f"{level!r} ({counts[level]} rows)" for level in most[:5])
            more = ", …" if len(most) > 5 else ""
            raise DataError(
                f"{name!r} has {len(counts)} values, not two: {shown}{more}",
                where=f"targets.{name}",
                hint="use type: category, or list what means 'no value' in data.missing_values",
            )
        refuse_few(counts, len(rows), name, self.min_class_rows)
        positive = self._positive(list(counts), name)
        mass = weighted(counts, level_cells(cells), rows, weight_N)
        classes = [*(level for level in counts if level != positive), positive]
        return {"classes": classes, "counts": [mass[level] for level in classes]}

    def encode(self, cells: Cells, learnt: Mapping[str, Any]) -> Arrays:
        """ "index" (N,) and "present"."""
        index_N = class_index(level_cells(cells), learnt["classes"])
        return {"present": index_N >= 0, "index": np.maximum(index_N, 0)}

    def truth(self, cells: Cells, learnt: Mapping[str, Any]) -> Truth:
        """Class numbers; -1 for labels never seen in training."""
        index_N = class_index(level_cells(cells), learnt["classes"])
        return Truth(np.maximum(index_N, -1), index_N > -2)

    def build(self, form: "Form", learnt: Mapping[str, Any]) -> "Head":
        """One logit with the loss asked for."""
        return self._module(form, learnt)

    def build_solving(self, form: "Form", learnt: Mapping[str, Any]) -> "Solving":
        """The same logit, solved as logistic regression."""
        return self._module(form, learnt).requires_grad_(False)

    def build_boosted(self, form: "Form", learnt: Mapping[str, Any]) -> "Boosted":
        """The same answers, of scores that boosted trees learn by cross entropy."""
        from trueweight.nn.boosted import boosted

        plain = self.model_copy(update={"loss": "cross_entropy", "label_smoothing": 0.0})
        return boosted(lambda scores: plain._module(scores, learnt), 1, form)

    def constant(self, learnt: Mapping[str, Any], n: int) -> Prediction:
        """The class frequencies."""
        counts = np.array(learnt["counts"], dtype=np.float64)
        return self._read(np.tile(counts / counts.sum(), (n, 1)), learnt)

    def metrics(self, learnt: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Default metrics."""
        return list(METRICS[self.type])

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """Shares of both classes, the positive one first."""
        return shares(learnt["classes"], learnt["counts"])

    def _positive(self, labels: list[str], name: str) -> str:
        if self.positive_class is not None:
            if (found := find_label(self.positive_class, labels)) is None:
                said = f"positive_class is {self.positive_class!r}, but {name!r} has {labels[0]!r} and {labels[1]!r}"
                where = f"targets.{name}.positive_class"
                raise DataError(said, where=where, hint=f"write {labels[0]!r}, or leave it out")
            return found
        words = [label for label in labels if label.lower() in POSITIVE_WORDS]
        return words[0] if len(words) == 1 else natural_order(labels)[-1]

    def _module(self, form: "Form", learnt: Mapping[str, Any]) -> "OneOfTwo":
        from trueweight.nn.answers import OneOfTwo

        counts = learnt["counts"]
        weights = class_weights(self.class_weight, learnt["classes"], counts)
        gamma = self.gamma if self.loss == "focal" else 0.0
        prior = counts[1] * weights[1] / (counts[0] * weights[0] + counts[1] * weights[1])
        smoothing = self.label_smoothing
        return OneOfTwo(form, weights, prior=prior, gamma=gamma, label_smoothing=smoothing, reader=self._read)

    def _read(self, probability_N2: np.ndarray, facts: Mapping[str, Any]) -> Prediction:
        # A threshold that is learnt is laid over the finished model; its parts answer the more probable class.
        threshold = self.threshold if isinstance(self.threshold, float) else 0.5
        return ClassPrediction(probability_N2, tuple(facts["classes"]), binary=True, threshold=threshold)
