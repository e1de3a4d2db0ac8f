"""A whole fit: it learns, keeps its best, and takes the course that seed and plan fix, whatever happens around it."""

import math
import os
import signal
from contextlib import suppress
from dataclasses import replace
from itertools import count

import pytest
import torch

from trueweight.data.feed import Feed
from trueweight.errors import TrainError
from trueweight.progress import listen
from trueweight.train import descent
from trueweight.train.checkpoint import Checkpoints
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.guard import CHECK_EVERY
from trueweight.train.job import fit_member
from trueweight.train.loop import plain_backward
from trueweight.train.watch import Stopwatch


def fit(job):
    return fit_member(job, GradientFitter())


@torch.no_grad()
def scored(job):
    return job.score(job.network)


@pytest.fixture
def fitted(make_job, digest):
    """Fit a job made of these fields: (result, digest of the weights)."""

    def run(**fields):
        job = make_job(**fields)
        return fit(job), digest(job.network)

    return run


def pressing(steps: set[int], times: int = 1):
    """Backward that presses Ctrl-C during some steps."""
    number = count(1)

    def backward(network, batch, rng):
        if next(number) in steps:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return plain_backward(network, batch, rng)

    return backward


def test_learns_and_holds_its_best_weights(make_job):
    job = make_job(plan={"steps": 400})
    job.network.eval()
    before = scored(job)
    result = fit(job)
    assert result.best_score < 0.2 * before
    assert scored(job) == result.best_score
    assert not job.network.training
    scores = [score for look in result.history for score in (look.score, look.averaged)]
    assert min(scores) == result.best_score
    assert (result.steps, result.stopped, result.events) == (400, "finished", ())
    assert [look.step for look in result.history] == [*range(7, 400, 7), 400]


def test_the_average_is_kept_when_it_is_better(make_job):
    # A rate far too high for a steady end: the mean of what it visits is better than any of it.
    shape = {"warmup": 0, "decay": 0}
    train = {"optimizer": {"type": "sgd", "learning_rate": 0.2}, "lr_schedule": shape}
    result = fit(make_job(train=train, plan={"steps": 400}))
    assert result.averaged


def test_validation_rows_decide_between_the_average_and_the_weights(make_job):
    """The same course, judged by two scores: whoever scores better is kept, look by look."""
    shape = {"warmup": 0, "decay": 0}
    train = {"optimizer": {"type": "sgd", "learning_rate": 0.1}, "lr_schedule": shape}
    results = {}
    for sign in (1, -1):
        job = make_job(train=train, plan={"steps": 100})
        plain = job.score
        results[sign] = fit(replace(job, score=lambda network, plain=plain, sign=sign: sign * plain(network)))
    for sign, result in results.items():
        raw, averaged = (min(getattr(look, name) for look in result.history) for name in ("score", "averaged"))
        assert result.best_score == min(raw, averaged)
        assert result.averaged == (averaged < raw), sign
    mirrored = [(-look.score, -look.averaged) for look in results[-1].history]
    assert mirrored == [(look.score, look.averaged) for look in results[1].history]
    assert results[1].averaged != results[-1].averaged  # what one likes best, the other likes least


@pytest.mark.parametrize(("better", "which"), [("last", 0), ("last", 1), ("best", 0)])
def test_what_is_written_decides_between_the_best_score_and_the_end(
    make_job, digest, tmp_path, better: str, which: int
):
    """The score is best half way, of the last look the weights' or their average's; the last ones write first."""
    looks, asked, plan = count(), [], {"steps": 42, "validate_every": 7, "seconds": 600.0}

    def written(network):
        asked.append(digest(network))
        return -0.5 if (len(asked) == 1) == (better == "last") else -0.4

    def writing(seconds):
        assert seconds == 600.0  # the plan's, whatever there is now
        return written

    def score(_):
        look, second = divmod(next(looks), 2)
        return abs(look - 2.0) + (0.1 if second == 1 - which else 0.0)

    job = make_job(score=score, writing=writing, folder=tmp_path, plan=plan, seconds=1.0)
    found = fit(job)
    assert len(asked) == 2 and asked[0] != asked[1]
    assert digest(job.network) == asked[0 if better == "last" else 1]
    assert (found.best_step, found.averaged) == ((42 if better == "last" else 21), which == 1)
    best, last = ("0.400", "0.500") if better == "last" else ("0.500", "0.400")
    told = f"chrF of texts written for validation rows: {best} by step 21, {last} by the last one"
    assert found.facts["written"] == told
    again = make_job(score=score, writing=writing, folder=tmp_path, plan=plan)
    assert fit(again).facts["written"] == told  # it is not asked again
    assert len(asked) == 2 and digest(again.network) == digest(job.network)


@pytest.mark.parametrize("said", [None, math.nan], ids=["too few rows", "no text says anything"])
def test_the_best_score_decides_where_nothing_is_written(make_job, said):
    looks = count()
    writing = (lambda _: None) if said is None else (lambda _: lambda _: said)
    found = fit(make_job(score=lambda _: float(next(looks)), writing=writing, plan={"steps": 14}))
    assert (found.best_step, found.facts["written"]) == (7, "")


def test_nothing_is_written_where_the_end_is_the_best(make_job):
    looks = count()
    job = make_job(score=lambda _: -next(looks), writing=lambda _: pytest.fail("asked"), plan={"steps": 14})
    assert fit(job).facts["written"] == ""


def test_nothing_is_written_after_ctrl_c(make_job):
    looks = count()
    job = make_job(score=lambda _: float(next(looks)), writing=lambda _: pytest.fail("asked"), backward=pressing({9}))
    assert fit(job).stopped == "interrupted"


def test_same_seed_same_weights_other_seed_others(fitted):
    (one, a), (_, b), (_, c) = fitted(plan={}), fitted(plan={}), fitted(plan={}, seed=4)
    assert a == b != c
    assert one.history


def test_no_plan_and_its_own_plan_give_the_same(fitted):
    first, a = fitted(train={"budget": {"time": 0.3}})
    _, b = fitted(train={"budget": {"time": 0.3}}, plan=first.plan.replayed())
    assert a == b


def test_the_plan_is_told_before_the_first_step(make_job):
    told = []

    def backward(network, batch, rng):
        assert told
        return plain_backward(network, batch, rng)

    fit(make_job(plan={"steps": 3}, on_plan=told.append, backward=backward))


@pytest.mark.parametrize("every", [1, 5, 1000])
def test_checkpoints_change_nothing(fitted, tmp_path, every):
    assert fitted(plan={"checkpoint_every": every}, folder=tmp_path)[1] == fitted(plan={})[1]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
def test_goes_on_from_any_checkpoint(make_job, fitted, digest, tmp_path, optimizer):
    train = {"optimizer": optimizer, "max_grad_norm": 1.0}
    for end in (1, 7, 20, 33):
        job = make_job(train=train, plan={"checkpoint_every": 1}, folder=tmp_path / str(end))
        steps = GradientFitter().fit(job)
        for _ in range(end):
            next(steps)
        steps.close()  # as a kill would, without a word
    whole, a = fitted(train=train, plan={})
    for end in (1, 7, 20, 33):
        result, b = fitted(train=train, plan={}, folder=tmp_path / str(end))
        assert a == b
        assert result.history == whole.history


def test_a_finished_fit_is_not_repeated(make_job, digest, tmp_path):
    first = make_job(plan={}, folder=tmp_path)
    result = fit(first)
    again = make_job(plan={}, folder=tmp_path, backward=lambda *_: pytest.fail("it took a step"))
    repeated = fit(again)
    assert digest(again.network) == digest(first.network)
    assert replace(repeated, seconds=0, first_step=0, plan=None) == replace(result, seconds=0, first_step=0, plan=None)


def test_another_runs_checkpoint_is_refused(make_job, tmp_path):
    fit(make_job(plan={}, folder=tmp_path))
    with pytest.raises(TrainError, match="is of another run"):
        fit(make_job(plan={}, folder=tmp_path, seed=99))


def test_a_plateau_starts_the_cooldown_and_does_not_cut(make_job):
    train = {"early_stopping": {"patience": 4}}
    flat = make_job(plan={"steps": 200, "validate_every": 5}, train=train, score=lambda _: 1.0)
    result = fit(flat)
    (event,) = result.events
    assert (event.kind, event.step, event.length) == ("plateau", 25, 100)
    assert result.steps == 125
    assert fit(replace(flat, spec=flat.spec.model_copy(update={"early_stopping": None}))).steps == 200


@pytest.fixture
def slow_clock(monkeypatch):
    """A clock that runs at a pace of our choice from one reading to the next."""

    def install(seconds_per_reading: float):
        readings = count()
        monkeypatch.setattr(Stopwatch, "seconds", lambda self: next(readings) * seconds_per_reading)

    return install


def test_a_slow_machine_ends_early_and_its_plan_can_be_replayed(fitted, slow_clock, monkeypatch, tmp_path):
    steps = {"steps": 400, "seconds": 10.0, "validate_every": CHECK_EVERY}
    slow_clock(0.04)  # one reading per step: 400 steps would take 16 s
    told = []
    result, a = fitted(plan=steps, on_plan=told.append)
    assert {event.kind for event in result.events} == {"slow"}
    assert 10 <= result.steps * 0.04 <= 12
    assert told[-1].events == result.plan.events == result.events
    monkeypatch.setattr(Stopwatch, "seconds", lambda self: 0.0)
    replayed, b = fitted(plan=result.plan.replayed())
    assert (a, result.steps) == (b, replayed.steps)
    slow_clock(100.0)  # a replay does not even look at it
    assert fitted(plan=result.plan.replayed())[1] == a


def test_a_resumed_run_obeys_what_the_clock_had_decided(make_job, fitted, slow_clock, digest, tmp_path):
    plan = {"steps": 400, "seconds": 10.0, "validate_every": CHECK_EVERY, "checkpoint_every": 50}
    slow_clock(0.04)
    told = []
    job = make_job(plan=plan, folder=tmp_path, on_plan=told.append)
    step = next(step for step in GradientFitter().fit(job) if told[-1].events)
    at = told[-1].events[0].step
    assert step.number == at
    assert Checkpoints(tmp_path, "toy").load().step < at
    slow_clock(0.0)
    job = make_job(plan=None, folder=tmp_path)
    resumed = fit(replace(job, plan=told[-1]))
    assert resumed.events == told[-1].events
    assert fitted(plan=plan | {"events": told[-1].events, "clock": False})[1] == digest(job.network)


def test_a_budget_that_is_kept_changes_nothing(fitted):
    result, _ = fitted(plan={"seconds": 1000.0})
    assert result.events == ()


def exploding(at: set[int]):
    number = count(1)

    def backward(network, batch, rng):
        loss = plain_backward(network, batch, rng)
        return loss * float("nan") if next(number) in at else loss

    return backward


def test_divergence_halves_the_rate_and_goes_on(make_job):
    heard = []
    job = make_job(plan={"steps": 120}, backward=exploding({50}), on_event=heard.append)
    result = fit(job)
    (event,) = result.events
    assert (event.kind, event.step) == ("diverged", 56)  # the look at 56 reads the loss of step 50
    assert "back to the weights of step 49, at half the rate" in event.note
    assert heard == [event]
    assert result.steps == 120
    assert scored(job) == result.best_score


def test_divergence_again_and_again_is_an_error_with_a_remedy(make_job):
    with pytest.raises(TrainError, match=r"toy diverged: the loss is nan at step \d+, after") as error:
        fit(make_job(plan={"steps": 120}, backward=exploding(set(range(30, 200)))))
    assert error.value.where == "train.optimizer.learning_rate"
    assert "lower it" in error.value.hint


@pytest.mark.parametrize("rate", [1e3, 1e12])
def test_a_rate_far_too_high_never_gives_weights_that_are_not_finite(make_job, rate):
    job = make_job(plan={"steps": 200}, train={"optimizer": {"type": "sgd", "learning_rate": rate}})
    with suppress(TrainError):
        result = fit(job)
        assert result.best_score == scored(job) < 1e6


def test_ctrl_c_keeps_the_best_so_far(make_job, digest):
    job = make_job(plan={}, backward=pressing({17}))
    result = fit(job)
    assert (result.stopped, result.steps) == ("interrupted", 17)
    assert result.best_score == scored(job)
    assert [look.step for look in result.history] == [7, 14]
    twin = make_job(plan={})
    replayed = fit(replace(twin, plan=result.plan))
    assert (replayed.steps, replayed.stopped) == (17, "interrupted")
    assert digest(twin.network) == digest(job.network)


def test_ctrl_c_before_the_first_look_takes_one(make_job):
    result = fit(make_job(plan={}, backward=pressing({3})))
    assert (result.stopped, result.best_step) == ("interrupted", 3)


def test_ctrl_c_twice_is_meant(make_job):
    with pytest.raises(KeyboardInterrupt):
        fit(make_job(plan={}, backward=pressing({10}, times=2)))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_in_the_middle_of_a_step_goes_back_to_a_look(make_job):
    def backward(network, batch, rng):
        if next(number) == 17:
            raise KeyboardInterrupt  # as in a thread, where no handler can be installed
        return plain_backward(network, batch, rng)

    number = count(1)
    job = make_job(plan={}, backward=backward)
    result = fit(job)
    assert (result.stopped, result.steps) == ("interrupted", 14)
    assert result.best_score == scored(job)


def test_an_interrupted_run_can_go_on(make_job, fitted, tmp_path):
    fit(make_job(plan={}, backward=pressing({17}), folder=tmp_path))
    result, a = fitted(plan={}, folder=tmp_path)
    assert result.stopped == "finished"
    assert a == fitted(plan={})[1]


def test_progress_is_told(make_job):
    heard = []
    with listen(heard.append):
        fit(make_job(plan={"steps": 30}))
    assert heard[-1].finished
    assert (heard[-1].task, heard[-1].total, heard[-1].unit) == ("training toy", 30, "steps")
    assert heard[-1].note.startswith("validation 0.")


def test_validation_that_is_never_finite(make_job):
    with pytest.raises(TrainError, match="no validation score of toy was finite"):
        fit(make_job(plan={}, score=lambda _: float("nan")))


def test_nothing_to_fit(make_job):
    job = make_job(plan={})
    with pytest.raises(TrainError, match="no rows"):
        fit(replace(job, train=Feed(torch.arange(0), {}, {})))
    job.network.requires_grad_(requires_grad=False)
    with pytest.raises(TrainError, match="no weights that gradients could change"):
        fit(job)


def test_other_threads_are_warned_of(make_job, caplog):
    fit(make_job(plan={"steps": 2, "threads": 64}))
    assert "planned with 64 threads" in caplog.text


def test_more_than_a_fifth_over_is_never_aimed_at():
    assert 1 < descent.AIM < descent.OVERSHOOT
