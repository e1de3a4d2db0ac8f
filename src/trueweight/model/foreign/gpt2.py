"""GPT-2: Radford et al. 2019, "Language models are unsupervised multitask learners", as transformers lays it out: the
matrices stand on their side there."""

from collections.abc import Iterator, Mapping
from typing import Any

from trueweight.model.foreign.links import FIRST, Architecture, Link, number_of, numbers_of, refuse_unless
from trueweight.nn.bodies import Option

__all__ = ["GPT2"]

_ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}


def _options(config: Mapping[str, Any]) -> dict[str, Option]:
    refuse_unless(config, {
        "activation_function": tuple(_ACTIVATIONS), "scale_attn_weights": (True,), "add_cross_attention": (False,),
        "scale_attn_by_inverse_layer_idx": (False,), "tie_word_embeddings": (True, False),
    }, "gpt2")  # fmt: skip
    width, layers, heads, tokens, places = numbers_of(
        config, ("n_embd", "n_layer", "n_head", "vocab_size", "n_positions"), "gpt2"
    )
    (hidden,) = numbers_of({"n_inner": config.get("n_inner") or 4 * width}, ("n_inner",), "gpt2")
    return {
        "width": width, "layers": layers, "heads": heads, "key_value_heads": heads, "hidden": hidden,
        "norm": "pre", "normalization": "layer",
        "activation": _ACTIVATIONS[config.get("activation_function", "gelu_new")], "positions": "learned",
        "qk_norm": False, "tokens": tokens + FIRST, "norm_eps": number_of(config, "layer_norm_epsilon", 1e-5, "gpt2"),
        "biases": True, "input_norm": False, "segments": 0, "class_token": False, "max_length": places, "causal": True,
        "tied": bool(config.get("tie_word_embeddings", True)),
    }  # fmt: skip


def _links(options: Mapping[str, Option]) -> list[Link]:
    width, tokens = int(options["width"]), int(options["tokens"]) - FIRST
    found = [
        Link("wte.weight", ("table",), (tokens, width)),
        Link("wpe.weight", ("places",), (int(options["max_length"]), width)),
        Link("ln_f.weight", ("last.weight",), (width,)), Link("ln_f.bias", ("last.bias",), (width,)),
    ]  # fmt: skip
    if not options["tied"]:
        found.append(Link("lm_head.weight", ("head",), (tokens, width), optional=True))
    for number in range(int(options["layers"])):
        found += _layer(number, width, int(options["hidden"]))
    return found


def _layer(number: int, width: int, hidden: int) -> Iterator[Link]:
    parts = {
        "attn.c_attn": (("q", "k", "v"), width, 3 * width), "attn.c_proj": (("out",), width, width),
        "mlp.c_fc": (("up",), width, hidden), "mlp.c_proj": (("down",), hidden, width),
    }  # fmt: skip
    for theirs, (ours, into, out) in parts.items():
        weights, biases = (tuple(f"{number}.{name}.{kind}" for name in ours) for kind in ("weight", "bias"))
        yield Link(f"h.{number}.{theirs}.weight", weights, (into, out), turned=True)
        yield Link(f"h.{number}.{theirs}.bias", biases, (out,))
    for theirs in ("ln_1", "ln_2"):
        for kind in ("weight", "bias"):
            yield Link(f"h.{number}.{theirs}.{kind}", (f"{number}.norm_{theirs[-1]}.{kind}",), (width,))


def _config(options: Mapping[str, Option], head: bool) -> dict[str, Any]:
    names = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}
    return {
        "n_embd": options["width"], "n_layer": options["layers"], "n_head": options["heads"],
        "n_inner": options["hidden"], "vocab_size": int(options["tokens"]) - FIRST,
        "n_positions": options["max_length"], "activation_function": names[str(options["activation"])],
        "layer_norm_epsilon": options["norm_eps"], "tie_word_embeddings": bool(options["tied"]) or not head,
    }  # fmt: skip


GPT2 = Architecture(
    "gpt2", _options, _links, _config, prefix="transformer.", head="GPT2LMHeadModel", bare="GPT2Model",
    beside=("lm_head.", "score.", "classifier.", ".attn.bias", ".attn.masked_bias"),
)  # fmt: skip
