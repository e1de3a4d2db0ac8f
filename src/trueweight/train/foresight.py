"""Work on rows that need not be done again at each step."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from trueweight.data.feed import Feed, Stored
from trueweight.model.network import Network
from trueweight.nn.encoding import Ahead, ahead_of
from trueweight.train.plan import MemberPlan

__all__ = ["foreseen"]

MOST = 2**23
"""Numbers of one array that are held a second time: 32 MiB, little beside the rest of a process, and done in less than
a tenth of a second."""


def foreseen(network: nn.Module, feed: Feed, plan: MemberPlan) -> Feed:
    """The same rows, with that done to their arrays which the network's encoders do before any weight comes in; batches
    of it give the same losses, bit for bit. On a small network clipping and standardising at each step is a tenth of
    it.

    The feed itself where nothing is gained: most rows will not be seen, or are too many to be held twice. Not on other
    devices than the CPU, where the last digit of such work may be another.

    Args:
        network: What will be trained.
        feed: Its training rows.
        plan: How.
    """
    if not isinstance(network, Network) or plan.device != "cpu":
        return feed
    feed, seen = feed.lean(), plan.steps * plan.batch_size
    known = network.ahead()
    inputs = {field: _done(tensors, known.get(field, {}), seen) for field, tensors in feed.inputs.items()}
    return replace(feed, inputs=inputs)


def _done(tensors: Stored, known: Mapping[str, Ahead], seen: int) -> Stored:
    found = dict(tensors)
    for name, work in known.items():
        t = tensors.get(name)
        if isinstance(t, Tensor) and len(t) <= seen and t.numel() <= MOST:
            del found[name]
            found[ahead_of(name)] = work(t)
    return found
