"""How far each axis was looked at: measured, failed, not run, or not applicable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trueweight.evidence.record import Entry
from trueweight.report.subject import AXES, Subject

__all__ = ["AxisStatus", "Word", "axis_statuses", "counts"]

Word = Literal["measured", "failed", "not_run", "not_applicable"]


@dataclass(frozen=True, slots=True)
class AxisStatus:
    """One axis in a word."""

    axis: str
    word: Word
    reasons: tuple[str, ...]
    """Why, where it is not measured; the first of the entries'."""


def axis_statuses(subject: Subject) -> list[AxisStatus]:
    """All expected axes, and others that have facts of checks."""
    return [_status(axis, subject.of_axis(axis)) for axis in AXES]


def _status(axis: str, entries: Sequence[Entry]) -> AxisStatus:
    found = {e.status for e in entries}
    if "failed" in found:
        word: Word = "failed"
    elif found & {"measured", "estimated", "bounded"}:
        word = "measured"
    elif "not_applicable" in found and "not_run" not in found:
        word = "not_applicable"
    else:
        word = "not_run"
    wanted = {"measured": (), "failed": ("failed",)}.get(word, ("not_run", "not_applicable"))
    reasons = dict.fromkeys(e.reason for e in entries if e.status in wanted and e.reason)
    return AxisStatus(axis, word, tuple(reasons))


def counts(subject: Subject) -> dict[str, int]:
    """Facts by status; all that were computed count as measured."""
    found = dict.fromkeys(("measured", "failed", "not_run", "not_applicable", "claimed"), 0)
    for entry in subject.evidence:
        word = "measured" if entry.status in ("estimated", "bounded") else entry.status
        found[word] += 1
    return found
