"""What every optimiser promises, checked for every optimiser we ship or have installed."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from trueweight.registry import registry
from trueweight.spec.docstrings import descriptions
from trueweight.spec.run import TrainSpec
from trueweight.train.state import optimizer_tensors


@pytest.fixture(params=list(registry("optimizer")))
def part(request: pytest.FixtureRequest):
    return TrainSpec(optimizer=request.param).optimizer  # entered through the spec, like a user


OPTIONS = [{"type": "muon", "normalized": True, "others": "sgd", "bias_learning_rate": 0.3, "bias_weight_decay": 0.1}]
"""Ways of going on that differ in what is remembered, or in how many rates there are."""


@pytest.fixture(params=[*registry("optimizer"), *OPTIONS], ids=str)
def way(request: pytest.FixtureRequest):
    return TrainSpec(optimizer=request.param).optimizer


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))


def take(net: nn.Module, optimizer, steps: int, *, first: int = 0) -> float:
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    y = x[:, :1] - 2 * x[:, 1:2]
    loss = torch.tensor(0.0)
    for _ in range(first, first + steps):
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_learns(part):
    net = network()
    optimizer = part.build(net, steps=200)
    assert take(net, optimizer, 200) < 0.3 * take(network(), part.build(network()), 1)


def test_every_weight_moves(way):
    net = network()
    before = [p.detach().clone() for p in net.parameters()]
    take(net, way.build(net, steps=3), 3)
    assert not any(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_the_rate_can_be_set_per_group(way):
    net = network()
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = way.build(net, steps=3)
    assert all(group["lr"] > 0 for group in optimizer.param_groups)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    take(net, optimizer, 2)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_every_weight_is_in_one_group(way):
    net = network()
    net[0].bias.requires_grad_(requires_grad=False)
    grouped = [id(p) for group in way.build(net).param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in net.parameters() if p.requires_grad)


def test_vectors_do_not_decay(part):
    if "weight_decay" not in type(part).model_fields:
        pytest.skip("has no weight decay")
    decaying = part.model_copy(update={"weight_decay": 0.5})
    for group in decaying.build(network()).param_groups:
        for p in group["params"]:
            assert group["weight_decay"] == (0.5 if p.ndim >= 2 else 0.0)


def test_goes_on_from_its_state_bit_for_bit(way):
    whole, net = network(), network()
    take(whole, way.build(whole, steps=9), 9)
    first = way.build(net, steps=9)
    take(net, first, 4)
    kept = {name: tensor.clone() for name, tensor in optimizer_tensors(first).items()}
    state = {}
    for name, tensor in kept.items():
        number, slot = name.split("/")
        state.setdefault(int(number), {})[slot] = tensor
    second = way.build(net, steps=9)
    second.load_state_dict({"state": state, "param_groups": second.state_dict()["param_groups"]})
    take(net, second, 5)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), net.parameters(), strict=True))


def test_its_predicted_memory_is_enough(way):
    net = network()
    optimizer = way.build(net, steps=1)
    take(net, optimizer, 1)
    # Counters of one number per weight tensor are not worth predicting.
    numbers = sum(t.numel() for t in optimizer_tensors(optimizer).values() if t.ndim)
    assert numbers <= way.states_per_weight * sum(p.numel() for p in net.parameters())


def test_its_search_space_is_valid(part):
    assert part.search_space
    for field, values in part.search_space.items():
        for value in values:
            type(part).model_validate({field: value})


def test_is_documented(part):
    assert "Example" in type(part).__doc__
    assert descriptions(type(part)).keys() == type(part).model_fields.keys()


def test_files_import_without_torch():
    code = (
        "import sys; from trueweight.registry import registry;"
        "[registry(k)[n] for k in ('optimizer', 'fitter') for n in registry(k)]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
