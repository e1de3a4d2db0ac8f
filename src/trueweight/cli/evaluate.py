"""``trueweight evaluate``: measure a bundle, or a model that was trained elsewhere, on rows it has not seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trueweight.cli.bar import showing_progress
from trueweight.cli.console import note, print_json
from trueweight.cli.machine import leave_pandas_out, prepare_torch

if TYPE_CHECKING:
    from trueweight.evidence.record import Evidence

__all__ = ["evaluate"]


@click.command(short_help="Measure a model on other rows.")
@click.argument("bundle", type=click.Path(path_type=Path), required=False)
@click.argument("source", type=click.Path(allow_dash=True), required=False)
@click.option("--model", type=click.Path(path_type=Path), metavar="FILE",
              help="An ONNX file, instead of BUNDLE and SOURCE; needs --data and --target.")  # fmt: skip
@click.option("--data", type=click.Path(allow_dash=True), metavar="FILE", help="Rows to measure --model on.")
@click.option("-t", "--target", "targets", multiple=True, metavar="COLUMN",
              help="Column that --model predicts; repeat it for several.")  # fmt: skip
@click.option("--id", "key", metavar="COLUMN", help="Column that names the row; --model is not given it.")
@click.option("--features", metavar="A,B,…", help="Columns that --model reads, in its order; all others by default.")
@click.option("--classes", metavar="A,B,…", help="Classes in the order of --model's probabilities, if it does not say.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="For --model: a key of a spec, e.g. evaluate.metrics.y=[roc_auc].")  # fmt: skip
@click.option("--by", default="unknown", metavar="WHO",
              help='Who measures: "Ann <ann@example.org>". Kept with the facts.')  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the evidence as JSON.")
@click.option("--media-dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Where paths of pictures and sounds in cells start; as in training by default.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let the bundle load parts of this installed package.")
def evaluate(
    bundle: Path | None, source: str | None, model: Path | None, as_json: bool, by: str, media_dir: Path | None,
    allow: tuple[str, ...], **foreign: Any,
) -> None:  # fmt: skip
    """Measure BUNDLE on SOURCE, whose rows hold the true answers; or somebody else's model, by --model.

    The facts are also kept beside the bundle or the model, in NAME.evidence. The bundle itself is never edited.

    \b
    Examples:
        trueweight evaluate claims.bundle later.csv --by "Ann <ann@example.org>"
        trueweight evaluate --model credit.onnx --data test.csv --target default --id customer
    """
    from trueweight import api
    from trueweight.bundle.detached import evidence_folder

    options = _options(bundle, source, model, foreign)
    prepare_torch()
    leave_pandas_out()
    folder = evidence_folder(model or bundle or Path())
    found: list[Evidence] = []
    try:
        with showing_progress():
            if model is not None:
                api.evaluate(model, foreign["data"], by=by, measured=found.append, **options)
            else:
                opened = api.load(bundle or Path(), allow=allow)
                api.evaluate(opened, source, by=by, media_dir=media_dir, measured=found.append)
    finally:  # told even where it cannot be kept: the disk may be full
        for evidence in found:
            _tell(evidence, folder, as_json=as_json)
    note(f"kept in {folder}")


def _tell(evidence: "Evidence", folder: Path, *, as_json: bool) -> None:
    from trueweight.cli.tables import evidence_table, remarks

    if as_json:
        print_json(evidence.to_json())
    else:
        click.echo(evidence_table(evidence))
    if told := remarks(evidence, rest=f"in {folder}"):
        note("\n".join(told))


def _options(bundle: Path | None, source: str | None, model: Path | None, foreign: dict[str, Any]) -> dict[str, Any]:
    """What the Python function is told about somebody else's model."""
    given = [name for name, value in foreign.items() if value]
    if model is None:
        if bundle is None or source is None:
            raise click.UsageError("give BUNDLE and SOURCE, or --model FILE --data FILE --target COLUMN")
        if given:
            raise click.UsageError(f"--{_SPELLED.get(given[0], given[0])} is for --model: leave it out beside a bundle")
        return {}
    if bundle is not None:
        raise click.UsageError(f"{bundle} and --model are two models: give one")
    if foreign["data"] is None or not foreign["targets"]:
        raise click.UsageError("--model needs --data FILE and --target COLUMN")
    settings = [*foreign["settings"], *([f'data.primary_key="{foreign["key"]}"'] if foreign["key"] else [])]
    lists = {name: foreign[name].split(",") if foreign[name] else None for name in ("features", "classes")}
    return {"target": list(foreign["targets"]), "settings": settings, **lists}


_SPELLED = {"targets": "target", "key": "id", "settings": "set"}
