"""``export``: a bundle's network in the layout of another maker."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from trueweight.bundle.bundle import Bundle, open_bundle
from trueweight.data.bpe import tokenizer_json
from trueweight.data.foreign_tokens import FIRST, ForeignTokens
from trueweight.data.spelling import Spelling
from trueweight.errors import SpecError
from trueweight.files import atomic_folder, write_atomic, write_json
from trueweight.model.decoders.transformer import TransformerDecoderPart
from trueweight.model.encoders.transformer import TransformerEncoder
from trueweight.model.foreign.folder import CONFIG, WEIGHTS
from trueweight.nn.bodies import Option
from trueweight.nn.generate import BEGIN, END
from trueweight.train.folders import written
from trueweight.train.starting import Body, bodies_in
from trueweight.train.tensor_file import write_tensors

__all__ = ["Exported", "export"]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    kind: str
    """As the other maker calls it: ``bert``."""
    place: str
    """Where it stood: ``features.note``."""
    left_out: tuple[str, ...]
    """What of the bundle the folder does not hold."""


def export(bundle: Bundle | str | Path, *, to: str = "hf", out: str | Path) -> Exported:
    """Write the transformer over text that a bundle holds as a folder that other programs open.

    What was trained around it (heads of other targets, encoders of other columns) stays in the bundle.

    Args:
        bundle: Or its path.
        to: ``hf``: the layout of Hugging Face, as BERT, GPT-2 or Llama, whichever is built like it.
        out: The folder; must not be there yet.

    Raises:
        SpecError: There is no such transformer, more than one, or none of the three is built like it.
        TrainError: ``out`` exists, or cannot be written to.
        VerifyError: The bundle was changed.
    """
    if to != "hf":
        raise SpecError(f"models are not exported to {to!r}", where="--to", hint="choose hf")
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(Path(bundle))
    place, body = _only(bodies_in(opened.predictor, digest="", origin=opened.manifest.name).parts)
    options = dict(body.options) | dict(_told(place, body))
    spelling = body.spelling
    front = FIRST if isinstance(spelling.merges, ForeignTokens) else 0
    config, tensors = written(options, body.tensors, body.scale, front)
    config |= {"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": END}
    if isinstance(spelling.merges, ForeignTokens):
        config |= {"bos_token_id": spelling.merges.beginning, "eos_token_id": spelling.merges.end, "pad_token_id": None}
    _write(Path(out), config, tensors, _tokenizer(spelling))
    left = [name for name in opened.predictor.signature.columns if name != place.split(".", 1)[1]]
    return Exported(Path(out), config["model_type"], place, tuple(left))


def _only(parts: Mapping[str, Body]) -> tuple[str, Body]:
    if len(parts) == 1:
        return next(iter(parts.items()))
    if parts:
        problem = f"the model has {len(parts)} transformers over text: {', '.join(parts)}"
        raise SpecError(problem, where="export", hint="only models with one of them can be written as such a folder")
    problem = "the model has no transformer over text"
    raise SpecError(problem, where="export", hint="the layout of Hugging Face is written for these alone so far")


def _told(place: str, body: Body) -> Iterator[tuple[str, Option]]:
    """What the parts say beyond the body: what tokens see, and what makes logits."""
    part: Any = body.decoder if place.startswith("targets.") else body.encoder
    if isinstance(part, TransformerDecoderPart):
        yield from (("causal", True), ("tied", part.tied))
    elif isinstance(part, TransformerEncoder):
        yield "causal", part.causal


def _tokenizer(spelling: Spelling) -> str:
    if isinstance(spelling.merges, ForeignTokens):
        return spelling.merges.text
    return tokenizer_json(spelling.merges, lowercase=spelling.lowercase, normalize=spelling.normalize)


def _write(out: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: str) -> None:
    with atomic_folder(out) as folder:
        write_json(folder / CONFIG, config)
        write_tensors(folder / WEIGHTS, tensors, hashlib.sha256())
        write_atomic(folder / "tokenizer.json", tokenizer.encode())
        write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
