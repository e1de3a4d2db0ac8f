"""Folders in the layout of Hugging Face: ``config.json``, ``model.safetensors`` (or several with an index), and a
tokenizer or ``preprocessor_config.json``.

Read without that library: JSON and safetensors are plain formats. Files of pickles are refused, for opening one runs
whatever code its maker put into it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from trueweight.errors import VerifyError
from trueweight.files import shortened

__all__ = ["CONFIG", "PREPARATION", "WEIGHTS", "Folder", "is_folder", "json_of", "read_folder"]

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"

PREPARATION = "preprocessor_config.json"

_NEEDED = f"{CONFIG}, {WEIGHTS} and the files of its tokenizer (of pictures: {PREPARATION})"

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True, slots=True)
class Folder:
    """A model on disk."""

    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    """float32, by the names that the files give them."""


def is_folder(path: Path) -> bool:
    """Whether a folder is in this layout, whole or not."""
    return path.is_dir() and any((path / name).exists() for name in (CONFIG, WEIGHTS, INDEX, "pytorch_model.bin"))


def read_folder(path: Path) -> Folder:
    """All of it but what makes tokens or pixels, which is ``data.foreign_tokens``'s and ``foreign.prepared``'s.

    Raises:
        VerifyError: A file is missing, broken, or a pickle.
    """
    config = json_of(path / CONFIG)
    tensors: dict[str, Tensor] = {}
    for file in _files(path):
        tensors |= _tensors(file)
    return Folder(path, config, tensors)


def _files(path: Path) -> list[Path]:
    if (path / WEIGHTS).exists():
        return [path / WEIGHTS]
    if (path / INDEX).exists():
        return _shards(path)
    pickles = sorted(file.name for pattern in _PICKLES for file in path.glob(pattern))
    if pickles:
        problem = f"the weights are a pickle ({pickles[0]}), and opening a pickle runs the code of whoever made it"
        hint = "get the model's safetensors files, or have its maker save it with safe_serialization=True"
        raise VerifyError(problem, where=str(path), hint=hint)
    hint = f"the folder needs {_NEEDED}"
    raise VerifyError(f"there is no {WEIGHTS}", where=str(path), hint=hint)


def _shards(path: Path) -> list[Path]:
    places = json_of(path / INDEX).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise VerifyError("weight_map is missing, or names no files", where=str(path / INDEX), hint=_AGAIN)
    names = sorted(set(places.values()))
    if strange := [name for name in names if Path(name).name != name]:  # a file elsewhere is none of the folder's
        problem = f"the index names a file outside the folder: {shortened(strange[0], 80)}"
        raise VerifyError(problem, where=str(path / INDEX), hint=_AGAIN)
    if missing := [name for name in names if not (path / name).exists()]:
        problem = f"{len(missing)} of {len(names)} files of weights are missing: {', '.join(missing)}"
        raise VerifyError(problem, where=str(path), hint=_AGAIN)
    return [path / name for name in names]


_AGAIN = "get the folder again: something was lost on the way"


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        with safe_open(file, framework="pt") as opened:
            found = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError, ValueError) as error:
        problem = f"this is no whole safetensors file: {shortened(str(error), 200)}"
        raise VerifyError(problem, where=str(file), hint=_AGAIN) from None
    return {name: t.to(torch.float32) if t.is_floating_point() else t for name, t in found.items()}


def json_of(path: Path) -> dict[str, Any]:
    """One file of a folder; raises VerifyError where it is missing or broken."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = f"a folder to start from has {_NEEDED}"
        raise VerifyError(f"{path.name} is missing", where=str(path.parent), hint=hint) from None
    except (ValueError, OSError, RecursionError) as error:
        raise VerifyError(f"this is not valid JSON: {error}", where=str(path), hint=_AGAIN) from None
    if not isinstance(found, dict):
        raise VerifyError("this should be a JSON object", where=str(path), hint=_AGAIN)
    return found
