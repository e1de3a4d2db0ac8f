"""Do probabilities keep their word? Gaps between what was said and what happened, bin by bin.

For a yes-no target the probability is that of the positive class, and what happened is whether it was true. For more
classes it is that of the most probable class ("top label"), and whether that class was true.

Shape suffixes:
    N  rows    U  units: rows, or groups of rows    R  resamples    B  bins    C  classes
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from trueweight.metrics.metric import Form, Metric, known_rows
from trueweight.metrics.prediction import ClassPrediction
from trueweight.metrics.statistic import Array, Statistic, ratio, undefined
from trueweight.metrics.truth import Truth

__all__ = ["CALIBRATION", "Curve", "Said", "curve", "ece", "equal_mass_bins", "p_value"]

MOST_BINS = 10
ROWS_OF_A_BIN = 20
"""At least, on average. No bin has fewer than half of them."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of each known row, and whether it happened."""

    probability_N: Array
    happened_N: Array
    """float64, 0 or 1."""
    weight_N: Array
    cluster_N: Array | None

    @classmethod
    def of(cls, prediction: ClassPrediction, truth: Truth) -> "Said":
        """Of the rows with a known label."""
        rows = known_rows(truth)
        p_NC, index_N = prediction.probability_NC[rows].astype(np.float64), truth.value[rows]
        column_N = np.full(len(rows), 1) if prediction.binary else p_NC.argmax(1)
        said = p_NC[np.arange(len(rows)), column_N] if len(rows) else np.zeros(0)
        weight = np.ones(len(rows)) if truth.weight_N is None else truth.weight_N[rows]
        cluster = None if truth.cluster_N is None else truth.cluster_N[rows]
        return cls(said, (index_N == column_N).astype(np.float64), weight, cluster)


def equal_mass_bins(probability_N: Array) -> Array:
    """The bin of each row, (N,) int64 from 0 on: about equally many rows in each, equal probabilities together.

    At most 10 bins, of 20 rows or more on average; none has fewer than 10, unless there are fewer rows in all.
    """
    n = len(probability_N)
    count = max(1, min(MOST_BINS, n // ROWS_OF_A_BIN))
    values, place_N, sizes = np.unique(probability_N, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    bin_of_value = np.minimum(((ends - sizes / 2) * count / max(1, n)).astype(np.int64), count - 1)
    least, bins, start = ROWS_OF_A_BIN // 2, np.zeros(len(values), dtype=np.int64), 0
    for number in np.unique(bin_of_value):
        mine = bin_of_value == number
        bins[mine] = start
        held = sizes[bins == start].sum()
        start += int(held >= least)
    last = bins == start
    if start and sizes[last].sum() < least:
        bins[last] = start - 1
    return np.asarray(bins[place_N])


@dataclass(frozen=True, slots=True)
class _Gaps:
    """The debiased squared gap, for any weighting of the rows (or groups)."""

    gap_UB: Array
    """Sums of weight * (happened - said)."""
    mass_UB: Array
    """Sums of weight."""
    reason: str = ""
    row_N: Array | None = None
    share: tuple[float, float] | None = None

    def values(self, count_RU: Array) -> Array:
        """Squares, sums and their parts under counts; see :func:`ece`."""
        mass, gap = count_RU @ self.mass_UB, count_RU @ self.gap_UB
        mean = ratio(gap, mass, empty=0.0)
        # The square of a noisy mean is too large by its variance. A row drawn twice counts four times in it, and so the
        # noise that drawing adds is taken off as well: the draws lie around the debiased value, not above it.
        twice = np.square(count_RU)
        spread = (
            twice @ np.square(self.gap_UB)
            - 2 * mean * (twice @ (self.gap_UB * self.mass_UB))
            + np.square(mean) * (twice @ np.square(self.mass_UB))
        )
        effective = ratio(np.square(mass), twice @ np.square(self.mass_UB), empty=0.0)
        noise = ratio(spread, np.square(mass), empty=0.0) * ratio(effective, effective - 1, empty=np.nan)
        square = np.where(effective > 1, np.square(mean) - noise, 0.0)
        whole = ratio((square * mass).sum(1), mass.sum(1))
        return np.asarray(np.sign(whole) * np.sqrt(np.abs(whole)))

    def pooled(self, group_N: Array, groups: int) -> "_Gaps":
        def summed(column_NB: Array) -> Array:
            return np.stack([np.bincount(group_N, column, minlength=groups) for column in column_NB.T], axis=1)

        return replace(self, gap_UB=summed(self.gap_UB), mass_UB=summed(self.mass_UB))


def ece(prediction: ClassPrediction, truth: Truth) -> Statistic:
    """Expected calibration error: the root of the mean squared gap between what was said and what happened.

        sign(s) * sqrt(|s|),   s = sum over bins of weight * (gap ** 2 - variance of gap)

    Without the variance, the gaps of a perfectly calibrated model would add up to something all the same, the more the
    smaller the bins. With it, ``s`` is right on average, and below 0 about as often as above where nothing is wrong.
    Bins are of equal mass and fixed by the rows, not drawn again.

    Source: Kumar, Liang and Ma 2019, "Verified uncertainty calibration", arXiv:1909.10155, section 4, whose variance of
    what happened is replaced by that of the gap, which is what varies.
    """
    said = Said.of(prediction, truth)
    if len(said.probability_N) < 2:
        return undefined("one row says nothing about calibration", len(said.probability_N))
    return _gaps(said, equal_mass_bins(said.probability_N))


def _gaps(said: Said, bin_N: Array) -> _Gaps:
    hot_NB = (bin_N[:, None] == np.arange(bin_N.max() + 1)) * said.weight_N[:, None]
    return _Gaps(hot_NB * (said.happened_N - said.probability_N)[:, None], hot_NB)


def p_value(prediction: ClassPrediction, truth: Truth, draws: int, rng: np.random.Generator) -> float:
    """How often a model whose every probability is right would show an ``ece`` as large as this.

    Rows are given what happened anew, by what was said of them. Rows of groups are not independent: there the gaps of
    whole groups change their sign at random instead.

    Args:
        prediction: N rows.
        truth: The same rows.
        draws: Of the null hypothesis; the smallest p-value is 1 / (draws + 1).
        rng: Draws.
    """
    said = Said.of(prediction, truth)
    gaps, one = _gaps(said, equal_mass_bins(said.probability_N)), np.ones((1, len(said.probability_N)))
    if said.cluster_N is not None:
        names, of_row = np.unique(said.cluster_N, return_inverse=True)
        pooled = gaps.pooled(of_row, len(names))
        ones = np.ones((1, len(names)))
        seen = pooled.values(ones)[0]
        signs = rng.choice([-1.0, 1.0], size=(draws, len(names)))
        null = [replace(pooled, gap_UB=pooled.gap_UB * sign[:, None]).values(ones)[0] for sign in signs]
    else:
        seen = gaps.values(one)[0]
        null = [
            _gaps_of(gaps, said, rng.random(len(said.probability_N)) < said.probability_N).values(one)[0]
            for _ in range(draws)
        ]
    return float((1 + np.sum(np.asarray(null) >= seen)) / (draws + 1))


def _gaps_of(gaps: _Gaps, said: Said, happened_N: Array) -> _Gaps:
    return replace(gaps, gap_UB=gaps.mass_UB * (happened_N - said.probability_N)[:, None])


_Combine = Callable[[Array, Array, Array, Array], Array]


def _brier_part(combine: _Combine) -> Form:
    def form(prediction: ClassPrediction, truth: Truth) -> Statistic:
        said = Said.of(prediction, truth)
        return _Parts.of(said, combine) if len(said.probability_N) else undefined("no row has a known label", 0)

    return form


@dataclass(frozen=True, slots=True)
class _Parts:
    """A function of four sums per bin."""

    column_UK: Array
    """(U, 4 B): weight, weight * said, weight * happened, weight * squared error."""
    combine: _Combine
    reason: str = ""
    row_N: Array | None = None
    share: tuple[float, float] | None = None

    @classmethod
    def of(cls, said: Said, combine: _Combine) -> "_Parts":
        bin_N = equal_mass_bins(said.probability_N)
        hot_NB = (bin_N[:, None] == np.arange(bin_N.max() + 1)) * said.weight_N[:, None]
        error_N = np.square(said.probability_N - said.happened_N)
        parts = [hot_NB, hot_NB * said.probability_N[:, None], hot_NB * said.happened_N[:, None]]
        return cls(np.concatenate([*parts, hot_NB * error_N[:, None]], axis=1), combine)

    def values(self, count_RU: Array) -> Array:
        return self.combine(*np.split(count_RU @ self.column_UK, 4, axis=1))

    def pooled(self, group_N: Array, groups: int) -> "_Parts":
        sums = [np.bincount(group_N, column, minlength=groups) for column in self.column_UK.T]
        return replace(self, column_UK=np.stack(sums, axis=1))


def _reliability(mass: Array, said: Array, happened: Array, error: Array) -> Array:  # noqa: ARG001
    gap = ratio(said - happened, mass, empty=0.0)
    return ratio((mass * np.square(gap)).sum(1), mass.sum(1))


def _resolution(mass: Array, said: Array, happened: Array, error: Array) -> Array:  # noqa: ARG001
    overall = ratio(happened.sum(1), mass.sum(1))[:, None]
    return ratio((mass * np.square(ratio(happened, mass, empty=0.0) - overall)).sum(1), mass.sum(1))


def _uncertainty(mass: Array, said: Array, happened: Array, error: Array) -> Array:  # noqa: ARG001
    overall = ratio(happened.sum(1), mass.sum(1))
    return np.asarray(overall * (1 - overall))


def _within(mass: Array, said: Array, happened: Array, error: Array) -> Array:
    parts = [part(mass, said, happened, error) for part in (_reliability, _resolution, _uncertainty)]
    return np.asarray(ratio(error.sum(1), mass.sum(1)) - parts[0] + parts[1] - parts[2])


CALIBRATION: tuple[Metric, ...] = (
    Metric(
        "ece", False, {ClassPrediction: ece}, "root of the mean squared gap between what was said and what happened"
    ),
    Metric(
        "brier_reliability", False, {ClassPrediction: _brier_part(_reliability)},
        "part of the Brier score that wrong probabilities cost",
    ),
    Metric(
        "brier_resolution", True, {ClassPrediction: _brier_part(_resolution)},
        "part of the Brier score that telling rows apart saves",
    ),
    Metric(
        "brier_uncertainty", False, {ClassPrediction: _brier_part(_uncertainty)},
        "Brier score of always answering the average",
    ),
    Metric(
        "brier_within", False, {ClassPrediction: _brier_part(_within)},
        "what differences within a bin of probabilities add to the Brier score",
    ),
)  # fmt: skip
"""Of one model, never to be compared between two: bins follow each model's own probabilities.

The parts of the Brier score: Murphy 1973, "A new vector partition of the probability score", with what is left within
the bins (Stephenson, Coelho and Jolliffe 2008): reliability - resolution + uncertainty + within is the Brier score of
what was said, exactly. For more than two classes, what was said is the most probable class's probability."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of a reliability curve, one for each bin, (B,)."""

    said_B: Array
    happened_B: Array
    rows_B: Array
    hits_B: Array
    """Weighted like ``happened_B``; rows where there are no weights."""
    plain: bool
    """Whether rows are neither weighted nor grouped, so that hits of rows are a share with an exact interval."""


def curve(prediction: ClassPrediction, truth: Truth) -> Curve:
    """What was said and what happened, bin by bin; see :func:`equal_mass_bins`."""
    said = Said.of(prediction, truth)
    bin_N = equal_mass_bins(said.probability_N)
    rows, mass = np.bincount(bin_N), np.bincount(bin_N, said.weight_N)
    hits = np.bincount(bin_N, said.weight_N * said.happened_N)
    mean = ratio(np.bincount(bin_N, said.weight_N * said.probability_N), mass)
    plain = truth.weight_N is None and truth.cluster_N is None
    return Curve(mean, ratio(hits, mass), rows, hits, plain)
