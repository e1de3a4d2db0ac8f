"""BERT: Devlin et al. 2018, arXiv:1810.04805, as ``BertModel`` of transformers lays it out."""

from collections.abc import Iterator, Mapping
from typing import Any

from trueweight.model.foreign.links import FIRST, Architecture, Link, number_of, numbers_of, refuse_unless
from trueweight.nn.bodies import Option

__all__ = ["BERT"]

_ACTIVATIONS = {"gelu": "gelu", "relu": "relu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}


def _options(config: Mapping[str, Any]) -> dict[str, Option]:
    refuse_unless(config, {
        "hidden_act": tuple(_ACTIVATIONS), "position_embedding_type": ("absolute",), "is_decoder": (False,),
        "add_cross_attention": (False,),
    }, "bert")  # fmt: skip
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
             "max_position_embeddings", "type_vocab_size")  # fmt: skip
    width, layers, heads, hidden, tokens, places, segments = numbers_of({"type_vocab_size": 2, **config}, names, "bert")
    return {
        "width": width, "layers": layers, "heads": heads, "key_value_heads": heads, "hidden": hidden, "norm": "post",
        "normalization": "layer", "activation": _ACTIVATIONS[config.get("hidden_act", "gelu")], "positions": "learned",
        "qk_norm": False, "tokens": tokens + FIRST, "norm_eps": number_of(config, "layer_norm_eps", 1e-12, "bert"),
        "biases": True, "input_norm": True, "segments": segments, "class_token": False, "max_length": places,
        "causal": False,
    }  # fmt: skip


def _links(options: Mapping[str, Option]) -> list[Link]:
    width, start = int(options["width"]), "embeddings"
    found = [
        Link(f"{start}.word_embeddings.weight", ("table",), (int(options["tokens"]) - FIRST, width)),
        Link(f"{start}.position_embeddings.weight", ("places",), (int(options["max_length"]), width)),
        Link(f"{start}.token_type_embeddings.weight", ("segments",), (int(options["segments"]), width)),
        Link(f"{start}.LayerNorm.weight", ("input_norm.weight",), (width,)),
        Link(f"{start}.LayerNorm.bias", ("input_norm.bias",), (width,)),
    ]
    for number in range(int(options["layers"])):
        found += _layer(number, width, int(options["hidden"]))
    return found


def _layer(number: int, width: int, hidden: int) -> Iterator[Link]:
    start = f"encoder.layer.{number}"
    parts = {
        "attention.self.query": ("q", width, width), "attention.self.key": ("k", width, width),
        "attention.self.value": ("v", width, width), "attention.output.dense": ("out", width, width),
        "intermediate.dense": ("up", hidden, width), "output.dense": ("down", width, hidden),
    }  # fmt: skip
    for theirs, (ours, rows, columns) in parts.items():
        yield Link(f"{start}.{theirs}.weight", (f"{number}.{ours}.weight",), (rows, columns))
        yield Link(f"{start}.{theirs}.bias", (f"{number}.{ours}.bias",), (rows,))
    for theirs, ours in (("attention.output", "norm_1"), ("output", "norm_2")):
        for kind in ("weight", "bias"):
            yield Link(f"{start}.{theirs}.LayerNorm.{kind}", (f"{number}.{ours}.{kind}",), (width,))


def _config(options: Mapping[str, Option], head: bool) -> dict[str, Any]:  # noqa: ARG001 - has none
    names = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}
    return {
        "hidden_size": options["width"], "num_hidden_layers": options["layers"],
        "num_attention_heads": options["heads"], "intermediate_size": options["hidden"],
        "vocab_size": int(options["tokens"]) - FIRST, "max_position_embeddings": options["max_length"],
        "type_vocab_size": options["segments"], "hidden_act": names[str(options["activation"])],
        "layer_norm_eps": options["norm_eps"],
    }  # fmt: skip


BERT = Architecture(
    "bert", _options, _links, _config, prefix="bert.", head="BertModel", bare="BertModel",
    beside=("cls.", "pooler.", "classifier.", "qa_outputs.", "embeddings.position_ids"),
)  # fmt: skip
