"""A plain character-level transformer and its loop, written out by hand: what ours is held against on novels.

The size and the constants are nanoGPT's for small machines (its README: 4 layers, 4 heads, width 128, no dropout, rate
1e-3 falling by a cosine to 1e-4, beta2 0.99, 100 steps of warm-up), but for a block of 256 bytes instead of 64 and 16
blocks a step, which helps it. A character is a byte: the vocabulary is 256.
"""

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

BLOCK, BATCH, LAYERS, HEADS, WIDTH = 256, 16, 4, 4, 128
RATE, LEAST_RATE, WARMUP = 1e-3, 1e-4, 100


class Block(nn.Module):
    """Causal attention and a perceptron, each behind a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to the same."""
        q, k, v = (t.unflatten(2, (HEADS, -1)).transpose(1, 2) for t in self.qkv(self.norm_1(x)).chunk(3, dim=2))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        added: Tensor = self.down(F.gelu(self.up(self.norm_2(x))))
        return x + added


class CharacterModel(nn.Module):
    """Bytes in, logits of the next byte out."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(256, WIDTH), nn.Embedding(BLOCK, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                deep = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * LAYERS) if deep else 0.02)

    def forward(self, token_BT: Tensor) -> Tensor:
        """(B, T) to (B, T, 256)."""
        x = self.token(token_BT) + self.place.weight[: token_BT.shape[1]]
        logits: Tensor = F.linear(self.norm(self.blocks(x)), self.token.weight)
        return logits


def learnt(text: bytes, seconds: float, seed: int) -> tuple[CharacterModel, int]:
    """A model after so many seconds, and its steps."""
    torch.manual_seed(seed)
    data, model = torch.from_numpy(np.frombuffer(text, np.uint8).astype(np.int64)), CharacterModel()
    optimizer = torch.optim.AdamW(model.parameters(), RATE, betas=(0.9, 0.99), weight_decay=0.1)
    start, step = time.perf_counter(), 0
    while (gone := (time.perf_counter() - start) / seconds) < 1:
        cosine = LEAST_RATE + 0.5 * (1 + math.cos(math.pi * gone)) * (RATE - LEAST_RATE)
        optimizer.param_groups[0]["lr"] = cosine * min(1.0, (step + 1) / WARMUP)
        begin_B = torch.randint(len(data) - BLOCK - 1, (BATCH,))
        piece = data[begin_B[:, None] + torch.arange(BLOCK + 1)]
        loss = F.cross_entropy(model(piece[:, :-1]).flatten(0, 1), piece[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
    return model.eval(), step


def bits(model: CharacterModel, text: bytes) -> float:
    """Bits that all of the text costs but its first byte, each byte seen with at least half a block before it where
    there is so much."""
    data = torch.from_numpy(np.frombuffer(text, np.uint8).astype(np.int64))
    total, done = 0.0, 1
    with torch.no_grad():
        while done < len(data):
            begin = max(0, done - BLOCK // 2)
            piece = data[begin : begin + BLOCK + 1]
            loss_T = F.cross_entropy(model(piece[None, :-1])[0], piece[1:], reduction="none")
            total += float(loss_T[done - begin - 1 :].double().sum())
            done = begin + len(piece)
    return total / math.log(2)


def measured(train: str, test: str, seconds: float, seed: int) -> dict[str, Any]:
    """Bits per byte of the test text."""
    model, steps = learnt(train.encode(), seconds, seed)
    said = test.encode()
    size = sum(weight.numel() for weight in model.parameters())
    return {"bits_per_byte": bits(model, said) / len(said), "steps": steps, "weights": size}
