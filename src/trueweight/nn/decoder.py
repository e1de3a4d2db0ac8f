"""The transformer that writes: what was read and the text so far in, logits of the next token out.

Shape suffixes in this file:
    B  rows    T  tokens written    L  tokens read    D  width    V  vocabulary    S  places of a cache
    H  heads    G  heads of keys and values    K  width of a head    M  tokens of texts that lie end to end
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trueweight.nn.attention import attend, attended
from trueweight.nn.decoder_steps import FusedSteps, can_be_fused
from trueweight.nn.dropout import Dropout
from trueweight.nn.encoding import Encoding, Tensors
from trueweight.nn.lines import Lines, turned, turns_of
from trueweight.nn.places import Places
from trueweight.nn.positions import BASE, Learned, rotated, rotation, rotation_at, waves, waves_at
from trueweight.nn.precision import normed
from trueweight.nn.transformer import FeedForward, norm_of

__all__ = ["DecoderWishes", "TransformerDecoder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderWishes:
    """What the decoder is made like."""

    width: int
    layers: int
    heads: int
    key_value_heads: int
    """G: fewer than ``heads`` share keys and values among several queries."""
    hidden: int
    dropout: float
    norm: str
    """pre or post; see ``nn.transformer.Block``."""
    normalization: str
    activation: str
    positions: str
    """rotary, sinusoidal or learned."""
    qk_norm: bool
    tied: bool
    """Whether the table of tokens is also what logits are made with."""
    length: int
    """Most tokens of an answer: learned places."""
    norm_eps: float | None = None
    rotary_base: float = BASE
    biases: bool = True
    """Of linear layers."""
    scaled: bool = True
    """Multiply the table of tokens with the root of the width before places are added."""


class CachedAttention(nn.Module):
    """Causal self-attention whose keys and values of earlier tokens can be kept. No links are dropped: that would take
    the matrix of all links into memory, which the fused kernel never makes.

    Grouped queries: Ainslie et al. 2023, "GQA", arXiv:2305.13245. With as many heads of keys as of queries it is
    ``nn.attention.SelfAttention``.
    """

    def __init__(self, wishes: DecoderWishes) -> None:
        super().__init__()
        width, self.heads, self.groups = wishes.width, wishes.heads, wishes.key_value_heads
        head_width = width // self.heads
        self.q = nn.Linear(width, width, bias=wishes.biases)
        self.kv = nn.Linear(width, 2 * self.groups * head_width, bias=wishes.biases)
        self.out = nn.Linear(width, width, bias=wishes.biases)
        self.norm_q = nn.RMSNorm(head_width, eps=1e-6) if wishes.qk_norm else nn.Identity()
        self.norm_k = nn.RMSNorm(head_width, eps=1e-6) if wishes.qk_norm else nn.Identity()
        _begin(self.q, self.kv, self.out)

    def project(self, x_BTD: Tensor, turn: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, K), keys and values (B, G, T, K)."""
        q_BHTK = normed(self.norm_q, self.q(x_BTD).unflatten(2, (self.heads, -1)).transpose(1, 2))
        k_BGTK, v_BGTK = self.kv(x_BTD).unflatten(2, (2, self.groups, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        k_BGTK = normed(self.norm_k, k_BGTK)
        if turn is not None:
            q_BHTK, k_BGTK = rotated(q_BHTK, turn), rotated(k_BGTK, turn)
        return q_BHTK, k_BGTK, v_BGTK

    def forward(self, x_BTD: Tensor, turn: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
        """All tokens at once; also their keys and values."""
        q_BHTK, k_BGTK, v_BGTK = self.project(x_BTD, turn)
        shared = self.heads // self.groups
        k_BHTK, v_BHTK = (t if shared == 1 else t.repeat_interleave(shared, 1) for t in (k_BGTK, v_BGTK))
        mixed_BHTK = attend(q_BHTK, k_BHTK, v_BHTK, causal=True)
        return self.out(mixed_BHTK.transpose(1, 2).flatten(2)), k_BGTK, v_BGTK

    def within(self, x_1MD: Tensor, turns: tuple[Tensor, Tensor] | None, lines: Lines) -> Tensor:
        """Tokens of texts that lie end to end, each text by itself; ``turns`` of ``lines.turns_of``."""
        q_MHK = normed(self.norm_q, self.q(x_1MD)[0].unflatten(1, (self.heads, -1)))
        k_MGK, v_MGK = self.kv(x_1MD)[0].unflatten(1, (2, self.groups, -1)).unbind(1)
        k_MGK = normed(self.norm_k, k_MGK)
        if turns is not None:
            cos_MHK, sin_MHK = turns
            q_MHK = turned(q_MHK, turns)
            k_MGK = turned(k_MGK, (cos_MHK[:, : self.groups], sin_MHK[:, : self.groups]))
        shared = self.heads // self.groups
        k_MHK, v_MHK = (t if shared == 1 else t.repeat_interleave(shared, 1) for t in (k_MGK, v_MGK))
        mixed_1MD: Tensor = self.out(lines.attend(q_MHK, k_MHK, v_MHK).flatten(1)).unsqueeze(0)
        return mixed_1MD

    def step(
        self, x_B1D: Tensor, turn: tuple[Tensor, Tensor] | None, k_BGKS: Tensor, v_BGSK: Tensor, at: Places
    ) -> Tensor:
        """One token more, which is written into the cache at its place."""
        q_BH1K, k_BG1K, v_BG1K = self.project(x_B1D, turn)
        rows, place_B = len(x_B1D), at.each(len(x_B1D), x_B1D.device)
        row_B = torch.arange(rows, device=x_B1D.device)
        k_BGKS[row_B, :, :, place_B], v_BGSK[row_B, :, place_B] = k_BG1K.squeeze(2), v_BG1K.squeeze(2)
        # The queries that share keys stand in the place of several tokens: nothing has to be repeated.
        q_BGQK = q_BH1K if self.groups == self.heads else q_BH1K.reshape(rows, self.groups, -1, q_BH1K.shape[3])
        mixed_BGQK = nn.functional.scaled_dot_product_attention(
            q_BGQK, k_BGKS[..., : at.used].transpose(2, 3), v_BGSK[:, :, : at.used], at.mask(x_B1D)
        )
        mixed_B1D: Tensor = self.out(mixed_BGQK.reshape(rows, 1, -1))
        return mixed_B1D


class CrossAttention(nn.Module):
    """Every written token a mean of what was read, by how well it matches. Keys and values are made once a row."""

    def __init__(self, width: int, memory_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(memory_width, 2 * width), nn.Linear(width, width)
        _begin(self.q, self.kv, self.out)

    def keys(self, memory_BLD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, each (B, H, L, K)."""
        k_BHLK, v_BHLK = self.kv(memory_BLD).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return k_BHLK, v_BHLK

    def forward(self, x_BTD: Tensor, k_BHLK: Tensor, v_BHLK: Tensor, real_B11L: Tensor) -> Tensor:
        """Attend."""
        q_BHTK = self.q(x_BTD).unflatten(2, (self.heads, -1)).transpose(1, 2)
        mixed_BHTK = attend(q_BHTK, k_BHLK, v_BHLK, real_B11L)
        mixed_BTD: Tensor = self.out(mixed_BHTK.transpose(1, 2).flatten(2))
        return mixed_BTD


class DecoderBlock(nn.Module):
    """Self-attention, attention to what was read if there is anything, the perceptron; each added to what it read."""

    def __init__(self, memory_width: int | None, wishes: DecoderWishes) -> None:
        super().__init__()
        width = wishes.width
        self.pre = wishes.norm == "pre"
        self.attention = CachedAttention(wishes)
        self.cross = None if memory_width is None else CrossAttention(width, memory_width, wishes.heads)
        self.perceptron = FeedForward(width, wishes.hidden, wishes.activation, wishes.dropout, biases=wishes.biases)
        self.norm_1, self.norm_3 = norm_of(wishes, width), norm_of(wishes, width)
        self.norm_2 = nn.Identity() if memory_width is None else norm_of(wishes, width)
        self.dropout = Dropout(wishes.dropout)

    def forward(
        self, x_BTD: Tensor, turn: tuple[Tensor, Tensor] | None, memory: tuple[Tensor, Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """All tokens at once; also their keys and values."""
        added_BTD, k_BGTK, v_BGTK = self.attention(self.norm_1(x_BTD) if self.pre else x_BTD, turn)
        return self._rest(self._joined(x_BTD, added_BTD, self.norm_1), memory), k_BGTK, v_BGTK

    def within(self, x_1MD: Tensor, turns: tuple[Tensor, Tensor] | None, lines: Lines) -> Tensor:
        """Tokens of texts that lie end to end; see :meth:`CachedAttention.within`. Nothing is read."""
        added_1MD = self.attention.within(self.norm_1(x_1MD) if self.pre else x_1MD, turns, lines)
        return self._rest(self._joined(x_1MD, added_1MD, self.norm_1), None)

    def step(
        self, x_B1D: Tensor, turn: tuple[Tensor, Tensor] | None, memory: tuple[Tensor, Tensor, Tensor] | None,
        k_BGKS: Tensor, v_BGSK: Tensor, at: Places,
    ) -> Tensor:  # fmt: skip
        """One token more."""
        added_B1D = self.attention.step(self.norm_1(x_B1D) if self.pre else x_B1D, turn, k_BGKS, v_BGSK, at)
        return self._rest(self._joined(x_B1D, added_B1D, self.norm_1), memory)

    def _rest(self, x_BTD: Tensor, memory: tuple[Tensor, Tensor, Tensor] | None) -> Tensor:
        if self.cross is not None and memory is not None:
            added_BTD = self.cross(self.norm_2(x_BTD) if self.pre else x_BTD, *memory)
            x_BTD = self._joined(x_BTD, added_BTD, self.norm_2)
        return self._joined(x_BTD, self.perceptron(self.norm_3(x_BTD) if self.pre else x_BTD), self.norm_3)

    def _joined(self, x: Tensor, added: Tensor, norm: nn.Module) -> Tensor:
        x = x + self.dropout(added)
        joined: Tensor = x if self.pre else norm(x)
        return joined


class TransformerDecoder(nn.Module):
    """Writes token by token; see ``nn.generate`` for how tokens are chosen.

    Without anything to read it is a language model (Radford et al. 2019). Source: Vaswani et al. 2017,
    arXiv:1706.03762, section 3.1; "Deep encoder, shallow decoder", Kasai et al. 2020, arXiv:2006.10369, for its size.

    Args:
        vocabulary: V.
        memory_width: Of the tokens that are read; None: nothing is read.
        wishes: What it is made like.
    """

    packs = True
    halves = True

    def __init__(self, vocabulary: int, memory_width: int | None, wishes: DecoderWishes) -> None:
        super().__init__()
        self.vocabulary, self.wishes = vocabulary, wishes
        width = wishes.width
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.places = Learned(wishes.length, width) if wishes.positions == "learned" else None
        self.dropout = Dropout(wishes.dropout)
        self.blocks = nn.ModuleList(DecoderBlock(memory_width, wishes) for _ in range(wishes.layers))
        self.last = norm_of(wishes, width) if wishes.norm == "pre" else nn.Identity()
        self.head = None if wishes.tied else nn.Linear(width, vocabulary, bias=False)
        if self.head is not None:
            nn.init.normal_(self.head.weight, std=width**-0.5)
        factor = (3 * wishes.layers) ** -0.5 if wishes.norm == "pre" else 1.0
        with torch.no_grad():  # so that the sum over many layers does not grow: Radford et al. 2019, section 2.3
            for block in self._layers():
                block.attention.out.weight.mul_(factor)
                block.perceptron.down.weight.mul_(factor)
                if block.cross is not None:
                    block.cross.out.weight.mul_(factor)

    def _layers(self) -> list[DecoderBlock]:
        return [block for block in self.blocks if isinstance(block, DecoderBlock)]

    def read(self, z: Encoding | None) -> Tensors:
        """What is kept of the encoding for each row: keys and values of every layer, and which are real."""
        if z is None:
            return {}
        rows, tokens = z.tokens_BLD.shape[:2]
        mask_BL = z.mask_BL
        if mask_BL is None:
            mask_BL = torch.ones(rows, tokens, dtype=torch.bool, device=z.tokens_BLD.device)
        real_B11L = attended(mask_BL)
        kept: dict[str, Tensor] = {} if real_B11L is None else {"real": real_B11L}
        for number, block in enumerate(self._layers()):
            if block.cross is not None:
                kept[f"k{number}"], kept[f"v{number}"] = block.cross.keys(z.tokens_BLD)
        return kept

    def forward(self, token_BT: Tensor, memory: Tensors) -> Tensor:
        """Logits (B, T, V) of what follows each token."""
        return self.logits(self.states(token_BT, memory))

    def states(self, token_BT: Tensor, memory: Tensors) -> Tensor:
        """What logits are made of, (B, T, D)."""
        state_BTD: Tensor = self.last(self._run(token_BT, memory)[0])
        return state_BTD

    def states_packed(self, token_M: Tensor, place_M: Tensor, count_P: Tensor) -> Tensor:
        """:meth:`states` of P texts that lie end to end, (M, D): the same numbers, and none that is padding.

        Args:
            token_M: Tokens.
            place_M: Of each in its text.
            count_P: Tokens of each text, the longest first, none empty. One that does not begin at place 0 is the rest
                of a text, whose beginning it does not see.
        """
        lines = Lines.of(count_P)
        x_1MD, turns = self._placed_among(self.embedding(token_M.unsqueeze(0)), place_M)
        x_1MD = self.dropout(x_1MD)
        for block in self._layers():
            x_1MD = block.within(x_1MD, turns, lines)
        state_MD: Tensor = self.last(x_1MD)[0]
        return state_MD

    def logits(self, state: Tensor) -> Tensor:
        """Logits of what follows, (..., V)."""
        return nn.functional.linear(state, self.embedding.weight if self.head is None else self.head.weight)

    def cache(self, rows: int, places: int) -> dict[str, Tensor]:
        """Room for keys and values of so many tokens of each row. Keys stand side by side, (B, G, K, S): the product
        of one query with all of them is then quickest."""
        weight, wishes = self.embedding.weight, self.wishes
        head_width = wishes.width // wishes.heads
        shapes = {"k": (head_width, places), "v": (places, head_width)}
        return {
            f"{name}{number}": weight.new_zeros(rows, wishes.key_value_heads, *shape)
            for number in range(wishes.layers)
            for name, shape in shapes.items()
        }

    def prefill(self, token_BT: Tensor, length_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> None:  # noqa: ARG002 - a recurrent decoder needs it
        """Write the first tokens into the cache. Those behind a row's length are written over as it goes on."""
        if not token_BT.shape[1]:
            return
        for number, (k_BGTK, v_BGTK) in enumerate(self._run(token_BT, memory)[1]):
            cache[f"k{number}"][..., : token_BT.shape[1]] = k_BGTK.transpose(2, 3)
            cache[f"v{number}"][:, :, : token_BT.shape[1]] = v_BGTK

    def step(self, token_B: Tensor, place_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> Tensor:
        """Logits (B, V) of what follows one token more at its place."""
        return self.logits(self.step_state(token_B, place_B, memory, cache))

    def step_state(self, token_B: Tensor, place_B: Tensor, memory: Tensors, cache: dict[str, Tensor]) -> Tensor:
        """What these logits are made of, (B, D)."""
        at = Places.of(place_B)
        x_B1D, turn = self._placed_at(self.embedding(token_B).unsqueeze(1), place_B)
        for number, block in enumerate(self._layers()):
            kept = cache[f"k{number}"], cache[f"v{number}"]
            x_B1D = block.step(x_B1D, turn, _of_layer(memory, number), *kept, at)
        state_B1D: Tensor = self.last(x_B1D)
        return state_B1D.squeeze(1)

    def steps(self) -> Callable[[Tensor, Places, Tensors, dict[str, Tensor]], Tensor]:
        """:meth:`step` for many steps in a row, by the weights as they are now."""
        if can_be_fused(self):
            return FusedSteps(self)

        def plain(token_B: Tensor, at: Places, memory: Tensors, cache: dict[str, Tensor]) -> Tensor:
            return self.step(token_B, at.each(len(token_B), token_B.device), memory, cache)

        return plain

    def state_steps(self) -> Callable[[Tensor, Places, Tensors, dict[str, Tensor]], Tensor]:
        """:meth:`step_state` for many steps in a row, by the weights as they are now."""
        if can_be_fused(self):
            return FusedSteps(self).state

        def plain(token_B: Tensor, at: Places, memory: Tensors, cache: dict[str, Tensor]) -> Tensor:
            return self.step_state(token_B, at.each(len(token_B), token_B.device), memory, cache)

        return plain

    def _run(self, token_BT: Tensor, memory: Tensors) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        x_BTD, turn = self._placed(self.embedding(token_BT))
        x_BTD, kept = self.dropout(x_BTD), []
        for number, block in enumerate(self._layers()):
            x_BTD, k_BGTK, v_BGTK = block(x_BTD, turn, _of_layer(memory, number))
            kept.append((k_BGTK, v_BGTK))
        return x_BTD, kept

    def _placed(self, x_BTD: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Tokens from the first place on that know their places, or the turns by which attention does."""
        wishes, most = self.wishes, x_BTD.shape[1]
        x_BTD = x_BTD * wishes.width**0.5 if wishes.scaled else x_BTD
        if wishes.positions == "rotary":
            return x_BTD, rotation(most, wishes.width // wishes.heads, x_BTD, wishes.rotary_base)
        if self.places is not None:
            return self.places(x_BTD), None
        return x_BTD + waves(most, wishes.width, x_BTD), None

    def _placed_at(self, x_B1D: Tensor, place_B: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """The same of one token a row, each at a place of its own."""
        wishes = self.wishes
        x_B1D = x_B1D * wishes.width**0.5 if wishes.scaled else x_B1D
        if wishes.positions == "rotary":
            cos_BK, sin_BK = rotation_at(place_B, wishes.width // wishes.heads, x_B1D, wishes.rotary_base)
            return x_B1D, (cos_BK[:, None, None], sin_BK[:, None, None])
        if self.places is not None:
            table = self.places.table
            return x_B1D + table(place_B.clamp_max(table.num_embeddings - 1)).unsqueeze(1), None
        return x_B1D + waves_at(place_B, wishes.width, x_B1D).unsqueeze(1), None

    def _placed_among(self, x_1MD: Tensor, place_M: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """The same of tokens at any places."""
        wishes, most = self.wishes, int(place_M.max()) + 1
        x_1MD = x_1MD * wishes.width**0.5 if wishes.scaled else x_1MD
        if wishes.positions == "rotary":
            table = rotation(most, wishes.width // wishes.heads, x_1MD, wishes.rotary_base)
            return x_1MD, turns_of(table, place_M, wishes.heads)
        if self.places is not None:
            return self.places.at(x_1MD, place_M), None
        return x_1MD + waves(most, wishes.width, x_1MD).index_select(0, place_M), None


def _of_layer(memory: Tensors, number: int) -> tuple[Tensor, Tensor, Tensor] | None:
    if f"k{number}" not in memory:
        return None
    return memory[f"k{number}"], memory[f"v{number}"], memory["real"]


def _begin(*layers: nn.Linear) -> None:
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
