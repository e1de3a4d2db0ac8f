"""Leaks: a column that alone tells what the model is to find out, one that only numbers the rows, one from the future.

Shape suffixes:
    R  training rows that are looked at
"""

from collections.abc import Sequence

import numpy as np

from trueweight.data.cells import Cells, DateCells, LevelCells, NumberCells
from trueweight.data.reading import cells_of, plain_facts
from trueweight.data.sample import BottomK
from trueweight.data.suspects import LEAST_ROWS, ROWS, SUSPICIOUS, Suspect, strength_of, strengths
from trueweight.evaluate.findings import AXIS, flag, place, unlooked
from trueweight.evaluate.judging import Judging, Training
from trueweight.evaluate.quality import Ask, now
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction
from trueweight.metrics.truth import Truth

__all__ = ["leaks"]

STRONG = 0.9
"""Strength from which a column is named that no other comes near to."""

ALONE = 0.5
"""The next best column's strength, as a share of the best one's, up to which the best stands alone."""

OF_THE_MODEL = 0.9
"""Share of what the whole model achieves that such a column has by itself."""

NUMBERING = 0.2
"""Strength from which a column that only numbers the rows says that they are sorted."""

SURELY = 5.0
"""Standard errors from zero of everything that is named for less than perfection."""

LATER = 0.05
"""Share of rows in which a date is later than the row's own time from which it matters."""

LATE_TELLS = 0.1

NEIGHBOURS = 0.3
"""Correlation of the target of rows that follow each other in time from which a split by chance is too kind."""


def leaks(judging: Judging) -> list[Entry]:
    """For each target: the strongest single column, and flags."""
    ask, training = judging.ask, judging.training
    if training is None:
        return [unlooked("leak_flag", "these rows came later: leaks are looked for in training rows", ask)]
    ready, entries = training.ready, list[Entry]()
    told = strengths(judging.predictor.signature, ready.table, ready.split.train)
    rows_R = BottomK.of(ready.split.train, k=ROWS).rows
    for facts in judging.predictor.signature.targets():
        if facts.name not in judging.truths:
            continue
        truth = cells_of(ready.table, facts, judging.predictor.signature.options)
        if not isinstance(truth, NumberCells | LevelCells):
            why = f"single columns are not asked about a target of type {facts.type}"
            entries.append(unlooked("leak_flag", why, ask, facts.name))
            continue
        mine = [suspect for suspect in told if suspect.target == facts.name]
        if not mine or mine[0].n == 0:
            why = f"fewer than {2 * LEAST_ROWS} training rows, or no column of plain values"
            entries.append(unlooked("leak_flag", why, ask, facts.name))
            continue
        strongest = _strongest(mine[0], ask)
        reason = _leaking(mine, judging) or _numbering(mine, training, rows_R)
        entries += [strongest, flag("leak_flag", reason, ask, target=facts.name, depends_on=[strongest.id])]
        entries += _of_time(facts.name, truth, training, ask)
    return entries


def _strongest(suspect: Suspect, ask: Ask) -> Entry:
    level = ask.evaluate.interval.level
    ends = (max(0.0, suspect.strength - 2 * suspect.error), min(1.0, suspect.strength + 2 * suspect.error))
    return Entry(
        id=place("strongest_column", ask, suspect.target), axis=AXIS, metric="strongest_column", target=suspect.target,
        value=max(0.0, suspect.strength), unit="share", interval=Interval(ends[0], max(ends), level, "normal"),
        n=suspect.n, method=Method("single-column predictor", "2", {"column": suspect.column}), data=ask.data,
        reproduce=ask.reproduce, produced_at=now(),
    )  # fmt: skip


def _leaking(told: Sequence[Suspect], judging: Judging) -> str | None:
    """What to say of the strongest column, if it is too good."""
    best, second = told[0], told[1].strength if len(told) > 1 else 0.0
    ask_first = "find out whether it is known before the target is, and if not, leave it out (type: ignore)"
    perfect = [one.column for one in told if one.strength >= SUSPICIOUS]
    if perfect:
        names = ", ".join(map(repr, perfect[:3]))
        return f"{names} alone tells {best.target!r} almost always ({best.strength:.1%}): {ask_first}"
    whole = _strength_of_model(judging.answers[best.target], judging.truths[best.target])
    lonely = second <= ALONE * best.strength and len(told) > 1
    if best.strength >= STRONG and lonely and best.strength >= OF_THE_MODEL * whole:
        return (
            f"{best.column!r} alone tells {best.target!r} nearly as well as the whole model ({best.strength:.0%} of "
            f"what there is to tell), and no other column comes near: {ask_first}"
        )
    return None


def _strength_of_model(answer: Prediction, truth: Truth) -> float:
    """What the model tells, on the scale of single columns."""
    known = truth.present_N
    value = truth.value[known]
    if isinstance(answer, ClassPrediction) and known.any():
        usual = 1 - np.bincount(np.maximum(value, 0)).max() / len(value)
        return float(1 - (answer.answer_N()[known] != value).mean() / usual) if usual > 0 else 1.0
    if isinstance(answer, NumberPrediction) and known.any() and value.var() > 0:
        return float(1 - np.square(answer.value_N[known] - value).mean() / value.var())
    return 1.0


def _numbering(told: Sequence[Suspect], training: Training, rows_R: np.ndarray) -> str | None:
    """What to say of a column that numbers the rows and yet tells the target: they are sorted by it, or by its time."""
    ready = training.ready
    for suspect in told:
        if suspect.strength < NUMBERING or suspect.strength < SURELY * suspect.error:
            continue
        cells = cells_of(ready.table, ready.signature.columns[suspect.column], ready.signature.options)
        value_R = _as_numbers(cells)
        if value_R is not None and _numbers_rows(value_R[rows_R]):
            return (
                f"{suspect.column!r} only numbers the rows, yet tells {suspect.target!r} ({suspect.strength:.0%}): the "
                "rows are sorted, and new ones will not be; leave the column out (type: ignore)"
            )
    return None


def _as_numbers(cells: Cells) -> np.ndarray | None:
    match cells:
        case NumberCells():
            return cells.value_N
        case LevelCells():  # numbered as they appear: all different ones number the rows
            return np.where(cells.missing_N, np.nan, cells.code_N)
        case _:
            return None


def _numbers_rows(value_R: np.ndarray) -> bool:
    """Whether numbers are whole, always rise (or always fall), and leave few gaps."""
    if np.isnan(value_R).any() or (value_R != np.round(value_R)).any():
        return False
    steps = np.diff(value_R)
    return bool((steps > 0).all() or (steps < 0).all())


def _of_time(target: str, truth: Cells, training: Training, ask: Ask) -> list[Entry]:
    """Flags about the past and the future, where there are dates."""
    ready = training.ready
    columns = ready.signature.columns.values()
    dates = {facts.name: facts for facts in columns if facts.type == "date" and facts.role in ("feature", "ignored")}
    options, own, entries = ready.signature.options, ready.spec.split.time_column, list[Entry]()
    features = [name for name, facts in dates.items() if facts.role == "feature" and name != own]
    if own is not None and features:
        time = cells_of(ready.table, plain_facts(own, "date", len(ready.table)), options)
        if isinstance(time, DateCells) and not time.missing_N.all():
            read = {name: cells_of(ready.table, dates[name], options) for name in features}
            late = [name for name, cells in read.items() if _late(cells, time, truth, ready.split.train)]
            reason = _late_reason(late[0], own, target) if late else None
            entries.append(flag("time_travel_flag", reason, ask, target=target, n=len(ready.split.train)))
    if ready.split.method in ("random", "stratified") and dates:
        read = {name: cells_of(ready.table, facts, options) for name, facts in dates.items()}
        found = {name: _neighbours(cells, truth, ready.cases.rows) for name, cells in read.items()}
        name = max(found, key=lambda name: found[name])
        reason = _neighbour_reason(name, found[name], target) if found[name] >= NEIGHBOURS else None
        known = {"correlation": round(found[name], 4), "column": name}
        entries.append(flag("time_split_flag", reason, ask, target=target, n=len(ready.cases), parameters=known))
    return entries


def _late_reason(name: str, own: str, target: str) -> str:
    return (
        f"{name!r} is later than the row's own time ({own!r}) and tells {target!r}: it was filled in afterwards; leave "
        "it out (type: ignore)"
    )


def _neighbour_reason(name: str, correlation: float, target: str) -> str:
    return (
        f"rows that follow each other by {name!r} have much the same {target!r} (correlation {correlation:.2f}), and "
        f"the split mixes them: the scores say little about later rows; set split.time_column: {name}"
    )


def _late(cells: Cells, time: DateCells, truth: Cells, rows: np.ndarray) -> bool:
    """Whether a date is often later than the row's time, and says something of the target."""
    rows = BottomK.of(rows[~time.missing_N[rows]], k=ROWS).rows
    if not isinstance(cells, DateCells) or not len(rows):
        return False
    given_R = ~cells.missing_N[rows]
    gap_R = (cells.micros_N[rows] - time.micros_N[rows]).astype(np.float64)
    if (given_R & (gap_R > 0)).mean() < LATER:
        return False
    by_gap = strength_of(gap_R[given_R], truth, rows[given_R])
    with_none = strength_of(np.where(given_R, gap_R, np.inf), truth, rows)
    return any(strength >= max(LATE_TELLS, SURELY * error) for strength, _, error in (by_gap, with_none))


def _neighbours(cells: Cells, truth: Cells, rows: np.ndarray) -> float:
    """Correlation of the target of rows that follow each other in time; 0 where that says nothing."""
    if not isinstance(cells, DateCells):
        return 0.0
    rows = rows[~cells.missing_N[rows] & ~truth.missing_N[rows]]
    if len(rows) < 2 * LEAST_ROWS or len(np.unique(cells.micros_N[rows])) < LEAST_ROWS:
        return 0.0
    rows = rows[np.argsort(cells.micros_N[rows], kind="stable")]
    if isinstance(truth, NumberCells):
        rank_R = np.argsort(np.argsort(truth.value_N[rows], kind="stable"), kind="stable").astype(np.float64)
        return float(np.corrcoef(rank_R[1:], rank_R[:-1])[0, 1])
    assert isinstance(truth, LevelCells)
    code_R = truth.code_N[rows]
    chance = float(np.square(np.bincount(code_R) / len(code_R)).sum())
    alike = float((code_R[1:] == code_R[:-1]).mean())
    return (alike - chance) / (1 - chance) if chance < 1 else 0.0
