"""Leaks: a column that alone tells what the model is to find out, one that only numbers the rows, one from the future.

Shape suffixes:
    R  training rows that are looked at
"""

from collections.abc import Sequence

import numpy as np

from trueweight.data.cells import Cells, DateCells, LevelCells, NumberCells, TextCells
from trueweight.data.parse_dates import DAY
from trueweight.data.reading import cells_of, plain_facts
from trueweight.data.sample import BottomK
from trueweight.data.suspects import LEAST_ROWS, ROWS, SUSPICIOUS, Suspect, strength_of, strengths
from trueweight.evaluate.combined_leaks import exact_sum, gap_beside
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

CLOSE = 1.5
"""Range of whole numbers, in rows of the table, up to which they are row numbers in another order: some rows may have
been left out since."""

READABLE = 0.95
"""Share of a column's cells that must be dates for it to be held against the row's time, whatever its type."""

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
        reason = reason or _combined(mine, truth, judging, training)
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


def _combined(told: Sequence[Suspect], truth: Cells, judging: Judging, training: Training) -> str | None:
    """What to say of columns that tell the target together."""
    ready, target = training.ready, told[0].target
    asked = (judging.predictor.signature, ready.table, ready.split.train, truth)
    if names := exact_sum(*asked):
        shown = ", ".join(map(repr, names[:4])) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        return (
            f"a weighted sum of {shown} is exactly {target!r} in most rows: find out whether these parts are known "
            "before the target is, and if not, leave them out (type: ignore)"
        )
    found = gap_beside(*asked, told)
    whole = _strength_of_model(judging.answers[target], judging.truths[target])
    if found is None or found[0].strength < max(STRONG, OF_THE_MODEL * whole):
        return None
    gap, other = found
    return (
        f"whether {gap.column!r} is there, beside {other!r}, tells {target!r} nearly always ({gap.strength:.0%} of "
        "what there is to tell): find out when it is filled in, and leave it out (type: ignore) if that is afterwards"
    )


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
        if value_R is None:
            continue
        known = f"{suspect.column!r} only numbers the rows, yet tells {suspect.target!r} ({suspect.strength:.0%})"
        if _numbers_rows(value_R[rows_R]):
            return f"{known}: the rows are sorted, and new ones will not be; leave the column out (type: ignore)"
        if isinstance(cells, NumberCells) and _without_gaps(value_R[rows_R], len(value_R)):
            return (
                f"{known}: numbers were given out in its order, and those of new rows will not be; leave the column "
                "out (type: ignore)"
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


def _without_gaps(value_R: np.ndarray, rows: int) -> bool:
    """Whether numbers are whole, all different, and lie so close that they count something, whatever their order."""
    if np.isnan(value_R).any() or (value_R != np.round(value_R)).any():
        return False
    return bool(len(np.unique(value_R)) == len(value_R) and np.ptp(value_R) < CLOSE * rows)


def _of_time(target: str, truth: Cells, training: Training, ask: Ask) -> list[Entry]:
    """Flags about the past and the future, where there are dates."""
    ready = training.ready
    columns = ready.signature.columns.values()
    dates = {facts.name: facts for facts in columns if facts.type == "date" and facts.role in ("feature", "ignored")}
    options, own, entries = ready.signature.options, ready.spec.split.time_column, list[Entry]()
    if own is not None:
        time = cells_of(ready.table, plain_facts(own, "date", len(ready.table)), options)
        if isinstance(time, DateCells) and not time.missing_N.all() and (moments := _moments(training, time)):
            late = [name for name, cells in moments.items() if _late(cells, time, truth, ready.split.train)]
            reason = _late_reason(late[0], own, target) if late else None
            entries.append(flag("time_travel_flag", reason, ask, target=target, n=len(ready.split.train)))
    if ready.split.method in ("random", "stratified") and dates:
        all_dates = ((name, cells_of(ready.table, facts, options)) for name, facts in dates.items())
        found = {name: _neighbours(cells, truth, ready.cases.rows) for name, cells in all_dates}
        name = max(found, key=lambda name: found[name])
        reason = _neighbour_reason(name, found[name], target) if found[name] >= NEIGHBOURS else None
        known = {"correlation": round(found[name], 4), "column": name}
        entries.append(flag("time_split_flag", reason, ask, target=target, n=len(ready.cases), parameters=known))
    return entries


def _moments(training: Training, time: DateCells) -> dict[str, DateCells]:
    """Features that are moments, also those that were taken for numbers (seconds, milliseconds or microseconds since
    1970) or for texts and categories."""
    ready, found = training.ready, dict[str, DateCells]()
    for facts in ready.signature.features():
        if facts.name == ready.spec.split.time_column:
            continue
        cells = cells_of(ready.table, facts, ready.signature.options)
        if isinstance(cells, NumberCells):
            cells = _since_1970(cells, time) or cells
        elif isinstance(cells, LevelCells | TextCells):
            few, date = (
                ready.table.head(_LOOKED).select([facts.name]),
                plain_facts(facts.name, "date", len(ready.table)),
            )
            asked = cells_of(few, date, ready.signature.options)
            if (~asked.missing_N).sum() > READABLE * (~cells.missing_N[:_LOOKED]).sum() > 0:
                cells = cells_of(ready.table, date, ready.signature.options)
        if isinstance(cells, DateCells):
            found[facts.name] = cells
    return found


_LOOKED = 200
_NEAR = 5 * 365 * DAY


def _since_1970(cells: NumberCells, time: DateCells) -> DateCells | None:
    """Whole numbers that are moments near the rows' own times, if they are counted in a usual unit."""
    given_N = ~cells.missing_N & ~time.missing_N
    if not given_N.any() or (cells.value_N[given_N] != np.round(cells.value_N[given_N])).any():
        return None
    middle = float(np.median(time.micros_N[given_N]))
    for unit in (1_000_000, 1_000, 1):
        if abs(float(np.median(cells.value_N[given_N])) * unit - middle) < _NEAR:
            micros_N = np.where(cells.missing_N, 0, np.clip(np.nan_to_num(cells.value_N) * unit, -_FAR, _FAR))
            return DateCells(missing_N=cells.missing_N, micros_N=micros_N.astype(np.int64))
    return None


_FAR = 2.0**62


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
