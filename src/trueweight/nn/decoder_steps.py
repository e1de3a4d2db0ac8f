"""A transformer's step without anything that does not change from token to token.

A small model's step is not arithmetic but calls: of modules, of views, of kernels that each take microseconds. Here
queries, keys and values are one product, scales of rms norms are part of the weights behind them, places and turns are
tables, and no module is called. ``TransformerDecoder.step`` says the same in plain words, and tests hold them together.

Shape suffixes in this file:
    B  rows    T  their first tokens    M  tokens: B, or B * T    D  width    S  places of a cache    L  tokens read
    H  heads    G  heads of keys and values    K  width of a head    Q  queries that share keys
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from trueweight.nn.encoding import Tensors
from trueweight.nn.places import Places
from trueweight.nn.positions import rotation, waves
from trueweight.nn.products import Linear, can_be_packed

if TYPE_CHECKING:
    from trueweight.nn.decoder import CachedAttention, CrossAttention, DecoderBlock, TransformerDecoder

__all__ = ["FusedSteps", "can_be_fused"]

Function = Callable[[Tensor], Tensor]

_PACKED = 2**28
"""Bytes of weights that may be held a second time, packed."""


def can_be_fused(decoder: "TransformerDecoder") -> bool:
    """Whether all its layers are what they were made as: neither wrapped nor replaced."""
    norms: tuple[type, ...] = (nn.LayerNorm, nn.RMSNorm, nn.Identity)
    linear = [] if decoder.head is None else [decoder.head]
    normal: list[nn.Module] = [decoder.last]
    for block in _blocks(decoder):
        own, cross = block.attention, block.cross
        linear += [own.q, own.kv, own.out, block.perceptron.up, block.perceptron.down]
        linear += [] if cross is None else [cross.q, cross.kv, cross.out]
        normal += [block.norm_1, block.norm_2, block.norm_3, own.norm_q, own.norm_k]
    plain = all(type(layer) is nn.Linear for layer in linear) and all(type(layer) in norms for layer in normal)
    return plain and type(decoder.embedding) is nn.Embedding


def _blocks(decoder: "TransformerDecoder") -> list["DecoderBlock"]:
    return [cast("DecoderBlock", block) for block in decoder.blocks]


class FusedSteps:
    """The steps of one decoder, by its weights as they are now.

    Args:
        decoder: In evaluation mode; see :func:`can_be_fused`.
    """

    def __init__(self, decoder: "TransformerDecoder") -> None:
        wishes = decoder.wishes
        self._table = decoder.embedding.weight
        self._scale = wishes.width**0.5 if wishes.scaled else 1.0
        self._learned = None if decoder.places is None else decoder.places.table.weight
        self._rotary, self._width = wishes.positions == "rotary", wishes.width
        self._head_width, self._base = wishes.width // wishes.heads, wishes.rotary_base
        self._known: tuple[Tensor, ...] = ()
        """Of every place: what is added to its token, or the cosines and sines of its turn."""
        packs = can_be_packed(self._table) and sum(p.nbytes for p in decoder.parameters()) <= _PACKED
        self._layers = [_Layer.of(block, number, packs=packs) for number, block in enumerate(_blocks(decoder))]
        self._last = _whole(decoder.last)
        self._logits = Linear(self._table if decoder.head is None else decoder.head.weight, None, packs=packs)

    def __call__(self, token_B: Tensor, at: Places, memory: Tensors, cache: Tensors) -> Tensor:
        """Logits (B, V) of what follows one token more at its place."""
        state_BD = self.state(token_B, at, memory, cache)
        return self._logits(state_BD)

    def state(self, token_B: Tensor, at: Places, memory: Tensors, cache: Tensors) -> Tensor:
        """What these logits are made of, (B, D)."""
        x_BD, turn = self._placed(token_B, at)
        mask, unseen = at.mask(x_BD), _unseen(memory, x_BD)
        row_B = None if at.place_B is None else torch.arange(len(token_B), device=token_B.device)
        for layer in self._layers:
            q_BHK, k_BGK, v_BGK = layer.project(x_BD, turn)
            k_BGKS, v_BGSK = cache[layer.k], cache[layer.v]
            if row_B is None:
                k_BGKS.select(3, at.used - 1).copy_(k_BGK)
                v_BGSK.select(2, at.used - 1).copy_(v_BGK)
            else:
                k_BGKS[row_B, :, :, at.place_B], v_BGSK[row_B, :, at.place_B] = k_BGK, v_BGK
            mixed_BD = _attended(q_BHK, k_BGKS.narrow(3, 0, at.used), v_BGSK.narrow(2, 0, at.used), mask)
            x_BD = layer.rest(x_BD, mixed_BD.view(len(x_BD), -1), memory, unseen)
        return self._last(x_BD)

    def prefill(self, token_BT: Tensor, length_B: Tensor, memory: Tensors, cache: Tensors) -> None:  # noqa: ARG002
        """Write the first tokens into the cache, as the decoder's own ``prefill`` does. What the last layer makes of
        them nobody reads: there, keys and values are enough."""
        rows, most = token_BT.shape
        if not most:
            return
        x_MD, turn = self._placed_first(token_BT)
        unseen = _unseen(memory, x_MD)
        for number, layer in enumerate(self._layers, 1):
            q_MHK, k_MGK, v_MGK = layer.project(x_MD, turn)
            q_BTHK, k_BTGK, v_BTGK = (t.view(rows, most, *t.shape[1:]) for t in (q_MHK, k_MGK, v_MGK))
            cache[layer.k][..., :most] = k_BTGK.permute(0, 2, 3, 1)
            cache[layer.v][:, :, :most] = v_BTGK.transpose(1, 2)
            if number < len(self._layers):
                x_MD = layer.rest(x_MD, _mixed(q_BTHK, k_BTGK, v_BTGK), memory, unseen)

    def _placed(self, token_B: Tensor, at: Places) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        known = self._known_up_to(at.used)
        if at.place_B is None:
            here = [table[at.used - 1] for table in known]
        else:
            here = [functional.embedding(at.place_B, table) for table in known]
        return self._at(functional.embedding(token_B, self._table), here)

    def _placed_first(self, token_BT: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        rows, most = token_BT.shape
        here = [table[:most].repeat(rows, 1) for table in self._known_up_to(most)]
        return self._at(functional.embedding(token_BT.flatten(), self._table), here)

    def _at(self, x_MD: Tensor, here: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Tokens that know their places, or the turns by which attention does."""
        if not self._rotary:
            return torch.add(here[0], x_MD, alpha=self._scale), None
        x_MD = x_MD * self._scale if self._scale != 1 else x_MD
        return x_MD, (here[0].unsqueeze(-2), here[1].unsqueeze(-2))

    def _known_up_to(self, count: int) -> tuple[Tensor, ...]:
        if not self._known or len(self._known[0]) < count:
            self._known = self._places(2 * count)
        return self._known

    def _places(self, count: int) -> tuple[Tensor, ...]:
        if self._rotary:
            cos_SK, sin_SK = rotation(count, self._head_width, self._table, self._base)
            return torch.cat([cos_SK, cos_SK], 1), torch.cat([-sin_SK, sin_SK], 1)
        if self._learned is None:
            return (waves(count, self._width, self._table),)
        beyond = count - len(self._learned)  # tokens beyond the last place share its vector
        return (self._learned if beyond <= 0 else torch.cat([self._learned, self._learned[-1:].expand(beyond, -1)]),)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One block."""

    k: str
    """Of its cache."""
    v: str
    heads: int
    groups: int
    before_1: Function
    qkv: Linear
    queries_and_keys: Function | None
    """Their norm, (M, H + G, K)."""
    out: Linear
    after_1: Function
    cross: "_Cross | None"
    before_3: Function
    up: Linear
    """With the activation, unless ``gated``."""
    gated: Function | None
    """The activation of the gate."""
    down: Linear
    after_3: Function

    @classmethod
    def of(cls, block: "DecoderBlock", number: int, *, packs: bool) -> "_Layer":
        own, perceptron = block.attention, block.perceptron
        before_1, factor_1, after_1 = _around(block.norm_1, pre=block.pre)
        before_3, factor_3, after_3 = _around(block.norm_3, pre=block.pre)
        weight, bias, norm = _joined(own)
        cross = (
            None if block.cross is None else _Cross.of(block.cross, block.norm_2, number, pre=block.pre, packs=packs)
        )
        activation, gated = perceptron.activation, perceptron.gated
        up = Linear(
            _times(perceptron.up.weight, factor_3), perceptron.up.bias, packs=packs, then=None if gated else activation
        )
        return cls(
            f"k{number}", f"v{number}", own.heads, own.groups, before_1,
            Linear(_times(weight, factor_1), bias, packs=packs), norm,
            Linear(own.out.weight, own.out.bias, packs=packs), after_1, cross, before_3, up,
            activation.forward if gated else None,
            Linear(perceptron.down.weight, perceptron.down.bias, packs=packs), after_3,
        )  # fmt: skip

    def project(self, x_MD: Tensor, turn: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (M, H, K), keys and values (M, G, K)."""
        heads, groups = self.heads, self.groups
        all_MNK = self.qkv(self.before_1(x_MD)).view(len(x_MD), heads + 2 * groups, -1)
        q_MHK, k_MGK, v_MGK = all_MNK.split_with_sizes((heads, groups, groups), 1)
        if self.queries_and_keys is not None or turn is not None:
            qk_MNK = all_MNK[:, : heads + groups]
            qk_MNK = qk_MNK if self.queries_and_keys is None else self.queries_and_keys(qk_MNK)
            qk_MNK = qk_MNK if turn is None else _turned(qk_MNK, turn)
            q_MHK, k_MGK = qk_MNK.split_with_sizes((heads, groups), 1)
        return q_MHK, k_MGK, v_MGK

    def rest(self, x_MD: Tensor, mixed_MD: Tensor, memory: Tensors, unseen_B11L: Tensor | None) -> Tensor:
        """What comes behind self-attention."""
        x_MD = self.after_1(self.out.added(mixed_MD, x_MD))
        if self.cross is not None and unseen_B11L is not None:
            x_MD = self.cross(x_MD, memory, unseen_B11L)
        h_MH = self.up(self.before_3(x_MD))
        if self.gated is not None:
            gate_MH, value_MH = h_MH.chunk(2, 1)
            h_MH = self.gated(gate_MH) * value_MH
        return self.after_3(self.down.added(h_MH, x_MD))


@dataclass(frozen=True, slots=True)
class _Cross:
    """Attention to what was read."""

    k: str
    v: str
    heads: int
    before: Function
    q: Linear
    out: Linear
    after: Function

    @classmethod
    def of(cls, cross: "CrossAttention", norm: nn.Module, number: int, *, pre: bool, packs: bool) -> "_Cross":
        before, factor, after = _around(norm, pre=pre)
        q = Linear(_times(cross.q.weight, factor), cross.q.bias, packs=packs)
        out = Linear(cross.out.weight, cross.out.bias, packs=packs)
        return cls(f"k{number}", f"v{number}", cross.heads, before, q, out, after)

    def __call__(self, x_MD: Tensor, memory: Tensors, unseen_B11L: Tensor) -> Tensor:
        q_BTHK = self.q(self.before(x_MD)).view(len(unseen_B11L), -1, self.heads, x_MD.shape[1] // self.heads)
        mixed_BHTK = functional.scaled_dot_product_attention(
            q_BTHK.transpose(1, 2), memory[self.k], memory[self.v], unseen_B11L
        )
        return self.after(self.out.added(mixed_BHTK.transpose(1, 2).reshape(len(x_MD), -1), x_MD))


def _unseen(memory: Tensors, like: Tensor) -> Tensor | None:
    """What is added to the links with what was read; None: nothing was."""
    real_B11L = memory.get("real")
    return None if real_B11L is None else like.new_zeros(real_B11L.shape).masked_fill_(~real_B11L, -torch.inf)


def _around(norm: nn.Module, *, pre: bool) -> tuple[Function, Tensor | None, Function]:
    """What comes before a branch, what its first weights are multiplied with, and what comes after the sum."""
    if not pre:
        return _as_it_is, None, _whole(norm)
    if isinstance(norm, nn.RMSNorm):
        unit, factor = _unit(norm)
        return unit, factor, _as_it_is
    return _whole(norm), None, _as_it_is


def _unit(norm: nn.RMSNorm) -> tuple[Function, Tensor]:
    """The norm without its scale, and that: ``x / sqrt(mean(x^2) + eps) = sqrt(D) * x / sqrt(|x|^2 + D * eps)``."""
    weight, width = norm.weight, norm.normalized_shape[0]
    eps = torch.finfo(weight.dtype).eps if norm.eps is None else norm.eps
    least = weight.new_tensor((width * eps) ** 0.5)

    def unit(x: Tensor) -> Tensor:
        return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), least)

    return unit, weight * width**0.5


def _joined(own: "CachedAttention") -> tuple[Tensor, Tensor | None, Function | None]:
    """Weight and bias of queries, keys and values, and the norm of the first two. Queries come divided by the root of
    their width, which attention would else do with each token."""
    by = (own.q.weight.shape[0] // own.heads) ** -0.5
    norm: Function | None = None
    if isinstance(own.norm_q, nn.RMSNorm) and isinstance(own.norm_k, nn.RMSNorm):
        unit, scale_q = _unit(own.norm_q)
        each = [(scale_q * by).expand(own.heads, -1), _unit(own.norm_k)[1].expand(own.groups, -1)]
        norm, by = _scaled(unit, torch.cat(each)), 1.0
    weight = torch.cat([own.q.weight * by, own.kv.weight])
    biases: tuple[Tensor | None, Tensor | None] = own.q.bias, own.kv.bias
    if biases[0] is None or biases[1] is None:
        return weight, None, norm
    return weight, torch.cat([biases[0] * by, biases[1]]), norm


def _scaled(unit: Function, scale: Tensor) -> Function:
    return lambda x: unit(x) * scale


def _attended(q_BHK: Tensor, k_BGKS: Tensor, v_BGSK: Tensor, mask_B11S: Tensor | None) -> Tensor:
    """Attention of one token a row, whose queries are scaled already. Two products of many small matrices: of a single
    query they are quicker than the fused kernel, which is made for many."""
    rows, groups, width, most = k_BGKS.shape
    # The queries that share keys stand in the place of several tokens: nothing has to be repeated.
    q_NQK = q_BHK.reshape(rows * groups, -1, width)
    k_NKS, v_NSK = k_BGKS.flatten(0, 1), v_BGSK.flatten(0, 1)
    link_NQS = torch.bmm(q_NQK, k_NKS)
    if mask_B11S is not None:
        link_NQS.view(rows, groups, -1, most).add_(mask_B11S)
    return torch.bmm(link_NQS.softmax(2), v_NSK)


def _mixed(q_BTHK: Tensor, k_BTGK: Tensor, v_BTGK: Tensor) -> Tensor:
    """Attention of first tokens, each to itself and those before it, (M, D); queries are scaled already."""
    shared = q_BTHK.shape[2] // k_BTGK.shape[2]
    q_BHTK, k_BGTK, v_BGTK = q_BTHK.transpose(1, 2), k_BTGK.transpose(1, 2), v_BTGK.transpose(1, 2)
    k_BHTK, v_BHTK = (t if shared == 1 else t.repeat_interleave(shared, 1) for t in (k_BGTK, v_BGTK))
    mixed_BHTK = functional.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, is_causal=True, scale=1.0)
    return mixed_BHTK.transpose(1, 2).flatten(2).flatten(0, 1)


def _whole(norm: nn.Module) -> Function:
    if isinstance(norm, nn.LayerNorm):
        shape, weight, bias, eps = norm.normalized_shape, norm.weight, norm.bias, norm.eps
        return lambda x: torch.layer_norm(x, shape, weight, bias, eps)
    if isinstance(norm, nn.RMSNorm):
        unit, scale = _unit(norm)
        return _scaled(unit, scale)
    return _as_it_is


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _times(weight: Tensor, factor: Tensor | None) -> Tensor:
    return weight if factor is None else weight * factor


def _turned(x_BNK: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """``positions.rotated``, with the sines' signs in their table."""
    cos, sin = turn
    return torch.addcmul(x_BNK * cos, x_BNK.roll(x_BNK.shape[2] // 2, 2), sin)
