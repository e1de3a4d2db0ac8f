"""Optimisers beside each other within equal processor seconds, on data that may shape our defaults.

    make bench NAME=optimizers DATA=folder/with/data

For each data set and seed the recipe's network is fitted with every candidate, from the same first weights on the same
batches, on one thread. How many steps a candidate may take follows from what its step costs, in processor seconds (not
wall seconds: other work on the machine must not decide), measured for all candidates in turn before. Validation rows
choose the weights as in any run; other rows, a quarter of those taken, are scored. All runs are kept in
``benchmarks/results/optimizers.json``; only data of the calibration list is taken.
"""

import argparse
import copy
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.lists import CALIBRATION
from pyarrow import parquet

from trueweight.api.request import make_request
from trueweight.files import write_atomic
from trueweight.metrics.prediction import ClassPrediction
from trueweight.metrics.registry import metric
from trueweight.spec.run import TrainSpec
from trueweight.train.build import untrained
from trueweight.train.encoded import Encoded, augmentations_of, encode
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import Job, fit_member
from trueweight.train.loop import Streams, batches_from, quiet, train_steps
from trueweight.train.plan import MemberPlan
from trueweight.train.prepare import Prepared, prepare
from trueweight.train.probe import asked_batch
from trueweight.train.selection import run_truths, selection_score
from trueweight.train.stepping import optimizer_for

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "optimizers.json"

Rows = Callable[[Path], pd.DataFrame]


@dataclass(frozen=True)
class Task:
    """One data set with the question asked of it."""

    name: str
    target: str
    rows: Rows
    settings: Sequence[str] = ()
    scores: Sequence[str] = ("accuracy", "log_loss")


def _parquet(path: str) -> Rows:
    return lambda data: parquet.read_table(data / path).to_pandas()


def _digits(_: Path) -> pd.DataFrame:
    from sklearn.datasets import load_digits

    found = load_digits(as_frame=True)
    return found.frame.astype({"target": str})


TASKS = {
    task.name: task
    for task in (
        Task("cifar10", "label", _parquet("cifar10/train.parquet")),
        Task("emoji", "category", _parquet("emoji/emoji.parquet"), ("features.name=ignore",)),
        Task("digits", "target", _digits, ("targets.target=category",)),
        Task("bikes", "count", lambda data: pd.read_csv(data / "tables" / "bikes.csv"), scores=("rmse",)),
        Task("german-credit", "class", lambda data: pd.read_csv(data / "tables" / "german-credit.csv")),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """A prepared run, with its network's member."""

    ready: Prepared
    encoded: Encoded

    @classmethod
    def of(cls, task: Task, data: Path, rows: int | None, seed: int, settings: Sequence[str]) -> "Bench":
        frame = task.rows(data)
        if rows is not None and rows < len(frame):
            frame = frame.sample(rows, random_state=seed)
        asked = [*task.settings, "split.test=0.25", f"seed={seed}", "model.preset=standard", *settings]
        request = make_request(frame.reset_index(drop=True), task.target, None, {}, asked, None)
        ready = prepare(request.table, request.spec)
        return cls(ready, encode(ready, keep=False))

    def job(self, train: Mapping[str, Any]) -> Job:
        """The network's, with its first weights."""
        ready, encoded = self.ready, self.encoded
        member = next(m for m in ready.spec.model.members or [] if m.fitter.type == "gradient")
        leaf = untrained(ready, encoded.fields, member)
        validation = leaf.reading(encoded.feed(ready.split.validation))
        rows = ready.split.validation
        truths = {n: t.take(rows) for n, t in run_truths(ready.signature, ready.table, ready.weight_N).items()}
        spec = TrainSpec.model_validate(ready.spec.train.model_dump(by_alias=True) | dict(train))

        def score(network: Any) -> float:
            answers = replace(leaf, network=network).predict_feed(validation)
            return selection_score(ready.spec, ready.signature, answers, truths)

        return Job(
            name=member.name, network=leaf.network, validation=validation, spec=spec, seed=ready.spec.seed, score=score,
            train=leaf.reading(encoded.feed(ready.split.train), augmentations_of(ready, encoded.fields)),
        )  # fmt: skip

    def judged(self, job: Job, scores: Sequence[str]) -> dict[str, float]:
        """Scores of the job's network on the rows that neither trained nor chose."""
        ready = self.ready
        member = next(m for m in ready.spec.model.members or [] if m.fitter.type == "gradient")
        leaf = replace(untrained(ready, self.encoded.fields, member), network=job.network)
        (truth,) = run_truths(ready.signature, ready.table, ready.weight_N).values()
        split = ready.split
        chosen, tested = (
            next(iter(leaf.predict_feed(leaf.reading(self.encoded.feed(rows))).values()))
            for rows in (split.validation, split.test)
        )
        found = {score: metric(score).compute(tested, truth.take(split.test)) for score in scores}
        if isinstance(chosen, ClassPrediction):
            heat = min(HEATS, key=lambda t: metric("log_loss").compute(_at(chosen, t), truth.take(split.validation)))
            found["tempered"] = metric("log_loss").compute(_at(tested, heat), truth.take(split.test))
        return found


HEATS = np.geomspace(0.4, 3.0, 40)
"""Temperatures of which validation rows choose one, as in any run: ``tempered`` is the log loss after that."""


def _at(answer: Any, heat: float) -> ClassPrediction:
    z_NC = np.log(np.maximum(answer.probability_NC, 1e-12)) / heat
    p_NC = np.exp(z_NC - z_NC.max(1, keepdims=True))
    return ClassPrediction(p_NC / p_NC.sum(1, keepdims=True), answer.classes)


def step_seconds(jobs: Sequence[Job], plans: Sequence[MemberPlan], rounds: int) -> list[float]:
    """Processor seconds of a step of each job: in turn, a few steps at a time; the least is what a step needs."""
    times: list[list[float]] = [[] for _ in jobs]
    for number in range(rounds):
        for place, (job, plan) in enumerate(zip(jobs, plans, strict=True)):
            network = copy.deepcopy(job.network).train()
            optimizer = optimizer_for(job.spec, network, plan, job.train)
            peaks = [group["lr"] for group in optimizer.param_groups]
            batches = batches_from(job.train, plan, job.member_seed)
            with quiet(torch.device("cpu")):
                streams = Streams(job.member_seed, torch.device("cpu"))
                steps = train_steps(network, optimizer, batches, streams, lambda _, p=peaks: p)
                next(steps)
                start = time.process_time()
                for _ in range(4):
                    next(steps)
                if number:
                    times[place].append((time.process_time() - start) / 4)
    return [min(found) for found in times]


def measure(
    task: Task, data: Path, rows: int | None, seconds: float, seed: int, candidates: Sequence[Mapping[str, Any]],
    settings: Sequence[str],
) -> list[dict[str, Any]]:  # fmt: skip
    """All candidates on one cut of the data."""
    bench = Bench.of(task, data, rows, seed, settings)
    batches = [candidate.get("batch_size") for candidate in candidates]
    jobs = [bench.job({k: v for k, v in c.items() if k != "name"}) for c in candidates]
    sizes = [size or asked_batch(job.spec, len(job.train)) for size, job in zip(batches, jobs, strict=True)]
    drafts = [
        MemberPlan(name=job.name, steps=1000, batch_size=size, epochs=1, validate_every=1, checkpoint_every=10**6)
        for size, job in zip(sizes, jobs, strict=True)
    ]
    costs = step_seconds(jobs, drafts, rounds=4)
    found = []
    for candidate, job, draft, cost in zip(candidates, jobs, drafts, costs, strict=True):
        steps = max(20, int(seconds / cost))
        every = max(1, steps // 20)
        plan = replace(draft, steps=steps, validate_every=every, epochs=steps * draft.batch_size / len(job.train))
        start = time.process_time()
        result = fit_member(replace(job, plan=plan), GradientFitter())
        spent = time.process_time() - start
        scores = bench.judged(job, task.scores)
        found.append({
            "task": task.name, "rows": rows, "seconds": seconds, "seed": seed, "candidate": dict(candidate),
            "settings": list(settings), "batch": draft.batch_size, "steps": steps, "epochs": round(plan.epochs, 2),
            "milliseconds_per_step": round(1000 * cost, 3), "spent": round(spent, 1), "averaged": result.averaged,
            "validation": round(result.best_score, 5), "best_step": result.best_step,
            "muon": len(result.facts["optimizer"].get("muon", ())), "scores": scores,
            "date": datetime.now(UTC).date().isoformat(), "torch": torch.__version__,
        })  # fmt: skip
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure what is asked for, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--task", choices=list(TASKS), default="cifar10")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], help="a setting of the spec, as for trueweight train")
    parser.add_argument("--train", action="append", default=[], help="a candidate: JSON of what differs in train")
    chosen = parser.parse_args()
    if chosen.data is None:
        sys.exit("say where the data sets are: make bench NAME=optimizers DATA=folder")
    assert chosen.task in CALIBRATION
    torch.set_num_threads(1)
    candidates = [json.loads(text) for text in chosen.train] or [{}, {"optimizer": {"type": "muon"}}]
    kept: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for seed in chosen.seeds:
        new = measure(TASKS[chosen.task], chosen.data, chosen.rows, chosen.seconds, seed, candidates, chosen.set)
        kept = (json.loads(RESULTS.read_text()) if RESULTS.exists() else []) + new
        write_atomic(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
    print(_table(kept))


def _table(kept: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds."""
    frame = pd.DataFrame([
        {"task": k["task"], "rows": k["rows"], "seconds": k["seconds"], "set": " ".join(k["settings"]),
         "candidate": json.dumps(k["candidate"]), "seed": k["seed"], "steps": k["steps"], **k["scores"]}
        for k in kept
    ])  # fmt: skip
    keys = ["task", "rows", "seconds", "set", "candidate"]
    with pd.option_context("display.max_colwidth", 120, "display.width", 250):
        return str(frame.groupby(keys, dropna=False).agg(np.mean))


if __name__ == "__main__":
    main()
