"""Features of series from many fixed convolutions, without weights: what linear models need to tell shapes apart.

Shape suffixes in this file:
    B  rows    T  steps    C  channels    K  patterns    P  features of a row
"""

import math
from collections.abc import Iterator
from itertools import combinations
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Tensors, lengths_of
from trueweight.seeds import row_hashes

__all__ = ["Rocket"]

TAPS = 9
PATTERNS = 84
"""Ways to choose three taps of nine."""

PIECE = 12
"""Patterns that are convolved at once: enough to keep a core busy, few enough to stay in its cache."""

MOST_CHANNELS = 9
"""Channels that one convolution adds up at most."""

RAMP = 0.1
"""In root mean squares: how far around a threshold a step counts in part, so that rounding never tips a whole one."""

GOLDEN = (math.sqrt(5) - 1) / 2


class Rocket(nn.Module):
    """Patterns of nine taps at growing distances, and what each leaves of a series.

    The patterns are those of MiniRocket: weights -1 and 2, three of the nine being 2, so that they sum to 0 and level
    does not count. Every pattern is applied at several dilations, to a fixed choice of channels. Of its answers along
    a row we keep the root mean square (its logarithm), the largest and the smallest, and for some thresholds the share
    of steps above and where, on average, those lie between the row's start (-1) and end (1).

    Sources: ROCKET, Dempster, Petitjean and Webb 2020, arXiv:1910.13051; MiniRocket, Dempster, Schmidt and Webb 2021,
    arXiv:2012.08791; the place of the steps above, MultiRocket, Tan et al. 2022, arXiv:2102.00457. We deviate in the
    thresholds: theirs are quantiles of training rows, ours are fixed multiples of each row's own root mean square, so
    that nothing is learnt and a row's features depend on that row alone; and a step close to one counts in part.

    Args:
        channels: C.
        longest: Steps that a row has at most; the widest pattern spans that many.
        dilations: How many distances are tried, from 1 on; fewer where rows are short.
        thresholds: For each pattern, dilation and choice of channels.
        seed: Of the choice of channels.

    Shape:
        ``frame`` (B, T, C) with lengths (B,) -> (B, P); zeros for rows without a step.
    """

    def __init__(self, channels: int, longest: int, *, dilations: int = 6, thresholds: int = 1, seed: int = 0) -> None:
        super().__init__()
        top = math.log2(max(1.0, (longest - 1) / (TAPS - 1)))
        exponents = np.linspace(0, top, dilations)
        self.dilations = sorted({int(2.0**exponent + 1e-9) for exponent in exponents})
        self.thresholds = thresholds
        self.width = len(self.dilations) * PATTERNS * (3 + 2 * thresholds)
        patterns = torch.full((PATTERNS, TAPS), -1.0, dtype=torch.float64)
        for number, taps in enumerate(combinations(range(TAPS), 3)):
            patterns[number, list(taps)] = 2.0
        patterns /= patterns.square().sum(1, keepdim=True).sqrt()
        for place in range(len(self.dilations)):
            mix_KC = torch.from_numpy(_choices(channels, seed, place))
            weight_KCT = mix_KC.unsqueeze(2) * patterns.unsqueeze(1)
            self.register_buffer(f"weight_{place}", weight_KCT.float(), persistent=False)
            limit_KS = torch.from_numpy(_limits(place, thresholds))
            self.register_buffer(f"limit_{place}", limit_KS.float(), persistent=False)

    def forward(self, x: Tensors) -> Tensor:
        """Convolve, and look at the answers."""
        weight = self.get_buffer("weight_0")
        frame_BCT = x["frame"].to(weight.dtype).transpose(1, 2)
        length_B1 = lengths_of(x, "frame").unsqueeze(1)
        steps = _Steps(length_B1, frame_BCT.shape[2], weight.dtype)
        found = [part for place in range(len(self.dilations)) for part in self._at(place, frame_BCT, steps)]
        return torch.cat(found, dim=1) * (length_B1 > 0).to(weight.dtype)

    def _at(self, place: int, frame_BCT: Tensor, steps: "_Steps") -> Iterator[Tensor]:
        """Features of one dilation, by pieces of the patterns."""
        dilation, reach = self.dilations[place], self.dilations[place] * (TAPS // 2)
        weights = torch.split(self.get_buffer(f"weight_{place}"), PIECE)
        limits = torch.split(self.get_buffer(f"limit_{place}"), PIECE)
        inner_B1T = steps.inside(reach)
        for weight_KCT, limit_KS in zip(weights, limits, strict=True):
            answer_BKT = nn.functional.conv1d(frame_BCT, weight_KCT, padding=reach, dilation=dilation)
            strength_BK = (answer_BKT.square() * inner_B1T).sum(2) / inner_B1T.sum(2).clamp_min(1.0)
            strength_BK = (strength_BK + 1e-12).sqrt()
            yield 0.5 * (strength_BK + 0.01).log()
            only_BKT = answer_BKT * steps.real_B1T
            yield only_BKT.amax(2).clamp_min(0.0)  # as if every row had padding, which is 0
            yield only_BKT.amin(2).clamp_max(0.0)
            for number in range(self.thresholds):
                mask_B1T = inner_B1T if number % 2 else steps.real_B1T
                limit_BK1 = (strength_BK * limit_KS[:, number]).unsqueeze(2)
                ramp_BK1 = (strength_BK * RAMP).unsqueeze(2)
                above_BKT = ((answer_BKT - limit_BK1) / ramp_BK1 + 0.5).clamp(0.0, 1.0) * mask_B1T
                count_B1 = mask_B1T.sum(2).clamp_min(1.0)
                yield above_BKT.sum(2) / count_B1
                yield 1.5 * (above_BKT * steps.place_B1T).sum(2) / count_B1


class _Steps:
    """Which steps of a batch are real, and where they lie.

    Args:
        length_B1: Of each row.
        count: T.
        dtype: Of what is returned.
    """

    def __init__(self, length_B1: Tensor, count: int, dtype: torch.dtype) -> None:
        self.number_T = torch.arange(count, device=length_B1.device)
        self.length_B1, self.dtype = length_B1, dtype
        self.real_B1T = (self.number_T < length_B1).to(dtype).unsqueeze(1)
        span_B1 = (length_B1 - 1).clamp_min(1).to(dtype)
        self.place_B1T = (2 * self.number_T.to(dtype) / span_B1 - 1).unsqueeze(1)

    def inside(self, reach: int) -> Tensor:
        """(B, 1, T): steps that far from both ends; all real ones of rows that are too short for it."""
        fits_B1 = self.length_B1 > 2 * reach + 2
        far_BT = (self.number_T >= reach) & (self.number_T < self.length_B1 - reach)
        real_BT = self.number_T < self.length_B1
        return ((fits_B1 & far_BT) | (~fits_B1 & real_BT)).to(self.dtype).unsqueeze(1)


def _choices(channels: int, seed: int, place: int) -> np.ndarray:
    """How each pattern adds up channels, (K, C): some of them alike, with a norm of 1.

    Their number is spread evenly on a scale of powers, as in ROCKET. Hashes choose, so that every machine and version
    chooses alike.
    """
    numbers = np.arange(PATTERNS * (channels + 1)) + place * PATTERNS * (channels + 1)
    draw = (row_hashes(seed, numbers) >> np.uint64(11)).astype(np.float64).reshape(PATTERNS, -1) / 2.0**53
    count_K = np.floor(2.0 ** (draw[:, 0] * math.log2(min(channels, MOST_CHANNELS) + 1))).astype(np.int64)
    rank_KC = draw[:, 1:].argsort(1).argsort(1)
    return (rank_KC < count_K[:, None]) / np.sqrt(count_K)[:, None]


def _limits(place: int, thresholds: int) -> np.ndarray:
    """Thresholds in root mean squares, (K, S): quantiles of the normal distribution, spread by the golden ratio."""
    numbers = np.arange(1, PATTERNS * thresholds + 1) + place * PATTERNS * thresholds
    shares = (numbers * GOLDEN) % 1.0
    normal = NormalDist()
    return np.array([normal.inv_cdf(share) for share in shares.tolist()]).reshape(PATTERNS, thresholds)
