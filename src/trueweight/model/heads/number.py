"""A target that is a number: regression."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from trueweight.data.cells import Cells, NumberCells, ReadOptions
from trueweight.data.column import Arrays
from trueweight.data.parse_numbers import too_small
from trueweight.data.quantiles import inner_quantiles
from trueweight.data.sample import BottomK
from trueweight.errors import DataError
from trueweight.metrics.prediction import NumberPrediction, Prediction
from trueweight.metrics.truth import Truth
from trueweight.model.heads.labels import read_as
from trueweight.recipes.tables import METRICS
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from trueweight.model.protocols import Head, Solving
    from trueweight.nn.encoding import Form

__all__ = ["NumberHead"]

_SMALLER = "give it in a smaller unit, so that its numbers are larger"

MIN_GROUP = 10
"""Rows that the ends of the range told rest on, so that they are nobody's number."""


class NumberHead(PartSpec):
    """Predicts a number, standardised (after ``transform``) while learning.

    Example:
        ``cost: {type: number, unit: EUR, transform: log1p, loss: huber}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {"loss": ["mse", "mae", "huber"], "transform": ["none", "log1p"]}

    type: Literal["number"] = "number"
    """Name of this part."""

    unit: str = ""
    """Shown beside the numbers, e.g. "EUR"."""

    transform: Literal["none", "log1p"] = "none"
    """log1p learns the logarithm of 1 + the number: for amounts that span powers of ten. Answers are turned back."""

    loss: Literal["mse", "mae", "huber"] = "mse"
    """mse answers with the mean, mae with the median, huber in between. A solved model always minimises mse."""

    huber_delta: Annotated[float, Field(gt=0)] = 1.0
    """Error from which huber grows linearly, in standard deviations of the target."""

    loss_weight: Annotated[float, Field(ge=0)] = 1.0
    """Share of this target in the summed loss of all."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> Cells:
        """Interpret raw label cells as the number column does."""
        return read_as("number", raw, options)

    def learn(
        self, cells: Cells, rows: np.ndarray, sample: BottomK, *, name: str, weight_N: np.ndarray | None = None
    ) -> dict[str, Any]:
        """``{"mean", "std"}`` after the transform, ``{"average", "low", "high"}`` (about 0.1 and 99.9 %, each a mean of
        :data:`MIN_GROUP` neighbours in order) before it.

        Raises:
            DataError: No label, one value alone, or a number that the transform has no answer for.
        """
        where = f"targets.{name}"
        values = _numbers(cells).value_N[rows]
        values = values[~np.isnan(values)]
        if not len(values):
            hint = "is it the right column, and are its cells numbers?"
            raise DataError(f"all {len(rows)} training rows of {name!r} have no number", where=where, hint=hint)
        if too_small(values):
            said = f"{name!r} holds numbers too small to be told from zero (below 2.2e-308)"
            raise DataError(said, where=where, hint=_SMALLER)
        if values.min() == values.max():
            said = f"{name!r} is {values[0]:g} in all {len(values)} labelled training rows: there is nothing to learn"
            raise DataError(said, where=where, hint="choose another target")
        if self.transform == "log1p" and values.min() <= -1:
            said = f"transform 'log1p' has no answer for {values.min():g}, a value of {name!r}"
            raise DataError(said, where=f"{where}.transform", hint="use transform: none")
        known = rows[~np.isnan(_numbers(cells).value_N[rows])]
        few = np.intersect1d(sample.rows, known)
        seen = _numbers(cells).value_N[few]
        if not len(seen) or seen.min() == seen.max():
            few, seen = known, values
        weights = None if weight_N is None else weight_N[few]
        inner = self._forward(seen)
        low, high = inner_quantiles(seen, (0.001, 0.999), MIN_GROUP)
        with np.errstate(over="ignore"):
            mean, average = np.average(inner, weights=weights), np.average(seen, weights=weights)
            std = np.sqrt(np.average(np.square(inner - mean), weights=weights))
            facts = {"mean": mean, "std": std, "average": average, "low": low, "high": high}
        if not np.isfinite(list(facts.values())).all():
            said = f"numbers as large as {max(values, key=abs):.3g} in {name!r} cannot be squared"
            raise DataError(said, where=where, hint="give it in a larger unit, or look for cells gone wrong")
        if facts["std"] == 0:
            said = f"numbers that differ as little as those of {name!r} (about {average:.3g}) cannot be squared"
            raise DataError(said, where=where, hint=_SMALLER)
        return {key: float(value) for key, value in facts.items()} | {"transform": self.transform}

    def encode(self, cells: Cells, learnt: Mapping[str, Any]) -> Arrays:
        """ "value" (N, 1) and "present"; numbers that the transform has no answer for are absent."""
        value_N = _numbers(cells).value_N
        present_N = ~np.isnan(value_N)
        if self.transform == "log1p":
            present_N &= np.nan_to_num(value_N) > -1
        inner_N = self._forward(np.where(present_N, value_N, 0.0))
        inner_N = np.where(present_N, (inner_N - learnt["mean"]) / learnt["std"], 0.0)
        return {"present": present_N, "value": inner_N.astype(np.float32)[:, None]}

    def truth(self, cells: Cells, learnt: Mapping[str, Any]) -> Truth:  # noqa: ARG002
        """Values in the target's own unit."""
        value_N = _numbers(cells).value_N
        return Truth(np.nan_to_num(value_N), ~np.isnan(value_N))

    def build(self, form: "Form", learnt: Mapping[str, Any]) -> "Head":  # noqa: ARG002
        """A linear layer with the loss asked for."""
        from trueweight.nn.answers import Values

        return Values(form, 1, loss=self.loss, huber_delta=self.huber_delta, reader=_read)

    def build_solving(self, form: "Form", learnt: Mapping[str, Any]) -> "Solving":  # noqa: ARG002
        """The same layer, solved as ridge regression."""
        from trueweight.nn.answers import Values

        return Values(form, 1, loss=self.loss, huber_delta=self.huber_delta, reader=_read).requires_grad_(False)

    def constant(self, learnt: Mapping[str, Any], n: int) -> Prediction:
        """The mean in the target's own unit."""
        return NumberPrediction(np.full(n, learnt["average"]))

    def metrics(self, learnt: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Default metrics."""
        return list(METRICS[self.type])

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """Mean and range, in its unit."""
        unit = f" {self.unit}" if self.unit else ""
        return f"mean {learnt['average']:.4g}{unit}, mostly {learnt['low']:.4g} to {learnt['high']:.4g}"

    def _forward(self, values: np.ndarray) -> np.ndarray:
        return np.log1p(values) if self.transform == "log1p" else values


def _numbers(cells: Cells) -> NumberCells:
    if not isinstance(cells, NumberCells):
        raise TypeError(f"labels must be NumberCells, not {type(cells).__name__}")
    return cells


def _read(value_ND: np.ndarray, facts: Mapping[str, Any]) -> Prediction:
    value_N = value_ND[:, 0] * facts["std"] + facts["mean"]
    if facts["transform"] == "log1p":
        # Far outside what was seen, the exponential would turn a small mistake into an absurd answer.
        first, last = np.log1p([facts["low"], facts["high"]])
        low, high = _reach(first, last, facts["std"])
        return NumberPrediction(np.expm1(np.clip(value_N, low, high)))
    return NumberPrediction(value_N, reach=_reach(facts["low"], facts["high"], facts["std"]))


def _reach(low: float, high: float, std: float) -> tuple[float, float]:
    """The range of the labels, widened by its own width on both sides."""
    # Of a few rows, the range says little: low and high are means then, and may be equal.
    width = max(high - low, 4 * std)
    return low - width, high + width
