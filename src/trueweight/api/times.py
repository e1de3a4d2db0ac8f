"""Asking for the times of words."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trueweight.errors import SpecError
from trueweight.nn.decoding import Decoding

if TYPE_CHECKING:
    from trueweight.bundle.bundle import Bundle

__all__ = ["drawn_how", "require_times"]


def drawn_how(how: Decoding, *, times: bool) -> Decoding:
    """The same, with times where they are asked for."""
    return replace(how, times=True) if times else how


def require_times(bundle: "Bundle", answers: Mapping[str, np.ndarray], *, asked: bool) -> None:
    """Refuse where times were asked for and no target has any.

    Raises:
        SpecError: Texts are written, not read off, or there is none.
    """
    names = [facts.name for facts in bundle.signature.targets()]
    if asked and not any(f"{name}.times" in answers for name in names):
        problem = f"{bundle.name!r} knows no times: only texts that are read off sounds have them (decoder: ctc)"
        raise SpecError(problem, where="times", hint="leave --times (times=True) out")
