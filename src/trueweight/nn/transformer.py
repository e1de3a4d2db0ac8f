"""The transformer encoder: blocks of attention and a perceptron, with all that is chosen around them.

Shape suffixes in this file:
    B  rows    L  tokens    D  width    H  hidden width
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from trueweight.nn.attention import SelfAttention, attended
from trueweight.nn.dropout import Dropout
from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.positions import BASE, Learned, Sinusoidal, rotation

__all__ = ["Blocks", "Transformer", "Wishes", "in_a_row", "norm_of"]

NORMS: Mapping[str, tuple[Callable[..., nn.Module], float]] = {"rms": (nn.RMSNorm, 1e-6), "layer": (nn.LayerNorm, 1e-5)}
"""With what is added to the mean square under the root unless asked otherwise."""

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU, "gelu_tanh": lambda: nn.GELU("tanh"), "relu": nn.ReLU, "swiglu": nn.SiLU,
}  # fmt: skip


def norm_of(wishes: "Normed", width: int) -> nn.Module:
    """The norm that is asked for."""
    made, usual = NORMS[wishes.normalization]
    return made(width, eps=usual if wishes.norm_eps is None else wishes.norm_eps)


class Normed(Protocol):
    """Whoever says how to normalise."""

    @property
    def normalization(self) -> str:
        """rms or layer."""

    @property
    def norm_eps(self) -> float | None:
        """Added under the root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What blocks are made like."""

    layers: int
    heads: int
    hidden: int
    """Width of the perceptron's hidden layer."""
    dropout: float = 0.0
    """Of links, of hidden units, and of what each half of a block adds."""
    norm: str = "pre"
    """pre: inside the residual branch; post: behind the sum."""
    normalization: str = "rms"
    norm_eps: float | None = None
    """Added to the mean square under the root. None: see :data:`NORMS`."""
    activation: str = "gelu"
    rotary: bool = False
    rotary_base: float = BASE
    biases: bool = True
    """Of linear layers."""
    qk_norm: bool = False
    causal: bool = False
    zero_residual: bool = False
    """Begin with branches that add nothing."""
    checkpointing: bool = False
    """Compute each block again in the backward pass instead of keeping what it made."""


class FeedForward(nn.Module):
    """``down(drop(act(up(x))))``, or for swiglu ``down(drop(silu(gate(x)) * up(x)))``: (B, L, D) -> (B, L, D).

    Sources: Vaswani et al. 2017, section 3.3 (relu); Shazeer 2020, arXiv:2002.05202 (swiglu).
    """

    def __init__(self, width: int, hidden: int, activation: str, dropout: float, *, biases: bool = True) -> None:
        super().__init__()
        self.gated = activation == "swiglu"
        self.up = nn.Linear(width, 2 * hidden if self.gated else hidden, bias=biases)
        self.down = nn.Linear(hidden, width, bias=biases)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = Dropout(dropout)
        for layer in (self.up, self.down):
            nn.init.xavier_uniform_(layer.weight)
            if biases:
                nn.init.zeros_(layer.bias)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Widen and narrow."""
        h_BLH = self.up(x_BLD)
        if self.gated:
            gate_BLH, value_BLH = h_BLH.chunk(2, dim=2)
            h_BLH = self.activation(gate_BLH) * value_BLH
        else:
            h_BLH = self.activation(h_BLH)
        y_BLD: Tensor = self.down(self.dropout(h_BLH))
        return y_BLD


class Block(nn.Module):
    """Attention, then the perceptron, each added to what it read.

    pre    x = x + f(norm(x))     Xiong et al. 2020, arXiv:2002.04745: trains without care
    post   x = norm(x + f(x))     Vaswani et al. 2017, the original
    """

    def __init__(self, width: int, wishes: Wishes) -> None:
        super().__init__()
        self.pre = wishes.norm == "pre"
        self.norm_1, self.norm_2 = norm_of(wishes, width), norm_of(wishes, width)
        self.attention = SelfAttention(
            width, wishes.heads, dropout=wishes.dropout, qk_norm=wishes.qk_norm, causal=wishes.causal,
            biases=wishes.biases,
        )  # fmt: skip
        self.perceptron = FeedForward(width, wishes.hidden, wishes.activation, wishes.dropout, biases=wishes.biases)
        self.dropout = Dropout(wishes.dropout)

    def forward(self, x_BLD: Tensor, real_B11L: Tensor | None, turn: tuple[Tensor, Tensor] | None) -> Tensor:
        """One layer."""
        if self.pre:
            x_BLD = x_BLD + self.dropout(self.attention(self.norm_1(x_BLD), real_B11L, turn))
            x_BLD = x_BLD + self.dropout(self.perceptron(self.norm_2(x_BLD)))
        else:
            x_BLD = self.norm_1(x_BLD + self.dropout(self.attention(x_BLD, real_B11L, turn)))
            x_BLD = self.norm_2(x_BLD + self.dropout(self.perceptron(x_BLD)))
        return x_BLD


class Blocks(nn.Module):
    """Blocks in a row, and a last norm where they are pre-norm: (B, L, D) -> (B, L, D).

    Pre-norm branches begin smaller by ``sqrt(2 * layers)``, as in GPT-2 (Radford et al. 2019, section 2.3), so that
    the sum over many layers does not grow.

    Args:
        width: D.
        wishes: What the blocks are made like.
    """

    def __init__(self, width: int, wishes: Wishes) -> None:
        super().__init__()
        self.head_width = width // wishes.heads if wishes.rotary else 0
        self.rotary_base, self.checkpointing = wishes.rotary_base, wishes.checkpointing
        self.blocks = nn.ModuleList(Block(width, wishes) for _ in range(wishes.layers))
        self.last = norm_of(wishes, width) if wishes.norm == "pre" else nn.Identity()
        factor = 0.0 if wishes.zero_residual else (2 * wishes.layers) ** -0.5 if wishes.norm == "pre" else 1.0
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, Block):
                    layer.attention.out.weight.mul_(factor)
                    layer.perceptron.down.weight.mul_(factor)

    def forward(self, x_BLD: Tensor, mask_BL: Tensor | None) -> Tensor:
        """Run all layers."""
        real_B11L = attended(mask_BL)
        turn = rotation(x_BLD.shape[1], self.head_width, x_BLD, self.rotary_base) if self.head_width else None
        for block in self.blocks:
            x_BLD = self._again(block, x_BLD, real_B11L, turn) if self._forgets() else block(x_BLD, real_B11L, turn)
        y_BLD: Tensor = self.last(x_BLD)
        return y_BLD

    def _forgets(self) -> bool:
        return self.checkpointing and self.training and torch.is_grad_enabled()

    def _again(self, block: nn.Module, *x: Tensor | tuple[Tensor, Tensor] | None) -> Tensor:
        """Activation checkpointing: Chen et al. 2016, arXiv:1604.06174. Dropout draws the same numbers twice."""
        from torch.utils.checkpoint import checkpoint

        y_BLD: Tensor = checkpoint(block, *x, use_reentrant=False)
        return y_BLD


class Transformer(nn.Module):
    """Tokens in any grid, read as one sequence.

    Args:
        form: Of what comes in; one without a grid is a sequence of one token.
        width: D; a linear layer makes it where tokens are of another width.
        wishes: What the blocks are made like.
        positions: ``rotary`` (then ``wishes.rotary`` is set too), ``sinusoidal``, ``learned`` or ``none``.
        length: Places of learned positions, class token included.
        class_token: Put a learnt token in front, and give it alone: Devlin et al. 2018, arXiv:1810.04805.
        input_norm: Normalise tokens before the first block.
        pooler: A dense layer with tanh behind the class token, as in BERT.
        segments: Kinds of sentences, of which everything here is the first: Devlin et al. 2018, section 3. 0: none.

    Shape:
        tokens (B, L, D_in) -> (B, L, D), or (B, 1, D) with a class token.
    """

    def __init__(
        self, form: Form, width: int, wishes: Wishes, *, positions: str, length: int, class_token: bool,
        input_norm: bool, pooler: bool, segments: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.widen = nn.Identity() if form.width == width else nn.Linear(form.width, width)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * width**-0.5) if class_token else None
        self.positions = _positions(positions, length, width)
        self.segments = nn.Embedding(segments, width) if segments else None
        if self.segments is not None:
            nn.init.normal_(self.segments.weight, std=0.02)
        self.input_norm = norm_of(wishes, width) if input_norm else nn.Identity()
        self.dropout = Dropout(wishes.dropout)
        self.blocks = Blocks(width, wishes)
        self.pooler = nn.Sequential(nn.Linear(width, width), nn.Tanh()) if pooler else nn.Identity()
        whole = replace(form, width=width, levels=0)
        self.form = replace(whole, grid_rank=0, size=(), coded=False) if class_token else whole

    def forward(self, z: Encoding) -> Encoding:
        """Encode."""
        tokens_BLD, mask_BL = self.widen(z.tokens_BLD), z.mask_BL
        if self.class_token is not None:
            tokens_BLD = torch.cat([self.class_token.expand(tokens_BLD.shape[0], -1, -1), tokens_BLD], dim=1)
            mask_BL = None if mask_BL is None else nn.functional.pad(mask_BL, (1, 0), value=True)
        tokens_BLD = self.positions(tokens_BLD)
        if self.segments is not None:
            tokens_BLD = tokens_BLD + self.segments.weight[0]
        tokens_BLD = self.dropout(self.input_norm(tokens_BLD))
        tokens_BLD = self.blocks(tokens_BLD, mask_BL)
        if self.class_token is not None:
            return Encoding(self.pooler(tokens_BLD[:, :1]), members=z.members)
        tokens_BLD = self.pooler(tokens_BLD)
        if mask_BL is not None:  # what follows may look over the edge
            tokens_BLD = tokens_BLD * mask_BL.unsqueeze(2).to(tokens_BLD.dtype)
        return Encoding(tokens_BLD, mask_BL, z.grid, members=z.members, code_BL=z.code_BL)


def _positions(kind: str, length: int, width: int) -> nn.Module:
    match kind:
        case "sinusoidal":
            return Sinusoidal()
        case "learned":
            return Learned(length, width)
        case _:  # rotary ones are the attention's
            return nn.Identity()


def in_a_row(first: nn.Module, then: nn.Module, form: Form) -> nn.Module:
    """Two modules in a row, with the form of the second."""
    joined = nn.Sequential(first, then)
    joined.form = form  # type: ignore[assignment]
    return joined
