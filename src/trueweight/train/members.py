"""Fits the members of a model one after the other, and weighs them on validation rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from torch import nn

from trueweight.data.feed import Feed
from trueweight.metrics.select import greedy_blend
from trueweight.metrics.truth import Truth
from trueweight.model.network import Network
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.protocols import FORCED
from trueweight.nn.lora import merge
from trueweight.seeds import stream
from trueweight.spec.run import MemberSpec
from trueweight.train.accumulate import backward_in
from trueweight.train.calibrate import Answers, Shares
from trueweight.train.climbing import blended, gain_of, last_climb, too_little_time
from trueweight.train.encoded import Encoded, augmentations_of
from trueweight.train.job import FitResult, FitterPart, Job, fit_member
from trueweight.train.pace import pace_path
from trueweight.train.plan import Climb, MemberPlan, Plan, record_climb, record_member
from trueweight.train.prepare import Prepared
from trueweight.train.probe import decide_plan, hurried
from trueweight.train.selection import blend_loss, ends_loss, selection_score
from trueweight.train.watch import Stopwatch
from trueweight.train.written import writing_of

__all__ = ["PICTURE_SHARE", "Fits", "Work", "fit_member_of", "fit_members", "sees_pictures", "solves", "weights_of"]


PICTURE_SHARE = 0.1
"""Of the budget, about as much as a solved member may take where networks read pictures: a linear model of pixels is
good to compare with, and no more."""

LOOKED_AT = 512
"""Rows whose texts are scored again and again while a network is fitted. A choice: some ten thousand tokens. All 1,500
of one set of summaries took 7 seconds each time, so that a budget of 30 left one step."""


@dataclass(frozen=True, slots=True)
class Work:
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

    def known_climb(self, name: str) -> Climb | None:
        """What an earlier run decided about a member."""
        return None if self.replay is None else self.replay.climb(name)

    def known_plan(self, name: str) -> MemberPlan | None:
        """What an earlier run planned for a member."""
        return None if self.replay is None else self.replay.member(name)


@dataclass(slots=True)
class Fits:
    """Members as far as they are fitted, in order."""

    work: Work
    leaves: dict[str, NetworkPredictor] = field(default_factory=dict)
    results: dict[str, FitResult] = field(default_factory=dict)
    climbs: list[Climb] = field(default_factory=list)
    _answers: dict[str, Answers] = field(default_factory=dict)
    """To the validation rows."""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended one."""
        return any(result.stopped == "interrupted" for result in self.results.values())

    def weights(self) -> Shares:
        """Of the members, by target. One alone has all the weight, whatever it answers."""
        if len(self.leaves) == 1:
            return Shares({facts.name: [1.0] for facts in self.work.ready.signature.targets()}, {})
        answers = [self._answer(name) for name in self.leaves]
        return weights_of(self.work, answers, self.work.ready.split.validation)

    def add(self, member: MemberSpec, leaf: NetworkPredictor, result: FitResult) -> None:
        """Take a member in; of one that climbs, note what the blend gains by it."""
        before = list(self.leaves)
        self.leaves[member.name], self.results[member.name] = leaf, result
        if member.climbs and before and not self.interrupted:
            known = self.work.known_climb(member.name)
            self.note(known or self._climbed(member.name, before))

    def note(self, climb: Climb) -> None:
        """A decision, written down before it takes effect."""
        self.climbs.append(climb)
        if self.work.folder is not None:
            record_climb(self.work.folder / "plan.json", climb)

    def _climbed(self, name: str, before: Sequence[str]) -> Climb:
        rows, spec = self.work.ready.split.validation, self.work.ready.spec
        truths = {target: self.work.truth_of(target, rows) for target in self.work.truths}
        shares = {target: float(spec.targets[target].model_dump()["loss_weight"]) for target in truths}
        models = []
        for names in (before, [*before, name]):
            answers = [self._answer(one) for one in names]
            models.append(blended(answers, weights_of(self.work, answers, rows).values))
        gain = gain_of(list(self.work.ready.signature.targets()), shares, models[0], models[1], truths)
        told = f"validation loss lower by {gain}, rows being paired"
        return Climb(name, True, gain.real, told if gain.real else f"{told}: no more than noise")

    def _answer(self, name: str) -> Answers:
        if name not in self._answers:
            rows = self.work.ready.split.validation
            self._answers[name] = self.leaves[name].predict_feed(self.work.feed(rows), how=FORCED)
        return self._answers[name]


def fit_members(work: Work, new: Mapping[str, NetworkPredictor]) -> Fits:
    """Solved members first: what they leave of the budget is shared by those that descend. Members that climb are
    begun only while that promises something; see :mod:`trueweight.train.climbing`."""
    members = work.ready.spec.model.fitted
    solved = [m for m in members if solves(m)]
    descended = [m for m in members if not solves(m)]
    fits = Fits(work)
    left = work.ready.spec.train.budget.time
    solved_share = PICTURE_SHARE if descended and sees_pictures(work) else 1.0
    for place, member in enumerate([*solved, *descended]):
        waiting = len(members) - place
        alone = member in solved and not cast(FitterPart, member.fitter).boosting
        share = None if left is None else left * (solved_share if alone else 1 / waiting)
        if fits.interrupted:
            break
        watch = Stopwatch()
        refused, planned = _before(work, member, new[member.name], share, fits)
        spent = watch.seconds()
        if refused is not None:
            fits.note(refused)
        else:
            leaf, result = fit_member_of(work, member, new[member.name], share, planned)
            spent += result.seconds
            fits.add(member, leaf, replace(result, seconds=spent))
        left = None if left is None else max(left - spent, 0.05 * left)
    return fits


def _before(
    work: Work, member: MemberSpec, leaf: NetworkPredictor, seconds: float | None, fits: Fits
) -> tuple[Climb | None, MemberPlan | None]:
    """Why a member is not begun, or what it is to do if that is known by now."""
    if not member.climbs or not fits.leaves:
        return None, None
    known = work.known_climb(member.name)
    if known is not None and not known.begun:
        return known, None
    if known is not None or work.known_plan(member.name) is not None:
        return None, None  # it was begun before
    why, plan = last_climb(fits.climbs), None
    if why is None and not solves(member) and seconds is not None:
        watch = Stopwatch()
        plan = decide_plan(_job(work, member, leaf, seconds), watch)
        why, plan = too_little_time(plan), replace(plan, seconds=max(seconds - watch.seconds(), 0.5 * seconds))
    return (None if why is None else Climb(member.name, False, False, why)), plan


def sees_pictures(work: Work) -> bool:
    """Whether any column holds pictures."""
    return any("pixel" in field.layout().senses for field in work.encoded.fields.values())


def solves(member: MemberSpec) -> bool:
    """Whether its heads' weights are computed and not learnt step by step."""
    return cast(FitterPart, member.fitter).solving


def fit_member_of(
    work: Work, member: MemberSpec, leaf: NetworkPredictor, seconds: float | None, plan: MemberPlan | None = None
) -> tuple[NetworkPredictor, FitResult]:
    """Fit one.

    Args:
        work: What every member needs.
        member: Which.
        leaf: With its first weights. Changed in place.
        seconds: Its share of the budget; None for no limit.
        plan: What was decided just now; None leaves it to the fitter, or to what an earlier run planned.
    """
    job = _job(work, member, leaf, seconds)
    job = job if plan is None or job.plan is not None else replace(job, plan=plan)
    result = fit_member(job, cast(FitterPart, member.fitter))
    merge(leaf.network)  # what adapted frozen matrices becomes part of them: nothing behind here knows of it
    return leaf, result


def _job(work: Work, member: MemberSpec, leaf: NetworkPredictor, seconds: float | None) -> Job:
    ready, looked_at = work.ready, _looked_at(work)
    validation = leaf.reading(work.feed(looked_at))
    train = leaf.reading(work.feed(ready.split.train), augmentations_of(ready, work.encoded.fields))
    return Job(
        name=member.name, network=leaf.network, train=train, validation=validation,
        spec=ready.spec.train, seed=ready.spec.seed, score=_scorer(work, leaf, validation, looked_at),
        writing=writing_of(leaf, ready, looked_at, work.feed, work.truths),
        folder=work.folder, seconds=seconds, plan=work.known_plan(member.name),
        on_plan=_recorder(work.folder), backward=backward_in(ready.spec.train.accumulate),
        pace=_pace(work, member, validation, hurried(train, seconds or ready.spec.train.budget.time)),
    )  # fmt: skip


def _pace(work: Work, member: MemberSpec, validation: Feed, hurry: bool) -> Path | None:
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


def _recorder(folder: Path | None) -> Callable[[MemberPlan], None]:
    """Stores each member's plan before it is followed."""

    def record(plan: MemberPlan) -> None:
        if folder is not None:
            record_member(folder / "plan.json", plan)

    return record


def _looked_at(work: Work) -> np.ndarray:
    """The validation rows by which a fit is watched: where texts are written, which takes long, not all of many."""
    rows = work.ready.split.validation
    if len(rows) <= LOOKED_AT or not any(facts.type == "text" for facts in work.ready.signature.targets()):
        return rows
    return np.sort(stream(work.ready.spec.seed, "looked at").choice(rows, LOOKED_AT, replace=False))


def _scorer(work: Work, leaf: NetworkPredictor, feed: Feed, rows: np.ndarray) -> Callable[[nn.Module], float]:
    truths = {name: work.truth_of(name, rows) for name in work.truths}

    def score(network: nn.Module) -> float:
        asked = replace(leaf, network=cast(Network, network))  # the probe tries a copy, perhaps on another device
        return selection_score(work.ready.spec, work.ready.signature, asked.predict_feed(feed, how=FORCED), truths)

    return score


def weights_of(work: Work, answers: Sequence[Answers], rows: np.ndarray) -> Shares:
    """Weights of the members for each target, by greedy selection on these rows."""
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
