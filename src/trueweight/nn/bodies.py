"""The body of a transformer over tokens, whether it reads or writes: taken out of one network, put into another.

A decoder that was trained as a language model and an encoder of the same options differ in how their matrices are
laid out and in what they may look at, not in what there is to know. Here both are seen under the same names:

    table                     of tokens, (V, D)
    places                    learned positions, (P, D)
    input_norm.*              before the first layer
    N.q.* N.k.* N.v.*         N.out.* N.norm_q.* N.norm_k.*, the self-attention of layer N
    N.norm_1.* N.norm_2.*     norms of attention and of the perceptron
    N.up.* N.down.*           the perceptron
    last.*                    the norm behind all layers
    segments                  of kinds of sentences, of encoders that have them
    class_token pooler.*      likewise
    head                      what makes logits, of decoders where that is not the table

Attention to what was read and heads are no part of it.

Shape suffixes in this file:
    V  vocabulary    D  width    P  places
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trueweight.nn.decoder import DecoderBlock, TransformerDecoder
from trueweight.nn.positions import Learned, Sinusoidal
from trueweight.nn.stems import TokenStem
from trueweight.nn.transformer import Block, FeedForward, Transformer

__all__ = ["Option", "Slot", "TokenBody", "body_of", "differences", "put"]

Option = str | int | float | bool

OPTIONAL = ("class_token", "pooler.", "head")
"""Names that a body may lack: what has none to take over begins afresh."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a tensor of the body lies in its network."""

    parameter: nn.Parameter
    view: Tensor
    """All of the parameter, or some of its rows; shares its memory."""


@dataclass(frozen=True, slots=True)
class TokenBody:
    """A body within its network."""

    options: Mapping[str, Option]
    """What another body must agree on, in the words of specs."""
    slots: Mapping[str, Slot]
    scale: float
    """What the table's rows are multiplied with before positions are added."""

    def tensors(self) -> dict[str, Tensor]:
        """A copy of everything, by name."""
        return {name: slot.view.detach().clone() for name, slot in self.slots.items()}


def body_of(module: nn.Module) -> TokenBody | None:
    """The body of an encoder, a decoder, or of what holds one; None where there is none, or more than one."""
    decoders = [inner for inner in module.modules() if isinstance(inner, TransformerDecoder)]
    encoders = [inner for inner in module.modules() if isinstance(inner, Transformer)]
    stems = [inner for inner in module.modules() if isinstance(inner, TokenStem)]
    if len(decoders) == 1 and not encoders:
        return _of_decoder(decoders[0])
    if len(encoders) == len(stems) == 1 and not decoders and isinstance(encoders[0].widen, nn.Identity):
        return _of_encoder(stems[0], encoders[0])
    return None


def _of_encoder(stem: TokenStem, encoder: Transformer) -> TokenBody:
    blocks = [block for block in encoder.blocks.blocks if isinstance(block, Block)]
    slots = {"table": _whole(stem.embedding.weight)}
    positions = "rotary" if encoder.blocks.head_width else "none"
    if isinstance(encoder.positions, Learned):
        positions, slots["places"] = "learned", _whole(encoder.positions.table.weight)
    elif isinstance(encoder.positions, Sinusoidal):
        positions = "sinusoidal"
    if encoder.class_token is not None:
        slots["class_token"] = _whole(encoder.class_token)
    if encoder.segments is not None:
        slots["segments"] = _whole(encoder.segments.weight)
    slots |= _named("input_norm", encoder.input_norm) | _named("pooler", encoder.pooler)
    for number, block in enumerate(blocks):
        rows = stem.form.width
        parts = {"q": (0, rows), "k": (rows, 2 * rows), "v": (2 * rows, 3 * rows)}
        slots |= _split(str(number), block.attention.qkv, parts)
        slots |= _layer(str(number), block.attention, block.norm_1, block.norm_2, block.perceptron)
    slots |= _named("last", encoder.blocks.last)
    options = _options(stem.embedding, len(blocks), blocks[0], blocks[0].attention.heads, positions)
    options |= {"input_norm": not isinstance(encoder.input_norm, nn.Identity)}
    options |= {"segments": 0 if encoder.segments is None else encoder.segments.num_embeddings}
    options |= {"rotary_base": encoder.blocks.rotary_base} if positions == "rotary" else {}
    if positions in ("learned", "sinusoidal"):  # a token in front moves all others by one place
        options["class_token"] = encoder.class_token is not None
    scale = stem.form.width**0.5 if positions == "sinusoidal" else 1.0
    return TokenBody(options | _places(slots), slots, scale)


def _of_decoder(decoder: TransformerDecoder) -> TokenBody:
    blocks = [block for block in decoder.blocks if isinstance(block, DecoderBlock)]
    wishes = decoder.wishes
    slots = {"table": _whole(decoder.embedding.weight)}
    if decoder.places is not None:
        slots["places"] = _whole(decoder.places.table.weight)
    if decoder.head is not None:
        slots["head"] = _whole(decoder.head.weight)
    for number, block in enumerate(blocks):
        rows = wishes.key_value_heads * wishes.width // wishes.heads
        slots |= _named(f"{number}.q", block.attention.q)
        slots |= _split(str(number), block.attention.kv, {"k": (0, rows), "v": (rows, 2 * rows)})
        slots |= _layer(str(number), block.attention, block.norm_1, block.norm_3, block.perceptron)
    slots |= _named("last", decoder.last)
    options = _options(decoder.embedding, len(blocks), blocks[0], wishes.key_value_heads, wishes.positions)
    options |= {"input_norm": False, "segments": 0}
    options |= {"rotary_base": wishes.rotary_base} if wishes.positions == "rotary" else {}
    if wishes.positions in ("learned", "sinusoidal"):
        options["class_token"] = False
    return TokenBody(options | _places(slots), slots, wishes.width**0.5 if wishes.scaled else 1.0)


def _places(slots: Mapping[str, Slot]) -> dict[str, Option]:
    return {"max_length": len(slots["places"].view)} if "places" in slots else {}


def _options(
    table: nn.Embedding, layers: int, block: Block | DecoderBlock, key_value_heads: int, positions: str
) -> dict[str, Option]:
    return {
        "width": table.embedding_dim, "layers": layers, "heads": block.attention.heads,
        "key_value_heads": key_value_heads, "hidden": block.perceptron.down.in_features,
        "norm": "pre" if block.pre else "post",
        "normalization": "rms" if isinstance(block.norm_1, nn.RMSNorm) else "layer",
        "activation": _activation(block.perceptron), "positions": positions,
        "qk_norm": not isinstance(block.attention.norm_q, nn.Identity), "tokens": table.num_embeddings,
        "norm_eps": _eps(block.norm_1), "biases": block.perceptron.up.bias is not None,
    }  # fmt: skip


def _eps(norm: nn.Module) -> float:
    assert isinstance(norm, nn.RMSNorm | nn.LayerNorm)
    return float(norm.eps or 0.0)


def _activation(perceptron: FeedForward) -> str:
    if perceptron.gated:
        return "swiglu"
    if isinstance(perceptron.activation, nn.GELU):
        return "gelu_tanh" if perceptron.activation.approximate == "tanh" else "gelu"
    return "relu"


def _layer(
    number: str, attention: nn.Module, norm_1: nn.Module, norm_2: nn.Module, perceptron: FeedForward
) -> dict[str, Slot]:
    inner = dict(attention.named_children())
    found = {name: inner[name] for name in ("out", "norm_q", "norm_k")}
    found |= {"norm_1": norm_1, "norm_2": norm_2, "up": perceptron.up, "down": perceptron.down}
    return {name: slot for key, module in found.items() for name, slot in _named(f"{number}.{key}", module).items()}


def _named(prefix: str, module: nn.Module) -> dict[str, Slot]:
    return {f"{prefix}.{name}": _whole(parameter) for name, parameter in module.named_parameters()}


def _whole(parameter: Tensor) -> Slot:
    assert isinstance(parameter, nn.Parameter)  # torch says less of the weights of its layers
    return Slot(parameter, parameter.detach())


def _split(number: str, layer: nn.Linear, parts: Mapping[str, tuple[int, int]]) -> dict[str, Slot]:
    """Rows of one layer that stand for several."""
    return {
        f"{number}.{key}.{name}": Slot(parameter, parameter.detach()[first:end])
        for name, parameter in layer.named_parameters()
        for key, (first, end) in parts.items()
    }


def differences(mine: Mapping[str, Option], theirs: Mapping[str, Option], names: Mapping[str, str]) -> Iterator[str]:
    """Every option that keeps a body from being put into another, with both values.

    Args:
        mine: Options of the body that would be filled.
        theirs: Of the one that it would be filled with.
        names: What an option is called where that differs from its name here.
    """
    for name in dict.fromkeys([*mine, *theirs]):
        ours, other = mine.get(name), theirs.get(name)
        if name == "key_value_heads":  # heads of the narrower one are repeated
            fits = isinstance(ours, int) and isinstance(other, int) and ours % other == 0
        elif name == "max_length":  # further places are left
            fits = isinstance(ours, int) and isinstance(other, int) and ours <= other
        elif name == "rotary_base":  # where one has none, positions differ, and that is told
            fits = None in (ours, other) or ours == other
        else:
            fits = ours == other
        if not fits:
            yield f"{names.get(name, name)} is {_shown(ours)} here and {_shown(other)} there"


def _shown(value: Option | None) -> str:
    if value is None:
        return "not known"
    return str(value).lower() if isinstance(value, bool) else f"{value:,}" if isinstance(value, int) else str(value)


def put(mine: TokenBody, tensors: Mapping[str, Tensor], scale: float) -> dict[str, Slot]:
    """Fill a body in place; says with what, by name.

    Args:
        mine: Filled.
        tensors: Of another body without :func:`differences`; of learned positions it may have more.
        scale: The other's.

    Raises:
        ValueError: Tensors are missing, or of other shapes.
    """
    missing = [name for name in mine.slots if name not in tensors and not name.startswith(OPTIONAL)]
    if missing:
        raise ValueError(f"there is no {', '.join(missing)}")
    filled = {name: slot for name, slot in mine.slots.items() if name in tensors}
    with torch.no_grad():
        for name, slot in filled.items():
            slot.view.copy_(_fitted(name, tensors[name], slot.view, mine, scale))
    return filled


def _fitted(name: str, tensor: Tensor, view: Tensor, mine: TokenBody, scale: float) -> Tensor:
    if name == "table" and scale != mine.scale:
        tensor = tensor * (scale / mine.scale)
    if name == "places":
        tensor = tensor[: len(view)]
    if tensor.shape != view.shape and name.split(".")[1:2] in (["k"], ["v"]):
        tensor = _repeated(tensor, view, int(mine.options["width"]) // int(mine.options["heads"]))
    if tensor.shape != view.shape:
        raise ValueError(f"{name} is {tuple(tensor.shape)} there and {tuple(view.shape)} here")
    return tensor


def _repeated(tensor: Tensor, view: Tensor, head_width: int) -> Tensor:
    """Keys or values of few heads, each for all the queries that shared it."""
    heads = tensor.reshape(-1, head_width, *tensor.shape[1:])
    return heads.repeat_interleave(max(1, len(view) // len(tensor)), 0).flatten(0, 1)
