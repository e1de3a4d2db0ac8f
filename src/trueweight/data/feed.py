"""Encoded rows as batches: one gather per tensor, no Python per row."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.data.column import FieldArrays
from trueweight.data.packed import Packed
from trueweight.data.ragged import Ragged
from trueweight.seeds import stream

__all__ = ["Feed", "Stored", "bucketed", "epoch_order", "padding_share", "stored"]

Stored = Mapping[str, Tensor | Packed]
"""Tensors of all cases of one field, by array name."""

WINDOW = 128
"""Batches whose rows are sorted by length together: enough for little padding, few enough to stay mixed. Of lengths
spread like those of speech and texts, cut where 99 % end, 64 left up to 6 % to padding, 128 up to 4 %."""

STEPPED = {"frame", "token"}
"""Arrays whose items are read one after the other, each as a row of every layer; not so words that are only counted."""


def stored(arrays: FieldArrays) -> Stored:
    """Arrays as tensors that share their memory."""
    return {
        name: Packed.of(array) if isinstance(array, Ragged) else torch.from_numpy(np.asarray(array))
        for name, array in arrays.items()
    }


@dataclass(frozen=True, slots=True)
class Feed:
    """N of all encoded cases, as tensors over memory-mapped blocks. Nothing is copied until a batch is asked for."""

    rows: Tensor
    """(N,) int64 case numbers of this feed: positions on the first axis of every other tensor here."""
    inputs: Mapping[str, Stored]
    """By field; first axes run over all cases, of this feed or not."""
    targets: Mapping[str, Stored]
    """By target; first axes as above, ``present`` among them. Empty for prediction."""
    weight_N: Tensor | None = None
    """Of all cases."""
    entire: bool = False
    """Whether these are all cases there are, in their order, and nobody else looks at their tensors."""

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def lengths(self) -> Tensor | None:
        """Items of each row over all ragged arrays, (N,) int64; None where there is none."""
        every = [*self.inputs.values(), *self.targets.values()]
        packed = [t for tensors in every for t in tensors.values() if isinstance(t, Packed)]
        return sum((t.lengths[self.rows] for t in packed), torch.zeros_like(self.rows)) if packed else None

    def without(self, unread: Mapping[str, Collection[str]]) -> "Feed":
        """The same rows without some arrays of some fields: what nobody reads need not be gathered, and its lengths
        must not decide which rows meet in a batch."""
        inputs = {
            field: {name: t for name, t in tensors.items() if name not in unread.get(field, ())}
            for field, tensors in self.inputs.items()
        }
        return replace(self, inputs=inputs)

    def lean(self) -> "Feed":
        """The same rows without what says nothing, for training: ``present`` of targets that all these rows have, and
        the lengths of arrays whose rows are all equally long.

        Nothing that is absent has to be gathered, and masks, padding and averages over some rows cost more than the
        rest of a small network. Answers are never asked for this way: whether there is a mask may show in their last
        digit, and must not depend on which rows are asked for together.
        """
        inputs = {field: {name: _evened(t) for name, t in tensors.items()} for field, tensors in self.inputs.items()}
        targets = {name: self._without_present(tensors) for name, tensors in self.targets.items()}
        return replace(self, inputs=inputs, targets=targets)

    def _without_present(self, tensors: Stored) -> Stored:
        present = tensors.get("present")
        if not isinstance(present, Tensor) or not bool(present[self.rows].all()):
            return tensors
        return {name: t for name, t in tensors.items() if name != "present"}

    def batch(self, index: Tensor) -> Batch:
        """The cases at these positions of the feed, (B,) int64 from 0 to N - 1."""
        return self.gather(self.rows.index_select(0, index))

    def batches(self, size: int) -> Iterator[Batch]:
        """All cases of the feed in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.gather(self.rows[start : start + size])

    def chunks(
        self, most_rows: int, most_items: int, most_steps: int | None = None
    ) -> Iterator[tuple[Tensor, Batch]]:  # fmt: skip
        """All cases, in batches of at most so many rows, numbers and steps, padding included; with their positions.

        Rows of different lengths come shortest first, so that little is padded.

        Args:
            most_rows: Of a batch.
            most_items: Numbers of a batch.
            most_steps: Tokens and frames of a batch; words that are only counted are none. None: any.
        """
        lengths, fixed = self.lengths(), self._fixed_items()
        if lengths is None:
            size = max(1, min(most_rows, most_items // max(fixed, 1)))
            if self.entire and 0 < len(self) <= size:
                yield self.rows, self._whole()
                return
            for place in torch.split(torch.arange(len(self)), size):
                yield place, self.batch(place)
            return
        groups = *self.inputs.values(), *self.targets.values()
        most_steps = most_steps if any(STEPPED & tensors.keys() for tensors in groups) else None
        order = torch.argsort(lengths, stable=True)
        width, start, sorted_lengths = self._width(), 0, lengths[order].tolist()
        while start < len(order):
            end = start + 1
            while end < len(order) and end - start < most_rows:
                rows, steps = end - start + 1, sorted_lengths[end]
                if rows * (fixed + width * steps) > most_items or (most_steps and rows * steps > most_steps):
                    break
                end += 1
            yield order[start:end], self.batch(order[start:end])
            start = end

    def _whole(self) -> Batch:
        """All cases as they lie, where there is nothing to gather; without anything packed."""
        inputs, targets = (
            {name: {key: t for key, t in tensors.items() if isinstance(t, Tensor)} for name, tensors in group.items()}
            for group in (self.inputs, self.targets)
        )
        return Batch(self.rows, inputs, targets, self.weight_N)

    def _fixed_items(self) -> int:
        """Numbers of one row in arrays of one length."""
        tensors = [t for group in self.inputs.values() for t in group.values() if isinstance(t, Tensor)]
        return sum(prod(t.shape[1:]) for t in tensors)

    def _width(self) -> int:
        """Numbers of one item of the widest ragged array."""
        packed = [t for group in self.inputs.values() for t in group.values() if isinstance(t, Packed)]
        return max((int(np.prod(t.value_MC.shape[1:])) for t in packed), default=1)

    def gather(self, rows: Tensor) -> Batch:
        """These cases, (B,) int64, by their numbers: some of ``rows``."""
        return Batch(
            rows,
            {name: _pick(tensors, rows) for name, tensors in self.inputs.items()},
            {name: _pick(tensors, rows) for name, tensors in self.targets.items()},
            None if self.weight_N is None else self.weight_N.index_select(0, rows),
        )


def _evened(t: Tensor | Packed) -> Tensor | Packed:
    even = t.even() if isinstance(t, Packed) else None
    return t if even is None else even


def _pick(tensors: Stored, rows: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, t in tensors.items():
        if isinstance(t, Packed):
            found[name], found[f"{name}.length"] = t.padded(rows)
        else:
            found[name] = t.index_select(0, rows)
    return found


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """The order of one epoch, (count,) int64: a permutation that depends on seed and epoch only."""
    return torch.from_numpy(stream(seed, "shuffle", epoch).permutation(count).astype(np.int64))


def bucketed(order: Tensor, lengths: Tensor, size: int, first: int, seed: int, epoch: int) -> Tensor:
    """The same order, changed so that rows of about one length meet in a batch.

    Within windows of :data:`WINDOW` batches rows are sorted by length; the batches of a window then come in a random
    order, so that lengths tell nothing of when a row is seen. A batch that two epochs share holds short rows of both.

    Args:
        order: Of one epoch, (N,).
        lengths: Items of each row, (N,).
        size: Of a batch.
        first: Rows that complete the batch which the epoch before began.
        seed: Of the run.
        epoch: Which one.
    """
    parts: list[Tensor] = []
    for number, window in enumerate(torch.split(order[first:], size * WINDOW)):
        rows = torch.cat([order[:first], window]) if number == 0 else window
        ranked = rows[torch.argsort(lengths[rows], stable=True)]
        if number == 0:
            parts, ranked = [ranked[:first]], ranked[first:]
        left = len(ranked) % size
        shuffled = stream(seed, "buckets", epoch, number).permutation(len(ranked) // size)
        batches = ranked[left:].view(-1, size)[torch.from_numpy(shuffled)]
        parts += [batches.flatten(), ranked[:left]]
    return torch.cat(parts)


def padding_share(lengths: Tensor, size: int) -> float:
    """The share of a batch's items that is padding, where rows are sorted into batches by length: what is to be
    expected of :func:`bucketed`.

    Args:
        lengths: Items of each row, (N,).
        size: Of a batch.
    """
    order = torch.from_numpy(stream(0, "padding").permutation(len(lengths)))
    ordered = lengths[bucketed(order, lengths, size, 0, 0, 0)]
    filled = sum(int(batch.max()) * len(batch) for batch in torch.split(ordered, size) if len(batch))
    return 1 - int(lengths.sum()) / filled if filled else 0.0
