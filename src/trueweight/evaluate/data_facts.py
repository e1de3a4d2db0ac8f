"""Facts about the data that decide how far the scores can be trusted: sizes, dirt, twins, leaks, looks."""

import numpy as np

from trueweight.data.kinship import count_groups, in_order_of_time
from trueweight.data.suspects import find_suspects
from trueweight.evaluate.judging import judged_cases
from trueweight.evaluate.quality import now
from trueweight.evidence.record import Data, Entry, Method
from trueweight.train.prepare import Prepared, group_codes

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
    entries += _torn(ready, whole)
    entries.append(reading("data/split/method", "split", ready.split.method, None, whole))
    entries.append(reading("data/repeats", "repeated_rows", ready.repeats, "rows", whole))
    entries.append(reading("data/skipped", "skipped_rows", ready.table.provenance.skipped_rows, "rows", whole))
    notes = [*ready.table.provenance.notes, *ready.cases.notes, *ready.split.notes]
    notes += [*_kin(ready), *ready.left_out]
    entries += [reading(f"data/note/{place}", "note", note, None, whole) for place, note in enumerate(notes, 1)]
    entries += _dirt(ready, whole)
    twins = int(np.isin(ready.twins, judged_cases(ready, "test")).sum())
    entries.append(reading("honesty/twins", "test_rows_with_a_twin", twins, "rows", whole))
    return entries + _leaks(ready, whole)


def _torn(ready: Prepared, whole: Data) -> list[Entry]:
    """Rows that no part has, and groups that a split by something else has torn apart."""
    split, found = ready.split, []
    if dropped := len(split.dropped):
        why = "gap" if split.method == "time" else "unassigned"
        found.append(reading(f"data/rows/{why}", "rows", dropped, "rows", whole))
    if split.method in ("time", "column", "files"):
        group = group_codes(ready.table, ready.spec.split.group, ready.signature.options)
        if group is not None:
            seen = np.concatenate([group[split.train], group[split.validation], group[split.calibration]])
            both = len(np.intersect1d(group[split.test], seen))
            found.append(reading("honesty/groups", "groups_on_both_sides", both, "groups", whole))
    return found


def _kin(ready: Prepared) -> list[str]:
    """Where a split by chance parts rows that seem to belong together, or mixes past and future."""
    if ready.split.method not in ("random", "stratified"):
        return []
    options, columns, rows = ready.signature.options, ready.signature.columns, len(ready.table)
    asked = (ready.spec.split.group, ready.spec.evaluate.interval.cluster)
    kin = {n: count_groups(ready.table, n, options) for n, f in columns.items() if f.role in ("feature", "ignored")}
    notes = [
        f"column {name!r} repeats ({groups:,} values in {rows:,} rows): split.group would keep its rows together"
        for name, groups in kin.items()
        if groups and name not in asked
    ]
    dates = (f.name for f in ready.signature.features() if f.type == "date")
    if day := next((name for name in dates if in_order_of_time(ready.table, name, options)), None):
        notes.append(f"rows are in the order of {day!r}: split.time_column would judge by the latest of them")
    return notes


def _dirt(ready: Prepared, whole: Data) -> list[Entry]:
    found = []
    for place, facts in enumerate(ready.signature.columns.values()):
        if facts.missing:
            found.append(reading(f"data/missing/{place}", f"missing in {facts.name}", facts.missing, "cells", whole))
        for kind, count in facts.notes.items():
            found.append(reading(f"data/dirt/{place}/{kind}", f"{kind} in {facts.name}", count, "cells", whole))
        for kind, words in _ODD.items():
            odd = facts.learnt.get(kind)
            if kind == "cut" and facts.type == "text":  # a share of those that were looked at
                odd = round(odd * facts.learnt["count"]) if odd else 0
            if kind == "cut" and facts.learnt.get("tokens_cut"):
                odd = round(facts.learnt["tokens_cut"] * facts.learnt["count"])
            if odd:
                seen = facts.learnt.get("looked_at", 0) if kind != "cut" else 0
                what = f"{words} in {facts.name}" + (f", of {seen:,} looked at" if seen else "")
                found.append(reading(f"data/dirt/{place}/{kind}", what, odd, "cells", whole))
    return found


_ODD = {
    "broken": "cannot be decoded", "silent": "silent", "clipped": "clipped", "not_finite": "impossible samples",
    "cut": "longer than what is kept and cut",
}  # fmt: skip
"""What columns of the senses learn of their training rows by decoding some, and call so among their facts."""


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
