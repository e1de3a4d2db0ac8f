"""Tensors to a safetensors file and back, one after another: a copy of all of them is never in memory.

``safetensors.torch.save_file`` first makes bytes of every tensor. The format is plain: eight bytes with the length of a
JSON header, the header, the tensors' bytes (https://github.com/huggingface/safetensors#format); its own reader reads
what is written here.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from trueweight.files import write_pieces

__all__ = ["digest_with", "write_tensors"]

_NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip

_PIECE = 1 << 24


def write_tensors(path: Path, tensors: Mapping[str, Tensor], digest: "hashlib._Hash") -> None:
    """Write a file atomically, and add its length and content to a digest, as ``files.digest_bytes`` would.

    Raises:
        TrainError: The disk is full, or the folder may not be written to.
        KeyError: A tensor of a type that such files have no name for.
    """
    # The largest numbers first, so that each begins at a multiple of its size; ties by name, so that files are equal.
    ordered = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    places, end = dict[str, object](), 0
    for name in ordered:
        tensor, start = tensors[name], end
        end += tensor.nbytes
        places[name] = {
            "dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end],
        }  # fmt: skip
    header = json.dumps(places, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    digest.update((8 + len(header) + end).to_bytes(8, "big"))

    def pieces() -> Iterator[bytes | memoryview]:
        yield len(header).to_bytes(8, "little")
        yield header
        for name in ordered:
            yield _bytes(tensors[name])

    def noted() -> Iterator[bytes | memoryview]:
        for piece in pieces():
            digest.update(piece)
            yield piece

    write_pieces(path, noted())


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a tensor, on the CPU and in order."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def digest_with(path: Path, digest: "hashlib._Hash") -> None:
    """Add a file's length and content to a digest."""
    digest.update(path.stat().st_size.to_bytes(8, "big"))
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
