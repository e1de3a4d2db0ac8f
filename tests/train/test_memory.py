"""Memory that a step needs, predicted on a few rows."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from trueweight.nn.transformer import Blocks, Wishes
from trueweight.train.job import Job
from trueweight.train.loop import Streams
from trueweight.train.memory import _course, _peak, needed

CPU = torch.device("cpu")


class Reader(nn.Module):
    """Three numbers, each made a token, through blocks."""

    def __init__(self, wishes: Wishes) -> None:
        super().__init__()
        self.widen, self.blocks, self.heads = nn.Linear(1, 32), Blocks(32, wishes), nn.Linear(32, 1)

    def forward(self, batch, rng):
        tokens = self.blocks(self.widen(batch.inputs["table"]["number"].unsqueeze(2)), None)
        return (self.heads(tokens.mean(1)) - batch.targets["y"]["value"]).square().mean()


def test_what_a_plain_network_needs(make_job: Callable[..., Job]) -> None:
    job = make_job()
    small, large = needed(job, 32), needed(job, 64)
    trained, buffers = (3 * 16 + 16 + 16 + 16 + 16 + 1) * 4, (16 + 16) * 4 + 8
    assert small.weights == trained + buffers
    assert (small.gradients, small.optimizer) == (trained, 2 * trained)
    # Average, best, and a snapshot of weights, average and the optimiser's memory.
    assert small.copies == trained + (trained + buffers) + (trained + buffers) + trained + 2 * trained
    row = 3 * 4 + 4 + 1
    assert small.rows == 200 * row + 32 * (row + 8)
    per_row = (large.activations - small.activations) / 32
    # Kept for the backward pass: three hidden layers of 16 at least, at most a few times that.
    assert 3 * 16 * 4 <= per_row <= 4 * 3 * 16 * 4
    assert small.total == sum((small.weights, small.gradients, small.optimizer, small.copies, small.activations,
                               small.rows))  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"checkpointing": True}, {"dropout": 0.2, "norm": "post"}])
def test_a_few_rows_tell_the_peak_of_many(make_job: Callable[..., Job], changes: dict[str, object]) -> None:
    network = Reader(Wishes(layers=3, heads=2, hidden=64, **changes))
    job = make_job(network=network)
    predicted, _ = _peak(job, 100)
    seen = max(_course(network, job.train.batch(torch.arange(100)), Streams(1, CPU)))
    assert predicted == pytest.approx(seen, rel=1e-3)


def test_checkpointing_and_pieces_need_less(make_job: Callable[..., Job]) -> None:
    plain = make_job(network=Reader(Wishes(layers=8, heads=2, hidden=64)))
    again = make_job(network=Reader(Wishes(layers=8, heads=2, hidden=64, checkpointing=True)))
    pieces = make_job(network=plain.network, train={"accumulate": 4})
    whole = needed(plain, 128).activations
    assert needed(again, 128).activations < whole / 3
    assert needed(pieces, 128).activations < whole / 3
    assert needed(pieces, 128).total == needed(plain, 128).total - whole + needed(pieces, 128).activations


def test_gradients_of_the_first_piece_are_there_when_the_second_one_begins(make_job: Callable[..., Job]) -> None:
    wide = Reader(Wishes(layers=2, heads=2, hidden=4096))  # where gradients weigh more than what one row keeps
    one, two = make_job(network=wide), make_job(network=wide, train={"accumulate": 2})
    assert needed(one, 1).activations < 0.1 * needed(one, 1).gradients
    assert needed(two, 2).activations > needed(one, 1).activations


def test_asking_leaves_no_trace(make_job: Callable[..., Job]) -> None:
    job = make_job()
    before = {name: t.clone() for name, t in job.network.state_dict().items()}
    state = torch.get_rng_state()
    needed(job, 64)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], t) for name, t in job.network.state_dict().items())
    assert all(p.grad is None for p in job.network.parameters())
