"""``tune`` from end to end: cut the training rows again, search, write the tuned spec, train it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trueweight.api.request import Request, make_request
from trueweight.api.run import run
from trueweight.bundle.bundle import Bundle, open_bundle
from trueweight.errors import SpecError, TrainError
from trueweight.evaluate.asked import require_labels, require_metrics
from trueweight.evaluate.baselines import require_baselines
from trueweight.evaluate.quality import now
from trueweight.evidence.meters import Stages
from trueweight.evidence.record import Entry
from trueweight.files import digest_compact, free_name, read_json, safe_name, write_json
from trueweight.metrics.words import brief
from trueweight.recipes.scaling import batch_size_for
from trueweight.recipes.tables import PRESETS
from trueweight.spec.document import Document
from trueweight.spec.load import load_spec, read_document
from trueweight.spec.run import RunSpec
from trueweight.spec.settings import apply_settings
from trueweight.spec.units import describe_seconds, parse_duration
from trueweight.train.build import Fitted
from trueweight.train.prepare import Prepared, prepare
from trueweight.tune.asked import space_of
from trueweight.tune.entries import score_on_validation, search_entries
from trueweight.tune.inner import Inner, inner_of
from trueweight.tune.places import put
from trueweight.tune.search import Limits, Search, best_of, require_optuna, search
from trueweight.tune.space import Space
from trueweight.tune.study import Study, open_study
from trueweight.tune.trial import Trial
from trueweight.tune.written import free_file, tuned_spec, write_tuned

__all__ = ["Tuned", "tune"]

FINAL_SHARE = 0.25
"""Of the budget, at most, for the final training, unless the spec says how long it may take."""

LEAST_TRIALS = 10
"""For which the budget must do: no fit may take longer than that allows."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a search was asked for."""

    budget: str | float | None = None
    trials: int | None = None
    out: Path | None = None
    resume: bool = False
    train: bool = True


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a search came to."""

    folder: Path
    """Holds the table of trials, ``trials.jsonl`` and the same as ``tuning.json``."""
    spec: Path
    """The tuned spec, a file."""
    trials: tuple[Trial, ...]
    bundle: Bundle | None
    """The model trained from it; None if none was asked for, or Ctrl-C came first."""
    interrupted: bool
    """Ctrl-C ended the search or the training early."""
    notes: tuple[str, ...]
    """How the rows were cut and the time was shared, in sentences."""

    @property
    def best(self) -> Trial:
        """The trial whose setting the tuned spec has."""
        best = best_of(self.trials)
        assert best is not None  # a spec was written
        return best


def tune(
    spec: RunSpec | Mapping[str, Any] | str | Path, data: Any = None, *, budget: str | float | None = None,
    trials: int | None = None, train: bool = True, out: str | Path | None = None, resume: bool = False,
    seed: int | None = None, name: str | None = None, settings: Sequence[str] = (), base: Path | None = None,
) -> Tuned:  # fmt: skip
    """Search the options that the recipe would decide, inside the training rows, and train with the best found.

    Args:
        spec: A RunSpec, the same as plain data, or the path of a YAML file. What it asks for is kept; its section
            ``tune`` says what else to try.
        data: A file or a frame, if the spec names no source.
        budget: Wall time of all trials and the final training together, such as ``"20m"`` or seconds.
        trials: Most trials, beside the budget or instead of it. Without a budget no clock decides anything, unless the
            spec limits training by time: the same seed then gives the same trials.
        train: Train the tuned spec in the end, as :func:`trueweight.train` would.
        out: Folder of the search; ``runs/<name>-tune-01`` by default.
        resume: Take up the unfinished search instead of starting one.
        seed: Of every random choice.
        name: Of the model.
        settings: Changes to the spec, ``"model.preset=best"``; recorded.
        base: Folder that relative sources in the spec start from, and where the tuned spec is written; the spec's own
            by default.

    Raises:
        SpecError: Optuna is missing, nothing says when to end, or ``tune.search_space`` is wrong; all mistakes at once.
        DataError: The data does not fit the spec, or has too few training rows to be cut again.
        TrainError: No trial came to its end, or there is nothing to resume.
        KeyboardInterrupt: Ctrl-C, before any trial had ended.
    """
    asked = _Asked(budget, trials, None if out is None else Path(out), resume, train)
    require_optuna()
    seconds = _seconds(asked)
    changes = {"seed": seed, "name": name}
    request = make_request(data, None, spec, changes, settings, base)
    document = None
    if isinstance(spec, str | Path):
        document = apply_settings(read_document(Path(spec)), request.settings)
    request, final = _shared(request, asked, seconds)
    stem = Path(spec).stem if isinstance(spec, str | Path) else safe_name(request.spec.name)
    with open_study(request.spec.name, asked.out, resume=asked.resume) as study:
        return _searched(study, request, asked, seconds, final, document, stem)


def _searched(
    study: Study, request: Request, asked: _Asked, seconds: float | None, final: float, document: Document | None,
    stem: str,
) -> Tuned:  # fmt: skip
    ready = prepare(request.table, request.spec, labels=request.labels)
    require_metrics(ready.spec)
    require_labels(ready.spec, ready.signature)
    require_baselines(ready)
    inner = inner_of(ready)
    space = space_of(request.spec, ready.spec, batch_size_for(inner.learning), document)
    left = None if seconds is None else seconds - final
    fit_seconds = study.begin(_digests(request, space, inner), _fit_seconds(left, inner))
    limits = Limits(left, asked.trials)
    found = search(space, inner, limits, study.folder, ready.spec.seed, lambda one: _timed(one, request, fit_seconds))
    notes = _notes(request, inner, found, left, final if asked.train else None, fit_seconds)
    return _finished(study, request, space, inner, found, notes, stem, train=asked.train)


def _seconds(asked: _Asked) -> float | None:
    """The budget in seconds.

    Raises:
        SpecError: It is no duration, or there is no limit at all.
    """
    if asked.trials is not None and asked.trials < 1:
        raise SpecError(f"{asked.trials} trials are too few", where="trials", hint="ask for one or more")
    if asked.budget is None:
        if asked.trials is None:
            hint = "give a budget such as 20m, or a number of trials"
            raise SpecError("nothing says when the search is to end", where="budget", hint=hint)
        return None
    try:
        seconds = parse_duration(asked.budget)
    except ValueError as error:
        raise SpecError(f"{asked.budget!r} is {error}", where="budget") from None  # which says what to write
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise SpecError(f"{asked.budget!r} is no time to search in", where="budget", hint="write 90s, 20m or 1h30m")
    return float(seconds)


def _shared(request: Request, asked: _Asked, seconds: float | None) -> tuple[Request, float]:
    """The request with a limit for the final training, and that limit in seconds.

    Raises:
        SpecError: The final training alone would take most of the budget.
    """
    if seconds is None or not asked.train:
        return request, 0.0
    spec = request.spec
    budget = spec.train.budget
    if budget.time is not None:
        if budget.time > seconds / 2:
            problem = (
                f"the final training may take {describe_seconds(budget.time)} (train.budget.time), which leaves less "
                f"than half of {describe_seconds(seconds)} for trials"
            )
            raise SpecError(problem, where="budget", hint="give more, lower train.budget.time, or add --no-train")
        return request, budget.time
    if budget.steps is not None or budget.epochs is not None:
        return request, 0.0  # nobody knows; it comes on top
    own, share = PRESETS[spec.model.preset].seconds, round(FINAL_SHARE * seconds, 1)
    if own <= share:
        return request, own
    train = spec.train.model_copy(update={"budget": budget.model_copy(update={"time": share})})
    return replace(request, spec=spec.model_copy(update={"train": train})), share


def _fit_seconds(left: float | None, inner: Inner) -> float | None:
    """Time for one fit of a trial, so that the budget does for some trials; None where no clock is to decide."""
    return None if left is None else round(left / LEAST_TRIALS / len(inner.rounds), 3)


def _timed(spec: RunSpec, request: Request, seconds: float | None) -> RunSpec:
    """A trial's spec with its time; without a budget only a time that was asked for counts, or trials could not be
    repeated."""
    own = request.spec.train.budget.time
    limits = [limit for limit in (own, seconds) if limit is not None]
    budget = spec.train.budget.model_copy(update={"time": min(limits, default=None)})
    return spec.model_copy(update={"train": spec.train.model_copy(update={"budget": budget})})


def _digests(request: Request, space: Space, inner: Inner) -> dict[str, str]:
    """What a resumed search must have in common with its beginning."""
    choices = [[choice.key, str(choice.values), choice.default] for choice in space.choices]
    spec = {key: value for key, value in space.raw.items() if key not in ("evaluate", "gates", "card", "bundle")}
    spec = put(spec, ("train", "budget", "time"), None)  # a budget may be raised: a fit's own time is kept apart
    return {
        "table of data": digest_compact([request.table.provenance.digest, len(request.table)]),
        "spec or space": digest_compact([spec, choices, [one.labels for one in inner.rounds]]),
    }


def _notes(
    request: Request, inner: Inner, found: Search, left: float | None, final: float | None,
    fit_seconds: float | None,
) -> tuple[str, ...]:  # fmt: skip
    spent = sum(trial.seconds for trial in found.trials)
    others = f"{len(request.table) - len(inner.table):,} other rows were not read by any"
    rows = f"{inner.judged:,} of {len(inner.table):,} training rows ({inner.method})"
    notes = [f"Trials were scored on {rows}; the {others}."]
    if left is not None and fit_seconds is not None:
        after = f", and at most {describe_seconds(final)} for the final training" if final else ""
        if final == 0.0:
            after = "; the final training comes on top, since train.budget limits it by steps or epochs, not by time"
        notes.append(
            f"Time: {describe_seconds(left)} for trials, each fit at most {describe_seconds(fit_seconds)}{after}."
            f" Trials that ended took {describe_seconds(spent)}."
        )
    if found.exhausted:
        notes.append("The search ended early: every setting it proposed had been tried.")
    return tuple(notes)


def _finished(
    study: Study, request: Request, space: Space, inner: Inner, found: Search, notes: tuple[str, ...], stem: str, *,
    train: bool,
) -> Tuned:  # fmt: skip
    best = best_of(found.trials)
    if best is None:
        study.note(state="partial")
        if found.interrupted:
            raise KeyboardInterrupt
        raise _all_failed(found.trials, study.folder)
    write_json(study.folder / "tuning.json", _table(found.trials, space, inner))
    path = _write(study, request, space, best, found.trials, stem)
    tuned = Tuned(study.folder, path, found.trials, None, found.interrupted, notes)
    if found.interrupted:
        study.note(state="partial")
        return tuned
    if train:
        bundle = _trained(study, request, space, inner, found.trials, path)
        tuned = replace(tuned, bundle=bundle, interrupted=any(e.id == "fit/partial" for e in bundle.evidence))
    study.note(state="partial" if tuned.interrupted else "finished")
    return tuned


def _all_failed(trials: Sequence[Trial], folder: Path) -> TrainError:
    reasons = list(dict.fromkeys(trial.reason for trial in trials if trial.reason))
    told = f": {reasons[0]}" if reasons else ""
    hint = "train the spec once by itself, or allow more time"
    return TrainError(f"no trial came to its end{told}", where=str(folder / "trials.jsonl"), hint=hint)


def _table(trials: Sequence[Trial], space: Space, inner: Inner) -> dict[str, Any]:
    """The trials and what they are of, as plain data."""
    best = best_of(trials)
    return {
        "schema": 1,
        "scored": {"how": inner.method, "rows": inner.judged, "lower_is_better": True},
        "space": [
            {
                "name": choice.name, "when": choice.when, "default": choice.default,
                "values": list(choice.values) if isinstance(choice.values, tuple) else choice.values.model_dump(),
            }
            for choice in space.choices
        ],
        "best": None if best is None else best.number,
        "trials": [trial.to_json() for trial in trials],
    }  # fmt: skip


def _write(
    study: Study, request: Request, space: Space, best: Trial, trials: Sequence[Trial], stem: str
) -> Path:  # fmt: skip
    """The tuned spec beside the one that was asked for, so that relative paths lead to the same files."""
    known = study.facts()["written"]
    path = free_file(request.base or Path(), stem) if known is None else Path(known)
    study.note(written=str(path))
    first = trials[0]
    now_then = "" if first.score is None else f"; as it was: {brief(first.score, 4)}"
    changes = [f"  {name}: {value}" for name, value in best.changed.items()] or ["  nothing: the first was the best"]
    notes = [
        f"Written by trueweight tune: the best of {len(trials)} settings of {request.spec.name}, trial {best.number}.",
        f"Score on inner training rows, lower is better: {brief(best.score or 0.0, 4)}{now_then}.",
        f"All trials: {study.folder / 'tuning.json'}", "Changed:", *changes,
    ]  # fmt: skip
    write_tuned(path, tuned_spec(request.spec, space, best), notes)
    return path


def _trained(
    study: Study, request: Request, space: Space, inner: Inner, trials: Sequence[Trial], path: Path
) -> Bundle:  # fmt: skip
    """The tuned spec, trained as any other, beside the search's folder; what a kill cut short is taken up again."""
    spec = load_spec(path)
    if "name" not in spec.model_fields_set:
        spec = spec.model_copy(update={"name": request.spec.name})
    known = study.facts()["run"]
    folder = free_name(study.folder.parent, safe_name(spec.name)) if known is None else Path(known)
    study.note(run=str(folder))
    state = read_json(folder / "run.json") if (folder / "run.json").is_file() else {}
    if state.get("state") == "finished":
        return open_bundle(folder / str(state["bundle"]))

    def more(ready: Prepared, fitted: Fitted) -> list[Entry]:
        validation = score_on_validation(ready, fitted.predictor)
        return list(search_entries(trials, space, inner, request.table.provenance.digest, validation, now()))

    final = replace(request, spec=spec, settings=[])
    bundle = run(final, Stages(), out=folder, resume=bool(state), plan=None, sealed=False, more=more)
    write_json(folder / "tuning.json", _table(trials, space, inner))
    return bundle
