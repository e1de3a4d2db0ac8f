"""Checks that an explanation has to pass: does removing what it names first change the answer, and does it stay when
nothing of importance changes. Whether it sees the weights is asked in :mod:`trueweight.explain.cascade`.

Shape suffixes:
    N  rows    P  parts    S  steps    R  resamples
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from trueweight.explain.record import Explanation, Proof
from trueweight.metrics.words import counted
from trueweight.seeds import stream

__all__ = ["FEWEST_PARTS", "Erase", "Values", "faithful", "judged", "rank_correlation", "stays"]

Erase = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]
"""For each row ways to leave parts out, (M, P) bool, to answers (M,)."""

RANDOM_ORDERS, MOST_STEPS, DRAWS = 8, 6, 1000
FEWEST_ROWS, FEWEST_PARTS = 5, 3
SMALLEST_LIKENESS = 0.9
"""Cosine with the same again, at least."""

Values = Sequence[np.ndarray]
"""Of each row, (P,)."""


def judged(explanation: Explanation, proofs: Sequence[Proof]) -> Explanation:
    """The explanation with its checks; failed if one of them is."""
    wrong = [f"{proof.name}: {proof.reason}" for proof in proofs if proof.status == "failed"]
    status = "failed" if wrong else explanation.status
    return replace(explanation, proofs=tuple(proofs), status=status, reason="; ".join(wrong) or explanation.reason)


def faithful(values: Values, erase: Erase, signs: Sequence[float], seed: int) -> list[Proof]:
    """Deletion and insertion against random orders.

    Parts are removed in the order of their values; the answer must fall faster than in random orders. And parts are
    put back into an empty row in this order; it must rise faster. Areas are means over steps, the gain over random
    orders is paired row by row, and its interval must lie above 0. Source: Petsiuk, Das and Saenko 2018, "RISE",
    arXiv:1806.07421, section 4.3.

    Args:
        values: What the explanation says.
        erase: Answers without some parts.
        signs: For each row 1 if its answer speaks for the number explained, -1 if against it, 0 if it says nothing.
        seed: Of random orders.
    """
    usable = [i for i, value_P in enumerate(values) if len(value_P) >= FEWEST_PARTS and signs[i]]
    if len(usable) < FEWEST_ROWS:
        reason = f"{counted(len(usable), 'row')} of {FEWEST_PARTS} parts or more: it takes {FEWEST_ROWS}"
        return [Proof(name, "not_applicable", n=len(usable), reason=reason) for name in ("deletion", "insertion")]
    masks = [
        _masks(signs[i] * value_P, stream(seed, "orders", i)) if i in set(usable) else np.zeros((0, len(value_P)), bool)
        for i, value_P in enumerate(values)
    ]
    answers = erase(masks)
    gains = []
    for i in usable:
        area_2O = (signs[i] * np.asarray(answers[i])).reshape(2, RANDOM_ORDERS + 1, -1).mean(2)
        gains.append([area_2O[0, 1:].mean() - area_2O[0, 0], area_2O[1, 0] - area_2O[1, 1:].mean()])
    gain_N2 = np.asarray(gains)
    return [_gain("deletion", gain_N2[:, 0], seed), _gain("insertion", gain_N2[:, 1], seed)]


def _masks(value_P: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gone parts by deletion and insertion, by order (ours first) and step, (2 * orders * S, P)."""
    count = len(value_P)
    sizes = np.unique(np.linspace(1, count - 1, min(MOST_STEPS, count - 1)).round().astype(int))
    # Equal values come in a random order, not in that of the columns.
    ours = np.lexsort((rng.permutation(count), -value_P))
    orders = [ours, *(rng.permutation(count) for _ in range(RANDOM_ORDERS))]
    rank_OP = np.argsort(np.stack(orders), axis=1)
    first_OSP = rank_OP[:, None, :] < sizes[:, None]
    return np.concatenate([first_OSP, ~first_OSP]).reshape(-1, count)


def _gain(name: str, gain_N: np.ndarray, seed: int) -> Proof:
    rows_RN = stream(seed, f"gain {name}").integers(0, len(gain_N), size=(DRAWS, len(gain_N)))
    low, high = np.quantile(gain_N[rows_RN].mean(1), [0.025, 0.975])
    value, interval, n = float(gain_N.mean()), (float(low), float(high)), len(gain_N)
    if low > 0:
        return Proof(name, "passed", value, interval, n, "faster than in random orders")
    return Proof(name, "failed", value, interval, n, "the order told changes the answer no faster than random orders")


def stays(values: Values, again: Values | None, what: str) -> Proof:
    """The same explanation once more, of other draws or of rows that hardly differ, must be about the same.

    Args:
        values: What the explanation says.
        again: What it says once more; None where there is no other way to ask.
        what: What was different.
    """
    if again is None:
        return Proof("stability", "not_applicable", reason="nothing is drawn, and no tiny change is possible")
    pairs = [(a, b) for a, b in zip(values, again, strict=True) if len(a) == len(b)]
    one, other = (np.concatenate([pair[k] for pair in pairs] or [np.zeros(0)]) for k in range(2))
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    value = float(one @ other) / size if size > 0 else 1.0
    if value >= SMALLEST_LIKENESS:
        return Proof("stability", "passed", value, None, len(pairs), f"about the same with {what}")
    return Proof("stability", "failed", value, None, len(pairs), f"another one with {what} (cosine {value:.2f})")


def rank_correlation(one_P: np.ndarray, other_P: np.ndarray) -> float:
    """Spearman's, ties sharing their mean rank; 0 where one of them does not vary."""
    a, b = _ranks(one_P), _ranks(other_P)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 else 0.0


def _ranks(value_P: np.ndarray) -> np.ndarray:
    _, number_P, count = np.unique(value_P, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[number_P])
