"""Turns of rows: counted over passes, resumed, cut into pieces, and what alternating flips make of them."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from trueweight.data.batch import Batch
from trueweight.data.column import Sense
from trueweight.data.feed import Feed
from trueweight.data.field import Layout
from trueweight.data.packed import Packed
from trueweight.model.augmentations.horizontal_flip import HorizontalFlipAugmentation
from trueweight.nn.augment_pixels import AlternatingFlip
from trueweight.nn.turns import with_turns
from trueweight.train.accumulate import pieces_of
from trueweight.train.descent import descend
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import fit_member
from trueweight.train.loop import batches_from
from trueweight.train.plan import MemberPlan

ROWS = 50
NUMBERS = torch.arange(ROWS) * 3 + 5
"""Of the training rows among all cases."""


def feed() -> Feed:
    """Grey pictures of one row, dark on the left: mirrored ones are bright there."""
    picture = torch.tensor([0, 100, 200], dtype=torch.uint8).view(1, 1, 3, 1).expand(200, 1, 3, 1)
    return Feed(NUMBERS, {"photo": {"pixel": picture.clone()}}, {"y": {"value": torch.zeros(200)}})


def texts() -> Feed:
    lengths = np.random.default_rng(0).integers(1, 9, 200)
    starts = np.concatenate([[0], lengths.cumsum()])
    token = Packed(torch.zeros(int(starts[-1]), 1, dtype=torch.int32), torch.from_numpy(starts))
    return Feed(NUMBERS, {}, {"y": {"token": token}})


def plan(size: int = 0, tokens: int = 0) -> MemberPlan:
    kept = {"name": "m", "steps": 1, "epochs": 1, "validate_every": 1, "checkpoint_every": 1}
    return MemberPlan(batch_size=size or 1, tokens=tokens, **kept)


def seen(batches, passes: int) -> dict[int, list[int]]:
    """Turns by row, of so many whole passes."""
    turns: dict[int, list[int]] = {row: [] for row in NUMBERS.tolist()}
    while min(map(len, turns.values())) < passes:
        batch = next(batches)
        for row, turn in zip(batch.rows.tolist(), batch.turn_B.tolist(), strict=True):
            turns[row].append(turn)
    return {row: found[:passes] for row, found in turns.items()}


@pytest.mark.parametrize("size", [1, 7, 16, 50, 99])
def test_turns_grow_by_one_in_every_pass(size):
    turns = seen(batches_from(feed(), plan(size), 1, turning=True), 5)
    assert all(found == [found[0] + i for i in range(5)] for found in turns.values())
    odd = sum(found[0] % 2 for found in turns.values())
    assert 12 <= odd <= 38  # of 50 fair coins, but for two in ten thousand


def test_turns_grow_where_batches_are_counted_in_tokens():
    turns = seen(batches_from(texts(), plan(tokens=40), 1, turning=True), 4)
    assert all(found == [found[0] + i for i in range(4)] for found in turns.values())


@pytest.mark.parametrize("after", [1, 3, 7, 8, 30])
@pytest.mark.parametrize("tokens", [0, 40])
def test_a_resumed_run_goes_on_with_the_same_turns(after, tokens):
    rows, how = (texts(), plan(tokens=tokens)) if tokens else (feed(), plan(16))
    whole = islice(batches_from(rows, how, 1, turning=True), after, after + 9)
    rest = islice(batches_from(rows, how, 1, after=after, turning=True), 9)
    told = [(b.rows.tolist(), b.turn_B.tolist()) for b in whole]
    assert told == [(b.rows.tolist(), b.turn_B.tolist()) for b in rest]


def test_members_begin_elsewhere():
    first, second = (seen(batches_from(feed(), plan(50), seed, turning=True), 1) for seed in (1, 2))
    assert 10 < sum(first[row][0] % 2 != second[row][0] % 2 for row in first) < 40


def test_nobody_who_does_not_ask_is_told():
    assert next(batches_from(feed(), plan(16), 1)).turn_B is None


def test_pieces_of_a_batch_keep_their_turns():
    batch = next(batches_from(feed(), plan(16), 1, turning=True))
    pieces = [piece for piece, _ in pieces_of(batch, 3)]
    assert torch.equal(torch.cat([piece.turn_B for piece in pieces]), batch.turn_B)


def test_two_passes_in_a_row_show_both_sides_of_every_picture():
    layout = Layout({"pixel": 1}, senses={"pixel": Sense(grid=(1, 3), mean=(0.5,), std=(0.2,))})
    flip = HorizontalFlipAugmentation(alternate=True).build(layout)
    assert isinstance(flip, AlternatingFlip)
    sides: dict[int, list[int]] = {row: [] for row in NUMBERS.tolist()}
    for batch in islice(batches_from(feed(), plan(7), 1, turning=True), 6 * ROWS // 7 + 1):
        pixel = flip(with_turns(batch.inputs["photo"], batch.turn_B))["pixel"]
        for row, side in zip(batch.rows.tolist(), pixel[:, 0, 0, 0].tolist(), strict=True):
            sides[row].append(side)
    for found in sides.values():
        assert len(found) >= 6
        assert {*found[::2]} | {*found[1::2]} == {0, 200}
        assert len({*found[::2]}) == len({*found[1::2]}) == 1


class Looking(nn.Module):
    """A network whose loss is not changed by what it notes: turns of every training step, in a list copies share."""

    noted: list[list[int]] = []

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.flip = network, AlternatingFlip()

    def answer(self, batch: Batch):
        return self.network.answer(batch)

    def forward(self, batch: Batch, rng: torch.Generator) -> torch.Tensor:
        if self.training:
            self.noted.append(batch.turn_B.tolist())
        return self.network(batch, rng)


def test_a_killed_fit_goes_on_with_the_turns_of_a_whole_one(make_job, tmp_path):
    def job(folder=None):
        made = make_job(plan={"steps": 20, "checkpoint_every": 5}, folder=folder)
        return replace(made, network=Looking(made.network))

    Looking.noted.clear()
    fit_member(job(), GradientFitter())
    whole = Looking.noted[:]
    assert len(whole) == 20  # of 32 of 200 rows: three passes and a bit
    Looking.noted.clear()
    steps = descend(job(tmp_path))
    for _ in range(12):
        next(steps)
    steps.close()
    assert Looking.noted == whole[:12]
    Looking.noted.clear()
    fit_member(job(tmp_path), GradientFitter())
    assert Looking.noted == whole[10:]
