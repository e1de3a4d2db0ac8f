"""What everybody wants first of a bundle: a few numbers of its evidence, its columns in words, a row to try."""

import json
from collections.abc import Iterable
from typing import Any

from trueweight.data.reading import column_part
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.evidence.record import Entry, Evidence
from trueweight.metrics.words import shown
from trueweight.seeds import stream

__all__ = ["by_target", "column_summary", "made_up_row", "results", "value_words", "verdicts"]


def results(evidence: Evidence) -> tuple[str, list[Entry]]:
    """What was measured of the model's quality on all rows of one part of the split.

    Returns:
        The part's name and its entries, in the order measured: "test", or "validation" where the test rows
        were kept sealed, or "" where nothing was measured.
    """
    found = [e for e in evidence.select(axis="quality") if e.slice is None and e.value is not None and e.n]
    for role in ("test", "validation"):
        if entries := [e for e in found if e.data is not None and e.data.role == role]:
            return role, entries
    return "", []


def verdicts(evidence: Evidence) -> list[str]:
    """The comparisons with simple models, in words."""
    told = [*evidence.select(axis="comparison"), *evidence.select(axis="verdict")]
    return [entry.value for entry in told if isinstance(entry.value, str)]


def by_target(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The same entries under their targets."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.target or "", []).append(entry)
    return found


def value_words(entry: Entry) -> tuple[str, str]:
    """An entry's value and interval as people read them: ("0.83", "0.79 … 0.87"); an interval may be empty."""
    if entry.value is None or isinstance(entry.value, int | str):
        return "–" if entry.value is None else str(entry.value), ""
    bounds = (entry.interval.low, entry.interval.high) if entry.interval else (None, None)
    return shown(entry.value, *bounds)


def column_summary(facts: ColumnFacts) -> str:
    """What was learnt of a column, in a few words; nothing where nothing was."""
    part: Any = column_part(facts)
    return str(part.summary(facts.learnt)) if facts.learnt else ""


def made_up_row(signature: Signature) -> dict[str, str]:
    """Cells of one row that nobody has ever seen, by feature."""
    rng, row = stream(0, "show"), {}
    for facts in signature.features():
        part: Any = column_part(facts)
        value = part.synthetic(facts.learnt, rng, 8).drop_null()
        row[facts.name] = "" if len(value) == 0 else _cell(value[0].as_py())
    return row


def _cell(value: object) -> str:
    return json.dumps(value) if isinstance(value, list) else str(value)
