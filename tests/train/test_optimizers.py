"""Each optimiser against its formula in float64 NumPy, and ours against torch's own, bit for bit."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from trueweight.train.groups import decay_groups, hidden_matrices
from trueweight.train.optimizers.adam import Adam
from trueweight.train.optimizers.adamw import AdamW
from trueweight.train.optimizers.muon import Muon
from trueweight.train.optimizers.sgd import Sgd

STEPS = 12


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(4, 3)
        self.body = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 4))
        self.heads = nn.ModuleDict({"y": nn.Linear(4, 1)})


def gradients(network: nn.Module) -> list[list[torch.Tensor]]:
    rng = torch.Generator().manual_seed(1)
    return [[torch.randn(p.shape, generator=rng) for p in network.parameters()] for _ in range(STEPS)]


def run(network: nn.Module, optimizer) -> list[np.ndarray]:
    """Weights after the same gradients for everybody."""
    for row in gradients(network):
        for p, gradient in zip(network.parameters(), row, strict=True):
            p.grad = gradient.clone()
        optimizer.step()
    return [p.detach().double().numpy() for p in network.parameters()]


def decays(network: nn.Module, decay: float) -> list[float]:
    names = [name for name, _ in network.named_parameters()]
    return [decay if name in {"body.0.weight", "body.2.weight", "heads.y.weight"} else 0.0 for name in names]


def sgd_reference(w, gs, decay, *, rate=0.1, momentum=0.9, nesterov=False):
    v = np.zeros_like(w)
    for g in gs:
        g = g + decay * w
        v = momentum * v + g
        w = w - rate * (g + momentum * v if nesterov else v)
    return w


def adam_reference(w, gs, decay, *, rate=0.1, b1=0.9, b2=0.99, eps=1e-8, decoupled=False):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gs, 1):
        if decoupled:
            w = w - rate * decay * w
        else:
            g = g + decay * w
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        w = w - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return w


ADAM = {"learning_rate": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.2}
CASES = {
    "sgd": (Sgd(learning_rate=0.1, weight_decay=0.2), sgd_reference, {}),
    "sgd plain": (Sgd(learning_rate=0.1, momentum=0, weight_decay=0.2), sgd_reference, {"momentum": 0.0}),
    "sgd nesterov": (Sgd(learning_rate=0.1, nesterov=True, weight_decay=0.2), sgd_reference, {"nesterov": True}),
    "adam": (Adam(**ADAM), adam_reference, {}),
    "adamw": (AdamW(**ADAM), adam_reference, {"decoupled": True}),
}


@pytest.mark.parametrize("kernel", ["fused", "foreach"])
@pytest.mark.parametrize("name", CASES)
def test_matches_its_formula(name: str, kernel: str):
    part, reference, options = CASES[name]
    network = Small()
    start = [p.detach().double().numpy().copy() for p in network.parameters()]
    columns = zip(*[[g.double().numpy() for g in row] for row in gradients(network)], strict=True)
    rows = zip(start, columns, decays(network, 0.2), strict=True)
    expected = [reference(w, gs, decay, **options) for w, gs, decay in rows]
    optimizer = part.build(network)
    optimizer.use(kernel)
    for ours, theirs in zip(run(network, optimizer), expected, strict=True):
        # 12 float32 steps of size 0.1: rounding of about 12 * 6e-8, and Adam divides small numbers.
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)


TORCH = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, fused=True),
    "sgd plain": lambda groups: torch.optim.SGD(groups, lr=0.1, fused=True),
    "sgd nesterov": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True, fused=True),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.1, betas=(0.9, 0.99), fused=True),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.1, betas=(0.9, 0.99), fused=True),
}


@pytest.mark.parametrize("name", TORCH)
def test_is_torchs_own_bit_for_bit(name: str):
    ours, theirs = Small(), Small()
    optimizer = TORCH[name](decay_groups(theirs, 0.2))
    for a, b in zip(run(ours, CASES[name][0].build(ours)), run(theirs, optimizer), strict=True):
        assert (a == b).all()


def test_muon_moves_every_direction_of_a_matrix_alike():
    network = Small()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimizer = Muon(learning_rate=0.5, weight_decay=0, other_learning_rate=0.1).build(network)
    for p, gradient in zip(network.parameters(), gradients(network)[0], strict=True):
        p.grad = gradient.clone()
    optimizer.step()
    for name, p in network.named_parameters():
        moved = (before[name] - p.detach()).double().numpy()
        if name in {"body.0.weight", "body.2.weight"}:
            u, s, vt = np.linalg.svd(p.grad.double().numpy(), full_matrices=False)
            scale = 0.5 * max(1, moved.shape[0] / moved.shape[1]) ** 0.5
            # Five Newton-Schulz iterations bring singular values to between about 0.7 and 1.2 of 1, in bfloat16.
            values = np.diag(u.T @ moved @ vt.T) / scale
            assert (values > 0.6).all()
            assert (values < 1.3).all()
        else:  # AdamW's first step is the rate times the gradient's sign
            np.testing.assert_allclose(moved, 0.1 * np.sign(p.grad.numpy()), rtol=1e-4)


def test_muon_without_matrices_is_adamw():
    ours, theirs = nn.LayerNorm(4), nn.LayerNorm(4)
    a = run(ours, Muon(other_learning_rate=0.1).build(ours))
    b = run(theirs, AdamW(learning_rate=0.1).build(theirs))
    assert all((x == y).all() for x, y in zip(a, b, strict=True))


def test_hidden_matrices_are_neither_tables_nor_heads():
    network = Small()
    assert [id(p) for p in hidden_matrices(network)] == [id(network.body[0].weight), id(network.body[2].weight)]


def test_weights_without_a_gradient_stay():
    network = Small()
    before = network.body[0].weight.detach().clone()
    optimizer = AdamW(learning_rate=0.1).build(network)
    network.body[2].weight.grad = torch.ones_like(network.body[2].weight)
    optimizer.step()
    assert torch.equal(network.body[0].weight, before)
    assert optimizer.state_dict()["state"][1]["step"] != optimizer.state_dict()["state"][0]["step"]


def test_nesterov_needs_momentum():
    with pytest.raises(ValidationError, match="nesterov needs momentum above 0"):
        Sgd(momentum=0, nesterov=True)


def test_a_fit_does_not_import_torchs_compiler():
    # It would cost a second or two before the first step: longer than many tables take.
    code = (
        "import sys, torch; from torch import nn; from trueweight.train import descent;"
        "from trueweight.train.optimizers.adamw import AdamW; n = nn.Linear(2, 2); o = AdamW().build(n);"
        "n(torch.ones(1, 2)).sum().backward(); o.step(); o.zero_grad(); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
