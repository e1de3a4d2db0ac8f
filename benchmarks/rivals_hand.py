"""Loops written by hand in plain PyTorch, as fast as we can make them: rows in memory, one cycle, nothing else."""

from collections.abc import Callable
from typing import Any

import numpy as np
from rival_data import mels, pictures, series, sounds, stepped, tell, texts, words


def cycle(model: Any, x: Any, y: Any, test: tuple[Any, Any], *, epochs: int, batch: int, rate: float,
          augment: Callable[[Any], Any] | None = None, half: bool = False, smooth: float = 0.0) -> None:  # fmt: skip
    """The loop: shuffled rows, AdamW, a rate that rises and falls once.

    Args:
        model: What is trained.
        x: Rows as a tensor.
        y: Their labels.
        test: Rows to judge by, as arrays.
        epochs: Passes over the rows.
        batch: Rows of a step.
        rate: Highest rate.
        augment: Changes a batch.
        half: Multiply in bfloat16, which this processor may do twice as fast.
        smooth: Label smoothing.
    """
    import torch
    from torch.nn import functional

    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, fused=True)
    steps = max(1, len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * steps, pct_start=0.25)

    def answer(x: np.ndarray) -> np.ndarray:
        model.eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            return torch.cat([model(part) for part in torch.from_numpy(x).split(1024)]).float().numpy()

    for epoch in range(epochs):
        model.train()
        for rows in torch.randperm(len(x)).split(batch)[:steps]:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                z = model(augment(x[rows]) if augment else x[rows])
            loss = functional.cross_entropy(z.float(), y[rows], label_smoothing=smooth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            stepped()
        tell(answer, *test, epoch + 1)


def _tensors(x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    import torch

    x = torch.from_numpy(x)
    return (x.to(memory_format=torch.channels_last) if x.ndim == 4 else x), torch.from_numpy(y)


def _layer(given: int, taken: int, *, pool: int = 0) -> list[Any]:
    from torch import nn

    layer = [nn.Conv2d(given, taken, 3, padding=1, bias=False), nn.BatchNorm2d(taken), nn.ReLU()]
    return layer if not pool else [layer[0], nn.MaxPool2d(pool), *layer[1:]]


def torch_pictures(train: str, test: str, seed: int) -> None:
    """Three convolutions, the first of which is halved before it is normalised: a third of the usual work."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x, y, tx, ty, classes = pictures(train, test, first=True)
    body = [*_layer(x.shape[1], 32, pool=2), *_layer(32, 64, pool=2), *_layer(64, 128, pool=2)]
    model = nn.Sequential(*body, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(128, classes))
    many = len(x) > 20_000
    cycle(model.to(memory_format=torch.channels_last), *_tensors(x, y), (tx, ty), rate=1e-2,
          epochs=3 if many else 8, batch=256 if many else 64)  # fmt: skip


def torch_photos(train: str, test: str, seed: int) -> None:
    """A residual network of nine layers (after David Page's, DAWNBench 2018), half as wide; flips and shifts."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x, y, tx, ty, classes = pictures(train, test, first=True)
    mean, spread = x.mean((0, 2, 3), keepdims=True), x.std((0, 2, 3), keepdims=True)
    x, tx = (x - mean) / spread, (tx - mean) / spread

    class Residual(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.body = nn.Sequential(*_layer(width, width), *_layer(width, width))

        def forward(self, z: Any) -> Any:
            return z + self.body(z)

    body = [*_layer(3, 32), *_layer(32, 64, pool=2), Residual(64), *_layer(64, 128, pool=2),
            *_layer(128, 256, pool=2), Residual(256)]  # fmt: skip
    model = nn.Sequential(*body, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(256, classes))
    side = x.shape[2]

    def augment(part: Any) -> Any:
        wide = nn.functional.pad(part, (4, 4, 4, 4), mode="reflect")
        up, left = (int(v) for v in torch.randint(0, 9, (2,)))
        wide = wide[:, :, up : up + side, left : left + side]
        return torch.where(torch.rand(len(wide), 1, 1, 1) < 0.5, wide.flip(3), wide)

    cycle(model.to(memory_format=torch.channels_last), *_tensors(x, y), (tx, ty), epochs=12, batch=256, rate=1e-2,
          augment=augment, half=True, smooth=0.1)  # fmt: skip


def torch_texts(train: str, test: str, seed: int) -> None:
    """The mean of embeddings of words and pairs, computed without padding, and one layer."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x, y, tx, ty, classes = texts(train, test)
    x, tx = words(x, tx, 50_000, 200, pairs=True)
    model = nn.Sequential(nn.EmbeddingBag(50_000, classes, mode="mean", padding_idx=0))
    nn.init.zeros_(model[0].weight)
    cycle(model, *_tensors(x, y), (tx, ty), epochs=6, batch=128, rate=5e-1)


def torch_sounds(train: str, test: str, seed: int) -> None:
    """Mel bands on a logarithmic scale, four convolutions."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x, y, tx, ty, classes = sounds(train, test, 2.0)
    x, tx = (mels(part)[:, None] for part in (x, tx))
    mean, spread = x.mean(), x.std()
    x, tx = (x - mean) / spread, (tx - mean) / spread
    widths = ((1, 32), (32, 64), (64, 128), (128, 128))
    body = [part for given, taken in widths for part in _layer(given, taken, pool=2)]
    model = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(128, classes))
    cycle(model.to(memory_format=torch.channels_last), *_tensors(x, y), (tx, ty), epochs=40, batch=32, rate=3e-3)


def torch_series(train: str, test: str, seed: int) -> None:
    """Three convolutions over time, as in Keras's example."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x, y, tx, ty, classes = series(train, test)
    x, tx = (np.ascontiguousarray(part.transpose(0, 2, 1)) for part in (x, tx))
    body: list[Any] = []
    for given, size in ((x.shape[1], 7), (64, 5), (64, 3)):
        body += [nn.Conv1d(given, 64, size, padding="same", bias=False), nn.BatchNorm1d(64), nn.ReLU()]
    model = nn.Sequential(*body, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, classes))
    cycle(model, *_tensors(x, y), (tx, ty), epochs=30, batch=8, rate=3e-3)


RIVALS = {
    ("by hand", "pictures"): torch_pictures, ("by hand", "photos"): torch_photos, ("by hand", "texts"): torch_texts,
    ("by hand", "sounds"): torch_sounds, ("by hand", "series"): torch_series,
}  # fmt: skip
"""By name and kind of data."""
