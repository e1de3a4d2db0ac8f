"""Six questions of a sceptic, answered from the evidence alone. What it does not hold is said, never guessed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from trueweight.errors import TrueweightError
from trueweight.evidence.record import Entry
from trueweight.metrics.registry import metric
from trueweight.metrics.words import brief
from trueweight.report.facts import Facts
from trueweight.report.findings import findings
from trueweight.report.html import Child, el, join
from trueweight.report.numbers import in_bytes, is_share, short, spoken, value_of
from trueweight.report.subject import Elsewhere, Subject
from trueweight.report.words import Words

__all__ = ["Answer", "Asked", "Tone", "answers", "greater_is_better", "rival_name", "telling"]

Tone = Literal["good", "mind", "bad", "open"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What every answer is found from."""

    subject: Subject
    words: Words
    facts: Facts


@dataclass(frozen=True, slots=True)
class Answer:
    """One question's answer: a few words, then why."""

    question: str
    """Key of the question's words."""
    short: Child
    lines: tuple[Child, ...]
    tone: Tone


def answers(asked: Asked) -> list[Answer]:
    """All six, in order."""
    found: tuple[Callable[[Asked], Answer], ...] = (_better, _sure, _fails, _same, _open, _help)
    return [answer(asked) for answer in found]


def rival_name(words: Words, rival: str) -> str:
    """A simple model in words."""
    return words(f"rival.{rival}") if rival in _RIVALS else rival


_RIVALS = ("linear", "constant", "gbdt", "copy", "nearest_neighbour", "n_gram")


def _better(asked: Asked) -> Answer:
    subject, words = asked.subject, asked.words
    told = [(e, _told_of(subject, e)) for e in subject.evidence.select(axis="verdict")]
    if not told:
        return Answer("q.better", words("better.none"), (words(subject.key("better.none.more")),), "open")
    lines = tuple(_difference(asked, verdict, entry) for verdict, entry in told if entry is not None)[:4]
    lines += (_against_your_own(asked),)
    # The hardest rival decides: whoever beats only a constant answer has shown little.
    ranks = {"no": 0, "undefined": 1, "open": 2, "same": 2, "small": 3, "yes": 4}
    found = ((_size(subject, entry, _rival(verdict)), _rival(verdict)) for verdict, entry in told)
    worst, rival = min(found, key=lambda one: ranks[one[0]])
    tone: Tone = {"yes": "good", "no": "bad"}.get(worst, "mind")  # type: ignore[assignment]
    return Answer("q.better", words(f"better.{worst}", rival=rival_name(words, rival)), lines, tone)


def _against_your_own(asked: Asked) -> Child:
    """What the evidence cannot know: how it does against the model that the reader has already."""
    command = el("code", f"trueweight diff OLD.bundle {asked.subject.name}.bundle")
    before, _, after = asked.words("better.yours", command="\0").partition("\0")
    return join(before, command, after)


def telling(subject: Subject, target: str) -> Entry | None:
    """The score that people understand: how often right, or by how much off."""
    scores = [e for e in subject.scores(target) if value_of(e) is not None]
    by_name = {e.metric: e for e in scores}
    wanted = (by_name[name] for name in ("accuracy", "subset_accuracy", "mae", "rmse") if name in by_name)
    return next(wanted, scores[0] if scores else None)


def _rival(verdict: Entry) -> str:
    return verdict.id.split("/")[-1]


def _told_of(subject: Subject, verdict: Entry) -> Entry | None:
    """The comparison that a verdict puts into words."""
    return next((e for e in subject.evidence if e.id in verdict.depends_on), None)


def _outcome(entry: Entry | None) -> str:
    if entry is None or entry.interval is None or value_of(entry) is None:
        return "undefined" if entry is None or value_of(entry) is None else "open"
    if entry.interval.low == entry.interval.high == 0:
        return "same"  # the blend is that very model
    better, worse = entry.interval.low > 0, entry.interval.high < 0
    if not greater_is_better(entry.metric):
        better, worse = worse, better
    return "yes" if better else "no" if worse else "open"


SMALL = 0.01
"""Of what a simple model leaves to gain: a smaller difference may be shown, and is hardly worth a larger model."""


def _size(subject: Subject, entry: Entry | None, rival: str) -> str:
    """The outcome; of what is shown better, whether by a very small amount."""
    outcome = _outcome(entry)
    theirs = subject.rival_score(rival, entry) if entry is not None and outcome == "yes" else None
    if entry is None or theirs is None or (value := value_of(theirs)) is None:
        return outcome
    try:  # the best that there is: 1 of shares, areas and r2, 0 of losses and errors
        left = 1 - value if metric(entry.metric).greater_is_better else value
    except TrueweightError:  # another package's metric, whose best nobody here knows
        return outcome
    return "small" if abs(value_of(entry) or 0.0) < SMALL * left else outcome


def greater_is_better(name: str) -> bool:
    """Of a metric; of one that is not known here (another package's), more is taken to be better."""
    try:
        return metric(name).greater_is_better
    except TrueweightError:
        return True


def _difference(asked: Asked, verdict: Entry, entry: Entry) -> Child:
    value, low, high = spoken(entry, plus=True)
    many = len(asked.subject.targets()) > 1
    if _outcome(entry) == "same":
        rival = rival_name(asked.words, _rival(verdict))
        return join(
            f"{entry.target}: " if many else None,
            _filled(asked, "better.each.same", "value", entry, value, rival=rival),
        )
    key, pieces = ("better.each", {"low": low, "high": high}) if low else ("better.each.bare", {})
    said = asked.words(
        key,
        rival=rival_name(asked.words, _rival(verdict)),
        metric=asked.words.metric(entry.metric),
        value="\0",
        **pieces,
    )
    before, _, after = said.partition("\0")
    return join(f"{entry.target}: " if many else None, before, asked.facts.button(entry, value), after)


def _sure(asked: Asked) -> Answer:
    subject, words = asked.subject, asked.words
    first = [e for t in subject.targets() if (e := telling(subject, t.name)) is not None]
    if not first:
        return Answer("q.sure", words("none"), (words("none.more"),), "bad")
    lines: list[Child] = []
    entry = first[0]
    _, low, high = spoken(entry)
    known = bool(low)
    said = (
        words("sure.interval", metric=words.metric(entry.metric), low=low, high=high) if known else words("sure.none")
    )
    rows = words.counted(entry.n or 0, "row")
    lines.append(words(subject.key("sure.rows") if subject.role != "validation" else "sure.validation", rows=rows))
    looks = [e for e in subject.evidence if e.metric == "look" and isinstance(e.value, int)]
    lines += [_filled(asked, "sure.look", "look", e, str(e.value)) for e in looks[:1]]
    lines += _trust(asked)
    many_looks = any(isinstance(e.value, int) and e.value > MANY_LOOKS for e in looks)
    wide = [one for one in first if one.interval is not None and _wide(one)]
    lines += [words("sure.wide")] if wide else []
    sure = known and not many_looks and subject.role == "test" and not wide
    return Answer("q.sure", said, tuple(lines), "good" if sure else "mind")


WIDE_SHARE, WIDE = 0.1, 0.25
"""Widths of an interval from which on little is known: of a share, and of others as a share of the value."""


def _wide(entry: Entry) -> bool:
    assert entry.interval is not None
    width = entry.interval.high - entry.interval.low
    return width > (WIDE_SHARE if is_share(entry) else WIDE * abs(value_of(entry) or 0.0))


MANY_LOOKS = 5
"""Looks at the same test rows from which on the choice among runs may have been made by them."""


def _trust(asked: Asked) -> list[Child]:
    """Probabilities and intervals: do they hold what they say?"""
    subject, found = asked.subject, list[Child]()
    errors = [
        e for e in subject.evidence.select(axis="calibration") if e.metric.startswith("ece") and value_of(e) is not None
    ]
    for entry in errors[:1]:
        # A debiased error may be below 0: that is none.
        key = "sure.calibration" if (value_of(entry) or 0.0) > 0 else "sure.calibrated"
        told = asked.words(key, metric=asked.words.metric(entry.metric), value="\0").partition("\0")
        found.append(join(told[0], asked.facts.button(entry), told[2]))
    covered = [e for e in subject.evidence if e.metric == "coverage" and e.slice is None and value_of(e) is not None]
    found += [_filled(asked, "sure.coverage", "value", e, spoken(e)[0]) for e in covered[:1]]
    numbers = {facts.type for facts in subject.targets()} <= {"number", "vector"}
    return found or [asked.words("sure.numbers.not" if numbers else "sure.calibration.not")]


def _filled(asked: Asked, key: str, name: str, entry: Entry, text: str, **more: str) -> Child:
    """A sentence with one number in it that opens."""
    before, _, after = asked.words(key, **{name: "\0"}, **more).partition("\0")
    return join(before, asked.facts.button(entry, text), after)


def _fails(asked: Asked) -> Answer:
    subject, words = asked.subject, asked.words
    flags = [e for e in subject.evidence if e.axis in ("slices", "fairness") and e.metric.endswith("flag")]
    raised = [e for e in flags if e.value == 1]
    if raised:
        axes = [axis for axis in ("slices", "fairness") if any(e.axis == axis for e in raised)]
        first = raised[:2] if len(axes) == 1 else [next(e for e in raised if e.axis == axis) for axis in axes]
        # What to do about it stands below, under what to mind.
        lines: list[Child] = [asked.facts.button(e, short((e.reason or "").split("; ")[0], 260)) for e in first]
        return Answer("q.fails", words(f"fails.flag.{axes[0] if len(axes) == 1 else 'both'}"), tuple(lines), "bad")
    looked = any(e.value == 0 for e in flags)
    missing: tuple[Child, ...] = _weakest(asked) if looked else (_not_looked(asked, flags),)
    if (worst := _worst_class(subject)) is not None:
        label, entry = worst
        rows = _rows_of(subject, entry)
        line = words("fails.class.more", rows=words.counted(rows, "row"), label=label, value="\0")
        before, _, after = line.partition("\0")
        found = join(before, asked.facts.button(entry, spoken(entry)[0]), after)
        return Answer("q.fails", words("fails.class", label=label), (found, *missing), "mind")
    if (tail := _tenth(subject)) is not None:
        entry, value = tail
        told = _filled(asked, "fails.ends", "value", entry, brief(value))
        said, tone = ("fails.nothing", "good") if looked else ("fails.not", "open")
        return Answer("q.fails", words(said), (told, *missing), tone)  # type: ignore[arg-type]
    if looked:
        return Answer("q.fails", words("fails.nothing"), missing, "good")
    return Answer("q.fails", words("fails.not"), (words("fails.not.more"),), "open")


def _not_looked(asked: Asked, flags: Sequence[Entry]) -> Child:
    """Why parts of the rows were not looked at, where that is known."""
    why = next((e.reason for e in flags if e.axis == "slices" and e.reason), None)
    return asked.words("fails.slices.why", why=short(why, 160)) if why else asked.words("fails.slices.not")


def _weakest(asked: Asked) -> tuple[Child, ...]:
    """The part of the rows that the check of slices puts first: the worst, though chance may explain it."""
    known = [e for e in asked.subject.evidence.select(axis="slices") if e.slice and value_of(e) is not None]
    # Declared ones are in the order of the spec; of one without interval, or of few rows, chance may tell anything.
    least = asked.subject.spec.bundle.min_group
    parts = [e for e in known if not e.id.startswith("slices/declared/") and e.interval and (e.n or 0) >= least]
    if not parts:
        return (asked.words("fails.groups"),)
    part, metric = short(parts[0].slice or "", 60), asked.words.metric(parts[0].metric)
    before, _, after = asked.words("fails.weakest", part=part, metric=metric, value="\0").partition("\0")
    return asked.words("fails.groups"), join(before, asked.facts.button(parts[0], spoken(parts[0])[0]), after)


def _worst_class(subject: Subject) -> tuple[str, Entry] | None:
    """The class that is found least often."""
    found = [
        (e.metric.partition("[")[2].removesuffix("]"), e)
        for e in subject.evidence.select(axis="quality")
        if e.metric.startswith("recall[") and e.slice is None and value_of(e) is not None
    ]
    # By the favourable end: a class of few rows, none of which was found, is not known to be bad.
    known = [one for one in found if one[1].interval is not None and (value_of(one[1]) or 0.0) < 1]
    known = [one for one in known if _rows_of(subject, one[1]) >= subject.spec.bundle.min_group]
    return min(known, key=lambda one: one[1].interval.high if one[1].interval else 1.0, default=None)


def _rows_of(subject: Subject, entry: Entry) -> int:
    """Judged rows of the class of a recall, from the confusion counts; 0 where there are none."""
    label = entry.metric.partition("[")[2].removesuffix("]")
    cells = [
        e for e in subject.evidence.select(axis="confusion", target=entry.target)
        if e.metric.partition(" answered as ")[0] == label and e.unit == "rows"
    ]  # fmt: skip
    return int(sum(value_of(e) or 0 for e in cells))


def _tenth(subject: Subject) -> tuple[Entry, float] | None:
    """The error that one row in ten exceeds, where that tenth is a group of rows."""
    for entry in subject.evidence.select(axis="curve", metric="error_quantiles"):
        if entry.curve is not None and (entry.n or 0) >= 10 * subject.spec.bundle.min_group:
            last = [y for x, y in entry.curve.points if abs(x - 0.9) < 1e-6]
            if last:
                return entry, last[0]
    return None


def _same(asked: Asked) -> Answer:
    subject, words = asked.subject, asked.words
    if subject.elsewhere is not None:
        return _same_elsewhere(asked, subject.elsewhere)
    said = words("same.golden", count=subject.golden) if subject.golden else words("same.digests")
    signed = words("same.signed", who=subject.signed_by) if subject.signed_by else words("same.unsigned")
    return Answer("q.same", words("same.yes"), (said, signed), "good")


def _same_elsewhere(asked: Asked, one: Elsewhere) -> Answer:
    """A file can be held against its digest; what was handed over in memory cannot."""
    words, model = asked.words, short(one.model, 60)
    if not asked.subject.digest:
        return Answer("q.same", words("same.memory"), (words("same.memory.more", model=model),), "open")
    digest = asked.subject.digest.removeprefix("sha256:")
    compare = words("same.compare", model=model, digest=digest)
    if one.same is None:
        return Answer("q.same", words("same.absent"), (compare,), "open")
    if one.same:
        lines = (words("same.beside", model=model), words("same.unsigned.elsewhere"))
        return Answer("q.same", words("same.yes"), lines, "good")
    return Answer("q.same", words("same.no"), (words("same.other", model=model), compare), "bad")


def _open(asked: Asked) -> Answer:
    subject, words = asked.subject, asked.words
    if subject.elsewhere is not None:
        kind = "onnx" if subject.elsewhere.kind == "onnx" else "code"
        return Answer("q.open", words(f"open.{kind}"), (words(f"open.{kind}.more"),), "open")
    others = subject.strangers()
    listed = words("comma").join(others)
    lines = (
        words("open.more", size=in_bytes(subject.weights)),
        words("open.parts.others", names=listed) if others else words("open.parts"),
        words("open.rows.real" if subject.spec.bundle.golden_rows == "real" else "open.rows"),
    )
    return Answer(
        "q.open",
        words("open.others", names=listed) if others else words("open.yes"),
        lines,
        "mind" if others else "good",
    )


def _help(asked: Asked) -> Answer:
    subject, words = asked.subject, asked.words
    found = [f for f in findings(subject, words) if f.entry is not None and f.entry.metric.endswith("flag")]
    if found:
        entry, more = found[0].entry, len(found) - 1
        assert entry is not None
        what = [words.flag(entry.metric), *([words("help.flag.more", count=more)] if more else [])]
        return Answer("q.help", words("help.flag"), (words("comma").join(what), words("help.flag.where")), "mind")
    if subject.role == "validation":
        return Answer("q.help", words("help.unsealed"), (words("sealed"),), "mind")
    gains = [e for e in subject.evidence if e.metric == "gain_of_twice_the_rows" and value_of(e) is not None]
    shown = [e for e in gains if e.interval is not None and e.interval.low > 0]
    if shown:
        return Answer("q.help", words("help.more"), tuple(_gain(asked, e) for e in shown[:2]), "open")
    none = tuple(_gain(asked, e) for e in gains if e.interval is not None)[:1] or _curve_missing(asked)
    simple = [e for e in subject.evidence.select(axis="verdict") if _rival(e) == "linear"]
    if any(_outcome(_told_of(subject, e)) in ("no", "same") for e in simple):
        return Answer("q.help", words("help.simple"), (words("help.simple.more"), *none), "mind")
    if (worst := _worst_class(subject)) is not None and not gains:
        return Answer("q.help", words("help.class", label=worst[0]), (words("help.class.more"), *none), "open")
    return Answer("q.help", words("help.unknown"), none or (words("help.unknown.more"),), "open")


def _curve_missing(asked: Asked) -> tuple[Child, ...]:
    """Why nobody knows whether more rows would help."""
    reasons = [e.reason for e in asked.subject.evidence.select(metric="learning_curve") if e.reason and e.value is None]
    return (asked.words("help.curve", why=short(reasons[0], 160)),) if reasons else ()


def _gain(asked: Asked, entry: Entry) -> Child:
    """What twice the rows would bring, in the check's own words."""
    return join(
        short(entry.reason or asked.words.metric(entry.metric), 260), " ", asked.facts.button(entry, asked.words("how"))
    )
