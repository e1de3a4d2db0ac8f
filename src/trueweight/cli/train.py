"""``trueweight train``: a model, the evidence with it, and the path of the bundle that holds both."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trueweight.cli.bar import showing_progress
from trueweight.cli.console import note, print_json
from trueweight.cli.machine import leave_pandas_out, prepare_torch, torch_meanwhile

if TYPE_CHECKING:
    from trueweight.bundle.bundle import Bundle
    from trueweight.evidence.record import Evidence

__all__ = ["EXIT_INTERRUPTED", "tell_training", "train"]

EXIT_INTERRUPTED = 130


@click.command(short_help="Train a model and measure it.")
@click.argument("sources", type=click.Path(), nargs=-1, required=True, metavar="SOURCE...")
@click.option("-t", "--target", "--predict", "targets", multiple=True, metavar="COLUMN",
              help="Column to predict, if SOURCE is data; repeat it for several.")  # fmt: skip
@click.option("--budget", metavar="TIME", help="Time for fitting: 90s, 20m, 1h30m.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Folder of the run; runs/NAME-01 by default.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), help="Of every random choice; 0 by default.")
@click.option("--name", help="Name of the model and its bundle.")
@click.option("--resume", is_flag=True, help="Take up the run in --out where it was cut off.")
@click.option("--plan", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="Replay a plan.json: no clock decides anything.")  # fmt: skip
@click.option("--sealed", is_flag=True, help="Leave the test rows unopened; report validation only.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="Change an option, e.g. model.preset=fast.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the bundle's path.")
def train(sources: tuple[str, ...], targets: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Train on SOURCE: a spec, or one or more data files together with --target.

    The table of results goes to standard error. The last line on standard output is the path of the bundle.

    \b
    Examples:
        trueweight train claims.csv --target fraud --budget 2m
        trueweight train claims.yaml --set train.budget.time=20m
        bundle=$(trueweight train claims.yaml | tail -n 1)
    """
    options["settings"] = list(options["settings"])
    is_spec = len(sources) == 1 and _is_spec(sources[0], targets)
    request = _spec_request(sources[0], targets) if is_spec else _data_request(sources, targets)
    leave_pandas_out()  # before another thread imports: it changes who is asked for modules
    with torch_meanwhile(), showing_progress():
        from trueweight.api import train as start

        bundle = start(**request, **options, prepared=prepare_torch)
    evidence = bundle.evidence
    tell_training(bundle, evidence)
    if as_json:
        print_json({"bundle": str(bundle.path), "name": bundle.name, "evidence": evidence.to_json()["entries"]})
    else:
        click.echo(str(bundle.path))
    if any(entry.id == "fit/partial" for entry in evidence):
        note("Stopped early: the bundle holds the best model so far, and says that it is partial.")
        click.get_current_context().exit(EXIT_INTERRUPTED)


def _is_spec(source: str, targets: tuple[str, ...]) -> bool:
    """By the end of its name. JSON may be either: rows come with --target, a spec names its own."""
    return source.lower().endswith((".yaml", ".yml") if targets else (".yaml", ".yml", ".json"))


def _spec_request(source: str, targets: tuple[str, ...]) -> dict[str, Any]:
    if targets:
        raise click.UsageError(f"{source} is a spec and names its targets itself: leave out --target")
    return {"spec": source}


def _data_request(sources: tuple[str, ...], targets: tuple[str, ...]) -> dict[str, Any]:
    if not targets:
        raise click.UsageError(f"which column of {sources[0]} is to be predicted? Say --target COLUMN")
    return {"data": sources[0] if len(sources) == 1 else list(sources), "target": list(targets)}


def tell_training(bundle: "Bundle", evidence: "Evidence") -> None:
    """Everything that is said at the end of a training, on standard error."""
    from trueweight.cli.tables import cost_line, evidence_table, members_table, remarks

    linear = bundle.path.parent / "linear.bundle"
    kept = {"linear": linear} if linear.is_dir() and linear != bundle.path else {}
    if told := remarks(evidence):
        note("\n".join(told))
    note(evidence_table(evidence, kept=kept))
    if members := members_table(evidence):
        note(members)
    if cost := cost_line(evidence):
        note(cost)
    if bundle.resolved.gates:
        from trueweight.api import gate

        note("\n".join(["Gates:", *(f"  {ruling}" for ruling in gate(bundle).rulings)]))
