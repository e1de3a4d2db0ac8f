"""What one server takes on: sizes, rows, waiting and time."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from trueweight.errors import SpecError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that are checked before anything is parsed, decoded or queued."""

    body: int = 32 * 2**20
    """Bytes of one request's body, unpacked."""
    stream: int = 2**34
    """Bytes of one bulk request, which is read and answered some rows at a time."""
    rows: int = 10_000
    """Rows of one request."""
    pixels: int = 50_000_000
    """Of one picture, as its head says."""
    seconds_of_sound: float = 600.0
    """Of one sound, as its head says."""
    queued: int = 4096
    """Rows that wait for one model; more are told to come again."""
    batch: int = 512
    """Rows that are answered at once."""
    seconds: float = 30.0
    """That a request may take, its waiting included."""
    explained: int = 5
    """Rows of one request for explanations."""
    slots: int = 32
    """Texts of one model that are written side by side."""
    written: int = 64
    """Requests for texts that are searched by beams, one after the other."""
    slow: int = 4
    """Requests for explanations and reports that may wait."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Limits":
        """The usual ones but for those told.

        Raises:
            SpecError: An unknown name, or a value that is no number above 0; all of them at once.
        """
        names = [one.name for one in fields(cls)]
        wrong = [_unknown(name, names) for name in told if name not in names]
        wrong += [
            f"{name} must be a number above 0, not {v!r}" for name, v in told.items() if name in names and not _fits(v)
        ]
        if wrong:
            raise SpecError("; ".join(wrong), where="limits", hint=f"there are {', '.join(names)}")
        return cls(**told)


def _unknown(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"no limit {name!r}" + (f", did you mean {near[0]!r}?" if near else "")


def _fits(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
