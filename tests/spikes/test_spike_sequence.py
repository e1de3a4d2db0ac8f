"""Spike: a sequence-to-sequence head keeps the protocols. It learns to write short token sequences backwards."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed, epoch_order
from trueweight.model.network import Network
from trueweight.model.protocols import Context, Decoding, Encoder, Fusion, Head, Streaming
from trueweight.nn.concat import Concat
from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.losses import mean_over_rows
from trueweight.nn.pooling import pooled

TOKENS, LENGTH, WIDTH = 6, 4, 32  # token 0 is padding and begin-of-sequence


class TokenEncoder(nn.Module):
    """Tokens (R, T) to an encoding whose grid is the sequence; padding is masked."""

    form = Form(WIDTH, grid_rank=1)

    def __init__(self) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(TOKENS, WIDTH), nn.Parameter(torch.randn(LENGTH, WIDTH))

    def forward(self, x: Tensors) -> Encoding:
        return Encoding(self.token(x["token"]) + self.place, x["token"] > 0, grid=(LENGTH,))


class SequenceHead(nn.Module):
    """Attends to the encoding from one query per step, the token before joined to it; knows its own cache."""

    row_wise = True

    def __init__(self, form: Form) -> None:
        super().__init__()
        width = form.width
        self.place, self.before = nn.Embedding(LENGTH, width), nn.Embedding(TOKENS, width)
        self.query = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.keys, self.values = nn.Linear(width, width), nn.Linear(width, width)
        self.out = nn.Linear(width, TOKENS)

    def cache(self, z: Encoding) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        assert z.mask_BL is not None
        return self.keys(z.tokens_BLD), self.values(z.tokens_BLD), z.mask_BL, pooled(z)

    def steps(self, cache: tuple[Tensor, Tensor, Tensor, Tensor], place_S: Tensor, before_BS: Tensor) -> Tensor:
        """Logits (B, S, V) of the steps at these places, given the tokens before them."""
        keys_BLD, values_BLD, mask_BL, whole_BD = cache
        query_BSD = self.query(self.place(place_S) + self.before(before_BS) + whole_BD.unsqueeze(1))
        score_BSL = query_BSD @ keys_BLD.transpose(1, 2) / query_BSD.shape[2] ** 0.5
        score_BSL = score_BSL.masked_fill(~mask_BL.unsqueeze(1), -torch.inf)
        return self.out(score_BSL.softmax(2) @ values_BLD + query_BSD)

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:
        before_RT = nn.functional.pad(y["token"], (1, 0))[:, :-1]  # teacher forcing
        z_RTV = self.steps(self.cache(z), torch.arange(LENGTH), before_RT)
        loss_RT = nn.functional.cross_entropy(z_RTV.transpose(1, 2), y["token"], reduction="none")
        return mean_over_rows(loss_RT.mean(1, keepdim=True), y["present"], weight_R)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:
        return {}

    def stream(self, z: Encoding, how: Decoding, noise: Tensors) -> Iterator[Tensors]:
        cache = self.cache(z)
        before_R = torch.zeros(len(z.tokens_BLD), dtype=torch.long)
        for t in range(min(LENGTH, how.max_steps or LENGTH)):
            before_R = self.steps(cache, torch.tensor([t]), before_R[:, None])[:, 0].argmax(1)
            yield {"token": before_R}

    def outputs(self, z: Encoding, how: Decoding, noise: Tensors) -> Tensors:
        return {"token": torch.stack([out["token"] for out in self.stream(z, how, noise)], dim=1)}

    def read(self, out: Tensors, facts: Mapping[str, Any], context: Context) -> "TextPrediction":
        return TextPrediction(["".join(facts["letters"][t] for t in row) for row in out["token"].tolist()])


@dataclass(frozen=True)
class TextPrediction:
    """Enough of a Prediction for one test."""

    text_N: list[str]


def rows(count: int, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    words = [rng.integers(1, TOKENS, size=rng.integers(1, LENGTH + 1)) for _ in range(count)]
    pad = lambda w: torch.from_numpy(np.pad(w, (0, LENGTH - len(w))))  # noqa: E731
    x, y = torch.stack([pad(w) for w in words]), torch.stack([pad(w[::-1]) for w in words])
    target = {"token": y, "present": torch.ones(count, dtype=torch.bool)}
    return Batch(torch.arange(count), {"text": {"token": x}}, {"reversed": target})


def test_it_learns_to_write_backwards():
    torch.manual_seed(0)
    body: Encoder = TokenEncoder()
    fusion: Fusion = Concat({"text": body.form})
    head: Streaming = SequenceHead(fusion.form)
    network = Network({"text": body}, fusion, {"reversed": head})
    optimizer, rng = torch.optim.Adam(network.parameters(), lr=0.01), torch.Generator()
    known = rows(4000, 0)
    feed = Feed(known.rows, known.inputs, known.targets)
    for step in range(400):
        optimizer.zero_grad()
        network(feed.batch(epoch_order(4000, 0, step)[:128]), rng).backward()
        optimizer.step()

    fresh, how = rows(200, 10_000), Decoding()
    with torch.inference_mode():
        found = network.answer(fresh, how, network.noise(fresh.rows, 0))["reversed"]
        right = (found["token"] == fresh.targets["reversed"]["token"]).all(1).float().mean()
        assert right > 0.95
        # Streaming says the same, step by step, and stops when told to.
        z = network.encode(fresh)
        streamed = torch.stack([out["token"] for out in head.stream(z, how, {})], dim=1)
        assert torch.equal(streamed, found["token"])
        assert len(list(head.stream(z, Decoding(max_steps=2), {}))) == 2
    letters = head.read(found, {"letters": "_abcde"}, Context(fresh.rows.numpy()))
    assert len(letters.text_N) == 200
    assert isinstance(head, nn.Module)
    plain: Head = head  # a streaming head is a head
    assert plain.row_wise
