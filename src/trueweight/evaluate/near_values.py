"""Judged rows that are nearly a training row in their plain values: in all of them, in all but one, or roughly.

Tables of few values repeat without anybody having copied anything. So each way also asks how many pairs of rows agree
in one value less: where rows repeat by themselves, those are far more; of a copy there is only the one.

Shape suffixes:
    N  judged rows    T  training rows    K  values of a row
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, TextCells
from trueweight.data.value_prints import rough_prints, value_prints
from trueweight.evaluate.near_rows import LEAST, Near, Pair
from trueweight.metrics.beta import beta_cdf
from trueweight.seeds import row_hashes

__all__ = ["agreeing", "near_in_values"]

LEVEL = 0.01
"""Chance of taking what is natural for copies."""

LEFT_OUT = 16
"""Columns that are left out one after the other, those of most different values."""

BY_ITSELF = 0.2
"""Largest share of full matches among pairs of rows that match in all values, or in all but one, where nothing was
copied; and among rows with such a partner. Of columns that have nothing to do with each other it is about
1 / (1 + log(rows / matches of a row)), a tenth where matches are rare."""

BY_CHANCE = 0.001
"""Matches of a judged row that may come about if columns have nothing to do with each other, for rows that agree in all
values but one, or roughly, to be called copies."""

ALIKE = 0.9
"""Share of rows that agree in all values but one, or roughly, that must agree in the targets too."""

FEWER = 8
"""Columns that are left out two at a time."""

ROWS = 20_000
"""Training rows that are looked at where columns are left out two at a time."""

_Keys = list[np.ndarray]
"""Hashes of each value, (N,) or (T,) uint64: K of them."""


def near_in_values(pairs: Sequence[Pair], targets: Sequence[Pair]) -> list[Near]:
    """Rows that equal a training row in every value, numbers to three digits; in all but one; or roughly.

    The latter two count only where they are copies: in tables of few columns many rows are roughly alike, and where the
    same day is measured in many places, rows differ in the place only. A copy has the same targets.

    Args:
        pairs: The features.
        targets: The targets.
    """
    exact = [_prints(pair) for pair in pairs]
    judged, training = _keys(exact)
    found = (rough_prints(p.judged, p.judged_rows, p.training, p.training_rows) for p in pairs)
    rough = [both for known, other in zip(exact, found, strict=True) for both in (known if other is None else other)]
    few = [key_T[:ROWS] for key_T in training]
    target_N, target_T = (_whole(keys) for keys in _keys(map(_prints, targets))) if targets else _nothing(pairs)
    return [
        _in_all(judged, training),
        _but_for_one(judged, few, (target_N, target_T[:ROWS])),
        _roughly(_hashed([one_N for one_N, _ in rough]), _hashed([one_T for _, one_T in rough]), (target_N, target_T)),
    ]


def _prints(pair: Pair) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each value, in judged and in training rows."""
    ones, others = _printed(pair.judged, pair.judged_rows), _printed(pair.training, pair.training_rows)
    return list(zip(ones, others, strict=True))


def _printed(cells: Cells, rows: np.ndarray) -> list[np.ndarray]:
    if isinstance(cells, TextCells):  # each takes a while: only those that are looked at
        return list(value_prints(replace(cells, text_N=cells.text_N.take(pa.array(rows)))))
    return [value_N[rows] for value_N in value_prints(cells)]


def _keys(prints: Iterable[list[tuple[np.ndarray, np.ndarray]]]) -> tuple[_Keys, _Keys]:
    every = [both for column in prints for both in column]
    return _hashed([one_N for one_N, _ in every]), _hashed([one_T for _, one_T in every])


def _nothing(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(len(pairs[0].judged_rows), np.uint64), np.zeros(len(pairs[0].training_rows), np.uint64)


def _hashed(values: _Keys) -> _Keys:
    return [row_hashes(k + 1, value_N) for k, value_N in enumerate(values)]


def _whole(keys: _Keys) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(np.stack(keys).sum(0, dtype=np.uint64))


def _in_all(judged: _Keys, training: _Keys) -> Near:
    full_N, almost_N = _matches(judged, training)
    twin_N = full_N > 0
    p, full = _unusual(full_N, almost_N)
    known = {"values": len(training), "training_rows": len(training[0]), "full_matches": round(full, 4)}
    copied = len(training) > 1 and p <= LEVEL and full > BY_ITSELF
    return Near("in all columns", twin_N, copied, known | {"p": round(p, 6)})


def _matches(judged: _Keys, training: _Keys) -> tuple[np.ndarray, np.ndarray]:
    """Of each judged row, training rows that agree in all values, and in all but one."""
    whole_N, whole_T = _whole(judged), _whole(training)
    full_N = _equal(whole_N, whole_T)
    almost_N = np.zeros(len(full_N), np.int64)
    with np.errstate(over="ignore"):
        for k in _most_different(training, LEFT_OUT):
            almost_N += _equal(whole_N - judged[k], whole_T - training[k]) - full_N
    return full_N, almost_N


def _unusual(full_N: np.ndarray, almost_N: np.ndarray) -> tuple[float, float]:
    """Chance of so many rows with a full match where rows repeat by themselves, and full matches' share of all."""
    twins, almost = int((full_N > 0).sum()), int(((almost_N > 0) & (full_N == 0)).sum())
    full = float(full_N.sum() / max(1, full_N.sum() + almost_N.sum()))
    return _at_least(twins, twins + almost, BY_ITSELF), full


def _but_for_one(judged: _Keys, training: _Keys, target: tuple[np.ndarray, np.ndarray]) -> Near:
    """Rows that differ from a training row in one value: a digit, a later correction."""
    left_out = _most_different(training, FEWER)
    full_N, one_N, two_N = agreeing(judged, training, left_out, _whole(judged), _whole(training))
    with np.errstate(over="ignore"):
        wholes = _whole(judged) + target[0], _whole(training) + target[1]
    alike_N = agreeing(judged, training, left_out, *wholes)[1]
    one_N, two_N = (np.where(full_N > 0, 0, more_N) for more_N in (one_N, two_N))
    return _copies("in all columns but one", (one_N, two_N), alike_N, training, left_out)


def agreeing(
    judged: _Keys, training: _Keys, left_out: Sequence[int], whole_N: np.ndarray, whole_T: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each judged row, training rows that agree in everything, in all but one of some columns, and in all but two.

    Pairs that agree in all values but those of one or two columns are counted with those that agree in more, which are
    then taken off.
    """
    count, full_N = len(left_out), _equal(whole_N, whole_T)
    one_N, two_N = -count * full_N, np.zeros(len(full_N), np.int64)
    with np.errstate(over="ignore"):
        for k in left_out:
            one_N += _equal(whole_N - judged[k], whole_T - training[k])
        for k, m in combinations(left_out, 2):
            two_N += _equal(whole_N - judged[k] - judged[m], whole_T - training[k] - training[m])
    return full_N, one_N, two_N - (count - 1) * one_N - count * (count - 1) // 2 * full_N


def _roughly(judged: _Keys, training: _Keys, target: tuple[np.ndarray, np.ndarray]) -> Near:
    """Rows that agree with a training row in every value, numbers to a tenth of a standard deviation: rounded ones."""
    with np.errstate(over="ignore"):
        alike_N = _equal(_whole(judged) + target[0], _whole(training) + target[1])
    return _copies("roughly, in all columns", _matches(judged, training), alike_N, training, [])


def _copies(
    what: str, found: tuple[np.ndarray, np.ndarray], alike_N: np.ndarray, training: _Keys, left_out: Sequence[int]
) -> Near:
    """Whether matches are copies: more than in tables whose rows repeat, or than chance gives, and of like targets."""
    match_N, (p, share) = found[0] > 0, _unusual(*found)
    alike = float((alike_N[match_N] > 0).mean()) if match_N.any() else 0.0
    by_chance = _by_chance(training, left_out)
    copied = len(training) > 2 and match_N.sum() >= LEAST and p <= LEVEL and share > BY_ITSELF
    copied = bool(copied and by_chance <= BY_CHANCE and alike >= ALIKE)
    known = {"training_rows": len(training[0]), "matches": round(share, 4), "p": round(p, 6)}
    return Near(
        what, match_N & copied, copied, known | {"by_chance": round(by_chance, 6), "like_targets": round(alike, 4)}
    )


def _by_chance(training: _Keys, left_out: Sequence[int]) -> float:
    """Training rows that a row would agree with in all values (in all but one of some columns) if columns had nothing
    to do with each other."""
    share_K = []
    for key_T in training:
        count = np.unique(key_T, return_counts=True)[1] / len(key_T)
        share_K.append(float(np.square(count).sum()))
    rows, whole = len(training[0]), float(np.prod(share_K))
    return rows * (sum(whole / share_K[k] for k in left_out) if len(left_out) else whole)


def _equal(key_N: np.ndarray, key_T: np.ndarray) -> np.ndarray:
    """How many training rows have each key, (N,) int64."""
    sorted_T = np.sort(key_T)
    return np.searchsorted(sorted_T, key_N, side="right") - np.searchsorted(sorted_T, key_N, side="left")


def _most_different(values: _Keys, most: int) -> list[int]:
    different = [len(np.unique(value_T)) for value_T in values]
    return sorted(range(len(values)), key=lambda k: -different[k])[:most]


def _at_least(hits: int, rows: int, chance: float) -> float:
    """Probability of so many hits or more."""
    return 1.0 if hits == 0 else beta_cdf(chance, hits, rows - hits + 1)
