"""``trueweight init``: a first spec, guessed from the data."""

import contextlib
import os
from pathlib import Path

import click

from trueweight.cli.console import note
from trueweight.cli.machine import leave_pandas_out

__all__ = ["init"]


@click.command(short_help="Write a first spec, guessed from the data.")
@click.argument("source", type=click.Path(allow_dash=True))
@click.option("-t", "--target", "--predict", "targets", multiple=True, required=True, metavar="COLUMN",
              help="Column to predict; repeat it for several.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), metavar="FILE",
              help="File to write; else, or with -, the spec is printed.")  # fmt: skip
@click.option("--name", help="Name of the model; from the file's name by default.")
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
def init(source: str, targets: tuple[str, ...], output: Path | None, name: str | None, force: bool) -> None:
    """Look at SOURCE and write a spec with a guess for every column, each guess explained.

    \b
    Example:
        trueweight init claims.csv --target fraud -o claims.yaml
        trueweight train claims.yaml
    """
    from trueweight import api
    from trueweight.files import write_atomic

    leave_pandas_out()
    if output in (None, Path("-")):
        click.echo(api.init(source, list(targets), name=name), nl=False)
        return
    if output.exists() and not force:
        raise click.UsageError(f"{output} exists already: choose another -o, or replace it with --force")
    if not output.parent.is_dir():
        raise click.UsageError(f"there is no folder {output.parent}; make it first")
    # Sources in a spec start from the spec's folder, so the data is named as seen from there.
    from_there = source if source == "-" else os.path.relpath(source, output.parent)
    with contextlib.chdir(output.parent):
        text = api.init(source if Path(source).is_absolute() else from_there, list(targets), name=name)
    write_atomic(output, text.encode())
    note(f"wrote {output}; next: trueweight check {output}")
