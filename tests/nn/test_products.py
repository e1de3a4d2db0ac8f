"""Products by packed weights against those worked out in double precision, and who may use them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from trueweight.nn import products
from trueweight.nn.decoder import DecoderWishes, TransformerDecoder
from trueweight.nn.generate import Choice
from trueweight.nn.products import Linear, can_be_packed
from trueweight.nn.slots import write

packing = pytest.mark.skipif(
    not can_be_packed(torch.zeros(1)), reason="this machine multiplies packed weights no faster"
)

FOLLOWS: list[Callable[[Tensor], Tensor] | None] = [None, nn.GELU(), nn.GELU("tanh"), nn.ReLU(), nn.SiLU()]


@packing
@pytest.mark.parametrize("then", FOLLOWS)
@pytest.mark.parametrize("biased", [True, False])
def test_packed_or_not_they_are_what_double_precision_says(
    monkeypatch: pytest.MonkeyPatch, then: Callable[[Tensor], Tensor] | None, biased: bool
) -> None:
    monkeypatch.setattr(products, "_WORTH", 8 * 48 * 40)
    torch.manual_seed(0)
    weight, bias = torch.randn(40, 48) / 7, torch.randn(40) if biased else None
    layer, plain = (Linear(weight, bias, packs=packs, then=then) for packs in (True, False))
    for rows in (1, 7, 8, 33):
        x_MI, to_MO = torch.randn(rows, 48), torch.randn(rows, 40)
        y_MO = x_MI.double() @ weight.double().T + (0 if bias is None else bias.double())
        for one in (layer, plain):
            # Sums of 48 products of about one seventh: errors of single precision are far below this.
            expected = (y_MO if then is None else then(y_MO)).float()
            torch.testing.assert_close(one(x_MI), expected, rtol=1e-5, atol=2e-6)
            if then is None:
                torch.testing.assert_close(one.added(x_MI, to_MO), (y_MO + to_MO).float(), rtol=1e-5, atol=2e-6)
        assert (layer._packed is not None) == (rows >= 8)  # few rows are not worth it
    assert plain._packed is None


@packing
def test_a_piece_of_a_wider_tensor_can_be_multiplied() -> None:
    torch.manual_seed(0)
    weight, wide = torch.randn(512, 128), torch.randn(64, 200)
    expected = nn.functional.linear(wide[:, 30:158], weight)
    torch.testing.assert_close(Linear(weight, None, packs=True)(wide[:, 30:158]), expected, rtol=1e-5, atol=1e-4)


def test_only_single_precision_is_packed() -> None:
    assert not can_be_packed(torch.zeros(1, dtype=torch.float64))
    assert not can_be_packed(torch.zeros(1, dtype=torch.bfloat16))
    assert not can_be_packed(torch.zeros(1, device="meta"))


@torch.inference_mode()
def test_many_rows_are_written_as_each_alone() -> None:
    wishes = DecoderWishes(
        width=128, layers=1, heads=4, key_value_heads=4, hidden=512, dropout=0.0, norm="pre", normalization="rms",
        activation="gelu", positions="rotary", qk_norm=True, tied=False, length=20,
    )  # fmt: skip
    torch.manual_seed(0)
    decoder, rows = TransformerDecoder(500, None, wishes).eval(), 24
    prompts = [torch.randint(2, 500, (row % 7,)) for row in range(rows)]

    def written(some: list[int]) -> dict[int, list[tuple[int, float]]]:
        found: dict[int, list[tuple[int, float]]] = {row: [] for row in some}
        seeds = torch.tensor(some)
        for row_B, token_B, logp_B in write(decoder, {}, [prompts[row] for row in some], seeds, Choice(steps=6)):
            for row, token, logp in zip(row_B.tolist(), token_B.tolist(), logp_B.tolist(), strict=True):
                found[some[row]].append((token, logp))
        return found

    together = written(list(range(rows)))
    for row in range(rows):
        alone = written([row])[row]
        assert [token for token, _ in together[row]] == [token for token, _ in alone]
        assert [logp for _, logp in together[row]] == pytest.approx([logp for _, logp in alone], abs=1e-4)
