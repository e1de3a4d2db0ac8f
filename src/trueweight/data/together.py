"""What rows look like as a whole, so that a later row can be told from those the model has learnt from.

Each column becomes one number or a few that are about normal on training rows; a row's strangeness is its Mahalanobis
distance from their mean: Mahalanobis 1936, "On the generalised distance in statistics". A row of usual values that
never go together is strange too.

Shape suffixes:
    N  rows    D  places    E  edges
"""

from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from trueweight.data.bins import edges_of
from trueweight.data.cells import Cells, LevelCells, MediaCells, SetCells, VectorCells
from trueweight.data.gist import gist_of
from trueweight.data.levels import level_numbers
from trueweight.data.quantiles import inner_quantiles
from trueweight.data.reading import cells_of
from trueweight.data.sample import BottomK
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table

__all__ = ["learn_together", "strangeness", "unusualness", "why_unknown"]

LEAST = 200
"""Training rows below which nothing is learnt: half of them teach, half say what is usual."""

_ROWS = 4096
"""Training rows that are looked at."""

_WIDTH = 48
"""Most places; columns beyond them are left out."""

_LEVELS, _PLACES = 6, 16
"""Most places of one category; of one set or vector."""

_LIMIT = 8.0
"""Standard deviations that one value may be away at most, so that none decides alone."""

_RIDGE = 0.01
"""Added to every variance: what never varied may vary a little."""

_FILES = ("image", "audio")

_USUAL = 0.99
"""Share of rows that are called usual."""


def learn_together(signature: Signature, table: Table, train: np.ndarray, *, min_group: int) -> dict[str, Any]:
    """Means and covariances of training rows, and how strange rows are that had no part in them.

    Returns:
        "mean" (D), "covariance" (its lower triangle, row by row), "threshold" (below which 99 % of rows are), "above"
        and "rows" (how many of which rows lie above); {} for too few rows, or columns that have no place.
    """
    rows = BottomK.of(train, k=_ROWS).rows
    if len(rows) < max(LEAST, 4 * min_group):
        return {}
    some = table.take(rows)
    place_ND = _places(signature, some)
    if not place_ND.shape[1]:
        return {}
    teach_ND, usual_ND = place_ND[::2], place_ND[1::2]
    mean_D = teach_ND.mean(0)
    covariance_DD = np.atleast_2d(np.cov(teach_ND, rowvar=False))
    lower = covariance_DD[np.tril_indices(len(mean_D))]
    facts = {"mean": [_short(x) for x in mean_D], "covariance": [_short(x) for x in lower]}
    strange_N = _distances(usual_ND, facts)
    threshold = _short(inner_quantiles(strange_N, [_USUAL], min_group)[0])
    return facts | {"threshold": threshold, "above": int((strange_N > threshold).sum()), "rows": len(strange_N)}


def strangeness(signature: Signature, table: Table) -> np.ndarray | None:
    """How strange each row is, (N,) float64; rows above ``signature.together["threshold"]`` are unusual. None where the
    Signature does not say what is usual."""
    facts = signature.together
    if not facts:
        return None
    place_ND = _places(signature, table)
    return _distances(place_ND, facts) if place_ND.shape[1] == len(facts["mean"]) else None


def unusualness(signature: Signature, table: Table) -> np.ndarray | None:
    """How unusual each row is, (N,) float64 >= 0: 99 in 100 rows like the training rows are below 1. None as in
    :func:`strangeness`."""
    strange_N = strangeness(signature, table)
    # Of rows that were all alike, the threshold is 0: then every other row is far out.
    return None if strange_N is None else strange_N / max(float(signature.together["threshold"]), 1e-9)


def why_unknown(signature: Signature, min_group: int) -> str:
    """Why a Signature does not say what is usual, in words that end a sentence."""
    least = max(LEAST, 4 * min_group)
    if signature.rows < least:
        return f"it has learnt from {signature.rows} rows, and it takes {least} to know what is usual"
    if all(facts.type in _FILES or not facts.learnt["count"] for facts in signature.features()):
        return "all columns that it reads are pictures or sounds, of which nothing is compared"
    return "it was made by an earlier version, which did not keep what rows usually look like: train it again"


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _distances(place_ND: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    width = len(facts["mean"])
    covariance_DD = np.zeros((width, width))
    covariance_DD[np.tril_indices(width)] = facts["covariance"]
    covariance_DD += np.tril(covariance_DD, -1).T + _RIDGE * np.eye(width)
    # Rounded covariances stay positive definite under the ridge, which is a thousand times what rounding changes.
    factor_DD = np.linalg.cholesky(covariance_DD)
    whitened_DN = np.linalg.solve(factor_DD, (place_ND - np.asarray(facts["mean"])).T)
    return np.asarray(np.sqrt(np.square(whitened_DN).sum(0)))


def _places(signature: Signature, table: Table) -> np.ndarray:
    """(N, D), D the same for every table of one Signature."""
    found: list[np.ndarray] = []
    for facts in signature.features():
        if facts.type in _FILES:  # they are opened once, not once more for this
            continue
        for place_ND in _of_column(facts, cells_of(table, facts, signature.options)):
            if len(found) + place_ND.shape[1] <= _WIDTH:
                found += list(place_ND.T)
    return np.stack(found, axis=1) if found else np.zeros((len(table), 0))


def _of_column(facts: ColumnFacts, cells: Cells) -> Iterator[np.ndarray]:
    if facts.learnt["count"] == 0 or isinstance(cells, MediaCells):
        return
    match cells:
        case LevelCells():
            yield _levels(facts.learnt, cells)
        case SetCells():
            yield _members(facts.learnt, cells)
        case VectorCells():
            yield _vector(facts.learnt, cells)
        case _:
            value_N = gist_of(facts.type, cells)
            edges_E, counts = edges_of(facts.learnt)
            if value_N is not None and len(edges_E):
                yield _scores(value_N, edges_E, counts)[:, None]
    if not isinstance(cells, LevelCells):  # theirs have a level of its own
        yield cells.missing_N.astype(np.float64)[:, None]


def _scores(value_N: np.ndarray, edges_E: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Normal scores between edges, straight on beyond them; 0 where missing."""
    share_E = np.cumsum(counts)[:-1] / counts.sum()
    score_E = np.array([NormalDist().inv_cdf(float(share)) for share in share_E])
    value = np.nan_to_num(value_N, nan=float(edges_E[0]))
    inner_N = np.interp(value, edges_E, score_E)
    wide = len(edges_E) > 1
    slope = (score_E[-1] - score_E[0]) / (edges_E[-1] - edges_E[0]) if wide else 0.0
    with np.errstate(over="ignore"):
        beyond_N = np.minimum(value - edges_E[0], 0) + np.maximum(value - edges_E[-1], 0)
        score_N = np.clip(inner_N + slope * beyond_N, -_LIMIT, _LIMIT)
    return np.asarray(np.where(np.isnan(value_N), 0.0, score_N))


def _levels(learnt: Mapping[str, Any], cells: LevelCells) -> np.ndarray:
    """Which of the most frequent levels, and how rare the level is."""
    place_N = np.append(level_numbers(cells.levels, learnt["levels"]), len(learnt["levels"]) + 1)[cells.code_N]
    unknown = learnt["rare"]["rows"]
    rows_K = np.array([*learnt["counts"], unknown, learnt["missing"]], np.float64)
    place_N = np.where(place_N < 0, len(learnt["levels"]), place_N)
    rare_N = -np.log((rows_K[place_N] + 1) / (rows_K.sum() + 1))
    hot = [(place_N == place).astype(np.float64) for place in range(min(_LEVELS, len(learnt["levels"])))]
    return np.stack([*hot, rare_N], axis=1)


def _members(learnt: Mapping[str, Any], cells: SetCells) -> np.ndarray:
    known = min(_PLACES, len(learnt["levels"]))
    hot = np.zeros((len(cells), known + 1))
    number_K = level_numbers(cells.levels, learnt["levels"][:known])
    row_M = np.repeat(np.arange(len(cells)), np.diff(cells.start_N1))
    hot[row_M, np.where(number_K < 0, known, number_K)[cells.code_M]] = 1.0
    return hot


def _vector(learnt: Mapping[str, Any], cells: VectorCells) -> np.ndarray:
    width = min(_PLACES, learnt["width"])
    found = np.zeros((len(cells), width))
    given = ~cells.missing_N
    if cells.value_ND.shape[1] == learnt["width"]:
        mean, std = np.asarray(learnt["mean"][:width]), np.asarray(learnt["std"][:width])
        scaled = (cells.value_ND[given][:, :width] - mean) / np.where(std > 0, std, 1.0)
        found[given] = np.clip(scaled, -_LIMIT, _LIMIT)
    return found
