"""Run by test_kill.py: fits a toy member in forks that are killed with SIGKILL, until one gets through.

    kill_me.py FOLDER BUDGET KILLS      BUDGET: "steps=300" or "seconds=1.5"; KILLS: "step:40 after:0.2 …"

Prints, as JSON, the digest of the final weights and how many forks were killed. ``step:N`` kills in the middle
of step N (before the optimiser has moved), ``after:S`` from outside after S seconds, wherever that is.
"""

import hashlib
import json
import os
import signal
import sys
import time
from itertools import count
from pathlib import Path

import torch
from torch import nn

from trueweight.data.feed import Feed
from trueweight.spec.run import TrainSpec
from trueweight.train import probe
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import Job, fit_member
from trueweight.train.loop import plain_backward
from trueweight.train.plan import Plan, record_member
from trueweight.train.state import weights_of


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(3, 16), nn.Unflatten(1, (4, 2, 2)), nn.Conv2d(4, 4, 2, padding=1, bias=False), nn.BatchNorm2d(4),
            nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(36, 1),
        )  # fmt: skip

    def forward(self, batch, rng):
        y = batch.targets["y"]["value"]
        answer = self.body(batch.inputs["x"]["x"]).float()
        return (answer - y + 0.1 * torch.randn(y.shape, generator=rng)).square().mean()


def feed(rows, seed):
    x = torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))
    return Feed(torch.arange(rows), {"x": {"x": x}}, {"y": {"value": x.prod(1, keepdim=True)}})


def fit(folder: Path, budget: str, kill_at: int | None) -> None:
    torch.manual_seed(1)
    network, train, validation = Network(), feed(300, 1), feed(80, 2)
    kind, amount = budget.split("=")
    limits = {"steps": int(amount)} if kind == "steps" else {"time": float(amount)}
    path = folder / "plan.json"

    def backward(network, batch, rng):
        if next(number) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain_backward(network, batch, rng)

    def score(network):
        batch = validation.batch(torch.arange(80))
        return float((network.body(batch.inputs["x"]["x"]) - batch.targets["y"]["value"]).square().mean())

    known = Plan.read(path).member("toy") if path.exists() else None
    number = count(1)
    job = Job(
        name="toy", network=network, train=train, validation=validation, seed=7, score=score, folder=folder, plan=known,
        spec=TrainSpec.model_validate({"optimizer": "adamw", "budget": limits, "max_grad_norm": 1.0}),
        on_plan=lambda member: record_member(path, member), backward=backward,
    )  # fmt: skip
    result = fit_member(job, GradientFitter())
    total = hashlib.sha256()
    for name, tensor in sorted(weights_of(network).items()):
        total.update(name.encode() + tensor.numpy().tobytes())
    history = json.dumps([(look.step, look.score, look.averaged) for look in result.history])
    answer = {"weights": total.hexdigest(), "steps": result.steps, "history": history}
    (folder / "answer.json").write_text(json.dumps(answer))


def main() -> None:
    folder, budget, kills = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split()
    probe.CHECKPOINT_SECONDS = 0.02
    torch.set_num_threads(1)  # before any fork: a pool of threads would not survive one
    killed = 0
    for kill in [*kills, "never:0"]:
        kind, amount = kill.split(":")
        if (child := os.fork()) == 0:
            fit(folder, budget, int(amount) if kind == "step" else None)
            os._exit(0)
        if kind == "after":
            time.sleep(float(amount))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
    sys.stdout.write(json.dumps({**json.loads((folder / "answer.json").read_text()), "killed": killed}))


if __name__ == "__main__":
    main()
