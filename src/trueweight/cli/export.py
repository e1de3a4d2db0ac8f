"""``trueweight export``: a bundle's network in the layout of another maker, or as ONNX files."""

from pathlib import Path

import click

from trueweight.cli.console import note
from trueweight.cli.machine import prepare_torch

__all__ = ["export"]


@click.command(short_help="Write a model's network as other programs open it.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["hf", "onnx"]), required=True,
              help="hf: a folder in the layout of Hugging Face. onnx: the whole model as ONNX files.")  # fmt: skip
@click.option("-o", "--out", "--output", type=click.Path(path_type=Path), metavar="FOLDER",
              help="What to write; must not be there yet. By default NAME-hf or NAME-onnx.")  # fmt: skip
@click.option("--bake-off", type=click.FloatRange(0), default=8.0, show_default=True, metavar="SECONDS",
              help="With onnx: how long to measure how fast the files answer here; 0 for not at all.")  # fmt: skip
def export(bundle: Path, to: str, out: Path | None, bake_off: float) -> None:
    """Write networks that BUNDLE holds as a folder that other programs open.

    With hf, that is the transformer over text, with its tokens, or the ResNet over pictures, with how they are
    prepared. With onnx, it is the whole model: its networks as ONNX files, what is around them, and golden rows. The
    files' answers are held against the bundle's before anything is written.

    \b
    Examples:
        trueweight export novels.bundle --to hf -o novels-gpt2
        trueweight export claims.bundle --to onnx
    """
    from trueweight.api.export import export as write

    prepare_torch()
    found = write(bundle, to=to, out=out, bake_off=bake_off)
    click.echo(found.path)
    if found.running is not None:
        note(f"{found.place} as ONNX; the answers are the bundle's")
        for line in found.running.lines():
            note(line)
        return
    beside = f"; not in it: what belongs to {', '.join(found.left_out)}" if found.left_out else ""
    click.echo(f"a {found.kind} model, from {found.place}{beside}", err=True)
    for line in found.unsaid:
        click.echo(f"note: the folder cannot say: {line}", err=True)
