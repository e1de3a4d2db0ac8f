"""Does a model keep to the rules? Each number is judged at the unfavourable end of its interval.

What is missing, was not run, failed or is only claimed does not pass: a rule that nobody could check is not kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from trueweight.errors import SpecError
from trueweight.evidence.record import Entry, Evidence, Interval
from trueweight.metrics.ranking import ONE_CLASS
from trueweight.metrics.registry import metric
from trueweight.metrics.words import digits_for, plain, shown, signed
from trueweight.spec.gates import GateSpec

__all__ = ["Ruling", "judge_gates", "rule_words"]

_HELD_AGAINST = ("baseline", "comparison", "verdict", "confusion")
"""Axes whose entries are called like metrics of the model, and are not."""

_KNOWN = ("measured", "estimated", "bounded")
"""Statuses of numbers that somebody here found."""

_COUNTED = ("rows", "cells", "groups", "columns", "looks", "steps", "weight", "flag")
"""Units of counts: exact, so without an interval."""

MOST_NAMED = 3
"""Things named in one line before it says how many more there are."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What became of one rule."""

    rule: str
    """The rule in words, or its name."""
    passed: bool
    why: str
    """What was found, with numbers; why it does not pass."""
    entries: tuple[str, ...] = ()
    """Ids of the facts that decided."""

    def __str__(self) -> str:
        return f"{'pass' if self.passed else 'FAIL'}  {self.rule}: {self.why}"


def judge_gates(gates: Sequence[GateSpec], evidence: Evidence) -> list[Ruling]:
    """One ruling for each rule, in their order."""
    return [_ruling(gate, evidence) for gate in gates]


def rule_words(gate: GateSpec) -> str:
    """A rule as people say it: ``fraud roc_auc at least 0.85``."""
    if gate.no_flags is not None:
        return "no flag of any check" if gate.no_flags == "all" else f"no flag of {gate.no_flags}"
    if gate.measured is not None:
        return f"measured: {', '.join(gate.measured)}"
    part = "" if gate.slice is None else " of every slice" if gate.slice == "every" else f" of {gate.slice}"
    words = [gate.axis or "", gate.target or "", f"{gate.metric}{part}", f"on {gate.role} rows" if gate.role else ""]
    limits = [("at least", gate.at_least), ("at most", gate.at_most)]
    demands = [f"{word} {limit:g}" for word, limit in limits if limit is not None]
    demands += [f"better than {gate.better_than}"] if gate.better_than is not None else []
    return " ".join([*(word for word in words if word), " and ".join(demands)])


def _ruling(gate: GateSpec, evidence: Evidence) -> Ruling:
    rule = gate.name or rule_words(gate)
    if gate.no_flags is not None:
        return _no_flags(rule, gate.no_flags, evidence)
    if gate.measured is not None:
        return _measured(rule, gate.measured, evidence)
    if gate.better_than is not None:
        return _better(rule, gate, evidence)
    found = _meant(gate, evidence)
    if isinstance(found, str):
        return Ruling(rule, False, found)
    found, skipped = _rankable(gate, found)
    rulings = [_within(rule, gate, entry) for entry in found]
    failed = [ruling for ruling in rulings if not ruling.passed]
    if len(rulings) == 1 and not skipped:
        return rulings[0]
    ids = tuple(entry for ruling in failed or rulings for entry in ruling.entries)
    if not failed:
        kept = "the only other slice keeps to it" if len(rulings) == 1 else f"all {len(rulings)} slices keep to it"
        return Ruling(rule, True, f"{kept}{skipped}", ids)
    shown_ones = "; ".join(f"{found[rulings.index(r)].slice}: {r.why}" for r in failed[:MOST_NAMED])
    more = f"; and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
    return Ruling(rule, False, f"{len(failed)} of {len(rulings)} slices do not: {shown_ones}{more}{skipped}", ids)


def _rankable(gate: GateSpec, found: list[Entry]) -> tuple[list[Entry], str]:
    """Every slice but those of one class, where there is nothing to rank; and words that name these.

    Where no slice is left, all stay, and the rule fails: nothing was judged.
    """
    alone = [e for e in found if e.status == "not_applicable" and e.reason == ONE_CLASS]
    if gate.slice != "every" or not alone or len(alone) == len(found):
        return found, ""
    told = f"; not judged: {_some([str(e.slice) for e in alone])} ({ONE_CLASS})"
    return [e for e in found if e not in alone], told


# --- Which number is meant -------------------------------------------------------------------------------------------


def _meant(gate: GateSpec, evidence: Evidence) -> list[Entry] | str:
    """The entries that a rule is about, several only where it asks for every slice; or why there is none."""
    named = [e for e in evidence if e.metric == gate.metric and e.target == gate.target]
    named = [e for e in named if (e.axis == gate.axis if gate.axis else e.axis not in _HELD_AGAINST)]
    if not named:
        return _nothing(gate, evidence)
    found = [e for e in named if (e.slice is not None if gate.slice == "every" else e.slice == gate.slice)]
    if gate.slice != "every":
        found = [e for e in found if e.axis == "quality"] or found
    elif gate.axis is None:  # parts that other checks know of, such as rows without twins, are not groups of cases
        found = [e for e in found if e.axis == "slices"] or [e for e in found if e.axis != "quality"] or found
    if not found:
        slices = list(dict.fromkeys(e.slice for e in named if e.slice))
        near = get_close_matches(gate.slice or "", slices, n=1)
        said = f"did you mean {near[0]!r}?" if near else f"there is {_some(slices)}"
        return f"not measured of {gate.slice or 'all rows'}; {said}"
    found, reason = _of_role(gate, found)
    if not found:
        return reason
    if len({e.axis for e in found}) > 1:
        return f"several numbers are called so: say axis: {' or '.join(sorted({e.axis for e in found}))}"
    if len(found) > 1 and gate.slice != "every":
        return f"several numbers are called so: {_some([e.id for e in found])}"
    return found


def _of_role(gate: GateSpec, found: list[Entry]) -> tuple[list[Entry], str]:
    """Those of the rows that the rule is about: test rows, or whatever later evidence is of."""
    roles = list(dict.fromkeys(e.data.role for e in found if e.data is not None))
    if not roles:  # costs and counts are of no rows
        return found, ""
    asked = [gate.role] if gate.role else ["test", "other", "all"]
    for role in asked:
        if kept := [e for e in found if e.data is not None and e.data.role == role]:
            return kept, ""
    said = f"say role: {roles[0]} if that is what you want"
    return [], f"measured on {' and '.join(roles)} rows, not on {gate.role or 'test'} rows; {said}"


def _nothing(gate: GateSpec, evidence: Evidence) -> str:
    """Why no entry is the one that a rule asks for, with what comes near."""
    asked = gate.axis or "quality"
    refused = [e for e in evidence if e.axis == asked and e.target is None and e.status in ("not_run", "failed")]
    if refused:
        return f"{_status(refused[0])}: {refused[0].reason}"
    targets = list(dict.fromkeys(e.target for e in evidence if e.target is not None))
    if gate.target is not None and gate.target not in targets:
        return _no_target(gate, targets)
    names = list(dict.fromkeys(e.metric for e in evidence if e.target == gate.target and "[" not in e.metric))
    near = get_close_matches(gate.metric or "", names, n=1)
    return f"not measured; did you mean {near[0]!r}?" if near else "not measured"


def _no_target(gate: GateSpec, targets: Sequence[str]) -> str:
    return f"not measured: there is no target {gate.target!r}, only {_some(targets)}"


def _some(names: Sequence[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(repr, names[:MOST_NAMED])) + more


def _status(entry: Entry) -> str:
    return entry.status.replace("_", " ")


# --- Numbers ---------------------------------------------------------------------------------------------------------


def _within(rule: str, gate: GateSpec, entry: Entry) -> Ruling:
    ends = _ends(entry)
    if isinstance(ends, str):
        return Ruling(rule, False, ends, (entry.id,))
    low, high = ends
    said = _said(entry)
    if gate.at_least is not None and low < gate.at_least:
        return Ruling(rule, False, f"{said}{_end(entry, 'low', low, gate.at_least)}", (entry.id,))
    if gate.at_most is not None and high > gate.at_most:
        return Ruling(rule, False, f"{said}{_end(entry, 'high', high, gate.at_most)}", (entry.id,))
    return Ruling(rule, True, said, (entry.id,))


def _ends(entry: Entry) -> tuple[float, float] | str:
    """The least and the most that a number may be; or why nobody knows."""
    if entry.status not in _KNOWN:
        return f"{_status(entry)}: {entry.reason or 'nobody measured it'}"
    if isinstance(entry.value, str | None):
        return f"no number: {entry.value or entry.reason or 'nothing was found'}"
    if entry.interval is not None:
        return entry.interval.low, entry.interval.high
    counted = isinstance(entry.value, int) or entry.unit in _COUNTED
    if entry.n is not None and not counted and entry.status != "bounded":
        return f"{plain(float(entry.value), 3)}, but nobody knows how sure: {entry.reason or 'it has no interval'}"
    return float(entry.value), float(entry.value)


def _said(entry: Entry) -> str:
    value = float(entry.value or 0)
    found = entry.interval
    text, ends = shown(value, *((found.low, found.high) if found else (None, None)))
    unit = f" {entry.unit}" if entry.unit and entry.unit != "target" else ""
    rows = f", n = {entry.n:,}" if entry.n is not None else ""
    return f"{text}{unit}{f' ({ends})' if ends else ''}{rows}"


def _end(entry: Entry, which: str, end: float, limit: float) -> str:
    """The end that decides, with as many digits as tell it from the limit."""
    if entry.interval is None:
        return ""
    decimals = digits_for((entry.interval.high - entry.interval.low) / 2, end)
    while plain(end, decimals) == plain(limit, decimals) and decimals < 6:
        decimals += 1
    return f"; its {which} end is {plain(end, decimals)}"


# --- Baselines -------------------------------------------------------------------------------------------------------


def _better(rule: str, gate: GateSpec, evidence: Evidence) -> Ruling:
    rivals = {}
    for entry in evidence.select(axis="comparison", target=gate.target, metric=gate.metric):
        if not isinstance(entry.value, str):
            rivals[entry.id.rpartition("/")[2]] = entry
    if gate.better_than not in rivals:
        targets = list(dict.fromkeys(e.target for e in evidence if e.target is not None))
        unknown = gate.target is not None and gate.target not in targets
        why = f"not compared by {gate.metric}; there is {_some(list(rivals))}"
        return Ruling(rule, False, _no_target(gate, targets) if unknown else why)
    entry = rivals[gate.better_than]
    if entry.value is None or entry.status not in _KNOWN:
        return Ruling(rule, False, f"{_status(entry)}: {entry.reason or 'nobody compared them'}", (entry.id,))
    return _shown_better(rule, gate, entry, float(entry.value))


def _shown_better(rule: str, gate: GateSpec, entry: Entry, value: float) -> Ruling:
    found: Interval | None = entry.interval
    if found is None:
        return Ruling(rule, False, f"{signed(value, 3)}, no interval: {entry.reason or 'unknown why'}", (entry.id,))
    decimals = digits_for((found.high - found.low) / 2, value)
    ends = f"{signed(found.low, decimals)} … {signed(found.high, decimals)}"
    said = f"{signed(value, decimals)} ({ends}) on the same rows"
    try:
        greater = metric(gate.metric or "").greater_is_better
    except SpecError as error:
        return Ruling(rule, False, error.problem, (entry.id,))
    if entry.reason:  # too few rows make the difference
        return Ruling(rule, False, f"not shown: {said}; {entry.reason}", (entry.id,))
    if (found.low > 0) if greater else (found.high < 0):
        return Ruling(rule, True, said, (entry.id,))
    worse = (found.high < 0) if greater else (found.low > 0)
    return Ruling(rule, False, f"{'worse' if worse else 'not shown'}: {said}", (entry.id,))


# --- Checks ----------------------------------------------------------------------------------------------------------


def _no_flags(rule: str, check: str, evidence: Evidence) -> Ruling:
    mine = [e for e in evidence if check in ("all", e.axis)]
    flags = [e for e in mine if e.metric.endswith("flag")]
    raised = [e for e in flags if e.status in _KNOWN and e.value not in (0, None)]
    ids = tuple(e.id for e in raised)
    if raised:
        told = "; ".join(e.reason or e.id for e in raised[:MOST_NAMED])
        more = f"; and {len(raised) - MOST_NAMED} more" if len(raised) > MOST_NAMED else ""
        return Ruling(rule, False, f"{len(raised)} raised: {told}{more}", ids)
    blind = [e for e in mine if e.status in ("failed", "not_run") and e.metric.endswith(("flag", "check"))]
    if blind:
        return Ruling(rule, False, f"{_status(blind[0])}: {blind[0].reason}", tuple(e.id for e in blind))
    looked = [e for e in flags if e.status in _KNOWN and e.value is not None]
    if not looked:
        open_ones = flags or [e for e in mine if e.metric == "check"]
        why = f"{_status(open_ones[0])}: {open_ones[0].reason}" if open_ones else "nobody looked"
        return Ruling(rule, False, why, tuple(e.id for e in open_ones))
    return Ruling(rule, True, f"{len(looked)} looked at, none raised", tuple(e.id for e in looked))


def _measured(rule: str, checks: Sequence[str], evidence: Evidence) -> Ruling:
    missing, found = [], list[str]()
    for check in checks:
        mine = evidence.select(axis=check)
        gaps = [e for e in mine if e.status in ("failed", "not_run")]
        known = [e for e in mine if e.status in _KNOWN and e.value is not None]
        if gaps:
            missing.append(f"{check} {_status(gaps[0])}: {gaps[0].reason}")
        elif not known:
            missing.append(f"{check}: {f'{_status(mine[0])}: {mine[0].reason}' if mine else 'nobody looked'}")
        found += [e.id for e in gaps or known]
    if missing:
        return Ruling(rule, False, "; ".join(missing), tuple(found))
    return Ruling(rule, True, f"{len(found)} facts", tuple(found))
