"""A target that is a number: regression."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
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
from trueweight.metrics.prediction import NumberPrediction, Prediction, value_within
from trueweight.metrics.truth import Truth
from trueweight.model.heads.labels import read_as
from trueweight.recipes.tables import METRICS
from trueweight.spec.base import Conflict, PartSpec
from trueweight.spec.units import Share, share_of

if TYPE_CHECKING:
    from trueweight.model.protocols import Head, Solving
    from trueweight.nn.answers import Values
    from trueweight.nn.boosted import Boosted
    from trueweight.nn.encoding import Form
    from trueweight.nn.quantiles import ValueWithQuantiles

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

    quantiles: Annotated[list[Share], Field(min_length=2, max_length=2)] | None = None
    """A lower and an upper quantile to learn beside the number, by the pinball loss: ``[0.05, 0.95]``. Intervals can
    then follow the row. Null: none, or those of ``evaluate.conformal.coverage`` where its method is quantile."""

    loss_weight: Annotated[float, Field(ge=0)] = 1.0
    """Share of this target in the summed loss of all."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """The lower quantile is below the upper one, and neither is an end."""
        asked = raw.get("quantiles")
        shares = [share_of(one) for one in asked] if isinstance(asked, list | tuple) and len(asked) == 2 else []
        low, high = shares if len(shares) == 2 else (None, None)
        if low is not None and high is not None and not 0 < low < high < 1:
            yield Conflict(("quantiles",), f"the lower of two shares between 0 and 1 first, not {low:g} and {high:g}")

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> Cells:
        """Interpret raw label cells as the number column does."""
        return read_as("number", raw, options)

    def learn(
        self, cells: Cells, rows: np.ndarray, sample: BottomK, *, name: str, weight_N: np.ndarray | None = None
    ) -> dict[str, Any]:
        """``{"mean", "std"}`` after the transform, ``{"average", "low", "high"}`` (about 0.1 and 99.9 %, each a mean of
        :data:`MIN_GROUP` neighbours in order) before it; with ``quantiles`` also ``{"ends"}``, those of all labels.

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
        plain = {key: float(value) for key, value in facts.items()} | {"transform": self.transform}
        if self.quantiles is None:
            return plain
        return plain | {"ends": [float(end) for end in inner_quantiles(seen, self.quantiles, MIN_GROUP)]}

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
        """A linear layer with the loss asked for; with ``quantiles`` one more for those."""
        return self._head(form)

    def build_solving(self, form: "Form", learnt: Mapping[str, Any]) -> "Solving":  # noqa: ARG002
        """The same layers, solved as ridge regression and as linear quantile regression."""
        return self._head(form).requires_grad_(False)

    def build_boosted(self, form: "Form", learnt: Mapping[str, Any]) -> "Boosted":  # noqa: ARG002
        """The same answers, of scores that boosted trees learn by the loss asked for."""
        from trueweight.nn.boosted import boosted

        return boosted(self._head, 1 + len(self.quantiles or ()), form)

    def _head(self, form: "Form") -> "Values | ValueWithQuantiles":
        from trueweight.nn.answers import Values
        from trueweight.nn.quantiles import ValueWithQuantiles

        value = Values(form, 1, loss=self.loss, huber_delta=self.huber_delta, reader=_read)
        return value if self.quantiles is None else ValueWithQuantiles(value, form, self.quantiles, _read_all)

    def constant(self, learnt: Mapping[str, Any], n: int) -> Prediction:
        """The mean in the target's own unit, and the quantiles if there are some."""
        value = np.full(n, learnt["average"])
        if "ends" not in learnt:
            return NumberPrediction(value)
        return value_within(value, *(np.full(n, end) for end in learnt["ends"]))

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


def _read(value_ND: np.ndarray, facts: Mapping[str, Any]) -> NumberPrediction:
    value_N = _back(value_ND[:, 0], facts)
    if facts["transform"] == "log1p":
        return NumberPrediction(value_N)
    return NumberPrediction(value_N, reach=_reach(facts["low"], facts["high"], facts["std"]))


def _read_all(value_ND: np.ndarray, quantile_NT: np.ndarray, facts: Mapping[str, Any]) -> Prediction:
    found = _read(value_ND, facts)
    within = value_within(found.value_N, _back(quantile_NT[:, 0], facts), _back(quantile_NT[:, 1], facts))
    return replace(within, reach=found.reach)


def _back(inner_N: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    """From standardised to the target's own unit."""
    outer_N: np.ndarray = inner_N * facts["std"] + facts["mean"]
    if facts["transform"] == "log1p":
        # Far outside what was seen, the exponential would turn a small mistake into an absurd answer.
        first, last = np.log1p([facts["low"], facts["high"]])
        return np.asarray(np.expm1(np.clip(outer_N, *_reach(first, last, facts["std"]))))
    return outer_N


def _reach(low: float, high: float, std: float) -> tuple[float, float]:
    """The range of the labels, widened by its own width on both sides."""
    # Of a few rows, the range says little: low and high are means then, and may be equal.
    width = max(high - low, 4 * std)
    return low - width, high + width
