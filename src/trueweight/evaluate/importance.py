"""How much worse the answers become when a column's cells change places: permutation importance, with interval.

Source: Breiman 2001, "Random forests", section 10, and Fisher, Rudin and Dominici 2019, arXiv:1801.01489, section 3.
Intervals come from drawing rows and permutations together, which neither of them does.

Shape suffixes:
    N  rows    K  permutations    R  resamples    C  columns
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.evaluate.mosaic import mosaic, predicted
from trueweight.evidence.record import Interval
from trueweight.metrics.metric import Metric, known_rows
from trueweight.metrics.prediction import ClassPrediction, Prediction, SetPrediction
from trueweight.metrics.registry import METRICS
from trueweight.metrics.resample import Units, fewest_units, resampled
from trueweight.metrics.truth import Truth
from trueweight.model.protocols import Predictor
from trueweight.seeds import row_hashes, stream, stream_seed

__all__ = ["Drop", "Importance", "Shuffled", "chosen_rows", "importance_of", "measured_by", "movable", "shuffle"]

PERMUTATIONS = 4
DRAWS = 400
LEVEL = 0.95

_SENSED = ("image", "audio", "text", "timeseries")
MOST_SENSED, MOST_PLAIN, MOST_JUDGED, FEWEST = 1_500, 120_000, 2_000, 40
"""Rows that may be answered in all, where cells are files, texts or series and where not; rows to judge by at most and
at least."""


@dataclass(frozen=True, slots=True)
class Drop:
    """How much worse the score is for a change, in the metric's unit; above 0 is worse."""

    value: float
    interval: Interval | None

    @property
    def shown(self) -> bool:
        """Whether the rows show that it is worse at all."""
        return self.interval is not None and self.interval.low > 0


@dataclass(frozen=True, slots=True)
class Importance:
    """Of every column that a model reads, for one target."""

    metric: str
    n: int
    """Rows that the scores rest on."""
    score: float
    """On these rows, as they are."""
    columns: Mapping[str, Drop]
    """The most important first."""
    together: Drop
    """With all columns shuffled at once, each on its own: what there is to explain."""


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Rows and what is answered when columns are shuffled; for all targets."""

    rows: np.ndarray
    """Numbers of the rows in the table."""
    whole: Mapping[str, Prediction]
    columns: Mapping[str, Sequence[Mapping[str, Prediction]]]
    """By column, K answers."""
    together: Sequence[Mapping[str, Prediction]]
    seed: int


def movable(signature: Signature, table: Table) -> list[str]:
    """Columns that the model reads and the table has."""
    return [facts.name for facts in signature.features() if facts.name in table.names]


def chosen_rows(table: Table, signature: Signature, passes: int, seed: int) -> np.ndarray:
    """Some rows, the same ones however often it is asked, as many as so many passes over them allow."""
    sensed = any(facts.type in _SENSED for facts in signature.features())
    most = (MOST_SENSED if sensed else MOST_PLAIN) // max(1, passes)
    count = min(len(table), MOST_JUDGED, max(FEWEST, most))
    order = np.argsort(row_hashes(stream_seed(seed, "explained rows"), np.arange(len(table))), kind="stable")
    return np.sort(order[:count])


def shuffle(predictor: Predictor, table: Table, seed: int, *, permutations: int = PERMUTATIONS) -> Shuffled:
    """Answers with each column shuffled, and with all of them.

    Args:
        predictor: What answers.
        table: Rows; of many, some are taken.
        seed: Of the shuffling.
        permutations: K.
    """
    names = movable(predictor.signature, table)
    rows = chosen_rows(table, predictor.signature, permutations * (len(names) + 1), seed)
    answers = predicted(predictor, _tables(table, rows, names, permutations, seed))
    whole = next(answers)
    columns = {name: [next(answers) for _ in range(permutations)] for name in names}
    return Shuffled(rows, whole, columns, [next(answers) for _ in range(permutations)], seed)


def _tables(table: Table, rows: np.ndarray, names: Sequence[str], permutations: int, seed: int) -> Iterator[Table]:
    yield mosaic(table, rows)
    for place, name in enumerate(names):
        for k in range(permutations):
            yield mosaic(table, rows, {name: rows[stream(seed, "permute", place, k).permutation(len(rows))]})
    for k in range(permutations):
        moved = {
            name: rows[stream(seed, "permute all", place, k).permutation(len(rows))] for place, name in enumerate(names)
        }
        yield mosaic(table, rows, moved)


def measured_by(prediction: Prediction, asked: Sequence[str]) -> Metric:
    """What a drop is told in: the first metric asked for that these answers have, else a loss."""
    usual = "log_loss" if isinstance(prediction, ClassPrediction | SetPrediction) else "rmse"
    names = [name for name in (*asked, usual) if type(prediction) in METRICS[name.partition("[")[0]].reads]
    return METRICS[next((name for name in names if "[" not in name), usual)]


def importance_of(shuffled: Shuffled, target: str, truth: Truth, metric: Metric) -> Importance:
    """Drops of one target's score, the largest first.

    Each resample draws rows and permutations with replacement, so that the interval knows of both.

    Args:
        shuffled: Answers.
        target: Which.
        truth: Of all rows of the table.
        metric: What to tell drops in.
    """
    truth = truth.take(shuffled.rows)
    judge = _Judge(metric, truth, shuffled.whole[target], shuffled.seed)
    drops = {
        name: judge.drop([one[target] for one in answers], place)
        for place, (name, answers) in enumerate(shuffled.columns.items())
    }
    together = judge.drop([one[target] for one in shuffled.together], len(drops))
    ordered = dict(sorted(drops.items(), key=lambda item: -_finite(item[1].value)))
    return Importance(metric.name, len(known_rows(truth)), judge.score, ordered, together)


def _finite(value: float) -> float:
    return value if np.isfinite(value) else -np.inf


class _Judge:
    """Scores of changed answers against those of the answers as they are, under the same draws of rows."""

    def __init__(self, metric: Metric, truth: Truth, whole: Prediction, seed: int) -> None:
        self.metric, self.truth, self.seed = metric, truth, seed
        self.units = Units.of(truth, seed)
        self.statistic = metric.statistic(whole, truth)
        self.sign = 1.0 if metric.greater_is_better else -1.0
        self.score = float(self.statistic.values(np.ones((1, self.units.rows)))[0])
        self.draws_R = resampled([self.statistic], self.units, DRAWS, seed)[0] if self._enough() else None

    def _enough(self) -> bool:
        return self.units.count >= fewest_units(LEVEL) and bool(np.isfinite(self.score))

    def drop(self, changed: Sequence[Prediction], place: int) -> Drop:
        statistics = [self.metric.statistic(one, self.truth) for one in changed]
        ones = np.ones((1, self.units.rows))
        value = self.sign * (self.score - float(np.mean([s.values(ones)[0] for s in statistics])))
        if self.draws_R is None or not np.isfinite(value):
            return Drop(value, None)
        draws_KR = self.sign * (self.draws_R - resampled(statistics, self.units, DRAWS, self.seed))
        k = len(changed)
        picked_RK = stream(self.seed, "permutations drawn", place).integers(0, k, size=(DRAWS, k))
        drawn_R = draws_KR[picked_RK, np.arange(DRAWS)[:, None]].mean(1)
        drawn_R = drawn_R[np.isfinite(drawn_R)]
        if len(drawn_R) < 0.9 * DRAWS:
            return Drop(value, None)
        low, high = np.quantile(drawn_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Drop(value, Interval(float(low), float(high), LEVEL, "bootstrap of rows and permutations"))
