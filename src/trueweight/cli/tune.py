"""``trueweight tune``: try other options inside the training rows, and train with the best."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trueweight.cli.bar import showing_progress
from trueweight.cli.console import note, print_json
from trueweight.cli.machine import leave_pandas_out, prepare_torch
from trueweight.cli.train import EXIT_INTERRUPTED, tell_training

if TYPE_CHECKING:
    from trueweight.api.tune import Tuned
    from trueweight.tune.trial import Trial

__all__ = ["tune"]

MOST_ROWS = 20


@click.command(short_help="Search for better options, then train with them.")
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--budget", metavar="TIME", help="Time for all trials and the final training: 20m, 1h30m.")
@click.option("--trials", type=click.IntRange(min=1), help="Most trials, beside the budget or instead of it.")
@click.option("--no-train", is_flag=True, help="Write the tuned spec and stop there.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Folder of the search; runs/NAME-tune-01 by default.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), help="Of every random choice; 0 by default.")
@click.option("--name", help="Name of the model and its bundle.")
@click.option("--resume", is_flag=True, help="Take up the search in --out where it was cut off.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="Change an option, e.g. model.preset=best.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the path.")
def tune(spec: Path, no_train: bool, as_json: bool, **options: Any) -> None:
    """Try other options for SPEC inside its training rows, write the best as NAME.tuned.yaml, and train it.

    The rows that validate, calibrate and test are not read by any trial. The first trial changes nothing. The table of
    trials goes to standard error; all of them are in trials.jsonl of the search's folder. The last line on standard
    output is the path of the bundle, or of the tuned spec with --no-train.

    \b
    Examples:
        trueweight tune claims.yaml --budget 20m
        trueweight tune claims.yaml --trials 30 --no-train
        trueweight tune claims.yaml --budget 20m --resume
    """
    from trueweight.api.tune import tune as search

    options["settings"] = list(options["settings"])
    prepare_torch()
    leave_pandas_out()
    with showing_progress():
        tuned = search(spec, train=not no_train, **options)
    note("\n".join([*trial_table(tuned), "", *tuned.notes, *_summary(tuned)]))
    if tuned.bundle is not None:
        note()
        tell_training(tuned.bundle, tuned.bundle.evidence)
    if as_json:
        print_json(_facts(tuned))
    else:
        click.echo(str(tuned.spec if tuned.bundle is None else tuned.bundle.path))
    if tuned.interrupted:
        note("Stopped early: the best so far is kept, and --resume goes on from here.")
        click.get_current_context().exit(EXIT_INTERRUPTED)


def _facts(tuned: "Tuned") -> dict[str, Any]:
    return {
        "bundle": None if tuned.bundle is None else str(tuned.bundle.path), "spec": str(tuned.spec),
        "folder": str(tuned.folder), "best": tuned.best.number, "trials": [trial.to_json() for trial in tuned.trials],
        "interrupted": tuned.interrupted,
    }  # fmt: skip


def trial_table(tuned: "Tuned") -> list[str]:
    """The best trials first, then those given up and failed."""
    from trueweight.cli.tables import aligned
    from trueweight.metrics.words import counted

    order = {"complete": 0, "pruned": 1, "failed": 2}
    trials = sorted(tuned.trials, key=lambda t: (order[t.state], t.score if t.score is not None else 0.0, t.number))
    rows = [("trial", "score", "±", "seconds", ""), *(_row(trial) for trial in trials[:MOST_ROWS])]
    words = [_changes(trial) for trial in trials[:MOST_ROWS]]
    lines = aligned([row[:4] for row in rows], left=0, first="  ")
    lines = [lines[0], *(f"{line}   {text}" for line, text in zip(lines[1:], words, strict=True))]
    more = len(trials) - MOST_ROWS
    rest = [f"  … and {counted(more, 'more trial')} in {tuned.folder / 'trials.jsonl'}"] if more > 0 else []
    return ["Trials, best first; the score is a loss, lower is better", *lines, *rest]


def _row(trial: "Trial") -> tuple[str, ...]:
    from trueweight.metrics.words import brief

    score = "–" if trial.score is None else brief(trial.score, 4)
    error = "" if trial.error is None else brief(trial.error, 2)
    return str(trial.number), score, error, f"{trial.seconds:.1f}", ""


def _changes(trial: "Trial") -> str:
    changed = ", ".join(f"{_short(name)}={value}" for name, value in trial.changed.items())
    told = changed or ("as it was" if trial.number == 0 else "no change")
    return {"complete": told, "pruned": f"given up: {told}", "failed": f"failed ({trial.reason}): {told}"}[trial.state]


def _short(name: str) -> str:
    """The last word of a name; of ``train.optimizer.type`` the one before."""
    *before, last = name.split(".")
    return before[-1] if last == "type" and before else last


def _summary(tuned: "Tuned") -> list[str]:
    """Whether the best is better than what there was, in a sentence; and where the spec is."""
    from trueweight.metrics.words import brief
    from trueweight.tune.entries import gain

    found = gain(tuned.trials)
    kept = f"The tuned spec: {tuned.spec}"
    if found is None or tuned.best.number == 0:
        same = "No setting was better than the spec as it was." if found is not None else ""
        return [line for line in (same, kept) if line]
    lower, half = found
    if half is None:
        return [f"Trial {tuned.best.number} scored {brief(lower, 2)} lower than the spec as it was.", kept]
    ends = f"{brief(lower - half, 2)} … {brief(lower + half, 2)}"
    shown = "so the gain is shown" if lower > half else "so a gain is not shown: it may be luck"
    return [
        f"Trial {tuned.best.number} scored {brief(lower, 2)} lower than the spec as it was ({ends}), {shown}.",
        f"The best of {len(tuned.trials)} is lucky too; the test rows, which no trial has seen, tell.", kept,
    ]  # fmt: skip
