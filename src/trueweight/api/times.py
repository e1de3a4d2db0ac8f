"""Asking for the times of words."""

from dataclasses import replace

from trueweight.data.signature import Signature
from trueweight.errors import SpecError
from trueweight.nn.decoding import Decoding

__all__ = ["drawn_how", "require_times"]


def drawn_how(how: Decoding, *, times: bool) -> Decoding:
    """The same, with times where they are asked for."""
    return replace(how, times=True) if times else how


def require_times(name: str, signature: Signature) -> None:
    """Refuse where no target has times.

    Args:
        name: Of the model.
        signature: Of the model.

    Raises:
        SpecError: Texts are written, not read off, or there is none.
    """
    if not any(f.type == "text" and f.spec["decoder"]["type"] == "ctc" for f in signature.targets()):
        problem = f"{name!r} knows no times: only texts that are read off sounds have them (decoder: ctc)"
        raise SpecError(problem, where="times", hint="leave --times (times=True) out")
