"""What each column is for: feature, target, key, weight, or left alone, and why."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

import pyarrow as pa

from trueweight.data.cells import ReadOptions
from trueweight.data.guess import Guess, guess_feature, guess_series
from trueweight.data.made_by import code_print
from trueweight.data.reading import reading_from
from trueweight.data.settle import settle
from trueweight.data.table import Table
from trueweight.errors import DataError, SpecError, VerifyError
from trueweight.files import cache_dir, digest_compact, private_dir, read_json, write_json
from trueweight.progress import advance
from trueweight.registry import registry
from trueweight.spec.base import PartSpec
from trueweight.spec.data import MISSING_MARKERS, DataSpec
from trueweight.spec.document import Document, Path, dotted
from trueweight.spec.run import RunSpec
from trueweight.spec.slices import BinsSpec

__all__ = [
    "Role", "assign_roles", "left_out", "missing_columns", "named_columns", "read_options_of", "require_features",
]  # fmt: skip


_MANY_LETTERS = 2**22
"""Bytes of a column of texts from which its guessed type is kept in the cache."""


@dataclass(frozen=True, slots=True)
class Role:
    """One column's part in the run."""

    name: str
    role: str
    """"feature", "target", "key", "weight" or "ignored"."""
    part: PartSpec
    """Column type; for a target its head."""
    why: str


def read_options_of(data: DataSpec) -> ReadOptions:
    """How cells are read, as the spec says."""
    markers = tuple(data.missing_values)
    # Whoever lists markers means them, in texts too.
    return ReadOptions(markers, data.decimal_comma, marked_texts=markers != MISSING_MARKERS)


def assign_roles(table: Table, spec: RunSpec, positions: Document | None = None) -> list[Role]:
    """A role for every column of the table, in file order.

    Args:
        table: All rows, or the first ones.
        spec: As asked for or resolved.
        positions: Where the spec was written, if somebody knows.

    Raises:
        DataError: Columns that the spec names are not there; lists all of them.
    """
    _require_columns(table, spec, positions)
    reserved = _reserved(spec)
    found = []
    for place, name in enumerate(table.names, 1):
        found.append(_role(table, name, spec, reserved))
        advance("looking at columns", place, len(table.names), unit="columns")
    return found


def _require_columns(table: Table, spec: RunSpec, positions: Document | None) -> None:
    named = named_columns(spec)
    missing = [name for _, name in named if name not in table.names]
    if len(missing) == 1 and positions is None:
        table.column(missing[0])  # says which are near
    if lines := missing_columns(table, named, positions):
        count = f"{len(lines)} columns that the spec names are" if len(lines) > 1 else "a column that the spec names is"
        hint = f"there is {', '.join(map(repr, table.names[:8]))}{', …' if len(table.names) > 8 else ''}"
        told = "\n".join(f"  {line}" for line in lines)
        raise DataError(f"{count} not there\n{told}", where=table.label, hint=hint)


def named_columns(spec: RunSpec) -> list[tuple[Path, str]]:
    """Every column that a spec names, and where."""
    split = spec.split
    named: list[tuple[Path, str | None]] = [
        *((("features", name), name) for name in spec.features),
        *((("targets", name), name) for name in spec.targets),
        (("evaluate", "interval", "cluster"), spec.evaluate.interval.cluster),
        (("split", "group"), split.group),
        (("split", "time_column"), split.time_column),
        (("split", "column"), split.column),
        (("data", "primary_key"), spec.data.primary_key),
        (("data", "sample_weight"), spec.data.sample_weight),
        *_sliced(spec),
    ]
    return [(path, name) for path, name in named if name is not None]


def _sliced(spec: RunSpec) -> Iterator[tuple[Path, str]]:
    """Columns that part the rows for judging."""
    for place, asked in enumerate(spec.evaluate.slices):
        where: Path = ("evaluate", "slices", place)
        if isinstance(asked, BinsSpec):
            yield (*where, "column"), asked.column
        elif isinstance(asked, str):
            yield where, asked
        else:
            for number, name in enumerate(asked):
                yield (*where, number), name
    if spec.evaluate.sensitive is not None:
        for place, name in enumerate(spec.evaluate.sensitive.columns):
            yield ("evaluate", "sensitive", "columns", place), name


def missing_columns(table: Table, named: Sequence[tuple[Path, str]], positions: Document | None) -> list[str]:
    """A line for every named column that the table lacks, its place first if positions are known."""
    return [_missing_line(table, path, name, positions) for path, name in named if name not in table.names]


def _missing_line(table: Table, path: Path, name: str, positions: Document | None) -> str:
    place = "" if positions is None else f"{positions.place(path, key=path[-1] == name)}: "
    near = get_close_matches(name, table.names, n=1)
    return f"{place}{dotted(path)}: no column {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _reserved(spec: RunSpec) -> dict[str, tuple[str, str, str]]:
    """Columns with a job of their own: name to (role, column type, why)."""
    split, found = spec.split, dict[str, tuple[str, str, str]]()
    for name in spec.evaluate.sensitive.columns if spec.evaluate.sensitive else ():
        found[name] = ("ignored", "ignore", "sensitive: measured, not learnt from")
    if spec.evaluate.interval.cluster:
        found[spec.evaluate.interval.cluster] = ("ignored", "ignore", "says which rows belong together")
    if split.group:
        found[split.group] = ("ignored", "ignore", "keeps rows of one group on one side of the split")
    if split.column:
        found[split.column] = ("ignored", "ignore", "says which rows train and which judge")
    if spec.data.primary_key:
        found[spec.data.primary_key] = ("key", "id", "names the row")
    if spec.data.cases.case:
        role = "ignored" if spec.data.primary_key else "key"
        found[spec.data.cases.case] = (role, "id" if role == "key" else "ignore", "names the case")
    if spec.data.sample_weight:
        found[spec.data.sample_weight] = ("weight", "number", "weighs the row")
    return found


def _role(table: Table, name: str, spec: RunSpec, reserved: dict[str, tuple[str, str, str]]) -> Role:
    options = reading_from(table, read_options_of(spec.data))
    if name in spec.targets:
        return Role(name, "target", spec.targets[name], "asked for")
    if name in spec.features:
        part = spec.features[name]
        ignored = part.type in ("ignore", "id")
        why = str(part.model_dump().get("reason") or "asked to be left out") if ignored else "asked for"
        # What a single later row cannot tell (decimal comma, day first) is decided here, on the whole column.
        part = part if ignored else settle(part, table.data.column(name), options)
        return Role(name, "ignored" if ignored else "feature", part, why)
    if name in reserved:
        role, kind, why = reserved[name]
        return Role(name, role, _part(kind), why)
    if spec.other_features == "ignore":
        return Role(name, "ignored", _part("ignore"), "not named, and other_features is ignore")
    guess = _guessed(table, name, options)
    role = "ignored" if guess.type in ("ignore", "id") else "feature"
    part = _part(guess.type, **guess.spec)
    if name in (table.provenance.series or ()):  # other guesses have decided it already
        part = settle(part, table.data.column(name), options)
    return Role(name, role, part, guess.why)


def _guessed(table: Table, name: str, options: ReadOptions) -> Guess:
    """What a column is, from the cache where it takes long to say: many letters."""
    raw = table.data.column(name)
    if name in (table.provenance.series or ()):
        return guess_series(name, raw, options)
    if not table.provenance.digest or not _is_text(raw.type) or raw.nbytes < _MANY_LETTERS:
        return guess_feature(name, raw, options)
    asked = [code_print(), table.provenance.digest, name, list(options.missing_values), options.decimal_comma]
    path = private_dir(cache_dir() / "guesses") / f"{digest_compact(asked)}.json"
    if path.is_file():
        with suppress(VerifyError, TypeError):
            return Guess(**read_json(path))
    guess = guess_feature(name, raw, options)
    if guess.type == "text":  # paths of pictures would depend on what files there are
        write_json(path, asdict(guess))
    return guess


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _part(kind: str, **options: Any) -> PartSpec:
    part: PartSpec = registry("column")[kind].model_validate({"type": kind, **options})  # type: ignore[attr-defined]
    return part


def left_out(roles: Sequence[Role], spec: RunSpec) -> list[str]:
    """Columns that are not learnt from though nobody asked for that, one sentence for each reason."""
    known, why = _reserved(spec), dict[str, list[str]]()
    for role in roles:
        if role.role == "ignored" and role.name not in spec.features and role.name not in known:
            why.setdefault(role.why, []).append(repr(role.name))
    if spec.other_features == "ignore":
        return []
    more = {reason: f" and {len(names) - 5} more" if len(names) > 5 else "" for reason, names in why.items()}
    return [f"left out {', '.join(names[:5])}{more[reason]}: {reason}" for reason, names in why.items()]


def require_features(roles: list[Role]) -> None:
    """Refuse a run that has no column to learn from. A text alone can be learnt: a language model goes on from itself.

    Raises:
        DataError: Lists why each column was left out.
        SpecError: There are columns to learn from, and no target looks at them.
    """
    targets = [role.part.type for role in roles if role.role == "target"]
    unread = [role.name for role in roles if role.role == "feature"] if set(targets) == {"masked"} else []
    if unread:
        problem = f"the gaps of a masked text are guessed from the text alone, and nothing reads {unread[0]!r}"
        raise SpecError(problem, where="features", hint="set other_features: ignore, and name no features")
    if any(role.role == "feature" for role in roles) or targets in (["text"], ["masked"]):
        return
    reasons = "; ".join(f"{role.name}: {role.why}" for role in roles if role.role == "ignored")
    hint = f"left out: {reasons}" if reasons else "the file needs more columns than the target: is its delimiter right?"
    raise DataError("no column is left to learn from", where="features", hint=hint)
