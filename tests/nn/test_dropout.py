"""Our dropout against what dropout is."""

import pytest
import torch

from trueweight.nn.dropout import Dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_it_zeroes_the_share_asked_for_and_keeps_the_mean(probability: float):
    torch.manual_seed(0)
    y = Dropout(probability)(torch.ones(1000, 1003))
    # Rounded to 256ths, plus four standard errors of a million draws.
    assert float((y == 0).float().mean()) == pytest.approx(probability, abs=1 / 512 + 0.002)
    assert float(y.mean()) == pytest.approx(1, abs=0.02)


def test_places_are_independent():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(4000, 16)) > 0).float()
    off_diagonal = torch.corrcoef(kept.t()) - torch.eye(16)
    assert float(off_diagonal.abs().max()) < 0.08  # five standard errors of 4,000 rows


def test_gradient_passes_where_the_number_did():
    torch.manual_seed(0)
    x = torch.randn(50, 7, requires_grad=True)
    y = Dropout(0.3)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


def test_nothing_happens_when_not_training_or_not_asked():
    x = torch.randn(5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_the_default_generator_decides():
    x, module = torch.ones(3, 5), Dropout(0.5)
    torch.manual_seed(1)
    one = module(x)
    torch.manual_seed(1)
    assert torch.equal(module(x), one)
    assert Dropout(0.5)(torch.ones(0, 4)).shape == (0, 4)


def test_per_row_gradients_draw_per_row():
    torch.manual_seed(0)
    rows = torch.func.vmap(Dropout(0.5), randomness="different")(torch.ones(64, 16))
    assert len(rows.unique(dim=0)) > 32
