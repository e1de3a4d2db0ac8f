"""What steps are filled with where texts are learnt to be written: tokens are counted, not rows."""

from dataclasses import dataclass

from trueweight.data.budget import Budget
from trueweight.data.feed import Feed
from trueweight.data.packing import Packing
from trueweight.errors import TrainError
from trueweight.model.network import Network
from trueweight.nn.texts import Texts
from trueweight.train.job import Job
from trueweight.train.plan import MemberPlan

__all__ = ["Filling", "filling", "reads_tokens", "refuse_foreign", "steps_of_epoch", "writes_from_tokens"]


@dataclass(frozen=True, slots=True)
class Filling:
    """The part of a plan that says what a step holds, beside its rows."""

    tokens: int = 0
    packed: bool = False


def filling(job: Job, size: int) -> Filling:
    """Tokens of each step, so many that steps have ``size`` rows on average.

    Rows of a language model whose decoder can lie end to end do; also where a number of rows was asked for, which then
    is the average. Other rows that are written from tokens are cut by a budget, unless a number was asked for.
    """
    if _packs(job):
        places = Packing(next(iter(job.train.targets)), job.train).places()
        total = int(places.sum())
        return Filling(min(total, max(1, round(size * total / len(places)))), packed=True) if total else Filling()
    lengths = job.train.lean().lengths()
    if lengths is None or job.spec.batch_size != "auto" or not writes_from_tokens(job.train):
        return Filling()
    tokens = max(1, round(size * float(lengths.double().mean())))
    for _ in range(2):  # batches are never quite full, and would have too few rows
        batches = len(Budget(job.train, tokens).starts()) - 1
        tokens = max(tokens, round(tokens * batches * size / len(job.train)))
    return Filling(tokens)


def refuse_foreign(job: Job, plan: MemberPlan) -> None:
    """Hold a plan that somebody gave against the job.

    Raises:
        TrainError: It lays rows end to end, and the model cannot read them so.
    """
    if plan.packed and not _packs(job):
        problem = f"the plan of {plan.name} lays rows end to end, which only a language model of attention reads"
        raise TrainError(problem, where="plan.members", hint="give a plan of this very spec")


def writes_from_tokens(feed: Feed) -> bool:
    """Whether texts are written, and what is read before is tokens at most: steps of sounds and pixels of pictures cost
    more than tokens do."""
    writes = any({"token", "whole"} <= stored.keys() for stored in feed.targets.values())
    return writes and not any({"frame", "pixel"} & stored.keys() for stored in feed.inputs.values())


def reads_tokens(feed: Feed) -> bool:
    """Whether any column is read as tokens."""
    return any("token" in stored for stored in feed.inputs.values())


def _packs(job: Job) -> bool:
    network = job.network
    if not isinstance(network, Network) or network.fields or len(network.targets) != 1:
        return False
    head = network.head(network.targets[0])
    return isinstance(head, Texts) and head.packs


def steps_of_epoch(feed: Feed, plan: MemberPlan) -> float:
    """Steps in which each row comes once."""
    if plan.packed:
        (name,) = feed.targets
        return float(Packing(name, feed).places().sum()) / plan.tokens
    if plan.tokens:
        return float(len(Budget(feed, plan.tokens).starts()) - 1)
    return len(feed) / plan.batch_size
