"""Rows that weights meet: counted by products, known by hand."""

import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed
from trueweight.nn.members import MemberLinear
from trueweight.train.seen import rows_seen

ROWS = 40


class Seeing(nn.Module):
    """Dense on rows and on places, filters, layers of two members, one used twice and one never."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, 8, 3, padding=1, stride=2)
        self.along = nn.Conv1d(8, 4, 3)
        self.places = nn.Linear(4, 5)
        self.rows = nn.Linear(5, 5, bias=False)
        self.members = MemberLinear(2, 5, 6)
        self.unused = nn.Linear(6, 6)
        self.norm = nn.BatchNorm1d(5)
        self.dropout = nn.Dropout(0.5)

    def forward(self, batch: Batch, rng: Generator) -> Tensor:
        y = self.filters(batch.inputs["a"]["pixel"])  # (B, 8, 4, 4)
        y = self.along(y.flatten(2))  # (B, 4, 14)
        y = self.places(y.mT)  # (B, 14, 5)
        y = self.norm(self.rows(torch.relu(self.rows(y.mean(1)))))
        z = self.members(y.repeat_interleave(2, 0))
        return self.dropout(z).sum()


def feed() -> Feed:
    x = torch.randn(ROWS, 3, 8, 8, generator=Generator().manual_seed(0))
    return Feed(torch.arange(ROWS), {"a": {"pixel": x}}, {})


def test_rows_are_counted_by_places():
    seen = rows_seen(Seeing(), feed(), 32, torch.device("cpu"))
    assert seen == {
        "filters.weight": 32 * 16, "along.weight": 32 * 14, "places.weight": 32 * 14, "rows.weight": 2 * 32,
        "members.weight_KDO": 32,
    }  # fmt: skip


def test_looking_changes_nothing():
    network = Seeing().train()
    before = {name: t.clone() for name, t in network.state_dict().items()}
    state = torch.random.get_rng_state()
    rows_seen(network, feed(), 32, torch.device("cpu"))
    assert torch.equal(state, torch.random.get_rng_state())
    assert network.training
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
