"""``trueweight predict``: answers for new rows."""

import sys
from pathlib import Path

import click

from trueweight.cli.bar import showing_progress
from trueweight.cli.machine import prepare_torch

__all__ = ["predict"]

FORMATS = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@click.command(short_help="Answer new rows.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("source", type=click.Path(allow_dash=True))
@click.option("-o", "--output", type=click.Path(dir_okay=False, allow_dash=True), default="-", metavar="FILE",
              help="File for the answers; standard output by default.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["csv", "parquet", "jsonl"]),
              help="Of the answers; by the file's ending, else csv.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let the bundle load parts of this installed package.")
def predict(bundle: Path, source: str, output: str, form: str | None, allow: tuple[str, ...]) -> None:
    """Answer every row of SOURCE (a file, or - for standard input) with BUNDLE, in the order of the rows.

    \b
    Examples:
        trueweight predict claims.bundle new.csv -o answers.csv
        cat new.jsonl | trueweight predict claims.bundle - --format jsonl | head
    """
    from trueweight import api
    from trueweight.data.write import write_columns

    form = form or FORMATS.get(Path(output).suffix.lower(), "csv")
    if output == "-" and form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("parquet is not for reading on a terminal: write it to a file with -o")
    prepare_torch()
    with showing_progress():
        columns = api.predict(api.load(bundle, allow=allow), source)
    write_columns(columns, sys.stdout.buffer if output == "-" else Path(output), form)
