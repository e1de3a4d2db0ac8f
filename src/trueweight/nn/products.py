"""Linear layers whose weights do not change any more, for many rows at a time.

With oneDNN weights are laid out once as its kernels read them. What torch calls otherwise (MKL) took twice as long on
an AMD EPYC with AVX-512, whose full width it did not seem to use: with one thread, 64 rows took 80 us against 45 (128
inputs, 512 outputs), 324 against 153 (2,048 outputs), and 8 rows of the latter 62 against 33. Below a million
multiplications a call of oneDNN takes longer than the product (12 us against 2 for a single row of 128 by 128).

Shape suffixes in this file:
    M  rows    I  inputs    O  outputs
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Linear", "can_be_packed"]

_WORTH = 2**20
"""Multiplications from which on oneDNN is asked."""

_FEW = 8
"""Rows below which it is not: they read each weight too seldom for its layout to matter."""

_NEVER = 2**62


def can_be_packed(weight: Tensor) -> bool:
    """Whether this torch multiplies weights like this one by oneDNN, packed. It has had the operators since 2.0, for
    its own compiler."""
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and torch.backends.cpu.get_cpu_capability() == "AVX512" and _OPERATORS is not None


def _operators() -> tuple[Any, Any, Any] | None:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    ops = torch.ops.mkldnn
    try:
        return ops._reorder_linear_weight.default, ops._linear_pointwise.default, ops._linear_pointwise.binary
    except AttributeError:
        return None


_OPERATORS = _operators()


class Linear:
    """``then(x @ weight.T + bias)``: (M, I) -> (M, O), without gradients.

    Args:
        weight: (O, I), as it will stay.
        bias: (O,).
        packs: See :func:`can_be_packed`; it costs as much memory as the weight once more.
        then: What follows.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, *, packs: bool, then: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self._weight, self._bias, self._then = weight.detach(), None if bias is None else bias.detach(), then
        self._turned = self._weight.t()
        self._many = max(_FEW, -(-_WORTH // max(1, weight.numel()))) if packs else _NEVER
        self._name, self._kind, self._rest = _known_to_onednn(then)
        self._packed: Tensor | None = None
        operators: tuple[Any, Any, Any] = _OPERATORS or (_missing, _missing, _missing)
        self._pack, self._run, self._run_added = operators

    def __call__(self, x_MI: Tensor) -> Tensor:
        """Multiply, and do what follows."""
        if len(x_MI) < self._many:
            y_MO = functional.linear(x_MI, self._weight, self._bias)
            return y_MO if self._then is None else self._then(y_MO)
        y_MO = self._run(x_MI, self._laid_out(), self._bias, self._name, [], self._kind)
        return y_MO if self._rest is None else self._rest(y_MO)

    def added(self, x_MI: Tensor, to_MO: Tensor) -> Tensor:
        """What it makes of ``x``, and ``to`` added; nothing follows."""
        if len(x_MI) >= self._many:
            found: Tensor = self._run_added(x_MI, to_MO, self._laid_out(), self._bias, "add")
            return found
        if self._bias is None:
            return torch.addmm(to_MO, x_MI, self._turned)
        return functional.linear(x_MI, self._weight, self._bias).add_(to_MO)

    def _laid_out(self) -> Tensor:
        if self._packed is None:
            self._packed = self._pack(self._weight, None)
        return self._packed


def _missing(*_: object) -> Any:
    raise RuntimeError("this torch has no oneDNN: see can_be_packed")


def _known_to_onednn(then: Callable[[Tensor], Tensor] | None) -> tuple[str, str, Callable[[Tensor], Tensor] | None]:
    """Its name for what follows, the kind of that, and what is left to do."""
    if isinstance(then, nn.GELU):
        return "gelu", then.approximate, None
    if isinstance(then, nn.ReLU):
        return "relu", "", None
    return "none", "", then
