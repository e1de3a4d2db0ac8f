"""On whom does it fail? Scores of parts of the rows: those that the spec names, and the worst of all that can be found.

Shape suffixes:
    N  rows    K  parts    R  resamples
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.evaluate.conditions import Condition, bins_of_number, conditions_of, crossed, found_conditions
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import Ask, estimated, not_applicable, now, quality
from trueweight.evaluate.row_losses import RowLosses, row_losses
from trueweight.evaluate.slice_search import SUSPECTS, Search, search
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.interval import percentiles
from trueweight.metrics.metric import known_rows
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction
from trueweight.metrics.registry import metric
from trueweight.metrics.resample import Units, drawn_sums
from trueweight.metrics.several import mean_gap
from trueweight.metrics.statistic import ratio
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth
from trueweight.metrics.words import brief
from trueweight.seeds import stream_seed
from trueweight.spec.slices import BinsSpec

__all__ = ["slices"]

LEAST = 30
"""Rows of a part that is looked for; ``bundle.min_group`` may ask for more."""

SHOWN = 20
"""Worst parts that are told of each target."""

LEVEL = 0.05
"""Chance of a false flag, at most, over all targets."""

_DRAWN = 5_000_000
"""Rows times draws of the bootstrap."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of one target that are told, with means inside, outside, and their draws."""

    losses: RowLosses
    conditions: Sequence[Condition]
    value_K: np.ndarray
    gap_K: np.ndarray
    """Of the metric: inside minus outside."""
    value_RK: np.ndarray
    gap_RK: np.ndarray


def slices(judging: Judging) -> list[Entry]:
    """Scores of declared parts, the worst of all parts, and whether one is confirmed to fail."""
    ask, signature, table = judging.ask, judging.predictor.signature, judging.table
    least = max(LEAST, ask.min_group)
    entries = _declared(judging)
    conditions = found_conditions(signature, table, least)
    for target, truth in judging.truths.items():
        losses = row_losses(judging.answers[target], truth, (ask.evaluate.metrics or {}).get(target, ()))
        if losses is None or not conditions:
            why = _no_losses(judging, target) if losses is None else _too_few(least)
            entries.append(_not_applicable(f"slices/{target}/worst_slice_flag/{ask.role}", target, why, ask))
            continue
        found = search(losses, truth, conditions, least, ask.seed)
        entries += _found(judging, target, losses, found, LEVEL / len(judging.truths))
    return entries


def _no_losses(judging: Judging, target: str) -> str:
    if isinstance(judging.answers[target], TextPrediction):
        return "texts are scored over all rows of a part, which the search does not do: name parts in evaluate.slices"
    return "no row has a known label and a finite answer"


def _too_few(least: int) -> str:
    return f"no value of a feature parts these rows into two parts of at least {least} rows"


def _not_applicable(id: str, target: str | None, why: str, ask: Ask) -> Entry:
    metric = id.split("/")[-2] if target else id.split("/")[1]
    return not_applicable(id, metric, why, ask, target)


def _declared(judging: Judging) -> list[Entry]:
    """Every metric that was asked for, on every part that the spec names."""
    ask, entries, seen = judging.ask, list[Entry](), set[str]()
    for place, asked in enumerate(ask.evaluate.slices):
        missing = [name for name in _columns(asked) if name not in judging.table.names]
        if missing:
            why = f"these rows have no column {missing[0]!r}"
            entries.append(_not_applicable(f"slices/declared/{place}/{ask.role}", None, why, ask))
            continue
        parts = [c for c in _parts(judging, asked) if _enough(c, judging) and c.words not in seen]
        seen |= {c.words for c in parts}
        if not parts:
            why = f"{' & '.join(_columns(asked))} has no part of at least {ask.min_group} rows"
            entries.append(_not_applicable(f"slices/declared/{place}/{ask.role}", None, why, ask))
        for part in parts:
            rows, told = np.flatnonzero(part.rows_N), _enough(part, judging)
            answers = {name: judging.answers[name].take(rows) for name in told}
            truths = {name: judging.truths[name].take(rows) for name in told}
            entries += quality(answers, truths, ask, prefix="slices/declared", slice=part.words)
            for name, answer in answers.items():  # of intervals it is among the scores
                if isinstance(answer, ClassPrediction) and answer.set_NC is not None:
                    known = (ask.evaluate.metrics or {}).get(name, ())
                    more = [metric(m) for m in ("coverage", "set_size") if m not in known]
                    entries += estimated("slices/declared", name, more, answer, truths[name], ask, part.words)
    return entries


def _enough(part: Condition, judging: Judging) -> list[str]:
    """Targets of which enough rows of a part are labelled to tell of it."""
    least, rows = judging.ask.min_group, np.flatnonzero(part.rows_N)
    return [name for name, truth in judging.truths.items() if len(known_rows(truth.take(rows))) >= least]


def _columns(asked: str | list[str] | BinsSpec) -> list[str]:
    return [asked.column] if isinstance(asked, BinsSpec) else [asked] if isinstance(asked, str) else asked


def _parts(judging: Judging, asked: str | list[str] | BinsSpec) -> list[Condition]:
    signature, table, least = judging.predictor.signature, judging.table, judging.ask.min_group
    match asked:
        case BinsSpec():
            return bins_of_number(asked.column, asked.bins, signature, table)
        case str():
            return conditions_of(asked, signature, table, least)
        case _:
            return crossed(asked, signature, table, least)


def _found(judging: Judging, target: str, losses: RowLosses, found: Search, level: float) -> Iterator[Entry]:
    """The worst first, what sets and intervals hold there, and the flag."""
    answer, truth, ask = judging.answers[target], judging.truths[target], judging.ask
    failing = [s for s in found.suspects if s.p <= level]
    parts = _told(losses, truth, [s.condition for s in failing], found.conditions, ask)
    for place, condition in enumerate(parts.conditions):
        yield from _entries(target, parts, place, condition, ask)
    if isinstance(answer, ClassPrediction | NumberPrediction) and answer.coverage is not None:
        for condition in parts.conditions:
            rows = np.flatnonzero(condition.rows_N)
            here = answer.take(rows), truth.take(rows)
            yield from estimated("slices", target, [metric("coverage")], *here, ask, condition.words)
    start, end = f"slices/{target}", f"{ask.role}"
    flag = Entry(
        id=f"{start}/worst_slice_flag/{end}", axis="slices", metric="worst_slice_flag", target=target,
        value=int(bool(failing)), unit="flag", n=len(losses.rows), data=ask.data, reproduce=ask.reproduce,
        produced_at=now(), reason=_reason(target, parts, len(failing)) if failing else None,
        method=Method("worst slice", "1", {
            "looked_at": len(found.conditions), "suspects": SUSPECTS, "level": level, "correction": "holm",
            "p": [round(s.p, 6) for s in found.suspects], "least": max(LEAST, ask.min_group),
        }, ask.seed),
        depends_on=tuple(
            f"{start}/{losses.metric}{what}/{end}/{c.words}" for c in parts.conditions[: len(failing)]
            for what in ("", "_difference")
        ),
    )  # fmt: skip
    yield flag


def _reason(target: str, parts: _Parts, failing: int) -> str:
    first, value, gap = parts.conditions[0], parts.value_K[0], parts.gap_K[0]
    more = f" ({failing - 1} more such part{'s' * (failing > 2)})" if failing > 1 else ""
    return (
        f"{target}: where {first.words}, the model fails more than chance explains: {parts.losses.metric} "
        f"{brief(value)}, elsewhere {brief(value - gap)}{more}; look at these rows, bring more of them, or "
        "keep the model from them"
    )


def _told(
    losses: RowLosses, truth: Truth, failing: Sequence[Condition], looked_at: Sequence[Condition], ask: Ask
) -> _Parts:
    """What failed, then what is worst by how surely it is worse."""
    sign = -1 if losses.greater_is_better else 1
    weight, cluster = (None if a is None else a[losses.rows] for a in (truth.weight_N, truth.cluster_N))
    surely = []
    for condition in looked_at:
        gap, error = mean_gap(sign * losses.shown_N, condition.rows_N[losses.rows], weight, cluster)
        surely.append(gap / error if error > 0 else 0.0)
    order = [looked_at[k] for k in np.argsort(-np.array(surely), kind="stable") if surely[k] > 0]
    words = {c.words for c in failing}
    kept = [*failing, *(c for c in order if c.words not in words)][:SHOWN]
    return _measured(losses, truth, kept, ask)


def _measured(losses: RowLosses, truth: Truth, kept: Sequence[Condition], ask: Ask) -> _Parts:
    """Means inside and outside, and draws of both."""
    seed = stream_seed(ask.seed, "interval") % 2**32
    units = Units.of(truth, seed)
    weight_N = np.ones(units.rows) if truth.weight_N is None else truth.weight_N[losses.rows]
    inside_NK = np.stack([c.rows_N[losses.rows] for c in kept], axis=1) if kept else np.zeros((units.rows, 0))
    own_NK = inside_NK * weight_N[:, None]
    all_N2 = np.stack([weight_N, weight_N * losses.shown_N], axis=1)
    column_NK = np.concatenate([all_N2, own_NK, own_NK * losses.shown_N[:, None]], axis=1)
    draws = min(ask.draws(units.rows), max(200, _DRAWN // max(1, units.rows)))
    once = _means(column_NK.sum(0, keepdims=True), losses, len(kept))
    many = _means(drawn_sums(column_NK, units, draws, seed), losses, len(kept))
    return _Parts(losses, kept, once[0][0], once[1][0], *many)


def _means(sums_RK: np.ndarray, losses: RowLosses, parts: int) -> tuple[np.ndarray, np.ndarray]:
    weight_RK, sum_RK = sums_RK[:, 2 : 2 + parts], sums_RK[:, 2 + parts :]
    with np.errstate(invalid="ignore"):
        inside = losses.finish(ratio(sum_RK, weight_RK))
        outside = losses.finish(ratio(sums_RK[:, 1:2] - sum_RK, sums_RK[:, :1] - weight_RK))
    return inside, inside - outside


def _entries(target: str, parts: _Parts, place: int, condition: Condition, ask: Ask) -> Iterator[Entry]:
    rows, level = int(condition.rows_N[parts.losses.rows].sum()), ask.evaluate.interval.level
    seed = stream_seed(ask.seed, "interval") % 2**32
    found: Mapping[str, tuple[float, np.ndarray]] = {
        parts.losses.metric: (parts.value_K[place], parts.value_RK[:, place]),
        f"{parts.losses.metric}_difference": (parts.gap_K[place], parts.gap_RK[:, place]),
    }
    for name, (value, draws_R) in found.items():
        ends = percentiles(draws_R, level)
        yield Entry(
            id=f"slices/{target}/{name}/{ask.role}/{condition.words}", axis="slices", metric=name, target=target,
            slice=condition.words, value=float(value), n=rows, data=ask.data, reproduce=ask.reproduce,
            interval=None if isinstance(ends, str) else Interval(*ends, level, "bootstrap"),
            reason=ends if isinstance(ends, str) else None, produced_at=now(),
            method=Method(name, "1", {"n_resamples": len(draws_R)}, seed),
        )  # fmt: skip
