"""Evidence in the language of a page: what checks wrote in sentences is translated once, before anything is drawn."""

from dataclasses import replace

from trueweight.evidence.record import Entry, Evidence
from trueweight.report.subject import Subject
from trueweight.report.words import Words

__all__ = ["in_language"]


def in_language(subject: Subject, words: Words) -> Subject:
    """The same subject; ids, metrics and numbers stay as they are, and so do names that users gave."""
    if words.language == "en":
        return subject
    later = tuple(replace(one, evidence=_evidence(one.evidence, words)) for one in subject.later)
    summaries = {name: words.told(text) for name, text in subject.summaries.items()}
    return replace(subject, evidence=_evidence(subject.evidence, words), later=later, summaries=summaries)


def _evidence(evidence: Evidence, words: Words) -> Evidence:
    return Evidence(tuple(_entry(entry, words) for entry in evidence))


def _entry(entry: Entry, words: Words) -> Entry:
    value = words.told(entry.value) if isinstance(entry.value, str) else entry.value
    reason = None if entry.reason is None else words.told(entry.reason)
    return replace(entry, reason=reason, slice=None if entry.slice is None else words.told(entry.slice), value=value)
