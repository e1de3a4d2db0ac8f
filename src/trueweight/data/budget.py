"""Rows of like length together, as many to a batch as a budget of tokens allows: few long ones or many short ones.

Where an epoch is cut depends on the lengths alone, so that every epoch has as many batches and any step can be found
without those before it. Which rows of about one length meet, and when a batch comes, the run's seed decides for each
epoch. Sources: Vaswani et al. 2017, arXiv:1706.03762, section 5.1 (sentences batched together by approximate length,
each batch of about so many tokens); Ott et al. 2018, arXiv:1806.00187, for shuffling batches rather than rows.

Shape suffixes:
    E  rows of an epoch    K  batches of an epoch
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed, epoch_order
from trueweight.seeds import stream

__all__ = ["Budget"]

SLACK = 32
"""Rows change places with others up to a token and one part in so many longer: without it, in small tables the same
rows would meet in every epoch."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How the rows of a feed are cut into batches.

    Args:
        feed: With rows of different lengths; all that is ragged counts, on both sides.
        tokens: Of a batch, padding included, at most; a longer row is a batch of its own.
    """

    feed: Feed
    tokens: int

    def starts(self) -> Tensor:
        """Where batches begin among the rows of an epoch, the longest first, (K + 1,) int64 with the end behind."""
        most = _most(self._lengths()).sort(descending=True).values.tolist()
        starts = [0]
        while starts[-1] < len(most):
            starts.append(starts[-1] + max(1, int(self.tokens / most[starts[-1]])))
        return torch.tensor([*starts[:-1], len(most)])

    def batches(self, seed: int, after: int = 0) -> Iterator[Batch]:
        """Batches without end, from step ``after + 1`` on: a pure function of (seed, step).

        A batch counts for as many rows as it has: losses are means over rows, and a mean over few long rows would weigh
        each of them more than one over many short ones.

        Args:
            seed: Of the run.
            after: Steps already taken.
        """
        lengths_E, starts = self._lengths(), self.starts()
        count = len(starts) - 1
        epoch, place = divmod(after, count)
        while True:
            order_E = self._order(lengths_E, seed, epoch)
            turns = stream(seed, "budget", epoch).permutation(count)[place:].tolist()
            for turn in turns:
                rows = order_E[starts[turn] : starts[turn + 1]]
                share = torch.tensor(len(rows) * count / len(order_E))
                yield replace(self.feed.gather(rows), share=share)
            epoch, place = epoch + 1, 0

    def _order(self, lengths_E: Tensor, seed: int, epoch: int) -> Tensor:
        """The cases of an epoch, those of about one length in random order."""
        order_E = epoch_order(len(lengths_E), seed, epoch)
        moved_E = torch.from_numpy(stream(seed, "budget slack", epoch).random(len(lengths_E)))
        length_E = lengths_E[order_E]
        key_E = length_E + moved_E * (_most(length_E) - length_E)
        return self.feed.rows[order_E[torch.argsort(key_E, descending=True, stable=True)]]

    def _lengths(self) -> Tensor:
        # Of what has one length for all rows a training feed tells none; see ``Feed.lean``.
        lengths_E = self.feed.lean().lengths()
        return torch.ones(len(self.feed), dtype=torch.int64) if lengths_E is None else lengths_E


def _most(length_E: Tensor) -> Tensor:
    """How long a row may be for which one of this length may stand."""
    return length_E * (1 + 1 / SLACK) + 1
