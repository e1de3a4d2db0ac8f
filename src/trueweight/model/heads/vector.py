"""A target that is a vector of numbers: regression with several outputs at once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

import numpy as np
import pyarrow as pa
from pydantic import Field

from trueweight.data.cells import Cells, ReadOptions, VectorCells
from trueweight.data.column import Arrays
from trueweight.data.sample import BottomK
from trueweight.errors import DataError
from trueweight.metrics.prediction import Prediction, VectorPrediction
from trueweight.metrics.truth import Truth
from trueweight.model.heads.labels import read_as
from trueweight.recipes.tables import METRICS
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from trueweight.model.protocols import Head, Solving
    from trueweight.nn.answers import Values
    from trueweight.nn.boosted import Boosted
    from trueweight.nn.encoding import Form

__all__ = ["VectorHead"]


class VectorHead(PartSpec):
    """Predicts a vector, each place standardised while learning; the loss is averaged over places.

    Example:
        ``position: {type: vector, loss: huber}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {"loss": ["mse", "mae", "huber"]}

    type: Literal["vector"] = "vector"
    """Name of this part."""

    loss: Literal["mse", "mae", "huber"] = "mse"
    """See the number target. A solved model always minimises mse."""

    huber_delta: Annotated[float, Field(gt=0)] = 1.0
    """Error from which huber grows linearly, in standard deviations."""

    loss_weight: Annotated[float, Field(ge=0)] = 1.0
    """Share of this target in the summed loss of all."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> Cells:
        """Interpret raw label cells as the vector column does."""
        return read_as("vector", raw, options)

    def learn(
        self, cells: Cells, rows: np.ndarray, sample: BottomK, *, name: str, weight_N: np.ndarray | None = None
    ) -> dict[str, Any]:
        """``{"mean", "std"}``, a number for each place. Places that never change have std 0.

        Raises:
            DataError: No row has a vector, or all vectors are the same.
        """
        where = f"targets.{name}"
        known = _vectors(cells)
        values = known.value_ND[rows][~known.missing_N[rows]]
        if not len(values):
            said = f"all {len(rows)} training rows of {name!r} have no vector"
            raise DataError(said, where=where, hint="is it the right column, and have all vectors one length?")
        if not values.size or bool((values == values[0]).all()):
            said = f"{name!r} is the same vector in all {len(values)} labelled training rows: there is nothing to learn"
            raise DataError(said, where=where, hint="choose another target")
        few = np.intersect1d(sample.rows, rows)
        few = few[~known.missing_N[few]]
        few = few if len(few) > 1 else rows[~known.missing_N[rows]]
        seen, weights = known.value_ND[few], None if weight_N is None else weight_N[few]
        mean = np.average(seen, axis=0, weights=weights)
        spread = np.sqrt(np.average(np.square(seen - mean), axis=0, weights=weights))
        std = np.where((seen == seen[0]).all(axis=0), 0.0, spread)
        return {"mean": mean.tolist(), "std": std.tolist()}

    def encode(self, cells: Cells, learnt: Mapping[str, Any]) -> Arrays:
        """ "value" (N, D) and "present"; vectors of another length are absent."""
        mean, std = np.array(learnt["mean"]), np.array(learnt["std"])
        known = _vectors(cells)
        if known.value_ND.shape[1] != len(mean):
            return {"present": np.zeros(len(known), dtype=bool), "value": np.zeros((len(known), len(mean)), np.float32)}
        inner_ND = (known.value_ND - mean) / np.where(std > 0, std, 1.0)
        inner_ND[known.missing_N] = 0.0
        return {"present": ~known.missing_N, "value": inner_ND.astype(np.float32)}

    def truth(self, cells: Cells, learnt: Mapping[str, Any]) -> Truth:
        """Vectors in the target's own unit."""
        known, width = _vectors(cells), len(learnt["mean"])
        if known.value_ND.shape[1] != width:
            return Truth(np.zeros((len(known), width)), np.zeros(len(known), dtype=bool))
        return Truth(np.nan_to_num(known.value_ND), ~known.missing_N)

    def build(self, form: "Form", learnt: Mapping[str, Any]) -> "Head":
        """A linear layer with the loss asked for."""
        from trueweight.nn.answers import Values

        return Values(form, len(learnt["mean"]), loss=self.loss, huber_delta=self.huber_delta, reader=_read)

    def build_solving(self, form: "Form", learnt: Mapping[str, Any]) -> "Solving":
        """The same layer, solved as ridge regression with one strength for all places."""
        from trueweight.nn.answers import Values

        width = len(learnt["mean"])
        return Values(form, width, loss=self.loss, huber_delta=self.huber_delta, reader=_read).requires_grad_(False)

    def build_boosted(self, form: "Form", learnt: Mapping[str, Any]) -> "Boosted":
        """The same answers, of scores that boosted trees learn by the loss asked for."""
        from trueweight.nn.boosted import boosted

        return boosted(lambda scores: cast("Values", self.build(scores, learnt)), len(learnt["mean"]), form)

    def constant(self, learnt: Mapping[str, Any], n: int) -> Prediction:
        """The mean."""
        return VectorPrediction(np.tile(np.array(learnt["mean"]), (n, 1)))

    def metrics(self, learnt: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Default metrics."""
        return list(METRICS[self.type])

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """Number of places."""
        return f"vector of {len(learnt['mean'])} numbers"


def _vectors(cells: Cells) -> VectorCells:
    if not isinstance(cells, VectorCells):
        raise TypeError(f"labels must be VectorCells, not {type(cells).__name__}")
    return cells


def _read(value_ND: np.ndarray, facts: Mapping[str, Any]) -> Prediction:
    return VectorPrediction(value_ND * np.array(facts["std"]) + np.array(facts["mean"]))
