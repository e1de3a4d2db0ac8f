"""The training loop, as a stream of facts.

``train_steps`` yields what happened and leaves reacting to its caller, so logging, checkpoints and
stopping are ordinary ``for`` bodies rather than loop features. How gradients come about, and what is
then done to them, are arguments.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch, to_device
from trueweight.data.budget import Budget
from trueweight.data.feed import Feed, bucketed, epoch_order
from trueweight.data.packing import Packing
from trueweight.seeds import stream_seed
from trueweight.train.plan import MemberPlan
from trueweight.train.turns import turned

__all__ = [
    "Backward", "GradientRule", "Optimizer", "Step", "Streams", "batches_from", "clip_to", "plain_backward",
    "quiet", "to_device", "train_steps",
]  # fmt: skip

_STRETCH = 256
"""Batches that are cut from an epoch's order at once: cheaper than one by one, and few enough to be held."""

Backward = Callable[[nn.Module, Batch, Generator], Tensor]
"""Leaves the gradients of one batch in ``.grad`` and returns its loss, detached."""

GradientRule = Callable[[Sequence[nn.Parameter]], None]
"""Edits ``.grad`` in place before the step: clipping, freezing, averaging over workers."""


class Optimizer(Protocol):
    """What the loop needs of an optimiser; every ``torch.optim.Optimizer`` has it."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...
    def step(self) -> Any: ...
    def zero_grad(self, set_to_none: bool = True) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any], /) -> None: ...


class Step(NamedTuple):
    """What one optimiser step did. Made at each step, which takes a frozen dataclass four times as long."""

    number: int
    """Counts from 1 over the whole run, not the epoch."""
    rows: int
    loss: Tensor
    """Mean loss per row, a scalar still on its device: reading it waits for the device."""


class Streams:
    """Random numbers of each step, from seed and step alone: resuming needs no stored state.

    Args:
        seed: The member's own seed.
        device: Where the network lives.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self._generators = [torch.default_generator, *_device_generators(device)]

    def at(self, step: int) -> Generator:
        """Seed the default generators for one step, from which modules such as nn.Dropout draw.

        Returns that of the device, for heads: one more of their own would cost as much again at every step, and
        whatever is drawn depends on the seed and the step alone either way.
        """
        seed = stream_seed(self.seed, "step", step)
        for generator in self._generators:
            generator.manual_seed(seed)
        return self._generators[-1]


def _device_generators(device: torch.device) -> list[Generator]:
    if device.type != "cuda":
        return []
    torch.cuda.init()  # type: ignore[no-untyped-call]
    return [torch.cuda.default_generators[device.index or 0]]


def plain_backward(network: nn.Module, batch: Batch, rng: Generator) -> Tensor:
    """Gradients of the mean loss: what training does unless told otherwise."""
    loss: Tensor = network(batch, rng)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def clip_to(max_norm: float) -> GradientRule:
    """A rule that shortens gradients whose L2 norm, over all parameters together, exceeds ``max_norm``.

    Source: Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063, algorithm 1.
    """

    def clip(parameters: Sequence[nn.Parameter]) -> None:
        # The same sums as torch.nn.utils.clip_grad_norm_, without its sorting by device at each step.
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, (max_norm / (norm + 1e-6)).clamp_(max=1.0))

    return clip


def train_steps(
    network: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Batch],
    streams: Streams,
    rate: Callable[[int], Sequence[float]],
    *,
    after: int = 0,
    backward: Backward = plain_backward,
    rules: Sequence[GradientRule] = (),
) -> Iterator[Step]:
    """Take one optimiser step per batch, yielding each as it is issued.

    Nothing happens until the iterator is consumed, and it ends only with ``batches``: its consumer stops it.

    Args:
        network: In training mode, on the batches' device.
        optimizer: Of the network's parameters.
        batches: Batches on the network's device.
        streams: Random streams by step.
        rate: Learning rate of each of the optimiser's groups, by step.
        after: Steps already taken.
        backward: How gradients are obtained.
        rules: What is done to them before the step, in this order.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    for number, batch in enumerate(batches, after + 1):
        for parameter in parameters:
            parameter.grad = None
        loss = backward(network, batch, streams.at(number))
        for rule in rules:
            rule(parameters)
        for group, value in zip(optimizer.param_groups, rate(number), strict=True):
            group["lr"] = value
        optimizer.step()
        yield Step(number, len(batch.rows), loss)


def batches_from(feed: Feed, plan: MemberPlan, seed: int, *, after: int = 0, turning: bool = False) -> Iterator[Batch]:
    """Batches without end, from step ``after + 1`` on: a pure function of (seed, step).

    All batches have the same size, which the plan counts in rows or in tokens; see
    :mod:`~trueweight.data.packing` and :mod:`~trueweight.data.budget` for tokens. Counted in rows, the permutations of
    all epochs are laid end to end and cut evenly, so each row comes once per epoch and a batch may hold the end of one
    and the start of the next. Rows of different lengths are sorted into batches by their length; see
    :func:`~trueweight.data.feed.bucketed`.

    Args:
        feed: Rows to learn from.
        plan: Of the member.
        seed: Of the member.
        after: Steps already taken.
        turning: Whether each row is to know whose turn it is; see :mod:`~trueweight.nn.turns`.
    """
    feed, device = feed.lean(), torch.device(plan.device)
    batches = _batches(feed, plan, seed, after)
    for batch in turned(batches, feed, plan, seed, after) if turning else batches:
        yield batch if device.type == "cpu" else to_device(batch, device)


def _batches(feed: Feed, plan: MemberPlan, seed: int, after: int) -> Iterator[Batch]:
    if plan.packed:
        (name,) = feed.targets  # or the plan is of another run
        return Packing(name, feed).batches(plan.tokens, seed, after)
    if plan.tokens:
        return Budget(feed, plan.tokens).batches(seed, after)
    return map(feed.gather, _rows_of_steps(feed, min(plan.batch_size, len(feed)), seed, after))


def _rows_of_steps(feed: Feed, size: int, seed: int, after: int) -> Iterator[Tensor]:
    """The cases of each step, (size,). What can be done for a whole epoch is not done at each step."""
    count, lengths = len(feed), feed.lengths()

    def cases_of(epoch: int) -> Tensor:
        plain = epoch_order(count, seed, epoch)
        order = plain if lengths is None else bucketed(plain, lengths, size, -epoch * count % size, seed, epoch)
        return feed.rows[order]

    epoch, start = divmod(after * size, count)
    cases = cases_of(epoch)
    while True:
        whole = start + (count - start) // size * size
        for stretch in range(start, whole, size * _STRETCH):
            yield from cases[stretch : min(whole, stretch + size * _STRETCH)].split(size)  # type: ignore[no-untyped-call]
        left, epoch = cases[whole:], epoch + 1
        cases, start = cases_of(epoch), size - len(left) if len(left) else 0
        if len(left):
            yield torch.cat([left, cases[:start]])


@contextmanager
def quiet(device: torch.device) -> Iterator[None]:
    """No pauses of the garbage collector inside; torch's random state is as before afterwards."""
    collecting = gc.isenabled()
    indices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=indices):
        gc.disable()
        try:
            yield
        finally:
            if collecting:
                gc.enable()
