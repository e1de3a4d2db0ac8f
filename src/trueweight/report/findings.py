"""What a person must mind, and what only the owner can write."""

from dataclasses import dataclass

from trueweight.evidence.record import Entry
from trueweight.metrics.words import brief
from trueweight.report.numbers import short
from trueweight.report.subject import Subject
from trueweight.report.words import Words

__all__ = ["Finding", "findings", "unwritten"]

FEW_ROWS = 1000
"""Training rows below which the card says so too."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and the fact that it rests on."""

    text: str
    entry: Entry | None
    axis: str


def findings(subject: Subject, words: Words) -> list[Finding]:
    """Flags first, of them those that were raised later; then what the data's own facts say, and what failed."""
    found = _raised_later(subject, words)
    found += [Finding(short(e.reason or words.metric(e.metric), 400), e, e.axis) for e in subject.flags()]
    flagged = {e.axis for e in subject.flags()}
    found += _of_the_data(subject, words)
    for entry in subject.evidence:
        if entry.status == "failed" and entry.axis not in flagged:
            text = words("mind.failed", axis=words.axis(entry.axis), reason=short(entry.reason or "", 300))
            found.append(Finding(text, entry, entry.axis))
    partial = subject.evidence.select(axis="fit", metric="partial")
    found += [Finding(words("mind.partial"), entry, "fit") for entry in partial]
    if subject.signature.rows < FEW_ROWS:
        rows = words.counted(subject.signature.rows, "row")
        found.append(Finding(words(subject.key("mind.few"), rows=rows), None, "data"))
    return found


def _raised_later(subject: Subject, words: Words) -> list[Finding]:
    """Flags of facts that came after the model, the newest first, each as it was told last."""
    found: dict[tuple[str, str | None], Finding] = {}
    for one in sorted(subject.later, key=lambda later: later.produced_at, reverse=True):
        raised = [e for e in one.evidence if one.matches and e.metric.endswith("flag") and e.value == 1]
        for entry in raised:
            what = short(entry.reason or words.metric(entry.metric), 300)
            text = words("mind.later", at=one.produced_at[:10], what=what)
            found.setdefault((entry.metric, entry.target), Finding(text, entry, "later"))
    return list(found.values())


def _of_the_data(subject: Subject, words: Words) -> list[Finding]:
    found, flags = [], subject.flags()
    leaking = {e.target for e in flags if e.metric == "leak_flag"}  # the flag says the same
    copies = any(e.metric == "near_duplicates_flag" for e in flags)
    for entry in subject.evidence.select(axis="honesty"):
        value = entry.value
        if entry.id.startswith("honesty/leak/") and isinstance(value, float) and entry.target not in leaking:
            found.append(Finding(words("mind.leak", what=entry.metric, value=brief(value)), entry, "honesty"))
        elif entry.id == "honesty/twins" and isinstance(value, int) and value and not copies:
            found.append(Finding(words.several("mind.twins", value), entry, "honesty"))
        elif entry.id == "honesty/groups" and isinstance(value, int) and value:
            found.append(Finding(words.several("mind.groups", value), entry, "honesty"))
    return found


def unwritten(subject: Subject) -> list[str]:
    """Fields of the card that are empty."""
    card = subject.spec.card
    written = {"owner": card.owner, "intended_use": card.intended_use, "limits": card.limits}
    return [name for name, text in written.items() if not text.strip()]
