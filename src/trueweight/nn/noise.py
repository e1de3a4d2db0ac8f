"""Random numbers that belong to a row, whoever else is in its batch.

Shape suffixes in this file:
    R  rows    W  numbers per row
"""

import math

import numpy as np
import torch
from torch import Tensor

from trueweight.seeds import row_hashes, stream_seed

__all__ = ["row_normal", "row_uniform"]


def row_uniform(rows_R: Tensor, seed: int, width: int, *, purpose: str = "noise") -> Tensor:
    """Uniform numbers in (0, 1), (R, W) float32: a function of (seed, purpose, row, place) alone."""
    rows = rows_R.cpu().numpy()
    draws = [row_hashes(stream_seed(seed, purpose, place), rows) >> np.uint64(11) for place in range(width)]
    uniform = (np.stack(draws, axis=1).astype(np.float64) + 0.5) * 2.0**-53 if draws else np.zeros((len(rows), 0))
    return torch.from_numpy(uniform).float().clamp(1e-7, 1 - 1e-7)


def row_normal(rows_R: Tensor, seed: int, width: int, *, purpose: str = "noise") -> Tensor:
    """Standard normal numbers, (R, W) float32: a function of (seed, purpose, row, place) alone."""
    signed: Tensor = 2 * row_uniform(rows_R, seed, width, purpose=purpose) - 1
    return torch.erfinv(signed) * math.sqrt(2)
