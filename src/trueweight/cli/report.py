"""``trueweight report``: a bundle's evidence as one page, for people."""

from pathlib import Path

import click

from trueweight.cli.bar import showing_progress
from trueweight.cli.machine import leave_pandas_out, prepare_torch

__all__ = ["report"]


@click.command(short_help="Write a bundle's evidence as one page for people.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Where to; NAME.html beside the bundle by default. Its end decides what is written.")  # fmt: skip
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", help="Of the page; en by default.")
@click.option("--examples", metavar="SOURCE", help="Explain its first rows, whose content is then on the page.")
@click.option("--rows", type=click.IntRange(min=1, max=20), default=3, metavar="N", help="How many; 3 by default.")
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let the bundle load parts of this installed package.")
def report(
    bundle: Path, output: Path | None, language: str, examples: str | None, rows: int, allow: tuple[str, ...]
) -> None:
    """Write the evidence of BUNDLE, and what was measured later, for people to read. Prints where.

    A name that ends in .html gets the page, one file that loads nothing and runs no script; .md the model card with the
    front matter that model hubs read; .cdx.json a CycloneDX bill of materials; .annex-iv.md a map to Annex IV of the EU
    AI Act that lists what a person still has to write. BUNDLE may also be the NAME.evidence folder of a model that was
    trained elsewhere.

    \b
    Examples:
        trueweight report claims.bundle
        trueweight report claims.bundle -o claims-zh.html --language zh
        trueweight report claims.bundle --examples new.csv
        trueweight report credit.evidence
    """
    from trueweight import api

    prepare_torch()
    leave_pandas_out()
    with showing_progress():
        path = api.report(bundle, output, language=language, examples=examples, rows=rows, allow=allow)
    click.echo(path)
