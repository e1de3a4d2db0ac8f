"""Fits every member of the model, weighs them on validation rows, and puts the tree together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from torch import nn

from trueweight.data.feed import Feed
from trueweight.data.field import Field
from trueweight.metrics.select import greedy_blend
from trueweight.metrics.truth import Truth
from trueweight.model.network import Network, build_network
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.network import NetworkPredictor, learnt_targets
from trueweight.model.protocols import Predictor
from trueweight.recipes.resolve import linear_member
from trueweight.seeds import stream_seed
from trueweight.spec.run import MemberSpec
from trueweight.train.accumulate import backward_in
from trueweight.train.calibrate import Answers, Shares, calibrated, calibration_answers
from trueweight.train.encoded import Encoded, augmentations_of, encode, encoders_of, resizings_of
from trueweight.train.job import FitResult, FitterPart, Job, Look, fit_member
from trueweight.train.pace import pace_path
from trueweight.train.plan import MemberPlan, Plan, Trial, record_member
from trueweight.train.prepare import Prepared
from trueweight.train.probe import hurried
from trueweight.train.selection import blend_loss, ends_loss, run_truths, selection_score
from trueweight.train.start import Copied, start

__all__ = ["Fitted", "MemberReport", "fit", "fit_linear", "refit_linear", "untrained"]


PICTURE_SHARE = 0.1
"""Of the budget, about as much as a solved member may take where networks read pictures: a linear model of pixels is
good to compare with, and no more."""


@dataclass(frozen=True, slots=True)
class MemberReport:
    """What fitting one member came to."""

    name: str
    seconds: float
    first_step: float
    """Seconds until the first step was taken."""
    steps: int
    weights: Mapping[str, float]
    """Its share in the blend, by target."""
    events: tuple[str, ...]
    history: tuple[Look, ...] = ()
    """Looks at the validation rows on the way."""
    trials: tuple[Trial, ...] = ()
    """What its step plan was chosen from."""
    kept: str = ""
    """Which of the weights that validation rows judged are the best ones; empty where they were solved."""
    optimizer: str = ""
    """Who moved the weights; empty where they were solved."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model, and how it came about."""

    predictor: Predictor
    members: tuple[MemberReport, ...]
    plan: Plan
    partial: bool
    """Stopped by Ctrl-C before its end."""
    encoded: Encoded
    leaves: Mapping[str, NetworkPredictor] = field(default_factory=dict)
    """By member name."""
    started: tuple[Copied, ...] = ()
    """What encoders took over from an older model."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Members that were not fitted, and why."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What every member needs."""

    ready: Prepared
    encoded: Encoded
    truths: Mapping[str, Truth]
    """Of all rows of the table."""
    folder: Path | None
    replay: Plan | None

    def feed(self, rows: np.ndarray) -> Feed:
        return self.encoded.feed(rows)

    def truth_of(self, name: str, rows: np.ndarray) -> Truth:
        return self.truths[name].take(rows)


def fit(
    ready: Prepared, folder: Path | None, replay: Plan | None, donors: Sequence[NetworkPredictor] = (),
    on_encoded: Callable[[], None] = lambda: None,
) -> Fitted:  # fmt: skip
    """Fit the model that the resolved spec describes.

    Args:
        ready: The prepared run.
        folder: Where checkpoints and ``plan.json`` go; None: in memory only.
        replay: What members are to follow; those that it does not name are planned by measuring.
        donors: Networks whose encoders lend their weights to equal ones; see ``train.start``.
        on_encoded: Called when all columns are tensors.

    Raises:
        SpecError: There are donors, and none of their encoders fits.
        TrainError: A member diverged, or there is no space.
    """
    for member in ready.spec.model.fitted:
        cast(FitterPart, member.fitter).require()
    encoded = encode(ready, keep=folder is not None)
    on_encoded()
    work = _Work(ready, encoded, run_truths(ready.signature, ready.table, ready.weight_N), folder, replay)
    new = {member.name: untrained(ready, encoded.fields, member) for member in ready.spec.model.fitted}
    started = start(new, donors) if donors else ()
    leaves, results = _fit_members(work, new)
    weights = _weigh(work, leaves)
    tree = _tree(work, leaves, weights)
    reports = tuple(_report(place, *pair, weights) for place, pair in enumerate(results.items()))
    plan = Plan()
    for result in results.values():
        plan = plan if result.plan is None else plan.with_member(result.plan)
    stopped = any(result.stopped == "interrupted" for result in results.values())
    return Fitted(tree, reports, plan, stopped, encoded, leaves, started, _left_out(ready, results))


def _left_out(ready: Prepared, results: Mapping[str, FitResult]) -> dict[str, str]:
    """Members without a result, and why."""
    missing = [member for member in ready.spec.model.members or [] if member.name not in results]
    return {member.name: member.left_out or "the run was stopped before its turn" for member in missing}


def fit_linear(
    ready: Prepared,
    fitted: Fitted | None = None,
    replay: Plan | None = None,
    on_plan: Callable[[MemberPlan], None] = lambda _: None,
) -> Predictor:
    """The solved linear model on the same rows; the member itself where the blend has it.

    Args:
        ready: The prepared run.
        fitted: The model, if it is at hand: spares encoding, and perhaps solving. Without it a model that was fitted
            before is fitted again, and no clock may decide how it comes out.
        replay: What to follow, under the name "linear", or "linear baseline" if another member is called so.
        on_plan: Called with the plan that was followed, unless it is the member's.
    """
    encoded = encode(ready, keep=False) if fitted is None else fitted.encoded
    if fitted is None:
        ready = _untimed(ready)
    truths = run_truths(ready.signature, ready.table, ready.weight_N)
    work = _Work(ready, encoded, truths, None, replay)
    linear = linear_member()
    named = next((m for m in ready.spec.model.fitted if m.name == linear.name), None)
    if named is not None and named.model_dump() != linear.model_dump():
        linear = linear.model_copy(update={"name": f"{linear.name} baseline"})
    if fitted is not None and linear.name in fitted.leaves:
        leaf = fitted.leaves[linear.name]
    else:
        budget = ready.spec.train.budget.time
        seconds = PICTURE_SHARE * budget if budget is not None and _sees_pictures(work) else None
        leaf, result = _fit_one(work, linear, untrained(ready, encoded.fields, linear), seconds)
        if result.plan is not None:
            on_plan(result.plan)
    return _calibrated(work, leaf, [leaf], Shares.of_one(t.name for t in ready.signature.targets()))


def refit_linear(ready: Prepared, encoded: Encoded, rows: np.ndarray) -> NetworkPredictor:
    """The solved linear model of some of the cases, its strength chosen on the validation rows; no clock ends it.

    Args:
        ready: The prepared run; what it learnt about columns stays as it is.
        encoded: Of the same run.
        rows: Case numbers to solve.
    """
    ready = _untimed(replace(ready, split=replace(ready.split, train=rows)))
    work = _Work(ready, encoded, run_truths(ready.signature, ready.table, ready.weight_N), None, None)
    linear = linear_member()
    return _fit_one(work, linear, untrained(ready, encoded.fields, linear), None)[0]


def _untimed(ready: Prepared) -> Prepared:
    train = ready.spec.train
    train = train.model_copy(update={"budget": train.budget.model_copy(update={"time": None})})
    return replace(ready, spec=ready.spec.model_copy(update={"train": train}))


def _fit_members(
    work: _Work, new: Mapping[str, NetworkPredictor]
) -> tuple[dict[str, NetworkPredictor], dict[str, FitResult]]:
    """Solved members first: what they leave of the budget is shared by those that descend."""
    members = work.ready.spec.model.fitted
    solved = [m for m in members if _solves(m)]
    descended = [m for m in members if not _solves(m)]
    leaves: dict[str, NetworkPredictor] = {}
    results: dict[str, FitResult] = {}
    left = work.ready.spec.train.budget.time
    solved_share = PICTURE_SHARE if descended and _sees_pictures(work) else 1.0
    for place, member in enumerate([*solved, *descended]):
        waiting = len(members) - place
        alone = member in solved and not cast(FitterPart, member.fitter).boosting
        share = None if left is None else left * (solved_share if alone else 1 / waiting)
        if any(result.stopped == "interrupted" for result in results.values()):
            break
        leaves[member.name], results[member.name] = _fit_one(work, member, new[member.name], share)
        left = None if left is None else max(left - results[member.name].seconds, 0.05 * left)
    return leaves, results


def _sees_pictures(work: _Work) -> bool:
    return any("pixel" in field.layout().senses for field in work.encoded.fields.values())


def _solves(member: MemberSpec) -> bool:
    return cast(FitterPart, member.fitter).solving


def _fit_one(
    work: _Work, member: MemberSpec, leaf: NetworkPredictor, seconds: float | None
) -> tuple[NetworkPredictor, FitResult]:
    ready, fitter = work.ready, cast(FitterPart, member.fitter)
    validation = leaf.reading(work.feed(ready.split.validation))
    train = leaf.reading(work.feed(ready.split.train), augmentations_of(ready, work.encoded.fields))
    job = Job(
        name=member.name, network=leaf.network, train=train, validation=validation,
        spec=ready.spec.train, seed=ready.spec.seed, score=_scorer(work, leaf, validation), folder=work.folder,
        seconds=seconds, plan=None if work.replay is None else work.replay.member(member.name),
        on_plan=_recorder(work.folder), backward=backward_in(ready.spec.train.accumulate),
        pace=_pace(work, member, validation, hurried(train, seconds or ready.spec.train.budget.time)),
    )  # fmt: skip
    return leaf, fit_member(job, fitter)


def _pace(work: _Work, member: MemberSpec, validation: Feed, hurry: bool) -> Path | None:
    """Where the member's pace is remembered; None where nobody could tell that the data is the same. A batch that was
    made small for want of time is not for runs that have some."""
    ready = work.ready
    if work.folder is None or not ready.table.provenance.digest:
        return None
    spec = ready.spec.model_dump(mode="json", by_alias=True, exclude={"name", "evaluate"})
    spec["train"]["budget"] = {"memory": spec["train"]["budget"]["memory"], "hurried": hurry}  # not how long it goes on
    lengths = validation.lengths()  # of files that cells name
    items = 0 if lengths is None else int(lengths.sum())
    return pace_path(ready.table.provenance.digest, spec, member.name, len(validation), items)


def untrained(ready: Prepared, fields: Mapping[str, Field], member: MemberSpec) -> NetworkPredictor:
    """A member with its first weights."""
    solving, boosting = (fitter := cast(FitterPart, member.fitter)).solving, fitter.boosting
    encoders = encoders_of(ready, fields, member.encoder, solving=solving)
    targets = learnt_targets(ready.signature)
    seed = stream_seed(ready.spec.seed, f"init {member.name}") % 2**31
    network = build_network(encoders, member.fusion, fields, targets, solving=solving, boosting=boosting, seed=seed)
    if not solving:
        network.augment_with(augmentations_of(ready, fields), fields)
        network.resize_with(resizings_of(ready, fields), fields)
    return NetworkPredictor(
        ready.signature, fields=fields, network=network, encoders=encoders, fusion=member.fusion, solving=solving,
        boosted=boosting,
    )  # fmt: skip


def _recorder(folder: Path | None) -> Callable[[MemberPlan], None]:
    """Stores each member's plan before it is followed."""

    def record(plan: MemberPlan) -> None:
        if folder is not None:
            record_member(folder / "plan.json", plan)

    return record


def _scorer(work: _Work, leaf: NetworkPredictor, feed: Feed) -> Callable[[nn.Module], float]:
    rows = work.ready.split.validation
    truths = {name: work.truth_of(name, rows) for name in work.truths}

    def score(network: nn.Module) -> float:
        asked = replace(leaf, network=cast(Network, network))  # the probe tries a copy, perhaps on another device
        return selection_score(work.ready.spec, work.ready.signature, asked.predict_feed(feed), truths)

    return score


def _weigh(work: _Work, leaves: Mapping[str, NetworkPredictor]) -> Shares:
    """Weights of the members for each target, by greedy selection on validation rows."""
    rows = work.ready.split.validation
    return _weights(work, [leaf.predict_feed(work.feed(rows)) for leaf in leaves.values()], rows)


def _weights(work: _Work, answers: Sequence[Answers], rows: np.ndarray) -> Shares:
    weights, ends = {}, {}
    for facts in work.ready.signature.targets():
        truth = work.truth_of(facts.name, rows)
        options = [answer[facts.name] for answer in answers]
        weights[facts.name] = [1.0 / len(answers)] * len(answers)
        if len(answers) > 1 and truth.present_N.any():
            weights[facts.name] = greedy_blend(options, truth, blend_loss(work.ready.spec, facts, truth))
            if facts.spec.get("quantiles"):
                ends[facts.name] = greedy_blend(options, truth, partial(ends_loss, facts))
    return Shares(weights, ends)


def _tree(work: _Work, leaves: Mapping[str, NetworkPredictor], weights: Shares) -> Predictor:
    members: list[NetworkPredictor] = list(leaves.values())
    top: Predictor = members[0]
    if len(members) > 1:
        values, ends = (
            {name: tuple(found) for name, found in shares.items()} for shares in (weights.values, weights.ends)
        )
        top = BlendPredictor(work.ready.signature, tuple(members), values, tuple(leaves), ends)
    return _calibrated(work, top, members, weights)


def _calibrated(work: _Work, top: Predictor, members: Sequence[NetworkPredictor], weights: Shares) -> Predictor:
    """With what calibration rows teach: probabilities, thresholds, sets, intervals."""
    rows = work.ready.split.calibration
    if not len(rows):
        return top

    def asked(leaf: NetworkPredictor) -> Callable[[np.ndarray], Answers]:
        return lambda rows: leaf.predict_feed(work.feed(rows))

    answers = calibration_answers(work.ready, [asked(leaf) for leaf in members], weights, partial(_weights, work))
    truths = {name: work.truth_of(name, rows) for name in work.truths}
    return calibrated(work.ready, top, answers, truths, work.ready.spec.evaluate.calibration or {})


def _report(place: int, name: str, result: FitResult, weights: Shares) -> MemberReport:
    events = tuple(f"{event.kind} at step {event.step}: {event.note}" for event in result.events)
    shares = {target: found[place] for target, found in weights.values.items()}
    trials = () if result.plan is None else result.plan.trials
    moved: Mapping[str, Sequence[str]] = result.facts.get("optimizer", {})
    kept = f"{'averaged weights' if result.averaged else 'weights'} of step {result.best_step}" if moved else ""
    return MemberReport(
        name, result.seconds, result.first_step, result.steps, shares, events, result.history, trials, kept,
        _moved(moved),
    )  # fmt: skip


def _moved(moved: Mapping[str, Sequence[str]]) -> str:
    """In words: all weights by one, or the names of all but the most by each."""
    if len(moved) < 2:
        return "".join(moved)
    *fewer, most = sorted(moved, key=lambda method: len(moved[method]))
    return "; ".join([*(f"{method} {', '.join(moved[method])}" for method in fewer), f"{most} the others"])
