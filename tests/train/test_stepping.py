"""Each way to take a step: the same gradients within its rounding, and nothing is left behind."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from trueweight.errors import TrainError
from trueweight.spec.run import TrainSpec
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import fit_member
from trueweight.train.loop import plain_backward
from trueweight.train.plan import MemberPlan
from trueweight.train.stepping import LOSS_SCALE, fewer_threads, optimizer_for, stepping


class Convolved(nn.Module):
    """Pictures to a loss."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3))
        self.seen: list[bool] = []
        self.body[2].register_forward_pre_hook(lambda _, args: self.seen.append(args[0].is_contiguous()))

    def forward(self, pixel_BHWC: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return self.body(pixel_BHWC.permute(0, 3, 1, 2)).float().square().mean()


def plan(**changes) -> MemberPlan:
    counts = {"steps": 10, "batch_size": 4, "epochs": 1.0, "validate_every": 5, "checkpoint_every": 5}
    return MemberPlan(name="toy", **counts, **changes)


def gradients(**changes) -> tuple[float, list[torch.Tensor], Convolved]:
    network = Convolved()
    x = torch.rand(4, 6, 6, 3, generator=torch.Generator().manual_seed(1))
    with stepping(network, plan(**changes), plain_backward) as taken:
        loss = taken.backward(taken.module, x, torch.Generator())
    return float(loss), [p.grad.clone() for p in network.parameters()], network


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        ({"layout": "channels_last"}, 1e-5),
        ({"layout": "channels_first"}, 1e-5),
        ({"dtype": "bfloat16"}, 3e-2),  # 8 bits of fraction, 72 products a sum
        ({"dtype": "float16"}, 4e-3),  # 11 bits
        ({"dtype": "bfloat16", "layout": "channels_last"}, 3e-2),
    ],
    ids=str,
)
def test_gradients_are_the_plain_ones(changes: dict, tolerance: float):
    loss, found, _ = gradients(**changes)
    expected, plain, _ = gradients()
    assert loss == pytest.approx(expected, rel=tolerance)
    for ours, theirs in zip(found, plain, strict=True):
        assert ours.dtype == torch.float32
        assert float((ours - theirs).norm() / theirs.norm()) < tolerance


def test_layouts_are_what_they_say():
    assert gradients(layout="channels_last")[2].seen == [False]
    assert gradients(layout="channels_first")[2].seen == [True]


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "channels_first"])
def test_weights_end_as_they_began(layout: str):
    network = Convolved()
    before = {name: (id(p), p.detach().clone()) for name, p in network.named_parameters()}
    with stepping(network, plan(layout=layout), plain_backward) as taken:
        assert taken.module is network
        last = network.body[0].weight.is_contiguous(memory_format=torch.channels_last)
        assert last == (layout == "channels_last")
    for name, p in network.named_parameters():
        assert id(p) == before[name][0]
        assert torch.equal(p, before[name][1])
        assert p.is_contiguous()
    assert not network.body[0]._forward_pre_hooks


def test_a_gradient_too_large_for_half_precision_moves_nothing():
    network = nn.Linear(2, 1)

    def infinite(module: nn.Module, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        network.weight.grad = torch.full((1, 2), torch.inf)
        network.bias.grad = torch.full((1,), LOSS_SCALE)
        return torch.tensor(3.0 * LOSS_SCALE)

    with stepping(network, plan(dtype="float16"), infinite) as taken:
        assert taken.backward(taken.module, torch.zeros(1, 2), torch.Generator()) == 3.0
    assert not network.weight.grad.any()
    assert not network.bias.grad.any()


def test_threads_only_ever_become_fewer(make_job):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        seen, job = [], make_job(plan={"threads": 2, "steps": 14})

        def score(network: nn.Module) -> float:
            seen.append(torch.get_num_threads())
            return job.score(network)

        fit_member(replace(job, score=score), GradientFitter())
        assert set(seen) == {2}
        assert torch.get_num_threads() == 3
        with fewer_threads(8):
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_plan_scales_the_rates_and_chooses_the_kernel():
    spec = TrainSpec.model_validate({"optimizer": {"type": "adamw", "learning_rate": 0.01}})
    built = optimizer_for(spec, Convolved(), plan(rate=0.5, optimizer="foreach"))
    assert {group["lr"] for group in built.param_groups} == {0.005}
    options = {
        "type": "muon",
        "learning_rate": 0.1,
        "others": "sgd",
        "other_learning_rate": 0.2,
        "bias_learning_rate": 1,
    }
    mixed = optimizer_for(TrainSpec.model_validate({"optimizer": options}), nn.Linear(4, 2), plan(rate=0.5))
    assert [group["lr"] for group in mixed.param_groups] == [0.05, 0.25]  # SGD follows the ratio, not its root
    several = TrainSpec.model_validate({"optimizer": "muon"})
    with pytest.raises(TrainError, match="asks for foreach"):
        optimizer_for(several, nn.Linear(2, 1), plan(optimizer="foreach"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's own, of its compiler
def test_compiled_steps_are_the_plain_ones():
    """Once for real: torch's compiler, its cache in our own folder."""
    loss, found, _ = gradients(compile=True)
    expected, plain, _ = gradients()
    assert loss == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
