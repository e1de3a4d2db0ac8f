"""A toy member: a small network with dropout, batch norm and noise in its loss, and rows that it can learn."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed
from trueweight.spec.run import TrainSpec
from trueweight.train.job import Job
from trueweight.train.plan import MemberPlan
from trueweight.train.state import weights_of


class ToyNetwork(nn.Module):
    """Everything that could break exact resuming: buffers, the default generator, the explicit generator."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout))
        self.heads = nn.ModuleDict({"y": nn.Linear(16, 1)})

    def answer(self, batch: Batch) -> Tensor:
        return self.heads["y"](self.body(batch.inputs["table"]["number"]))

    def forward(self, batch: Batch, rng: Generator) -> Tensor:
        y = batch.targets["y"]["value"]
        noise = 0.01 * torch.randn(y.shape, generator=rng, device=y.device)
        return (self.answer(batch) - y - noise).square().mean()


def toy_feed(rows: int, seed: int) -> Feed:
    rng = Generator().manual_seed(seed)
    x = torch.randn(rows, 3, generator=rng)
    y = x[:, :1] * x[:, 1:2] + 0.1 * torch.randn(rows, 1, generator=rng)
    present = torch.ones(rows, dtype=torch.bool)
    return Feed(torch.arange(rows), {"table": {"number": x}}, {"y": {"value": y, "present": present}})


def toy_score(feed: Feed) -> Callable[[nn.Module], float]:
    def score(network: nn.Module) -> float:
        batch = feed.batch(torch.arange(len(feed)))
        return float((network.answer(batch) - batch.targets["y"]["value"]).square().mean())

    return score


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """A job on toy data; ``train`` are fields of TrainSpec, ``plan`` a MemberPlan or fields of one."""

    def make(*, train: dict[str, Any] | None = None, plan: Any = None, **fields: Any) -> Job:
        torch.manual_seed(5)
        rows, validation = toy_feed(200, 1), toy_feed(60, 2)
        spec = {"optimizer": {"type": "adamw", "learning_rate": 0.01}, "budget": {"steps": 60}, **(train or {})}
        base = {"name": "toy", "steps": 60, "batch_size": 32, "epochs": 9.6, "validate_every": 7, "checkpoint_every": 9}
        fixed = plan
        if isinstance(plan, dict):
            fixed = MemberPlan(**{**base, "threads": torch.get_num_threads(), **plan})
        given = {
            "name": "toy", "network": ToyNetwork(), "train": rows, "validation": validation, "seed": 3,
            "spec": TrainSpec.model_validate(spec), "score": toy_score(validation), "plan": fixed,
        }  # fmt: skip
        return Job(**{**given, **fields})

    return make


class Sleepy(ToyNetwork):
    """Slow unless it computes in half precision, where its loss may be wrong, or there may be no kernel."""

    def __init__(self, wrong: float = 0.0, *, fails: bool = False) -> None:
        super().__init__(dropout=0.0)
        self.wrong, self.fails = wrong, fails

    def forward(self, batch: Batch, rng: Generator) -> Tensor:
        half = torch.is_autocast_enabled("cpu")
        if half and self.fails:
            raise RuntimeError("no kernel for half\nand a long story")
        if not half:
            time.sleep(0.02)
        loss = super().forward(batch, rng)
        return loss * (1 + self.wrong) if half else loss


@pytest.fixture
def sleepy() -> type[Sleepy]:
    """A network that is 20 ms a step slower in float32 than in half precision."""
    return Sleepy


@pytest.fixture
def digest() -> Callable[[nn.Module], str]:
    """A network's weights, to the last bit."""

    def of(network: nn.Module) -> str:
        total = hashlib.sha256()
        for name, tensor in sorted(weights_of(network).items()):
            total.update(name.encode() + tensor.numpy().tobytes())
        return total.hexdigest()

    return of
