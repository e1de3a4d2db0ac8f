"""Whether one model is better than another, asked on the same rows and under the same draws of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trueweight.evidence.record import Interval
from trueweight.metrics.interval import percentiles
from trueweight.metrics.metric import Metric
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.resample import Units, fewest_units, resampled
from trueweight.metrics.statistic import Array, Statistic
from trueweight.metrics.truth import Truth

__all__ = ["Difference", "paired", "paired_all"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of model a minus that of model b, on the same rows."""

    metric: str
    value: float
    """metric(a) - metric(b), in the metric's own sense: for a loss, negative means that a is better."""
    low: float | None
    high: float | None
    level: float
    n: int
    better: Literal["a", "b", "not shown"]
    """Which one is better by more than the draws of rows explain; takes the metric's direction into account."""
    method: str = "paired bootstrap"
    clusters: int | None = None
    skipped: int = 0
    reason: str = ""
    """Why nothing can be shown, where the interval alone does not say it."""

    def interval(self) -> Interval | None:
        """For an entry of the evidence."""
        if self.low is None or self.high is None:
            return None
        return Interval(self.low, self.high, self.level, self.method)


def paired(
    metric: Metric, a: Prediction, b: Prediction, truth: Truth, *, level: float = 0.95, n_resamples: int = 1000,
    seed: int = 0,
) -> Difference:  # fmt: skip
    """The difference of one metric; see :func:`paired_all`."""
    return paired_all([metric], a, b, truth, level=level, n_resamples=n_resamples, seed=seed)[0]


def paired_all(
    metrics: Sequence[Metric], a: Prediction, b: Prediction, truth: Truth, *, level: float = 0.95,
    n_resamples: int = 1000, seed: int = 0,
) -> list[Difference]:  # fmt: skip
    """Differences of several metrics, with percentile intervals of a paired bootstrap.

    Each draw of rows (or of the truth's groups) is scored for both models, so that what is hard for both
    cancels. A model counts as better if the interval excludes 0, and if enough rows make the difference: where
    fewer rows differ than a sign test would need to say anything, nothing is shown.

    Args:
        metrics: Each must fit the type of the predictions.
        a: N rows of one model.
        b: The same rows of another.
        truth: Their truth.
        level: Of the intervals, in (0, 1).
        n_resamples: Draws.
        seed: Same seed and rows: the draws of :func:`~trueweight.metrics.interval.estimates`.

    Raises:
        SpecError: A metric does not fit the predictions.
    """
    pairs = [(metric.statistic(a, truth), metric.statistic(b, truth)) for metric in metrics]
    units = Units.of(truth, seed)
    ones = np.ones((1, units.rows))
    values = [float(x.values(ones)[0] - y.values(ones)[0]) for x, y in pairs]
    flat = [statistic for pair in pairs for statistic in pair]
    enough = units.count >= fewest_units(level)
    draws = resampled(flat, units, n_resamples, seed) if enough and flat else None
    found = []
    for i, (metric, pair) in enumerate(zip(metrics, pairs, strict=True)):
        base = _Asked(metric, values[i], level, units)
        if np.isnan(values[i]):
            found.append(base.unknown(pair[0].reason or pair[1].reason or "these rows do not define it"))
        elif draws is None:
            found.append(base.unknown(f"{units.are} too few to compare on"))
        else:
            found.append(base.answered(draws[2 * i] - draws[2 * i + 1], _differing(pair, units)))
    return found


@dataclass(frozen=True, slots=True)
class _Asked:
    metric: Metric
    value: float
    level: float
    units: Units

    def unknown(self, reason: str, skipped: int = 0) -> Difference:
        return Difference(
            self.metric.name, self.value, None, None, self.level, self.units.rows, "not shown", "none",
            self.units.clusters, skipped, reason,
        )  # fmt: skip

    def answered(self, draws_R: Array, differing: int) -> Difference:
        skipped = int(np.isnan(draws_R).sum())
        ends = percentiles(draws_R, self.level)
        if isinstance(ends, str):
            return self.unknown(ends, skipped)
        better, reason = self._verdict(ends), ""
        if better != "not shown" and differing < fewest_units(self.level):
            better = "not shown"
            reason = f"only {self.units.counted(differing)} make{'s' * (differing == 1)} the difference"
        method = "paired bootstrap" if self.units.clusters is None else "paired clustered bootstrap"
        return Difference(
            self.metric.name, self.value, *ends, self.level, self.units.rows, better, method,
            self.units.clusters, skipped, reason,
        )  # fmt: skip

    def _verdict(self, ends: tuple[float, float]) -> Literal["a", "b", "not shown"]:
        if ends[0] <= 0 <= ends[1]:
            return "not shown"
        return "a" if (ends[0] > 0) == self.metric.greater_is_better else "b"


def _differing(pair: tuple[Statistic, Statistic], units: Units) -> int:
    """How many rows (or groups) are scored differently; all of them where rows have no score of their own."""
    a, b = pair[0].row_N, pair[1].row_N
    if a is None or b is None:
        return units.count
    differ_N = a != b
    if units.clusters is None or units.of_row_N is None:
        return int(differ_N.sum())
    return len(np.unique(units.of_row_N[differ_N]))
