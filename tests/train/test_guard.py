"""The guard finds planted divergence, and stays silent where there is none."""

import math

import pytest
import torch

from trueweight.train.guard import Guard


def watched(losses: list[float], *, guard: Guard | None = None) -> float | None:
    guard = guard or Guard()
    for loss in losses:
        guard.add(torch.tensor(loss))
    return guard.check()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite(bad: float):
    found = watched([1.0, 0.9, bad, 1.0])
    assert found == bad or math.isnan(found)


@pytest.mark.parametrize("times", [3.5, 10.0, 1e6])
def test_losses_far_above_the_median(times: float):
    guard = Guard()
    assert watched([1.0] * 40, guard=guard) is None
    assert watched([times] * 10, guard=guard) == times


@pytest.mark.parametrize(
    "losses",
    [
        [1.0] * 60,
        [1.0] * 30 + [9.0] * 9 + [1.0] * 30,  # a hard stretch, shorter than ten steps
        [1.0] * 30 + [1e-3] * 300 + [5e-3] * 30,  # three times nearly nothing is nearly nothing
        [-1.0] * 30 + [-0.5] * 30,  # log-densities may be negative
        [1.0] * 5 + [5.0] * 10,  # too early to tell
    ],
)
def test_clean_runs_are_left_alone(losses: list[float]):
    assert watched(losses) is None


def test_a_suspicious_moment_is_not_calm():
    guard = Guard()
    watched([1.0] * 30, guard=guard)
    assert guard.calm
    watched([8.0] * 3, guard=guard)
    assert not guard.calm
    guard.recover()
    assert guard.calm


def test_goes_on_after_a_kill_as_if_nothing_had_happened():
    losses = [1.0] * 30 + [7.0] * 12
    for cut in range(len(losses)):
        whole, twin = Guard(), Guard()
        for loss in losses[:cut]:
            whole.add(torch.tensor(loss))
        if cut % 3 == 0:
            whole.check()
        twin.load(whole.state())
        for loss in losses[cut:]:
            whole.add(torch.tensor(loss))
            twin.add(torch.tensor(loss))
        assert whole.check() == twin.check()
        assert all(torch.equal(a, b) for a, b in zip(whole.state().values(), twin.state().values(), strict=True))
