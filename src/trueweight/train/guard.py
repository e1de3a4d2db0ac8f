"""Notices that training has diverged, without waiting for the device at each step."""

import math
from collections import deque
from statistics import median

import torch
from torch import Tensor

__all__ = ["CHECK_EVERY", "MAX_HALVINGS", "Guard"]

CHECK_EVERY = 20
"""Steps whose losses are read together."""
MAX_HALVINGS = 3
"""Times that the rate is halved before we give up."""

_REMEMBERED = 200
_FIRST = 20
_STREAK = 10
_TIMES = 3.0


class Guard:
    """Watches losses for signs of divergence.

    A run has diverged when a loss is not finite, or when 10 losses in a row are above 3 times the running
    median *and* above where training began: late in training, tripling a tiny loss means nothing.
    """

    def __init__(self) -> None:
        self._pending: list[Tensor] = []
        self._carried: list[float] = []
        self._known: deque[float] = deque(maxlen=_REMEMBERED)
        self._first: list[float] = []
        self._streak = 0

    @property
    def calm(self) -> bool:
        """Whether nothing looks suspicious: such a moment is worth going back to."""
        return self._streak == 0 and not self._pending and not self._carried

    def add(self, loss: Tensor) -> None:
        """Note one step's loss, unread."""
        self._pending.append(loss)

    def check(self) -> float | None:
        """Read the noted losses. Returns the loss at which training diverged, or None."""
        losses = self._read()
        limit = self._limit()
        for loss in losses:
            if not math.isfinite(loss):
                return float(loss)
            if loss > limit:
                self._streak += 1
                if self._streak >= _STREAK:
                    return float(loss)
            else:
                self._streak = 0
                self._known.append(loss)
                if len(self._first) < _FIRST:
                    self._first.append(loss)
        return None

    def _read(self) -> list[float]:
        new = torch.stack(self._pending).double().tolist() if self._pending else []
        losses = self._carried + new
        self._carried, self._pending = [], []
        return losses

    def _limit(self) -> float:
        if len(self._first) < _FIRST:
            return math.inf
        middle = median(self._known)
        return max(middle + (_TIMES - 1) * abs(middle), median(self._first))

    def recover(self) -> None:
        """Forget what looked suspicious, after the weights were put back."""
        self._streak = 0
        self._carried, self._pending = [], []

    def state(self) -> dict[str, Tensor]:
        """Everything to go on with after a kill, as float64 tensors (losses may be infinite, which JSON cannot say)."""
        self._carried = self._read()
        return {
            "pending": torch.tensor(self._carried, dtype=torch.float64),
            "known": torch.tensor(list(self._known), dtype=torch.float64),
            "first": torch.tensor(self._first, dtype=torch.float64),
            "streak": torch.tensor([self._streak], dtype=torch.float64),
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """The inverse of :meth:`state`."""
        self._pending, self._carried = [], state["pending"].tolist()
        self._known = deque(state["known"].tolist(), maxlen=_REMEMBERED)
        self._first = state["first"].tolist()
        self._streak = int(state["streak"][0])
