"""What one server takes on: sizes, rows, waiting and time."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from trueweight.errors import SpecError

if TYPE_CHECKING:
    from trueweight.nn.decoding import Decoding

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
    columns: int = 10_000
    """Columns of one request, beside as many as the model has."""
    cells: int = 10_000_000
    """Rows of one request times its columns: where rows name different ones, each has room for all."""
    pixels: int = 50_000_000
    """Of one picture, as its head says; ten times as many of all pictures of one request."""
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
    tokens: int = 4_096
    """Of one text that is written."""
    stops: int = 16
    """Texts at which one request may have its text end."""
    choices: int = 16
    """Candidates of one text."""
    slots: int = 64
    """Texts of one model that are written side by side; of one whose texts take much memory, 32."""
    written: int = 64
    """Requests for texts that are searched by beams, one after the other."""
    slow: int = 4
    """Requests for explanations and reports that may wait."""

    def require(self, how: "Decoding") -> "Decoding":
        """What is asked of a text that is to be written, if one request may ask so much: its tokens take room in
        everybody's batch.

        Raises:
            SpecError: It is more; all of it at once.
        """
        asked = {"max_tokens": (how.max_steps or 1, self.tokens), "stop": (len(how.stop), self.stops)}
        asked |= {"samples": (how.samples, self.choices), "beams": (how.beams or 1, self.choices)}
        wrong = [f"{name} ({count:,}) is more than {most:,}" for name, (count, most) in asked.items() if count > most]
        if wrong:
            raise SpecError("; ".join(wrong), where="decoding", hint="ask for less, or raise the server's limits")
        return how

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Limits":
        """The usual ones but for those told.

        Raises:
            SpecError: An unknown name, or a value that is no number above 0; all of them at once.
        """
        names, whole = [one.name for one in fields(cls)], [one.name for one in fields(cls) if one.type is int]
        wrong = [_unknown(name, names) for name in told if name not in names]
        wrong += [
            f"{name} must be a {'whole ' if name in whole else ''}number above 0, not {value!r}"
            for name, value in told.items()
            if name in names and not _fits(value, whole=name in whole)
        ]
        if wrong:
            raise SpecError("; ".join(wrong), where="limits", hint=f"there are {', '.join(names)}")
        return cls(**told)


def _unknown(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"no limit {name!r}" + (f", did you mean {near[0]!r}?" if near else "")


def _fits(value: Any, *, whole: bool) -> bool:
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool) and value > 0
