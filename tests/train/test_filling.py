"""What steps hold where texts are written: a plan of tokens, which is kept, told and followed again."""

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Generator

import trueweight
from trueweight.errors import TrainError
from trueweight.train.accumulate import backward_in
from trueweight.train.filling import filling, steps_of_epoch, writes_from_tokens
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import Job, fit_member
from trueweight.train.loop import batches_from, plain_backward
from trueweight.train.plan import MemberPlan

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def table(rows: int = 160) -> pa.Table:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, n)) for n in rng.integers(1, 30, rows)]
    return pa.table({"read": texts, "text": [" ".join(reversed(text.split())) for text in texts]})


def spec(**more: Any) -> dict[str, Any]:
    decoder = {"type": "transformer", "width": 16, "layers": 1, "heads": 2}
    return {
        "name": "said", "other_features": "ignore", "targets": {"text": {"type": "text", "decoder": decoder}},
        "evaluate": {"checks": [], "baselines": []}, "train": {"budget": {"steps": 6}}, **more,
    }  # fmt: skip


PAIRS = {"features": {"read": {"type": "text", "encoder": {"type": "transformer", "width": 16, "layers": 1}}}}
LSTM = {"targets": {"text": {"type": "text", "decoder": {"type": "lstm", "width": 16}}}}


def job_of(**more: Any) -> Job:
    from trueweight.api.request import make_request
    from trueweight.spec.run import RunSpec
    from trueweight.train.build import untrained
    from trueweight.train.encoded import encode
    from trueweight.train.prepare import prepare

    request = make_request(table(), None, RunSpec.model_validate({"version": 1, **spec(**more)}), {}, [], None)
    ready = prepare(request.table, request.spec)
    assert ready.spec.model.members
    encoded = encode(ready, keep=False)
    leaf = untrained(ready, encoded.fields, ready.spec.model.members[0])
    feed = encoded.feed(ready.split.train)
    return Job(
        name="m", network=leaf.network, train=leaf.reading(feed), validation=feed, spec=ready.spec.train, seed=0,
        score=lambda _: 0.0,
    )  # fmt: skip


def plan(**more: Any) -> MemberPlan:
    return MemberPlan(name="m", steps=5, batch_size=8, epochs=1.0, validate_every=5, checkpoint_every=5, **more)


@pytest.mark.parametrize(
    ("more", "packed", "counted"),
    [
        ({}, True, True),
        ({"train": {"batch_size": 8, "budget": {"steps": 6}}}, True, True),
        (PAIRS, False, True),
        (LSTM, False, True),
        (PAIRS | {"train": {"batch_size": 8, "budget": {"steps": 6}}}, False, False),
    ],
    ids=["language model", "rows asked for", "pairs", "lstm", "pairs of rows asked for"],
)
def test_who_counts_tokens(more: dict[str, Any], packed: bool, counted: bool) -> None:
    job = job_of(**more)
    found = filling(job, 8)
    assert (found.packed, found.tokens > 0) == (packed, counted)
    assert writes_from_tokens(job.train)
    if counted:
        followed = plan(tokens=found.tokens, packed=packed)
        steps = steps_of_epoch(job.train, followed)
        assert steps == pytest.approx(len(job.train) / 8, rel=0.25)  # as many rows to a step, on average
        rows = torch.cat([b.rows for b in islice(batches_from(job.train, followed, 1), int(np.ceil(steps)))])
        assert set(rows.tolist()) >= set(job.train.rows.tolist())


def test_a_plan_for_rows_end_to_end_is_of_no_use_to_others() -> None:
    job = job_of(**PAIRS)
    with pytest.raises(TrainError, match="lays rows end to end, which only a language model of attention reads"):
        fit_member(replace(job, plan=plan(tokens=100, packed=True)), GradientFitter())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [2, 3, 40])
def test_pieces_of_texts_end_to_end_give_the_gradients_of_the_whole(count: int, weighted: bool) -> None:
    job = job_of()
    network = job.network.double().eval()
    (batch,) = islice(batches_from(job.train, plan(tokens=200, packed=True), 1), 1)
    if weighted:
        weight = torch.rand(len(batch.rows), generator=Generator().manual_seed(0)).double() + 0.1
        batch = type(batch)(batch.rows, batch.inputs, batch.targets, weight)
    found = []
    for backward in (plain_backward, backward_in(count)):
        network.zero_grad()
        loss = backward(network, batch, Generator())
        found.append([loss, *(p.grad for p in network.parameters())])
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("more", [{}, PAIRS], ids=["language model", "pairs"])
def test_a_run_tells_its_tokens_and_its_plan_gives_the_same_weights(more: dict[str, Any], tmp_path: Path) -> None:
    first = trueweight.train(table(), spec=spec(**more), out=tmp_path / "first")
    raw = json.loads((first.path / "plan.json").read_text())
    (member,) = raw["members"]
    assert member["tokens"] > 0
    assert member["packed"] == (not more)
    again = trueweight.train(table(), spec=spec(**more), plan=first.path / "plan.json", out=tmp_path / "again")
    weights = [next((bundle.path).rglob("*.safetensors")).read_bytes() for bundle in (first, again)]
    assert weights[0] == weights[1]
