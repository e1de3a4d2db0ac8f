"""A device that is not there: its tensors live on the CPU and will not meet others, as those of an accelerator.

Inside :class:`Elsewhere`, ``torch.device("meta")`` stands for the accelerator, because nothing has to be started for
it. Everything is computed, so that code whose way depends on values can be followed to its end. Unlike accelerators it
takes generators of the CPU.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")

_MOVE = ("_to_copy", "copy_")
"""Operations from one device to the other."""
_INDEX = ("index", "index_put", "index_put_", "_index_put_impl_")
"""Those whose indices may be of the CPU."""
_LISTS = ("cat", "stack")
"""Those that take not even single numbers of another device."""


class Far(Tensor):
    """A tensor of the other device."""

    near: Tensor

    @staticmethod
    def __new__(cls, near: Tensor) -> Self:
        """Around a tensor of the CPU."""
        return Tensor._make_wrapper_subclass(  # type: ignore[attr-defined, no-any-return]
            cls, near.shape, strides=near.stride(), storage_offset=near.storage_offset(), dtype=near.dtype,
            device=DEVICE, requires_grad=near.requires_grad,
        )  # fmt: skip

    def __init__(self, near: Tensor) -> None:
        self.near = near

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Far({self.near!r})"

    def tolist(self) -> Any:
        """Its values: PyTorch asks no dispatcher for them."""
        return self.near.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """As the mode has it."""
        return _done(func, args, kwargs or {})


class Elsewhere(TorchDispatchMode):
    """While it is on, operations on tensors of two devices fail, but for single numbers and indices of the CPU."""

    def __enter__(self) -> Self:
        self._real = torch.autocast, torch.is_autocast_enabled
        torch.autocast, torch.is_autocast_enabled = _autocast, _halved  # type: ignore[assignment, misc]
        self._made = _Made()
        self._made.__enter__()
        return super().__enter__()  # type: ignore[no-any-return]

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._made.__exit__(*error)
        torch.autocast, torch.is_autocast_enabled = self._real  # type: ignore[misc]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operation."""
        return _done(func, args, kwargs or {})


class _Made(TorchFunctionMode):
    """Tensors of Python's numbers, which PyTorch makes without asking its dispatcher."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One call."""
        asked = dict(kwargs or {})
        if func is Tensor.new_tensor and isinstance(args[0], Far):
            return args[0].near.new_tensor(*args[1:], **asked).to(DEVICE)
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], Far):
            return func(args[0], _indexed(args[1]), *args[2:])
        if func is not torch.tensor or asked.get("device") is None:
            return func(*args, **asked)
        return func(*args, **{**asked, "device": "cpu"}).to(asked["device"])


def _indexed(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(map(_indexed, index))
    return torch.tensor(index) if isinstance(index, list) else index


_AUTOCAST, _HALVED = torch.autocast, torch.is_autocast_enabled


def _autocast(kind: str, **options: Any) -> Any:
    """Half precision is not known there, and so is off."""
    return nullcontext() if kind == DEVICE.type else _AUTOCAST(kind, **options)


def _halved(kind: str) -> bool:
    return kind != DEVICE.type and _HALVED(kind)


def _done(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    name = func.overloadpacket.__name__
    bound = (args[:1], args[2:]) if name in _INDEX and isinstance(args[0], Far) else (args, kwargs)
    strangers = [
        t for t in tree_leaves(bound)
        if isinstance(t, Tensor) and not isinstance(t, Far) and (t.dim() or name in _LISTS)
    ]  # fmt: skip
    assert not any(t.device == DEVICE for t in strangers), f"{func} of a tensor that was made behind our back"
    far = any(isinstance(t, Far) for t in tensors)
    if far and strangers and name not in _MOVE:
        raise RuntimeError(f"{func} of tensors on two devices: one of the CPU has the shape {[*strangers[0].shape]}")
    device = kwargs.get("device")
    goes = far if device is None else torch.device(device).type == DEVICE.type
    if name == "copy_":
        goes = isinstance(args[0], Far)
    known = {id(t.near): t for t in tensors if isinstance(t, Far)}
    near_kwargs = {k: torch.device("cpu") if k == "device" and v is not None else v for k, v in kwargs.items()}
    near_args, near_kwargs = tree_map(lambda t: t.near if isinstance(t, Far) else t, (args, near_kwargs))
    found = func(*near_args, **near_kwargs)
    if torch.Tag.inplace_view in func.tags:  # the shape that is seen from outside changes too
        with no_dispatch():
            func(*args, **kwargs)
    if not goes:
        return found
    return tree_map(lambda t: known[id(t)] if id(t) in known else Far(t) if isinstance(t, Tensor) else t, found)
