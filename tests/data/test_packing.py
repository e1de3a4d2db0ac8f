"""Texts end to end: every token once an epoch, steps of one size, the same whenever one begins."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed
from trueweight.data.packed import Packed
from trueweight.data.packing import BEGIN, END, Packing
from trueweight.data.ragged import Ragged
from trueweight.nn import generate

ROWS = 40


def feed_of(rows: int = ROWS, longest: int = 30, *, gaps: bool = False, weighted: bool = False) -> Feed:
    """Texts of 0 to ``longest`` tokens, every fourth of them cut off; row by row other tokens."""
    rng = np.random.default_rng(rows)
    texts = [rng.integers(2, 99, (n, 1)) for n in rng.integers(0, longest + 1, rows)]
    present = torch.from_numpy(rng.random(rows) > (0.3 if gaps else -1))
    whole = (torch.arange(rows) % 4 > 0) & present
    kept = [text if there else text[:0] for text, there in zip(texts, present.tolist(), strict=True)]
    target = {"token": Packed.of(Ragged.of(kept, 1, np.int32)), "whole": whole, "present": present}
    weight = torch.rand(rows, generator=torch.Generator().manual_seed(0)) if weighted else None
    return Feed(torch.arange(rows), {}, {"text": target}, weight)


def places(batch: Batch) -> list[tuple[int, int, int, int]]:
    """(row, place, token before, token after) of every place of a step."""
    y = batch.targets["text"]
    row_M = batch.rows.repeat_interleave(y["count"])
    return list(zip(*(t.tolist() for t in (row_M, y["place"], y["before"], y["after"])), strict=True))


def expected(feed: Feed) -> set[tuple[int, int, int, int]]:
    """The same of all rows, worked out one by one."""
    found: set[tuple[int, int, int, int]] = set()
    token = feed.targets["text"]["token"]
    assert isinstance(token, Packed)
    for row in feed.rows.tolist():
        text = token.value_MC[int(token.start_N1[row]) : int(token.start_N1[row + 1]), 0].tolist()
        said = [*text, *([END] if feed.targets["text"]["whole"][row] else [])]
        found |= {(row, i, [BEGIN, *text][i], after) for i, after in enumerate(said)}
    return found


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("tokens", [1, 7, 64, 300])
def test_every_token_comes_once_an_epoch_in_steps_of_one_size(tokens: int, gaps: bool) -> None:
    feed = feed_of(gaps=gaps)
    every = expected(feed)
    steps = list(islice(Packing("text", feed).batches(tokens, 3), 3 * len(every) // tokens))
    assert {len(places(step)) for step in steps} == {tokens}
    times = Counter(place for step in steps for place in places(step))
    epochs = len(steps) * tokens // len(every)
    assert epochs >= 2 and times.keys() == every
    assert set(times.values()) <= {epochs, epochs + 1}  # the last epoch is not over
    counts = [step.targets["text"]["count"] for step in steps]
    assert all(bool((count.diff() <= 0).all()) and int(count.min()) > 0 for count in counts)


def test_a_step_longer_than_an_epoch_is_an_epoch() -> None:
    feed = feed_of(5)
    assert set(places(next(Packing("text", feed).batches(10_000, 0)))) == expected(feed)


@pytest.mark.parametrize("after", [0, 1, 9, 40])
def test_a_step_follows_from_seed_and_number_alone(after: int) -> None:
    packing = Packing("text", feed_of(weighted=True))
    whole = list(islice(packing.batches(50, 1), after + 4))[after:]
    for a, b in zip(whole, packing.batches(50, 1, after), strict=False):
        assert places(a) == places(b)
        assert a.weight_B is not None and b.weight_B is not None and torch.equal(a.weight_B, b.weight_B)
    assert places(whole[0]) != places(next(packing.batches(50, 2, after)))


def test_orders_of_epochs_differ() -> None:
    feed = feed_of()
    total = len(expected(feed))
    first, second = (step.rows.tolist() for step in islice(Packing("text", feed).batches(total, 0), 2))
    assert first != second and sorted(first) == sorted(second)


def test_weights_are_of_their_rows() -> None:
    feed = feed_of(weighted=True)
    step = next(Packing("text", feed).batches(80, 0))
    assert step.weight_B is not None and feed.weight_N is not None
    torch.testing.assert_close(step.weight_B, feed.weight_N[step.rows])


def test_a_text_that_is_cut_goes_on_from_its_true_place() -> None:
    feed = feed_of(1, 30)
    steps: list[Tensor] = [s.targets["text"]["place"] for s in islice(Packing("text", feed).batches(4, 0), 3)]
    assert torch.cat(steps).tolist() == list(range(12))


def test_marks_are_those_of_what_writes() -> None:
    assert (BEGIN, END) == (generate.BEGIN, generate.END)
