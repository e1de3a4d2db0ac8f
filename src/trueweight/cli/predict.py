"""``trueweight predict``: answers for new rows."""

import sys
from pathlib import Path
from typing import Any

import click

from trueweight.cli.bar import showing_progress
from trueweight.cli.machine import leave_pandas_out, prepare_torch
from trueweight.cli.writing import asked_rows, write_stream, writing_options

__all__ = ["predict"]

FORMATS = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}

NOT_WRITTEN = (".arrow", ".feather", ".gz", ".ipc", ".json", ".tab", ".tsv", ".xls", ".xlsx")
"""Endings that promise other content than CSV."""


@click.command(short_help="Answer new rows.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("source", type=click.Path(allow_dash=True), required=False)
@click.option("-o", "--output", type=click.Path(dir_okay=False, allow_dash=True), default="-", metavar="FILE",
              help="File for the answers; standard output by default.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["csv", "parquet", "jsonl"]),
              help="Of the answers; by the file's ending, else csv.")  # fmt: skip
@click.option("--media-dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Where paths of pictures and sounds in cells start; as in training by default.")  # fmt: skip
@click.option("--ood", is_flag=True, help="Say of each row how unlike the training rows it is; above 1 is unusual.")
@click.option("--times", is_flag=True, help="Say of texts read off sounds when each word begins and ends, in seconds.")
@writing_options
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let the bundle load parts of this installed package.")
def predict(
    bundle: Path, source: str | None, output: str, form: str | None, media_dir: Path | None, ood: bool, times: bool,
    prompts: tuple[str, ...], streaming: bool, seed: int, allow: tuple[str, ...], **wishes: Any,
) -> None:  # fmt: skip
    """Answer every row of SOURCE (a file, or - for standard input) with BUNDLE, in the order of the rows.

    \b
    Examples:
        trueweight predict claims.bundle new.csv -o answers.csv
        trueweight predict claims.bundle new.csv --ood
        cat new.jsonl | trueweight predict claims.bundle - --format jsonl | head
        trueweight predict novel.bundle --prompt "It was" --temperature 0.8 --stream
    """
    from trueweight import api
    from trueweight.data.write import write_columns
    from trueweight.nn.decoding import decoding

    how = decoding(**wishes)
    _require_one(source, prompts)
    if streaming:
        _refuse_with_stream(output, form, ood)
        prepare_torch()
        write_stream(api.load(bundle, allow=allow), source, prompts, how, seed, media_dir)
        return
    form = form or _format_of(output)
    _refuse_the_source(source or "-", output)
    if output == "-" and form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("parquet is not for reading on a terminal: write it to a file with -o")
    prepare_torch()
    leave_pandas_out()
    with showing_progress():
        opened = api.load(bundle, allow=allow)
        rows = asked_rows(opened, source, prompts)
        columns = api.predict(opened, rows, media_dir=media_dir, ood=ood, times=times, how=how, seed=seed)
    write_columns(columns, sys.stdout.buffer if output == "-" else Path(output), form)


def _require_one(source: str | None, prompts: tuple[str, ...]) -> None:
    if (source is None) == (not prompts):
        both = "not both" if prompts else "one of the two"
        raise click.UsageError(f"name a SOURCE of rows, or give texts by --prompt: {both}")


def _refuse_with_stream(output: str, form: str | None, ood: bool) -> None:
    wrong = [name for name, asked in (("-o", output != "-"), ("--format", form), ("--ood", ood)) if asked]
    if wrong:
        raise click.UsageError(f"--stream writes to standard output as it goes: leave {', '.join(wrong)} out")


def _format_of(output: str) -> str:
    suffix = Path(output).suffix.lower()
    if suffix in NOT_WRITTEN:
        raise click.UsageError(
            f"answers are not written as {suffix}: name a file that ends in .csv, .parquet or .jsonl, or say --format"
        )
    return FORMATS.get(suffix, "csv")


def _refuse_the_source(source: str, output: str) -> None:
    """Answers in the place of the rows they answer would be the end of those rows."""
    rows, answers = Path(source), Path(output)
    if "-" not in (source, output) and rows.is_file() and answers.exists() and rows.samefile(answers):
        raise click.UsageError(f"{output} holds the rows to answer: name another file for the answers")
