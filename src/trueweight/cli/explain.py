"""``trueweight explain``: why a bundle answers rows as it does."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trueweight.cli.bar import showing_progress
from trueweight.cli.console import note, print_json
from trueweight.cli.machine import leave_pandas_out, prepare_torch

if TYPE_CHECKING:
    from trueweight.explain.record import Explanations

__all__ = ["explain"]

METHODS = ("importance", "shapley", "occlusion", "gradients", "dependence", "counterfactual", "prototypes")
"""Written out here, so that ``--help`` imports nothing; a test compares."""


@click.command(short_help="Say why rows are answered as they are.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("source", type=click.Path(allow_dash=True))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="File for all of it: .json, or .csv with a line for each number.")  # fmt: skip
@click.option("--rows", type=click.IntRange(min=1), default=5, show_default=True, metavar="N",
              help="Explain the first N rows.")  # fmt: skip
@click.option("--row", type=click.IntRange(min=0), metavar="K", help="Explain row K alone, counted from 0.")
@click.option(
    "--method", "methods", multiple=True, type=click.Choice(METHODS), help="Repeat for several; all by default."
)
@click.option("--target", metavar="COLUMN", help="Explain answers for this target alone.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="A column that counterfactuals must not change.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let the bundle load parts of this installed package.")
def explain(
    bundle: Path, source: str, output: Path | None, rows: int, row: int | None, methods: tuple[str, ...],
    target: str | None, keep: tuple[str, ...], as_json: bool, allow: tuple[str, ...],
) -> None:  # fmt: skip
    """Explain how BUNDLE answers rows of SOURCE.

    Each explanation has to pass checks: what it names first must change the answer most, it must not look the same for
    a model that has learnt nothing, and it must stay the same when nothing of importance changes. What fails is marked
    as failed and not shown. The other rows of SOURCE lend their cells and serve for the checks.

    \b
    Examples:
        trueweight explain claims.bundle new.csv --row 17
        trueweight explain claims.bundle new.csv --method importance --method shapley -o why.json
    """
    from trueweight import api
    from trueweight.cli.explained import explained_table
    from trueweight.files import require_target

    if output is not None:
        if output.suffix.lower() not in (".json", ".csv"):
            raise click.UsageError("explanations are written as .json or .csv: name a file that ends so")
        require_target(output)
    prepare_torch()
    leave_pandas_out()
    with showing_progress():
        opened = api.load(bundle, allow=allow)
        found = api.explain(opened, source, rows=rows, row=row, methods=methods, target=target, keep=keep)
    if as_json:
        print_json(found.to_json())
    else:
        click.echo(explained_table(found))
    if output is not None:  # last: a disk that is full must not take what was found
        _write(found, output)
        note(f"kept in {output}")


def _write(found: "Explanations", output: Path) -> None:
    import numpy as np

    from trueweight.data.write import write_columns
    from trueweight.explain.record import COLUMNS
    from trueweight.files import write_json

    if output.suffix.lower() == ".json":
        write_json(output, found.to_json())
        return
    lines = found.lines()
    write_columns({name: np.array([line[name] for line in lines], object) for name in COLUMNS}, output, "csv")
