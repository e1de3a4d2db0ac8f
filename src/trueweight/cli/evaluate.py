"""``trueweight evaluate``: measure a bundle on rows that came later."""

from pathlib import Path

import click

from trueweight.cli.bar import showing_progress
from trueweight.cli.console import note, print_json
from trueweight.cli.machine import leave_pandas_out, prepare_torch

__all__ = ["evaluate"]


@click.command(short_help="Measure a bundle on other rows.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("source", type=click.Path(allow_dash=True))
@click.option("--by", default="unknown", metavar="WHO",
              help='Who measures: "Ann <ann@example.org>". Kept with the facts.')  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the evidence as JSON.")
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let the bundle load parts of this installed package.")
def evaluate(bundle: Path, source: str, by: str, as_json: bool, allow: tuple[str, ...]) -> None:
    """Measure BUNDLE on SOURCE, whose rows hold the true answers.

    The facts are also kept beside the bundle, in NAME.evidence. The bundle itself is never edited.

    \b
    Example:
        trueweight evaluate claims.bundle later.csv --by "Ann <ann@example.org>"
    """
    from trueweight import api
    from trueweight.bundle.detached import evidence_folder
    from trueweight.cli.tables import evidence_table

    prepare_torch()
    leave_pandas_out()
    with showing_progress():
        evidence = api.evaluate(api.load(bundle, allow=allow), source, by=by)
    if as_json:
        print_json(evidence.to_json())
    else:
        click.echo(evidence_table(evidence))
    note(f"kept in {evidence_folder(bundle)}")
