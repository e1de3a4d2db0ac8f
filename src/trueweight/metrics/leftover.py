"""Do errors go together in some part of the rows? Then something was not learnt, and labels are not to blame.

Shape suffixes:
    N  rows    K  errors of a row    B  parts
"""

from collections.abc import Sequence

import numpy as np

from trueweight.metrics.statistic import Array

__all__ = ["leftover"]

_LEAST = 10
"""Rows of a part that counts by itself."""


def leftover(error_NK: Array, variance_NK: Array, part_N: Sequence[Array]) -> float:
    """How unlikely the unlikeliest sums of errors over parts of the rows are, as a normal deviate.

    For each way to part the rows, sums of errors squared over sums of variances are about chi squared where errors are
    independent with mean zero. Made normal as in Wilson and Hilferty 1931, "The distribution of chi-square".

    Args:
        error_NK: Whose mean should be zero in every part.
        variance_NK: That of each error.
        part_N: int64 numbers of parts, from 0, for each way.
    """
    worst = -np.inf
    for part in part_N:
        count_B = np.bincount(part)
        for error_N, variance_N in zip(error_NK.T, variance_NK.T, strict=True):
            sum_B, square_B = np.bincount(part, error_N), np.bincount(part, variance_N)
            kept_B = (count_B >= _LEAST) & (square_B > 0)
            degrees = int(kept_B.sum())
            if degrees < 2:
                continue
            ratio = float((np.square(sum_B[kept_B]) / square_B[kept_B]).sum()) / degrees
            shrink = 2 / (9 * degrees)
            worst = max(worst, (ratio ** (1 / 3) - (1 - shrink)) / shrink**0.5)
    return float(worst)
