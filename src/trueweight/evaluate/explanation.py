"""The check "explanation": which columns the answers rest on, and whether the order told for them holds.

The order is found on one half of the rows and put to the proof on the other: columns shuffled in that order must ruin
the score faster than columns shuffled in random orders. Source: Samek et al. 2017, "Evaluating the visualization of
what a deep neural network has learned", arXiv:1509.06321, section III-B, for regions of pictures; here for columns,
with cells of other rows in the place of what is taken away.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trueweight.data.table import Table
from trueweight.evaluate.importance import (
    DRAWS,
    LEVEL,
    PERMUTATIONS,
    Importance,
    Shuffled,
    ends_of,
    importance_of,
    measured_by,
    shuffle,
)
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.mosaic import mosaic, predicted
from trueweight.evaluate.quality import now
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.metric import Metric, known_rows
from trueweight.metrics.resample import Units, fewest_units, resampled
from trueweight.metrics.truth import Truth
from trueweight.metrics.words import counted
from trueweight.model.protocols import Predictor
from trueweight.seeds import stream

__all__ = ["FEWEST_COLUMNS", "FEWEST_ROWS", "Ruin", "explanation", "proof_of", "ruined"]

RANDOM_ORDERS = 6
MOST_STEPS = 4
MOST_NAMED = 50
"""Columns told of, the most important ones."""

FEWEST_COLUMNS = 3
FEWEST_ROWS = 30
_ANSWERED = ("row with a known answer is", "rows with known answers are")
MOST_PROVEN = 300
"""Rows that an order is put to the proof on."""


@dataclass(frozen=True, slots=True)
class Ruin:
    """How much faster an order of columns ruins the score than random orders do."""

    value: float
    """Mean over the steps of what the score has lost more, in the metric's unit."""
    interval: Interval | None
    n: int

    @property
    def holds(self) -> bool:
        """Whether the rows show that it is faster."""
        return self.interval is not None and self.interval.low > 0

    @property
    def refuted(self) -> bool:
        """Whether they show that it is slower."""
        return self.interval is not None and self.interval.high < 0


def explanation(judging: Judging) -> list[Entry]:
    """Importance of each column for each target, whether its order holds, and a flag; see the module."""
    names = [f.name for f in judging.predictor.signature.features() if f.name in judging.table.names]
    if len(names) < 2:
        reason = "the model reads one column: there are none to compare" if names else "the model reads no column"
        return [_all(target, judging, "not_applicable", reason) for target in judging.truths]
    known = {target: len(known_rows(truth)) for target, truth in judging.truths.items()}
    if max(known.values()) < FEWEST_ROWS:
        reason = f"{counted(max(known.values()), *_ANSWERED)} too few: it takes {FEWEST_ROWS}"
        return [_all(target, judging, "not_run", reason) for target in judging.truths]
    shuffled = shuffle(judging.predictor, judging.table, judging.ask.seed)
    entries: list[Entry] = []
    for target in judging.truths:
        entries += _of_target(judging, shuffled, target)
    return entries


def _all(target: str, judging: Judging, status: str, reason: str) -> Entry:
    return Entry(
        id=f"explanation/{target}/importance/{judging.ask.role}", axis="explanation", metric="importance",
        target=target, status=status, reason=reason, data=judging.ask.data, produced_at=now(),  # type: ignore[arg-type]
    )  # fmt: skip


def _of_target(judging: Judging, shuffled: Shuffled, target: str) -> list[Entry]:
    asked = (judging.ask.evaluate.metrics or {}).get(target, ())
    metric, truth = measured_by(shuffled.whole[target], asked), judging.truths[target]
    found = importance_of(shuffled, target, truth, metric)
    if not np.isfinite(found.score):
        reason = f"{metric.name} is not defined on the {found.n} rows looked at"
        return [_all(target, judging, "not_applicable", reason)]
    put = _Entries(judging, target, metric, found, {"metric": metric.name, "permutations": PERMUTATIONS})
    entries = [
        put.entry(f"importance[{name}]", drop.value, drop.interval)
        for name, drop in list(found.columns.items())[:MOST_NAMED]
    ]
    entries.append(put.entry("importance of all columns", found.together.value, found.together.interval))
    proof = proof_of(judging.predictor, judging.table, shuffled, target, truth, metric)
    return [*entries, put.proof(proof), put.flag(proof)]


@dataclass(frozen=True, slots=True)
class _Entries:
    """Writes down what was found for one target."""

    judging: Judging
    target: str
    metric: Metric
    found: Importance
    parameters: Mapping[str, object]

    def id(self, metric: str) -> str:
        return f"explanation/{self.target}/{metric}/{self.judging.ask.role}"

    def entry(self, metric: str, value: float, interval: Interval | None) -> Entry:
        ask = self.judging.ask
        return Entry(
            id=self.id(metric), axis="explanation", metric=metric, target=self.target, value=value,
            unit=self.metric.unit or self.metric.name, interval=interval, n=self.found.n,
            method=Method("permutation importance", "1", self.parameters, ask.seed), data=ask.data,
            reproduce=ask.reproduce, produced_at=now(),
        )  # fmt: skip

    def proof(self, proof: Ruin | None) -> Entry:
        parameters = {"metric": self.metric.name, "random_orders": RANDOM_ORDERS}
        method = Method("columns shuffled in the order told", "1", parameters, self.judging.ask.seed)
        blank = replace(self.entry(_PROOF, 0.0, None), method=method)
        if proof is None:
            reason = f"it takes {FEWEST_COLUMNS} columns and {2 * FEWEST_ROWS} rows with known answers"
            return replace(blank, value=None, n=None, status="not_applicable", reason=reason)
        told = replace(blank, value=proof.value, interval=proof.interval, n=proof.n)
        if proof.holds:
            return told
        reason = "it is not shown that columns shuffled in the order told ruin the score faster than in random orders"
        return replace(told, status="failed" if self._wrong(proof) else "measured", reason=reason)

    def flag(self, proof: Ruin | None) -> Entry:
        rests_on = [self.id("importance of all columns"), self.id(_PROOF)]
        wrong = self._wrong(proof)
        return replace(
            self.entry("explanation_flag", int(bool(wrong)), None), unit="flag", n=None, reason=wrong,
            depends_on=tuple(rests_on),
        )  # fmt: skip

    def _wrong(self, proof: Ruin | None) -> str | None:
        together, target = self.found.together, self.target
        if together.interval is not None and not together.shown:
            return (
                f"shuffling all columns does not make the answers for {target!r} worse: they do not rest on what the"
                " model reads, and no explanation of them means anything; do not use it before it has learnt something"
            )
        if proof is None or proof.holds:
            return None
        # One column of a few often decides, and random orders come to it soon: a gain that these rows cannot show is no
        # fault, but none at all is one where the intervals claim an order.
        if proof.refuted or (proof.value <= 0 and _ordered(self.found)):
            return (
                f"the order of importance told for {target!r} does not hold on other rows: do not rely on which columns"
                " it names first"
            )
        return None


_PROOF = "deletion against random order"


def _ordered(found: Importance) -> bool:
    """Whether intervals claim that some columns matter clearly more than half of all."""
    drops = [drop for drop in found.columns.values() if drop.interval is not None]
    ends = [drop.interval.high for drop in drops[len(drops) // 2 :] if drop.interval is not None]
    first = drops[0].interval if drops else None
    return first is not None and bool(ends) and first.low > 2 * max(0.0, *ends)


def proof_of(
    predictor: Predictor, table: Table, shuffled: Shuffled, target: str, truth: Truth, metric: Metric
) -> Ruin | None:
    """The order found on every other row, put to the proof on the others."""
    here, there = np.arange(0, len(shuffled.rows), 2), np.arange(1, len(shuffled.rows), 2)[:MOST_PROVEN]
    rest = truth.take(shuffled.rows[there])
    if len(shuffled.columns) < FEWEST_COLUMNS or len(known_rows(rest)) < FEWEST_ROWS:
        return None
    order = list(importance_of(shuffled.part(here), target, truth, metric).columns)
    return ruined(predictor, table, shuffled.rows[there], target, rest, metric, order, shuffled.seed)


def ruined(
    predictor: Predictor, table: Table, rows: np.ndarray, target: str, truth: Truth, metric: Metric,
    order: Sequence[str], seed: int,
) -> Ruin:  # fmt: skip
    """Put an order of columns to the proof.

    Args:
        predictor: What answers.
        table: Where cells come from.
        rows: Numbers of the rows to judge by, (N,).
        target: What is answered.
        truth: Of these rows.
        metric: The score that is to be ruined.
        order: Columns, the most important first.
        seed: Of shuffling and of random orders.
    """
    mixed = (stream(seed, "random order", number).permutation(len(order)) for number in range(RANDOM_ORDERS))
    orders = [list(order), *([order[i] for i in places] for places in mixed)]
    sizes = np.unique(np.linspace(1, len(order) - 1, min(MOST_STEPS, len(order) - 1)).round().astype(int))
    answers = predicted(predictor, _stripped(table, rows, orders, sizes, seed))
    units, sign = Units.of(truth, seed), 1.0 if metric.greater_is_better else -1.0
    values, draws = [], []
    for _ in orders:
        statistics = [metric.statistic(next(answers)[target], truth) for _ in sizes]
        values.append(sign * float(np.mean([s.values(np.ones((1, units.rows)))[0] for s in statistics])))
        draws.append(sign * resampled(statistics, units, DRAWS, seed).mean(0))
    value = float(np.mean(values[1:]) - values[0])
    picked_RK = stream(seed, "orders drawn").integers(1, len(orders), size=(DRAWS, RANDOM_ORDERS))
    drawn_R = np.stack(draws)[picked_RK, np.arange(DRAWS)[:, None]].mean(1) - draws[0]
    few = units.count < fewest_units(LEVEL)
    interval = None if few else ends_of(drawn_R, "bootstrap of rows and orders")
    return Ruin(value, interval, units.rows)


def _stripped(
    table: Table, rows: np.ndarray, orders: Sequence[Sequence[str]], sizes: np.ndarray, seed: int
) -> Iterator[Table]:
    """For every order, the rows with its first columns shuffled; a column is shuffled alike in all orders."""
    places = {name: place for place, name in enumerate(sorted(orders[0]))}
    moved = {name: rows[stream(seed, "strip", place).permutation(len(rows))] for name, place in places.items()}
    for order in orders:
        for size in sizes:
            yield mosaic(table, rows, {name: moved[name] for name in order[:size]})
