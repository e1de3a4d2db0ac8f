"""Three separate questions about a bundle: unchanged? signed by whom? do its numbers come out again?"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trueweight.bundle.integrity import Content, ManifestChangedError, inspect
from trueweight.bundle.load import Loaded, answered, build
from trueweight.bundle.verify_parameters import different_parameters
from trueweight.evaluate.tipping import Tipping
from trueweight.evidence.record import Entry, Evidence

__all__ = ["Again", "Mismatch", "Verification", "compare_evidence", "verify_bundle"]

RELATIVE = 1e-4
"""Of metrics of probabilities and amounts: sums of float32 answers agree to about this between machines. Of what has
no unit, half a row's worth if that is less."""

ROUNDING = 1e-9
"""Of everything: the last digits were rounded once more on their way through JSON and a division."""

ANSWERED = (
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "coverage", "specificity", "hamming", "jaccard",
    "subset_accuracy",
)  # fmt: skip
"""Beginnings of names of metrics that look at nothing but which answers are right."""

_COUNTS = ("rows", "weight")

_EMPTY = ("not_run", "not_applicable", "failed", "claimed")
"""Statuses whose value, if any, was not measured here: there is nothing to measure again."""


@dataclass(frozen=True, slots=True)
class Again:
    """What was measured again, and how it may differ from the first time."""

    evidence: Evidence
    tipping: Mapping[str, Tipping] = field(default_factory=dict)
    """Rows whose answer rounding may tip: of the model by target, of a baseline by ``linear/TARGET``."""
    whole: bool = False
    """Whether all that a bundle holds was measured, so that what it does not hold was left out."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One stored fact that did not come out again."""

    id: str
    problem: str
    """With both values in it."""

    def __str__(self) -> str:
        return f"{self.id}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found, in three separate words."""

    unchanged: bool
    """Every file is as the manifest says."""
    changed: list[str]
    """Files that are not."""
    signed_by: str | None
    """The key's name, if the caller trusts it; None: not signed."""
    reproduced: bool | None
    """Whether the numbers came out again; None: not asked."""
    answers: bool | None
    """Whether the golden rows get their answers here; None: none, or not tried because of changes."""
    lines: list[str]
    """The same in words, for people."""

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    @property
    def ok(self) -> bool:
        """Nothing that was looked at is wrong."""
        return self.unchanged and self.answers is not False and self.reproduced is not False


def verify_bundle(
    path: Path | str,
    *,
    recompute: Callable[[Loaded], Evidence | Again] | None = None,
    allow: Sequence[str] = (),
    not_again: Collection[str] = ("cost",),
) -> Verification:
    """Check a bundle, changing nothing.

    Args:
        path: The bundle's folder.
        recompute: Measures the evidence again, on data that the caller has. Left out: numbers are not reproduced.
        allow: Distributions whose parts may be imported; see :func:`trueweight.bundle.load.load_bundle`.
        not_again: Axes that ``recompute`` does not measure. Seconds never come out twice; every other number
            that is not measured again counts as not reproduced.

    Raises:
        VerifyError: Not a bundle at all, of a format this version cannot read, or in need of parts that are not
            installed or not allowed. Changed files are not an error here but an answer.
    """
    content, changed = _looked_at(Path(path))
    if content is None or changed:
        lines = [f"unchanged: NO. {'; '.join(changed)}", _SIGNED, "reproduced: not tried, the files are changed"]
        return Verification(False, changed, None, None if recompute is None else False, None, lines)
    loaded = build(content, allow)
    lines = [f"unchanged: yes, {len(content.files) + 1} files, {loaded.manifest.digest}", _SIGNED]
    answers, line = _answers(loaded)
    if recompute is None or answers is False:
        reproduced = None if recompute is None else False
        lines.append(f"reproduced: not {'asked (--recompute --data FILE)' if recompute is None else 'tried'}")
    else:
        reproduced, more = _reproduced(loaded.evidence, recompute(loaded), not_again)
        lines += more
    return Verification(True, [], None, reproduced, answers, [*lines, line])


_SIGNED = "signed by: nobody, the bundle is not signed"


def _looked_at(path: Path) -> tuple[Content | None, list[str]]:
    try:
        content, changes = inspect(path)
    except ManifestChangedError as error:
        return None, [error.problem]
    return content, [str(change) for change in changes]


def _answers(loaded: Loaded) -> tuple[bool | None, str]:
    if loaded.golden is None:
        return None, "answers: the bundle has no golden rows"
    result = answered(loaded.predictor, loaded.golden)
    if not result.ok:
        return False, f"answers: NO, the golden rows are answered differently: {result.problems[0]}"
    worst = max(result.largest.values(), default=0.0)
    return True, f"answers: as recorded, {len(loaded.golden.table)} golden rows, largest difference {worst:.1g}"


def _reproduced(stored: Evidence, fresh: Evidence | Again, not_again: Collection[str]) -> tuple[bool, list[str]]:
    again = fresh if isinstance(fresh, Again) else Again(fresh)
    wrong = compare_evidence(stored, again.evidence, not_again=not_again, tipping=again.tipping, whole=again.whole)
    count = sum(_measurable(entry) and not _left_out(entry, not_again) for entry in stored)
    claimed = sum(entry.status == "claimed" for entry in stored)
    left = f"; {claimed} are claims that nobody measured" if claimed else ""
    if wrong:
        shown = [f"  {mismatch}" for mismatch in wrong]
        return False, [f"reproduced: NO, {len(wrong)} of {count} facts do not come out again{left}", *shown]
    if not count:
        return False, ["reproduced: NO, there is no number to measure again"]
    return True, [f"reproduced: yes, {count} facts measured again (all but {', '.join(sorted(not_again))}){left}"]


def compare_evidence(
    stored: Evidence, fresh: Evidence, *, not_again: Collection[str] = ("cost",),
    tipping: Mapping[str, Tipping] | None = None, whole: bool = False,
) -> list[Mismatch]:  # fmt: skip
    """Stored facts that fresh ones do not bear out.

    The intervals in evidence are for other data; here the data is the same, so only rounding may differ: for shares
    and counts of answers, the rows whose answer hangs by a hair, mostly none; 1e-4 of the value for the rest; texts
    exactly. Wider would let an inflated number pass. What a method says of itself (p, thresholds, draws) must come
    out again too.

    Args:
        stored: From the bundle.
        fresh: Measured again on the same data.
        not_again: Axes left out.
        tipping: See :class:`Again`.
        whole: Whether what is only in ``fresh`` was left out of ``stored``.
    """
    again = {entry.id: entry for entry in fresh}
    kept = [entry for entry in stored if not _left_out(entry, not_again)]
    problems = [(entry.id, _problem(entry, again.get(entry.id), tipping or {}, whole)) for entry in kept]
    known, axes = {entry.id for entry in stored}, {entry.axis for entry in stored}
    more = [e for e in fresh if e.id not in known and e.axis in axes and not _left_out(e, not_again)] if whole else []
    problems += [(e.id, f"{_shown(e.value)} measured, left out of the evidence") for e in more if _measurable(e)]
    return [Mismatch(place, problem) for place, problem in problems if problem]


def _left_out(entry: Entry, not_again: Collection[str]) -> bool:
    """Whether nobody measures this again. A number of another axis cannot hide there: its id gives it away."""
    return entry.axis in not_again and entry.id.startswith(f"{entry.axis}/")


def _measurable(entry: Entry) -> bool:
    return entry.status not in _EMPTY and entry.value is not None


def _problem(stored: Entry, fresh: Entry | None, tipping: Mapping[str, Tipping], whole: bool) -> str:
    """What is wrong with a stored fact, or nothing."""
    if not _measurable(stored):
        # A check that failed then may not fail now, and was told; what can be measured must not be kept silent about.
        hidden = fresh is not None and _measurable(fresh) and stored.status != "failed"
        return f"said to be {stored.status.replace('_', ' ')}, {_shown(fresh.value)} measured" if hidden else ""  # type: ignore[union-attr]
    if fresh is None:
        return f"{_shown(stored.value)} stored, not measured again"
    if not _measurable(fresh):
        return f"{_shown(stored.value)} stored, now {fresh.status.replace('_', ' ')}: {fresh.reason}"
    found = _difference(stored, fresh, _allowed(stored, _tipping_of(stored, tipping)))
    before, after = (one.method.parameters if one.method else {} for one in (stored, fresh))
    return found or different_parameters(before, after, whole)


def _difference(stored: Entry, fresh: Entry, allowed: float) -> str:
    for word in ("axis", "metric", "target", "slice", "unit", "status"):
        before, after = getattr(stored, word), getattr(fresh, word)
        if before != after:
            return f"its {word} is {after!r}, not {before!r}"
    if stored.data and fresh.data and stored.data.digest and stored.data != fresh.data:
        return "measured on other rows than these"
    if stored.n != fresh.n:
        return f"rests on {fresh.n} rows, not {stored.n}"
    if not _agree(stored.value, fresh.value, allowed):
        return f"{_shown(stored.value)} stored, {_shown(fresh.value)} measured"
    if stored.metric.endswith("flag") and _words(stored.reason) != _words(fresh.reason):
        return f"its reason is {fresh.reason!r}, not {stored.reason!r}"
    return _interval_difference(stored, fresh, allowed) or _curve_difference(stored, fresh)


def _curve_difference(stored: Entry, fresh: Entry) -> str:
    """Whether a line has other points: each may be off by rounding, 1e-4 of the line's own height."""
    before, after = stored.curve, fresh.curve
    if before is None or after is None:
        return "" if before is after else f"it has {'a curve' if before else 'no curve'}, measured again {after!r:.40}"
    if (before.x, before.y, len(before.points), before.n) != (after.x, after.y, len(after.points), after.n):
        return "its curve is another one"
    for name, old, new in (("point", before.points, after.points), ("band", before.band, after.band)):
        if len(old) != len(new):
            return "its curve has another band"
        for place in (0, 1):
            allowed = RELATIVE * max((abs(pair[place]) for pair in new), default=0.0)
            for was, found in zip(old, new, strict=True):
                if not _agree(was[place], found[place], allowed):
                    return f"a {name} of its curve is {_shown(was[place])}, {_shown(found[place])} measured"
    return ""


def _words(text: str | None) -> str:
    """A sentence without its numbers, whose last digits may differ."""
    return re.sub(r"[-+−]?\d[\d.,]*(e[-+]?\d+)?", "#", text or "")


def _interval_difference(stored: Entry, fresh: Entry, allowed: float) -> str:
    before, after = stored.interval, fresh.interval
    if before is None or after is None:
        return "" if before is after else f"its interval is {after}, not {before}"
    if (before.level, before.method) != (after.level, after.method):
        return f"its interval is {after.level} {after.method}, not {before.level} {before.method}"
    if not (_agree(before.low, after.low, allowed) and _agree(before.high, after.high, allowed)):
        stated = f"{_shown(before.low)} … {_shown(before.high)}"
        return f"interval {stated} stored, {_shown(after.low)} … {_shown(after.high)} measured"
    return ""


def _tipping_of(entry: Entry, known: Mapping[str, Tipping]) -> Tipping:
    """The rows that may tip in what an entry counts: the model's, a baseline's, or both."""
    target, pieces = entry.target or "", entry.id.split("/")
    ours = known.get(target, Tipping())
    if entry.axis == "baseline":
        return known.get(f"{pieces[1]}/{target}", Tipping())
    return ours + known.get(f"{pieces[-1]}/{target}", Tipping()) if entry.axis == "comparison" else ours


def _allowed(entry: Entry, tipping: Tipping) -> float:
    """How far the fresh value may be, in the value's own unit."""
    if entry.value is None or isinstance(entry.value, str):
        return 0.0
    if entry.unit in _COUNTS:
        return tipping.weight if entry.target is not None else 0.0
    if isinstance(entry.value, int):
        return 0.0
    if entry.metric.startswith(ANSWERED):
        return tipping.share
    width = abs(entry.interval.high - entry.interval.low) if entry.interval else 0.0
    allowed = RELATIVE * max(abs(entry.value), width)
    return allowed if entry.unit is not None or not entry.n else min(allowed, 0.5 / entry.n)


def _agree(before: float | int | str | None, after: float | int | str | None, allowed: float) -> bool:
    if before is None or after is None or isinstance(before, str) or isinstance(after, str):
        return before == after
    return abs(before - after) <= allowed + ROUNDING * max(1.0, abs(before))


def _shown(value: float | int | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
