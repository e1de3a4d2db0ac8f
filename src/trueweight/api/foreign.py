"""``evaluate`` for models that were trained elsewhere: the same evidence, from the rows that are given.

Nothing is known of how the model was trained: no split, no baselines, no training rows. What needs these says so.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from trueweight.api.request import as_cases, data_spec_of
from trueweight.bundle.detached import evidence_folder, require_place, write_detached
from trueweight.bundle.redact import without_folders_in_setting
from trueweight.bundle.verify import ANSWERED
from trueweight.data.cells import LevelCells
from trueweight.data.guess import guess_target
from trueweight.data.learn import blank_signature, learn_signature
from trueweight.data.read import read_table
from trueweight.data.reading import cells_of, column_part
from trueweight.data.roles import assign_roles, read_options_of
from trueweight.data.sample import BottomK
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.errors import DataError, SpecError
from trueweight.evaluate.asked import require_metrics
from trueweight.evaluate.measure import evaluate_table
from trueweight.evaluate.quality import now
from trueweight.evidence.record import Entry, Evidence
from trueweight.files import digest_file, safe_name
from trueweight.model.foreign.asking import Model, known_features, model_of
from trueweight.model.foreign.outputs import Output, gives_labels, texts_of
from trueweight.model.foreign.predictor import ForeignPredictor
from trueweight.model.foreign.rows import rows_like
from trueweight.model.target import HeadType
from trueweight.recipes.facts import Facts
from trueweight.recipes.resolve import resolve
from trueweight.registry import registry
from trueweight.spec.gates import CheckName
from trueweight.spec.load import parse_spec
from trueweight.spec.run import RunSpec
from trueweight.spec.settings import parse_setting

__all__ = ["Foreign", "evaluate_foreign"]

_TRIED = 64
"""Rows that the model is asked about first, to learn what its answers are like."""

_CHECKS: tuple[CheckName, ...] = get_args(CheckName)


@dataclass(frozen=True, slots=True)
class Foreign:
    """What is asked about a model that was trained elsewhere."""

    model: Any
    source: Any
    targets: Sequence[str]
    features: Sequence[str] | None = None
    """Columns that the model reads, in its order. Null: what it says itself, else all that have no other job."""
    classes: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None
    """Of the target, or by target, in the order of the columns of its probabilities. Null: what it says itself."""
    settings: Sequence[str] = ()


def evaluate_foreign(
    asked: Foreign, *, out: Path | None, keep: bool, by: str, measured: Callable[[Evidence], object] | None = None
) -> Evidence:
    """Measure somebody else's model.

    Args:
        asked: The model and the rows.
        out: Folder of the evidence; beside the model where that is a file. None for a function: it is not kept.
        keep: Write it.
        by: Who measures.
        measured: Called with the facts before they are written.

    Raises:
        SpecError: A mistake in the settings, or a model file that cannot be run.
        DataError: The rows do not fit, or the model failed or gave what is no answer.
    """
    folder = out if out is not None else evidence_folder(asked.model) if isinstance(asked.model, str | Path) else None
    if keep and folder is not None:
        require_place(folder)
    model = model_of(asked.model)
    reading = data_spec_of(list(asked.settings))
    table = as_cases(read_table(asked.source, reading), reading, single=asked.targets)
    for target in asked.targets:
        table.column(target)
    names = _features(asked, table)
    rows = rows_like(asked.source, table, names, read_options_of(reading), frames=model.kind != "onnx")
    classes = _named_classes(asked)
    tried = model.ask(rows, table.head(_TRIED), asked.targets, classes)
    spec = _spec(asked, model, table, tried)
    classes |= {name: one.classes for name, one in tried.items() if one.classes}
    signature, resolved = _signature(table, spec, classes)
    predictor = ForeignPredictor(signature, lambda t: model.ask(rows, t, asked.targets, classes), _thresholds(spec))
    silent = [name for name, one in tried.items() if gives_labels(one, signature.columns[name].type)]
    require_metrics(resolved)
    evidence = _measured(predictor, table, resolved, silent)
    if measured is not None:
        measured(evidence)
    if keep and folder is not None:
        digest = digest_file(Path(asked.model)) if model.kind == "onnx" else ""
        named = {"name": model.name, "kind": model.kind}
        write_detached(folder, digest, evidence, by, model=named, about=_about(asked, model, signature, resolved))
    return evidence


def _about(asked: Foreign, model: Model, signature: Signature, spec: RunSpec) -> dict[str, Any]:
    """What a report needs beside the facts: columns as these rows showed them, what the owner wrote, the command."""
    kept = spec.model_dump(mode="json", exclude_none=True, include={"version", "name", "targets", "card", "bundle"})
    command, known = _command(asked, model), signature.to_json()
    return {"signature": known, "spec": kept, "command": command, "trueweight": version("trueweight")}


def _command(asked: Foreign, model: Model) -> str:
    """What measures again, but for the names of files, which are nobody's business."""
    settings = [without_folders_in_setting(text) for text in asked.settings]
    if model.kind != "onnx":
        more = f", settings={settings!r}" if settings else ""
        target = asked.targets[0] if len(asked.targets) == 1 else list(asked.targets)
        return f"trueweight.evaluate(MODEL, SOURCE, target={target!r}{more})"
    words = ["trueweight", "evaluate", "--model", model.name, "--data", "SOURCE"]
    words += [word for target in asked.targets for word in ("--target", target)]
    words += ["--features", ",".join(asked.features)] if asked.features is not None else []
    if asked.classes is not None and not isinstance(asked.classes, Mapping):
        words += ["--classes", ",".join(map(str, asked.classes))]
    return shlex.join([*words, *(word for text in settings for word in ("--set", text))])


def _features(asked: Foreign, table: Table) -> list[str]:
    """The columns that the model is given, in order."""
    chosen = list(asked.features) if asked.features is not None else known_features(asked.model)
    if chosen is not None:
        for name in chosen:
            table.column(name)
        return chosen
    jobs = {"data.primary_key", "data.sample_weight", "evaluate.interval.cluster", "split.group"}
    pairs = [parse_setting(text) for text in asked.settings]
    taken = {value for path, value in pairs if ".".join(map(str, path)) in jobs}
    return [name for name in table.names if name not in taken and name not in asked.targets]


def _named_classes(asked: Foreign) -> dict[str, tuple[str, ...]]:
    if asked.classes is None:
        return {}
    if isinstance(asked.classes, Mapping):
        return {name: tuple(texts_of(list(found))) for name, found in asked.classes.items()}
    if len(asked.targets) > 1:
        raise SpecError("classes of which target?", where="classes", hint="give a mapping of targets to their classes")
    return {asked.targets[0]: tuple(texts_of(list(asked.classes)))}


def _spec(asked: Foreign, model: Model, table: Table, tried: Mapping[str, Output]) -> RunSpec:
    """A spec of what is measured; types of targets by what the model says, else by the look of the labels."""
    given = {path[1]: value for path, value in map(parse_setting, asked.settings) if path[0] == "targets" and path[2:]}
    options = read_options_of(data_spec_of(list(asked.settings)))
    heads: dict[str, Any] = {}
    for name in asked.targets:
        known = tried[name].classes
        if known is not None:
            heads[name] = {"type": "binary" if len(known) == 2 else "category"}
        elif model.numbers:
            heads[name] = {"type": "number"}
        elif name in given:
            heads[name] = {"type": "number"}  # replaced by the setting
        else:
            guess = guess_target(name, table.column(name), options)
            if guess.type in ("id", "ignore", "date", "text"):
                raise DataError(f"column {name!r} cannot be a target: {guess.why}", where=table.label)
            heads[name] = {"type": guess.type, **guess.spec}
    raw = {"version": 1, "name": safe_name(Path(model.name).stem), "targets": heads}
    return parse_spec(raw, settings=list(asked.settings))


def _thresholds(spec: RunSpec) -> dict[str, float]:
    found = {name: part.model_dump().get("threshold") for name, part in spec.targets.items()}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def _signature(
    table: Table, spec: RunSpec, classes: Mapping[str, Sequence[str]]
) -> tuple[Signature, RunSpec]:  # fmt: skip
    """Columns as the judged rows show them, and the spec with its defaults."""
    options, every = read_options_of(spec.data), np.arange(len(table))
    roles = assign_roles(table, spec)
    blank = blank_signature(table, roles, options, every)
    features = replace(blank, columns={n: f for n, f in blank.columns.items() if f.role != "target"})
    known = learn_signature(features, table, every, min_group=spec.bundle.min_group).columns
    columns = {
        name: _target(facts, blank, table, classes.get(name)) if facts.role == "target" else known[name]
        for name, facts in blank.columns.items()
    }
    types = {role.name: role.part.type for role in roles if role.role == "feature"}
    facts = Facts(len(table), types, {name: part.type for name, part in spec.targets.items()})
    return Signature(columns, options, len(table)), resolve(spec, facts)


def _target(facts: ColumnFacts, blank: Signature, table: Table, classes: Sequence[str] | None) -> ColumnFacts:
    """What a target is: its classes are the model's, in our order; the rows may lack some and hold others."""
    cells, rows = cells_of(table, facts, blank.options), np.arange(len(table))
    part = cast(HeadType, column_part(facts))
    if not isinstance(cells, LevelCells):
        return replace(facts, learnt=part.learn(cells, rows, BottomK.of(rows), name=facts.name))
    if classes is None:
        counts = np.bincount(cells.code_N[cells.code_N >= 0], minlength=len(cells.levels))
        classes = [level for level, count in zip(cells.levels, counts, strict=True) if count]
    lenient: Any = registry("head")[facts.type].model_validate({**facts.spec, "min_class_rows": 1})  # type: ignore[attr-defined]
    each = LevelCells(
        missing_N=np.zeros(len(classes), bool), code_N=np.arange(len(classes), dtype=np.int32), levels=tuple(classes),
    )  # fmt: skip
    places = np.arange(len(classes))
    learnt = lenient.learn(each, places, BottomK.of(places), name=facts.name)
    truth = lenient.truth(cells, learnt)
    counts = np.bincount(truth.value[truth.value >= 0], minlength=len(learnt["classes"]))
    return replace(facts, learnt={**learnt, "counts": [float(count) for count in counts]})


def _measured(predictor: ForeignPredictor, table: Table, spec: RunSpec, silent: Sequence[str]) -> Evidence:
    """Evidence; what asks for probabilities is left out where the model gives labels alone, and said to be.

    Drift always is: what is known of the columns is what these very rows show.
    """
    metrics, dropped = dict(spec.evaluate.metrics or {}), list[Entry]()
    asked = spec.evaluate.checks if spec.evaluate.checks is not None else _CHECKS
    for target in silent:
        kept = [name for name in metrics[target] if name.startswith(ANSWERED)]
        dropped += [_unknown("quality", target, name, _LABELS) for name in metrics[target] if name not in kept]
        metrics[target] = kept or ["accuracy"]
    if silent and "calibration" in asked:
        dropped += [_unknown("calibration", target, "check", _LABELS) for target in silent]
    if "drift" in asked:
        dropped.append(_unknown("drift", None, "check", "the training rows to compare with are not known here"))
    checks = [name for name in asked if name != "drift" and not (silent and name == "calibration")]
    evaluate = spec.evaluate.model_copy(update={"metrics": metrics, "checks": checks})
    found = evaluate_table(predictor, table, spec.model_copy(update={"evaluate": evaluate}))
    return Evidence((*found, *dropped))


_LABELS = "the model gives labels, no probabilities"


def _unknown(axis: str, target: str | None, metric: str, why: str) -> Entry:
    place = "/".join([axis, *([target] if target else []), metric, "other"])
    return Entry(
        id=place, axis=axis, metric=metric, target=target, status="not_applicable", reason=why, produced_at=now(),
    )  # fmt: skip
