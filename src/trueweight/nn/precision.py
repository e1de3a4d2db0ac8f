"""What stays in single precision while a plan lets a network compute in half: under ``torch.autocast``."""

import torch
from torch import Tensor, nn

__all__ = ["in_float32", "normed"]


def in_float32(x: Tensor) -> Tensor:
    """The tensor in single precision under autocast; as it is elsewhere, in double as well."""
    return x.float() if torch.is_autocast_enabled(x.device.type) else x


def normed(norm: nn.Module, x: Tensor) -> Tensor:
    """Normalised in single precision: the norm's weights are, and no kernel takes both."""
    return x if isinstance(norm, nn.Identity) else norm(in_float32(x))
