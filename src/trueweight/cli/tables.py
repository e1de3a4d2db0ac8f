"""Evidence as a table on a terminal: scores with intervals, the simple models beside them, a verdict in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.cells import cell_len

from trueweight.evidence.record import Entry, Evidence
from trueweight.files import shortened
from trueweight.metrics.words import counted, digits_for, plain, shown
from trueweight.spec.units import describe_seconds

__all__ = [
    "aligned", "check_remarks", "confusion_tables", "cost_line", "data_remarks", "evidence_table", "members_table",
    "remarks",
]  # fmt: skip

_ROWS = (("row", "is"), ("rows", "are"))

MOST_SIGNS = 160
"""Of a cell or a remark on a terminal."""

_ROLES = {"test": "Test", "validation": "Validation", "calibration": "Calibration", "train": "Training"}


def evidence_table(evidence: Evidence, *, kept: Mapping[str, Path] | None = None) -> str:
    """The end of ``train``, and what ``evaluate`` and ``show`` print.

    Args:
        evidence: With entries of the axes quality, baseline and verdict, as far as there are any.
        kept: Bundles of simple models, by name, worth mentioning.
    """
    scores = [e for e in evidence if e.axis == "quality" and e.slice is None and "[" not in e.metric and e.target]
    if not scores:
        return "\n".join(_not_run(evidence)) or "no scores"
    baselines = list(dict.fromkeys(_baseline(e) for e in evidence.select(axis="baseline")))
    scores += evidence.select(axis="calibration", metric="cost")  # where the spec says what mistakes cost
    targets = list(dict.fromkeys(e.target for e in scores if e.target))
    rows: list[Sequence[str]] = [("", "", _level(scores), *baselines)]
    breaks: dict[int, str] = {}
    for target in targets:
        if len(targets) > 1:
            breaks[len(rows)] = f"  {target}"
        rows += [_score(entry, baselines, evidence) for entry in scores if entry.target == target]
    head = _heading(evidence, scores)
    values = max(len(row[1]) for row in rows)
    rows[0] = (" " * (len(head) - values - 5), *rows[0][1:])  # the heading spans the names and the values
    lines = aligned(rows, first="  ")
    lines[0] = head + lines[0][len(head) :]
    for place, line in sorted(breaks.items(), reverse=True):
        lines.insert(place, line)
    verdicts = [e for e in evidence.select(axis="verdict") if isinstance(e.value, str)]
    lines += [f"  {e.target}: {e.value}" if len(targets) > 1 else f"  {e.value}" for e in verdicts]
    lines += [f"  The {name} model is kept too: {path}" for name, path in (kept or {}).items()]
    return "\n".join(line.rstrip() for line in [*lines, *_not_run(evidence)])


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1, first: str = "", between: str = "   ") -> list[str]:
    """Rows of cells as lines: the first ``left`` columns flush left, the others flush right.

    Cells stand on one line each and are cut where nobody would read on: a label may be a megabyte.
    """
    rows = [[shortened(" ".join(cell.splitlines()), MOST_SIGNS) for cell in row] for row in rows]
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        # Signs of Chinese, Japanese and Korean take two places each, so that a count of signs would not do.
        gaps = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        cells = [c + gap if n < left else gap + c for n, (c, gap) in enumerate(zip(row, gaps, strict=True))]
        lines.append(first + between.join(cells))
    return lines


def _heading(evidence: Evidence, scores: Sequence[Entry]) -> str:
    role = scores[0].data.role if scores[0].data else "other"
    rows = max((entry.n or 0 for entry in scores), default=0)
    looks = [e.value for e in evidence if e.metric == "look" and e.value is not None]
    return f"{_ROLES.get(role, 'Data')}: {counted(rows, 'row')}" + (f", look {looks[0]}" if looks else "")


def _level(scores: Sequence[Entry]) -> str:
    levels = [entry.interval.level for entry in scores if entry.interval]
    return f"{100 * levels[0]:g} % interval" if levels else ""


def _score(entry: Entry, baselines: Sequence[str], evidence: Evidence) -> Sequence[str]:
    if isinstance(entry.value, str | None):
        return (entry.metric, entry.status.replace("_", " "), entry.reason or "", *[""] * len(baselines))
    low, high = (entry.interval.low, entry.interval.high) if entry.interval else (None, None)
    value, interval = shown(float(entry.value), low, high)
    half = None if low is None or high is None else (high - low) / 2
    decimals = digits_for(half, float(entry.value))
    others = [_rival(evidence, name, entry, decimals) for name in baselines]
    return (entry.metric, value, interval, *others)


def _baseline(entry: Entry) -> str:
    return entry.id.partition("/")[2].partition("/")[0]


def _rival(evidence: Evidence, name: str, entry: Entry, decimals: int) -> str:
    for other in evidence.select(axis="baseline", target=entry.target, metric=entry.metric):
        if _baseline(other) == name and isinstance(other.value, float | int):
            return plain(float(other.value), decimals)
    return ""


def _not_run(evidence: Evidence) -> list[str]:
    """What was asked for and not done: visible, never silent. What nobody asked for stands in the report alone."""
    missing = [e for e in evidence if e.target is None and e.status == "failed"]
    missing += [e for e in evidence.select(axis="quality") if e.target is None and e.status == "not_run"]
    return [f"  {e.id}: {e.status.replace('_', ' ')}: {e.reason}" for e in missing]


def confusion_tables(evidence: Evidence) -> list[str]:
    """For each target with classes: true classes down, answers across."""
    lines: list[str] = []
    cells = evidence.select(axis="confusion")
    for target in dict.fromkeys(e.target for e in cells):
        mine = [e for e in cells if e.target == target and isinstance(e.value, int | float)]
        counts = {e.metric.partition(" answered as ")[::2]: f"{e.value:,.0f}" for e in mine}
        answered = list(dict.fromkeys(answer for _, answer in counts))
        rows: list[Sequence[str]] = [(f"{target}: true, answered as", *answered)]
        actual = list(dict.fromkeys(true for true, _ in counts))
        rows += [(f"  {true}", *(counts.get((true, answer), "") for answer in answered)) for true in actual]
        lines += aligned(rows, first="  ")
    return lines


def members_table(evidence: Evidence) -> str:
    """The models that were blended: seconds, weights, and what became of those that climb; nothing where there was one
    alone."""
    facts = {e.id: e for e in evidence.select(axis="fit")}
    climbs = {e.metric.removeprefix(_CLIMB): e for e in facts.values() if e.metric.startswith(_CLIMB)}
    places = [place for place in range(len(facts)) if f"fit/{place}/seconds" in facts]
    targets = list(dict.fromkeys(key.split("/", 3)[3] for key in facts if key.split("/")[2:3] == ["weight"]))
    weights = [f"weight, {target}" for target in targets] if len(targets) > 1 else ["weight"]
    rows: list[Sequence[str]] = [("Members", "time", *weights)]
    told = [""]
    for place in places:
        spent = facts[f"fit/{place}/seconds"]
        name = spent.metric.removeprefix("seconds of ")
        shares = [facts[f"fit/{place}/weight/{target}"].value for target in targets]
        rows.append((name, describe_seconds(float(spent.value or 0)), *(plain(float(s or 0), 2) for s in shares)))
        told.append(str(climbs.pop(name).value) if name in climbs else "")
    absent = [(name, f"not begun: {entry.reason}") for name, entry in climbs.items()]
    for key, entry in facts.items():
        if key.startswith("fit/left_out/"):
            name, _, why = str(entry.value).partition(": ")
            absent.append((name, f"left out: {why}"))
    for name, why in absent:
        rows.append((name, *[""] * (1 + len(targets))))
        told.append(why)
    if len(rows) <= 2:
        return ""
    lines = zip(aligned(rows), told, strict=True)
    return "\n".join(f"{line}   {shortened(note, MOST_SIGNS)}".rstrip() for line, note in lines)


_CLIMB = "climb to "


def cost_line(evidence: Evidence) -> str:
    """What training took, and what 1,000 answers take; nothing where nobody looked."""
    facts = {e.id: e for e in evidence.select(axis="cost")}
    spent, wall, answers = (facts.get(f"cost/{name}") for name in ("train/joules", "train/wall_seconds", _PER_1000))
    if spent is None or wall is None or not isinstance(spent.value, float):
        return ""
    told = f"Cost: {describe_seconds(float(wall.value or 0))}, training {_energy(spent)}, {spent.status}"
    per_1000 = facts.get("cost/predict/joules_per_1000")
    if answers is not None and per_1000 is not None:
        told += f"; 1,000 answers {plain(1000 * float(answers.value or 0), 0)} ms, {_energy(per_1000)}"
    return told


_PER_1000 = "predict/seconds_per_1000"


def _energy(entry: Entry) -> str:
    """Energy in a unit that suits it, with the ends between which it lies."""
    value = float(entry.value or 0)
    size, unit = next((s, u) for s, u in ((3.6e6, "kWh"), (3600.0, "Wh"), (1.0, "J")) if value >= s or u == "J")
    low, high = (
        (_two_digits(end / size) for end in (entry.interval.low, entry.interval.high)) if entry.interval else ("", "")
    )
    return f"{_two_digits(value / size)} {unit}" + (f" ({low} … {high})" if low else "")


def _two_digits(value: float) -> str:
    return plain(value, digits_for(None, value) - 1)


ALL = "trueweight show BUNDLE --json"
"""Where all remarks of a bundle are."""


def check_remarks(evidence: Evidence, *, most: int = 8, rest: str = ALL) -> list[str]:
    """What checks have found, in plain sentences, each thing once."""
    raised = [e for e in evidence if e.metric.endswith("flag") and e.value == 1]
    lines = [str(e.reason) for e in raised]
    lines += [f"{key}: {e.reason}" for e in evidence for at, key in _ASKED.items() if _came_to_nothing(e, at)]
    told = {e.target for e in raised if e.metric == "leak_flag"}
    leaks = [e for e in evidence.select(axis="honesty") if e.id.startswith("honesty/leak/")]
    lines += [f"{e.metric}: {e.reason}" for e in leaks if e.target not in told]
    lines += [f"the model is partial: training was {e.value}" for e in evidence.select(axis="fit", metric="partial")]
    return _cut(lines, most, rest)


def _cut(lines: list[str], most: int, rest: str) -> list[str]:
    if len(lines) > most:
        lines = [*lines[: most - 1], f"and {len(lines) - most + 1} more: {rest}"]
    return [f"  {shortened(' '.join(line.splitlines()), 2 * MOST_SIGNS)}" for line in lines]


def remarks(evidence: Evidence, *, rest: str = ALL) -> list[str]:
    """Both kinds of remarks, each below its heading; nothing where there are none.

    Args:
        evidence: Of training, or of later rows.
        rest: Where to look for what is left out.
    """
    found, data = check_remarks(evidence, rest=rest), data_remarks(evidence, rest=rest)
    parts = {"What the checks found:": found, "About the data:": data}
    return [line for title, lines in parts.items() if lines for line in (title, *lines)]


def data_remarks(evidence: Evidence, *, most: int = 8, rest: str = ALL) -> list[str]:
    """What was dropped, filled or suspected in the data, the gravest first."""
    lines: list[str] = []
    copies = any(e.metric == "near_duplicates_flag" and e.value == 1 for e in evidence)  # says it already
    counts = {e.id: e.value for e in evidence if isinstance(e.value, int) and e.unit in ("rows", "cells", "groups")}
    if skipped := counts.get("data/skipped"):
        lines.append(f"{counted(skipped, 'unreadable row')} skipped")
    if gap := counts.get("data/rows/gap"):
        lines.append(counted(gap, *(f"{w} in split.gap {be} used by nobody" for w, be in _ROWS)))
    if unassigned := counts.get("data/rows/unassigned"):
        lines.append(counted(unassigned, *(f"{w} of no part of the split {be} used by nobody" for w, be in _ROWS)))
    if groups := counts.get("honesty/groups"):
        both = counted(groups, "group has", "groups have")
        lines.append(f"{both} rows on both sides of the split: scores are for groups already seen")
    if (twins := counts.get("honesty/twins")) and not copies:
        both = counted(twins, "test row has", "test rows have")
        lines.append(f"{both} the same features as rows that trained: scored without too")
    if repeats := counts.get("data/repeats"):
        lines.append(counted(repeats, "row repeats", "rows repeat") + " an earlier one (see data.drop_duplicates)")
    lines += [str(e.value) for e in evidence if e.id.startswith("data/note/")]
    gaps = [e for e in evidence if e.id.startswith(("data/missing/", "data/dirt/")) and isinstance(e.value, int)]
    sizes = sorted(((int(e.value or 0), e.metric) for e in gaps), key=lambda gap: -gap[0])
    lines += [f"{counted(cells, 'cell')}: {what}" for cells, what in sizes]
    return _cut(lines, most, rest)


_ASKED = {"fairness/groups/": "evaluate.sensitive", "slices/declared/": "evaluate.slices"}
"""Facts that say why something that the spec names could not be looked at, and the key that names it."""


def _came_to_nothing(entry: Entry, place: str) -> bool:
    return entry.target is None and entry.status == "not_applicable" and entry.id.startswith(place)
