"""How answers are drawn from distributions, and what reading them may need. Imports without torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

import numpy as np

from trueweight.errors import SpecError

__all__ = ["FORCED", "GREEDY", "Context", "Decoding", "decoding"]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How answers are drawn from distributions. The default takes the most probable, as the head's own spec says where
    something is None.

    Raises:
        SpecError: Values that make no sense, all of them at once.
    """

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
    no_repeat: int | None = None
    """No run of so many tokens is written twice; 0: any may be."""
    beams: int | None = None
    """Texts that are followed side by side; 1 for none."""
    length_penalty: float | None = None
    """Of beams: above 0 favours longer texts."""
    stop: tuple[str, ...] = ()
    """Texts end before the first of these that is written."""
    samples: int = 1
    """Candidates of each row: the best texts of the beams, or so many draws, the likeliest first."""
    forced: bool = False
    """Write nothing: say how probable what the target's column holds is."""
    times: bool = False
    """Say where in the sequence that was read each token lies, of heads that align them."""

    def __post_init__(self) -> None:
        wrong = [*self._wrong_values(), *self._wrong_pairs()]
        if wrong:
            hint = "options of writing are explained in docs/text-targets.md"
            raise SpecError("; ".join(wrong), where="decoding", hint=hint)
        for name in ("temperature", "top_p", "repetition_penalty", "length_penalty"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, float(value))  # tensors divide by no whole number of any size

    def _wrong_values(self) -> Iterator[str]:
        whole = {
            "max_tokens": (self.max_steps, 1),
            "top_k": (self.top_k, 0),
            "beams": (self.beams, 1),
            "no_repeat": (self.no_repeat, 0),
        }
        for name, (count, least) in {**whole, "samples": (self.samples, 1)}.items():
            if count is not None and (not _is_whole(count) or count < least):
                yield f"{name} must be a whole number of at least {least}, not {count!r}"
        for name, value in (("temperature", self.temperature), ("length_penalty", self.length_penalty)):
            if value is not None and not (_is_number(value) and value >= 0):
                yield f"{name} must be a number of at least 0, not {value!r}"
        if self.top_p is not None and not (_is_number(self.top_p) and 0 < self.top_p <= 1):
            yield f"top_p must be above 0 and at most 1, not {self.top_p!r}"
        if self.repetition_penalty is not None and not (
            _is_number(self.repetition_penalty) and self.repetition_penalty > 0
        ):
            yield f"repetition_penalty must be above 0, not {self.repetition_penalty!r}"
        if any(not isinstance(word, str) or not word for word in self.stop):
            yield f"stop must be texts of at least one character, not {list(self.stop)!r}"

    def _wrong_pairs(self) -> Iterator[str]:
        beams = self.beams if _is_whole(self.beams) else None
        drawing = _is_number(self.temperature) and self.temperature > 0
        if drawing and (beams or 1) > 1:
            yield f"beams ({beams}) follow the likeliest texts, temperature ({self.temperature}) draws: leave one out"
        if not drawing:
            asked = {"top_k": self.top_k, "top_p": self.top_p}
            yield from (
                f"{name} draws, which needs a temperature above 0" for name, v in asked.items() if v is not None
            )
        if _is_whole(self.samples) and self.samples > 1 and not drawing and (beams or 1) < self.samples:
            yield f"samples ({self.samples}) need a temperature above 0, or at least as many beams"


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float | np.number) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # a whole number that is larger than any float
        return False


def decoding(
    *, beams: int | None = None, length_penalty: float | None = None, temperature: float | None = None,
    top_k: int | None = None, top_p: float | None = None, repetition_penalty: float | None = None,
    stop: str | tuple[str, ...] | list[str] = (), max_tokens: int | None = None, samples: int = 1,
    no_repeat: int | None = None,
) -> Decoding:  # fmt: skip
    """A Decoding from what a user asks for.

    A wish that draws (``top_k``, ``top_p``, or several ``samples`` without beams) draws at temperature 1 unless another
    is given.

    Args:
        beams: Texts that are followed side by side.
        length_penalty: Of beams, at least 0.
        temperature: 0 takes the likeliest token, 1 draws as the model believes.
        top_k: Draw from so many likeliest tokens.
        top_p: Draw from the likeliest tokens that together have this probability, above 0 and at most 1.
        repetition_penalty: Above 1 makes tokens that were written already less likely.
        stop: One text or several before which an answer ends.
        max_tokens: Most tokens of an answer.
        samples: Candidates of each row.
        no_repeat: No run of so many tokens is written twice; 0 lets any be.

    Raises:
        SpecError: All values that make no sense, at once.
    """
    several = _is_whole(samples) and samples > 1 and beams is None
    drawn = top_k is not None or top_p is not None or several
    return Decoding(
        temperature=(1.0 if drawn else 0.0) if temperature is None else temperature, max_steps=max_tokens, top_k=top_k,
        top_p=top_p, repetition_penalty=repetition_penalty, beams=beams, length_penalty=length_penalty,
        stop=tuple(stop) if isinstance(stop, tuple | list) else (stop,), samples=samples, no_repeat=no_repeat,
    )  # fmt: skip


GREEDY = Decoding()

FORCED = Decoding(forced=True)


@dataclass(frozen=True, slots=True)
class Context:
    """What ``read`` may need beside the outputs: which rows these are."""

    rows_R: np.ndarray
    """Case numbers, (R,) int64."""
