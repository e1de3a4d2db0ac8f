"""What folders of other makers lend, and our networks written as such folders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import ValidationError
from torch import Tensor

from trueweight.data.foreign_tokens import FIRST, foreign_tokens
from trueweight.data.spelling import Spelling
from trueweight.errors import SpecError, VerifyError
from trueweight.files import digest_bytes, digest_file, shortened
from trueweight.model.decoders.transformer import TransformerDecoderPart
from trueweight.model.encoders.transformer import TransformerEncoder
from trueweight.model.foreign.bert import BERT
from trueweight.model.foreign.folder import Folder, read_folder
from trueweight.model.foreign.gpt2 import GPT2
from trueweight.model.foreign.links import Architecture, tensors_of, theirs_of
from trueweight.model.foreign.llama import LLAMA
from trueweight.model.foreign.resnet import RESNET
from trueweight.nn.bodies import Option
from trueweight.train.pictures import pictures_in
from trueweight.train.starting import Bodies, Body

__all__ = ["ARCHITECTURES", "bodies_in_folder", "body_in", "written"]

ARCHITECTURES = {known.name: known for known in (BERT, GPT2, LLAMA)}

_Part = TypeVar("_Part", TransformerEncoder, TransformerDecoderPart)

PLACE = "folder"
"""Where the one body of a folder stands."""


def bodies_in_folder(path: Path) -> Bodies:
    """What a folder in the layout of Hugging Face lends: a body with its tokens, or one that reads pictures.

    Raises:
        SpecError: The model is of a kind that we have no parts for.
        VerifyError: Files are missing or broken, or do not fit each other.
    """
    folder = read_folder(path)
    names = sorted(file.name for file in path.iterdir() if file.suffix in (".json", ".txt", ".safetensors"))
    digest = digest_bytes(*(part.encode() for name in names for part in (name, digest_file(path / name))))
    if folder.config.get("model_type") == RESNET.name:
        return Bodies(parts={}, digest=digest, origin=path.name, pictures=pictures_in(folder))
    body = body_in(folder)
    return Bodies(parts={PLACE: body}, digest=digest, origin=path.name, spellings={PLACE: body.spelling})


def body_in(folder: Folder) -> Body:
    """The body of a folder that was read."""
    known = _architecture(folder)
    options = known.options(folder.config)
    _require_layers(int(options["layers"]), folder)
    tensors = _joined(tensors_of(known.links(options), folder.tensors, known, str(folder.path)))
    end, beginning = (_number(folder.config.get(name)) for name in ("eos_token_id", "bos_token_id"))
    tokens = foreign_tokens(folder.path, int(options["tokens"]) - FIRST, end, beginning)
    for name in ("table", "head"):
        if name in tensors:
            tensors[name] = _with_ends(tensors[name], (end, beginning))
    return Body(
        options={name: value for name, value in options.items() if name not in ("causal", "tied")},
        tensors=tensors, scale=1.0, spelling=Spelling(tokens, False, False),
        encoder=_encoder(options), decoder=_decoder(options) if options["causal"] else None,
    )  # fmt: skip


def _architecture(folder: Folder) -> Architecture:
    kind = folder.config.get("model_type")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        problem = f"models of type {shortened(repr(kind), 60)} cannot be started from"
        hint = f"config.json should say model_type: {' or '.join([*ARCHITECTURES, RESNET.name])}"
        raise SpecError(problem, where=str(folder.path), hint=hint)
    return ARCHITECTURES[kind]


def _require_layers(layers: int, folder: Folder) -> None:
    """Every layer has tensors of its own. Told before each is named: a config may say any number."""
    if layers > len(folder.tensors):
        problem = f"the config has {layers:,} layers, and the files of weights {len(folder.tensors):,} tensors in all"
        raise VerifyError(problem, where=str(folder.path), hint="is config.json the one they were saved with?")


def _number(asked: Any) -> int | None:
    """Of several the first."""
    found = asked[0] if isinstance(asked, list) and asked else asked
    return found if type(found) is int else None


def _with_ends(rows_VD: Tensor, numbers: tuple[int | None, int | None]) -> Tensor:
    """In front the rows of the end and of the beginning of a text, as far as the model has them."""
    none = torch.zeros(rows_VD.shape[1])
    ends = [none if n is None or not 0 <= n < len(rows_VD) else rows_VD[n] for n in numbers]
    return torch.cat([torch.stack(ends), rows_VD])


def _joined(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gates and values of a perceptron are one matrix here."""
    for name in [name for name in tensors if ".up.gate." in name]:
        whole = name.replace(".gate.", ".")
        tensors[whole] = torch.cat([tensors.pop(name), tensors.pop(name.replace(".gate.", ".value."))])
    return tensors


_SHARED = ("width", "layers", "heads", "hidden", "norm", "normalization", "norm_eps", "activation", "positions",
           "qk_norm", "biases", "rotary_base", "max_length")  # fmt: skip


def _encoder(options: Mapping[str, Option]) -> TransformerEncoder:
    """Tokens averaged, as sentence encoders are trained; causal ones as they were."""
    more = {name: options[name] for name in ("input_norm", "segments", "causal")}
    asked = {name: options[name] for name in _SHARED if name in options} | more
    return _fitting(TransformerEncoder, {"type": "transformer", "pooling": "mean", **asked})


def _decoder(options: Mapping[str, Option]) -> TransformerDecoderPart:
    asked = {name: options[name] for name in (*_SHARED, "key_value_heads", "tied") if name in options}
    return _fitting(TransformerDecoderPart, {"type": "transformer", "scaled": False, **asked})


def _fitting(kind: type[_Part], asked: Mapping[str, Option]) -> _Part:
    """A part of these options, which a config may have got wrong in a way that no tensor shows."""
    try:
        return kind.model_validate(asked)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
        problem = f"the config cannot be understood: {told}"
        raise VerifyError(problem, where="config.json", hint="get the folder again, or ask its maker") from None


def written(
    options: Mapping[str, Option], tensors: Mapping[str, Tensor], scale: float, front: int = FIRST
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Their config and tensors for a body of ours.

    Args:
        options: Of the body, with ``causal``.
        tensors: Of the body.
        scale: What its table is multiplied with.
        front: Rows of our tables that theirs does not have.

    Raises:
        SpecError: No kind of theirs is built like it; says what differs from each.
    """
    known = _kind(options)
    head, own = "tied" in options, dict(tensors)
    full = {"tied": True, **options, "tokens": int(options["tokens"]) - front + FIRST}
    own["table"] = own["table"][front:] * scale
    if "head" in own:
        own["head"] = own["head"][front:]
    for name in [name for name in own if ".up." in name and known is LLAMA]:
        gate, value = own.pop(name).chunk(2)
        own[name.replace(".up.", ".up.gate.")], own[name.replace(".up.", ".up.value.")] = gate, value
    made = theirs_of(known.links(full), own, known.prefix if head and known.head != known.bare else "")
    config = {
        "model_type": known.name, "architectures": [known.head if head else known.bare], "torch_dtype": "float32",
        "dtype": "float32", **known.config(full, head),
    }  # fmt: skip
    return config, made


_KINDS: dict[str, dict[str, tuple[Option, ...]]] = {
    "bert": {
        "norm": ("post",), "normalization": ("layer",), "activation": ("gelu", "gelu_tanh", "relu"),
        "positions": ("learned",), "qk_norm": (False,), "biases": (True,), "input_norm": (True,), "causal": (False,),
        "class_token": (False,),
    },
    "gpt2": {
        "norm": ("pre",), "normalization": ("layer",), "activation": ("gelu", "gelu_tanh", "relu"),
        "positions": ("learned",), "qk_norm": (False,), "biases": (True,), "input_norm": (False,), "causal": (True,),
        "class_token": (False,), "segments": (0,),
    },
    "llama": {
        "norm": ("pre",), "normalization": ("rms",), "activation": ("swiglu",), "positions": ("rotary",),
        "qk_norm": (False,), "biases": (False,), "input_norm": (False,), "causal": (True,), "segments": (0,),
    },
}  # fmt: skip
"""What a body must be like to be written as each kind."""


def _kind(options: Mapping[str, Option]) -> Architecture:
    unlike = []
    for name, asked in _KINDS.items():
        wrong = [key for key, values in asked.items() if options.get(key, values[0]) not in values]
        if not wrong:
            return ARCHITECTURES[name]
        unlike.append(f"{name}: " + ", ".join(f"{key} is {options[key]!r}, not {asked[key][0]!r}" for key in wrong))
    problem = "no kind of model there is built like this one"
    hint = "such a model stays a bundle; one that is trained with all options that one line asks for can be written"
    raise SpecError("\n  ".join([problem, *unlike]), where="encoder", hint=hint)
