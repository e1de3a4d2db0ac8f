"""What a step costs beside the network: no waiting for the device, few calls, about the time of a loop by hand."""

import gc
import importlib.util
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from torch import Generator, nn
from torch.utils._python_dispatch import TorchDispatchMode

from trueweight.data.column import Sense
from trueweight.data.feed import Feed
from trueweight.data.field import Layout
from trueweight.data.packed import Packed
from trueweight.model.network import Network
from trueweight.nn.concat import Concat
from trueweight.registry import registry
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import Job, fit_member
from trueweight.train.loop import plain_backward
from trueweight.train.plan import MemberPlan
from trueweight.train.stepping import optimizer_for

READS = "aten::_local_scalar_dense"  # what .item(), float() and bool() come down to: they wait for the device
ROWS = 96
PLAN = {"name": "toy", "steps": 60, "batch_size": 32, "epochs": 9.6, "validate_every": 60, "checkpoint_every": 60}


class Operations(TorchDispatchMode):
    """Counts what torch is asked to do inside, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would import torch's compiler

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count[func.name().split(".")[0]] += 1
        return func(*args, **(kwargs or {}))


def fitted(make_job: Callable[..., Job], steps: int, **fields: Any) -> Counter[str]:
    plan = {"steps": steps, "validate_every": steps, "checkpoint_every": steps}
    with Operations() as seen:
        fit_member(make_job(plan=plan, **fields), GradientFitter())
    return seen.count


def test_no_step_waits_for_the_device(make_job: Callable[..., Job]):
    assert fitted(make_job, 30)[READS] == fitted(make_job, 80)[READS]  # the start's and the look's, no step's


def test_a_step_that_waits_would_be_noticed(make_job: Callable[..., Job]):
    def waiting(network: nn.Module, batch: Any, rng: Generator) -> torch.Tensor:
        loss = plain_backward(network, batch, rng)
        loss.item()
        return loss

    assert fitted(make_job, 80, backward=waiting)[READS] == fitted(make_job, 80)[READS] + 80


TABLE = Layout({"number": 16})
SERIES = Layout({"frame": 1}, senses={"frame": Sense(ragged=True, mean=(0.0,), std=(1.0,), length=8)})
KINDS = {
    "mlp": (TABLE, {"hidden_sizes": [64, 64], "dropout": 0.0, "numerical_embedding": "none"}),
    "lstm": (SERIES, {"hidden_size": 8, "pooling": "last"}),
}


def network_and_rows(kind: str) -> tuple[Network, Feed]:
    layout, options = KINDS[kind]
    encoder: Any = registry("encoder")[kind].model_validate(options).build(layout)
    head = registry("head")["number"]().build(encoder.form, {"mean": 0.0, "std": 1.0})
    inputs: dict[str, Any] = {"number": torch.randn(ROWS, 16)}
    if kind == "lstm":
        inputs = {"frame": Packed(torch.randn(ROWS * 8, 1), torch.arange(ROWS + 1) * 8)}
    targets = {"value": torch.randn(ROWS, 1), "present": torch.ones(ROWS, dtype=torch.bool)}
    network = Network({"x": encoder}, Concat({"x": encoder.form}), {"y": head}).train()
    return network, Feed(torch.arange(ROWS), {"x": inputs}, {"y": targets})


def operations_of(network: nn.Module, feed: Feed) -> Counter[str]:
    """Of a batch, its loss and its gradients."""
    rows = torch.arange(32)
    with Operations() as seen:
        plain_backward(network, feed.gather(rows), torch.default_generator)
    return seen.count


@pytest.mark.parametrize(("kind", "most"), [("mlp", 60), ("lstm", 50)])
def test_lean_batches_take_few_operations(kind: str, most: int):
    """All rows there and equally long: no masks. By hand the perceptron takes 48 and the LSTM 41, with views."""
    network, feed = network_and_rows(kind)
    lean, full = operations_of(network, feed.lean()), operations_of(network, feed)
    assert lean[READS] == 0
    assert lean.total() <= most
    assert lean.total() < full.total()


@contextmanager
def calls() -> Iterator[list[int]]:
    """How many functions are called inside, Python's and C's."""
    found = [0]

    def note(_frame: Any, event: str, _arg: Any) -> None:
        found[0] += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(before)


@pytest.fixture(scope="module")
def overhead() -> Any:
    """The benchmark of the loop alone: the same network and rows, by hand and by us."""
    path = Path(__file__).parents[2] / "benchmarks" / "loop_overhead.py"
    spec = importlib.util.spec_from_file_location("loop_overhead", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def calls_a_step(fit: Callable[[nn.Module, Feed, int], None], network: nn.Module, feed: Feed) -> float:
    fit(network, feed, 5)  # what is imported and remembered once
    found = []
    for steps in (60, 120):
        with calls() as count:
            fit(network, feed, steps)
        found.append(count[0])
    return (found[1] - found[0]) / 60


def test_a_step_makes_no_more_calls_than_one_by_hand(overhead: Any):
    """Unlike time, the same on every machine: whoever adds work to each step is noticed."""
    feed, network = overhead.rows(), overhead.Tiny()
    ours = calls_a_step(overhead.by_us, network, feed)
    hand = calls_a_step(overhead.by_hand, network, feed)
    assert ours <= hand


def test_a_step_of_many_rows_makes_no_more_calls_than_one_of_few(overhead: Any, monkeypatch: pytest.MonkeyPatch):
    """Nothing is done row by row: neither where batches are made nor where an epoch is ordered."""
    found = []
    for rows in (16, 64):
        monkeypatch.setattr(overhead, "ROWS", rows * 32)
        monkeypatch.setattr(overhead, "BATCH", rows)
        found.append(calls_a_step(overhead.by_us, overhead.Tiny(), overhead.rows()))
    assert found[0] == pytest.approx(found[1], abs=1)  # a row more is at least a call more


def test_the_collector_never_runs_during_a_step(make_job: Callable[..., Job]):
    def watched(network: nn.Module, batch: Any, rng: Generator) -> torch.Tensor:
        collecting.append(gc.isenabled())
        return plain_backward(network, batch, rng)

    collecting: list[bool] = []
    assert gc.isenabled()
    fitted(make_job, 30, backward=watched)
    assert collecting == [False] * 30
    assert gc.isenabled()


def operations_to_update(make_job: Callable[..., Job], layers: int) -> Counter[str]:
    network = nn.Sequential(*(nn.Linear(3, 3) for _ in range(layers)))
    spec = make_job(train={"optimizer": {"type": "adamw", "learning_rate": 0.01, "weight_decay": 0.1}}).spec
    optimizer = optimizer_for(spec, network, MemberPlan(**PLAN))
    for _ in range(2):  # the first one makes the memory
        network(torch.randn(2, 3)).sum().backward()
        with Operations() as seen:
            optimizer.step()
    return seen.count


def test_an_optimiser_is_one_kernel_for_each_group_whatever_the_layers(make_job: Callable[..., Job]):
    few, many = operations_to_update(make_job, 1), operations_to_update(make_job, 12)
    assert few == many
    assert many["aten::_fused_adamw_"] == 2  # matrices decay, biases do not


def test_a_step_takes_about_as_long_as_one_by_hand(overhead: Any):
    """Processor time of this thread, in turns, so that other programs matter little; the bound is generous."""
    threads, feed, pairs = torch.get_num_threads(), overhead.rows(), []
    torch.set_num_threads(1)
    try:
        for turn in range(8):
            times = {}
            for fit in (overhead.by_us, overhead.by_hand)[:: 1 if turn % 2 else -1]:
                start = time.process_time()
                fit(overhead.Tiny(), feed, 150)
                times[fit.__name__] = time.process_time() - start
            pairs.append(times["by_us"] / times["by_hand"])
    finally:
        torch.set_num_threads(threads)
    assert median(pairs[1:]) <= 1.3, pairs
