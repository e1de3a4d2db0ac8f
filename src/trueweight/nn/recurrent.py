"""Recurrent networks whose answers do not depend on padding, nor on batch mates.

Shape suffixes in this file:
    B  rows * members    T  steps    D  width of a step    H  hidden width
"""

from dataclasses import replace
from typing import Literal, cast

import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Encoding, Form

__all__ = ["Recurrent", "reversed_steps"]

Kind = Literal["lstm", "gru"]


def reversed_steps(x_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
    """Each row's real steps in the opposite order; padding stays where it is. Its own inverse."""
    if mask_BT is None:
        return x_BTD.flip(1)
    place_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
    place_BT = mask_BT.sum(1, keepdim=True) - 1 - place_T
    place_BT = torch.where(mask_BT, place_BT, place_T)
    return x_BTD.gather(1, place_BT.unsqueeze(2).expand(-1, -1, x_BTD.shape[2]))


class Recurrent(nn.Module):
    """Layers of LSTM or GRU over a sequence, forwards or in both directions.

    Sources: LSTM, Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000, its bias beginning at 1 as
    in Jozefowicz et al. 2015; GRU, Cho et al. 2014, arXiv:1406.1078; both directions, Schuster and Paliwal 1997;
    orthogonal recurrent weights, Saxe et al. 2013, arXiv:1312.6120; one dropout mask for all steps, Gal and Ghahramani
    2016, arXiv:1512.05287, here between layers only.

    The way back reads each row from its own last step, put in front by index. So nothing is packed, padding is read
    only after a row's end, and the module can be exported for any number of rows and steps.

    Args:
        kind: "lstm" or "gru".
        form: Of what comes in; a grid is read line by line.
        hidden: H.
        layers: At least 1.
        bidirectional: Whether to read backwards too; D' is then 2 * H, else H.
        dropout: Share of a layer's outputs that are zeroed in training before the next layer.
        ends: Give one token, each direction's state after its last step, instead of one a step.

    Shape:
        tokens (B, T, D) -> (B, T, D'), zeros at padding; or (B, 1, D'), zeros where a row has no step.
    """

    def __init__(
        self, kind: Kind, form: Form, hidden: int, *, layers: int = 1, bidirectional: bool = False,
        dropout: float = 0.0, ends: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        cell = nn.LSTM if kind == "lstm" else nn.GRU
        width = 2 * hidden if bidirectional else hidden
        ways = [1, -1] if bidirectional else [1]
        self.layers = nn.ModuleList(
            nn.ModuleList(cell(width if layer else form.width, hidden, batch_first=True) for _ in ways)
            for layer in range(layers)
        )
        for part in self.modules():
            if isinstance(part, nn.LSTM | nn.GRU):
                _initialize(part, hidden)
        self.dropout, self.ends, self.hidden = dropout, ends, hidden
        steps = int(torch.tensor(form.size).prod()) if form.size else 0
        size = (steps,) if steps and not ends else ()
        self.form = replace(
            form, width=width, grid_rank=0 if ends else 1, levels=0, size=size, coded=form.coded and not ends
        )

    def forward(self, z: Encoding) -> Encoding:
        """Read all steps."""
        x_BTD, mask_BT = z.tokens_BLD, z.mask_BL
        for place, ways in enumerate(self.layers):
            if place:
                x_BTD = self._dropped(x_BTD)
            x_BTD = self._layer(ways, x_BTD, mask_BT)
        if self.ends:
            return Encoding.single(self._last(x_BTD, mask_BT), z.members)
        if mask_BT is not None:
            x_BTD = x_BTD * mask_BT.unsqueeze(2).to(x_BTD.dtype)
        return Encoding(x_BTD, mask_BT, (x_BTD.shape[1],), members=z.members, code_BL=z.code_BL)

    def _layer(self, ways: nn.Module, x_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
        if x_BTD.shape[0] == 0:  # which the kernels refuse
            return x_BTD.new_zeros(0, x_BTD.shape[1], self.form.width)
        forward, *backward = ways.children()
        # Exporting takes torch's own cells apart step by step, and fixes how many there are.
        read = _stepwise if torch.compiler.is_exporting() else _at_once
        ahead_BTH = read(cast(nn.LSTM | nn.GRU, forward), x_BTD)
        if not backward:
            return ahead_BTH
        back_BTH = read(cast(nn.LSTM | nn.GRU, backward[0]), reversed_steps(x_BTD, mask_BT))
        return torch.cat([ahead_BTH, reversed_steps(back_BTH, mask_BT)], dim=2)

    def _dropped(self, x_BTD: Tensor) -> Tensor:
        if not self.training or not self.dropout:
            return x_BTD
        kept_B1D = (torch.rand_like(x_BTD[:, :1]) >= self.dropout).to(x_BTD.dtype)
        return x_BTD * kept_B1D / (1 - self.dropout)

    def _last(self, x_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
        """States after the last step that each direction reads: the row's last, and its first."""
        if mask_BT is None and x_BTD.shape[2] == self.hidden:
            return x_BTD[:, -1]
        first_BD = x_BTD[:, 0, self.hidden :]
        if mask_BT is None:
            return torch.cat([x_BTD[:, -1, : self.hidden], first_BD], dim=1)
        count_B = mask_BT.sum(1)
        place_B11 = (count_B - 1).clamp_min(0).view(-1, 1, 1).expand(-1, 1, self.hidden)
        last_BD = x_BTD[:, :, : self.hidden].gather(1, place_B11).squeeze(1)
        return torch.cat([last_BD, first_BD], dim=1) * (count_B > 0).unsqueeze(1).to(x_BTD.dtype)


def _at_once(cell: nn.LSTM | nn.GRU, x_BTD: Tensor) -> Tensor:
    states_BTH: Tensor = cell(x_BTD)[0]
    return states_BTH


def _stepwise(cell: nn.LSTM | nn.GRU, x_BTD: Tensor) -> Tensor:
    """What a cell of one layer gives, (B, T, H), as a loop that an exported program keeps: any number of steps."""
    # As of torch 2.13 loops have no public name. Its wrapper `scan` compiles, and what was compiled before for other
    # numbers of steps then fixes the number; the operator itself is traced.
    from torch._higher_order_ops.scan import scan_op

    known = dict(cell.named_parameters())
    weight_GH, bias_G = known["weight_hh_l0"], known["bias_hh_l0"]
    inner_TBG = nn.functional.linear(x_BTD, known["weight_ih_l0"], known["bias_ih_l0"]).transpose(0, 1)
    blank_BH = inner_TBG.new_zeros(x_BTD.shape[0], cell.hidden_size)
    if isinstance(cell, nn.LSTM):
        *_, states_TBH = scan_op(_lstm_step, [blank_BH, blank_BH.clone()], [inner_TBG], (weight_GH, bias_G))
    else:
        *_, states_TBH = scan_op(_gru_step, [blank_BH], [inner_TBG], (weight_GH, bias_G))
    return cast(Tensor, states_TBH).transpose(0, 1)


def _lstm_step(hidden_BH: Tensor, kept_BH: Tensor, inner_BG: Tensor, weight_GH: Tensor, bias_G: Tensor) -> list[Tensor]:
    i, f, g, o = (inner_BG + nn.functional.linear(hidden_BH, weight_GH, bias_G)).chunk(4, dim=1)
    kept_BH = torch.sigmoid(f) * kept_BH + torch.sigmoid(i) * torch.tanh(g)
    hidden_BH = torch.sigmoid(o) * torch.tanh(kept_BH)
    return [hidden_BH, kept_BH, hidden_BH.clone()]


def _gru_step(hidden_BH: Tensor, inner_BG: Tensor, weight_GH: Tensor, bias_G: Tensor) -> list[Tensor]:
    r, z, n = inner_BG.chunk(3, dim=1)
    r_own, z_own, n_own = nn.functional.linear(hidden_BH, weight_GH, bias_G).chunk(3, dim=1)
    fresh_BH = torch.tanh(n + torch.sigmoid(r + r_own) * n_own)
    share_BH = torch.sigmoid(z + z_own)
    hidden_BH = share_BH * hidden_BH + (1 - share_BH) * fresh_BH
    return [hidden_BH, hidden_BH.clone()]


def _initialize(cell: nn.LSTM | nn.GRU, hidden: int) -> None:
    weights = dict(cell.named_parameters())
    with torch.no_grad():
        for gate in torch.split(weights["weight_hh_l0"], hidden):
            nn.init.orthogonal_(gate)
        for gate in torch.split(weights["weight_ih_l0"], hidden):
            nn.init.xavier_uniform_(gate)
        weights["bias_ih_l0"].zero_()
        weights["bias_hh_l0"].zero_()
        if isinstance(cell, nn.LSTM):  # torch's order of gates: input, forget, cell, output
            weights["bias_ih_l0"][hidden : 2 * hidden] = 1.0
