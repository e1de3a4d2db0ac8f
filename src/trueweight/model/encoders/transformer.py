"""The transformer encoder over texts, sounds, series and pictures."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.model.attention_heads import HEADS, WIDTH, share_of, uneven_heads
from trueweight.model.senses import Pooling, pooled_by, sequence_stem
from trueweight.spec.base import Conflict, PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form
    from trueweight.nn.transformer import Wishes

__all__ = ["LAYOUTS", "TransformerEncoder"]

_BASE: dict[str, Any] = {
    "width": 768, "layers": 12, "heads": 12, "hidden": 3072, "normalization": "layer", "activation": "gelu",
    "positions": "learned", "qk_norm": False, "zero_residual": False,
}  # fmt: skip

LAYOUTS: dict[str, dict[str, Any]] = {
    "bert_base": _BASE | {"norm": "post", "max_length": 512, "pooling": "class", "pooler": True, "dropout": 0.1},
    "gpt2_small": _BASE
    | {"norm": "pre", "max_length": 1024, "pooling": "last", "causal": True, "input_norm": False, "dropout": 0.1},
    "vit_base_16": _BASE | {"norm": "pre", "patch_size": 16, "pooling": "class", "input_norm": False},
}
"""Options by the name of a published model: Devlin et al. 2018, arXiv:1810.04805; Radford et al. 2019, "Language Models
are Unsupervised Multitask Learners"; Dosovitskiy et al. 2020, arXiv:2010.11929."""

_MOST_PATCHES = 100


class TransformerEncoder(PartSpec):
    """Attention between all tokens of a row: words, patches of a picture, steps of a sound or a series.

    Source: Vaswani et al. 2017, arXiv:1706.03762. By default with the changes that made it easier to train: norms
    inside the branches (Xiong et al. 2020, arXiv:2002.04745), rotary positions (Su et al. 2021, arXiv:2104.09864).
    ``{norm: post, normalization: layer, activation: relu, positions: sinusoidal, input_norm: false}`` is the original.

    Example:
        ``encoder: {type: transformer, width: 128, layers: 4, heads: 4, pooling: mean}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "width": [64, 128, 256],
        "layers": [2, 4, 6],
        "dropout": [0.0, 0.1, 0.3],
    }

    weightless: ClassVar[bool] = False
    ngrams: ClassVar[bool] = False

    type: Literal["transformer"] = "transformer"
    """Name of this part."""

    layout: Literal["bert_base", "gpt2_small", "vit_base_16"] | None = None
    """Start from the options of a published model; those given beside it are stronger."""

    width: Annotated[int, Field(ge=1)] = WIDTH
    """Of each token."""

    layers: Annotated[int, Field(ge=1)] = 4
    """Blocks of attention and perceptron."""

    heads: Annotated[int, Field(ge=1)] = HEADS
    """Of attention, each ``width / heads`` wide."""

    hidden: Annotated[int, Field(ge=1)] | None = None
    """Width of the perceptron inside each block. Null: 4 times ``width``, for swiglu 8/3 times."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of links, hidden units and sums that are zeroed in each training step."""

    norm: Literal["pre", "post"] = "pre"
    """Where each block normalises: before attention and perceptron, or behind each sum as in the original."""

    normalization: Literal["rms", "layer"] = "rms"
    """rms scales to unit mean square; layer also takes the mean away and adds a bias."""

    norm_eps: Annotated[float, Field(gt=0)] | None = None
    """Added under the root when normalising. Null: 1e-6 for rms, 1e-5 for layer."""

    activation: Literal["gelu", "gelu_tanh", "relu", "swiglu"] = "gelu"
    """Inside the perceptrons. gelu_tanh is gelu as older models compute it, by tanh."""

    positions: Literal["rotary", "sinusoidal", "learned", "none"] = "rotary"
    """How tokens know their order. none: they do not."""

    max_length: Annotated[int, Field(ge=1)] | None = None
    """Places of ``positions: learned``, class token included; tokens beyond share the last. Null: what a row can have
    at most."""

    rotary_base: Annotated[float, Field(gt=1)] = 10_000.0
    """Of rotary positions: the longest wave, in tokens, over two pi. Models for long texts have greater ones."""

    biases: bool = True
    """Let linear layers add a learnt vector."""

    qk_norm: bool = False
    """Normalise queries and keys: keeps attention tame at high learning rates."""

    causal: bool = False
    """Let a token see only itself and those before it, as language models do."""

    zero_residual: bool = False
    """Begin with blocks that change nothing."""

    input_norm: bool = True
    """Normalise tokens before the first block."""

    patch_size: Annotated[int, Field(ge=1)] | None = None
    """Side of the squares that pictures are cut into, in pixels. Null: the smallest power of two that gives at most
    100."""

    segments: Annotated[int, Field(ge=0)] = 0
    """Kinds of sentences that a published model tells apart by a learnt vector each (BERT: 2). All that is read here is
    of the first. 0: none."""

    pooling: Literal["class"] | Pooling = "none"
    """How tokens become one vector. class: a learnt token in front reads the others and stands for them. none leaves
    them to what follows, which takes their mean if it wants one vector."""

    pooler: bool = False
    """A dense layer with tanh behind the last block, as BERT has it."""

    checkpointing: bool = False
    """Save memory: compute each block again in the backward pass instead of keeping all it made. A third slower."""

    @model_validator(mode="before")
    @classmethod
    def _layout_fills_in(cls, value: Any) -> Any:
        return _filled(value) if isinstance(value, dict) else value

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Heads share the width evenly, and rotary positions turn pairs."""
        options = _filled(raw)
        yield from uneven_heads(options, raw)
        size = share_of(options)
        if size % 2 and options.get("positions", "rotary") == "rotary":
            problem = f"rotary positions turn pairs, and each head has {size} places: choose an even number of them"
            yield Conflict(("heads" if "heads" in raw else "width",), problem)

    def build(self, layout: Layout) -> "nn.Module":
        """A stem that gives tokens, then a ``nn.transformer.Transformer``."""
        from trueweight.nn.transformer import in_a_row

        stem: Any = self._stem(layout)
        sense = layout.senses.get("token") or layout.senses.get("frame")
        encoder: Any = self._encoder(stem.form, sense.length if sense else 0)
        return self._pooled(in_a_row(stem, encoder, encoder.form), encoder.form)

    def build_on(self, form: "Form") -> "nn.Module":
        """The same behind another encoder, whose grid is read as one sequence."""
        encoder: Any = self._encoder(form, 0)
        return self._pooled(encoder, encoder.form)

    def _stem(self, layout: Layout) -> "nn.Module":
        from trueweight.nn.patches import PatchStem

        pixel = layout.senses.get("pixel")
        if pixel is None:
            return sequence_stem(layout, self.width, self.type)
        patch = self.patch_size or 1
        while self.patch_size is None and -(-pixel.grid[0] // patch) * -(-pixel.grid[1] // patch) > _MOST_PATCHES:
            patch *= 2
        return PatchStem(pixel.grid, pixel.mean, pixel.std, patch, self.width)

    def _encoder(self, form: "Form", longest: int) -> "nn.Module":
        from trueweight.nn.transformer import Transformer

        front = self.pooling == "class"
        return Transformer(
            form, self.width, self._wishes(), positions=self.positions, length=self._places(form, longest),
            class_token=front, input_norm=self.input_norm, pooler=self.pooler, segments=self.segments,
        )  # fmt: skip

    def _places(self, form: "Form", longest: int) -> int:
        known = 1 if form.size or not form.grid_rank else longest
        for side in form.size:
            known *= side
        if self.positions == "learned" and self.max_length is None and not known:
            raise SpecError(
                "positions 'learned' need to know how many tokens a row may have",
                where="encoder.max_length",
                hint="set max_length, or take rotary or sinusoidal positions",
            )
        return self.max_length or known + (self.pooling == "class")

    def _wishes(self) -> "Wishes":
        from trueweight.nn.transformer import Wishes

        usual = 8 * self.width // 3 if self.activation == "swiglu" else 4 * self.width
        return Wishes(
            layers=self.layers, heads=self.heads, hidden=self.hidden or usual, dropout=self.dropout, norm=self.norm,
            normalization=self.normalization, activation=self.activation, rotary=self.positions == "rotary",
            qk_norm=self.qk_norm, causal=self.causal, zero_residual=self.zero_residual,
            checkpointing=self.checkpointing, norm_eps=self.norm_eps, rotary_base=self.rotary_base,
            biases=self.biases,
        )  # fmt: skip

    def _pooled(self, module: "nn.Module", form: "Form") -> "nn.Module":
        return module if self.pooling == "class" else pooled_by(self.pooling, module, form)


def _filled(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What is written, and what its layout adds."""
    layout = raw.get("layout")
    return (LAYOUTS.get(layout, {}) if isinstance(layout, str) else {}) | dict(raw)
