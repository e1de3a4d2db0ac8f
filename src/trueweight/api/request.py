"""From what a caller gives (a file, a frame, a spec, a target, options) to a spec and a table."""

import logging
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from trueweight.data.grouped import grouped
from trueweight.data.guess import guess_target
from trueweight.data.read import read_table
from trueweight.data.roles import read_options_of
from trueweight.data.split import split_column_of
from trueweight.data.table import Table
from trueweight.errors import DataError, SpecError
from trueweight.files import digest_bytes, safe_name, shortened
from trueweight.spec.data import DataSpec
from trueweight.spec.load import load_spec, parse_spec
from trueweight.spec.run import RunSpec
from trueweight.spec.settings import parse_setting

_LOG = logging.getLogger("trueweight.api")

__all__ = ["Request", "as_cases", "asked_spec", "data_spec_of", "make_request", "read_source"]


@dataclass(frozen=True, slots=True)
class Request:
    """A spec with its data, ready to be prepared."""

    spec: RunSpec
    """As asked for, options included."""
    table: Table
    labels: list[str | None] | None
    """For ``split.method: files``: the part that each row's file belongs to."""
    settings: list[str]
    """Options that changed the spec, as they were given."""
    base: Path | None = None
    """Folder that relative paths in the spec start from; None: the current one."""


def make_request(
    data: Any, target: str | Sequence[str] | None, spec: RunSpec | Mapping[str, Any] | str | Path | None,
    changes: Mapping[str, Any], settings: Sequence[str], base: Path | None,
) -> Request:  # fmt: skip
    """Read the data and settle the spec.

    Args:
        data: File, glob, list or frame; None when the spec names its source.
        target: Columns to predict, when the spec names none.
        spec: A spec in any form, or None.
        changes: Dotted path to value, None for no change; stronger than the spec.
        settings: ``"a.b=c"`` texts, stronger still.
        base: Folder of relative sources.

    Raises:
        SpecError: Neither spec nor target, or a mistake in them.
        DataError: The data cannot be read, or has no such target.
    """
    given = [f"{path}={value}" for path, value in changes.items() if value is not None]
    applied = [*given, *settings]
    if spec is not None:
        asked = asked_spec(spec, applied)
        folder = base or (Path(spec).parent if isinstance(spec, str | Path) else None)
        table, labels = read_source(asked, data, folder)
        named = _named(asked, spec, data, table)
        return Request(named, table, labels, list(applied), folder)
    targets = [target] if isinstance(target, str) else list(dict.fromkeys(target or ()))
    if data is None or not targets:
        raise SpecError("nothing to train for", hint="give a spec file, or data and the name of a target column")
    reading = data_spec_of(applied)
    table = as_cases(read_table(data, reading, base=base), reading, single=targets)
    guessed = _guessed(data, table, targets, applied)
    if guessed.split.validation_source or guessed.split.test_source:
        table, labels = read_source(guessed, data, base)
        return Request(guessed, table, labels, list(applied), base)
    return Request(guessed, table, None, list(applied), base)


def data_spec_of(settings: Sequence[str]) -> DataSpec:
    """What the settings say about reading, before there is a target to guess a whole spec for."""
    about = [text for text in settings if parse_setting(text)[0][0] == "data"]
    return parse_spec({"targets": {"y": "number"}}, settings=about).data


def asked_spec(spec: RunSpec | Mapping[str, Any] | str | Path, settings: Sequence[str]) -> RunSpec:
    """The spec in any of its forms, with settings applied.

    Raises:
        SpecError: Every mistake at once.
    """
    if isinstance(spec, str | Path):
        return load_spec(Path(spec), settings=settings)
    if isinstance(spec, RunSpec):
        if not settings:
            return spec
        spec = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return parse_spec(spec, settings=settings)


def _guessed(data: Any, table: Table, targets: Sequence[str], settings: Sequence[str]) -> RunSpec:
    """A spec made of guesses: the short way."""
    options = read_options_of(data_spec_of(settings))
    heads = {}
    for name in targets:
        guess = guess_target(name, table.column(name), options)
        if guess.type in ("id", "ignore", "date"):
            raise DataError(
                f"column {name!r} cannot be a target: {guess.why}", where=table.label, hint="choose another --target"
            )
        heads[name] = {"type": guess.type, **guess.spec}
    raw: dict[str, Any] = {"version": 1, "targets": heads}
    if not any(setting.startswith("name=") for setting in settings):  # a name that is not used needs no word
        raw["name"] = name_of(data, table)
    if table.provenance.names:
        raw["data"] = {
            "source": table.provenance.names[0] if len(table.provenance.names) == 1 else list(table.provenance.names)
        }
    asked = any(setting.startswith("split") for setting in settings)
    if not asked and (split := given_split(table, targets)):
        raw["split"] = split
    return parse_spec(raw, settings=settings)


def _named(asked: RunSpec, spec: object, data: Any, table: Table) -> RunSpec:
    """A spec that says no name, with one: as its own file is called, else as the data's."""
    if "name" in asked.model_fields_set:
        return asked
    if isinstance(spec, str | Path):
        found = safe_name(Path(spec).stem)
    else:
        found = name_of(asked.data.source if data is None else data, table)
    return asked.model_copy(update={"name": found})


def given_split(table: Table, targets: Sequence[str]) -> dict[str, Any] | None:
    """The split that a column of words like train, validation and test asks for, as sub-folders of such names become
    one; without test rows nothing is kept for them. None where there is no such column."""
    found = split_column_of(table, targets)
    if found is None:
        return None
    return {"method": "column", "column": found[0]} | ({} if 3 in found[1] else {"test": 0.0})


def name_of(data: Any, table: Table) -> str:
    """A run's name from its data: the first file's, without endings; says so where signs of it had to go."""
    stem = table.provenance.names[0].split(".")[0].replace("*", "") if table.provenance.names else ""
    if not stem or not isinstance(data, str | Path | list | tuple):
        return "model"
    name, letters = safe_name(stem), unicodedata.normalize("NFKD", stem)
    if any(sign.isalnum() and not sign.isascii() for sign in letters):
        told = "names of files are plain letters (a to z), digits, - and _, which %r is not: the model is called %r; "
        _LOG.warning(told + "--name chooses another", shortened(stem, 60), name)
    return name


def read_source(
    spec: RunSpec, data: Any, base: Path | None, *, rows: int | None = None
) -> tuple[Table, list[str | None] | None]:
    """The table a spec asks for, and the part of each row when files say so.

    Args:
        spec: With ``data`` and ``split``.
        data: Stronger than ``spec.data.source``; None to use that.
        base: Folder of relative sources.
        rows: Read at most so many of each file.

    Raises:
        SpecError: Neither names any data.
        DataError: A file cannot be read, or files do not agree.
    """
    source = data if data is not None else spec.data.source
    if source is None:
        hint = "add data: {source: FILE} to the spec, or give a file or a frame"
        raise SpecError("no data: the spec names no source and none was given", where="data.source", hint=hint)
    table, labels = _read_files(spec, source, base, rows)
    single = [*spec.targets, *_columns_of_rows(spec)]
    if spec.data.cases.type == "rows":
        return table, labels
    options, own = read_options_of(spec.data), list(spec.features)
    found = grouped(table, spec.data.cases, options, single=single, own=own, apart=labels)
    return found.table, None if labels is None else [labels[row] for row in found.first_K]


def as_cases(table: Table, data: DataSpec, *, single: Sequence[str] = ()) -> Table:
    """The table with the rows of each case put together, if the spec asks for that.

    Args:
        table: As it was read.
        data: Says what a case is.
        single: Columns that must have one value a case.

    Raises:
        DataError: See :func:`~trueweight.data.grouped.grouped`.
    """
    if data.cases.type == "rows":
        return table
    return grouped(table, data.cases, read_options_of(data), single=single).table


def _columns_of_rows(spec: RunSpec) -> list[str]:
    """Columns, beside targets, that say something about a case as a whole."""
    split, data = spec.split, spec.data
    named = [split.group, split.column, split.time_column, data.primary_key, data.sample_weight]
    return [name for name in (*named, spec.evaluate.interval.cluster) if name is not None]


def _read_files(
    spec: RunSpec, source: Any, base: Path | None, rows: int | None
) -> tuple[Table, list[str | None] | None]:
    main = read_table(source, spec.data, base=base, rows=rows)
    extra = {"validation": spec.split.validation_source, "test": spec.split.test_source}
    parts = {name: read_table(path, spec.data, base=base, rows=rows) for name, path in extra.items() if path}
    if not parts:
        return main, None
    tables = {"train": main, **parts}
    labels: list[str | None] = [name for name, table in tables.items() for _ in range(len(table))]
    return _stack(tables), labels


def _stack(tables: Mapping[str, Table]) -> Table:
    """All files as one table; each must have the training file's columns."""
    first = tables["train"]
    for name, table in tables.items():
        if lost := [column for column in first.names if column not in table.names]:
            hint = f"give it the columns of {first.label}; their order may differ"
            raise DataError(f"the {name} file lacks column {lost[0]!r}", where=table.label, hint=hint)
    stacked = pa.concat_tables([t.data.select(first.names) for t in tables.values()], promote_options="permissive")
    digest = digest_bytes(*(t.provenance.digest.encode() for t in tables.values()))
    names = tuple(name for t in tables.values() for name in t.provenance.names)
    skipped = sum(t.provenance.skipped_rows for t in tables.values())
    provenance = replace(first.provenance, digest=digest, names=names, skipped_rows=skipped)
    return replace(first, data=stacked, provenance=provenance)
