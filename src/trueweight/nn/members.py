"""Several networks inside one: a shared trunk, small differences at its ends.

Source: Gorishniy et al. 2024, "TabM", arXiv:2410.24210, section 3.3 ("TabM-mini"); the multiplicative adapter is
BatchEnsemble's, Wen et al. 2020, arXiv:2002.06715.

Shape suffixes in this file:
    R  rows    K  members    B  R * K, member fastest    D  width    O  outputs
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trueweight.nn.entries import Entries

__all__ = ["MemberLinear", "MemberScale"]

WIDE, FEW = 4096, 32
"""Width from which on, and outputs up to which, one member's product is computed turned round: linear models of texts
are such, and the matrix library then takes about half of the time."""


class MemberScale(nn.Module):
    """Multiplies the input by a vector of each member's own: (R, D) -> (R * K, D).

    Each member begins with one random sign for each chunk, a chunk being all places that one column fills:
    flipping the parts of one embedding separately would only rename them.

    Args:
        members: K.
        chunks: Widths of the chunks, summing to D.
    """

    def __init__(self, members: int, chunks: Sequence[int]) -> None:
        super().__init__()
        signs = torch.randint(0, 2, (members, len(chunks))).float() * 2 - 1
        self.scale_KD = nn.Parameter(signs.repeat_interleave(torch.tensor(list(chunks), dtype=torch.long), dim=1))

    def forward(self, x_RD: Tensor) -> Tensor:
        """Repeat and scale."""
        return (x_RD.unsqueeze(1) * self.scale_KD).flatten(0, 1)


class MemberLinear(nn.Module):
    """A linear layer of each member's own: (R * K, D) -> (R, K, O).

    Args:
        members: K.
        width: D.
        outputs: O.
    """

    def __init__(self, members: int, width: int, outputs: int) -> None:
        super().__init__()
        self.members = members
        limit = max(width, 1) ** -0.5
        self.weight_KDO = nn.Parameter(torch.empty(members, width, outputs).uniform_(-limit, limit))
        self.bias_KO = nn.Parameter(torch.zeros(members, outputs))

    def forward(self, x_BD: Tensor) -> Tensor:
        """Each member's rows through its own weights."""
        if self.members == 1:
            return self.only(x_BD).unsqueeze(1)
        x_KRD = x_BD.reshape(-1, self.members, x_BD.shape[1]).transpose(0, 1)
        return torch.baddbmm(self.bias_KO.unsqueeze(1), x_KRD, self.weight_KDO).transpose(0, 1)

    def of_entries(self, x: Entries) -> Tensor:
        """What the only member gives for rows that are told by what is not zero in them, (R, 1, O)."""
        start_R = x.count_R.cumsum(0) - x.count_R
        value_N, weight_DO = x.value_N, self.weight_KDO[0]
        sum_RO = nn.functional.embedding_bag(x.place_N, weight_DO, start_R, mode="sum", per_sample_weights=value_N)
        return (sum_RO + self.bias_KO).unsqueeze(1)

    def only(self, x_RD: Tensor) -> Tensor:
        """What the only member gives, (R, O), where there is one: without an axis that its loss would take away
        again."""
        if x_RD.shape[1] >= WIDE and self.bias_KO.shape[1] <= FEW:
            return (self.weight_KDO[0].t() @ x_RD.t() + self.bias_KO.t()).t()
        return torch.addmm(self.bias_KO, x_RD, self.weight_KDO.squeeze(0))
