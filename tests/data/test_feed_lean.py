"""A lean feed leaves out what says nothing, and only that."""

import pytest
import torch

from trueweight.data.feed import Feed
from trueweight.data.packed import Packed

LENGTHS = {"even": [4, 4, 4, 4], "uneven": [4, 3, 4, 5], "empty": [0, 0, 0, 0]}


def feed_of(lengths: list[int], present: list[bool], rows: list[int]) -> Feed:
    start = torch.tensor([0, *lengths]).cumsum(0)
    packed = Packed(torch.arange(2.0 * sum(lengths)).view(-1, 2), start)
    targets = {"value": torch.arange(4.0)[:, None], "present": torch.tensor(present)}
    return Feed(torch.tensor(rows), {"x": {"frame": packed}}, {"y": targets})


@pytest.mark.parametrize("kind", LENGTHS)
def test_lengths_go_where_all_rows_are_equally_long(kind: str):
    feed = feed_of(LENGTHS[kind], [True] * 4, [3, 1, 2])
    full, lean = feed.batch(torch.tensor([2, 0])), feed.lean().batch(torch.tensor([2, 0]))
    assert torch.equal(lean.inputs["x"]["frame"], full.inputs["x"]["frame"])
    assert ("frame.length" in lean.inputs["x"]) == (kind != "even")
    assert (feed.lean().lengths() is None) == (kind == "even")


def test_an_even_array_is_not_copied():
    (tensors,) = feed_of(LENGTHS["even"], [True] * 4, [0, 1, 2, 3]).lean().inputs.values()
    (packed,) = feed_of(LENGTHS["even"], [True] * 4, [0]).inputs.values()
    assert tensors["frame"].shape == (4, 4, 2)
    assert packed["frame"].even().data_ptr() == packed["frame"].value_MC.data_ptr()


@pytest.mark.parametrize(("rows", "there"), [([0, 1, 3], False), ([0, 2, 3], True)])
def test_present_goes_where_all_rows_of_the_feed_have_the_target(rows: list[int], there: bool):
    feed = feed_of(LENGTHS["even"], [True, True, False, True], rows)
    batch = feed.lean().batch(torch.arange(3))
    assert ("present" in batch.targets["y"]) == there
    assert batch.rows.tolist() == rows


def test_the_feed_itself_stays_as_it_was():
    feed = feed_of(LENGTHS["even"], [True] * 4, [0, 1])
    feed.lean()
    assert "present" in feed.targets["y"]
    assert "frame.length" in feed.batch(torch.arange(2)).inputs["x"]
