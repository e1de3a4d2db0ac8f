"""LSTM and GRU against their formulas, and what padding and batch mates must not change."""

import numpy as np
import pytest
import torch

from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.recurrent import Recurrent, reversed_steps

LENGTHS = [7, 3, 0, 1]


def batch(width: int = 3, seed: int = 0, dtype: torch.dtype = torch.float32) -> Encoding:
    length = torch.tensor(LENGTHS)
    mask = torch.arange(max(LENGTHS)) < length.unsqueeze(1)
    x = torch.randn(len(LENGTHS), max(LENGTHS), width, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return Encoding(x * mask.unsqueeze(2), mask, (max(LENGTHS),))


def alone(z: Encoding, row: int, length: int) -> Encoding:
    steps = max(1, length)
    return Encoding(z.tokens_BLD[row : row + 1, :steps], z.mask_BL[row : row + 1, :steps], (steps,))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm_by_hand(cell: torch.nn.LSTM, x: np.ndarray) -> np.ndarray:
    """The formula of the part's docstring, step by step in float64."""
    w, u, b1, b2 = (p.detach().double().numpy() for p in cell.parameters())
    h = c = np.zeros(u.shape[1])
    found = []
    for step in x:
        i, f, g, o = np.split(w @ step + b1 + u @ h + b2, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    return np.array(found)


def gru_by_hand(cell: torch.nn.GRU, x: np.ndarray) -> np.ndarray:
    w, u, b1, b2 = (p.detach().double().numpy() for p in cell.parameters())
    h, found = np.zeros(u.shape[1]), []
    for step in x:
        (wr, wz, wn), (ur, uz, un) = np.split(w @ step + b1, 3), np.split(u @ h + b2, 3)
        r, z = sigmoid(wr + ur), sigmoid(wz + uz)
        h = z * h + (1 - z) * np.tanh(wn + r * un)
        found.append(h)
    return np.array(found)


@pytest.mark.parametrize(("kind", "by_hand"), [("lstm", lstm_by_hand), ("gru", gru_by_hand)])
def test_two_layers_in_both_directions_match_the_formula(kind, by_hand):
    torch.manual_seed(0)
    module, z = Recurrent(kind, Form(3), 4, layers=2, bidirectional=True).eval(), batch()
    answer = module(z).tokens_BLD.detach().numpy()
    for row, length in enumerate(LENGTHS):
        x = z.tokens_BLD[row, :length].double().numpy()
        for ahead, back in module.layers:
            x = np.concatenate([by_hand(ahead, x), by_hand(back, x[::-1])[::-1]], 1) if length else np.zeros((0, 8))
        # Fourteen steps of a few float32 sums each.
        np.testing.assert_allclose(answer[row, :length], x, rtol=1e-5, atol=1e-6)
        assert not answer[row, length:].any()


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("ends", [False, True])
def test_a_row_alone_is_answered_as_among_longer_ones(kind, ends):
    torch.manual_seed(1)
    module, z = Recurrent(kind, Form(3), 5, layers=2, bidirectional=True, ends=ends).eval(), batch()
    whole = module(z).tokens_BLD
    for row, length in enumerate(LENGTHS):
        single = module(alone(z, row, length)).tokens_BLD
        torch.testing.assert_close(whole[row : row + 1, : single.shape[1]], single)


def test_the_ends_are_where_each_direction_stops():
    torch.manual_seed(2)
    whole = Recurrent("lstm", Form(3), 4, bidirectional=True)
    ends = Recurrent("lstm", Form(3), 4, bidirectional=True, ends=True)
    ends.load_state_dict(whole.state_dict())
    z = batch()
    steps, last = whole(z).tokens_BLD, ends(z).tokens_BLD[:, 0]
    for row, length in enumerate(LENGTHS):
        expected = torch.cat([steps[row, length - 1, :4], steps[row, 0, 4:]]) if length else torch.zeros(8)
        torch.testing.assert_close(last[row], expected)
    assert (ends.form.grid_rank, ends.form.width) == (0, 8)


def test_steps_are_reversed_within_each_row_and_back():
    z = batch()
    back = reversed_steps(z.tokens_BLD, z.mask_BL)
    for row, length in enumerate(LENGTHS):
        assert torch.equal(back[row, :length], z.tokens_BLD[row, :length].flip(0))
    assert torch.equal(reversed_steps(back, z.mask_BL), z.tokens_BLD)
    assert torch.equal(reversed_steps(z.tokens_BLD, None), z.tokens_BLD.flip(1))


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_weights_begin_orthogonal_and_gates_open(kind):
    module = Recurrent(kind, Form(3), 6)
    weights = dict(module.named_parameters())
    for gate in weights["layers.0.0.weight_hh_l0"].split(6):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6), rtol=1e-5, atol=1e-5)
    bias = (weights["layers.0.0.bias_ih_l0"] + weights["layers.0.0.bias_hh_l0"]).detach()
    assert bias.split(6)[1].tolist() == ([1.0] * 6 if kind == "lstm" else [0.0] * 6)
    assert not bias.split(6)[0].any()


def test_gradient_matches_finite_differences():
    torch.manual_seed(0)
    module = Recurrent("lstm", Form(2), 3, bidirectional=True).double()
    z = batch(2, dtype=torch.float64)
    x = z.tokens_BLD[:2, :4].clone().requires_grad_()
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    assert torch.autograd.gradcheck(lambda x: module(Encoding(x, mask, (4,))).tokens_BLD, x)


def test_dropout_is_the_same_at_all_steps_and_only_in_training():
    torch.manual_seed(0)
    module = Recurrent("gru", Form(3), 64, layers=2, dropout=0.5)
    x = torch.ones(2, 5, 64)
    dropped = module._dropped(x)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped, dropped[:, :1].expand(-1, 5, -1))
    assert module.eval()._dropped(x) is x


def test_it_learns_what_came_first():
    """The class is the sign of the first step, thirty steps before the end: where the way back stops."""
    torch.manual_seed(0)
    module, head = Recurrent("lstm", Form(1), 8, bidirectional=True, ends=True), torch.nn.Linear(16, 1)
    x = torch.randn(256, 30, 1)
    y = (x[:, 0] > 0).float()
    optimizer = torch.optim.Adam([*module.parameters(), *head.parameters()], lr=2e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(module(Encoding(x)).tokens_BLD[:, 0]), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # torch's own loops, as of 2.13
def test_an_exported_loop_does_what_torch_does_at_once(kind):
    torch.manual_seed(0)
    module = Recurrent(kind, Form(3), 4).eval()
    (cell,) = module.layers[0]
    for bias in (cell.bias_ih_l0, cell.bias_hh_l0):
        torch.nn.init.normal_(bias)
    steps = {"tokens_BLD": {1: torch.export.Dim("steps")}}
    exported = torch.export.export(Tokens(module), (torch.randn(5, 9, 3),), dynamic_shapes=steps).module()
    for length in (2, 9, 40):
        x_BTD = torch.randn(5, length, 3)
        # Sums in another order.
        torch.testing.assert_close(exported(x_BTD), cell(x_BTD)[0], rtol=1e-5, atol=1e-6)


class Tokens(torch.nn.Module):
    def __init__(self, module: Recurrent) -> None:
        super().__init__()
        self.module = module

    def forward(self, tokens_BLD: torch.Tensor) -> torch.Tensor:
        return self.module(Encoding(tokens_BLD)).tokens_BLD
