"""Takes one real training step of a large transformer in a process of its own, and prints what memory it needed.

python real_step.py predict|measure|whole OPTIONS-AS-JSON
"""

import json
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from trueweight.data.column import Sense
from trueweight.data.feed import Feed
from trueweight.data.field import Layout
from trueweight.data.packed import Packed
from trueweight.model.network import Network
from trueweight.nn.concat import Concat
from trueweight.registry import registry
from trueweight.spec.run import TrainSpec
from trueweight.train.accumulate import backward_in
from trueweight.train.descent import Descent
from trueweight.train.job import Job
from trueweight.train.memory import needed
from trueweight.train.plan import MemberPlan
from trueweight.train.stepping import Stepping
from trueweight.train.watch import Stopwatch

ROWS, STEPS = 64, 128


def job_of(options: dict[str, Any]) -> Job:
    """Texts of 128 tokens of a vocabulary of ten, or as many as asked for, and a class of two."""
    torch.manual_seed(0)
    vocabulary = options.get("vocabulary", 10)
    layout = Layout({"token": 1}, senses={"token": Sense(ragged=True, vocabulary=vocabulary, length=STEPS)})
    encoder: nn.Module = registry("encoder")["transformer"].model_validate(options["encoder"]).build(layout)
    head = registry("head")["binary"]().build(encoder.form, {"classes": ["a", "b"], "counts": [32, 32]})
    token = Packed(torch.randint(1, vocabulary, (ROWS * STEPS, 1)).int(), torch.arange(ROWS + 1) * STEPS)
    target = {"index": torch.randint(0, 2, (ROWS,)), "present": torch.ones(ROWS, dtype=torch.bool)}
    feed = Feed(torch.arange(ROWS), {"text": {"token": token}}, {"y": target})
    spec = TrainSpec.model_validate({"optimizer": "adamw", "budget": {"steps": 2}, **options["train"]})
    return Job(
        name="large", network=Network({"text": encoder}, Concat({"text": encoder.form}), {"y": head}), train=feed,
        validation=feed, spec=spec, seed=0, score=lambda _: 0.0, backward=backward_in(spec.accumulate),
    )  # fmt: skip


def memory_now(key: str) -> int:
    """A number of ``/proc/self/status``, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def step(options: dict[str, Any]) -> None:
    """All that is in memory while a member descends, and one step."""
    descent = descent_of(options, None)
    descent.best = descent.state.weights()
    descent.job.network.train()
    next(descent._steps())


def whole(options: dict[str, Any]) -> None:
    """Two steps, each with a look at the validation rows that finds better weights, and a checkpoint."""
    scores = count(0.0, -1.0)
    with TemporaryDirectory() as folder:
        descent = descent_of(options, Path(folder), score=lambda _: next(scores))
        for _ in descent.run():
            pass
        descent.finish("finished")


def descent_of(options: dict[str, Any], folder: Path | None, **changes: Any) -> Descent:
    """A fit of two steps that is about to begin."""
    job = replace(job_of(options), folder=folder, **changes)
    size = options["train"]["batch_size"]
    plan = MemberPlan(name="large", steps=2, batch_size=size, epochs=1.0, validate_every=1, checkpoint_every=1)
    return Descent(job, plan, Stopwatch(), Stepping(job.network, job.backward))


def main() -> None:
    """See the head of the file."""
    options = json.loads(sys.argv[2])
    if sys.argv[1] == "predict":
        job = job_of(options)
        weights = sum(p.numel() for p in job.network.parameters())
        found = needed(job, options["train"]["batch_size"])
        sys.stdout.write(f"{weights} {found.total} {found.whole}")
        return
    again = options["encoder"].get("checkpointing", False)
    small = {"type": "transformer", "width": 32, "layers": 1, "checkpointing": again}
    step({"encoder": small, "train": options["train"]})  # what torch loads for a first step is nobody's model
    before = memory_now("VmRSS")
    {"measure": step, "whole": whole}[sys.argv[1]](options)
    sys.stdout.write(str(memory_now("VmHWM") - before))


if __name__ == "__main__":
    main()
