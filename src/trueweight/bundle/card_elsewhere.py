"""The card of a model that was trained elsewhere: what can be said from outside."""

from collections.abc import Iterator

from trueweight.bundle.card import cell, markdown_table, result_rows
from trueweight.bundle.summary import by_target
from trueweight.evidence.record import Entry
from trueweight.report.card import front_matter
from trueweight.report.findings import findings
from trueweight.report.subject import Subject
from trueweight.report.words import Words

__all__ = ["card_elsewhere"]


def card_elsewhere(subject: Subject) -> str:
    """Markdown with the front matter that model hubs read.

    Args:
        subject: With ``elsewhere``.
    """
    sections = [
        (f"# Model card: {subject.name}", _what(subject)),
        ("## Results", _results(subject)),
        ("## What it reads", _columns(subject)),
        ("## Limits", _limits(subject)),
        ("## Measure it again", _again(subject)),
    ]
    told = "\n\n".join(f"{title}\n\n" + "\n".join(lines) for title, lines in sections) + "\n"
    return front_matter(subject.spec, subject.signature, subject.evidence, subject.elsewhere) + told


def _what(subject: Subject) -> Iterator[str]:
    one, card = subject.elsewhere, subject.spec.card
    assert one is not None
    targets = ", ".join(f"**{cell(facts.name)}** ({facts.type})" for facts in subject.signature.targets())
    columns = len(subject.signature.features())
    yield f"This model ({cell(one.model)}, {one.kind}) predicts {targets} from {columns} columns."
    yield "It was trained elsewhere: from what, how and for whom is for its maker to say."
    if subject.digest:
        yield f"\nThe file that was measured has the digest `{subject.digest}`."
    if card.intended_use:
        yield f"\nIntended use: {card.intended_use}."
    if card.owner:
        yield f"\nOwner: {card.owner}."


def _results(subject: Subject) -> Iterator[str]:
    entries = [e for e in subject.evidence.select(axis="quality") if _of_all_rows(e)]
    yield from markdown_table(["target", "metric", "value", "interval", "rows"], result_rows(by_target(entries)))
    assert subject.elsewhere is not None
    by, day = cell(subject.elsewhere.by), subject.created[:10]
    yield f"\nMeasured from outside by {by} on {day}, with Trueweight {subject.trueweight}."
    yield "That these rows took no part in its training is the word of whoever measured."
    for entry in subject.evidence:
        if entry.status in ("failed", "not_run"):
            yield f"\nNot shown: {entry.metric} ({entry.status.replace('_', ' ')}): {entry.reason}."


def _of_all_rows(entry: Entry) -> bool:
    return entry.slice is None and entry.value is not None and bool(entry.n)


def _columns(subject: Subject) -> Iterator[str]:
    rows = [(f.name, f.type, subject.summaries.get(f.name, "")) for f in subject.signature.features()]
    yield from markdown_table(["column", "type", "in the rows measured on"], rows) if rows else ["No columns."]


def _limits(subject: Subject) -> Iterator[str]:
    if subject.spec.card.limits:
        yield f"- {subject.spec.card.limits}"
    yield from (f"- {finding.text}" for finding in findings(subject, Words("en")))
    yield "- The results hold for rows like those it was measured on. No simple model was fitted beside it."


def _again(subject: Subject) -> Iterator[str]:
    assert subject.elsewhere is not None
    yield "```console"
    yield subject.elsewhere.command
    yield "```"
