"""Are groups of people treated alike? Rates and errors by group of the sensitive columns, and how far they are apart.

Shape suffixes:
    N  known rows    G  groups    R  resamples
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.evaluate.conditions import Condition, groups_of
from trueweight.evaluate.group_measures import Measure, measures_of
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import Ask, not_applicable, now
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.interval import percentiles
from trueweight.metrics.metric import known_rows
from trueweight.metrics.resample import Units, drawn_sums
from trueweight.metrics.several import fisher, holm, mean_gap, normal_tail
from trueweight.metrics.statistic import ratio
from trueweight.metrics.truth import Truth
from trueweight.metrics.words import brief
from trueweight.seeds import stream_seed

__all__ = ["fairness"]

LEVEL = 0.01
"""Chance of a false flag, at most, over all targets, columns, groups and measures together."""

LEAST = 20
"""Rows that a rate rests on, in the group and outside, to be tested; of a true positive rate, positive ones."""


@dataclass(frozen=True, slots=True)
class _Column:
    """The groups of one sensitive column that are large enough."""

    name: str
    groups: Sequence[Condition]
    suppressed: int


@dataclass(frozen=True, slots=True)
class _Found:
    """One measure of all groups of one column."""

    column: _Column
    measure: Measure
    value_G: np.ndarray
    value_RG: np.ndarray
    rows_G: np.ndarray
    p_G: np.ndarray
    """Of a group against everybody else; 1 where the difference is too small to matter, NaN where not tested."""
    rest_G: np.ndarray


def fairness(judging: Judging) -> list[Entry]:
    """Selection rates, equalised odds, calibration and errors by group, and a flag where a gap is no chance."""
    ask, asked = judging.ask, judging.ask.evaluate.sensitive
    if asked is None:
        return [not_applicable("fairness/check", "check", "no sensitive column is named: evaluate.sensitive", ask)]
    entries, columns = list[Entry](), list[_Column]()
    for name in asked.columns:
        if name not in judging.table.names:
            why = f"these rows have no column {name!r}"
            entries.append(not_applicable(f"fairness/groups/{name}", "groups", why, ask))
            continue
        columns.append(_column(judging, name, max(asked.min_group, ask.min_group)))
        entries += _told_of(judging, columns[-1], max(asked.min_group, ask.min_group))
    for target, truth in judging.truths.items():
        several = [column for column in columns if len(column.groups) > 1]
        found = [one for column in several for one in _measured(judging, target, truth, column)]
        for one in found:
            entries += _by_group(target, one, ask)
            entries += _differences(target, one, ask)
        entries += _both_rates(target, found, ask)
        entries.append(_flag(target, found, ask, LEVEL / len(judging.truths)))
    return entries


def _column(judging: Judging, name: str, least: int) -> _Column:
    groups = groups_of(name, judging.predictor.signature, judging.table)
    large = [group for group in groups if group.rows_N.sum() >= least]
    return _Column(name, large, len(groups) - len(large))


def _told_of(judging: Judging, column: _Column, least: int) -> Iterator[Entry]:
    ask, name = judging.ask, column.name
    if column.suppressed:
        why = f"groups of {name!r} with fewer than {least} rows are neither named nor measured"
        yield Entry(
            id=f"fairness/suppressed/{name}/{ask.role}", axis="fairness", metric="suppressed_groups",
            value=column.suppressed, unit="groups", reason=why, data=ask.data, produced_at=now(),
        )  # fmt: skip
    if len(column.groups) < 2:
        why = f"{name!r} has no two groups of at least {least} rows to compare"
        yield not_applicable(f"fairness/groups/{name}", "groups", why, ask)
    facts = judging.predictor.signature.columns.get(name)
    if facts is not None and facts.role == "feature":
        yield Entry(
            id=f"fairness/feature/{name}", axis="fairness", metric="learnt_from", data=ask.data, produced_at=now(),
            value=f"{name!r} is a feature too: the spec gives it a type, so the model learns from it",
        )  # fmt: skip


def _measured(judging: Judging, target: str, truth: Truth, column: _Column) -> Iterator[_Found]:
    rows = known_rows(truth)
    prediction, known = judging.answers[target].take(rows), truth.take(rows)
    if not len(rows) or not np.isfinite(prediction.scores()).all():
        return
    measures = measures_of(prediction, known.value)
    if not measures:
        return
    inside = [group.rows_N[rows] for group in column.groups]
    draws = _draws(measures, inside, known, judging.ask)
    for measure, (value_G, value_RG) in zip(measures, draws, strict=True):
        rows_G = np.array([int((i & measure.of_N).sum()) for i in inside])
        tested = [_against_rest(measure, i, known) for i in inside]
        if len(inside) == 2 and (inside[0] | inside[1]).all():
            tested[1] = (np.nan, tested[1][1])  # the same comparison again
        p_G, rest_G = np.array(tested).T
        yield _Found(column, measure, value_G, value_RG, rows_G, p_G, rest_G)


def _draws(
    measures: Sequence[Measure], inside: Sequence[np.ndarray], known: Truth, ask: Ask
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each measure of each group, (G,) and under the same draws (R, G)."""
    seed = stream_seed(ask.seed, "interval") % 2**32
    units, weight_N = Units.of(known, seed), np.ones(len(known)) if known.weight_N is None else known.weight_N
    own_NG = np.stack(inside, axis=1) * weight_N[:, None]
    parts = [part for m in measures for part in (own_NG * (m.of_N * m.value_N)[:, None], own_NG * m.of_N[:, None])]
    column_NK = np.concatenate(parts, axis=1)
    sums_RK = drawn_sums(column_NK, units, ask.draws(units.rows), seed)
    once = np.split(column_NK.sum(0, keepdims=True), 2 * len(measures), axis=1)
    many = np.split(sums_RK, 2 * len(measures), axis=1)
    for place in range(0, 2 * len(measures), 2):
        yield ratio(once[place], once[place + 1])[0], ratio(many[place], many[place + 1])


def _against_rest(measure: Measure, inside_N: np.ndarray, known: Truth) -> tuple[float, float]:
    """p-value of a group against everybody else, and their mean."""
    of = measure.of_N
    value_N, own_N = measure.value_N[of], inside_N[of]
    weight, cluster = (None if a is None else a[of] for a in (known.weight_N, known.cluster_N))
    if min(own_N.sum(), (~own_N).sum()) < LEAST:
        return np.nan, np.nan
    gap, error = mean_gap(value_N, own_N, weight, cluster)
    rest = float(np.average(value_N[~own_N], weights=None if weight is None else weight[~own_N]))
    if not measure.large(rest + gap, rest):
        return 1.0, rest
    if measure.share and weight is None and cluster is None:
        hits, others = int(value_N[own_N].sum()), int(value_N[~own_N].sum())
        return fisher(hits, int(own_N.sum()), others, int((~own_N).sum())), rest
    return (2 * normal_tail(abs(gap) / error) if error > 0 else 1.0), rest


def _by_group(target: str, found: _Found, ask: Ask) -> Iterator[Entry]:
    """The measure in each group."""
    name = found.measure.name
    for place, group in enumerate(found.column.groups):
        own_id, rows = f"fairness/{target}/{name}/{ask.role}/{group.words}", int(found.rows_G[place])
        if rows < ask.min_group:
            why = f"it rests on fewer than {ask.min_group} rows of the group"
            yield not_applicable(own_id, name, why, ask, target)
            continue
        value, draws_R = float(found.value_G[place]), found.value_RG[:, place]
        yield _entry(own_id, name, target, value, draws_R, rows, ask, group.words)


def _entry(
    id: str, name: str, target: str, value: float, draws_R: np.ndarray, rows: int, ask: Ask, slice: str | None = None,
    depends_on: tuple[str, ...] = (),
) -> Entry:  # fmt: skip
    level, seed = ask.evaluate.interval.level, stream_seed(ask.seed, "interval") % 2**32
    ends = percentiles(draws_R, level)
    return Entry(
        id=id, axis="fairness", metric=name, target=target, slice=slice, value=value, n=rows, data=ask.data,
        interval=None if isinstance(ends, str) else Interval(*ends, level, "bootstrap"), depends_on=depends_on,
        reason=ends if isinstance(ends, str) else None, reproduce=ask.reproduce, produced_at=now(),
        method=Method(name, "1", {"n_resamples": len(draws_R)}, seed),
    )  # fmt: skip


_GAPS = {"selection_rate": "demographic_parity_difference"}


def _extremes(found: _Found, ask: Ask) -> tuple[int, int] | None:
    """The groups with the largest and the smallest value, of those that rest on enough rows."""
    able = [g for g, rows in enumerate(found.rows_G) if rows >= ask.min_group]
    if len(able) < 2:
        return None
    order = sorted(able, key=lambda g: float(found.value_G[g]))
    return order[-1], order[0]


def _sources(target: str, found: _Found, ends: tuple[int, int], ask: Ask) -> tuple[str, ...]:
    start = f"fairness/{target}/{found.measure.name}/{ask.role}"
    return tuple(f"{start}/{found.column.groups[g].words}" for g in ends)


def _differences(target: str, found: _Found, ask: Ask) -> Iterator[Entry]:
    """The largest difference between two groups, and for selection the ratio; the interval is of these two groups."""
    ends = _extremes(found, ask)
    if ends is None:
        return
    (high, low), name, column = ends, found.measure.name, found.column.name
    gap_R = found.value_RG[:, high] - found.value_RG[:, low]
    rows, sources = int(found.rows_G[[high, low]].sum()), _sources(target, found, ends, ask)
    metric = _GAPS.get(name, f"{name}_difference")
    gap = float(found.value_G[high] - found.value_G[low])
    own_id = f"fairness/{target}/{metric}/{ask.role}/{column}"
    yield _entry(own_id, metric, target, gap, gap_R, rows, ask, None, sources)
    if name == "selection_rate" and found.value_G[high] > 0:
        metric, quotient = "demographic_parity_ratio", float(found.value_G[low] / found.value_G[high])
        ratio_R = ratio(found.value_RG[:, low], found.value_RG[:, high])
        own_id = f"fairness/{target}/{metric}/{ask.role}/{column}"
        yield _entry(own_id, metric, target, quotient, ratio_R, rows, ask, None, sources)


def _both_rates(target: str, found: Sequence[_Found], ask: Ask) -> Iterator[Entry]:
    """Equalised odds: the larger of the two differences, of true and of false positive rates."""
    for column in dict.fromkeys(one.column.name for one in found):
        mine = {one.measure.name: one for one in found if one.column.name == column}
        rates = [mine[n] for n in ("true_positive_rate", "false_positive_rate") if n in mine]
        pairs = [(one, ends) for one in rates if (ends := _extremes(one, ask))]
        if len(pairs) < 2:
            continue
        one, (high, low) = max(pairs, key=lambda pair: float(pair[0].value_G[pair[1][0]] - pair[0].value_G[pair[1][1]]))
        metric, draws_R = "equalized_odds_difference", one.value_RG[:, high] - one.value_RG[:, low]
        sources = tuple(f"fairness/{target}/{o.measure.name}_difference/{ask.role}/{column}" for o, _ in pairs)
        gap, rows = float(one.value_G[high] - one.value_G[low]), int(one.rows_G[[high, low]].sum())
        own_id = f"fairness/{target}/{metric}/{ask.role}/{column}"
        yield _entry(own_id, metric, target, gap, draws_R, rows, ask, None, sources)


def _flag(target: str, found: Sequence[_Found], ask: Ask, level: float) -> Entry:
    tests = [(one, g) for one in found for g in range(len(one.p_G)) if not np.isnan(one.p_G[g])]
    own_id = f"fairness/{target}/fairness_flag/{ask.role}"
    if not tests:
        named = ask.evaluate.sensitive
        least = max(LEAST, ask.min_group, named.min_group if named else 0)
        why = f"no two groups are there that are large enough to be compared: {least} rows in each"
        return not_applicable(own_id, "fairness_flag", why, ask, target)
    p_T = holm([one.p_G[g] for one, g in tests])
    apart = [tests[t] for t in np.argsort(p_T, kind="stable") if p_T[t] <= level]
    sources = [f"fairness/{target}/{one.measure.name}/{ask.role}/{one.column.groups[g].words}" for one, g in apart]
    return Entry(
        id=own_id, axis="fairness", metric="fairness_flag", target=target, value=int(bool(apart)), unit="flag",
        n=int(max(one.rows_G.sum() for one in found)), data=ask.data, produced_at=now(), reproduce=ask.reproduce,
        reason=_reason(target, apart) if apart else None, depends_on=tuple(dict.fromkeys(sources)),
        method=Method("group against the others", "1", {
            "compared": len(tests), "correction": "holm", "level": level, "smallest_p": float(p_T.min()),
        }, ask.seed),
    )  # fmt: skip


def _reason(target: str, apart: Sequence[tuple[_Found, int]]) -> str:
    one, g = apart[0]
    group, value, rest = one.column.groups[g].words, one.value_G[g], one.rest_G[g]
    others = len({(o.column.name, o.measure.name) for o, _ in apart}) - 1
    more = f" ({others} more such difference{'s' * (others > 1)})" if others else ""
    return (
        f"{target}: {one.measure.words} is {brief(value)} where {group} and {brief(rest)} elsewhere{more}; is there a "
        "reason that these people would accept? If not, bring more of their rows, or do not decide by this model alone"
    )
