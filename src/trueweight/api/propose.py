"""``init``: a first spec guessed from the data, commented, each guess explained."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trueweight.api.request import given_split, name_of
from trueweight.data.cells import ReadOptions
from trueweight.data.grouped import grouped
from trueweight.data.guess import Guess, guess_feature, guess_series, guess_target
from trueweight.data.kinship import count_groups, find_cases, in_order_of_time
from trueweight.data.read import read_table
from trueweight.data.reading import reading_from
from trueweight.data.roles import read_options_of
from trueweight.data.table import Table
from trueweight.spec.data import CasesSpec, DataSpec

__all__ = ["propose"]


def propose(source: Any, targets: Sequence[str], *, name: str | None = None) -> str:
    """Commented YAML with a guess for every column.

    Args:
        source: A file or a frame.
        targets: Columns to predict.
        name: Of the run.

    Raises:
        DataError: The source cannot be read, or lacks a target.
    """
    table = read_table(source)
    options = reading_from(table, read_options_of(DataSpec()))
    cases = find_cases(table, targets, options)
    rows = len(table)
    if cases is not None:
        table = grouped(table, cases, options, single=targets).table
    heads = {target: guess_target(target, table.column(target), options) for target in targets}
    guesses = {n: _guess(table, n, options) for n in table.names if n not in heads and (not cases or n != cases.case)}
    count = f"{len(table):,} rows" if cases is None else f"{rows:,} rows that are {len(table):,} cases"
    lines = [
        f"# A first spec for {table.label}: {count}, {len(table.names)} columns. Guesses are marked why.",
        "version: 1",
        f"name: {_scalar(name or name_of(source, table))}",
    ]
    if parts := _data(source, table, cases):
        lines.append(f"data: {{{', '.join(parts)}}}")
    if split := given_split(table, targets):
        guesses[split["column"]] = Guess("ignore", "says which rows train and which judge")
        why = "as the sub-folders are named" if table.provenance.format == "folder" else "its words name the parts"
        lines.append(f"split: {_flow(split)}  # {why}")
    else:
        lines += _split_lines(table, guesses, options)
    lines += ["targets:", *(_column(n, guess) for n, guess in heads.items())]
    if guesses:
        lines += ["features:", *(_column(n, guess) for n, guess in guesses.items())]
    lines += ["other_features: ignore", "train: {budget: {time: 60s}}"]
    return "\n".join(lines) + "\n"


def _guess(table: Table, name: str, options: ReadOptions) -> Guess:
    listed = name in (table.provenance.series or ())
    return (guess_series if listed else guess_feature)(name, table.data.column(name), options)


def _data(source: Any, table: Table, cases: CasesSpec | None) -> list[str]:
    found = [f"source: {_source(source)}"] if table.provenance.names else []
    if cases is not None:
        found.append(f"cases: {_flow(cases.model_dump(exclude_none=True))}")
    return found


def _source(source: Any) -> str:
    if isinstance(source, str | Path):
        return _scalar(str(source))
    return "[" + ", ".join(_scalar(str(item)) for item in source) + "]"


def _column(name: str, guess: Guess) -> str:
    kind, extra = guess.type, dict(guess.spec)
    if kind in ("id", "ignore"):
        kind, extra = "ignore", {"reason": guess.why}
        return f"  {_scalar(name)}: {_flow({'type': kind, **extra})}"
    return f"  {_scalar(name)}: {_flow({'type': kind, **extra})}  # {guess.why}"


def _flow(value: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_scalar(item)}" for key, item in value.items()) + "}"


def _scalar(value: Any) -> str:
    """A value as YAML 1.2: plain where nothing can be mistaken, else quoted as JSON is."""
    if isinstance(value, str):
        plain = value.replace("_", "a").replace("-", "a").replace("/", "a").replace(".", "a")
        if plain.isalnum() and plain.isascii() and plain[0].isalpha() and value not in ("null", "true", "false"):
            return value
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _split_lines(table: Table, guesses: dict[str, Guess], options: ReadOptions) -> list[str]:
    """A group or time split where the data asks for one. A column that names groups is then not a feature."""
    for name in list(guesses):
        if (groups := count_groups(table, name, options)) is not None:
            guesses[name] = Guess("ignore", "says which rows belong together", {})
            return [f"split: {{method: group, group: {_scalar(name)}}}  # {groups:,} values name {len(table):,} rows"]
    for name, guess in guesses.items():
        if guess.type == "date" and in_order_of_time(table, name, options):
            return [f"split: {{method: time, time_column: {_scalar(name)}}}  # rows are in the order of this column"]
    return []
