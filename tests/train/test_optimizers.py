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
from trueweight.train.optimizers.muon import SLIGHT, Muon, overhead
from trueweight.train.optimizers.nadamw import NadamW
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


def nadamw_reference(w, gs, decay, *, rate=0.1, b1=0.9, b2=0.99, eps=1e-8, psi=4e-3):
    """Algorithm 8 of the paper, term by term."""
    m, v, product = np.zeros_like(w), np.zeros_like(w), 1.0
    for t, g in enumerate(gs, 1):
        w = w - rate * decay * w
        mu, following = (b1 * (1 - 0.5 * 0.96 ** (k * psi)) for k in (t, t + 1))
        product *= mu
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        ahead = following * m / (1 - product * following) + (1 - mu) * g / (1 - product)
        w = w - rate * ahead / (np.sqrt(v / (1 - b2**t)) + eps)
    return w


ADAM = {"learning_rate": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.2}
CASES = {
    "sgd": (Sgd(learning_rate=0.1, weight_decay=0.2), sgd_reference, {}),
    "sgd plain": (Sgd(learning_rate=0.1, momentum=0, weight_decay=0.2), sgd_reference, {"momentum": 0.0}),
    "sgd nesterov": (Sgd(learning_rate=0.1, nesterov=True, weight_decay=0.2), sgd_reference, {"nesterov": True}),
    "adam": (Adam(**ADAM), adam_reference, {}),
    "adamw": (AdamW(**ADAM), adam_reference, {"decoupled": True}),
    "nadamw": (NadamW(**ADAM), nadamw_reference, {}),
    "nadamw fast": (NadamW(**ADAM, momentum_decay=0.1), nadamw_reference, {"psi": 0.1}),
    "nadamw without a mean": (
        NadamW(learning_rate=0.1, betas=(0.0, 0.99), weight_decay=0.2), nadamw_reference, {"b1": 0.0},
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kernel"), [(name, kernel) for name in CASES for kernel in CASES[name][0].build(Small()).kernels]
)
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


def test_nadamw_is_torchs_own():
    # Not bit for bit: ours is one kernel for what theirs does in a dozen operations. Twelve steps of 0.1 in float32.
    ours, theirs = Small(), Small()
    optimizer = torch.optim.NAdam(decay_groups(theirs, 0.2), lr=0.1, betas=(0.9, 0.99), decoupled_weight_decay=True)
    for a, b in zip(run(ours, NadamW(**ADAM).build(ours)), run(theirs, optimizer), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


def test_nadamw_counts_the_steps_of_each_weight():
    # A weight that has had one gradient so far takes its first step, whatever the others have taken.
    alone, late = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    late.load_state_dict(alone.state_dict())
    other = nn.Linear(2, 1, bias=False)
    first = NadamW(learning_rate=0.1).build(alone)
    both = NadamW(learning_rate=0.1).build(nn.ModuleList([late, other]))
    for number in range(4):
        other.weight.grad = torch.ones(1, 2)
        late.weight.grad = torch.tensor([[1.0, -2.0]]) if number == 3 else None
        both.step()
    alone.weight.grad = torch.tensor([[1.0, -2.0]])
    first.step()
    assert torch.equal(alone.weight, late.weight)


class Pictures(nn.Module):
    """Filters, a grouped convolution, a recurrent layer, factors, and matrices of one shape."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.filters = nn.Conv2d(3, 8, 3)
        self.grouped = nn.Conv2d(8, 8, 3, groups=8)
        self.along = nn.Conv1d(4, 6, 5)
        self.lstm = nn.LSTM(4, 3)
        self.factors = nn.Parameter(torch.ones(4, 5))
        self.dense = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])
        self.heads = nn.ModuleDict({"y": nn.Linear(6, 2)})


MATRICES = {"filters.weight", "along.weight", "dense.0.weight", "dense.1.weight"}


def moved_by_muon(network: nn.Module, **options) -> set[str]:
    seen = options.pop("seen", None)
    groups = Muon(**options).build(network, seen=seen).param_groups
    taken = {id(p) for group in groups if group["method"] == "muon" for p in group["params"]}
    return {name for name, p in network.named_parameters() if id(p) in taken}


def polynomial(s: np.ndarray, iterations: int) -> np.ndarray:
    for _ in range(iterations):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return s


@pytest.mark.parametrize("iterations", [1, 3, 5])
def test_muon_steps_are_the_polynomial_of_the_singular_values(iterations: int):
    """The whole step, by the singular value decomposition in float64: U p(S / |S|) V^T, times rate and shape."""
    network = Pictures()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimizer = Muon(learning_rate=0.5, weight_decay=0, iterations=iterations, nesterov=False).build(network)
    for p, gradient in zip(network.parameters(), gradients(network)[0], strict=True):
        p.grad = gradient.clone()
    optimizer.step()
    for name in MATRICES:
        p = network.get_parameter(name)
        moved = (before[name] - p.detach()).flatten(1).double().numpy()
        u, s, vt = np.linalg.svd(p.grad.flatten(1).double().numpy(), full_matrices=False)
        values = polynomial(s / np.linalg.norm(s), iterations)
        scale = 0.5 * max(1, moved.shape[0] / moved.shape[1]) ** 0.5
        np.testing.assert_allclose(moved, scale * (u * values) @ vt, atol=1e-5)  # float32, five times a cube


def test_muon_moves_every_direction_of_a_matrix_alike():
    network = Small()
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimizer = Muon(learning_rate=0.5, weight_decay=0, other_learning_rate=0.1, iterations=5).build(network)
    for p, gradient in zip(network.parameters(), gradients(network)[0], strict=True):
        p.grad = gradient.clone()
    optimizer.step()
    for name, p in network.named_parameters():
        moved = (before[name] - p.detach()).double().numpy()
        if name in {"body.0.weight", "body.2.weight"}:
            u, _, vt = np.linalg.svd(p.grad.double().numpy(), full_matrices=False)
            scale = 0.5 * max(1, moved.shape[0] / moved.shape[1]) ** 0.5
            # Five iterations bring singular values to between about 0.7 and 1.2 of 1.
            values = np.diag(u.T @ moved @ vt.T) / scale
            assert (values > 0.6).all()
            assert (values < 1.3).all()
        else:  # AdamW's first step is the rate times the gradient's sign
            np.testing.assert_allclose(moved, 0.1 * np.sign(p.grad.numpy()), rtol=1e-4)


def test_muon_is_torchs_own_but_for_its_bfloat16():
    ours, theirs = Small().body, Small().body
    matrices = [theirs[0].weight, theirs[2].weight]
    optimizer = torch.optim.Muon(matrices, lr=0.1, weight_decay=0.2)
    mine = run(ours, Muon(learning_rate=0.1, weight_decay=0.2, iterations=5).build(ours))
    yours = run(theirs, optimizer)
    for place in (0, 4):  # the others stay where they are in theirs
        # Twelve steps of 0.1, each within about a percent, the precision of bfloat16 after fifteen products.
        np.testing.assert_allclose(mine[place], yours[place], atol=0.012)


def test_equal_shapes_are_moved_together_as_they_would_be_alone():
    network, alone = Pictures(), Pictures()
    run(network, Muon(learning_rate=0.1).build(network))
    for name in ("dense.0", "dense.1"):
        single = alone.get_submodule(name)
        optimizer = Muon(learning_rate=0.1).build(single)
        names = [n for n, _ in alone.named_parameters()]
        for row in gradients(alone):
            for n, p in single.named_parameters():
                p.grad = row[names.index(f"{name}.{n}")].clone()
            optimizer.step()
        # The products of one and of two matrices at once may be rounded differently.
        torch.testing.assert_close(single.weight, network.get_parameter(f"{name}.weight"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "columns", "seen", "five", "three"),
    [
        (256, 256, 256, 5.0, 3.0), (512, 512, 2048, 1.25, 0.75), (256, 256, 4096, 0.31, 0.19),
        (256, 256 * 9, 500 * 64, 0.03, 0.02), (192, 192, 256 * 65, 0.06, 0.035),
    ],
)  # fmt: skip
def test_what_the_iterations_cost(rows: int, columns: int, seen: float, five: float, three: float):
    """By hand: 5 * (4 m^2 n + 2 m^3) / (6 m n B), which is 5 m / B for a square."""
    assert overhead(rows, columns, seen, 5) == pytest.approx(five, abs=0.006)
    assert overhead(columns, rows, seen, 3) == pytest.approx(three, abs=0.006)


def test_muon_takes_matrices_only():
    assert moved_by_muon(Pictures(), layers="all") == set(hidden_matrices(Pictures())) == MATRICES


def test_tied_weights_are_one_and_tables_stay_tables():
    first, second, table = nn.Linear(4, 4), nn.Linear(4, 4), nn.Embedding(4, 4)
    second.weight = first.weight
    assert list(hidden_matrices(nn.Sequential(first, second))) == ["0.weight"]
    first.weight = table.weight
    assert hidden_matrices(nn.Sequential(first, table)) == {}


def test_muon_takes_what_is_cheap():
    seen = {"dense.0.weight": 100.0, "dense.1.weight": 40.0}
    # Three iterations cost a matrix of 6 by 6 3 * 6 / rows on a CPU: 0.18 at 100 rows, 0.45 at 40.
    assert moved_by_muon(Pictures(), seen=seen) == {"dense.0.weight"}
    assert moved_by_muon(Pictures(), seen=seen | {"dense.1.weight": 100.0}) == {"dense.0.weight", "dense.1.weight"}
    assert moved_by_muon(Pictures(), seen=seen, layers="all") == MATRICES
    assert moved_by_muon(Pictures(), seen={}) == set()
    assert moved_by_muon(Pictures()) == MATRICES  # nobody counted: nothing is known to be dear


@pytest.mark.parametrize(
    ("filters", "taken"),
    [(79, set()), (100, {"filters", "dense.0"}), (200, {"filters", "dense.0", "dense.1"})],
)  # fmt: skip
def test_muon_takes_dear_layers_that_are_slight_beside_the_network(filters: int, taken: set[str]):
    """By hand: the filters multiply 216 times for each row they meet and are dear below 92 of them. For a matrix of 6
    by 6 the iterations multiply 3 * 6 * 36 = 648 times: 3 % of 21,600, which 79 rows and the matrices' own
    2 * 60 * 36 fall short of, 100 make once and 200 twice."""
    seen = {"filters.weight": float(filters), "dense.0.weight": 60.0, "dense.1.weight": 60.0}
    assert SLIGHT == 0.03
    assert moved_by_muon(Pictures(), seen=seen) == {f"{name}.weight" for name in taken}


def test_muon_leaves_the_rest_to_who_is_named():
    network = Pictures()
    methods = [group["method"] for group in Muon(others="nadamw").build(network).param_groups]
    assert methods == ["muon", "nadamw", "nadamw"]


def test_muon_hands_the_rest_to_torchs_own_sgd_bit_for_bit():
    ours, theirs = Small(), Small()
    muon = Muon(
        others="sgd", other_learning_rate=0.1, other_momentum=0.85, other_weight_decay=0.2, bias_learning_rate=0.5,
        bias_weight_decay=0.01,
    )  # fmt: skip
    vectors = [p for p in theirs.parameters() if p.ndim < 2]
    groups = [
        {"params": [theirs.heads["y"].weight], "weight_decay": 0.2},
        {"params": [theirs.table.weight], "weight_decay": 0.0},
        {"params": vectors, "weight_decay": 0.01, "lr": 0.5},
    ]
    mine = run(ours, muon.build(ours))
    yours = run(theirs, torch.optim.SGD(groups, lr=0.1, momentum=0.85, nesterov=True, fused=True))
    names = [name for name, _ in ours.named_parameters()]
    rest = [place for place, name in enumerate(names) if name not in {"body.0.weight", "body.2.weight"}]
    assert len(rest) == 2 + len(vectors)
    for place in rest:
        assert (mine[place] == yours[place]).all()


def test_sgd_of_the_rest_can_do_without_memory():
    network = Small()
    before = network.table.weight.detach().clone()
    optimizer = Muon(others="sgd", other_learning_rate=0.1, other_momentum=0.0).build(network)
    for p, gradient in zip(network.parameters(), gradients(network)[0], strict=True):
        p.grad = gradient.clone()
    optimizer.step()
    torch.testing.assert_close(network.table.weight, before - 0.1 * network.table.weight.grad)


def test_biases_may_have_a_rate_of_their_own_whoever_moves_them():
    network = Small()
    optimizer = Muon(other_learning_rate=0.1, bias_learning_rate=0.3).build(network)
    names = {id(p): name for name, p in network.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {name for name, rate in rates.items() if rate == 0.3} == {
        n for n, p in network.named_parameters() if p.ndim < 2
    }
    assert rates["table.weight"] == rates["heads.y.weight"] == 0.1


def test_normalised_steps_are_those_of_a_slow_loop():
    """As airbench says it, matrix by matrix and in float64, the iterations by the singular values."""
    network = Pictures()
    part = Muon(learning_rate=0.2, momentum=0.6, normalized=True, iterations=3, weight_decay=0.5, layers="all")
    places = {name: place for place, (name, _) in enumerate(network.named_parameters())}
    expected = {}
    for name in sorted(MATRICES):
        w = network.get_parameter(name).detach().flatten(1).double().numpy().copy()
        velocity = np.zeros_like(w)
        for row in gradients(network):
            g = row[places[name]].flatten(1).double().numpy()
            velocity = 0.6 * velocity + g
            u, s, vt = np.linalg.svd(g + 0.6 * velocity, full_matrices=False)
            w = w * len(w) ** 0.5 / np.linalg.norm(w)
            w = w - 0.2 * (u * polynomial(s / np.linalg.norm(s), 3)) @ vt
        expected[name] = w
    run(network, part.build(network))
    for name, w in expected.items():
        # Twelve steps in float32, each of nine products.
        np.testing.assert_allclose(network.get_parameter(name).detach().flatten(1).numpy(), w, atol=1e-4)


def test_a_matrix_of_zeros_can_be_normalised():
    layer = nn.Linear(4, 3, bias=False)
    nn.init.zeros_(layer.weight)
    optimizer = Muon(normalized=True).build(layer)
    layer.weight.grad = torch.ones(3, 4)
    optimizer.step()
    assert layer.weight.isfinite().all()
    assert layer.weight.abs().max() > 0


def test_momentum_of_the_rest_is_refused_where_nobody_has_it():
    with pytest.raises(ValidationError, match="only SGD has it"):
        Muon(other_momentum=0.5)


def test_muon_without_matrices_is_adamw():
    ours, theirs = nn.LayerNorm(4), nn.LayerNorm(4)
    a = run(ours, Muon(other_learning_rate=0.1).build(ours))
    b = run(theirs, AdamW(learning_rate=0.1).build(theirs))
    assert all((x == y).all() for x, y in zip(a, b, strict=True))


def test_hidden_matrices_are_neither_tables_nor_heads():
    network = Small()
    found = hidden_matrices(network)
    assert list(found) == ["body.0.weight", "body.2.weight"]
    assert found["body.0.weight"] is network.body[0].weight


def test_layers_of_a_decoder_that_writes_are_hidden_and_what_reads_them_off_is_not():
    decoder = nn.Module()
    decoder.embedding, decoder.head = nn.Embedding(9, 4), nn.Linear(4, 9)
    decoder.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 4))])
    writes, tells, network = nn.Module(), nn.Linear(4, 2), nn.Module()
    writes.decoder = decoder
    network.heads = nn.ModuleDict({"t0": writes, "t1": tells})
    found = {f"heads.t0.decoder.blocks.0.{place}.weight" for place in (0, 2)}
    assert set(hidden_matrices(network)) == moved_by_muon(network, layers="all") == found


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
