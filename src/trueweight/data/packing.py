"""Texts end to end, cut into steps of equally many tokens: what a language model learns from holds no padding.

Every row gives its tokens and its end, as the loss of a padded batch counts them: a row of n tokens has n + 1 places,
or n where it was cut off, and the token at a place is predicted from those before it. The permutations of all epochs
are laid end to end and cut evenly, wherever that is. A row that is cut goes on in the next step from its true place,
without what stands before it: of rows much shorter than a step few are.

Shape suffixes:
    N  cases    E  rows of an epoch    P  rows or parts of rows in a step    M  places of a step
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed, epoch_order
from trueweight.data.packed import Packed

__all__ = ["BEGIN", "END", "Packing"]

END, BEGIN = 0, 1
"""Tokens that are no text; those of ``nn.generate``, which a test holds equal."""


@dataclass(frozen=True, slots=True)
class Packing:
    """The texts of one target, ready to be laid end to end.

    Args:
        name: Of the target.
        feed: Whose rows are learnt from; it has no inputs that anybody reads.
    """

    name: str
    feed: Feed

    @property
    def _token(self) -> Packed:
        token = self.feed.targets[self.name]["token"]
        if not isinstance(token, Packed):
            raise TypeError(f"tokens of {self.name!r} must be ragged")
        return token

    def places(self) -> Tensor:
        """Of each row of the feed, (E,) int64: nothing where the text is missing."""
        stored, rows = self.feed.targets[self.name], self.feed.rows
        count_E = self._token.lengths[rows] + _of(stored["whole"])[rows]
        present = stored.get("present")
        return count_E if present is None else count_E * _of(present)[rows]

    def batches(self, tokens: int, seed: int, after: int = 0) -> Iterator[Batch]:
        """Steps without end, from step ``after + 1`` on: a pure function of (seed, step).

        Args:
            tokens: Places of each step, at most those of an epoch.
            seed: Of the run.
            after: Steps already taken.
        """
        count_E = self.places()
        total = int(count_E.sum())
        size = min(tokens, total)
        epoch, start = divmod(after * size, total)
        order_E, end_E = self._epoch(count_E, seed, epoch)
        while True:
            parts = [_parts(order_E, end_E, start, min(start + size, total))]
            start += size
            if start >= total:
                epoch, start = epoch + 1, start - total
                order_E, end_E = self._epoch(count_E, seed, epoch)
                parts += [_parts(order_E, end_E, 0, start)] if start else []
            yield self._batch(*(torch.cat(together) for together in zip(*parts, strict=True)))

    def _epoch(self, count_E: Tensor, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Places in the feed, and where each row ends."""
        order_E = epoch_order(len(count_E), seed, epoch)
        return order_E, count_E[order_E].cumsum(0)

    def _batch(self, part_P: Tensor, from_P: Tensor, count_P: Tensor) -> Batch:
        """Parts of rows, the longest first."""
        order_P = torch.argsort(count_P, descending=True, stable=True)
        row_P, from_P, count_P = self.feed.rows[part_P[order_P]], from_P[order_P], count_P[order_P]
        token, value_M = self._token, self._token.value_MC[:, 0]
        shift_P = from_P - (count_P.cumsum(0) - count_P)
        place_M = torch.arange(int(count_P.sum())) + shift_P.repeat_interleave(count_P)
        start_M = token.start_N1[row_P].repeat_interleave(count_P) + place_M
        ended_M = place_M == token.lengths_of(row_P).repeat_interleave(count_P)
        if not len(value_M):
            value_M = torch.zeros(1, dtype=torch.int64)
        before_M = value_M[(start_M - 1).clamp_min_(0)].long().masked_fill_(place_M == 0, BEGIN)
        after_M = value_M[start_M.clamp_max_(len(value_M) - 1)].long().masked_fill_(ended_M, END)
        target = {"before": before_M, "after": after_M, "place": place_M, "count": count_P}
        weight_N = self.feed.weight_N
        return Batch(row_P, {}, {self.name: target}, None if weight_N is None else weight_N.index_select(0, row_P))


def _of(t: Tensor | Packed) -> Tensor:
    if isinstance(t, Packed):
        raise TypeError("one number a row is not ragged")
    return t.long()


def _parts(order_E: Tensor, end_E: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of an epoch that have places from ``start`` to ``stop``: which, from where in each, and how many."""
    first = int(torch.searchsorted(end_E, start, right=True))
    last = int(torch.searchsorted(end_E, stop)) + 1
    end_P = end_E[first:last]
    begin_P = torch.cat([end_E[first - 1 : first] if first else end_E.new_zeros(1), end_P[:-1]])
    from_P, to_P = begin_P.clamp_min(start), end_P.clamp_max(stop)
    some_P = to_P > from_P  # rows without a place lie between
    return order_E[first:last][some_P], (from_P - begin_P)[some_P], (to_P - from_P)[some_P]
