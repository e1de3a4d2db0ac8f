"""Are these rows like those the model has learnt from? Column by column, and row by row as a whole.

All that is known of the training rows is what the Signature holds, also while training: so ``train``, ``evaluate`` and
``verify`` ask the same question.
"""

from collections.abc import Sequence

import numpy as np

from trueweight.data.reading import cells_of
from trueweight.data.sample import BottomK
from trueweight.data.together import strangeness
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import Ask, not_applicable, now
from trueweight.evaluate.shifts import Shift, label_shift, shifts_of
from trueweight.evaluate.two_samples import design_effect, shares_apart
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.beta import clopper_pearson
from trueweight.metrics.several import holm
from trueweight.seeds import stream

__all__ = ["drift"]

LEAST = 30
"""Judged rows below which nothing is compared."""

LEAST_CLUSTERS = 10
"""Groups below which it cannot be told how much their rows are alike."""

LEVEL = 0.01
"""Chance of a false flag, at most, over all columns."""

TOLD = 30
"""Most comparisons that are told, the surest first."""

STRANGE_ROWS = 10_000
"""Most rows whose strangeness is looked at."""

STRANGE = 0.02
"""Share of unusual rows beyond what is usual that is worth a flag."""


def drift(judging: Judging) -> list[Entry]:
    """Shifts of columns, their flag, and the share of rows unlike any that the model has learnt from, with its flag."""
    ask = judging.ask
    if len(judging.table) < LEAST:
        return [not_applicable("drift/check", "check", f"fewer than {LEAST} rows say little about a shift", ask)]
    cluster_N = next(iter(judging.truths.values())).cluster_N
    if cluster_N is not None and len(np.unique(cluster_N)) < LEAST_CLUSTERS:
        why = f"fewer than {LEAST_CLUSTERS} groups of rows say little about a shift"
        return [not_applicable("drift/check", "check", why, ask)]
    return [*_columns(judging, cluster_N), *_strange(judging, cluster_N)]


def _columns(judging: Judging, cluster_N: np.ndarray | None) -> list[Entry]:
    ask, shifts = judging.ask, _shifts(judging, cluster_N)
    p_T = holm([shift.p for shift in shifts])
    order = sorted(range(len(shifts)), key=lambda t: (not shifts[t].large or p_T[t] > LEVEL, shifts[t].p, t))
    moved = [shifts[t] for t in order if p_T[t] <= LEVEL and shifts[t].large]
    told = [_entry(shifts[t], float(p_T[t]), ask) for t in order[:TOLD]]
    flag = Entry(
        id=f"drift/drift_flag/{ask.role}", axis="drift", metric="drift_flag", value=int(bool(moved)), unit="flag",
        n=len(judging.table), data=ask.data, produced_at=now(), reproduce=ask.reproduce,
        reason=_reason(moved) if moved else None, depends_on=tuple(_id(s, ask) for s in moved[:TOLD]),
        method=Method("two samples", "1", {"compared": len(shifts), "correction": "holm", "level": LEVEL}, ask.seed),
    )  # fmt: skip
    return [*told, flag]


def _shifts(judging: Judging, cluster_N: np.ndarray | None) -> list[Shift]:
    ask, signature = judging.ask, judging.predictor.signature
    level, found = ask.evaluate.interval.level, list[Shift]()
    for place, facts in enumerate(signature.features()):
        cells = cells_of(judging.table, facts, signature.options)
        found += shifts_of(facts, cells, cluster_N, level, stream(ask.seed, "drift", place))
    if signature.named("weight") is None:  # counts of classes are sums of weights otherwise
        for place, (name, truth) in enumerate(judging.truths.items()):
            known = truth.present_N
            cluster = None if cluster_N is None else cluster_N[known]
            facts, rng = signature.columns[name], stream(ask.seed, "drift of labels", place)
            found += label_shift(facts, truth.value[known], cluster, level, rng)
    return found


def _id(shift: Shift, ask: Ask) -> str:
    return f"drift/{shift.measure}[{shift.column}]/{ask.role}"


def _entry(shift: Shift, p: float, ask: Ask) -> Entry:
    return Entry(
        id=_id(shift, ask), axis="drift", metric=f"{shift.measure}[{shift.column}]", value=float(shift.value),
        interval=shift.interval, n=shift.n, data=ask.data, produced_at=now(), reproduce=ask.reproduce,
        method=Method("two samples", "1", {"p": float(f"{p:.4g}"), "correction": "holm"}, ask.seed),
    )  # fmt: skip


def _reason(moved: Sequence[Shift]) -> str:
    columns = list(dict.fromkeys(shift.column for shift in moved))
    more = f"; and {', '.join(columns[1:6])}{', …' if len(columns) > 6 else ''}" if len(columns) > 1 else ""
    return (
        f"these rows are not like the training rows: {moved[0].words}{more}. What was measured on rows like the "
        "training rows need not hold for them; if such rows keep coming, train on some of them"
    )


def _strange(judging: Judging, cluster_N: np.ndarray | None) -> list[Entry]:
    """The share of rows that are more unusual than 99 % of training rows, against that share in training."""
    ask, signature = judging.ask, judging.predictor.signature
    rows = BottomK.of(np.arange(len(judging.table)), k=STRANGE_ROWS).rows
    table = judging.table if len(rows) == len(judging.table) else judging.table.take(rows)
    strange_N = strangeness(signature, table)
    if strange_N is None:
        why = "the bundle does not say what is usual: too few training rows, or no column of plain values"
        return [not_applicable(f"drift/ood_flag/{ask.role}", "ood_flag", why, ask)]
    facts, above_N = signature.together, strange_N > signature.together["threshold"]
    effect = design_effect(above_N.astype(np.int64), 2, None if cluster_N is None else cluster_N[rows])
    hits, count, level = int(above_N.sum()), len(rows), ask.evaluate.interval.level
    usual, share = facts["above"] / facts["rows"], hits / count
    p = shares_apart(hits, count, facts["above"], facts["rows"], effect)
    flagged = share >= usual + STRANGE and p <= LEVEL
    method = Method("mahalanobis", "1", {"places": len(facts["mean"]), "usual": usual, "p": float(f"{p:.4g}")})
    reason = (
        f"{share:.0%} of the rows are unlike what the model has learnt from ({usual:.1%} of training rows are): its "
        "answers about them are guesses; look at what these rows are"
    )
    share_id = f"drift/ood/{ask.role}"
    return [
        Entry(
            id=share_id, axis="drift", metric="ood", value=share, unit="share", n=count, data=ask.data, method=method,
            interval=Interval(*clopper_pearson(hits / effect, count / effect, level), level, "clopper-pearson"),
            produced_at=now(), reproduce=ask.reproduce,
        ),
        Entry(
            id=f"drift/ood_flag/{ask.role}", axis="drift", metric="ood_flag", value=int(flagged), unit="flag", n=count,
            data=ask.data, method=method, reason=reason if flagged else None, depends_on=(share_id,),
            produced_at=now(), reproduce=ask.reproduce,
        ),
    ]  # fmt: skip
