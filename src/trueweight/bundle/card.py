"""The model card: what somebody should know before using the model, in plain English, from facts alone."""

from collections.abc import Iterator, Sequence
from typing import Any

from trueweight.bundle.summary import by_target, results, value_words, verdicts
from trueweight.data.reading import column_part
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.evidence.record import Entry, Evidence
from trueweight.report.card import front_matter
from trueweight.spec.run import RunSpec

__all__ = ["cell", "markdown_table", "model_card", "result_rows"]


def model_card(spec: RunSpec, signature: Signature, evidence: Evidence, *, baseline_of: str | None = None) -> str:
    """Write ``MODEL_CARD.md``.

    Args:
        spec: Resolved; its ``card`` and ``bundle`` fields say what no data can.
        signature: What the data taught.
        evidence: What was measured.
        baseline_of: Name of the model that this one is only the baseline of.

    Returns:
        Markdown with the front matter that model hubs read. Holds no value of a column that the Signature does not
        hold.
    """
    sections = [
        (f"# Model card: {spec.name}", _what(spec, signature, baseline_of)),
        ("## Results", _results(evidence)),
        ("## What it reads", _columns(signature)),
        ("## Limits", _limits(spec, signature, evidence)),
        ("## Privacy", _privacy(spec)),
        ("## Use it", _use(spec)),
    ]
    told = "\n\n".join(f"{title}\n\n" + "\n".join(lines) for title, lines in sections) + "\n"
    return front_matter(spec, signature, evidence) + told


def _what(spec: RunSpec, signature: Signature, baseline_of: str | None) -> Iterator[str]:
    if baseline_of is not None:
        yield f"This is a baseline: a simple model, fitted on the same rows, that {baseline_of} has to beat.\n"
    targets = ", ".join(f"**{cell(facts.name)}** ({facts.type})" for facts in signature.targets())
    reads = _count(len(signature.features()), "column")
    yield f"This model predicts {targets} from {reads}. It was trained on {_count(signature.rows, 'row')}."
    for facts in signature.targets():
        if summary := _summary(facts):
            yield f"\nIn training, {cell(facts.name)} was: {cell(summary)}."
    if spec.card.intended_use:
        yield f"\nIntended use: {spec.card.intended_use}."
    if spec.card.owner:
        yield f"\nOwner: {spec.card.owner}."


def _results(evidence: Evidence) -> Iterator[str]:
    role, entries = results(evidence)
    found = by_target(entries)
    if role != "test":
        yield "No test rows were measured: how good this model is on new rows is not known.\n"
    if found:
        yield from markdown_table(["target", "metric", "value", "interval", "rows"], result_rows(found))
        level = next((e.interval.level for entries in found.values() for e in entries if e.interval), None)
        if level is not None:
            yield f"\n{_MEASURED[role]}"
            yield f"Intervals: where the value would lie on other rows like these, {100 * level:g} % of the time."
    for verdict in verdicts(evidence):
        yield f"\n{verdict}"
    for entry in evidence:
        if entry.axis != "fit" and entry.status in ("failed", "not_run"):  # how it was made says nothing of what it is
            yield f"\nNot shown: {entry.metric} ({entry.status.replace('_', ' ')}): {entry.reason}."


_MEASURED = {
    "test": "Measured on test rows that took no part in training.",
    "validation": "Measured on validation rows, which also chose between models: expect somewhat less on new rows.",
}


def result_rows(found: dict[str, list[Entry]]) -> Iterator[Sequence[str]]:
    """Lines of a table of scores: target, metric, value, interval, rows."""
    for target, entries in found.items():
        for e in entries:
            yield target, e.metric, *value_words(e), str(e.n or "")


def _columns(signature: Signature) -> Iterator[str]:
    rows = [(f.name, f.type, _missing(f), _summary(f)) for f in signature.features()]
    yield from markdown_table(["column", "type", "missing", "in training"], rows) if rows else ["No columns."]
    left = [f"{cell(c.name)} ({cell(c.why)})" for c in signature.columns.values() if c.role == "ignored"]
    if left:
        yield f"\nLeft out: {', '.join(left)}."


def _limits(spec: RunSpec, signature: Signature, evidence: Evidence) -> Iterator[str]:
    for entry in evidence.select(axis="fit", metric="partial"):
        yield f"- The model is partial: training was {entry.value}."
    if spec.card.limits:
        yield f"- {spec.card.limits}"
    yield "- The results hold for rows like those it was trained on. Measure it again on yours: `trueweight evaluate`."
    yield "- It has learnt what goes together, not what causes what."
    if signature.rows < 1000:
        yield f"- {_count(signature.rows, 'training row')} is few: mind the width of the intervals."


def _privacy(spec: RunSpec) -> Iterator[str]:
    if spec.bundle.golden_rows == "real":
        yield "- **The bundle holds real rows** of the training data as golden rows, because the spec asked for it."
    else:
        yield "- The bundle holds no rows of the training data; its golden rows are made up."
    if spec.bundle.min_group > 1:
        yield f"- Values of a category are named only if at least {spec.bundle.min_group} training rows have them."
    else:
        yield "- **Values of a category are named even if a single row has them**, because the spec asked for it."
    yield "- Classes of a target are always named, since the model must say them. No smallest or largest value is kept."


def _use(spec: RunSpec) -> Iterator[str]:
    yield "```console"
    yield f"$ trueweight predict {spec.name}.bundle new.csv -o answers.csv"
    yield f"$ trueweight verify {spec.name}.bundle --recompute --data DATA"
    yield "```\n"
    yield "```python"
    yield f'trueweight.load("{spec.name}.bundle").predict(frame)'
    yield "```"


def markdown_table(head: Sequence[str], rows: Any) -> Iterator[str]:
    """Lines of a table whose cells cannot break out of it."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell(value) for value in row)} |"


def cell(text: str) -> str:
    """Text that cannot break out of a Markdown table."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return plain if len(plain) <= 120 else f"{plain[:119]}…"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _missing(facts: ColumnFacts) -> str:
    return f"{100 * facts.missing / facts.rows:.3g} %" if facts.missing and facts.rows else "none"


def _summary(facts: ColumnFacts) -> str:
    part: Any = column_part(facts)
    return str(part.summary(facts.learnt))
