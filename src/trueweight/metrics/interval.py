"""How far a metric could be from what other data of the same kind would give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trueweight.evidence.record import Interval
from trueweight.metrics.beta import clopper_pearson
from trueweight.metrics.metric import Metric, known_rows
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.resample import Units, fewest_units, resampled
from trueweight.metrics.statistic import Array, Statistic
from trueweight.metrics.truth import Truth

__all__ = ["Estimate", "estimate", "estimates", "percentiles"]

_VALID = 0.9
"""Share of resamples that must define the metric. With 2 rows of a class, 13.5 % of them have none."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value on some rows, and its interval for others."""

    metric: str
    value: float
    """NaN where the rows do not define it; then ``reason`` says why."""
    low: float | None
    high: float | None
    """None without interval; then ``reason`` says why."""
    level: float
    method: str
    """"clopper-pearson", "bootstrap", "clustered bootstrap"; "none" without interval."""
    n: int
    """Rows with a known label and weight."""
    clusters: int | None = None
    """Groups that were drawn together, where there are such."""
    skipped: int = 0
    """Resamples that did not define the metric, e.g. because they held one class only."""
    reason: str = ""

    def interval(self) -> Interval | None:
        """For an entry of the evidence."""
        if self.low is None or self.high is None:
            return None
        return Interval(self.low, self.high, self.level, self.method)


def estimate(
    metric: Metric, prediction: Prediction, truth: Truth, *, level: float = 0.95,
    method: Literal["auto", "bootstrap", "exact"] = "auto", n_resamples: int = 1000, seed: int = 0,
) -> Estimate:  # fmt: skip
    """One metric with its interval; see :func:`estimates`."""
    found = estimates([metric], prediction, truth, level=level, method=method, n_resamples=n_resamples, seed=seed)
    return found[0]


def estimates(
    metrics: Sequence[Metric], prediction: Prediction, truth: Truth, *, level: float = 0.95,
    method: Literal["auto", "bootstrap", "exact"] = "auto", n_resamples: int = 1000, seed: int = 0,
) -> list[Estimate]:  # fmt: skip
    """Several metrics of the same rows with their intervals, from one set of resamples.

    Shares of rows (accuracy, coverage, precision and recall of one class) get the exact interval of Clopper
    and Pearson when rows are unweighted and not grouped; everything else the percentiles of a bootstrap,
    which draws groups where the truth names them. A share of exactly 0 or 1 under weights or groups, where
    a bootstrap cannot vary, gets the exact interval for the effective number of groups.

    Args:
        metrics: Each must fit the type of ``prediction``.
        prediction: N rows.
        truth: The same N rows.
        level: Share of repetitions that an interval should cover, in (0, 1).
        method: "auto" as above. "bootstrap" always draws. "exact" gives no interval where none is exact.
        n_resamples: Draws of the bootstrap.
        seed: Same seed and rows: same draws, also for other models.

    Raises:
        SpecError: A metric does not fit; see :meth:`Metric.statistic`.
    """
    statistics = [metric.statistic(prediction, truth) for metric in metrics]
    units = Units.of(truth, seed)
    values = [float(s.values(np.ones((1, units.rows)))[0]) for s in statistics]
    plain = truth.cluster_N is None and truth.weight_N is None
    exact = [s.share is not None and plain and method != "bootstrap" for s in statistics]
    drawn = [i for i in range(len(metrics)) if not exact[i] and not np.isnan(values[i]) and method != "exact"]
    enough = units.count >= fewest_units(level)
    draws = resampled([statistics[i] for i in drawn], units, n_resamples, seed) if drawn and enough else None
    found = []
    for i, metric in enumerate(metrics):
        base = Estimate(metric.name, values[i], None, None, level, "none", units.rows, units.clusters)
        if np.isnan(values[i]):
            found.append(_without(base, statistics[i].reason or "these rows do not define it (one class only?)"))
        elif exact[i]:
            found.append(_exact(base, statistics[i].share or (0.0, 0.0)))
        elif method == "exact":
            found.append(_without(base, "no exact interval: not a plain share of rows"))
        elif statistics[i].share is not None and values[i] in (0.0, 1.0):
            found.append(_exact(base, _effective(values[i], truth, units)))
        elif draws is None:
            found.append(_without(base, f"{units.are} too few for a bootstrap"))
        else:
            found.append(_bootstrapped(base, draws[drawn.index(i)], statistics[i]))
    return found


def percentiles(draws_R: Array, level: float) -> tuple[float, float] | str:
    """The middle ``level`` of the defined draws; or, when too few are defined, why there is no interval."""
    valid = draws_R[~np.isnan(draws_R)]
    if len(valid) < _VALID * len(draws_R):
        return f"only {len(valid)} of {len(draws_R)} resamples define it: too few rows of some class"
    low, high = np.quantile(valid, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _bootstrapped(base: Estimate, draws_R: Array, statistic: Statistic) -> Estimate:
    skipped = int(np.isnan(draws_R).sum())
    ends = percentiles(draws_R, base.level)
    if isinstance(ends, str):
        return _without(base, ends, skipped)
    if ends[0] == ends[1] and statistic.row_N is None:
        # A perfect ranking stays perfect in every resample, which says nothing about other rows.
        return _without(base, "every resample gave the same value, so the bootstrap says nothing", skipped)
    name = "bootstrap" if base.clusters is None else "clustered bootstrap"
    return _with(base, ends, name, skipped)


def _exact(base: Estimate, share: tuple[float, float]) -> Estimate:
    return _with(base, clopper_pearson(*share, base.level), "clopper-pearson", 0)


def _effective(value: float, truth: Truth, units: Units) -> tuple[float, float]:
    """Hits and rows of a share of 0 or 1, counting units by Kish's effective number: equal weights count full."""
    weight_N = np.ones(len(truth)) if truth.weight_N is None else truth.weight_N
    kept = weight_N[known_rows(truth)]
    weight_U = kept if units.clusters is None else np.bincount(units.of_row_N, kept)  # type: ignore[arg-type]
    rows = float(weight_U.sum() ** 2 / np.square(weight_U).sum())
    return value * rows, rows


def _without(base: Estimate, reason: str, skipped: int = 0) -> Estimate:
    return Estimate(
        base.metric, base.value, None, None, base.level, "none", base.n, base.clusters, skipped, reason
    )  # fmt: skip


def _with(base: Estimate, ends: tuple[float, float], method: str, skipped: int) -> Estimate:
    return Estimate(base.metric, base.value, *ends, base.level, method, base.n, base.clusters, skipped)
