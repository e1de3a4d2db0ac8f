"""Llama: Touvron et al. 2023, arXiv:2302.13971, as ``LlamaForCausalLM`` of transformers lays it out."""

from collections.abc import Iterator, Mapping
from typing import Any

from trueweight.errors import SpecError, VerifyError
from trueweight.model.foreign.links import FIRST, Architecture, Link, number_of, numbers_of, refuse_unless
from trueweight.nn.bodies import Option

__all__ = ["LLAMA"]


def _options(config: Mapping[str, Any]) -> dict[str, Option]:
    refuse_unless(config, {
        "hidden_act": ("silu",), "attention_bias": (False,), "mlp_bias": (False,), "pretraining_tp": (1, None),
    }, "llama")  # fmt: skip
    width, layers, heads, hidden, tokens = numbers_of(
        config, ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"), "llama"
    )
    if config.get("head_dim") not in (None, width // heads):
        problem = f"heads of {config['head_dim']} places do not share a width of {width} evenly among {heads}"
        raise SpecError(problem, where="config.json", hint="such models cannot be started from yet")
    asked = config.get("num_key_value_heads") or heads
    (keys,) = numbers_of({"num_key_value_heads": asked}, ("num_key_value_heads",), "llama")
    return {
        "width": width, "layers": layers, "heads": heads, "key_value_heads": keys,
        "hidden": hidden, "norm": "pre", "normalization": "rms", "activation": "swiglu", "positions": "rotary",
        "rotary_base": _base(config), "qk_norm": False, "tokens": tokens + FIRST,
        "norm_eps": number_of(config, "rms_norm_eps", 1e-6, "llama"), "biases": False, "input_norm": False,
        "segments": 0, "causal": True, "tied": bool(config.get("tie_word_embeddings", False)),
    }  # fmt: skip


def _base(config: Mapping[str, Any]) -> float:
    """Older files have ``rope_theta`` and ``rope_scaling``, newer ones ``rope_parameters``."""
    asked = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(asked, dict):
        problem = f"the config of this llama model cannot be understood: its rotary positions are {asked!r}"
        raise VerifyError(problem, where="config.json", hint="rope_parameters should be a JSON object")
    kind = asked.get("rope_type", asked.get("type", "default"))
    if kind != "default":
        problem = f"this llama model stretches its rotary positions ({kind!r}), which no part of Trueweight does"
        raise SpecError(problem, where="config.json", hint="start from a model without rope_scaling")
    return number_of({**config, **asked}, "rope_theta", 10_000.0, "llama")


def _links(options: Mapping[str, Option]) -> list[Link]:
    width, tokens = int(options["width"]), int(options["tokens"]) - FIRST
    found = [Link("embed_tokens.weight", ("table",), (tokens, width)), Link("norm.weight", ("last.weight",), (width,))]
    if not options["tied"]:
        found.append(Link("lm_head.weight", ("head",), (tokens, width), optional=True))
    keys = width // int(options["heads"]) * int(options["key_value_heads"])
    for number in range(int(options["layers"])):
        found += _layer(number, width, keys, int(options["hidden"]))
    return found


def _layer(number: int, width: int, keys: int, hidden: int) -> Iterator[Link]:
    parts = {
        "self_attn.q_proj": ("q", width, width), "self_attn.k_proj": ("k", keys, width),
        "self_attn.v_proj": ("v", keys, width), "self_attn.o_proj": ("out", width, width),
        "mlp.gate_proj": ("up.gate", hidden, width), "mlp.up_proj": ("up.value", hidden, width),
        "mlp.down_proj": ("down", width, hidden),
    }  # fmt: skip
    for theirs, (ours, rows, columns) in parts.items():
        yield Link(f"layers.{number}.{theirs}.weight", (f"{number}.{ours}.weight",), (rows, columns))
    for theirs, ours in (("input_layernorm", "norm_1"), ("post_attention_layernorm", "norm_2")):
        yield Link(f"layers.{number}.{theirs}.weight", (f"{number}.{ours}.weight",), (width,))


def _config(options: Mapping[str, Option], head: bool) -> dict[str, Any]:
    return {
        "hidden_size": options["width"], "num_hidden_layers": options["layers"],
        "num_attention_heads": options["heads"], "num_key_value_heads": options["key_value_heads"],
        "intermediate_size": options["hidden"], "vocab_size": int(options["tokens"]) - FIRST, "hidden_act": "silu",
        "rms_norm_eps": options["norm_eps"], "rope_theta": options["rotary_base"], "attention_bias": False,
        "mlp_bias": False, "tie_word_embeddings": bool(options["tied"]) and head,
    }  # fmt: skip


LLAMA = Architecture(
    "llama", _options, _links, _config, prefix="model.", head="LlamaForCausalLM", bare="LlamaModel",
    beside=("lm_head.", "score.", "rotary_emb.inv_freq"),
)  # fmt: skip
