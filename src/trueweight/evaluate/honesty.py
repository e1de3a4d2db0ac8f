"""Facts about the data that decide how far the scores can be trusted: sizes, dirt, twins, leaks, looks."""

from trueweight.data.suspects import find_suspects
from trueweight.evaluate.quality import now
from trueweight.evidence.record import Data, Entry, Method
from trueweight.train.prepare import Prepared

__all__ = ["data_entries", "reading"]


def reading(id: str, metric: str, value: float | int | str, unit: str | None, data: Data | None = None) -> Entry:
    """A count or a reading: no interval, because nothing was sampled."""
    axis = id.split("/", maxsplit=1)[0]
    return Entry(id=id, axis=axis, metric=metric, value=value, unit=unit, data=data, produced_at=now())


def data_entries(ready: Prepared, digest: str) -> list[Entry]:
    """Everything that was counted before training.

    Args:
        ready: The prepared run.
        digest: Of the whole data.
    """
    whole = Data(digest, "all")
    counts = ready.split.counts()
    entries = [reading(f"data/rows/{part}", "rows", count, "rows", whole) for part, count in counts.items()]
    entries.append(reading("data/split/method", "split", ready.split.method, None, whole))
    entries.append(reading("data/repeats", "repeated_rows", ready.repeats, "rows", whole))
    entries.append(reading("data/skipped", "skipped_rows", ready.table.provenance.skipped_rows, "rows", whole))
    notes = [*ready.table.provenance.notes, *ready.cases.notes]
    if ready.spec.evaluate.conformal and any(facts.type == "number" for facts in ready.signature.targets()):
        notes += ready.split.notes  # about calibration, which nothing else uses
    entries += [reading(f"data/note/{place}", "note", note, None, whole) for place, note in enumerate(notes, 1)]
    entries += _dirt(ready, whole)
    twins = len(ready.twins)
    entries.append(reading("honesty/twins", "test_rows_with_a_twin", twins, "rows", whole))
    return entries + _leaks(ready, whole)


def _dirt(ready: Prepared, whole: Data) -> list[Entry]:
    found = []
    for place, facts in enumerate(ready.signature.columns.values()):
        if facts.missing:
            found.append(reading(f"data/missing/{place}", f"missing in {facts.name}", facts.missing, "cells", whole))
        for kind, count in facts.notes.items():
            found.append(reading(f"data/dirt/{place}/{kind}", f"{kind} in {facts.name}", count, "cells", whole))
    return found


def _leaks(ready: Prepared, whole: Data) -> list[Entry]:
    suspects = find_suspects(ready.signature, ready.table, ready.split.train)
    method = Method("single-column predictor", "1")
    if not suspects:
        return [reading("honesty/leak", "suspiciously_perfect_columns", 0, "columns", whole)]
    return [
        Entry(
            id=f"honesty/leak/{place}", axis="honesty", metric=f"{s.column} alone tells {s.target}", target=s.target,
            value=s.strength, n=s.n, status="estimated", reason="one column alone is almost always right: is it known "
            "before the target is?", method=method, data=whole, produced_at=now(),
        )
        for place, s in enumerate(suspects)
    ]  # fmt: skip
