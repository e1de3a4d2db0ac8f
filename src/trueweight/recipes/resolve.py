"""Fills every field that the user left to us. The result is what ``resolved.yaml`` holds."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from trueweight.errors import SpecError
from trueweight.recipes.facts import Facts
from trueweight.recipes.optimizers import optimizer_of
from trueweight.recipes.senses import SENSES, encoder_part, passes, preset_for, require_fitting
from trueweight.recipes.speech import SPEECH, SPEECH_METRICS, is_speech
from trueweight.recipes.tables import LANGUAGE_METRICS, METRICS, REALMLP, ROWS_PER_SECOND, Preset
from trueweight.recipes.taken_over import gently
from trueweight.recipes.writing import fusion_for, optimizer_for, writes
from trueweight.spec.evaluate import EvaluateSpec
from trueweight.spec.run import MemberSpec, ModelSpec, RunSpec, SplitSpec, TrainSpec

__all__ = ["linear_member", "resolve", "rocket_member", "trees_member", "with_quantiles"]

VALIDATION_SHARE = 0.2
VALIDATION_ROWS = 4000
"""Half of them select: a share of 2,000 rows is known to about one percent, which is finer than members differ."""

TEXT_SHARE = 0.1
TEXT_ROWS = 1000
"""Of tables with texts, unless that were fewer rows: n-grams are many, and every row more tells of some. On six cuts of
zh-reviews (13,890 rows) the linear model's log loss on other rows was 0.3555 with a tenth and 0.3615 with a fifth,
lower on each."""


SOLVED = ("linear", "rocket")
"""Encoders without weights, whose heads are solved unless members say otherwise."""

ROCKET_ROWS = 10_000
"""Rows times series from which on a network learns what the rocket's features tell in less time: so many rows of 2,520
features are solved in about a minute on two laptop cores."""


LINEAR_PICTURES = 100
"""Pictures for each second of the budget up to which the solved linear model joins the network in a blend. Of 40,000
pictures of 32 by 32 pixels it took a third of a budget of 8 seconds, and its share of the blend was nothing; of 1,500
emoji it is solved in half a second, and its share was 8 to 27 %."""


def resolve(spec: RunSpec, facts: Facts) -> RunSpec:
    """The spec with every default made explicit.

    Args:
        spec: As asked for. Not changed.
        facts: Counts and types of the data.

    Raises:
        SpecError: A wish that the data's types rule out.
    """
    require_fitting(spec.features, facts.features)
    preset = preset_for(spec.model.preset, facts.features.values(), facts.targets.values())
    if SPEECH.optimizer and any(is_speech(facts.features, kind) for kind in facts.targets.values()):
        preset = replace(preset, optimizer=dict(SPEECH.optimizer))
    split = _split(spec.split, facts)
    seen = preset.epochs if writes(facts.targets) else passes(facts.features.values(), facts.rows, preset.epochs)
    train = _train(spec.train, preset, seen)
    usual = gently(spec, optimizer_for(spec, facts, preset.optimizer))
    train = train.model_copy(update={"optimizer": optimizer_of(spec.train, usual, split, facts.rows)})
    model = _model(spec, preset, facts, train.budget.time or preset.seconds)
    return spec.model_copy(
        update={
            "split": split,
            "model": model,
            "train": train,
            "evaluate": _evaluate(spec.evaluate, facts),
        }
    )


def with_quantiles(spec: RunSpec) -> RunSpec:
    """The spec with the quantiles that ``evaluate.conformal`` needs its numbers to learn. Heads learn from labels, so
    this is settled before anything else.

    Args:
        spec: As asked for. Not changed.
    """
    wish = spec.evaluate.conformal
    if wish is None or wish.method != "quantile":
        return spec
    beyond = round((1 - wish.coverage) / 2, 6)
    targets = {
        name: part.model_copy(update={"quantiles": [beyond, round(1 - beyond, 6)]})
        if part.type == "number" and part.model_dump()["quantiles"] is None
        else part
        for name, part in spec.targets.items()
    }
    return spec.model_copy(update={"targets": targets})


def linear_member() -> MemberSpec:
    """The solved linear model: member of the default blend, and the baseline of every table."""
    return _member("linear", {"type": "linear"}, "solve")


def rocket_member() -> MemberSpec:
    """The solved model of series, member of the default blend where there are any."""
    return _member("rocket", {"type": "rocket"}, "solve")


def trees_member(facts: Facts) -> MemberSpec:
    """Boosted trees.

    Raises:
        SpecError: Trees cannot read a column.
    """
    if others := [name for name, kind in facts.features.items() if kind in SENSES]:
        problem = f"boosted trees read numbers, categories and dates, and {others[0]!r} is none"
        raise SpecError(problem, where="model.boosting", hint="leave it out, or the column")
    return _member("trees", {"type": "columns"}, "boosting")


def realmlp_member(encoder: dict[str, Any]) -> MemberSpec:
    """RealMLP's network."""
    return _member("realmlp", encoder, "gradient")


def _member(name: str, encoder: Any, fitter: str, fusion: Any = None) -> MemberSpec:
    return MemberSpec.model_validate(
        {"name": name, "encoder": encoder, "fusion": fusion or {"type": "concat"}, "fitter": {"type": fitter}}
    )


def _split(split: SplitSpec, facts: Facts) -> SplitSpec:
    changes: dict[str, Any] = {}
    if split.validation is None:
        left = 1.0 - split.test if isinstance(split.test, float) else 1.0
        changes["validation"] = min(_validation_share(facts), VALIDATION_ROWS / max(1, facts.rows), left / 2)
    if split.method is None:
        changes["method"] = _method(split, facts)
    return SplitSpec.model_validate(split.model_dump(by_alias=True) | changes)


def _validation_share(facts: Facts) -> float:
    if "text" not in facts.features.values():
        return VALIDATION_SHARE
    return min(VALIDATION_SHARE, max(TEXT_SHARE, TEXT_ROWS / max(1, facts.rows)))


def _method(split: SplitSpec, facts: Facts) -> str:
    if split.group:
        return "group"
    if split.time_column:
        return "time"
    if split.test_source:
        return "files"
    if split.column:
        return "column"
    return "stratified" if next(iter(facts.targets.values())) in ("binary", "category") else "random"


def _networks(preset: Preset, facts: Facts, seconds: float) -> int:
    """How many networks the ``mlp`` holds: fewer where the budget would end before the passes that one needs."""
    affordable = seconds * ROWS_PER_SECOND / (max(1, facts.rows) * preset.epochs)
    most: int = preset.encoder["members"]
    return max(1, min(most, int(affordable)))


def _model(spec: RunSpec, preset: Preset, facts: Facts, seconds: float) -> ModelSpec:
    model = spec.model
    if model.members is not None:
        return model
    if "masked" in facts.targets.values():  # its encoder is its own, and nothing is solved for it
        return _spelled_out(model, [_member("masked", model.encoder or {"type": "mlp"}, "gradient", model.fusion)])
    if model.encoder is not None:
        fitter = "solve" if model.encoder.type in SOLVED else "gradient"
        return _spelled_out(model, [_member(model.encoder.type, model.encoder, fitter, model.fusion)])
    if writes(facts.targets):  # which nothing solves, and no two networks write together
        fusion = model.fusion or fusion_for(facts.features)
        return _spelled_out(model, [_member("mlp", preset.encoder | {"members": 1}, "gradient", fusion)])
    single = model.fusion is not None and model.fusion.type == "transformer"  # it joins tokens of single networks
    second = _second(preset, facts, seconds)
    shared = seconds / 2 if second is not None and second.left_out is None else seconds
    encoder = preset.encoder | {"members": 1 if single else _networks(preset, facts, shared)}
    mlp = _member("mlp", encoder, "gradient", model.fusion).model_copy(update={"climbs": _climbs(facts)})
    built = {"linear": linear_member(), "mlp": mlp, "realmlp": second}
    members = [member for name in preset.members if (member := built[name]) is not None]
    if len(members) > 1 and _pictures_alone(facts) and facts.rows > LINEAR_PICTURES * seconds:
        members = [member for member in members if member.name != "linear"]  # it stays the baseline, outside the budget
    members += [trees_member(facts)] if model.boosting else []
    series = sum(kind == "timeseries" for kind in facts.features.values())
    if series and facts.rows * series <= ROCKET_ROWS:
        # Where there is nothing but series, the rocket sees all that the linear model sees, and few validation rows
        # could prefer the lesser one by chance. The linear model stays as the baseline.
        first = 0 if series == len(facts.features) else 1
        members[first:1] = [rocket_member()]
    return _spelled_out(model, [*members, *(_further(spec, facts, mlp) if mlp in members else ())])


def _climbs(facts: Facts) -> bool:
    """Whether networks have to show that they are worth their time: where they read texts or series, and no senses in
    which solved models are weak."""
    sensed = {kind for kind in facts.features.values() if kind in SENSES}
    return bool(sensed) and all(SENSES[kind].climbs for kind in sensed)


def _further(spec: RunSpec, facts: Facts, mlp: MemberSpec) -> Iterator[MemberSpec]:
    """Members like the ``mlp`` that read columns, whose encoders are left to us, with other ones."""
    if not mlp.climbs:
        return
    for kind, sense in SENSES.items():
        names = [name for name, found in facts.features.items() if found == kind and _left_open(spec, name)]
        for raw in sense.further.get(spec.model.preset, ()) if names else ():
            part = encoder_part(raw)
            yield mlp.model_copy(update={"name": part.type, "encoders": dict.fromkeys(names, part)})


def _left_open(spec: RunSpec, name: str) -> bool:
    asked = spec.features.get(name)
    return asked is None or asked.model_dump()["encoder"] is None


def _second(preset: Preset, facts: Facts, seconds: float) -> MemberSpec | None:
    """The second network of the preset, left out where there is no time for two; None where it has none, or where a
    column is of a sense that it cannot read."""
    if "realmlp" not in preset.members or any(kind in SENSES for kind in facts.features.values()):
        return None
    member = realmlp_member(REALMLP)
    if _networks(preset, facts, seconds / 2) > 1:
        return member
    why = f"in {seconds:g} s there is no time for a second network of {facts.rows:,} rows"
    return member.model_copy(update={"left_out": why})


def _pictures_alone(facts: Facts) -> bool:
    return bool(facts.features) and set(facts.features.values()) == {"image"}


def _spelled_out(model: ModelSpec, members: list[MemberSpec]) -> ModelSpec:
    """Members say it all: a spec that names encoders beside them would be refused when it is read back."""
    return model.model_copy(update={"members": members, "encoder": None, "fusion": None, "boosting": False})


def _train(train: TrainSpec, preset: Preset, epochs: int) -> TrainSpec:
    budget, asked = train.budget, train.budget.model_fields_set
    if not asked & {"time", "steps", "epochs"}:
        budget = budget.model_copy(update={"time": preset.seconds, "epochs": epochs})
    elif not asked & {"steps", "epochs"}:
        # More time than the default buys more passes too, or a bigger budget would change nothing on small tables.
        more = max(1.0, (budget.time or preset.seconds) / preset.seconds)
        budget = budget.model_copy(update={"epochs": round(epochs * more)})
    changes: dict[str, Any] = {"budget": budget}
    if train.max_grad_norm is None:
        changes["max_grad_norm"] = preset.max_grad_norm
    return train.model_copy(update=changes)


def _evaluate(evaluate: EvaluateSpec, facts: Facts) -> EvaluateSpec:
    asked = evaluate.metrics or {}
    if unknown := set(asked) - set(facts.targets):
        raise SpecError(f"metrics are asked for {sorted(unknown)[0]!r}, which is no target", where="evaluate.metrics")
    metrics = {name: asked.get(name) or _metrics(kind, facts) for name, kind in facts.targets.items()}
    baselines = _baselines(facts) if evaluate.baselines is None else evaluate.baselines
    changes = {"metrics": metrics, "calibration": _calibration(evaluate, facts), "baselines": baselines}
    return evaluate.model_copy(update=changes)


def _metrics(kind: str, facts: Facts) -> list[str]:
    if kind == "text" and not facts.features:
        return list(LANGUAGE_METRICS)
    return list(SPEECH_METRICS if is_speech(facts.features, kind) else METRICS[kind])


def _baselines(facts: Facts) -> list[str]:
    """What the types of features and targets leave to simple models."""
    kinds, read = set(facts.targets.values()), list(facts.features.values())
    if not kinds & {"text", "masked"}:
        return ["linear", "constant"]
    if "text" not in kinds:
        return ["constant"]
    if not read:
        return ["n_gram"] if kinds == {"text"} else ["n_gram", "constant"]
    copied = ["copy"] if read.count("text") == 1 else []
    return [*(["nearest_neighbour"] if {"text", "audio"} & set(read) else []), *copied, "constant"]


CALIBRATED = ("binary", "category", "set")


def _calibration(evaluate: EvaluateSpec, facts: Facts) -> dict[str, str]:
    """How the probabilities of every target that has some are corrected."""
    asked = evaluate.calibration or {}
    for name, method in asked.items():
        where, kind = f"evaluate.calibration.{name}", facts.targets.get(name)
        if kind is None:
            raise SpecError(f"calibration is asked for {name!r}, which is no target", where="evaluate.calibration")
        if kind not in CALIBRATED and method != "none":
            raise SpecError(f"{name!r} is a {kind}: it has no probabilities to calibrate", where=where)
        if kind != "binary" and method == "beta":
            raise SpecError(f"beta calibration is for yes-no targets, {name!r} is a {kind}", where=where,
                            hint="use temperature")  # fmt: skip
    return {name: asked.get(name, "auto") for name, kind in facts.targets.items() if kind in CALIBRATED}
