"""A predictor's state as files, and back: ``predictor.json``, and ``members/0/…`` for nodes that hold something."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trueweight.bundle.format import PREDICTOR
from trueweight.errors import VerifyError
from trueweight.files import canonical_json
from trueweight.model.protocols import State

__all__ = ["dtype_of", "read_tree", "states_in", "tree_files"]

_FILES = {"codecs": "codecs.json", "facts": "facts.json", "weights": "state.safetensors"}
_PATH = re.compile(r"members/\d+/(codecs\.json|facts\.json|state\.safetensors)")


def tree_files(state: State) -> dict[str, bytes]:
    """Every file that a predictor's state becomes, by path below the bundle."""
    writer = _Writer()
    tree = writer.node(state)
    return {PREDICTOR: canonical_json(tree).encode(), **writer.files}


@dataclass(slots=True)
class _Writer:
    """Numbers the nodes that hold something, parents before members."""

    files: dict[str, bytes] = field(default_factory=dict)
    folders: int = 0

    def node(self, state: State) -> dict[str, Any]:
        held: dict[str, bytes] = {}
        if state.codecs is not None:
            held["codecs"] = canonical_json(state.codecs).encode()
        if state.facts:
            held["facts"] = canonical_json(state.facts).encode()
        if state.tensors:
            held["weights"] = _tensor_bytes(state.tensors)
        written: dict[str, Any] = {"kind": state.kind}
        for key, content in held.items():
            written[key] = f"members/{self.folders}/{_FILES[key]}"
            self.files[written[key]] = content
        self.folders += bool(held)
        return written | {"members": [self.node(member) for member in state.members]}


def _tensor_bytes(tensors: Mapping[str, Any]) -> bytes:
    from safetensors.torch import save

    # Tied or sliced tensors share memory, which the format refuses: each is written on its own.
    return bytes(save({name: t.detach().to("cpu").contiguous().clone() for name, t in tensors.items()}))


def read_tree(tree: Any, document: Callable[[str], Any], content: Mapping[str, bytes]) -> State:
    """The inverse of :func:`tree_files`.

    Args:
        tree: The parsed ``predictor.json``.
        document: Parsed JSON by path.
        content: Bytes by path.

    Raises:
        VerifyError: Not such a tree, or a node points to something that is not in the bundle.
    """
    if not isinstance(tree, dict) or not isinstance(tree.get("kind"), str) or not isinstance(tree.get("members"), list):
        raise VerifyError(f"{PREDICTOR} does not hold a tree of predictors", where=PREDICTOR)
    paths = {key: _inside(tree[key], content) for key in _FILES if key in tree}
    return State(
        tree["kind"],
        document(paths["facts"]) if "facts" in paths else {},
        _tensors(content[paths["weights"]]) if "weights" in paths else {},
        document(paths["codecs"]) if "codecs" in paths else None,
        tuple(read_tree(member, document, content) for member in tree["members"]),
    )


def _inside(path: Any, content: Mapping[str, bytes]) -> str:
    if not isinstance(path, str) or not _PATH.fullmatch(path) or path not in content:
        raise VerifyError(f"{PREDICTOR} points to {path!r}, which is no file of this bundle", where=PREDICTOR)
    return path


def _tensors(content: bytes) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        # From the very bytes whose digest was checked: a mapped file could change under us.
        tensors: Mapping[str, Any] = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise VerifyError(f"weights are not in safetensors format: {error}", where=PREDICTOR) from None
    return tensors


def states_in(state: State) -> Iterator[State]:
    """The state and everything below it, parents first."""
    yield state
    for member in state.members:
        yield from states_in(member)


def dtype_of(state: State) -> str:
    """The least exact type of weights in the tree: "int8" or "float32"; keys of the tolerance table."""
    types = {str(tensor.dtype) for node in states_in(state) for tensor in node.tensors.values()}
    return "int8" if types & {"torch.int8", "torch.uint8"} else "float32"
