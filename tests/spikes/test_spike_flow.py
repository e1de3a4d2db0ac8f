"""Spike: a flow-matching head keeps the protocols. It learns to draw from two moons, given which moon."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed, epoch_order
from trueweight.metrics.prediction import VectorPrediction
from trueweight.model.network import Network
from trueweight.model.protocols import Context, Decoding, Encoder, Fusion, Head
from trueweight.nn.concat import Concat
from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.losses import mean_over_rows
from trueweight.nn.noise import row_normal
from trueweight.nn.pooling import pooled

STEPS = 20


class MoonEncoder(nn.Module):
    """Which moon, as it is."""

    form = Form(2)

    def forward(self, x: Tensors) -> Encoding:
        return Encoding(nn.functional.one_hot(x["code"][:, 0], 2).float().unsqueeze(1))


class FlowHead(nn.Module):
    """Learns the velocity from noise to data along straight lines (Lipman et al. 2022, arXiv:2210.02747), then
    follows it from each row's own noise."""

    row_wise = True

    def __init__(self, form: Form, width: int) -> None:
        super().__init__()
        self.width = width
        self.velocity = nn.Sequential(
            nn.Linear(form.width + width + 1, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, width)
        )

    def at(self, z_RD: Tensor, x_RW: Tensor, t_R1: Tensor) -> Tensor:
        return self.velocity(torch.cat([z_RD, x_RW, t_R1], dim=1))

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:
        data_RW = y["value"]
        noise_RW = torch.randn(data_RW.shape, generator=rng)
        t_R1 = torch.rand(len(data_RW), 1, generator=rng)
        found_RW = self.at(pooled(z), (1 - t_R1) * noise_RW + t_R1 * data_RW, t_R1)
        loss_R1 = (found_RW - (data_RW - noise_RW)).square().mean(1, keepdim=True)
        return mean_over_rows(loss_R1, y["present"], weight_R)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:
        return {"start": row_normal(rows_R, seed, self.width)}

    def outputs(self, z: Encoding, how: Decoding, noise: Tensors) -> Tensors:
        z_RD, x_RW = pooled(z), noise["start"] * (how.temperature or 1.0)
        for step in range(STEPS):
            t_R1 = x_RW.new_full((len(x_RW), 1), (step + 0.5) / STEPS)
            x_RW = x_RW + self.at(z_RD, x_RW, t_R1) / STEPS
        return {"value": x_RW}

    def read(self, out: Tensors, facts: Mapping[str, Any], context: Context) -> VectorPrediction:
        assert len(context.rows_R) == len(out["value"])
        return VectorPrediction(out["value"].double().numpy() * facts["std"] + facts["mean"])


def moons(count: int, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    which, angle = rng.integers(0, 2, count), rng.uniform(0, np.pi, count)
    x = np.where(which, 1 - np.cos(angle), np.cos(angle)) + 0.05 * rng.normal(size=count)
    y = np.where(which, 0.5 - np.sin(angle), np.sin(angle)) + 0.05 * rng.normal(size=count)
    value = torch.from_numpy(np.stack([x, y], axis=1)).float()
    target = {"value": value, "present": torch.ones(count, dtype=torch.bool)}
    return Batch(torch.arange(count), {"table": {"code": torch.from_numpy(which)[:, None]}}, {"point": target})


def distance_to_moon(points: np.ndarray, which: np.ndarray) -> np.ndarray:
    """How far each point is from the circle that its moon is half of."""
    center = np.where(which[:, None] == 1, [[1.0, 0.5]], [[0.0, 0.0]])
    return np.abs(np.linalg.norm(points - center, axis=1) - 1)


def test_it_learns_to_draw_moons():
    torch.manual_seed(0)
    body: Encoder = MoonEncoder()
    fusion: Fusion = Concat({"table": body.form})
    head: Head = FlowHead(fusion.form, 2)
    network = Network({"table": body}, fusion, {"point": head})
    optimizer, rng = torch.optim.Adam(network.parameters(), lr=5e-3), torch.Generator().manual_seed(0)
    known = moons(4000, 0)
    feed = Feed(known.rows, known.inputs, known.targets)
    for step in range(700):
        optimizer.zero_grad()
        network(feed.batch(epoch_order(4000, 0, step)[:256]), rng).backward()
        optimizer.step()

    fresh, how = moons(400, 10_000), Decoding()

    def draw(batch: Batch, seed: int) -> Tensor:
        with torch.inference_mode():
            return network.answer(batch, how, network.noise(batch.rows, seed))["point"]["value"]

    found = draw(fresh, 7)
    points = head.read({"value": found}, {"std": 1.0, "mean": 0.0}, Context(fresh.rows.numpy())).value_ND
    which = fresh.inputs["table"]["code"][:, 0].numpy()
    far = distance_to_moon(points, which)
    assert np.median(far) < 0.12  # noise alone lies 0.5 away
    assert points[which == 0].std(axis=0).min() > 0.2  # all of the moon, not one point of it

    # Answers depend on (seed, row), not on batch mates.
    pick = torch.tensor([311, 5])
    few = Batch(fresh.rows[pick], {"table": {"code": fresh.inputs["table"]["code"][pick]}}, {})
    torch.testing.assert_close(draw(few, 7), found[pick], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(draw(few, 8), found[pick], atol=1e-2)
