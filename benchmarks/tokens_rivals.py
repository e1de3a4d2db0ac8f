"""The language model of the benchmark of tokens, written by hand in plain PyTorch, its loop, and transformers' Trainer.

    python benchmarks/tokens_rivals.py SIZES LINES TOKENS

As a program it is the Trainer's side, in a virtual environment that has transformers and need not have Trueweight
(``make rivals``). SIZES is JSON of :class:`Sizes`, LINES a NumPy file of tokens, (lines, places + 1). For each line on
standard input that holds a number of steps it trains a fresh model and prints the seconds of a step.

Both train lines of the text as GPT-2's makers do: rows end to end with their end marks, cut every so many tokens, and
attention sees whatever stands before in the line, of whichever row. That needs no work at all on where rows begin.
"""

import gc
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from time import perf_counter
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # all on the CPU, as ours
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np  # before anything looks for a device
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

RATE = 1e-3
WARM = 3
"""Steps of the Trainer that are not counted."""


@dataclass(frozen=True)
class Sizes:
    """Of the model."""

    vocabulary: int
    width: int
    layers: int
    heads: int


class Block(nn.Module):
    """Causal attention with rotary places and normalised queries and keys, and a perceptron, each behind a norm."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, self.heads = sizes.width, sizes.heads
        self.norm_1, self.norm_2 = nn.RMSNorm(width, eps=1e-6), nn.RMSNorm(width, eps=1e-6)
        self.norm_q = nn.RMSNorm(width // self.heads, eps=1e-6)
        self.norm_k = nn.RMSNorm(width // self.heads, eps=1e-6)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BTD: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
        """(B, T, D) to the same."""
        q, k, v = self.qkv(self.norm_1(x_BTD)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        q, k = turned(self.norm_q(q), cos_TK, sin_TK), turned(self.norm_k(k), cos_TK, sin_TK)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x_BTD = x_BTD + self.out(mixed.transpose(1, 2).flatten(2))
        added: Tensor = self.down(F.gelu(self.up(self.norm_2(x_BTD))))
        return x_BTD + added


def turned(x: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
    """By each token's place."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos_TK - b * sin_TK, b * cos_TK + a * sin_TK], dim=-1)


class LanguageModel(nn.Module):
    """Tokens in, their loss out."""

    def __init__(self, sizes: Sizes, places: int) -> None:
        super().__init__()
        self.scale = sizes.width**0.5
        self.token = nn.Embedding(sizes.vocabulary, sizes.width)
        nn.init.normal_(self.token.weight, std=sizes.width**-0.5)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.layers))
        self.norm = nn.RMSNorm(sizes.width, eps=1e-6)
        half = sizes.width // sizes.heads // 2
        angle = torch.arange(places).unsqueeze(1) * 10_000.0 ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, token_BT: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The mean loss of what follows each token."""
        x = self.token(token_BT) * self.scale
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.token.weight)
        return {"loss": F.cross_entropy(logits.flatten(0, 1), labels.flatten())}


def seconds_by_hand(sizes: Sizes, lines: Tensor, size: int, steps: int) -> float:
    """Of a step of ``size`` lines, as fast as we can write the loop."""
    model = LanguageModel(sizes, lines.shape[1] - 1).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)
    before, after = lines[:, :-1].contiguous(), lines[:, 1:].contiguous()
    taken = 0
    gc.collect()
    gc.disable()
    start = perf_counter()
    while taken < steps:
        for index in torch.randperm(len(lines))[: len(lines) // size * size].split(size):
            optimizer.zero_grad()
            model(before.index_select(0, index), after.index_select(0, index))["loss"].backward()
            optimizer.step()
            taken += 1
            if taken == steps:
                break
    seconds = (perf_counter() - start) / steps
    gc.enable()
    return seconds


def trainer(sizes: Sizes, lines: Tensor, size: int, steps: int) -> float:
    """The same by huggingface.co/docs/transformers/main_classes/trainer, all else at its default."""
    from torch.utils.data import Dataset
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Lines(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(lines)

        def __getitem__(self, place: int) -> dict[str, Any]:
            return {"token_BT": lines[place, :-1], "labels": lines[place, 1:]}

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(perf_counter())

    with tempfile.TemporaryDirectory() as place:
        options = TrainingArguments(
            output_dir=place, per_device_train_batch_size=size, max_steps=steps + WARM, learning_rate=RATE,
            use_cpu=True, disable_tqdm=True, report_to="none", save_strategy="no",
        )  # fmt: skip
        model = LanguageModel(sizes, lines.shape[1] - 1)
        Trainer(model=model, args=options, train_dataset=Lines(), callbacks=[Clock()]).train()
    return (times[-1] - times[WARM - 1]) / steps


def main() -> None:
    """Time the Trainer for whoever asks."""
    sizes, lines = Sizes(**json.loads(sys.argv[1])), torch.from_numpy(np.load(sys.argv[2]))
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    told, sys.stdout = sys.stdout, sys.stderr  # the Trainer prints its logs
    for line in sys.stdin:
        told.write(json.dumps(trainer(sizes, lines, int(sys.argv[3]) // (lines.shape[1] - 1), int(line))) + "\n")
        told.flush()


if __name__ == "__main__":
    main()
