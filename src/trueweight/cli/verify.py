"""``trueweight verify``: unchanged, signed by, reproduced."""

from dataclasses import asdict
from pathlib import Path

import click

from trueweight.cli.bar import showing_progress
from trueweight.cli.console import print_json
from trueweight.cli.machine import leave_pandas_out, prepare_torch
from trueweight.errors import VerifyError

__all__ = ["verify"]


@click.command(short_help="Say whether a bundle is what it says it is.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--recompute", is_flag=True, help="Measure its numbers again; needs --data.")
@click.option("--data", type=click.Path(), metavar="SOURCE", help="What the model was trained from.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--media-dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Where paths of pictures and sounds in cells start; as in training by default.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let the bundle load parts of this installed package.")
def verify(
    bundle: Path, recompute: bool, data: str | None, as_json: bool, media_dir: Path | None, allow: tuple[str, ...]
) -> None:
    """Say three things about BUNDLE: whether it is unchanged, who signed it, and whether its numbers come out again.

    Exits with 5 if anything that was looked at is wrong.

    \b
    Example:
        trueweight verify claims.bundle --recompute --data claims.csv
    """
    from trueweight import api

    if recompute and data is None:
        raise click.UsageError("--recompute measures again on the data the model was trained from: add --data SOURCE")
    if data is not None and not recompute:
        raise click.UsageError("--data is for --recompute: add that, or leave --data out")
    prepare_torch()
    leave_pandas_out()
    with showing_progress():
        found = api.verify(bundle, recompute=recompute, data=data, media_dir=media_dir, allow=allow)
    if as_json:
        print_json(asdict(found))
    else:
        click.echo("\n".join(found.lines))
    if not found.ok:
        click.get_current_context().exit(VerifyError.exit_code)
