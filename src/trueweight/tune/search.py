"""The search: Optuna proposes settings, trials score them on inner rows, and what is bad early is given up.

Source: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization" (the TPE sampler); Golovin et al. 2017,
"Google Vizier" (the rule to stop what is worse than the median of the others at the same point).

Nothing of Optuna's is stored. Before each trial its study is made anew from our own table, with a seed of the trial's
number, so that a search that was cut off goes on exactly as if it had not been.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from trueweight.errors import SpecError
from trueweight.progress import advance
from trueweight.seeds import stream_seed
from trueweight.spec.run import RunSpec
from trueweight.spec.tune import RangeSpec
from trueweight.tune.inner import Inner
from trueweight.tune.space import Choice, Space, in_order
from trueweight.tune.trial import Trial, add_trial, read_trials, run_trial

__all__ = ["Limits", "Search", "best_of", "require_optuna", "search"]

PATIENCE = 30
"""Proposals in a row that have all been tried, after which there is nothing left to try."""

LEAST_TO_PRUNE = 5
"""Trials that must have ended before one is given up for being worse than their median: Optuna's own default."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a search ends. At least one is set."""

    seconds: float | None
    """Wall time of all trials together, those before a resume included."""
    trials: int | None


@dataclass(frozen=True, slots=True)
class Search:
    """What a search came to."""

    trials: tuple[Trial, ...]
    interrupted: bool
    """Ended by Ctrl-C."""
    exhausted: bool
    """Ended because everything had been tried."""


def require_optuna() -> Any:
    """The library, or one message that names the extra.

    Raises:
        SpecError: It is not installed.
    """
    try:
        import optuna
    except ImportError:
        hint = "pip install 'trueweight[tune]'"
        raise SpecError("tune searches with Optuna, which is not installed", hint=hint) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # the table of trials is ours to show
    return optuna


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the lowest score, the earliest of several; None if there is none."""
    complete = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
    return min(complete, key=lambda trial: (trial.score, trial.number), default=None)


def search(
    space: Space, inner: Inner, limits: Limits, folder: Path, seed: int, timed: Callable[[RunSpec], RunSpec]
) -> Search:  # fmt: skip
    """Run trials until a limit is reached; those in the folder's table count.

    Args:
        space: What may be tried.
        inner: The rows of the trials.
        limits: When to end.
        folder: Holds ``trials.jsonl``, and checkpoints of the trial in hand.
        seed: Of all choices.
        timed: Gives a trial's spec the time that each of its fits may take.
    """
    optuna, table = require_optuna(), folder / "trials.jsonl"
    trials = read_trials(table)
    before, started = sum(trial.seconds for trial in trials), perf_counter()
    while not _ended(trials, limits, before + perf_counter() - started):
        number = len(trials)
        values = _proposed(optuna, space, trials, seed)
        if values is None:
            return Search(tuple(trials), interrupted=False, exhausted=True)
        spent = before + perf_counter() - started
        try:
            trial = run_trial(
                number, timed(space.spec(values)), values, space.changed(values), inner, folder=folder / "trial",
                goes_on=partial(_goes_on, optuna, space, trials), told=partial(_tell, trials, limits, spent),
            )  # fmt: skip
        except KeyboardInterrupt:
            return Search(tuple(trials), interrupted=True, exhausted=False)
        add_trial(table, trial)
        trials.append(trial)
    total = len(trials)
    advance("tuning", total, total, unit="trials")
    return Search(tuple(trials), interrupted=False, exhausted=False)


def _ended(trials: Sequence[Trial], limits: Limits, spent: float) -> bool:
    """Whether a limit is reached: a trial that would hardly get half its time is not begun."""
    if limits.trials is not None and len(trials) >= limits.trials:
        return True
    if limits.seconds is None or not trials:
        return False
    return limits.seconds - spent < sum(trial.seconds for trial in trials) / len(trials) / 2


def _tell(trials: Sequence[Trial], limits: Limits, spent: float, words: str) -> None:
    done, best = len(trials), best_of(trials)
    expected = [] if limits.trials is None else [float(limits.trials)]
    if limits.seconds is not None and trials:
        expected.append(max(done + 1, round(done * limits.seconds / max(spent, 1e-9))))
    note = words if best is None else f"{words}; best {best.score:.4g}"
    advance("tuning", done, min(expected, default=None), unit="trials", note=note)


def _proposed(optuna: Any, space: Space, trials: Sequence[Trial], seed: int) -> dict[str, Any] | None:
    """Values for the next trial: first those that change nothing, then what TPE proposes; None when nothing is left."""
    if not trials:
        return space.defaults()
    tried = {_words(trial.values) for trial in trials}
    study = _study(optuna, space, trials, seed)
    for _ in range(PATIENCE):
        asked = study.ask()
        values = _read(space, partial(_suggested, asked))
        if _words(values) not in tried:
            return values
    return None


def _words(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _study(optuna: Any, space: Space, trials: Sequence[Trial], seed: int) -> Any:
    """Optuna's view of the table, with the random numbers of the next trial."""
    sampler = optuna.samplers.TPESampler(seed=stream_seed(seed, "tune", len(trials)) % 2**32)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=LEAST_TO_PRUNE)
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    states = {
        "complete": optuna.trial.TrialState.COMPLETE, "pruned": optuna.trial.TrialState.PRUNED,
        "failed": optuna.trial.TrialState.FAIL,
    }  # fmt: skip
    for trial in trials:
        kinds = {choice.key: _distribution(optuna, choice) for choice in space.choices if choice.key in trial.values}
        study.add_trial(
            optuna.trial.create_trial(
                state=states[trial.state],
                value=trial.score if trial.state == "complete" else None,
                params={c.key: _inward(c, trial.values[c.key]) for c in space.choices if c.key in trial.values},
                distributions=kinds,
                intermediate_values=dict(enumerate(trial.rounds)),
            )
        )
    return study


def _goes_on(optuna: Any, space: Space, trials: Sequence[Trial], rounds: Sequence[float]) -> bool:
    """Optuna's answer to whether a trial with these scores so far is worth another round."""
    asked = _study(optuna, space, trials, 0).ask()
    for step, score in enumerate(rounds):
        asked.report(score, step)
    return not asked.should_prune()


def _read(space: Space, answer: Callable[[Choice], Any]) -> dict[str, Any]:
    """A value for each choice that counts: those of other optimisers than the one chosen do not."""
    values: dict[str, Any] = {}
    kind = space.optimizer
    for choice in space.choices:
        if choice.when is None or choice.when == kind:
            values[choice.key] = answer(choice)
        if choice.name == "train.optimizer.type":
            kind = values[choice.key]
    return values


def _distribution(optuna: Any, choice: Choice) -> Any:
    kinds = optuna.distributions
    values = choice.values
    if isinstance(values, RangeSpec):
        whole = isinstance(values.low, int) and isinstance(values.high, int)
        kind = kinds.IntDistribution if whole else kinds.FloatDistribution
        return kind(values.low, values.high, log=values.log)
    if in_order(values):
        return kinds.IntDistribution(0, len(values) - 1)
    return kinds.CategoricalDistribution([json.dumps(value) for value in values])


def _inward(choice: Choice, value: Any) -> Any:
    """A value as Optuna knows it: numbers of a list by their place, other things by their words."""
    if isinstance(choice.values, RangeSpec):
        return value
    return choice.values.index(value) if in_order(choice.values) else json.dumps(value)


def _suggested(asked: Any, choice: Choice) -> Any:
    values = choice.values
    if isinstance(values, RangeSpec):
        whole = isinstance(values.low, int) and isinstance(values.high, int)
        suggest = asked.suggest_int if whole else asked.suggest_float
        return suggest(choice.key, values.low, values.high, log=values.log)
    if in_order(values):
        return values[asked.suggest_int(choice.key, 0, len(values) - 1)]
    return json.loads(asked.suggest_categorical(choice.key, [json.dumps(value) for value in values]))
