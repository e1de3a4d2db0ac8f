"""Steps per second of other frameworks at their defaults, on the networks of the throughput benchmark.

    python benchmarks/throughput_rivals.py WRAPPER NETWORK SECONDS

Runs in a venv of its own, which need not have Trueweight (``make rivals``). Prints one line of JSON: microseconds of a
step, steps measured, weights, peak memory, versions. The torch wrappers train the network of ``throughput_nets``
itself, as their documentation trains tensors in memory: a shuffling DataLoader over a TensorDataset where they want
one, AdamW, no validation rows. Everything else is left as it is by default: progress bars, logs, checkpoints.

A step is an epoch's time over its steps, between two calls that the framework makes at ends of epochs: starting up,
compiling and the first epoch do not count.
"""

import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # all on the CPU, as ours
os.environ.setdefault("HF_HUB_OFFLINE", "1")
WRAPPER = sys.argv[1] if len(sys.argv) > 1 else ""
if WRAPPER.startswith("keras"):
    os.environ["KERAS_BACKEND"] = WRAPPER.removeprefix("keras-")

import torch  # noqa: E402  # the backend is read when Keras is imported
from throughput_nets import NETS, RATE, ByHand, Rows, seconds_by_hand  # noqa: E402
from torch import nn  # noqa: E402

Ended = Callable[[], None]
Fit = Callable[[str, Rows, int, Ended], int]
"""(network, rows, epochs, to be called at each epoch's end) to the number of weights trained."""

MOST_STEPS = 2048
"""Of an epoch."""


def _weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def _lightning(name: str, rows: Rows, epochs: int, ended: Ended) -> int:
    """lightning.ai/docs/pytorch/stable/starter/introduction.html."""
    import lightning
    from torch.utils.data import DataLoader, TensorDataset

    net = NETS[name]

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = net.build()

        def training_step(self, batch: Any, batch_idx: int) -> Any:  # noqa: ARG002  # Lightning's signature
            x, y = batch
            loss = rows.loss(self.network(x), y)
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=RATE)

        def on_train_epoch_end(self) -> None:
            ended()

    loader = DataLoader(TensorDataset(rows.inputs, rows.labels), batch_size=net.batch_size, shuffle=True)
    module = Module()
    lightning.Trainer(max_epochs=epochs).fit(module, loader)
    return _weights(module)


def _skorch(name: str, rows: Rows, epochs: int, ended: Ended) -> int:
    """skorch.readthedocs.io/en/stable/user/quickstart.html; ``train_split=None``, since nobody else validates here."""
    from skorch import NeuralNet
    from skorch.callbacks import Callback

    class End(Callback):
        def on_epoch_end(self, net: Any, **_: Any) -> None:  # noqa: ARG002  # skorch's signature
            ended()

    net = NETS[name]
    criterion = nn.MSELoss if name == "mlp" else nn.CrossEntropyLoss
    fitted = NeuralNet(
        net.build, criterion=criterion, optimizer=torch.optim.AdamW, lr=RATE, max_epochs=epochs,
        batch_size=net.batch_size, iterator_train__shuffle=True, train_split=None, callbacks=[("end", End())],
    ).fit(rows.inputs, rows.labels)  # fmt: skip
    return _weights(fitted.module_)


def _transformers(name: str, rows: Rows, epochs: int, ended: Ended) -> int:
    """huggingface.co/docs/transformers/main_classes/trainer: a module that returns its loss, rows as dicts."""
    from torch.utils.data import Dataset
    from transformers import Trainer, TrainerCallback, TrainingArguments

    net = NETS[name]

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = net.build()

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:
            answer = self.network(x)
            return {"loss": rows.loss(answer, labels), "logits": answer}

    class Cases(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(rows.inputs)

        def __getitem__(self, place: int) -> dict[str, Any]:
            return {"x": rows.inputs[place], "labels": rows.labels[place]}

    class End(TrainerCallback):
        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            ended()

    module = Module()
    options = TrainingArguments(
        output_dir="trainer", per_device_train_batch_size=net.batch_size, num_train_epochs=epochs, learning_rate=RATE,
        use_cpu=True,
    )  # fmt: skip
    Trainer(model=module, args=options, train_dataset=Cases(), callbacks=[End()]).train()
    return _weights(module)


def _keras(name: str, rows: Rows, epochs: int, ended: Ended) -> int:
    """keras.io/guides/training_with_built_in_methods: ``compile`` and ``fit`` on arrays."""
    import keras
    from throughput_keras import layers_of

    class End(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras's signature
            ended()

    x, y = rows.inputs, rows.labels
    x = x.permute(0, 2, 3, 1).contiguous() if x.ndim == 4 else x  # Keras's default layout
    model = layers_of(name)
    loss = "mse" if name == "mlp" else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.AdamW(RATE), loss=loss)
    model.fit(x.numpy(), y.numpy(), batch_size=NETS[name].batch_size, epochs=epochs, callbacks=[End()])
    return sum(int(w.numpy().size if hasattr(w, "numpy") else w.size) for w in model.trainable_weights)


FITS: dict[str, tuple[Fit, tuple[str, ...]]] = {
    "lightning": (_lightning, ("lightning", "torch")),
    "skorch": (_skorch, ("skorch", "torch")),
    "transformers": (_transformers, ("transformers", "accelerate", "torch")),
    "keras-torch": (_keras, ("keras", "torch")),
    "keras-jax": (_keras, ("keras", "jax")),
}


def measured(name: str, fit: Fit, seconds: float) -> dict[str, Any]:
    """A short fit, which says how long a step takes; then three epochs of about so many seconds, the last two counted.

    Args:
        name: Network.
        fit: How the framework fits it.
        seconds: Of an epoch.
    """
    net: ByHand = NETS[name]
    few = 16
    ends: list[float] = []
    fit(name, net.made(few * net.batch_size), 2, lambda: ends.append(perf_counter()))
    steps = max(few, min(MOST_STEPS, int(seconds / ((ends[1] - ends[0]) / few))))
    rows, ends = net.made(steps * net.batch_size), [perf_counter()]
    weights = fit(name, rows, 3, lambda: ends.append(perf_counter()))
    epochs = [(b - a) / steps for a, b in pairwise(ends[1:])]
    return {"us": median(epochs) * 1e6, "steps": steps * len(epochs), "weights": weights}


def by_hand(name: str, seconds: float) -> dict[str, Any]:
    """The hand-written loop, for its memory."""
    net = NETS[name]
    rows = net.made(64 * net.batch_size)
    steps = max(16, int(2 * seconds / seconds_by_hand(net, rows, 16)))
    return {"us": seconds_by_hand(net, rows, steps) * 1e6, "steps": steps, "weights": _weights(net.build())}


def main() -> None:
    """Measure one, in a folder that is thrown away with what the framework writes there."""
    wrapper, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    torch.manual_seed(0)
    kept, out = Path.cwd(), sys.stdout
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.stdout = sys.stderr  # progress is written, as by default, but not among the answer
        if wrapper == "hand":
            found, parts = by_hand(name, seconds), ("torch",)
        else:
            fit, parts = FITS[wrapper]
            found = measured(name, fit, seconds)
        sys.stdout = out
        os.chdir(kept)
    found |= {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    print(json.dumps(found | {"versions": {part: version(part) for part in parts}}))


if __name__ == "__main__":
    main()
