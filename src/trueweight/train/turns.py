"""Which pass each row of a batch is in, and the turns that follow from it: pure functions of seed, row and step.

Shape suffixes in this file:
    B  rows
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.data.budget import Budget
from trueweight.data.feed import Feed
from trueweight.seeds import row_hashes, stream_seed
from trueweight.train.plan import MemberPlan

__all__ = ["turned"]

_STARTS = 1 << 16
"""Turns begin below it: divisible by all small powers of 2, so that each way of a row is equally likely to be first."""


def turned(batches: Iterable[Batch], feed: Feed, plan: MemberPlan, seed: int, after: int) -> Iterator[Batch]:
    """The same batches, with the turn of each row: where it starts, and one more in every pass.

    Args:
        batches: Of ``train.loop.batches_from``, from step ``after + 1`` on.
        feed: Whose rows they are.
        plan: That they follow.
        seed: Of the member: another member's rows start elsewhere.
        after: Steps already taken.
    """
    own = stream_seed(seed, "turns")
    for batch, pass_B in zip(batches, _passes(feed, plan, after), strict=False):
        start = row_hashes(own, batch.rows.numpy()) % np.uint64(_STARTS)
        yield replace(batch, turn_B=torch.from_numpy(start.astype(np.int64)) + pass_B)


def _passes(feed: Feed, plan: MemberPlan, after: int) -> Iterator[Tensor]:
    """Of each step from the one behind ``after`` on: the pass of every row, or of all of them, from 0."""
    step = after
    if plan.tokens:
        count = len(Budget(feed, plan.tokens).starts()) - 1  # no batch holds rows of two passes
        while True:
            yield torch.tensor(step // count)
            step += 1
    size = min(plan.batch_size, len(feed))
    while True:  # permutations end to end, cut evenly: a batch may hold the end of one pass and the start of the next
        yield torch.arange(step * size, (step + 1) * size) // len(feed)
        step += 1
