"""Batches of other sizes that give the same answers: rows and steps that are dropped or masked afterwards."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.nn.encoding import Tensors

__all__ = ["bucket_of", "first_batch", "first_rows", "with_rows", "with_steps"]

LARGEST = 64
"""Rows of the largest bucket."""


def bucket_of(rows: int) -> int:
    """The next of 1, 2, 4, … 64 that holds so many rows; above, 64: more are answered 64 at a time."""
    return min(LARGEST, 1 << max(0, rows - 1).bit_length())


def with_rows(batch: Batch, rows: int) -> Batch:
    """The batch with its last row repeated until there are so many."""
    here = len(batch.rows)
    if here >= rows:
        return batch
    place_B = torch.arange(rows).clamp_max_(here - 1).to(batch.rows.device)
    inputs = {name: {key: t[place_B] for key, t in tensors.items()} for name, tensors in batch.inputs.items()}
    return replace(batch, rows=batch.rows[place_B], inputs=inputs)


def with_steps(batch: Batch, steps: int) -> Batch:
    """The batch with its ragged arrays that much longer or shorter: rows go round until they are full, or are cut."""
    inputs = {name: _stretched(tensors, steps) for name, tensors in batch.inputs.items()}
    return replace(batch, inputs=inputs)


def _stretched(tensors: Tensors, steps: int) -> dict[str, Tensor]:
    found = dict(tensors)
    for name in [name for name in tensors if f"{name}.length" in tensors]:
        place_T = torch.arange(steps) % tensors[name].shape[1]
        found[name] = tensors[name][:, place_T]
        length_B = tensors[f"{name}.length"]
        # The first row fills all steps; the others keep their length, as far as it goes.
        longest_B = torch.where(torch.arange(len(length_B)) == 0, torch.full_like(length_B, steps), length_B)
        found[f"{name}.length"] = longest_B.clamp_max(steps)
    return found


def first_rows(found: Mapping[str, Tensors], rows: int) -> dict[str, Tensors]:
    """The answers of the first rows."""
    return {target: {output: t[:rows] for output, t in outputs.items()} for target, outputs in found.items()}


def first_batch(batch: Batch, rows: int) -> Batch:
    """Its first rows, without targets."""
    return Batch(batch.rows[:rows], first_rows(batch.inputs, rows), {})
