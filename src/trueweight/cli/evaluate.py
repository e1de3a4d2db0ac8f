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
@click.option("--json", "as_json", is_flag=True, help="Print the evidence as JSON.")
@click.option("--media-dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Where paths of pictures and sounds in cells start; as in training by default.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let the bundle load parts of this installed package.")
def evaluate(bundle: Path, source: str, as_json: bool, media_dir: Path | None, allow: tuple[str, ...]) -> None:
    """Measure BUNDLE on SOURCE, whose rows hold the true answers.

    The facts are also kept beside the bundle, in NAME.evidence. The bundle itself is never edited.

    \b
    Example:
        trueweight evaluate claims.bundle later.csv
    """
    from trueweight import api
    from trueweight.bundle.detached import evidence_folder
    from trueweight.cli.tables import evidence_table

    prepare_torch()
    leave_pandas_out()
    with showing_progress():
        evidence = api.evaluate(api.load(bundle, allow=allow), source, media_dir=media_dir)
    if as_json:
        print_json(evidence.to_json())
    else:
        click.echo(evidence_table(evidence))
    note(f"kept in {evidence_folder(bundle)}")
