"""How answers are drawn from distributions, and what reading them may need. Imports without torch."""

from dataclasses import dataclass

import numpy as np

__all__ = ["FORCED", "GREEDY", "Context", "Decoding"]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How answers are drawn from distributions. The default takes the most probable, as the head's own spec says where
    something is None."""

    temperature: float = 0.0
    """0 is greedy."""
    max_steps: int | None = None
    """Most tokens of heads that answer step by step."""
    top_k: int | None = None
    """Draw from so many likeliest tokens; 0: from all."""
    top_p: float | None = None
    """Draw from the likeliest tokens that together have this probability."""
    repetition_penalty: float | None = None
    """Above 1 makes tokens that were written already less likely."""
    beams: int | None = None
    """Texts that are followed side by side; 1 for none."""
    length_penalty: float | None = None
    """Of beams: above 0 favours longer texts."""
    stop: tuple[str, ...] = ()
    """Texts end where one of these is written."""
    forced: bool = False
    """Write nothing: say how probable what the target's column holds is."""
    times: bool = False
    """Say where in the sequence that was read each token lies, of heads that align them."""


GREEDY = Decoding()

FORCED = Decoding(forced=True)


@dataclass(frozen=True, slots=True)
class Context:
    """What ``read`` may need beside the outputs: which rows these are."""

    rows_R: np.ndarray
    """Case numbers, (R,) int64."""
