"""A batch in pieces gives the gradients of the whole."""

import pytest
import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.model.network import Network
from trueweight.nn.concat import Concat
from trueweight.nn.encoding import Encoding, Form
from trueweight.registry import registry
from trueweight.train.accumulate import backward_in, pieces_of
from trueweight.train.loop import plain_backward

ROWS = 11


class Body(nn.Module):
    """Numbers through two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.Tanh())
        self.form = Form(8)

    def forward(self, x: dict[str, Tensor]) -> Encoding:
        return Encoding(self.layers(x["number"]).unsqueeze(1))


def network() -> Network:
    torch.manual_seed(0)
    body = Body()
    heads = {
        "cost": registry("head")["number"]().build(body.form, {"mean": 0.0, "std": 1.0}),
        "kind": registry("head")["category"]().build(body.form, {"classes": ["a", "b"], "counts": [5, 6]}),
    }
    return Network({"x": body}, Concat({"x": body.form}), heads, {"cost": 0.3}).double()


def batch(*, weighted: bool, gaps: bool) -> Batch:
    rng = Generator().manual_seed(1)
    present = torch.rand(2, ROWS, generator=rng) > (0.5 if gaps else -1.0)
    targets = {
        "cost": {"value": torch.randn(ROWS, 1, generator=rng).double(), "present": present[0]},
        "kind": {"index": torch.randint(0, 2, (ROWS,), generator=rng), "present": present[1]},
    }
    weight = torch.rand(ROWS, generator=rng) + 0.1 if weighted else None
    return Batch(torch.arange(ROWS), {"x": {"number": torch.randn(ROWS, 3, generator=rng).double()}}, targets, weight)


def gradients(count: int, rows: Batch) -> tuple[Tensor, list[Tensor]]:
    module = network()
    loss = (plain_backward if count == 0 else backward_in(count))(module, rows, Generator())
    return loss, [p.grad for p in module.parameters()]


@pytest.mark.parametrize("count", [1, 2, 3, ROWS, 50])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_pieces_give_the_gradients_of_the_whole(count: int, weighted: bool, gaps: bool) -> None:
    rows = batch(weighted=weighted, gaps=gaps)
    loss, expected = gradients(0, rows)
    found_loss, found = gradients(count, rows)
    # Shares are float32, as the rows' weights are.
    torch.testing.assert_close(found_loss.double(), loss, rtol=1e-6, atol=1e-8)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-7)


def test_pieces_are_all_rows_once_and_their_shares_are_one() -> None:
    rows = batch(weighted=True, gaps=True)
    pieces = list(pieces_of(rows, 4))
    assert torch.equal(torch.cat([piece.rows for piece, _ in pieces]), rows.rows)
    assert {len(piece.rows) for piece, _ in pieces} == {3, 2}
    for name in rows.targets:
        assert sum(share[name] for _, share in pieces).item() == pytest.approx(1.0)


def test_a_piece_without_a_label_gives_nothing() -> None:
    rows = batch(weighted=False, gaps=False)
    rows.targets["cost"]["present"][:] = False
    loss, found = gradients(3, rows)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() for g in found)


def test_one_piece_is_the_plain_way() -> None:
    assert backward_in(1) is plain_backward
