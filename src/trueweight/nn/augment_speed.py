"""Sounds played faster or slower, for training alone. It draws from torch's default generator.

Shape suffixes in this file:
    B  rows    T  steps    S  steps of the result    C  bands    F  speeds
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Tensors, lengths_of

__all__ = ["Speed"]


class Speed(nn.Module):
    """Each row as if its sound were played at one of some speeds: shorter and higher, or longer and lower.

        new(t, f) = old(t * speed, f / speed)

    read between neighbouring steps and bands along straight lines. Source: Ko et al. 2015, "Audio augmentation for
    speech recognition", section 2, who resample the samples; a batch of spectra is resampled here, so that nothing is
    decoded or kept thrice. Bands above all that the sound has, where it is slower, repeat its highest one.

    Args:
        hertz: The middle of each band, C of them, ascending.
        factors: Speeds, F of them, each as likely.

    Shape:
        ``frame`` (B, T, C) -> (B, S, C), and ``frame.length``.
    """

    band_FCC: Tensor
    factor_F: Tensor

    def __init__(self, hertz: Sequence[float], factors: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("factor_F", torch.tensor(factors), persistent=False)
        weights = np.stack([_between(np.asarray(hertz), np.asarray(hertz) / factor) for factor in factors])
        self.register_buffer("band_FCC", torch.from_numpy(weights.astype(np.float32)), persistent=False)

    def forward(self, x: Tensors) -> Tensors:
        """Draw a speed for each row and play."""
        frame_BTC, length_B = x["frame"], lengths_of(x, "frame")
        if not frame_BTC.numel():
            return x
        drawn_B = torch.randint(len(self.factor_F), (len(frame_BTC),), device=frame_BTC.device)
        speed_B = self.factor_F[drawn_B]
        new_B = torch.ceil(length_B / speed_B).long()
        place_BS = torch.arange(int(new_B.max()), device=frame_BTC.device) * speed_B.unsqueeze(1)
        last_B1 = (length_B - 1).clamp_min(0).unsqueeze(1)
        low_BS = torch.minimum(place_BS.floor().long(), last_B1)
        high_BS = torch.minimum(low_BS + 1, last_B1)
        share_BS1 = (place_BS - low_BS).clamp(0, 1).unsqueeze(2)
        mixed_BSC = torch.lerp(_taken(frame_BTC, low_BS).float(), _taken(frame_BTC, high_BS).float(), share_BS1)
        real_BS1 = (torch.arange(place_BS.shape[1], device=new_B.device) < new_B.unsqueeze(1)).unsqueeze(2)
        moved_BSC = (mixed_BSC @ self.band_FCC[drawn_B]) * real_BS1
        return {**x, "frame": moved_BSC.to(frame_BTC.dtype), "frame.length": new_B}


def _taken(frame_BTC: Tensor, place_BS: Tensor) -> Tensor:
    return frame_BTC.gather(1, place_BS.unsqueeze(2).expand(-1, -1, frame_BTC.shape[2]))


def _between(known_C: np.ndarray, asked_C: np.ndarray) -> np.ndarray:
    """(C, C): column c reads the bands on a straight line at ``asked_C[c]``."""
    weights = np.stack([np.interp(asked_C, known_C, row) for row in np.eye(len(known_C))])
    return np.asarray(weights)
