"""The few numbers of a bundle's evidence that everybody wants first."""

from collections.abc import Iterable

from trueweight.evidence.record import Entry, Evidence, Interval

__all__ = ["by_target", "interval_words", "number_words", "results", "verdicts"]


def results(evidence: Evidence, role: str = "test") -> list[Entry]:
    """Quality on all rows of one part of the split, in the order measured."""
    return [e for e in evidence.select(axis="quality") if e.slice is None and (e.data is None or e.data.role == role)]


def verdicts(evidence: Evidence) -> list[str]:
    """The comparisons with simple models, in words."""
    return [str(entry.value) for entry in evidence.select(axis="comparison") if isinstance(entry.value, str)]


def by_target(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The same entries under their targets."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.target or "", []).append(entry)
    return found


def number_words(value: float | int | str | None) -> str:
    """A value as people read it: four significant digits, no exponent where none is needed."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def interval_words(interval: Interval | None) -> str:
    """``0.79 … 0.87``, or nothing."""
    return f"{number_words(interval.low)} … {number_words(interval.high)}" if interval else ""
