"""Three separate questions about a bundle: unchanged? signed by whom? do its numbers come out again?"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from trueweight.bundle.integrity import Content, ManifestChangedError, inspect
from trueweight.bundle.load import Loaded, answered, build
from trueweight.evidence.record import Entry, Evidence

__all__ = ["Mismatch", "Verification", "compare_evidence", "verify_bundle"]

RELATIVE = 1e-4
"""Of metrics that are not shares: sums of float32 answers agree to about this between machines."""

FLIPPED = 1e-3
"""Share of rows whose answer may tip over where two classes tie; one row at least."""

SHARES = (
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "coverage",
    "specificity", "hamming", "jaccard", "subset_accuracy", "happened", "empty_sets",
)  # fmt: skip
"""Beginnings of names of metrics that count rows (or pairs of rows), so that one row moves them in a step."""

_EMPTY = ("not_run", "not_applicable", "failed", "claimed")
"""Statuses whose value, if any, was not measured here: there is nothing to measure again."""


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
    recompute: Callable[[Loaded], Evidence] | None = None,
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


def _reproduced(stored: Evidence, fresh: Evidence, not_again: Collection[str]) -> tuple[bool, list[str]]:
    wrong = compare_evidence(stored, fresh, not_again=not_again)
    count = sum(_measurable(entry) and entry.axis not in not_again for entry in stored)
    claimed = sum(entry.status == "claimed" for entry in stored)
    left = f"; {claimed} are claims that nobody measured" if claimed else ""
    if wrong:
        shown = [f"  {mismatch}" for mismatch in wrong]
        return False, [f"reproduced: NO, {len(wrong)} of {count} facts do not come out again{left}", *shown]
    if not count:
        return False, ["reproduced: NO, there is no number to measure again"]
    return True, [f"reproduced: yes, {count} facts measured again (all but {', '.join(sorted(not_again))}){left}"]


def compare_evidence(stored: Evidence, fresh: Evidence, *, not_again: Collection[str] = ("cost",)) -> list[Mismatch]:
    """Stored facts that fresh ones do not bear out.

    The intervals in evidence are for other data; here the data is the same, so only rounding may differ: one row
    or 0.1 % of rows for shares, 1e-4 of the value for the rest, texts exactly. Wider would let an inflated number
    pass.

    Args:
        stored: From the bundle.
        fresh: Measured again on the same data.
        not_again: Axes left out.
    """
    again = {entry.id: entry for entry in fresh}
    wrong = []
    for entry in stored:
        if entry.axis in not_again and entry.interval is None:
            continue
        if not _measurable(entry):
            continue
        other = again.get(entry.id)
        problem = _difference(entry, other) if other else f"{_shown(entry.value)} stored, not measured again"
        if problem:
            wrong.append(Mismatch(entry.id, problem))
    return wrong


def _measurable(entry: Entry) -> bool:
    return entry.status not in _EMPTY and entry.value is not None


def _difference(stored: Entry, fresh: Entry) -> str:
    """What is wrong with a stored fact, or nothing."""
    for word in ("axis", "metric", "target", "slice", "unit"):
        before, after = getattr(stored, word), getattr(fresh, word)
        if before != after:
            return f"its {word} is {after!r}, not {before!r}"
    if stored.data and fresh.data and stored.data.digest and stored.data != fresh.data:
        return "measured on other rows than these"
    if stored.n != fresh.n:
        return f"rests on {fresh.n} rows, not {stored.n}"
    allowed = _allowed(stored)
    if not _agree(stored.value, fresh.value, allowed):
        return f"{_shown(stored.value)} stored, {_shown(fresh.value)} measured"
    return _interval_difference(stored, fresh, allowed)


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


def _allowed(entry: Entry) -> float:
    """How far the fresh value may be, in the value's own unit."""
    base = entry.metric.partition("[")[0]
    if base.startswith(SHARES):
        return max(1.0 / entry.n, FLIPPED) if entry.n else FLIPPED
    if isinstance(entry.value, int):
        # Counts of rows that were answered so or so; counts of what is in the data have no answers to flip.
        return max(1.0, FLIPPED * (entry.n or 0)) if base.startswith("confusion") else 0.0
    width = abs(entry.interval.high - entry.interval.low) if entry.interval else 0.0
    return RELATIVE * max(abs(float(entry.value or 0)), width) if not isinstance(entry.value, str) else 0.0


def _agree(before: float | int | str | None, after: float | int | str | None, allowed: float) -> bool:
    if before is None or after is None or isinstance(before, str) or isinstance(after, str):
        return before == after
    # The last digits of both were rounded once more on their way through JSON and a division.
    return abs(before - after) <= allowed + 1e-12 * max(1.0, abs(before))


def _shown(value: float | int | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
