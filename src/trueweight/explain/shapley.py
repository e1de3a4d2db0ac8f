"""Shapley values of columns, by drawing orders in pairs.

    phi[c] = mean over orders and background rows b of f(x with b's cells behind c) - f(x with b's cells from c on)

An order and its reverse are a pair, which share the background row: their errors partly cancel. The standard error is
that of the pairs' means. Values sum exactly to the answer minus the mean answer over the background rows drawn.
Source: Strumbelj and Kononenko 2014, "Explaining prediction models and individual predictions with feature
contributions", section 3; pairs as in Mitchell et al. 2022, "Sampling permutations for Shapley value estimation",
arXiv:2104.12199, section 5.1.

Shape suffixes:
    P  columns    B  background rows    G  pairs
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trueweight.data.table import Table
from trueweight.evaluate.mosaic import mosaic
from trueweight.explain.asked import Asked
from trueweight.model.protocols import Predictor
from trueweight.seeds import stream

__all__ = ["Shares", "exact_shapley", "shapley"]

MOST_EXACT = 12


@dataclass(frozen=True, slots=True)
class Shares:
    """Of one row."""

    value_P: np.ndarray
    error_P: np.ndarray
    """Standard errors; 0 where all orders were looked at."""
    baseline: float
    """Mean answer over the background."""
    answer: float


def shapley(asked: Asked, *, pairs: int, predictor: Predictor | None = None, seed: int | None = None) -> list[Shares]:
    """For every row.

    Args:
        asked: Rows and background.
        pairs: G, at least 2; best a multiple of the background rows, each of which then counts alike.
        predictor: Another one than the question's.
        seed: Of the orders; the question's by default.
    """
    seed = asked.seed if seed is None else seed
    plans = [_orders(asked, place, pairs, seed) for place in range(len(asked.rows))]
    tables = ((place, _walks(asked, place, plan)) for place, plan in enumerate(plans))
    found = []
    for plan, answers in zip(plans, asked.scores(tables, predictor), strict=True):
        walk_GS = answers.reshape(pairs, 2, -1)
        found.append(_shares(walk_GS, plan))
    return found


@dataclass(frozen=True, slots=True)
class _Plan:
    order_GP: np.ndarray
    lender_G: np.ndarray


def _orders(asked: Asked, place: int, pairs: int, seed: int) -> _Plan:
    rng = stream(seed, "shapley", int(asked.rows[place]))
    columns = len(asked.columns)
    order_GP = np.stack([rng.permutation(columns) for _ in range(pairs)])
    whole = np.concatenate([rng.permutation(asked.background) for _ in range(-(-pairs // len(asked.background)))])
    return _Plan(order_GP, whole[:pairs])


def _walks(asked: Asked, place: int, plan: _Plan) -> Table:
    """For each pair two walks of P + 1 steps: from the background row to the row, one column after the other."""
    columns = plan.order_GP.shape[1]
    rank_GP = np.argsort(plan.order_GP, axis=1)
    step_S = np.arange(columns + 1)
    forth = rank_GP[:, None, :] < step_S[:, None]
    back = (columns - 1 - rank_GP)[:, None, :] < step_S[:, None]
    own = np.stack([forth, back], axis=1).reshape(-1, columns)
    lender = np.repeat(plan.lender_G, 2 * (columns + 1))
    row = int(asked.rows[place])
    return mosaic(
        asked.table, np.full(len(lender), row),
        {name: np.where(own[:, i], row, lender) for i, name in enumerate(asked.columns)},
    )  # fmt: skip


def _shares(walk_GDS: np.ndarray, plan: _Plan) -> Shares:
    pairs, columns = plan.order_GP.shape
    step_GDP = np.diff(walk_GDS, axis=2)
    value_GP = np.zeros((pairs, columns))
    rows = np.arange(pairs)[:, None]
    value_GP[rows, plan.order_GP] += step_GDP[:, 0] / 2
    value_GP[rows, plan.order_GP[:, ::-1]] += step_GDP[:, 1] / 2
    error_P = value_GP.std(axis=0, ddof=1) / np.sqrt(pairs)
    return Shares(value_GP.mean(0), error_P, float(walk_GDS[:, :, 0].mean()), float(walk_GDS[0, 0, -1]))


def exact_shapley(asked: Asked, predictor: Predictor | None = None) -> list[Shares]:
    """By all sets of columns, 2 to the power of P, with every background row: the definition itself.

    Source: Shapley 1953; the value of a set is the mean answer with its columns the row's and all others each
    background row's (the interventional one of Janzing et al. 2020, arXiv:1910.13413).

    Raises:
        ValueError: More columns than can be enumerated.
    """
    columns = len(asked.columns)
    if columns > MOST_EXACT:
        raise ValueError(f"{columns} columns have too many subsets: at most {MOST_EXACT} can be enumerated")
    own_SP = (np.arange(2**columns)[:, None] >> np.arange(columns)) & 1 == 1
    weight_S = _weights(own_SP.sum(1), columns)
    found = []
    for answers in asked.scores(_sets(asked, own_SP), predictor):
        value_S = answers.reshape(len(own_SP), len(asked.background)).mean(1)
        shares = [_marginal(value_S, own_SP, weight_S, column) for column in range(columns)]
        found.append(Shares(np.array(shares), np.zeros(columns), float(value_S[0]), float(value_S[-1])))
    return found


def _sets(asked: Asked, own_SP: np.ndarray) -> Iterator[tuple[int, Table]]:
    lender = np.tile(asked.background, len(own_SP))
    own = np.repeat(own_SP, len(asked.background), axis=0)
    for place, row in enumerate(asked.rows):
        others = {name: np.where(own[:, i], row, lender) for i, name in enumerate(asked.columns)}
        yield place, mosaic(asked.table, np.full(len(lender), row), others)


def _weights(size_S: np.ndarray, columns: int) -> np.ndarray:
    """Share of orders in which exactly this set comes before a given column outside it."""
    by_size = [1.0 / columns]
    for before in range(columns - 1):
        by_size.append(by_size[-1] * (before + 1) / (columns - 1 - before))
    return np.asarray(np.asarray([*by_size, 0.0])[size_S])


def _marginal(value_S: np.ndarray, own_SP: np.ndarray, weight_S: np.ndarray, column: int) -> float:
    before = np.flatnonzero(~own_SP[:, column])
    return float((weight_S[before] * (value_S[before | (1 << column)] - value_S[before])).sum())
