"""How a number is spread, as counts between edges: what later rows are held against.

Counts of the same edges add up, so that facts of parts of the rows can be merged.

Shape suffixes:
    N  values    K  bins    E  edges, one fewer
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trueweight.data.quantiles import inner_quantiles

__all__ = ["binned", "bins_of", "edges_of"]

_LEVELS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def bins_of(values_N: np.ndarray, min_group: int) -> dict[str, list[Any]]:
    """``{"edges": [...], "counts": [...]}``: bin k holds values above edge k - 1 and up to edge k.

    Each bin holds at least ``min_group`` values, and an edge is a mean of as many neighbours, so nobody's value. Both
    are empty where there are too few values.

    Args:
        values_N: NaN are left out.
        min_group: Values that hide each other.
    """
    given = values_N[np.isfinite(values_N)]
    if len(given) < 2 * max(min_group, 1):
        return {"edges": [], "counts": []}
    edges = np.unique(inner_quantiles(given, _LEVELS, min_group))
    counts = binned(given, edges)
    while len(edges) and counts.min() < min_group:
        k = int(counts.argmin())
        # Into the smaller neighbour: bin k is bounded by the edges k - 1 and k.
        left = k == len(edges) or (k > 0 and counts[k - 1] <= counts[k + 1])
        edges = np.delete(edges, k - 1 if left else k)
        counts = binned(given, edges)
    return {"edges": [float(x) for x in edges], "counts": [int(x) for x in counts]}


def binned(values_N: np.ndarray, edges_E: np.ndarray | list[float]) -> np.ndarray:
    """Values in each bin, (K,) int64; NaN are left out."""
    given = values_N[~np.isnan(values_N)]
    place_N = np.searchsorted(np.asarray(edges_E, np.float64), given, side="left")
    return np.bincount(place_N, minlength=len(edges_E) + 1)


def edges_of(learnt: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Edges and counts as learnt; empty where a bundle of an earlier version has none."""
    bins = learnt.get("bins") or {"edges": [], "counts": []}
    return np.asarray(bins["edges"], np.float64), np.asarray(bins["counts"], np.int64)
