"""Fits every member of the model, weighs them on validation rows, and puts the tree together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from trueweight.data.field import Field
from trueweight.data.sample import BottomK
from trueweight.model.network import build_network
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.network import NetworkPredictor, learnt_targets
from trueweight.model.protocols import FORCED, Predictor
from trueweight.recipes.resolve import linear_member
from trueweight.seeds import stream_seed
from trueweight.spec.run import MemberSpec
from trueweight.train.calibrate import Answers, Shares, calibrated, calibration_answers
from trueweight.train.encoded import Encoded, augmentations_of, encode, encoders_of, resizings_of
from trueweight.train.job import FitResult, FitterPart, Look
from trueweight.train.members import PICTURE_SHARE, Fits, Work, fit_member_of, fit_members, sees_pictures, weights_of
from trueweight.train.plan import Climb, MemberPlan, Plan, Trial
from trueweight.train.prepare import Prepared
from trueweight.train.selection import run_truths
from trueweight.train.start import Copied, start
from trueweight.train.starting import Bodies

__all__ = ["Fitted", "MemberReport", "fit", "fit_linear", "linear_rows", "refit_linear", "untrained"]


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
    written: str = ""
    """What came of weighing the best weights against the last ones by what they write; empty where they were not."""


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
    """What was taken over from an older model."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Members that were not fitted, and why."""

    @property
    def climbs(self) -> tuple[Climb, ...]:
        """What became of members that climb."""
        return self.plan.climbs


def fit(
    ready: Prepared, folder: Path | None, replay: Plan | None, lent: Bodies | None = None,
    on_encoded: Callable[[], None] = lambda: None,
) -> Fitted:  # fmt: skip
    """Fit the model that the resolved spec describes.

    Args:
        ready: The prepared run.
        folder: Where checkpoints and ``plan.json`` go; None: in memory only.
        replay: What members are to follow; those that it does not name are planned by measuring.
        lent: What an older model lends; see ``train.start``.
        on_encoded: Called when all columns are tensors.

    Raises:
        SpecError: Something is lent, and none of it fits.
        TrainError: A member diverged, or there is no space.
    """
    for member in ready.spec.model.fitted:
        cast(FitterPart, member.fitter).require()
    encoded = encode(ready, keep=folder is not None)
    on_encoded()
    work = Work(ready, encoded, run_truths(ready.signature, ready.table, ready.weight_N), folder, replay)
    new = {member.name: untrained(ready, encoded.fields, member) for member in ready.spec.model.fitted}
    asked = ready.spec.model.start
    started = start(new, lent, asked, ready.spec.seed) if lent is not None and asked is not None else ()
    fits = fit_members(work, new)
    weights = fits.weights()
    tree = _tree(work, fits.leaves, weights)
    reports = tuple(_report(place, *pair, weights) for place, pair in enumerate(fits.results.items()))
    plan = Plan(climbs=tuple(fits.climbs))
    for result in fits.results.values():
        plan = plan if result.plan is None else plan.with_member(result.plan)
    left_out = _left_out(ready, fits)
    return Fitted(tree, reports, plan, fits.interrupted, encoded, fits.leaves, started, left_out)


def _left_out(ready: Prepared, fits: Fits) -> dict[str, str]:
    """Members without a result that were not refused by a climb, and why."""
    told = {*fits.results, *(climb.name for climb in fits.climbs)}
    missing = [member for member in ready.spec.model.members or [] if member.name not in told]
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
    encoded, rows = encode(ready, keep=False) if fitted is None else fitted.encoded, linear_rows(ready)
    if fitted is None:
        ready = _untimed(ready)
    truths = run_truths(ready.signature, ready.table, ready.weight_N)
    work = Work(ready, encoded, truths, None, replay)
    linear = linear_member()
    named = next((m for m in ready.spec.model.fitted if m.name == linear.name), None)
    if named is not None and named.model_dump() != linear.model_dump():
        linear = linear.model_copy(update={"name": f"{linear.name} baseline"})
    if fitted is not None and linear.name in fitted.leaves:
        leaf = fitted.leaves[linear.name]
    else:
        budget = ready.spec.train.budget.time
        seconds = PICTURE_SHARE * budget if budget is not None and sees_pictures(work) else None
        some = replace(work, ready=replace(ready, split=replace(ready.split, train=rows)))
        leaf, result = fit_member_of(some, linear, untrained(ready, encoded.fields, linear), seconds)
        if result.plan is not None:
            on_plan(result.plan)
    return _calibrated(work, leaf, [leaf], Shares.of_one(t.name for t in ready.signature.targets()))


def linear_rows(ready: Prepared) -> np.ndarray:
    """The training rows that the linear baseline is solved on: all, or as many pictures as there is time for, so that
    it can choose the strength of its penalty. One of all 48,000 training rows of a table was solved with a single
    strength in more time, and was worse."""
    rows, budget = ready.split.train, ready.spec.train.budget.time
    if budget is None or not any(facts.type == "image" for facts in ready.signature.features()):
        return rows
    return BottomK.of(rows, k=max(_LEAST_ROWS, int(_ROWS_PER_SECOND * PICTURE_SHARE * budget))).rows


_ROWS_PER_SECOND, _LEAST_ROWS = 2_500, 4_000
"""Pictures that a linear model of 784 pixels and 10 classes is solved on in a second with five strengths, about."""


def refit_linear(ready: Prepared, encoded: Encoded, rows: np.ndarray) -> NetworkPredictor:
    """The solved linear model of some of the cases, its strength chosen on the validation rows; no clock ends it.

    Args:
        ready: The prepared run; what it learnt about columns stays as it is.
        encoded: Of the same run.
        rows: Case numbers to solve.
    """
    ready = _untimed(replace(ready, split=replace(ready.split, train=rows)))
    work = Work(ready, encoded, run_truths(ready.signature, ready.table, ready.weight_N), None, None)
    linear = linear_member()
    return fit_member_of(work, linear, untrained(ready, encoded.fields, linear), None)[0]


def _untimed(ready: Prepared) -> Prepared:
    train = ready.spec.train
    train = train.model_copy(update={"budget": train.budget.model_copy(update={"time": None})})
    return replace(ready, spec=ready.spec.model_copy(update={"train": train}))


def untrained(ready: Prepared, fields: Mapping[str, Field], member: MemberSpec) -> NetworkPredictor:
    """A member with its first weights."""
    solving, boosting = (fitter := cast(FitterPart, member.fitter)).solving, fitter.boosting
    encoders = encoders_of(ready, fields, member, solving=solving)
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


def _tree(work: Work, leaves: Mapping[str, NetworkPredictor], weights: Shares) -> Predictor:
    members: list[NetworkPredictor] = list(leaves.values())
    top: Predictor = members[0]
    if len(members) > 1:
        values, ends = (
            {name: tuple(found) for name, found in shares.items()} for shares in (weights.values, weights.ends)
        )
        top = BlendPredictor(work.ready.signature, tuple(members), values, tuple(leaves), ends)
    return _calibrated(work, top, members, weights)


def _calibrated(work: Work, top: Predictor, members: Sequence[NetworkPredictor], weights: Shares) -> Predictor:
    """With what calibration rows teach: probabilities, thresholds, sets, intervals."""
    rows = work.ready.split.calibration
    if not len(rows):
        return top

    def asked(leaf: NetworkPredictor) -> Callable[[np.ndarray], Answers]:
        return lambda rows: leaf.predict_feed(work.feed(rows), how=FORCED)

    answers = calibration_answers(work.ready, [asked(leaf) for leaf in members], weights, partial(weights_of, work))
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
        _moved(moved), result.facts.get("written", ""),
    )  # fmt: skip


def _moved(moved: Mapping[str, Sequence[str]]) -> str:
    """In words: all weights by one, or the names of all but the most by each."""
    if len(moved) < 2:
        return "".join(moved)
    *fewer, most = sorted(moved, key=lambda method: len(moved[method]))
    return "; ".join([*(f"{method} {', '.join(moved[method])}" for method in fewer), f"{most} the others"])
