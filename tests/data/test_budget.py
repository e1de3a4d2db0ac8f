"""Batches by a budget of tokens: every row once an epoch, the budget kept, the same whenever one begins."""

from itertools import islice

import numpy as np
import pytest
import torch

from trueweight.data.batch import Batch
from trueweight.data.budget import Budget
from trueweight.data.feed import Feed
from trueweight.data.packed import Packed
from trueweight.data.ragged import Ragged


def feed_of(rows: int, spread: float = 0.7) -> Feed:
    """Pairs: what is read and what is written are about equally long."""
    rng = np.random.default_rng(rows)
    read_N = np.exp(rng.normal(3, spread, rows)).astype(int) + 1
    write_N = np.maximum(1, read_N + rng.integers(-3, 4, rows))
    both = (read_N, write_N)
    made = [Packed.of(Ragged.of([rng.integers(2, 9, (n, 1)) for n in lengths], 1, np.int32)) for lengths in both]
    return Feed(torch.arange(rows), {"en": {"token": made[0]}}, {"fr": {"token": made[1]}})


def padded(batch: Batch) -> int:
    return sum(t["token"].shape[0] * t["token"].shape[1] for t in (batch.inputs["en"], batch.targets["fr"]))


@pytest.mark.parametrize("tokens", [1, 300, 4096])
@pytest.mark.parametrize("rows", [3, 400])
def test_every_row_comes_once_an_epoch(rows: int, tokens: int) -> None:
    budget = Budget(feed_of(rows), tokens)
    count = len(budget.starts()) - 1
    batches = [batch.rows for batch in islice(budget.batches(1), 2 * count)]
    for epoch in (batches[:count], batches[count:]):
        assert torch.equal(torch.cat(epoch).sort().values, torch.arange(rows))
    assert rows < 400 or tokens < 300 or not torch.equal(torch.cat(batches[:count]), torch.cat(batches[count:]))


def test_a_batch_keeps_to_its_budget_and_uses_most_of_it() -> None:
    feed, tokens = feed_of(3000), 2000
    budget, lengths = Budget(feed, tokens), feed.lengths()
    assert lengths is not None
    batches = list(islice(budget.batches(0), len(budget.starts()) - 1))
    within = [len(batch.rows) * int(lengths[batch.rows].max()) for batch in batches]
    assert max(within) <= tokens
    assert float(np.median(within)) > 0.9 * tokens
    assert sum(map(padded, batches)) < 1.15 * int(lengths.sum())
    rows = [len(batch.rows) for batch in batches]
    assert max(rows) > 5 * min(rows)  # many short ones or few long ones
    alone = Budget(feed, 1)
    assert {len(batch.rows) for batch in islice(alone.batches(0), 5)} == {1}


def test_rows_of_small_tables_meet_others_in_every_epoch() -> None:
    """All lengths differ, so that sorting alone would always give the same batches."""
    lengths = torch.arange(10, 210)
    token = Packed(torch.zeros(int(lengths.sum()), 1), torch.cat([torch.zeros(1).long(), lengths.cumsum(0)]))
    budget = Budget(Feed(torch.arange(200), {"x": {"token": token}}, {}), 1500)
    count = len(budget.starts()) - 1
    batches = [frozenset(batch.rows.tolist()) for batch in islice(budget.batches(0), 2 * count)]
    assert len(set(batches[:count]) & set(batches[count:])) < count // 2


@pytest.mark.parametrize("after", [0, 1, 17, 200])
def test_a_step_follows_from_seed_and_number_alone(after: int) -> None:
    budget = Budget(feed_of(400), 600)
    whole = [batch.rows for batch in islice(budget.batches(1), after + 5)][after:]
    rest = [batch.rows for batch in islice(budget.batches(1, after), 5)]
    assert all(torch.equal(a, b) for a, b in zip(whole, rest, strict=True))
    other = [batch.rows for batch in islice(budget.batches(2, after), 5)]
    assert not all(torch.equal(a, b) for a, b in zip(whole, other, strict=True))


def test_rows_count_alike_whatever_their_length() -> None:
    """Means over the rows of each batch by its share, averaged over an epoch, are the mean over all rows."""
    feed = feed_of(500)
    budget, value_N = Budget(feed, 800), torch.randn(500, generator=torch.Generator().manual_seed(0)).double()
    batches = list(islice(budget.batches(0), len(budget.starts()) - 1))
    means = torch.stack([value_N[batch.rows].mean() * _share(batch) for batch in batches])
    torch.testing.assert_close(means.mean(), value_N.mean())
    assert abs(float(torch.stack([value_N[batch.rows].mean() for batch in batches]).mean() - value_N.mean())) > 1e-4


def _share(batch: Batch) -> torch.Tensor:
    assert batch.share is not None
    return batch.share.double()


def test_rows_without_tokens_are_batches_too() -> None:
    empty = Packed(torch.zeros(0, 1), torch.zeros(7, dtype=torch.int64))
    budget = Budget(Feed(torch.arange(6), {"x": {"token": empty}}, {}), 3)
    assert [len(batch.rows) for batch in islice(budget.batches(0), 2)] == [3, 3]
