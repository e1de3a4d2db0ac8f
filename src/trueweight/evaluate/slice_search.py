"""Which parts of the rows fare worse than the rest, beyond what chance and the model's own doubts explain?

Rows are cut in two halves by hash. The first half chooses a handful of suspects among all conditions and the crossings
of the worst; the second half, which had no say in it, is asked about these alone. That keeps the promise of a test
however many conditions there are: Cox 1975, "A note on data-splitting for the evaluation of significance levels",
Biometrika 62(2). It is the search of SliceFinder (Chung et al. 2019, arXiv:1807.06068), which controls false
discoveries on the same rows that it searches, with a second look instead. Then the halves change places, and p-values
are doubled for that.

A part fails if either
  * its losses exceed what the predicted probabilities promise by more than elsewhere (classes and sets): the model is
    sure of itself and wrong there. Rows near a decision are hard by nature and no fault, and are not taken for one; or
  * its losses are larger than elsewhere, and the answers gain far less there on the best single answer for the part:
    the model tells nothing about a kind of case (classes), or errs by more than the part's own spread explains
    (numbers).

Shape suffixes:
    N  rows    K  conditions
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.evaluate.conditions import Condition
from trueweight.evaluate.row_losses import RowLosses
from trueweight.metrics.several import above_by_chance, holm, mean_gap, normal_tail, permuted_tail
from trueweight.metrics.truth import Truth
from trueweight.seeds import row_hashes, stream_seed

__all__ = ["Search", "Suspect", "search"]

SUSPECTS = 5
"""Conditions that the second half is asked about."""

CROSSED = 16
"""Of the worst conditions, every two are crossed."""

LEAST_OF_HALF = 12
"""Rows of a part in either half."""

MOST_ROWS = 20_000
"""Rows that are searched, chosen by hash: more would find no worse parts, only smaller differences."""

EXCESS = 0.05
"""Squared error of probabilities, beyond what they promise, that is worth a flag: answers of 95 % that are right in
89 % of rows. See ``RowLosses.tested_N``."""

EXCESS_IN_BANDS = 0.1
"""The same for bands of a number: the ends of a scale, where rows are few, are fitted worst by every model."""

LARGER = 1.25
"""Times the loss elsewhere that is worth a flag: the four-fifths rule, read as a ratio of losses."""

LARGER_IN_BANDS = 2.0
"""The same for bands of a number."""

GAINED = 0.5
"""Share of the gain elsewhere below which answers about a part tell too little to be worth much."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A condition that one half chose, and what the other half says."""

    condition: Condition
    p: float
    """Of the other half, made larger for the number of suspects, and for there being two halves."""


@dataclass(frozen=True, slots=True)
class Search:
    """What was looked at, and what came of it."""

    conditions: Sequence[Condition]
    """All of them, crossings included."""
    suspects: Sequence[Suspect]
    """The most certain first."""


@dataclass(frozen=True, slots=True)
class _Half:
    """Losses of some rows."""

    losses: RowLosses
    rows: np.ndarray
    """Positions within ``losses``."""
    weight_N: np.ndarray
    cluster_N: np.ndarray | None

    def inside(self, condition: Condition) -> np.ndarray:
        found: np.ndarray = condition.rows_N[self.losses.rows[self.rows]]
        return found

    def tested(self) -> np.ndarray:
        return np.asarray(self.losses.tested_N[self.rows])

    def excess(self) -> np.ndarray | None:
        expected = self.losses.expected_N
        return None if expected is None else self.tested() - expected[self.rows]

    def of_one_answer(self, inside_N: np.ndarray) -> np.ndarray:
        whole_N = np.zeros(len(self.losses.tested_N), bool)
        whole_N[self.rows[inside_N]] = True
        weight_N = np.zeros(len(whole_N))
        weight_N[self.rows] = self.weight_N
        return self.losses.of_one_answer(whole_N, weight_N)


def search(losses: RowLosses, truth: Truth, conditions: Sequence[Condition], least: int, seed: int) -> Search:
    """Find conditions that fail.

    Args:
        losses: Of the known rows.
        truth: Of all rows, for weights and clusters.
        conditions: Over all rows.
        least: Known rows of a part.
        seed: Of the run.
    """
    halves = _halves(losses, truth, seed)
    single = [c for c in conditions if _large_enough(c, least, *halves)]
    looked_at = {c.words: c for c in single}
    best: dict[str, Suspect] = {}
    for chooses, confirms in (halves, halves[::-1]):
        p_K = [_chance(chooses, c) for c in single]
        worst = [single[k] for k in np.argsort(p_K, kind="stable")[:CROSSED]]
        pairs = [a & b for i, a in enumerate(worst) for b in worst[i + 1 :] if a.columns != b.columns]
        pairs = [c for c in pairs if _large_enough(c, least, *halves)]
        looked_at |= {c.words: c for c in pairs}
        for suspect in _suspects(chooses, confirms, [*single, *pairs], seed):
            before = best.get(suspect.condition.words)
            if before is None or suspect.p < before.p:
                best[suspect.condition.words] = suspect
    return Search(list(looked_at.values()), sorted(best.values(), key=lambda s: s.p))


def _suspects(chooses: _Half, confirms: _Half, conditions: Sequence[Condition], seed: int) -> list[Suspect]:
    p_K = [_chance(chooses, c) for c in conditions]
    order = [k for k in np.argsort(p_K, kind="stable") if p_K[k] < 1][:SUSPECTS]
    chosen = [conditions[k] for k in order]
    p_S = holm(_confirmed(confirms, chosen, seed)) if chosen else np.zeros(0)
    # Twice, because each half confirms once.
    return [Suspect(condition, min(1.0, 2 * float(p))) for condition, p in zip(chosen, p_S, strict=True)]


def _halves(losses: RowLosses, truth: Truth, seed: int) -> tuple[_Half, _Half]:
    """By hash of the row, or of its group: groups stay whole."""
    known, own = losses.rows, stream_seed(seed, "slices")
    unit_N = known if truth.cluster_N is None else truth.cluster_N[known]
    hash_N = row_hashes(own, unit_N)
    places = np.arange(len(known))
    if len(known) > MOST_ROWS:
        places = np.sort(np.argsort(hash_N >> np.uint64(1), kind="stable")[:MOST_ROWS])
    weight_N = np.ones(len(known)) if truth.weight_N is None else truth.weight_N[known]
    cluster_N = None if truth.cluster_N is None else truth.cluster_N[known]
    side_N = (hash_N & np.uint64(1)).astype(bool)
    first, second = (
        _Half(losses, rows, weight_N[rows], None if cluster_N is None else cluster_N[rows])
        for rows in (places[~side_N[places]], places[side_N[places]])
    )
    return first, second


def _large_enough(condition: Condition, least: int, *halves: _Half) -> bool:
    if condition.rows_N[halves[0].losses.rows].sum() < least:
        return False
    counts = [half.inside(condition).sum() for half in halves]
    return all(LEAST_OF_HALF <= n <= len(half.rows) - LEAST_OF_HALF for n, half in zip(counts, halves, strict=True))


def _chance(half: _Half, condition: Condition) -> float:
    """How likely it is by chance, about; 1 where it is too little to matter."""
    return min(1.0, 2 * min(_doubts(half, condition), _gain(half, condition)))


def _doubts(half: _Half, condition: Condition) -> float:
    """Of losses beyond what the probabilities promise."""
    excess_N = half.excess()
    if excess_N is None:
        return 1.0
    gap, error = mean_gap(excess_N, half.inside(condition), half.weight_N, half.cluster_N)
    least = EXCESS if condition.kinds else EXCESS_IN_BANDS
    return normal_tail(gap / error) if error > 0 and gap >= least else 1.0


def _gain(half: _Half, condition: Condition) -> float:
    """Of losses that are larger than elsewhere, and of gaining less on the best single answer: both."""
    inside_N = half.inside(condition)
    if half.excess() is not None and not condition.kinds:
        return 1.0
    gap, error = mean_gap(half.tested(), inside_N, half.weight_N, half.cluster_N)
    rest = float(np.average(half.tested()[~inside_N], weights=half.weight_N[~inside_N]))
    if not error > 0 or rest + gap < (LARGER if condition.kinds else LARGER_IN_BANDS) * rest:
        return 1.0
    mine, theirs = half.of_one_answer(inside_N), half.of_one_answer(~inside_N)
    theirs_mean = float(np.average(theirs, weights=half.weight_N[~inside_N]))
    mine_mean = float(np.average(mine, weights=half.weight_N[inside_N]))
    left = rest / theirs_mean if theirs_mean > 0 else 1.0  # of the loss of a single answer
    if left >= 1 or mine_mean <= 0 or 1 - (rest + gap) / mine_mean > GAINED * (1 - left):
        return 1.0
    cluster = None if half.cluster_N is None else half.cluster_N[inside_N]
    less = above_by_chance(half.tested()[inside_N] - left * mine, half.weight_N[inside_N], cluster)
    return max(normal_tail(gap / error), less)


def _confirmed(half: _Half, chosen: Sequence[Condition], seed: int) -> list[float]:
    """p-values of the second half: of the tests above, and no smaller than what dealing the rows out anew gives."""
    inside = [half.inside(c) for c in chosen]
    sizes = [int(i.sum()) for i in inside]
    by_gain = _dealt(half.tested(), half, inside, sizes, seed)
    gain = [max(_gain(half, c), p) for c, p in zip(chosen, by_gain, strict=True)]
    excess_N = half.excess()
    if excess_N is None:
        return gain
    by_doubts = _dealt(excess_N, half, inside, sizes, seed)
    doubts = [max(_doubts(half, c), p) for c, p in zip(chosen, by_doubts, strict=True)]
    return [min(1.0, 2 * min(a, b)) for a, b in zip(gain, doubts, strict=True)]


def _dealt(
    value_N: np.ndarray, half: _Half, inside: Sequence[np.ndarray], sizes: Sequence[int], seed: int
) -> list[float]:
    gaps = [mean_gap(value_N, i, half.weight_N, None)[0] for i in inside]
    return permuted_tail(value_N, sizes, gaps, half.weight_N, stream_seed(seed, "slices"))
