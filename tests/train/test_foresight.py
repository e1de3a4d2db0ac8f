"""What is done to rows once instead of at every step gives the same losses and gradients, bit for bit."""

from typing import Any

import pytest
import torch

from trueweight.data.column import Sense
from trueweight.data.feed import Feed
from trueweight.data.field import Layout
from trueweight.data.packed import Packed
from trueweight.model.network import Network
from trueweight.nn.concat import Concat
from trueweight.nn.encoding import ahead_of
from trueweight.registry import registry
from trueweight.train.foresight import foreseen
from trueweight.train.plan import MemberPlan

ROWS = 48
TABLE = Layout({"number": 6, "flag": 2}, knots=[[-1.0, 0.0, 1.0]] * 6)
SERIES = Layout({"frame": 2}, senses={"frame": Sense(ragged=True, mean=(0.5, 1.0), std=(2.0, 0.3), length=8)})
KINDS: dict[str, tuple[str, Layout, dict[str, Any]]] = {
    "plain": ("mlp", TABLE, {"hidden_sizes": [8], "numerical_embedding": "none"}),
    "pieces": ("mlp", TABLE, {"hidden_sizes": [8], "numerical_embedding": "piecewise_linear"}),
    "waves": ("mlp", TABLE, {"hidden_sizes": [8], "numerical_embedding": "periodic"}),
    "members": ("mlp", TABLE, {"hidden_sizes": [8], "members": 3}),
    "lstm": ("lstm", SERIES, {"hidden_size": 8}),
    "chain": ("chain", SERIES, {"parts": [{"type": "cnn", "channels": [4]}, {"type": "gru", "hidden_size": 4}]}),
}


def network_and_rows(kind: str, lengths: str = "equal") -> tuple[Network, Feed]:
    torch.manual_seed(0)
    name, layout, options = KINDS[kind]
    encoder: Any = registry("encoder")[name].model_validate({**options, "dropout": 0.0} if name != "chain" else options)
    built = encoder.build(layout)
    head = registry("head")["number"]().build(built.form, {"mean": 0.0, "std": 1.0})
    inputs: dict[str, Any] = {"number": torch.randn(ROWS, 6), "flag": torch.randint(0, 2, (ROWS, 2)).float()}
    if layout is SERIES:
        count = torch.full((ROWS,), 8) if lengths == "equal" else torch.arange(ROWS) % 7 + 2
        start = torch.cat([torch.zeros(1, dtype=torch.int64), count.cumsum(0)])
        inputs = {"frame": Packed(torch.randn(int(start[-1]), 2), start)}
    targets = {"value": torch.randn(ROWS, 1), "present": torch.ones(ROWS, dtype=torch.bool)}
    network = Network({"x": built}, Concat({"x": built.form}), {"y": head}).train()
    return network, Feed(torch.arange(ROWS), {"x": inputs}, {"y": targets})


def plan(steps: int = 100, device: str = "cpu") -> MemberPlan:
    counts = {"steps": steps, "batch_size": 16, "epochs": 1.0, "validate_every": 5, "checkpoint_every": 5}
    return MemberPlan(name="toy", device=device, **counts)


def taken(network: Network, feed: Feed) -> list[torch.Tensor]:
    network.zero_grad()
    loss = network(feed.gather(torch.arange(3, 29)), torch.Generator())
    loss.backward()
    return [loss.detach(), *(p.grad.clone() for p in network.parameters() if p.grad is not None)]


@pytest.mark.parametrize("lengths", ["equal", "many"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_losses_and_gradients_are_the_same_bits(kind: str, lengths: str) -> None:
    network, feed = network_and_rows(kind, lengths)
    done = foreseen(network, feed, plan())
    for one, other in zip(taken(network, done), taken(network, feed.lean()), strict=True):
        assert torch.equal(one, other)


def test_work_is_done_ahead_where_it_pays() -> None:
    network, feed = network_and_rows("plain")
    assert ahead_of("number") in foreseen(network, feed, plan()).inputs["x"]
    assert "number" not in foreseen(network, feed, plan()).inputs["x"]
    assert "number" in foreseen(network, feed, plan(steps=2)).inputs["x"]  # most rows will not be seen
    assert foreseen(network, feed, plan(device="cuda")) is feed
    assert foreseen(torch.nn.Linear(2, 2), feed, plan()) is feed


def test_fields_whose_examples_are_changed_first_are_left_alone() -> None:
    network, _ = network_and_rows("plain")
    assert set(network.ahead()) == {"x"}
    network.augments = torch.nn.ModuleDict({"f0": torch.nn.Identity()})
    assert network.ahead() == {}
