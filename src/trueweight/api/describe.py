"""``check``: what a run would do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from trueweight.api.request import read_source
from trueweight.data.learn import blank_signature, learn_signature
from trueweight.data.likes import like_roots
from trueweight.data.reading import column_part
from trueweight.data.roles import Role, assign_roles, missing_columns, named_columns, read_options_of, require_features
from trueweight.data.split import refuse_unknown_parts, words_of
from trueweight.data.table import Table
from trueweight.errors import DataError, TrueweightError
from trueweight.evaluate.asked import metric_mistakes
from trueweight.metrics.words import counted
from trueweight.recipes.facts import Facts
from trueweight.recipes.resolve import resolve
from trueweight.recipes.senses import with_defaults
from trueweight.spec.document import Document
from trueweight.spec.load import all_of, judge, read_document
from trueweight.spec.run import RunSpec
from trueweight.spec.settings import apply_settings
from trueweight.spec.tune import TuneSpec
from trueweight.spec.units import describe_seconds
from trueweight.tune.asked import space_of

if TYPE_CHECKING:  # it knows torch, and check must not
    from trueweight.train.job import FitterPart

__all__ = ["CHECK_ROWS", "CheckReport", "check_spec"]

CHECK_ROWS = 1000
"""Most rows that ``check`` reads."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a run of a spec would do."""

    spec: RunSpec
    """Resolved on the rows that were read."""
    lines: list[str]
    """Plain sentences: columns with their types and why, split, model, budget."""

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def check_spec(path: Path, settings: Sequence[str]) -> CheckReport:
    """Read a spec and the first rows of its data, and say what a run would do.

    Raises:
        SpecError: Every mistake of the spec at once.
        DataError: The data does not fit it.
    """
    document = apply_settings(read_document(path), settings)
    asked, mistakes = judge(document)
    mistakes += metric_mistakes(asked, document) if asked else []
    if asked is None or mistakes:
        raise all_of([*mistakes, *(_data_mistakes(asked, document, path.parent) if asked else [])], document.origin)
    table, _ = read_source(asked, None, path.parent, rows=CHECK_ROWS)
    roles = assign_roles(table, asked, document)
    like_roots(roles)
    require_features(roles)
    if asked.split.column is not None:
        refuse_unknown_parts(words_of(table, asked.split.column, read_options_of(asked.data)))
    features = {role.name: role.part.type for role in roles if role.role == "feature"}
    targets = {name: head.type for name, head in asked.targets.items()}
    resolved = resolve(asked, Facts(len(table), features, targets))
    if asked.tune != TuneSpec():  # names that lead nowhere; values that cannot stand there
        columns = {role.name: role.part for role in roles if role.role == "feature"}
        space_of(asked, resolved.model_copy(update={"features": columns}), 1, document)
    for member in resolved.model.fitted:
        cast("FitterPart", member.fitter).require()
    return CheckReport(resolved, [*_lines(resolved, table, roles), *_mirrored(table, roles, asked)])


def _data_mistakes(asked: RunSpec, document: Document, folder: Path) -> list[str]:
    """What the data says against a spec that has mistakes already: as much as can be known in spite of them."""
    if asked.data.source is None and document.at(("data", "source")) is not None:
        return []  # a mistake of its own
    try:
        table, _ = read_source(asked, None, folder, rows=CHECK_ROWS)
    except TrueweightError as error:
        told = f"{error.where}: {error.problem}" if error.where else error.problem
        return [f"{document.place(('data', 'source'))}: data.source: {told}"]
    known = dict(named_columns(asked))
    for section in ("features", "targets"):  # also those whose type is a mistake
        written = document.at((section,))
        known |= {(section, name): name for name in written} if isinstance(written, dict) else {}
    return missing_columns(table, list(known.items()), document)


def _lines(spec: RunSpec, table: Table, roles: Sequence[Role]) -> list[str]:
    what = "row" if table.provenance.series is None else "case"
    at_least = "at least " if len(table) >= CHECK_ROWS or what == "case" else ""
    lines = [f"{table.label}: {at_least}{counted(len(table), what)}, {counted(len(table.names), 'column')}"]
    lines += [f"  {role.role:<8} {role.name}: {role.part.type} ({role.why})" for role in roles]
    budget = spec.train.budget
    limits = [
        f"{describe_seconds(budget.time)}" if budget.time else "",
        f"{budget.epochs} epochs" if budget.epochs else "",
    ]
    limits.append(f"{budget.steps} steps" if budget.steps else "")
    members = " + ".join(member.name for member in spec.model.fitted)
    lines.append(f"split: {spec.split.method}; model: {members}; at most {', '.join(x for x in limits if x)}")
    lines += [f"  left out: {m.name}, {m.left_out}" for m in spec.model.members or [] if m.left_out is not None]
    return lines


def _mirrored(table: Table, roles: Sequence[Role], spec: RunSpec) -> list[str]:
    """What these rows say of pictures and their mirror images: augmentation follows from it."""
    preset = spec.model.preset
    seen = [role for role in roles if role.role == "feature" and role.part.type == "image"]
    pictures = [replace(role, part=with_defaults(role.part, preset)) for role in seen]
    targets = [role for role in roles if role.role == "target"]
    if not pictures or not len(table):
        return []
    rows = np.arange(len(table))
    try:
        blank = blank_signature(table, [*pictures, *targets], read_options_of(spec.data), rows)
        signature = learn_signature(blank, table, rows, min_group=spec.bundle.min_group)
    except DataError:  # the first rows may all be of one class: a run sees them all
        return []
    told = []
    for facts in signature.features():
        part: Any = column_part(facts)
        if why := part.mirrored(facts.learnt):
            told.append(f"{facts.name}: {why}")
    return told
