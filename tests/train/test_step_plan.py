"""The step plan: what is fastest and right is taken, what is wrong is not, and no clock is read where none may be."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.train import step_plan
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import fit_member
from trueweight.train.pace import Pace
from trueweight.train.plan import MemberPlan, Trial
from trueweight.train.probe import decide_plan
from trueweight.train.step_plan import StepChoice, choose, is_hopeless, rows_to_compare
from trueweight.train.step_ways import candidates
from trueweight.train.watch import Stopwatch

PACE = Pace(batch_size=32, memory_bytes=1000, seconds_per_step=0.02, seconds_per_look=0.01)
PLAIN = {"name": "toy", "steps": 10_000, "batch_size": 32, "epochs": 1.0, "validate_every": 10, "checkpoint_every": 10}


@pytest.fixture
def no_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def read() -> float:
        raise AssertionError("a clock was read")

    return lambda: monkeypatch.setattr(step_plan, "perf_counter", read)


@pytest.fixture
def plain() -> MemberPlan:
    return MemberPlan(**PLAIN, threads=torch.get_num_threads())


def named(choice: StepChoice) -> dict[str, Trial]:
    return {trial.name: trial for trial in choice.trials}


@pytest.mark.parametrize(
    ("train", "why"),
    [
        ({"budget": {"time": "1h"}, "step_plan": "off"}, "train.step_plan is off"),
        ({"budget": {"steps": 60}}, "the budget has no time limit, so no clock is read"),
    ],
)
def test_no_clock_is_read_where_none_may_be(make_job, plain: MemberPlan, no_clock, train: dict, why: str):
    no_clock()
    choice = choose(make_job(train=train), plain, PACE, 0.0)
    assert (choice.changes, choice.step_factor) == ({}, 1.0)
    assert choice.trials == (Trial(name="all", status="not_run", reason=why),)


def test_a_short_run_is_not_held_up(make_job, plain: MemberPlan, no_clock):
    no_clock()
    job = make_job(train={"budget": {"time": "1h"}})
    choice = choose(job, replace(plain, steps=100), PACE, 0.0)
    assert choice.changes == {}
    assert choice.trials[0].reason.startswith("the run is too short: 5% of about 2.0 s")


def test_copies_that_do_not_fit_are_not_made(make_job, plain: MemberPlan, no_clock):
    no_clock()
    job = make_job(train={"budget": {"time": "1h", "memory": "2KB"}})
    choice = choose(job, replace(plain, memory_bytes=1000), PACE, 0.0)
    assert "train.budget.memory" in choice.trials[0].reason


def test_the_fastest_way_that_agrees_is_taken(make_job, sleepy, plain: MemberPlan, tmp_path: Path, no_clock):
    path = tmp_path / "pace.json"
    job = make_job(train={"budget": {"time": 60}}, network=sleepy(), pace=path)
    weights = [p.detach().clone() for p in job.network.parameters()]
    state = torch.get_rng_state()
    choice = choose(job, plain, PACE, 0.0)
    found = named(choice)
    assert choice.changes["dtype"] == "bfloat16"
    assert found["bfloat16"].chosen
    assert found["bfloat16"].agrees
    assert found["bfloat16"].ratio < 0.9
    assert not found["plain"].chosen
    assert choice.step_factor == pytest.approx(found["bfloat16"].ratio, rel=0.5)  # one more may have been taken
    assert found["channels last"].status == "not_applicable"
    assert "convolutions" in found["channels last"].reason
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(weights, job.network.parameters(), strict=True))
    no_clock()  # remembered: the next run of the same begins at once
    assert choose(job, plain, PACE, 0.0) == choice


def test_a_way_that_is_fast_and_wrong_is_refused(make_job, sleepy, plain: MemberPlan):
    job = make_job(train={"budget": {"time": 60}}, network=sleepy(wrong=0.1))
    choice = choose(job, plain, PACE, 0.0)
    wrong = named(choice)["bfloat16"]
    assert "dtype" not in choice.changes
    assert (wrong.agrees, wrong.chosen) == (False, False)
    assert wrong.difference == pytest.approx(0.1, rel=0.3)
    assert "its losses differ by 0.1" in wrong.reason


def test_a_way_that_fails_is_told(make_job, sleepy, plain: MemberPlan):
    choice = choose(make_job(train={"budget": {"time": 60}}, network=sleepy(fails=True)), plain, PACE, 0.0)
    failed = named(choice)["bfloat16"]
    assert (failed.status, failed.reason) == ("failed", "RuntimeError: no kernel for half")


def test_a_hopeless_way_costs_one_step(make_job, sleepy, plain: MemberPlan):
    class Slow(sleepy):
        def forward(self, batch: Batch, rng: Generator) -> Tensor:
            if torch.is_autocast_enabled("cpu"):
                steps.append(torch.get_autocast_dtype("cpu"))
                time.sleep(0.5)
            return super().forward(batch, rng)

    steps: list[torch.dtype] = []
    choice = choose(make_job(train={"budget": {"time": 60}}, network=Slow()), plain, PACE, 0.0)
    slow = named(choice)["bfloat16"]
    assert slow.reason.startswith("slower: a step took")
    assert (slow.chosen, slow.status) == (False, "measured")
    assert slow.seconds >= 0.5
    assert steps.count(torch.bfloat16) == 1


def test_what_there_is_no_time_for_is_told(make_job, sleepy, plain: MemberPlan):
    job = make_job(train={"budget": {"time": 12}}, network=sleepy(wrong=0.1))
    choice = choose(job, plain, PACE, 0.0)
    found = named(choice)
    assert found["compiled"].status == "not_run"
    assert found["compiled"].reason.startswith("out of time: it would take about 45")
    assert choice.outgrown(3 * choice.allowed)
    assert not choice.outgrown(choice.allowed)


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"changes": {"dtype": "float8"}, "trials": []}'])
def test_what_cannot_be_read_is_measured_again(plain: MemberPlan, tmp_path: Path, content: str):
    (tmp_path / "pace.steps.json").write_text(content)
    assert StepChoice.recalled(tmp_path / "pace.json", plain) is None


def test_pictures_have_layouts_to_choose_from(make_job, plain: MemberPlan):
    job = make_job()
    job.network.conv = nn.Conv2d(1, 1, 1)
    names = {c.name: c.refused for c in candidates(job, plain)}
    assert names["channels last"] == names["channels first"] == ""
    assert names["batch 64"] == "for plain columns the size follows the rows"


def test_batches_of_the_senses_keep_steps_enough(make_job, plain: MemberPlan):
    def refused(rows: int, steps: int) -> str:
        job = make_job()
        one = job.train.inputs["table"]["number"]
        many = one.repeat(-(-rows // len(one)), 1)[:rows]
        feed = replace(
            job.train, rows=torch.arange(rows), inputs={"picture": {"pixel": many}}, targets={}
        )  # fmt: skip
        choices = candidates(replace(job, train=feed), replace(plain, steps=steps))
        return {c.name: c.refused for c in choices}["batch 64"]

    assert refused(6400, 1000) == ""
    assert "50 steps" in refused(1600, 1000)
    assert "500 steps" in refused(6400, 600)


def test_a_chosen_way_is_planned_and_followed(make_job, sleepy, digest):
    job = make_job(train={"budget": {"time": 60, "steps": 1500}}, network=sleepy())
    plan = decide_plan(job, Stopwatch())
    assert plan.dtype == "bfloat16"
    assert plan.seconds_per_step < 0.02
    short = {**plan.replayed().to_json(), "steps": 20, "validate_every": 10}
    weights = []
    for _ in range(2):
        torch.manual_seed(5)
        again = make_job(network=sleepy(), plan=MemberPlan.from_json(short))
        fit_member(again, GradientFitter())
        weights.append(digest(again.network))
    assert weights[0] == weights[1]


def priced(job, monkeypatch: pytest.MonkeyPatch, cost: Callable[[int], float]):
    """The job with rows of a series, and a clock that steps move by their number of rows and nothing else does."""
    now = [0.0]
    monkeypatch.setattr(step_plan, "perf_counter", lambda: now[0])

    class Priced(type(job.network)):
        def forward(self, batch: Batch, rng: Generator) -> Tensor:
            now[0] += cost(len(batch.rows))
            return super().forward(batch, rng)

        def answer(self, batch: Batch) -> Tensor:
            return self.heads["y"](self.body(batch.inputs["table"]["frame"]))

    rows = 50 * 128
    y = torch.randn(rows, 1)
    feed = replace(
        job.train, rows=torch.arange(rows), inputs={"table": {"frame": y * torch.randn(3)}},
        targets={"y": {"value": y, "present": torch.ones(rows, dtype=torch.bool)}},
    )  # fmt: skip
    return replace(job, network=Priced(dropout=0.0), train=feed)


def test_batches_grow_as_long_as_rows_become_cheaper(make_job, plain: MemberPlan, monkeypatch: pytest.MonkeyPatch):
    """The smallest batch with 90 % of the best rows a second, of those that leave steps enough."""
    job = make_job(train={"budget": {"time": 120}})
    choice = choose(priced(job, monkeypatch, lambda _: 0.02), plain, PACE, 0.0)  # twice the rows at the price of one
    found = named(choice)
    assert (choice.changes["batch_size"], choice.changes["rate"]) == (128, 2.0)  # the root of four
    assert choice.step_factor == pytest.approx(1.0)
    assert [name for name in found if name.startswith("batch")] == ["batch 64", "batch 128", "batch 256"]
    assert [found[f"batch {rows}"].chosen for rows in (64, 128, 256)] == [False, True, False]
    assert "50 steps" in found["batch 256"].reason


def test_a_short_run_keeps_steps_enough_whatever_a_longer_one_chose(
    make_job, plain: MemberPlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def chosen(seconds: int) -> StepChoice:
        job = make_job(train={"budget": {"time": seconds}}, pace=tmp_path / "pace.json")
        return choose(priced(job, monkeypatch, lambda _: 0.02), plain, PACE, 0.0)

    assert chosen(120).changes["batch_size"] == 128
    choice = chosen(16)  # 800 steps of 0.02 s, whatever number the plan would allow
    assert choice.changes == {}
    assert "500 steps" in named(choice)["batch 64"].reason


@pytest.mark.parametrize(("share", "taken"), [(0.88, True), (0.92, False)])
def test_a_larger_batch_must_make_a_row_a_tenth_cheaper(
    make_job, plain: MemberPlan, monkeypatch: pytest.MonkeyPatch, share: float, taken: bool
):
    job = make_job(train={"budget": {"time": 120}})
    job = priced(job, monkeypatch, lambda rows: 0.02 if rows <= 32 else 0.02 * share * rows / 32)
    choice = choose(job, plain, PACE, 0.0)
    assert choice.changes.get("batch_size", 32) == (64 if taken else 32)
    assert named(choice)["batch 64"].reason == ("" if taken else "less than 10% faster")


@pytest.mark.parametrize(
    ("seconds", "device", "first", "hopeless"),
    [
        (0.09, "cpu", True, False), (0.13, "cpu", True, True), (0.13, "cuda", True, False), (2.1, "cuda", True, True),
        (0.13, "cuda", False, True), (0.13, "cpu", False, True), (0.09, "cpu", False, False),
    ],
)  # fmt: skip
def test_a_first_step_may_prepare_kernels(seconds: float, device: str, first: bool, hopeless: bool) -> None:
    assert is_hopeless(seconds, 0.01, device, first=first) is hopeless


@pytest.mark.parametrize(
    ("rows", "ways", "per_step", "allowed", "few"),
    [
        (512, 4, 0.5, 23.1, 512),  # 6 steps of the plain way, and 10 for each other
        (512, 4, 0.5, 22.9, 256),
        (512, 4, 1.5, 10.0, 64),
        (512, 4, 0.09, 2.0, 512),  # a short step tells little of itself by fewer rows
        (512, 4, 0.15, 1.0, 256),
        (128, 4, 9.0, 1.0, 64),
        (127, 4, 9.0, 1.0, 127),
    ],
)
def test_rows_to_compare_by(rows: int, ways: int, per_step: float, allowed: float, few: int):
    assert rows_to_compare(rows, ways, per_step, allowed) == few


def test_fewer_pictures_stand_for_many_where_steps_are_long(
    make_job, sleepy, plain: MemberPlan, tmp_path: Path, monkeypatch
):
    class Sized(sleepy):
        def forward(self, batch: Batch, rng: Generator) -> Tensor:
            sizes.append(len(batch.rows))
            return super().forward(batch, rng)

    sizes: list[int] = []
    network = Sized()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64"})
    job = make_job(train={"budget": {"time": 60}}, network=network, pace=tmp_path / "pace.json")
    wide, pace = replace(plain, batch_size=128, threads=1), replace(PACE, batch_size=128, seconds_per_step=0.6)
    assert named(choose(job, wide, pace, 0.0)).keys() == {"all"}  # no pictures: too few steps to compare
    network.conv = nn.Conv2d(1, 1, 1)
    choice = choose(job, wide, pace, 0.0)
    found = named(choice)
    assert set(sizes) == {64}
    assert found["plain"].reason == "compared in steps of 64 rows: there is no time to try every way with 128"
    assert found["foreach"].status == "not_run"
    assert choice.changes == {"dtype": "bfloat16"}  # the quicker way is found by them
    assert choice.outgrown(3 * choice.allowed)  # a longer run tries the others


@pytest.mark.parametrize(
    ("able", "refused"),
    [
        ({"architecture": "x86_64", "avx512_fp16": False, "amx_fp16": False}, True),
        ({"architecture": "x86_64", "avx512_fp16": True, "amx_fp16": False}, False),
        ({"architecture": "aarch64"}, False),
        ({}, False),
    ],
)
def test_float16_needs_instructions_of_its_own(make_job, plain: MemberPlan, monkeypatch, able: dict, refused: bool):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    names = {c.name: c.refused for c in candidates(make_job(), plain)}
    assert names["float16"].startswith("this processor has no") == refused
    assert not {c.name: c.refused for c in candidates(make_job(), replace(plain, device="cuda"))}["float16"]
