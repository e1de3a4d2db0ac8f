"""The recurrent network that writes, looking at what was read: the other family of decoders.

Shape suffixes in this file:
    B  rows    T  tokens written    L  tokens read    D  width    V  vocabulary    N  layers
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from trueweight.nn.attention import attended
from trueweight.nn.dropout import Dropout
from trueweight.nn.encoding import Encoding, Tensors
from trueweight.nn.places import Places

__all__ = ["LstmDecoder"]


class LstmDecoder(nn.Module):
    """An LSTM over the text so far; its state asks what was read, and both make the next token.

        h_t = lstm(embed(y_{t-1}))      c_t = softmax(h_t W m^T) m      logits = tanh([c_t, h_t] U) E^T

    Sources: Luong, Pham and Manning 2015, "Effective approaches to attention-based neural machine translation",
    arXiv:1508.04025, section 3.1 ("general" attention), without feeding c_t back, so that all tokens of a text are
    learnt from at once; tied table of tokens of Press and Wolf 2016, arXiv:1608.05859. The first state is a linear
    function of the mean of what was read.

    Args:
        vocabulary: V.
        memory_width: Of the tokens that are read; None: nothing is read.
        width: D.
        layers: N.
        dropout: On embedded tokens, between layers, and before the logits.
        tied: Whether the table of tokens is also what logits are made with.
    """

    packs = False  # its state would go on from one text into the next
    halves = False  # what that would gain was not measured

    def __init__(
        self, vocabulary: int, memory_width: int | None, *, width: int, layers: int, dropout: float, tied: bool
    ) -> None:
        super().__init__()
        self.vocabulary, self.layers, self.width = vocabulary, layers, width
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.lstm = nn.LSTM(width, width, layers, dropout=dropout if layers > 1 else 0.0, batch_first=True)
        self.dropout = Dropout(dropout)
        reads = memory_width is not None
        self.first = nn.Linear(memory_width, 2 * layers * width) if memory_width is not None else None
        self.key = nn.Linear(memory_width, width) if memory_width is not None else None
        self.value = nn.Linear(memory_width, width) if memory_width is not None else None
        self.join = nn.Linear(2 * width, width) if reads else None
        self.head = None if tied else nn.Linear(width, vocabulary, bias=False)
        with torch.no_grad():
            for name, weight in self.lstm.named_parameters():
                if "bias_hh" in name:  # remember at first: Jozefowicz et al. 2015
                    weight.zero_()
                    weight[width : 2 * width] = 1.0

    def read(self, z: Encoding | None) -> Tensors:
        """Keys, values and the first state of each row."""
        if z is None or self.first is None or self.key is None or self.value is None:
            return {}
        rows, tokens = z.tokens_BLD.shape[:2]
        mask_BL = z.mask_BL
        if mask_BL is None:
            mask_BL = torch.ones(rows, tokens, dtype=torch.bool, device=z.tokens_BLD.device)
        share_BL1 = mask_BL.unsqueeze(2).to(z.tokens_BLD.dtype)
        mean_BD = (z.tokens_BLD * share_BL1).sum(1) / share_BL1.sum(1).clamp_min(1)
        state_B2ND = torch.tanh(self.first(mean_BD)).view(rows, 2, self.layers, self.width)
        real_B11L = attended(mask_BL)
        assert real_B11L is not None
        return {
            "key": self.key(z.tokens_BLD), "value": self.value(z.tokens_BLD), "real": real_B11L.squeeze(1),
            "state": state_B2ND,
        }  # fmt: skip

    def forward(self, token_BT: Tensor, memory: Tensors) -> Tensor:
        """Logits (B, T, V) of what follows each token."""
        return self.logits(self.states(token_BT, memory))

    def states(self, token_BT: Tensor, memory: Tensors) -> Tensor:
        """What logits are made of, (B, T, D)."""
        h_BTD, _ = self.lstm(self.dropout(self._embedded(token_BT)), self._first(memory, len(token_BT)))
        return self._asked(h_BTD, memory)

    def states_packed(self, token_M: Tensor, place_M: Tensor, count_P: Tensor) -> Tensor:
        """Refused: ``packs`` says so."""
        raise NotImplementedError("an LSTM reads one text a row")

    def logits(self, state: Tensor) -> Tensor:
        """Logits of what follows, (..., V)."""
        return nn.functional.linear(state, self.embedding.weight if self.head is None else self.head.weight)

    def cache(self, rows: int, places: int) -> dict[str, Tensor]:  # noqa: ARG002 - a state has one size
        """The state of each row."""
        blank = self.embedding.weight.new_zeros(rows, self.layers, self.width)
        return {"h": blank, "c": blank.clone(), "begun": torch.zeros(rows, dtype=torch.bool, device=blank.device)}

    def prefill(self, token_BT: Tensor, length_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> None:
        """Run over the first tokens of each row."""
        some = torch.nonzero(length_B > 0).flatten()
        if not len(some):
            return
        first = self._first({name: t[some] for name, t in memory.items()}, len(some))
        packed = pack_padded_sequence(
            self._embedded(token_BT[some]), length_B[some].cpu(), batch_first=True, enforce_sorted=False
        )
        _, (h_NBD, c_NBD) = self.lstm(packed, first)
        cache["h"][some], cache["c"][some] = h_NBD.transpose(0, 1), c_NBD.transpose(0, 1)
        cache["begun"][some] = True

    def step(self, token_B: Tensor, place_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> Tensor:
        """Logits (B, V) of what follows one token more."""
        return self.logits(self.step_state(token_B, place_B, memory, cache))

    def step_state(self, token_B: Tensor, place_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> Tensor:  # noqa: ARG002
        """What these logits are made of, (B, D)."""
        first = self._first(memory, len(token_B))
        begun_B11 = cache["begun"][:, None, None]
        h_BND, c_BND = cache["h"], cache["c"]
        if first is not None:
            h_BND = torch.where(begun_B11, h_BND, first[0].transpose(0, 1))
            c_BND = torch.where(begun_B11, c_BND, first[1].transpose(0, 1))
        state = (h_BND.transpose(0, 1).contiguous(), c_BND.transpose(0, 1).contiguous())
        h_B1D, (h_NBD, c_NBD) = self.lstm(self._embedded(token_B.unsqueeze(1)), state)
        cache["h"].copy_(h_NBD.transpose(0, 1))
        cache["c"].copy_(c_NBD.transpose(0, 1))
        cache["begun"].fill_(True)
        return self._asked(h_B1D, memory).squeeze(1)

    def steps(self) -> Callable[[Tensor, Places, Tensors, dict[str, Tensor]], Tensor]:
        """:meth:`step`; where a token stands is in the state."""
        nowhere = torch.zeros(0, dtype=torch.int64)
        return lambda token_B, _, memory, cache: self.step(token_B, nowhere, memory, cache)

    def state_steps(self) -> Callable[[Tensor, Places, Tensors, dict[str, Tensor]], Tensor]:
        """:meth:`step_state`, likewise."""
        nowhere = torch.zeros(0, dtype=torch.int64)
        return lambda token_B, _, memory, cache: self.step_state(token_B, nowhere, memory, cache)

    def _embedded(self, token_BT: Tensor) -> Tensor:
        embedded_BTD: Tensor = self.embedding(token_BT) * self.width**0.5
        return embedded_BTD

    def _first(self, memory: Tensors, rows: int) -> tuple[Tensor, Tensor] | None:
        if "state" not in memory:
            return None
        state_2NBD = memory["state"].permute(1, 2, 0, 3)
        assert state_2NBD.shape[2] == rows
        return state_2NBD[0].contiguous(), state_2NBD[1].contiguous()

    def _asked(self, h_BTD: Tensor, memory: Tensors) -> Tensor:
        """States that know what was read."""
        if self.join is not None and "key" in memory:
            score_BTL = (h_BTD @ memory["key"].transpose(1, 2)) * self.width**-0.5
            share_BTL = score_BTL.masked_fill(~memory["real"], -torch.inf).softmax(2)
            h_BTD = torch.tanh(self.join(torch.cat([share_BTL @ memory["value"], h_BTD], dim=2)))
        dropped_BTD: Tensor = self.dropout(h_BTD)
        return dropped_BTD
