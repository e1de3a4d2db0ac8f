"""How much the training loop costs beside a loop written by hand for the same step.

Prints microseconds per step of both, on a tiny network where overhead shows most. Run on an idle machine:

    make bench NAME=loop_overhead ARGS=2000     # steps
"""

import gc
import sys
from time import perf_counter

import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed
from trueweight.spec.run import TrainSpec
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import Job, fit_member
from trueweight.train.plan import MemberPlan

ROWS, FEATURES, WIDTH, BATCH = 4096, 16, 64, 128


class Tiny(nn.Module):
    """A small MLP with a mean squared error."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(FEATURES, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
        self.heads = nn.ModuleDict({"y": nn.Linear(WIDTH, 1)})

    def forward(self, batch: Batch, rng: Generator) -> Tensor:  # noqa: ARG002  # this loss draws nothing
        answer = self.heads["y"](self.body(batch.inputs["table"]["number"]))
        return (answer - batch.targets["y"]["value"]).square().mean()


def rows() -> Feed:
    x = torch.randn(ROWS, FEATURES)
    present = torch.ones(ROWS, dtype=torch.bool)
    return Feed(
        torch.arange(ROWS), {"table": {"number": x}}, {"y": {"value": x.sum(1, keepdim=True), "present": present}}
    )


def by_hand(network: Tiny, feed: Feed, steps: int) -> None:
    """The same batches, loss, clipping and optimiser, as a researcher would write them."""
    matrices, others = [p for p in network.parameters() if p.ndim > 1], [p for p in network.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (steps + 1))
    rng, parameters, taken = Generator(), list(network.parameters()), 0
    while taken < steps:
        order = torch.randperm(len(feed))
        for index in order.split(BATCH):
            optimizer.zero_grad()
            loss = network(feed.batch(index), rng)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            taken += 1
            if taken == steps:
                return


def by_us(network: Tiny, feed: Feed, steps: int) -> None:
    """The real fitter, with one look at the end."""
    plan = MemberPlan(
        name="tiny", steps=steps, batch_size=BATCH, epochs=1.0, validate_every=steps, checkpoint_every=steps
    )
    spec = TrainSpec(optimizer={"type": "adamw", "learning_rate": 1e-3}, max_grad_norm=1.0)
    job = Job(
        name="tiny", network=network, train=feed, validation=feed, spec=spec, seed=0, score=lambda _: 0.0, plan=plan
    )
    fit_member(job, GradientFitter())


def measured(steps: int) -> tuple[float, float]:
    """Microseconds of a step by hand and of ours; prints both."""
    torch.set_num_threads(1)
    feed = rows()
    times: dict[str, list[float]] = {"by hand": [], "trueweight": []}
    for _ in range(7):
        for name, fit in (("by hand", by_hand), ("trueweight", by_us)):
            gc.collect()
            start = perf_counter()
            fit(Tiny(), feed, steps)
            times[name].append((perf_counter() - start) / steps * 1e6)
    hand, ours = min(times["by hand"]), min(times["trueweight"])  # the least disturbed of seven
    sys.stdout.write(
        f"by hand {hand:.0f} us, trueweight {ours:.0f} us per step: {ours - hand:+.0f} us, ratio {hand / ours:.2f}\n"
    )
    return hand, ours


if __name__ == "__main__":
    measured(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
