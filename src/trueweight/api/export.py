"""``export``: a bundle's network in the layout of another maker, or as ONNX files."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
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
from trueweight.model.foreign.folder import CONFIG, PREPARATION, WEIGHTS
from trueweight.model.foreign.prepared import written_preparation
from trueweight.nn.bodies import Option
from trueweight.nn.generate import BEGIN, END
from trueweight.train.folders import written
from trueweight.train.pictures import PictureReader, readers_in, written_pictures
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
    unsaid: tuple[str, ...] = ()
    """What the folder cannot say of how inputs are prepared."""
    running: BakeOff | None = None
    """Of ONNX files: how fast they are here, beside other ways."""


def export(
    bundle: Bundle | str | Path, *, to: str = "hf", out: str | Path | None = None, bake_off: float = SECONDS
) -> Exported:
    """Write the networks of a bundle as files that other programs open.

    Args:
        bundle: Or its path.
        to: ``hf``: the transformer over text, or the ResNet over pictures, that it holds, in the layout of Hugging
            Face, as BERT, GPT-2, Llama or ResNet, whichever is built like it; what was trained around it stays in the
            bundle. ``onnx``: the whole model, its networks as ONNX files; :func:`trueweight.open_onnx` answers from
            them.
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
    return Exported(out, "onnx", place, (), running=BakeOff.from_json(record["bake_off"]))


def _hugging_face(opened: Bundle, out: Path) -> Exported:
    bodies = bodies_in(opened.predictor, digest="", origin=opened.manifest.name).parts
    readers = readers_in(opened.predictor)
    place = _only([*bodies, *(reader.place for reader in readers)])
    left = tuple(name for name in opened.predictor.signature.columns if name != place.split(".", 1)[1])
    if readers:
        return _export_pictures(readers[0], out, left)
    kind = _export_text(place, bodies[place], out)
    return Exported(out, kind, place, left)


def _export_text(place: str, body: Body, out: Path) -> str:
    options = dict(body.options) | dict(_told(place, body))
    spelling = body.spelling
    front = FIRST if isinstance(spelling.merges, ForeignTokens) else 0
    config, tensors = written(options, body.tensors, body.scale, front)
    config |= {"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": END}
    if isinstance(spelling.merges, ForeignTokens):
        config |= {"bos_token_id": spelling.merges.beginning, "eos_token_id": spelling.merges.end, "pad_token_id": None}
    files = {"tokenizer.json": _tokenizer(spelling)}
    files |= {"tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})}
    _write(out, config, tensors, files)
    return str(config["model_type"])


def _export_pictures(reader: PictureReader, out: Path, left: tuple[str, ...]) -> Exported:
    codec = reader.codec
    config, tensors = written_pictures(reader.network)
    raw, unsaid = written_preparation(codec.size, codec.mean, codec.std, codec.preparation)
    _write(out, config, tensors, {PREPARATION: json.dumps(raw, indent=2)})
    return Exported(out, config["model_type"], reader.place, left, tuple(unsaid))


def _only(places: Sequence[str]) -> str:
    if len(places) == 1:
        return places[0]
    if places:
        problem = f"the model has {len(places)} networks that could be written: {', '.join(places)}"
        raise SpecError(problem, where="export", hint="only models with one of them can be written as such a folder")
    problem = "the model has no transformer over text and no ResNet over pictures"
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


def _write(out: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
    with atomic_folder(out) as folder:
        write_json(folder / CONFIG, config)
        write_tensors(folder / WEIGHTS, tensors, hashlib.sha256())
        for name, content in files.items():
            write_atomic(folder / name, content.encode())
