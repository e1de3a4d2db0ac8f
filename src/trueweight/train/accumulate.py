"""Gradients of a large batch from small pieces, one after another.

Shape suffixes:
    B  rows of a batch
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch, Tensors
from trueweight.train.loop import Backward, plain_backward

__all__ = ["backward_in", "pieces_of"]


def backward_in(count: int) -> Backward:
    """Gradients from so many pieces of each batch: those of the whole batch but for rounding, and for layers that mix
    rows (batch norm), which see a piece at a time. Activations of one piece are alive at a time.

    Args:
        count: 1 is ``plain_backward``.
    """
    if count == 1:
        return plain_backward

    def backward(network: nn.Module, batch: Batch, rng: Generator) -> Tensor:
        total = torch.zeros((), device=batch.rows.device)
        for piece, share in pieces_of(batch, count):
            loss: Tensor = network(piece, rng, share)
            loss.backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach()
        return total

    return backward


def pieces_of(batch: Batch, count: int) -> Iterator[tuple[Batch, Tensors]]:
    """A batch cut into pieces of about one size, with each piece's share of every target.

    A target's loss is a mean over rows that have it, by their weights: the share is the piece's part of all weight.
    """
    if any("before" in y for y in batch.targets.values()):
        yield from _packed_pieces(batch, count)
        return
    size = -(-batch.rows.shape[0] // count)
    weight_B = torch.ones(batch.rows.shape[0], device=batch.rows.device) if batch.weight_B is None else batch.weight_B
    mass = {name: _counting(weight_B, y.get("present")) for name, y in batch.targets.items()}
    for start in range(0, batch.rows.shape[0], size):
        cut = slice(start, start + size)
        share = {name: mass_B[cut].sum() / mass_B.sum().clamp_min(1e-12) for name, mass_B in mass.items()}
        yield _cut(batch, cut), share


def _counting(weight_B: Tensor, present_B: Tensor | None) -> Tensor:
    return weight_B if present_B is None else weight_B * present_B.to(weight_B.dtype)


def _cut(batch: Batch, cut: slice) -> Batch:
    return Batch(
        batch.rows[cut],
        {name: {key: t[cut] for key, t in tensors.items()} for name, tensors in batch.inputs.items()},
        {name: {key: t[cut] for key, t in tensors.items()} for name, tensors in batch.targets.items()},
        None if batch.weight_B is None else batch.weight_B[cut],
        batch.share,
        None if batch.turn_B is None else batch.turn_B[cut],
    )


def _packed_pieces(batch: Batch, count: int) -> Iterator[tuple[Batch, Tensors]]:
    """Of texts that lie end to end (``data.packing``), cut between two of them: their loss is a mean over tokens."""
    ((name, y),) = batch.targets.items()
    end_P = y["count"].cumsum(0)
    weight_P = y["count"] if batch.weight_B is None else y["count"] * batch.weight_B
    goal = torch.arange(1, count, device=end_P.device) * end_P[-1] // count
    cuts: set[int] = {0, len(end_P), *torch.searchsorted(end_P, goal, right=True).tolist()}
    for start, end in pairwise(sorted(cuts)):
        tokens, texts = slice(int(end_P[start - 1]) if start else 0, int(end_P[end - 1])), slice(start, end)
        of_token = {key: y[key][tokens] for key in ("before", "after", "place")}
        weight_B = None if batch.weight_B is None else batch.weight_B[texts]
        piece = Batch(batch.rows[texts], {}, {name: {**of_token, "count": y["count"][texts]}}, weight_B)
        yield piece, {name: weight_P[texts].sum() / weight_P.sum().clamp_min(1e-12)}
