"""The entries that checks of honesty write: flags, shares of rows, and what could not be looked at."""

from collections.abc import Mapping, Sequence
from typing import Any

from trueweight.evaluate.quality import Ask, not_applicable, now
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.beta import clopper_pearson

__all__ = ["AXIS", "flag", "place", "share", "unlooked"]

AXIS = "honesty"


def place(metric: str, ask: Ask, target: str | None = None) -> str:
    """The id of an entry."""
    return "/".join([AXIS, *([target] if target else []), metric, ask.role])


def flag(
    metric: str, reason: str | None, ask: Ask, *, target: str | None = None, n: int | None = None,
    parameters: Mapping[str, Any] | None = None, depends_on: Sequence[str] = (),
) -> Entry:  # fmt: skip
    """1 with a reason, or 0: looked, and nothing found.

    Args:
        metric: Ends in "flag".
        reason: What was found, where, and what to do, in one sentence; None if nothing was.
        ask: Data, seed and role.
        target: Of one target only.
        n: Rows that were looked at.
        parameters: Of the test behind it.
        depends_on: Entries it rests on.
    """
    return Entry(
        id=place(metric, ask, target), axis=AXIS, metric=metric, target=target, value=int(reason is not None),
        unit="flag", n=n, reason=reason, method=Method(metric.removesuffix("_flag"), "1", parameters or {}, ask.seed),
        data=ask.data, reproduce=ask.reproduce, depends_on=tuple(depends_on), produced_at=now(),
    )  # fmt: skip


def share(metric: str, hits: int, rows: int, ask: Ask, parameters: Mapping[str, Any]) -> Entry:
    """A share of rows with its exact interval."""
    level = ask.evaluate.interval.level
    return Entry(
        id=place(metric, ask), axis=AXIS, metric=metric, value=hits / rows, unit="share", n=rows,
        interval=Interval(*clopper_pearson(hits, rows, level), level, "clopper-pearson"),
        method=Method(metric, "1", parameters, ask.seed), data=ask.data, reproduce=ask.reproduce, produced_at=now(),
    )  # fmt: skip


def unlooked(metric: str, why: str, ask: Ask, target: str | None = None) -> Entry:
    """What makes no sense here, and why."""
    return not_applicable(place(metric, ask, target), metric, why, ask, target)
