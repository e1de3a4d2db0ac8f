"""Rows of different lengths in batches: each once an epoch, little padded."""

import numpy as np
import pytest
import torch

from trueweight.data.feed import WINDOW, Feed, bucketed, epoch_order, padding_share
from trueweight.data.packed import Packed
from trueweight.data.ragged import starts_of
from trueweight.recipes.scaling import batch_size_for
from trueweight.train.probe import little_padded

SPREADS = {
    "speech": lambda rng, n: np.exp(rng.normal(4.6, 0.6, n)),
    "texts": lambda rng, n: np.exp(rng.normal(3.5, 1.0, n)),
    "even": lambda rng, n: rng.uniform(1, 1000, n),
    "one to 100,000": lambda rng, n: np.exp(rng.uniform(0, np.log(100_000), n)),
}


def lengths_of(spread: str, rows: int) -> torch.Tensor:
    found = SPREADS[spread](np.random.default_rng(0), rows)
    return torch.from_numpy(np.clip(np.round(found), 1, 100_000).astype(np.int64))


def padded(lengths: torch.Tensor, size: int, epochs: int) -> float:
    """Share of padding over several epochs laid end to end, as the loop cuts them."""
    rows = len(lengths)
    order = torch.cat([bucketed(epoch_order(rows, 0, e), lengths, size, -e * rows % size, 0, e) for e in range(epochs)])
    batches = [lengths[b] for b in torch.split(order, size) if len(b) == size]
    return 1 - sum(int(b.sum()) for b in batches) / sum(int(b.max()) * size for b in batches)


@pytest.mark.parametrize("size", [32, 128])
@pytest.mark.parametrize("spread", SPREADS)
def test_padding_stays_below_one_in_twenty(spread, size):
    """Of rows that are cut where 99 % of them end, as sounds and texts are."""
    lengths = lengths_of(spread, 20_000)
    cut = lengths.clamp_max(int(np.quantile(lengths.numpy(), 0.99)))
    most = 0.05 if spread != "one to 100,000" else 0.07
    assert padded(cut, size, 2) < most
    plain = [cut[b] for b in torch.split(epoch_order(len(cut), 0, 0), size)]
    assert 1 - int(cut.sum()) / sum(int(b.max()) * len(b) for b in plain) > 5 * padded(cut, size, 2)


@pytest.mark.parametrize("rows", [7, 64, 330, 20_001])
@pytest.mark.parametrize("first", [0, 5])
def test_every_row_comes_once(rows, first):
    lengths = lengths_of("speech", rows)
    order = bucketed(epoch_order(rows, 3, 1), lengths, 32, first, 3, 1)
    assert torch.equal(order.sort().values, torch.arange(rows))
    assert torch.equal(order, bucketed(epoch_order(rows, 3, 1), lengths, 32, first, 3, 1))
    assert rows < 64 or not torch.equal(order, bucketed(epoch_order(rows, 3, 2), lengths, 32, first, 3, 2))


def test_a_batch_between_two_epochs_holds_short_rows_of_both():
    rows, size = 330, 32
    lengths = lengths_of("speech", rows)
    orders = [bucketed(epoch_order(rows, 0, e), lengths, size, -e * rows % size, 0, e) for e in range(2)]
    between = torch.cat([orders[0][320:], orders[1][:22]])
    assert lengths[between].max() <= lengths.sort().values[40]


def test_lengths_do_not_tell_when_a_row_is_seen():
    lengths = lengths_of("speech", 64 * WINDOW * 2)
    order = bucketed(epoch_order(len(lengths), 0, 0), lengths, 64, 0, 0, 0)
    means = lengths[order].view(-1, 64).double().mean(1).numpy()
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.25


def test_the_share_that_is_foretold_is_the_one_that_comes():
    lengths = lengths_of("speech", 640)
    assert padding_share(lengths, 32) == pytest.approx(padded(lengths, 32, 1), abs=0.01)
    assert padding_share(torch.full((50,), 7), 8) == 0
    assert padding_share(torch.zeros(0, dtype=torch.int64), 8) == 0


@pytest.mark.parametrize("most_steps", [None, 60_000])
def test_chunks_for_answers_hold_no_more_than_allowed(most_steps):
    lengths = lengths_of("one to 100,000", 300)
    packed = Packed(torch.zeros(int(lengths.sum()), 2), torch.from_numpy(starts_of(lengths.numpy())))
    feed = Feed(torch.arange(300), {"sound": {"frame": packed}}, {})
    seen = []
    for place, batch in feed.chunks(64, 200_000, most_steps):
        frame = batch.inputs["sound"]["frame"]
        assert frame.numel() <= 200_000 or len(place) == 1
        assert most_steps is None or frame.numel() <= 2 * most_steps or len(place) == 1
        assert len(place) <= 64 and torch.equal(batch.inputs["sound"]["frame.length"], lengths[place])
        seen.append(place)
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(300))


def test_words_that_are_only_counted_are_no_steps():
    packed = Packed(torch.zeros(3000, 1), torch.arange(0, 3001, 100))
    rows = torch.arange(30)
    of = {name: Feed(rows, {"text": {name: packed}}, {}) for name in ("bag", "token")}
    assert [len(place) for place, _ in of["bag"].chunks(64, 10**6, 500)] == [30]
    assert [len(place) for place, _ in of["token"].chunks(64, 10**6, 500)] == [5] * 6


@pytest.mark.parametrize(("rows", "size"), [(330, 8), (5_000, 128), (100_000, 256)])
def test_small_tables_of_sounds_get_batches_small_enough(rows, size):
    lengths = lengths_of("speech", rows).clamp_max(300)
    packed = Packed(torch.zeros(int(lengths.sum()), 1, dtype=torch.int8), torch.from_numpy(starts_of(lengths.numpy())))
    usual = batch_size_for(rows)
    chosen = little_padded(Feed(torch.arange(rows), {"sound": {"frame": packed}}, {}), usual)
    assert chosen == size
    assert padded(lengths, chosen, 2) < 0.05
    assert chosen == usual or padded(lengths, 2 * chosen, 2) > 0.05  # no smaller than it has to be
    assert little_padded(Feed(torch.arange(rows), {"text": {"bag": packed}}, {}), usual) == usual
    assert little_padded(Feed(torch.arange(rows), {"table": {"number": torch.zeros(rows, 1)}}, {}), usual) == usual
