"""``trueweight check``: say whether a spec would run, without running it."""

from pathlib import Path

import click

from trueweight.cli.console import print_json
from trueweight.cli.machine import leave_pandas_out

__all__ = ["check"]


@click.command(short_help="Say whether a spec would run, and what it would do.")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="Change an option, e.g. train.budget.time=2m.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the filled-in spec as JSON.")
def check(spec: Path, settings: tuple[str, ...], as_json: bool) -> None:
    """Check SPEC against its data and print what a run of it would do.

    Reads at most the first 1,000 rows and trains nothing. Every mistake is told at once, with file, line and column.
    Exits with 0 if the run can start, 2 if the spec is wrong and 3 if the data does not fit it.

    \b
    Example:
        trueweight check claims.yaml && trueweight train claims.yaml
    """
    from trueweight import api

    leave_pandas_out()
    report = api.check(spec, settings=settings)
    if as_json:
        print_json(report.spec.model_dump(mode="json", by_alias=True))
        return
    for line in report.lines:
        click.echo(line)
