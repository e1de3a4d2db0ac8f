"""A target that is one of several classes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from trueweight.data.cells import Cells, ReadOptions
from trueweight.data.column import Arrays
from trueweight.data.sample import BottomK
from trueweight.metrics.prediction import ClassPrediction, Prediction
from trueweight.metrics.truth import Truth
from trueweight.model.heads.labels import (
    ClassWeight,
    class_index,
    class_weights,
    level_cells,
    natural_order,
    read_as,
    refuse_few,
    shares,
    tally,
    weighted,
)  # fmt: skip
from trueweight.recipes.tables import METRICS
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from trueweight.model.protocols import Head, Solving
    from trueweight.nn.answers import OneOfMany
    from trueweight.nn.boosted import Boosted
    from trueweight.nn.encoding import Form

__all__ = ["CategoryHead"]


class CategoryHead(PartSpec):
    """Predicts a probability for each class.

    Example:
        ``species: {type: category, label_smoothing: 0.05}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "class_weight": ["none", "balanced"], "loss": ["cross_entropy", "focal"], "label_smoothing": [0.0, 0.05],
    }  # fmt: skip

    type: Literal["category"] = "category"
    """Name of this part."""

    class_weight: ClassWeight = "none"
    """Weight of each class in the loss: none, balanced (inverse to its frequency), or numbers by class."""

    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """focal pays less for rows that are already right. A solved model always minimises cross entropy."""

    gamma: Annotated[float, Field(ge=0)] = 2.0
    """Exponent of focal loss."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each label that is spread evenly over all classes while training by gradients."""

    first_weights: Literal["usual", "small"] = "usual"
    """Where training by gradients begins: weights of up to 1 / sqrt(width), or small ones with a spread of 1 / width,
    which SGD at a high rate can take far. As the scaled head of airbench, arXiv:2404.00498."""

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
        """``{"classes", "counts"}``, in natural order.

        Raises:
            DataError: No label, one class alone, or a class with one row.
        """
        counts = tally(level_cells(cells), rows)
        refuse_few(counts, len(rows), name, self.min_class_rows)
        classes = natural_order(list(counts))
        mass = weighted(counts, level_cells(cells), rows, weight_N)
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
        """A logit per class with the loss asked for."""
        return self._module(form, learnt)

    def build_solving(self, form: "Form", learnt: Mapping[str, Any]) -> "Solving":
        """The same logits, solved as multinomial logistic regression."""
        return self._module(form, learnt).requires_grad_(False)

    def build_boosted(self, form: "Form", learnt: Mapping[str, Any]) -> "Boosted":
        """The same answers, of scores that boosted trees learn by cross entropy."""
        from trueweight.nn.boosted import boosted

        plain = self.model_copy(update={"loss": "cross_entropy", "label_smoothing": 0.0})
        return boosted(lambda scores: plain._module(scores, learnt), len(learnt["classes"]), form)

    def constant(self, learnt: Mapping[str, Any], n: int) -> Prediction:
        """The class frequencies."""
        counts = np.array(learnt["counts"], dtype=np.float64)
        return _read(np.tile(counts / counts.sum(), (n, 1)), learnt)

    def metrics(self, learnt: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Default metrics."""
        return list(METRICS[self.type])

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """Number of classes and the largest shares."""
        return f"{len(learnt['classes'])} classes: {shares(learnt['classes'], learnt['counts'])}"

    def _module(self, form: "Form", learnt: Mapping[str, Any]) -> "OneOfMany":
        from trueweight.nn.answers import OneOfMany

        weights = class_weights(self.class_weight, learnt["classes"], learnt["counts"])
        mass = [count * weight for count, weight in zip(learnt["counts"], weights, strict=True)]
        return OneOfMany(
            form,
            weights,
            prior_C=[m / sum(mass) for m in mass],
            gamma=self.gamma if self.loss == "focal" else 0.0,
            label_smoothing=self.label_smoothing,
            reader=_read,
            small=self.first_weights == "small",
        )


def _read(probability_NC: np.ndarray, facts: Mapping[str, Any]) -> Prediction:
    return ClassPrediction(probability_NC, tuple(facts["classes"]))
