"""How answers are drawn from distributions, and what reading them may need. Imports without torch."""

from dataclasses import dataclass

import numpy as np

__all__ = ["GREEDY", "Context", "Decoding"]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How answers are drawn from distributions. The default takes the most probable."""

    temperature: float = 0.0
    """0 is greedy."""
    max_steps: int = 256
    """For heads that answer step by step."""


GREEDY = Decoding()


@dataclass(frozen=True, slots=True)
class Context:
    """What ``read`` may need beside the outputs: which rows these are."""

    rows_R: np.ndarray
    """Case numbers, (R,) int64."""
