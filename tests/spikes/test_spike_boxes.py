"""Spike: a boxes head over a two-level pyramid keeps the protocols. It learns where the bright square is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed, epoch_order
from trueweight.model.network import Network
from trueweight.model.protocols import Context, Decoding, Encoder, Fusion, Head
from trueweight.nn.concat import Concat
from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.losses import mean_over_rows

SIDE, WIDTH = 16, 16


class PyramidEncoder(nn.Module):
    """An image (R, 1, 16, 16) to a 4 x 4 encoding with one finer level of 8 x 8."""

    form = Form(WIDTH, grid_rank=2, levels=1)

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(1, WIDTH, 3, 2, 1), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, 1, 1), nn.ReLU())
        self.coarse = nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH, 3, 2, 1), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, 1, 1), nn.ReLU()
        )

    def forward(self, x: Tensors) -> Encoding:
        fine = self.fine(x["pixels"].float() / 255)
        return Encoding(*self.tokens(self.coarse(fine)), finer=(Encoding(*self.tokens(fine)),))

    @staticmethod
    def tokens(map_RDHW: Tensor) -> tuple[Tensor, None, tuple[int, ...]]:
        return map_RDHW.flatten(2).transpose(1, 2), None, tuple(map_RDHW.shape[2:])


class BoxHead(nn.Module):
    """For every cell of every level: is the box's centre here, and how far are its four sides? The box is that of
    the most certain cell (one box an image; after Tian et al. 2019, "FCOS", arXiv:1904.01355)."""

    row_wise = True

    def __init__(self, form: Form) -> None:
        super().__init__()
        assert form.levels == 1
        self.certain = nn.ModuleList(nn.Linear(form.width, 1) for _ in range(2))
        self.sides = nn.ModuleList(nn.Linear(form.width, 4) for _ in range(2))

    def cells(self, z: Encoding) -> tuple[Tensor, Tensor, Tensor]:
        """Logit (R, L), box (R, L, 4) and whether cells of this size are meant for small boxes (L,)."""
        logits, boxes, small = [], [], []
        for level, one in enumerate((z, *z.finer)):
            stride = SIDE / one.grid[0]
            axes = [(torch.arange(n) + 0.5) * stride for n in one.grid]
            y_L, x_L = (g.flatten() for g in torch.meshgrid(*axes, indexing="ij"))
            left, top, right, bottom = (nn.functional.softplus(self.sides[level](one.tokens_BLD)) * stride).unbind(2)
            boxes.append(torch.stack([x_L - left, y_L - top, x_L + right, y_L + bottom], dim=2))
            logits.append(self.certain[level](one.tokens_BLD).squeeze(2))
            small.append(torch.full((len(x_L),), level == 1))
        return torch.cat(logits, 1), torch.cat(boxes, 1), torch.cat(small)

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:
        logit_RL, box_RL4, small_L = self.cells(z)
        truth_R4 = y["box"]
        cell_R = self.cell_of(truth_R4)
        rows_R = torch.arange(len(truth_R4))
        found_R = nn.functional.cross_entropy(logit_RL, cell_R, reduction="none")
        off_R = (box_RL4[rows_R, cell_R] - truth_R4).abs().mean(1)
        return mean_over_rows((found_R + off_R).unsqueeze(1), y["present"], weight_R)

    @staticmethod
    def cell_of(box_R4: Tensor) -> Tensor:
        """Small boxes belong to the finer level, large ones to the coarse one: the cell that holds the centre."""
        center_R2 = (box_R4[:, :2] + box_R4[:, 2:]) / 2
        is_small_R = (box_R4[:, 2] - box_R4[:, 0]) < 5
        coarse, fine = ((center_R2 / (SIDE / n)).long().clamp(0, n - 1) for n in (4, 8))
        return torch.where(is_small_R, 16 + fine[:, 1] * 8 + fine[:, 0], coarse[:, 1] * 4 + coarse[:, 0])

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:
        return {}

    def outputs(self, z: Encoding, how: Decoding, noise: Tensors) -> Tensors:
        logit_RL, box_RL4, _ = self.cells(z)
        best_R = logit_RL.argmax(1)
        score_R = logit_RL.softmax(1).gather(1, best_R[:, None])[:, 0]
        return {"box": box_RL4[torch.arange(len(best_R)), best_R], "score": score_R}

    def read(self, out: Tensors, facts: Mapping[str, Any], context: Context) -> "BoxPrediction":
        return BoxPrediction(out["box"].double().numpy(), out["score"].double().numpy())


@dataclass(frozen=True)
class BoxPrediction:
    """Enough of a Prediction for one test."""

    box_N4: np.ndarray
    score_N: np.ndarray


def images(count: int, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, size=(count, 1, SIDE, SIDE)).astype(np.uint8)
    size = rng.integers(2, 9, count)
    corner = (rng.random((count, 2)) * (SIDE - size[:, None] + 1)).astype(int)
    for image, (x, y), side in zip(pixels, corner, size, strict=True):
        image[0, y : y + side, x : x + side] = 220
    box = torch.from_numpy(np.concatenate([corner, corner + size[:, None]], axis=1)).float()
    target = {"box": box, "present": torch.ones(count, dtype=torch.bool)}
    return Batch(torch.arange(count), {"photo": {"pixels": torch.from_numpy(pixels)}}, {"square": target})


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union."""
    inner = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(1)
    area = lambda box: (box[:, 2:] - box[:, :2]).clip(0).prod(1)  # noqa: E731
    return inner / (area(a) + area(b) - inner)


def test_it_finds_the_bright_square():
    torch.manual_seed(0)
    body: Encoder = PyramidEncoder()
    fusion: Fusion = Concat({"photo": body.form})
    head: Head = BoxHead(fusion.form)
    network = Network({"photo": body}, fusion, {"square": head})
    optimizer, rng = torch.optim.Adam(network.parameters(), lr=8e-3), torch.Generator()
    known = images(2000, 0)
    feed = Feed(known.rows, known.inputs, known.targets)
    for step in range(200):
        optimizer.zero_grad()
        network(feed.batch(epoch_order(2000, 0, step)[:32]), rng).backward()
        optimizer.step()

    fresh = images(200, 10_000)
    with torch.inference_mode():
        z = network.encode(fresh)
        assert (z.grid, z.finer[0].grid) == ((4, 4), (8, 8))
        out = network.answer(fresh, Decoding(), {})["square"]
    answer = head.read(out, {}, Context(fresh.rows.numpy()))
    assert np.median(overlap(answer.box_N4, fresh.targets["square"]["box"].numpy())) > 0.7
