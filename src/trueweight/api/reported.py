"""``report``: a bundle's evidence as a page for people, a card, a bill of materials, or a map to Annex IV."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from trueweight.api.examples import examples_of
from trueweight.api.explained import explain_bundle
from trueweight.api.reported_elsewhere import evidence_name, is_evidence, subject_elsewhere
from trueweight.api.written_rows import kept_rows, written_rows
from trueweight.bundle.bundle import Bundle
from trueweight.bundle.card_elsewhere import card_elsewhere
from trueweight.bundle.detached import read_detached
from trueweight.bundle.format import SUFFIX
from trueweight.bundle.summary import column_summary
from trueweight.data.table import Table
from trueweight.errors import SpecError
from trueweight.evidence.record import Evidence
from trueweight.explain.ask import Wish
from trueweight.explain.record import Explanations
from trueweight.files import disk_errors, write_atomic
from trueweight.report.card import card_with_front_matter
from trueweight.report.examples import Examples
from trueweight.report.materials import bill_of_materials
from trueweight.report.page import annex_page, html_report
from trueweight.report.subject import Later, Subject
from trueweight.report.words import LANGUAGES, Language

__all__ = ["report_bundle", "report_evidence", "subject_of"]


def report_bundle(opened: Bundle, out: Path | None, language: str, table: Table | None, rows: int) -> Path:
    """See :func:`trueweight.api.report`."""
    path = opened.path.with_name(f"{opened.path.name.removesuffix(SUFFIX)}.html") if out is None else out
    write, known = _writer(path), _known(language)
    examples = _kept(opened) if table is None else _examples(opened, table, rows)
    return _written(path, write(replace(subject_of(opened), examples=examples), opened.card, known))


def report_evidence(subject: Any, out: Path | None, language: str, *, explain: bool) -> Path | None:
    """The same of a model that was trained elsewhere, from what ``evaluate`` has kept of it; None where it is a bundle.

    Raises:
        SpecError: Rows are to be explained, which only bundles can do; or the facts were not kept.
    """
    if isinstance(subject, Evidence):
        hint = "let evaluate keep it (out='credit.evidence'), and report that folder"
        raise SpecError("facts in memory do not say which columns the model reads", hint=hint)
    if not isinstance(subject, str | Path) or not is_evidence(Path(subject)):
        return None
    if explain:
        raise SpecError("only a bundle can be asked to explain rows", where="examples", hint="leave examples out")
    evidence = Path(subject)
    path = evidence.with_name(f"{evidence_name(evidence)}.html") if out is None else out
    write, known, found = _writer(path), _known(language), subject_elsewhere(evidence)
    return _written(path, write(found, card_elsewhere(found), known))


def _known(language: str) -> Language:
    if language not in LANGUAGES:
        raise SpecError(f"no report in {language!r}", where="language", hint=f"choose from {', '.join(LANGUAGES)}")
    return cast(Language, language)


def _written(path: Path, text: str) -> Path:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())
    return path


METHODS = ("shapley", "occlusion", "counterfactual")
"""What a page tells of a row: which columns, which words or places, and what would turn the answer."""


def _examples(opened: Bundle, table: Table, rows: int) -> Examples:
    found = explain_bundle(opened, table, Wish(min(rows, len(table)), None, METHODS, None, ()))
    return replace(examples_of(opened, table, found, table.label), written=written_rows(opened, table, rows))


def _kept(opened: Bundle) -> Examples | None:
    """Texts of rows that the bundle holds, where it may hold real ones."""
    rows = kept_rows(opened)
    return Examples(Explanations((), opened.name, "", 0), written=rows) if rows else None


Writer = Callable[[Subject, str, Language], str]

WRITERS: Mapping[str, Writer] = {
    ".cdx.json": lambda subject, _, __: bill_of_materials(subject),
    ".annex-iv.md": lambda subject, _, language: annex_page(subject, language),
    ".html": lambda subject, _, language: html_report(subject, language),
    ".htm": lambda subject, _, language: html_report(subject, language),
    ".md": lambda subject, card, _: card_with_front_matter(subject, card),
}
"""By the end of the file's name; the longer ones first."""


def _writer(path: Path) -> Writer:
    found = next((write for end, write in WRITERS.items() if path.name.lower().endswith(end)), None)
    if found is None:
        raise SpecError(
            f"a report cannot be written as {path.name!r}", where="-o",
            hint=".html is the page, .md the model card, .cdx.json a CycloneDX bill of materials, .annex-iv.md the map",
        )  # fmt: skip
    return found


def subject_of(bundle: Bundle) -> Subject:
    """What a report needs of a bundle that was opened: its digests and golden rows were checked on the way."""
    manifest, golden = bundle.manifest, bundle.loaded.golden
    later = [Later(one.by, one.produced_at, one.evidence, one.matches) for one in read_detached(bundle.path)]
    return Subject(
        name=bundle.name, created=manifest.created, digest=manifest.digest, trueweight=manifest.trueweight,
        torch=manifest.torch, files={name: fact.sha256 for name, fact in manifest.files.items()}, parts=manifest.parts,
        spec=bundle.resolved, signature=bundle.signature, evidence=bundle.evidence, parent=manifest.parent,
        summaries={facts.name: column_summary(facts) for facts in bundle.signature.columns.values()},
        weights=sum(fact.bytes for name, fact in manifest.files.items() if name.endswith(".safetensors")),
        golden=0 if golden is None else len(golden.table), later=tuple(later),
    )  # fmt: skip
