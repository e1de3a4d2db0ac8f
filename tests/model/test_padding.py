"""Batches of other sizes: what is put in is dropped or masked again."""

import torch

from trueweight.data.batch import Batch
from trueweight.model.padding import bucket_of, first_batch, first_rows, with_rows, with_steps


def a_batch(rows: int = 3) -> Batch:
    frame = torch.arange(rows * 4 * 2, dtype=torch.float32).view(rows, 4, 2)
    inputs = {"a": {"number": torch.arange(rows).view(rows, 1)},
              "b": {"frame": frame, "frame.length": torch.tensor([4, 1, 0, 2][:rows])}}  # fmt: skip
    return Batch(torch.arange(rows) + 10, inputs, {})


def test_buckets_are_powers_of_two_up_to_64():
    assert [bucket_of(rows) for rows in (1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000)] == [
        1, 2, 4, 4, 8, 16, 32, 64, 64, 64, 64,
    ]  # fmt: skip


def test_rows_are_filled_up_with_the_last_one_and_dropped_again():
    batch = a_batch()
    more = with_rows(batch, 5)
    assert more.rows.tolist() == [10, 11, 12, 12, 12]
    assert more.inputs["b"]["frame"].shape == (5, 4, 2)
    assert torch.equal(more.inputs["b"]["frame"][4], batch.inputs["b"]["frame"][2])
    assert with_rows(batch, 2) is batch
    back = first_batch(more, 3)
    assert all(torch.equal(back.inputs[f][k], t) for f, ts in batch.inputs.items() for k, t in ts.items())
    assert first_rows({"t": {"p": torch.arange(5)}}, 2)["t"]["p"].tolist() == [0, 1]


def test_steps_are_more_or_fewer_and_lengths_follow():
    longer = with_steps(a_batch(), 7)
    assert longer.inputs["b"]["frame"].shape == (3, 7, 2)
    assert longer.inputs["b"]["frame.length"].tolist() == [7, 1, 0]
    shorter = with_steps(a_batch(), 1)
    assert shorter.inputs["b"]["frame.length"].tolist() == [1, 1, 0]
    assert torch.equal(longer.inputs["a"]["number"], a_batch().inputs["a"]["number"])
