"""A transformer's step without anything that does not change from token to token.

A small model's step is not arithmetic but calls: of modules, of views, of kernels that each take microseconds. Here
queries, keys and values are one product, scales of rms norms are part of the weights behind them, places and turns are
tables, and no module is called. ``TransformerDecoder.step`` says the same in plain words, and tests hold them together.

Shape suffixes in this file:
    B  rows    D  width    S  places of a cache    L  tokens read
    H  heads    G  heads of keys and values    K  width of a head    Q  queries that share keys
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from trueweight.nn.encoding import Tensors
from trueweight.nn.places import Places
from trueweight.nn.positions import rotation, waves

if TYPE_CHECKING:
    from trueweight.nn.decoder import CachedAttention, CrossAttention, DecoderBlock, TransformerDecoder

__all__ = ["FusedSteps", "can_be_fused"]

Function = Callable[[Tensor], Tensor]


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
        self._table, self._head = decoder.embedding.weight, decoder.head
        self._scale = wishes.width**0.5 if wishes.scaled else 1.0
        self._learned = None if decoder.places is None else decoder.places.table.weight
        self._rotary, self._width = wishes.positions == "rotary", wishes.width
        self._head_width, self._base = wishes.width // wishes.heads, wishes.rotary_base
        self._known: tuple[Tensor, ...] = ()
        """Of every place: what is added to its token, or the cosines and sines of its turn."""
        self._layers = [_Layer.of(block, number) for number, block in enumerate(_blocks(decoder))]
        self._last = _whole(decoder.last)

    def __call__(self, token_B: Tensor, at: Places, memory: Tensors, cache: Tensors) -> Tensor:
        """Logits (B, V) of what follows one token more at its place."""
        state_BD = self.state(token_B, at, memory, cache)
        return functional.linear(state_BD, self._table if self._head is None else self._head.weight)

    def state(self, token_B: Tensor, at: Places, memory: Tensors, cache: Tensors) -> Tensor:
        """What these logits are made of, (B, D)."""
        x_BD, turn = self._placed(token_B, at)
        mask, real = at.mask(x_BD), memory.get("real")
        row_B = None if at.place_B is None else torch.arange(len(token_B), device=token_B.device)
        unseen = None if real is None else x_BD.new_zeros(real.shape).masked_fill_(~real, -torch.inf)
        for layer in self._layers:
            x_BD = layer.attend(x_BD, cache[layer.k], cache[layer.v], at, turn, mask, row_B)
            if layer.cross is not None and unseen is not None:
                x_BD = layer.cross(x_BD, memory, unseen)
            x_BD = layer.perceive(x_BD)
        return self._last(x_BD)

    def _placed(self, token_B: Tensor, at: Places) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        x_BD = functional.embedding(token_B, self._table)
        if not self._known or len(self._known[0]) < at.used:
            self._known = self._places(2 * at.used)
        if at.place_B is None:
            here = [table[at.used - 1] for table in self._known]
        else:
            here = [functional.embedding(at.place_B, table) for table in self._known]
        if not self._rotary:
            return torch.add(here[0], x_BD, alpha=self._scale), None
        x_BD = x_BD * self._scale if self._scale != 1 else x_BD
        return x_BD, (here[0].unsqueeze(-2), here[1].unsqueeze(-2))

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
    qkv: Function
    queries_and_keys: Function | None
    """Their norm, (B, H + G, K)."""
    out: "_Added"
    after_1: Function
    cross: "_Cross | None"
    before_3: Function
    up: Function
    gated: bool
    activation: Function
    down: "_Added"
    after_3: Function

    @classmethod
    def of(cls, block: "DecoderBlock", number: int) -> "_Layer":
        own, perceptron = block.attention, block.perceptron
        before_1, factor_1, after_1 = _around(block.norm_1, pre=block.pre)
        before_3, factor_3, after_3 = _around(block.norm_3, pre=block.pre)
        weight, bias, norm = _joined(own)
        cross = None if block.cross is None else _Cross.of(block.cross, block.norm_2, number, pre=block.pre)
        return cls(
            f"k{number}", f"v{number}", own.heads, own.groups, before_1, _linear(weight, bias, factor_1), norm,
            _Added.of(own.out), after_1, cross, before_3,
            _linear(perceptron.up.weight, perceptron.up.bias, factor_3), perceptron.gated,
            perceptron.activation.forward, _Added.of(perceptron.down), after_3,
        )  # fmt: skip

    def attend(
        self, x_BD: Tensor, k_BGKS: Tensor, v_BGSK: Tensor, at: Places, turn: tuple[Tensor, Tensor] | None,
        mask: Tensor | None, row_B: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """Self-attention, with the token's keys and values written into the cache."""
        rows, heads, groups = len(x_BD), self.heads, self.groups
        all_BNK = self.qkv(self.before_1(x_BD)).view(rows, heads + 2 * groups, -1)
        q_BHK, k_BGK, v_BGK = all_BNK.split_with_sizes((heads, groups, groups), 1)
        if self.queries_and_keys is not None or turn is not None:
            qk_BNK = all_BNK[:, : heads + groups]
            qk_BNK = qk_BNK if self.queries_and_keys is None else self.queries_and_keys(qk_BNK)
            qk_BNK = qk_BNK if turn is None else _turned(qk_BNK, turn)
            q_BHK, k_BGK = qk_BNK.split_with_sizes((heads, groups), 1)
        if row_B is None:
            k_BGKS.select(3, at.used - 1).copy_(k_BGK)
            v_BGSK.select(2, at.used - 1).copy_(v_BGK)
        else:
            k_BGKS[row_B, :, :, at.place_B], v_BGSK[row_B, :, at.place_B] = k_BGK, v_BGK
        mixed_BD = _attended(q_BHK, k_BGKS.narrow(3, 0, at.used), v_BGSK.narrow(2, 0, at.used), mask).view(rows, -1)
        return self.after_1(self.out(mixed_BD, x_BD))

    def perceive(self, x_BD: Tensor) -> Tensor:
        """The perceptron."""
        h_BH = self.up(self.before_3(x_BD))
        if self.gated:
            gate_BH, value_BH = h_BH.chunk(2, 1)
            h_BH = self.activation(gate_BH) * value_BH
        else:
            h_BH = self.activation(h_BH)
        return self.after_3(self.down(h_BH, x_BD))


@dataclass(frozen=True, slots=True)
class _Cross:
    """Attention to what was read."""

    k: str
    v: str
    heads: int
    before: Function
    q: Function
    out: "_Added"
    after: Function

    @classmethod
    def of(cls, cross: "CrossAttention", norm: nn.Module, number: int, *, pre: bool) -> "_Cross":
        before, factor, after = _around(norm, pre=pre)
        q = _linear(cross.q.weight, cross.q.bias, factor)
        return cls(f"k{number}", f"v{number}", cross.heads, before, q, _Added.of(cross.out), after)

    def __call__(self, x_BD: Tensor, memory: Tensors, unseen_B11L: Tensor) -> Tensor:
        q_BH1K = self.q(self.before(x_BD)).view(len(x_BD), self.heads, 1, -1)
        mixed_BH1K = functional.scaled_dot_product_attention(q_BH1K, memory[self.k], memory[self.v], unseen_B11L)
        return self.after(self.out(mixed_BH1K.reshape(len(x_BD), -1), x_BD))


@dataclass(frozen=True, slots=True)
class _Added:
    """A linear layer whose answer is added to what was there."""

    weight: Tensor
    bias: Tensor | None
    turned: Tensor

    @classmethod
    def of(cls, layer: nn.Linear) -> "_Added":
        return cls(layer.weight, layer.bias, layer.weight.t())

    def __call__(self, y: Tensor, x: Tensor) -> Tensor:
        if self.bias is None:
            return torch.addmm(x, y, self.turned)
        return functional.linear(y, self.weight, self.bias).add_(x)


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


def _linear(weight: Tensor, bias: Tensor | None, factor: Tensor | None) -> Function:
    weight = weight if factor is None else weight * factor
    return lambda x: functional.linear(x, weight, bias)


def _turned(x_BNK: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """``positions.rotated``, with the sines' signs in their table."""
    cos, sin = turn
    return torch.addcmul(x_BNK * cos, x_BNK.roll(x_BNK.shape[2] // 2, 2), sin)
