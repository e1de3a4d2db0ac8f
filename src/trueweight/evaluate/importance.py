"""How much worse the answers become when a column's cells change places: permutation importance, with interval.

Source: Breiman 2001, "Random forests", section 10, and Fisher, Rudin and Dominici 2019, arXiv:1801.01489, section 3.
Intervals come from drawing rows and permutations together: a row and the row that lends it a cell are both a sample, so
a draw counts a pair by how often each of them was drawn (to first order, the bootstrap of a V-statistic).

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
from trueweight.metrics.resample import Units, fewest_units
from trueweight.metrics.truth import Truth
from trueweight.model.protocols import Predictor
from trueweight.seeds import row_hashes, stream, stream_seed

__all__ = [
    "Drop",
    "Importance",
    "Shuffled",
    "chosen_rows",
    "ends_of",
    "importance_of",
    "measured_by",
    "movable",
    "shuffle",
]

PERMUTATIONS = 3
DRAWS = 200
LEVEL = 0.95

_SENSED = ("image", "audio", "text", "timeseries")
MOST_SENSED, MOST_PLAIN, MOST_JUDGED, FEWEST = 2_400, 12_000, 1_500, 40
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
    """With all columns shuffled at once, so that each row has the answer of another: what there is to explain."""


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Rows and what is answered when columns are shuffled; for all targets."""

    rows: np.ndarray
    """Numbers of the rows in the table."""
    whole: Mapping[str, Prediction]
    columns: Mapping[str, Sequence[Mapping[str, Prediction]]]
    """By column, K answers."""
    lenders: Mapping[str, Sequence[np.ndarray]]
    """By column, K times the positions (N,) within ``rows`` of the rows that its cells come from."""
    seed: int

    def part(self, some: np.ndarray) -> "Shuffled":
        """At some positions; cells may then come from rows that are not among them."""
        place_N = np.full(len(self.rows), -1)
        place_N[some] = np.arange(len(some))
        return Shuffled(
            self.rows[some], _taken(self.whole, some),
            {name: [_taken(one, some) for one in answers] for name, answers in self.columns.items()},
            {name: [place_N[lender[some]] for lender in lenders] for name, lenders in self.lenders.items()},
            self.seed,
        )  # fmt: skip


def _taken(answers: Mapping[str, Prediction], rows: np.ndarray) -> dict[str, Prediction]:
    return {target: answer.take(rows) for target, answer in answers.items()}


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
    rows = chosen_rows(table, predictor.signature, permutations * len(names), seed)
    lenders = {
        name: [stream(seed, "permute", place, k).permutation(len(rows)) for k in range(permutations)]
        for place, name in enumerate(names)
    }
    answers = predicted(predictor, _tables(table, rows, lenders))
    whole = next(answers)
    columns = {name: [next(answers) for _ in range(permutations)] for name in names}
    return Shuffled(rows, whole, columns, lenders, seed)


def _tables(table: Table, rows: np.ndarray, lenders: Mapping[str, Sequence[np.ndarray]]) -> Iterator[Table]:
    yield mosaic(table, rows)
    for name, several in lenders.items():
        for lender in several:
            yield mosaic(table, rows, {name: rows[lender]})


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
        name: judge.drop([one[target] for one in answers], shuffled.lenders[name], place)
        for place, (name, answers) in enumerate(shuffled.columns.items())
    }
    order = [stream(shuffled.seed, "permute all", k).permutation(len(truth)) for k in range(PERMUTATIONS)]
    together = judge.drop([shuffled.whole[target].take(lender) for lender in order], order, len(drops), alone=True)
    ordered = dict(sorted(drops.items(), key=lambda item: -_finite(item[1].value)))
    return Importance(metric.name, len(known_rows(truth)), judge.score, ordered, together)


def _finite(value: float) -> float:
    return value if np.isfinite(value) else -np.inf


class _Judge:
    """Scores of changed answers against those of the answers as they are, under the same draws of rows."""

    def __init__(self, metric: Metric, truth: Truth, whole: Prediction, seed: int) -> None:
        self.metric, self.truth, self.seed = metric, truth, seed
        self.statistic = metric.statistic(whole, truth)
        self.sign = 1.0 if metric.greater_is_better else -1.0
        self.known = known_rows(truth)
        self.score = float(self.statistic.values(np.ones((1, len(self.known))))[0])
        self.count_RN = _counts(truth, seed)

    def drop(
        self, changed: Sequence[Prediction], lenders: Sequence[np.ndarray], place: int, *, alone: bool = False
    ) -> Drop:
        """How much worse changed answers are.

        Args:
            changed: K of them.
            lenders: The rows that they come from in part.
            place: Tells apart what is drawn.
            alone: Whether changed answers have nothing in common with those of the rows as they are.
        """
        statistics = [self.metric.statistic(one, self.truth) for one in changed]
        ones = np.ones((1, len(self.known)))
        value = self.sign * (self.score - float(np.mean([s.values(ones)[0] for s in statistics])))
        if self.count_RN is None or not np.isfinite(value):
            return Drop(value, None)
        draws_KR = []
        for statistic, lender in zip(statistics, lenders, strict=True):
            weight_RN = self._paired(lender)  # the same for both scores: a column that is not read then loses exactly 0
            whole_RN = self.count_RN if alone else weight_RN
            draws_KR.append(self.statistic.values(whole_RN) - statistic.values(weight_RN))
        picked_RK = stream(self.seed, "permutations drawn", place).integers(0, len(changed), size=(DRAWS, len(changed)))
        drawn_R = self.sign * np.stack(draws_KR)[picked_RK, np.arange(DRAWS)[:, None]].mean(1)
        return Drop(value, ends_of(drawn_R, "bootstrap of rows and permutations"))

    def _paired(self, lender_N: np.ndarray) -> np.ndarray:
        """How often each row and its lender were drawn, (R, known rows); lenders of unknown label count once."""
        assert self.count_RN is not None
        full_RN = np.ones((len(self.count_RN), len(self.truth) + 1))  # -1 finds the last: a lender that is not there
        full_RN[:, self.known] = self.count_RN
        return np.maximum(self.count_RN + full_RN[:, lender_N[self.known]] - 1.0, 0.0)


def _counts(truth: Truth, seed: int) -> np.ndarray | None:
    """How often each known row is drawn, (R, known rows); None for too few."""
    units = Units.of(truth, seed)
    if units.count < fewest_units(LEVEL):
        return None
    count_RU = np.concatenate(list(units.counts(DRAWS, seed)))
    return count_RU if units.of_row_N is None else np.asarray(count_RU[:, units.of_row_N])


def ends_of(drawn_R: np.ndarray, method: str) -> Interval | None:
    """The middle of what was drawn; None where too few draws are defined."""
    defined_R = drawn_R[np.isfinite(drawn_R)]
    if len(defined_R) < 0.9 * len(drawn_R):
        return None
    low, high = np.quantile(defined_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL, method)
