"""``export``: a bundle's network in the layout of another maker, or as ONNX files."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from trueweight.bundle.bake_off import SECONDS, BakeOff
from trueweight.bundle.bundle import Bundle, open_bundle
from trueweight.data.bpe import tokenizer_json
from trueweight.data.foreign_tokens import FIRST, ForeignTokens
from trueweight.data.spelling import Spelling
from trueweight.errors import SpecError
from trueweight.files import atomic_folder, safe_name, write_atomic, write_json
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
    running: BakeOff | None = None
    """Of ONNX files: how fast they are here, beside other ways."""


def export(
    bundle: Bundle | str | Path, *, to: str = "hf", out: str | Path | None = None, bake_off: float = SECONDS
) -> Exported:
    """Write the networks of a bundle as files that other programs open.

    Args:
        bundle: Or its path.
        to: ``hf``: the transformer over text that it holds, in the layout of Hugging Face, as BERT, GPT-2 or Llama,
            whichever is built like it; what was trained around it stays in the bundle. ``onnx``: the whole model, its
            networks as ONNX files; :func:`trueweight.open_onnx` answers from them.
        out: The folder; must not be there yet. By default the bundle's name with ``-hf`` or ``-onnx``.
        bake_off: With ``onnx``, seconds to measure how fast the files and other ways answer here; 0 for none.

    Raises:
        SpecError: The model has nothing that could be written so, and why.
        TrainError: ``out`` exists, or cannot be written to.
        VerifyError: The bundle was changed, or the exported networks do not give its answers.
    """
    if to not in ("hf", "onnx"):
        raise SpecError(f"models are not exported to {to!r}", where="--to", hint="choose hf or onnx")
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(Path(bundle))
    folder = Path(out) if out is not None else Path(f"{safe_name(opened.name)}-{to}")
    return _onnx(opened, folder, bake_off) if to == "onnx" else _hugging_face(opened, folder)


def _onnx(opened: Bundle, out: Path, seconds: float) -> Exported:
    from trueweight.bundle.onnx_folder import write_onnx_folder

    record = write_onnx_folder(opened, out, seconds=seconds)
    count = len(record["networks"])
    place = f"{count} network{'s' * (count != 1)}"
    return Exported(out, "onnx", place, (), BakeOff.from_json(record["bake_off"]))


def _hugging_face(opened: Bundle, out: Path) -> Exported:
    place, body = _only(bodies_in(opened.predictor, digest="", origin=opened.manifest.name).parts)
    options = dict(body.options) | dict(_told(place, body))
    spelling = body.spelling
    front = FIRST if isinstance(spelling.merges, ForeignTokens) else 0
    config, tensors = written(options, body.tensors, body.scale, front)
    config |= {"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": END}
    if isinstance(spelling.merges, ForeignTokens):
        config |= {"bos_token_id": spelling.merges.beginning, "eos_token_id": spelling.merges.end, "pad_token_id": None}
    _write(out, config, tensors, _tokenizer(spelling))
    left = [name for name in opened.predictor.signature.columns if name != place.split(".", 1)[1]]
    return Exported(out, config["model_type"], place, tuple(left))


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
