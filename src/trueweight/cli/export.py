"""``trueweight export``: a bundle's network in the layout of another maker."""

from pathlib import Path

import click

from trueweight.cli.machine import prepare_torch

__all__ = ["export"]


@click.command(short_help="Write a model's network as other programs open it.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["hf"]), required=True, help="hf: a folder in the layout of Hugging Face.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER",
              help="What to write; must not be there yet.")  # fmt: skip
def export(bundle: Path, to: str, out: Path) -> None:
    """Write the transformer over text, or the ResNet over pictures, that BUNDLE holds as a folder that other programs
    open, with its tokens or with how its pictures are prepared.

    \b
    Example:
        trueweight export novels.bundle --to hf -o novels-gpt2
    """
    from trueweight.api.export import export as write

    prepare_torch()
    found = write(bundle, to=to, out=out)
    click.echo(found.path)
    beside = f"; not in it: what belongs to {', '.join(found.left_out)}" if found.left_out else ""
    click.echo(f"a {found.kind} model, from {found.place}{beside}", err=True)
    for line in found.unsaid:
        click.echo(f"note: the folder cannot say: {line}", err=True)
