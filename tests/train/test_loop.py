"""The loop against a hand-written one, and batches and random numbers as pure functions of the step."""

from itertools import islice

import pytest
import torch
from torch import nn

from trueweight.data.feed import Feed
from trueweight.train.loop import Streams, batches_from, clip_to, quiet, train_steps
from trueweight.train.plan import MemberPlan

CPU = torch.device("cpu")


def feed_of(rows: int) -> Feed:
    return Feed(torch.arange(rows), {"table": {"number": torch.arange(rows).float()[:, None]}}, {})


def plan_of(size: int) -> MemberPlan:
    return MemberPlan(name="m", steps=1, batch_size=size, epochs=1, validate_every=1, checkpoint_every=1)


@pytest.mark.parametrize(("rows", "size"), [(10, 3), (10, 10), (10, 64), (7, 2), (1, 1), (12, 4)])
def test_batches_are_even_and_each_epoch_has_every_row_once(rows: int, size: int):
    got = [batch.rows for batch in islice(batches_from(feed_of(rows), plan_of(size), 1), 3 * rows)]
    assert {len(batch) for batch in got} == {min(rows, size)}
    stream = torch.cat(got)
    for epoch in range(len(stream) // rows):
        assert sorted(stream[epoch * rows : (epoch + 1) * rows].tolist()) == list(range(rows))


@pytest.mark.parametrize("after", [1, 3, 4, 9])
def test_batches_of_a_resumed_run_are_the_same(after: int):
    whole = islice(batches_from(feed_of(10), plan_of(3), 1), after, after + 8)
    rest = islice(batches_from(feed_of(10), plan_of(3), 1, after=after), 8)
    assert [b.rows.tolist() for b in whole] == [b.rows.tolist() for b in rest]


def test_random_numbers_depend_on_seed_and_step_alone():
    streams = Streams(7, CPU)

    def draw(step: int) -> list[float]:
        rng = streams.at(step)
        return [*torch.rand(2).tolist(), *torch.rand(2, generator=rng).tolist()]

    with quiet(CPU):
        first, second = draw(1), draw(2)
        assert draw(1) == first
        assert len({*first, *second}) == 8


def test_the_random_state_outside_is_kept():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with quiet(CPU):
        Streams(0, CPU).at(5)
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("limit", [1e-3, 0.5, 1e3])
def test_clipping_is_that_of_torch(limit: float):
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(2))]
    for p in ours[:2]:
        p.grad = torch.randn_like(p)
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    for mine, other in zip(ours, theirs, strict=True):
        other.grad = None if mine.grad is None else mine.grad.clone()
    clip_to(limit)(ours)
    nn.utils.clip_grad_norm_(theirs, limit)
    for mine, other in zip(ours[:2], theirs[:2], strict=True):
        assert torch.equal(mine.grad, other.grad)
    assert ours[2].grad is None


def test_steps_are_those_of_a_hand_written_loop(make_job):
    job, twin = make_job(), make_job()
    plan, rates = plan_of(32), lambda step: [0.1 / step]
    optimizer = torch.optim.SGD(job.network.parameters(), lr=1.0, momentum=0.9)
    steps = train_steps(
        job.network, optimizer, batches_from(job.train, plan, 9), Streams(9, CPU), rates, rules=[clip_to(1.0)]
    )
    with quiet(CPU):
        ours = [step.loss.item() for step in islice(steps, 9)]
    theirs, other = [], torch.optim.SGD(twin.network.parameters(), lr=1.0, momentum=0.9)
    with quiet(CPU):
        for number, batch in enumerate(islice(batches_from(job.train, plan, 9), 9), 1):
            other.zero_grad()
            loss = twin.network(batch, Streams(9, CPU).at(number))
            loss.backward()
            nn.utils.clip_grad_norm_(twin.network.parameters(), 1.0)
            other.param_groups[0]["lr"] = 0.1 / number
            other.step()
            theirs.append(loss.item())
    assert ours == theirs
