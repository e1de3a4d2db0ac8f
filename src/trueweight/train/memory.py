"""How much memory fitting a network needs, found out on a few rows before it is fitted.

A whole step is taken, forward and backward, on a copy of the network and a few rows, once and then on twice as many.
After each operation the bytes of all tensors alive are noted. Both courses have the same operations, and what each
holds grows evenly with the rows: so the course of a real batch is known at each point, and its peak.
"""

import copy
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed
from trueweight.data.packed import Packed
from trueweight.train.job import Job, OptimizerPart
from trueweight.train.loop import Streams, quiet
from trueweight.train.watching import Watching

__all__ = ["Memory", "needed"]

FEW = 4
"""Rows to try on, and then twice as many."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes at the peak of a training step, by what they hold."""

    weights: int
    gradients: int
    optimizer: int
    """What it remembers."""
    copies: int
    """The running average, the best weights so far, and all of it as it was when last all was well."""
    activations: int
    """What the forward pass keeps for the backward pass, and what that makes of it."""
    rows: int
    """Training rows, and the batch. Rows in mapped files are counted too, though they give way when memory is short."""
    between: int
    """Between steps, when gradients and activations have gone: for a look at the validation rows the weights are put
    aside for their average, and the better ones are kept before those that were best are let go."""

    @property
    def total(self) -> int:
        """All together, at the peak of a step."""
        return self._steady + self.gradients + self.activations

    @property
    def whole(self) -> int:
        """Of a whole fit: whatever is more, a step or what happens between steps. Checkpoints add nothing: they are
        written from where the tensors are."""
        return max(self.total, self._steady + self.between)

    @property
    def _steady(self) -> int:
        return self.weights + self.optimizer + self.copies + self.rows


def needed(job: Job, batch_size: int, *, rows: int | None = None) -> Memory:
    """What fitting will need at most.

    Args:
        job: Its network is not changed.
        batch_size: Rows per step. Where they are cut into pieces (``train.accumulate``), one piece is alive at a time.
        rows: Of the training part, where the job holds a sample of it; None: it holds all.
    """
    trained = sum(p.nbytes for p in job.network.parameters() if p.requires_grad)
    weights = sum(t.nbytes for t in chain(job.network.parameters(), job.network.buffers()))
    memory = cast(OptimizerPart, job.spec.optimizer).states_per_weight * trained
    # From the second piece on, gradients are there from the start, not only when activations have gone.
    later = job.spec.accumulate > 1
    peak, batch = _peak(job, -(-batch_size // job.spec.accumulate), later=later)
    peak += trained if later else 0
    # Average; best; of the snapshot weights, average and the optimiser's memory.
    copies = trained + weights + (weights + trained + memory)
    stored = _feed_bytes(job.train) * (rows or len(job.train)) // len(job.train)
    rows_held = stored + batch * batch_size
    return Memory(weights, trained, memory, copies, max(0, peak - trained), rows_held, between=trained + weights)


def _peak(job: Job, rows: int, *, later: bool = False) -> tuple[int, int]:
    """(bytes alive at most, of what a step of so many rows makes; bytes of a row in a batch)."""
    network = copy.deepcopy(job.network).cpu().train()
    index = _longest(job.train)
    few = len(index)
    once, twice = job.train.batch(index), job.train.batch(index.repeat(2))
    streams = Streams(job.member_seed, torch.device("cpu"))
    _course(network, once, streams)  # the first time ever, torch keeps a few things
    one, two = (_course(network, batch, streams, later=later) for batch in (once, twice))
    row = _batch_bytes(once) // few
    if len(one) != len(two):  # it depends on the values what is done with them
        return max(two) * rows // (2 * few), row
    return max(a + (b - a) * (rows - few) // few for a, b in zip(one, two, strict=True)), row


def _longest(feed: Feed) -> Tensor:
    """Positions of a few rows: the longest, for batches hold rows of about one length."""
    lengths, few = feed.lengths(), min(FEW, len(feed))
    return torch.arange(few) if lengths is None else torch.argsort(lengths, descending=True, stable=True)[:few]


def _course(network: nn.Module, batch: Batch, streams: Streams, *, later: bool = False) -> list[int]:
    """Bytes alive after each operation of one step: gradients are among them, unless they were there before."""
    for p in network.parameters():
        p.grad = torch.zeros_like(p) if later and p.requires_grad else None
    gradients = [p.grad for p in network.parameters()]
    known = [*network.parameters(), *network.buffers(), *tree_leaves(batch), *gradients]
    alive = _Alive(known)
    with quiet(torch.device("cpu")):
        rng = streams.at(1)
        with alive:
            network(batch, rng).backward()
    return alive.course or [0]


class _Alive(Watching):  # type: ignore[no-untyped-call]  # torch says no types here
    """Notes the bytes of all tensors made inside that still live, after each operation.

    Args:
        known: Tensors whose memory was there before.
    """

    def __init__(self, known: Sequence[Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes, self.course = 0, list[int]()
        self._known = [t.untyped_storage() for t in known if isinstance(t, Tensor)]  # held, so that no address returns
        self._seen = {storage._cdata for storage in self._known}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do it, and note."""
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        self.course.append(self.bytes)
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self._seen:
            return
        self._seen.add(storage._cdata)
        self.bytes += storage.nbytes()
        weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes()).atexit = False

    def _forget(self, address: int, size: int) -> None:
        self._seen.discard(address)
        self.bytes -= size


def _batch_bytes(batch: Batch) -> int:
    return sum(t.nbytes for t in tree_leaves(batch) if isinstance(t, Tensor))


def _feed_bytes(feed: Feed) -> int:
    groups = [*feed.inputs.values(), *feed.targets.values()]
    tensors = [t.value_MC if isinstance(t, Packed) else t for group in groups for t in group.values()]
    return sum(t.nbytes for t in tensors)
