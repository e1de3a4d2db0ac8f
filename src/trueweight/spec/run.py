"""The run spec: everything a user can ask of one training run.

A field that a recipe decides is ``None`` until asked for, so that a wish and a default can be told apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from trueweight.spec.base import (
    FILE_NAME,
    ColumnPart,
    Conflict,
    EncoderPart,
    FitterPart,
    FusionPart,
    HeadPart,
    OptimizerPart,
    Spec,
)
from trueweight.spec.data import DataSpec
from trueweight.spec.evaluate import EvaluateSpec
from trueweight.spec.gates import GateSpec
from trueweight.spec.start import StartSpec
from trueweight.spec.tune import TuneSpec
from trueweight.spec.units import Bytes, Duration, Share, UpToAll, share_of

__all__ = [
    "BudgetSpec", "BundleSpec", "CardSpec", "FromDate", "MemberSpec", "ModelSpec", "RunSpec", "ScheduleSpec",
    "SelectionSpec", "SplitSpec", "StoppingSpec", "TrainSpec",
]  # fmt: skip


class FromDate(Spec):
    """A split boundary in time: rows from this moment on."""

    start: Annotated[date | datetime, Field(alias="from")]
    """First moment that belongs to the part."""


class SplitSpec(Spec):
    """Which rows train, which select, which judge."""

    method: Literal["random", "stratified", "group", "time", "column", "files"] | None = None
    """Null lets the recipe choose: stratified when the first target has classes, else random."""

    validation: Share | FromDate | None = None
    """Share of all rows, or where they begin in time. Half of them select and half calibrate where something is
    calibrated (probabilities, intervals, sets, a threshold), else all select. Null: 0.2, of tables with texts
    0.1 or 1,000 rows, but at most 4,000 rows, since more would select no better and are missed in training."""

    test: Share | FromDate = 0.2
    """Share of all rows, or where they begin in time. 0 keeps no test rows: nothing is then proven."""

    group: str | None = None
    """Column whose rows stay on one side together, e.g. a customer."""

    time_column: str | None = None
    """Column that orders the rows for ``method: time``."""

    gap: Duration | None = None
    """Time left out before each boundary of ``method: time``, in seconds."""

    column: str | None = None
    """Column that says ``train``, ``validation`` or ``test``, for ``method: column``."""

    validation_source: str | None = None
    """File of validation rows, for ``method: files``. Null takes a share of the training file."""

    test_source: str | None = None
    """File of test rows, for ``method: files``."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """A method has what it needs, and something is left to train on."""
        needs = {"group": "group", "time": "time_column", "column": "column", "files": "test_source"}
        method, validation, test = raw.get("method"), raw.get("validation"), raw.get("test", 0.2)
        for name, field in needs.items():
            if method == name and raw.get(field) is None:
                yield Conflict(("method",), f"{name!r} needs split.{field}")
        for part in ("validation", "test"):
            if isinstance(raw.get(part), FromDate | Mapping) and method != "time":
                yield Conflict((part,), "a boundary with 'from' needs method 'time'")
        selecting, judging = share_of(validation), share_of(test)
        if selecting is not None and judging is not None and selecting < 1 and selecting + judging >= 1:
            yield Conflict(("validation",), f"validation {validation} and test {test} leave nothing to train on")
        if selecting == 0 and judging is not None and raw.get("validation_source") is None and method != "column":
            yield Conflict(("validation",), "validation 0 leaves nothing to select on; 0.1 is the least we would use")


class MemberSpec(Spec):
    """One model of a blend: what it reads with, how it is fitted."""

    name: str
    """Shown in tables; unique within the run."""

    encoder: EncoderPart
    """Turns feature columns into numbers of the network's width."""

    fusion: FusionPart
    """Joins the encoders' outputs."""

    fitter: FitterPart
    """How the weights are found: by gradients, solved, or grown."""

    left_out: str | None = None
    """Why this member is not fitted after all, in words; null: it is. The recipe says so of members that the budget has
    no time for."""

    encoders: dict[str, EncoderPart] = Field(default_factory=dict)
    """Encoders that this member reads columns with instead of their own, by column."""

    climbs: bool = False
    """Begun only where time is left for a pass over the training rows, and the climb before it, if there was one, made
    the blend better: by more than the standard error of the difference in loss on validation rows."""


class ModelSpec(Spec):
    """What is trained. Everything null: a blend chosen by the recipe."""

    preset: Literal["fast", "standard", "best"] = "standard"
    """How much time quality may cost. fast is the solved linear model alone; for pictures and for texts to be written
    it is a short network."""

    encoder: EncoderPart | None = None
    """One model with this encoder, instead of the preset's blend."""

    fusion: FusionPart | None = None
    """How several encoders' outputs are joined. Null: concat."""

    start_from: str | StartSpec | None = None
    """Bundle, or folder in the layout of Hugging Face, that lends its weights, and with them the vocabulary of its
    texts, to what is built alike: encoders asked for in the same words, transformers over text of the same options,
    whether they read or write. Relative to the spec's folder. A mapping also says which of these weights go on
    learning."""

    boosting: bool = False
    """Add boosted trees to the preset's blend, for tables of plain columns. Growing them takes
    ``trueweight[boosting]``, asking them does not."""

    members: list[MemberSpec] | None = None
    """The models to blend, spelled out. Null lets ``preset`` or ``encoder`` decide."""

    @property
    def start(self) -> StartSpec | None:
        """``start_from``, with everything it leaves open."""
        return StartSpec(source=self.start_from) if isinstance(self.start_from, str) else self.start_from

    @property
    def fitted(self) -> list[MemberSpec]:
        """Members that are not left out."""
        return [member for member in self.members or [] if member.left_out is None]

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Members are asked for once, each by a name of its own."""
        members = raw.get("members")
        if raw.get("boosting") is True and raw.get("encoder") is not None:
            yield Conflict(("boosting",), "trees join the preset's blend: leave out 'encoder', or list 'members'")
        if not isinstance(members, Sequence) or isinstance(members, str):
            return
        for field in ("encoder", "fusion", "boosting"):
            if raw.get(field) not in (None, False):
                yield Conflict((field,), f"'members' already says it all: leave out '{field}' beside it")
        if not members:
            yield Conflict(("members",), "needs at least one member")
        elif all(_below(member, "left_out") is not None for member in members):
            yield Conflict(("members",), "all members are left out: at least one must be fitted")
        names = [_below(member, "name") for member in members]
        for number, name in enumerate(names):
            if name is not None and name in names[:number]:
                yield Conflict(("members", number, "name"), f"an earlier member is called {name!r} too")


class BudgetSpec(Spec):
    """How long fitting may take. The first limit reached ends it; a recipe adds limits that are null."""

    time: Duration | None = None
    """Wall seconds of fitting, validation included. Written ``20m``, ``90s`` or ``1h``."""

    steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps of each member fitted by gradients."""

    epochs: Annotated[int, Field(ge=1)] | None = None
    """Passes over the training rows of each member fitted by gradients."""

    memory: Bytes | None = None
    """Most memory that fitting may be predicted to need. Written ``8GB``."""


class ScheduleSpec(Spec):
    """Learning rate over a run whose end is known: warm-up, stable, linear cooldown to zero."""

    type: Literal["warmup_stable_decay"] = "warmup_stable_decay"
    """The one schedule there is."""

    warmup: Share = 0.02
    """Share of all steps spent raising the rate from zero."""

    decay: UpToAll = 0.5
    """Share of all steps spent lowering it to zero. With 1, and ``warmup: 0``, it falls from the first step on; then no
    plateau ends the run early."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """The phases fit into the run."""
        shares = {name: share_of(raw.get(name, cls.model_fields[name].default)) for name in ("warmup", "decay")}
        if sum(share or 0.0 for share in shares.values()) > 1:
            told = f"warmup {shares['warmup']} and decay {shares['decay']} are more than the whole run"
            yield Conflict(("decay",) if "decay" in raw else ("warmup",), told)


class SelectionSpec(Spec):
    """What validation rows are asked, to choose between steps and members."""

    target: str
    """One of the spec's targets."""

    metric: str
    """Name of a metric of that target, e.g. ``roc_auc``."""


class StoppingSpec(Spec):
    """When more training has stopped helping."""

    patience: Annotated[int, Field(ge=1)] = 16
    """Validation looks without a better score before the cooldown starts. It does not cut the run."""


class TrainSpec(Spec):
    """Budget, optimiser and safety limits of one training run."""

    budget: BudgetSpec = Field(default_factory=BudgetSpec)
    """Limits on time, steps, epochs and memory."""

    selection_metric: SelectionSpec | None = None
    """Null: the summed loss of all targets on validation rows."""

    batch_size: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """Rows per optimiser step; of a language model, whose rows lie end to end, on average."""

    accumulate: Annotated[int, Field(ge=1)] = 1
    """Pieces that each batch is cut into, so that activations of one piece at a time need memory. Their gradients are
    added up: the step is the same but for rounding, and for batch norm, which sees a piece at a time."""

    optimizer: OptimizerPart | None = None
    """Null lets the recipe choose."""

    lr_schedule: ScheduleSpec = Field(default_factory=ScheduleSpec)
    """Learning rate over the run."""

    max_grad_norm: Annotated[float, Field(gt=0)] | None = None
    """Largest L2 norm of all gradients together; longer ones are shortened. Null: the recipe decides."""

    early_stopping: StoppingSpec | None = Field(default_factory=StoppingSpec)
    """Null runs the whole budget at full rate before cooling down."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where tensors live. auto: cuda when there is one, else cpu."""

    step_plan: Literal["auto", "off"] = "auto"
    """How a step is taken: layout of pictures, number type, threads, compiled or not, batch size where that is
    automatic. auto: the fastest way by measuring, if the budget has a time and the run is long enough to repay it. off:
    the plain way; no clock is read for it."""


class BundleSpec(Spec):
    """What may be written into the bundle."""

    golden_rows: Literal["synthetic", "real"] = "synthetic"
    """Rows with answers that every load must reproduce. Real ones are people's data: the card says so."""

    min_group: Annotated[int, Field(ge=1)] = 10
    """Categories with fewer rows are pooled and never named. Target classes are kept."""


class CardSpec(Spec):
    """What the model card says that no data can tell."""

    owner: str = ""
    """Who answers for the model."""

    intended_use: str = ""
    """What it is for."""

    limits: str = ""
    """What it is not for."""


class RunSpec(Spec):
    """One run: data, split, columns, model, training, evaluation."""

    version: Literal[1] = 1
    """Of this format."""

    name: Annotated[str, Field(min_length=1, max_length=60, pattern=FILE_NAME)] = "model"
    """Names the bundle and the run folder. Left out: as the spec's file is called, else the data's; ``model`` where
    neither is a file."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of every random choice in the run."""

    data: DataSpec = Field(default_factory=DataSpec)
    """Where the rows come from."""

    split: SplitSpec = Field(default_factory=SplitSpec)
    """Which rows train, select and judge."""

    features: dict[str, ColumnPart] = Field(default_factory=dict)
    """Columns to learn from, by name."""

    other_features: Literal["guess", "ignore"] = "guess"
    """What happens to columns that are not named."""

    targets: Annotated[dict[str, HeadPart], Field(min_length=1)]
    """Columns to predict, by name. A row without one label still trains the others."""

    model: ModelSpec = Field(default_factory=ModelSpec)
    """What is trained."""

    train: TrainSpec = Field(default_factory=TrainSpec)
    """How it is trained."""

    tune: TuneSpec = Field(default_factory=TuneSpec)
    """What ``trueweight tune`` may try."""

    evaluate: EvaluateSpec = Field(default_factory=EvaluateSpec)
    """What is measured."""

    gates: list[GateSpec] = Field(default_factory=list)
    """What the model must keep to. Training tells how it did; ``trueweight gate`` refuses what does not."""

    bundle: BundleSpec = Field(default_factory=BundleSpec)
    """What may be kept."""

    card: CardSpec = Field(default_factory=CardSpec)
    """What only a person can say."""

    @field_validator("name", mode="before")
    @classmethod
    def _name_is_not_a_path(cls, value: Any) -> Any:
        if isinstance(value, str) and PurePosixPath(value).name != value:
            raise ValueError(f"a name, not a path: {PurePosixPath(value).name!r} would do")
        return value

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Each column has one role, and what is asked of targets is asked of targets that there are."""
        targets = raw.get("targets")
        if not isinstance(targets, Mapping) or not targets:
            return
        features = raw.get("features")
        for name, part in features.items() if isinstance(features, Mapping) else ():
            if name in targets and part != "ignore" and _below(part, "type") != "ignore":
                yield Conflict(("features", name), f"{name!r} is a target too: leave it out here", key=True)
        for field in ("primary_key", "sample_weight"):
            name = _below(raw.get("data"), field)
            if isinstance(name, str) and name in targets:
                yield Conflict(("data", field), f"{name!r} is a target and cannot be the {field} too")
        chosen = _below(_below(raw.get("train"), "selection_metric"), "target")
        if isinstance(chosen, str) and chosen not in targets:
            yield Conflict(("train", "selection_metric", "target"), _no_target(chosen, targets))
        metrics = _below(raw.get("evaluate"), "metrics")
        for name in metrics if isinstance(metrics, Mapping) else ():
            if name not in targets:
                yield Conflict(("evaluate", "metrics", name), _no_target(name, targets), key=True)
        sensitive = _below(_below(raw.get("evaluate"), "sensitive"), "columns")
        for place, name in enumerate(sensitive if isinstance(sensitive, list) else ()):
            if isinstance(name, str) and name in targets:
                where = ("evaluate", "sensitive", "columns", place)
                yield Conflict(where, f"{name!r} is a target: groups are parted by another column")
        gates = raw.get("gates")
        for number, gate in enumerate(gates if isinstance(gates, list) else ()):
            judged = _below(gate, "target")
            if isinstance(judged, str) and judged not in targets:
                yield Conflict(("gates", number, "target"), _no_target(judged, targets))


def _below(raw: Any, key: str) -> Any:
    """An option's value as written, or as read already; None if there is none."""
    if isinstance(raw, BaseModel):
        return dict(raw).get(key)
    return raw.get(key) if isinstance(raw, Mapping) else None


def _no_target(name: str, targets: Mapping[str, Any]) -> str:
    near = get_close_matches(name, list(targets), n=1)
    there = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(map(repr, list(targets)[:8]))}"
    return f"{name!r} is no target; {there}"
