"""Where the next token of each row goes; worked out once a step for all layers.

Shape suffixes in this file:
    B  rows    S  places of a cache
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """Where each row's token goes."""

    used: int
    """Places of the cache that are looked at: one more than the furthest."""
    place_B: Tensor | None
    """int64; None: all at the last of those that are used, so that nothing has to be masked."""

    @classmethod
    def of(cls, place_B: Tensor) -> "Places":
        """From places that nobody has looked at yet."""
        least, most = map(int, torch.stack(place_B.aminmax()).tolist())
        return cls(most + 1, None if least == most else place_B)

    def each(self, rows: int, device: torch.device) -> Tensor:
        """The place of every row, (B,)."""
        if self.place_B is not None:
            return self.place_B
        return torch.full((rows,), self.used - 1, dtype=torch.int64, device=device)

    def mask(self, like: Tensor) -> Tensor | None:
        """What is added to the logits of attention, (B, 1, 1, S): 0 for places that a row may look at, else minus
        infinity. None: it may look at all of them."""
        if self.place_B is None:
            return None
        place_S = torch.arange(self.used, device=like.device)
        beyond_BS = place_S > self.place_B.unsqueeze(1)
        return like.new_zeros(beyond_BS.shape).masked_fill_(beyond_BS, -torch.inf)[:, None, None, :]
