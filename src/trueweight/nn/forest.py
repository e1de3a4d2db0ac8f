"""Decision trees as tensors, answered for all rows and trees at once, level by level.

Shape suffixes in this file:
    R  rows    P  places    T  trees    N  nodes of all trees    S  scores    C  sets of codes    L  codes
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Forest", "Tree", "at_most"]

NOBODY = -1
"""In ``set_N``: the node asks for a number."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree; children come after their parents, and a leaf is its own child."""

    feature_N: np.ndarray
    """Place that is asked for, int32; 0 for leaves."""
    threshold_N: np.ndarray
    """float32: rows with a number up to it go left."""
    gap_left_N: np.ndarray
    """Whether rows without a number go left, bool."""
    left_N: np.ndarray
    """Node, counted from 0 within the tree, int32."""
    right_N: np.ndarray
    value_N: np.ndarray
    """float32: what a leaf adds to the score."""
    codes_N: Sequence[frozenset[int] | None]
    """Codes that go left, for nodes that ask for one; None for others."""


def at_most(threshold: float) -> np.float32:
    """The largest float32 that is no more than a float64: the same float32 numbers lie below both."""
    with np.errstate(over="ignore"):
        near = np.float32(threshold)
        return near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf))


class Forest(nn.Module):
    """Rounds of trees, one for each score, whose leaves' values add up.

    A forest begins without trees and takes its size from what is loaded. Nothing in it is trained by gradients, and its
    answer does not change with a small change of a number, but for thresholds.

    Shape:
        (R, P) float, gaps as NaN, codes as whole numbers -> (R, S).

    Args:
        width: P.
        scores: S.
    """

    feature_N: Tensor
    threshold_N: Tensor
    gap_left_N: Tensor
    left_N: Tensor
    right_N: Tensor
    value_N: Tensor
    set_N: Tensor
    root_T: Tensor
    left_CL: Tensor
    place_N: Tensor
    """Of what is asked, among the numbers with gaps below and those with gaps above."""

    def __init__(self, width: int, scores: int) -> None:
        super().__init__()
        self.width, self.scores, self.depth = width, scores, 0
        for name, blank in _blanks().items():
            self.register_buffer(name, blank)
        self.register_buffer("place_N", torch.zeros(0, dtype=torch.int32), persistent=False)

    @property
    def rounds(self) -> int:
        """Trees of each score."""
        return len(self.root_T) // self.scores

    def grow(self, trees: Sequence[Tree]) -> None:
        """Take these trees instead: round by round, in each round one for each score."""
        if len(trees) % self.scores:
            raise ValueError(f"{len(trees)} trees are no whole rounds of {self.scores}")
        for name, tensor in _joined(trees).items():
            setattr(self, name, tensor)
        self._check()

    def forward(self, x_RP: Tensor) -> Tensor:
        """Every row walks down every tree."""
        trees = len(self.root_T)
        if not trees:
            return x_RP.new_zeros(x_RP.shape[0], self.scores)
        # Every number twice, gaps below all others and gaps above them: nodes then ask one question, not two.
        x_M = torch.cat([x_RP.masked_fill(x_RP.isnan(), far) for far in (-torch.inf, torch.inf)], dim=1).flatten()
        start_R1 = torch.arange(x_RP.shape[0], device=x_RP.device).unsqueeze(1) * (2 * self.width)
        node_RT = self.root_T.expand(x_RP.shape[0], trees)
        for _ in range(self.depth):
            value_RT = _taken(x_M, start_R1 + _taken(self.place_N, node_RT))
            left_RT = value_RT <= _taken(self.threshold_N, node_RT)
            if len(self.left_CL):
                set_RT = _taken(self.set_N, node_RT)
                code_RT = value_RT.clamp(0, self.left_CL.shape[1] - 1).long()
                place_RT = set_RT.clamp_min(0).long() * self.left_CL.shape[1] + code_RT
                among_RT = _taken(self.left_CL.flatten(), place_RT) & (value_RT == code_RT)
                asks_RT = set_RT != NOBODY
                left_RT = (asks_RT & among_RT) | (~asks_RT & left_RT)
            node_RT = torch.where(left_RT, _taken(self.left_N, node_RT), _taken(self.right_N, node_RT))
        leaf_RT = _taken(self.value_N, node_RT).double()  # hundreds of small numbers
        return leaf_RT.view(x_RP.shape[0], self.rounds, self.scores).sum(1).to(x_RP.dtype)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the size of what comes, and refuse what is no forest."""
        for name in _blanks():
            there = state_dict.get(f"{prefix}{name}")
            if there is not None:
                setattr(self, name, torch.empty_like(there, dtype=getattr(self, name).dtype))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._check()

    def _check(self) -> None:
        """Every walk ends in a leaf of its own tree.

        Raises:
            ValueError: It would not.
        """
        count, own_N = len(self.feature_N), torch.arange(len(self.feature_N))
        sized = (self.threshold_N, self.gap_left_N, self.left_N, self.right_N, self.value_N, self.set_N)
        if any(t.shape != (count,) for t in sized) or self.left_CL.dim() != 2 or len(self.root_T) % self.scores:
            raise ValueError("the tensors of these trees do not have one length")
        left_N, right_N = self.left_N.cpu(), self.right_N.cpu()
        leaf_N = (left_N == own_N) & (right_N == own_N)
        below_N = (left_N > own_N) & (right_N > own_N) & (left_N < count) & (right_N < count)
        inside = [
            bool((leaf_N | below_N).all()),
            _within(self.feature_N, 0, max(self.width, 1)), _within(self.root_T, 0, count),
            _within(self.set_N, NOBODY, len(self.left_CL)), not torch.isnan(self.value_N).any(),
        ]  # fmt: skip
        if not all(inside):
            raise ValueError("these trees point to nodes or columns that there are not")
        self.place_N = self.feature_N + (~self.gap_left_N).int() * self.width
        self.depth, here = 0, self.root_T.cpu().long()
        while len(here := here[~leaf_N[here]]):
            self.depth, here = self.depth + 1, torch.cat([left_N[here], right_N[here]]).long()


def _taken(t: Tensor, place_RT: Tensor) -> Tensor:
    return t.index_select(0, place_RT.flatten()).view(place_RT.shape)


def _within(t: Tensor, low: int, high: int) -> bool:
    return bool(((t >= low) & (t < high)).all())


def _blanks() -> dict[str, Tensor]:
    whole = ("feature_N", "left_N", "right_N", "set_N", "root_T")
    return {
        **{name: torch.zeros(0, dtype=torch.int32) for name in whole},
        **{name: torch.zeros(0) for name in ("threshold_N", "value_N")},
        "gap_left_N": torch.zeros(0, dtype=torch.bool),
        "left_CL": torch.zeros(0, 0, dtype=torch.bool),
    }


def _joined(trees: Sequence[Tree]) -> dict[str, Tensor]:
    if not trees:
        return _blanks()
    first_T = np.cumsum([0, *(len(tree.value_N) for tree in trees)]).astype(np.int32)
    asked = [codes for tree in trees for codes in tree.codes_N]
    sets = list(dict.fromkeys(codes for codes in asked if codes is not None))
    number = {codes: place for place, codes in enumerate(sets)}
    left_CL = np.zeros((len(sets), 1 + max((max(codes, default=0) for codes in sets), default=-1)), bool)
    for place, codes in enumerate(sets):
        left_CL[place, sorted(codes)] = True
    found = {
        "feature_N": np.concatenate([tree.feature_N for tree in trees]),
        "threshold_N": np.concatenate([tree.threshold_N for tree in trees]),
        "gap_left_N": np.concatenate([tree.gap_left_N for tree in trees]),
        "left_N": np.concatenate([tree.left_N + first for tree, first in zip(trees, first_T, strict=False)]),
        "right_N": np.concatenate([tree.right_N + first for tree, first in zip(trees, first_T, strict=False)]),
        "value_N": np.concatenate([tree.value_N for tree in trees]),
        "set_N": np.array([NOBODY if codes is None else number[codes] for codes in asked], np.int32),
        "root_T": first_T[:-1],
        "left_CL": left_CL,
    }
    return {name: torch.from_numpy(array) for name, array in found.items()}
