"""Other frameworks on the same rows, each as its documentation's first example has it. Run in a venv of its own.

    python benchmarks/rivals.py RIVAL TASK TRAIN TEST SEED

Reads two Parquet files, trains, and prints a line of JSON after each epoch: seconds since the process began (those of
scoring the test rows taken off) and the share of test rows answered rightly. The process's own start and the reading
of the files count. Networks, optimisers, batch sizes and epochs are those of the named page; only what reads the data
and the number of classes is ours.
"""

import time

BEGAN = time.perf_counter()

import io  # noqa: E402  # the clock comes before everything
import json  # noqa: E402
import os  # noqa: E402
import re  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Callable, Iterable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

Score = Callable[[Callable[[np.ndarray], np.ndarray], np.ndarray, int], None]

_SCORING = 0.0


def tell(answer: Callable[[np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray, epoch: int) -> None:
    """Score the test rows off the clock, and print."""
    global _SCORING  # noqa: PLW0603  # one process, one run
    start = time.perf_counter()
    right = float((answer(x).argmax(1) == y).mean())
    _SCORING += time.perf_counter() - start
    seconds = time.perf_counter() - BEGAN - _SCORING
    print(json.dumps({"epoch": epoch, "seconds": round(seconds, 2), "accuracy": right}), flush=True)


def rows_of(path: str) -> tuple[list[Any], list[str]]:
    """The one feature and the label of a file."""
    from pyarrow import parquet

    table = parquet.read_table(path)
    return table.column(0).to_pylist(), table.column(1).to_pylist()


def coded(train: Iterable[str], test: Iterable[str]) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels as numbers from 0."""
    classes = {label: code for code, label in enumerate(sorted(set(train)))}
    return (*(np.array([classes[label] for label in part]) for part in (train, test)), len(classes))  # type: ignore[return-value]


def pixels(files: list[bytes]) -> np.ndarray:
    """(N, H, W, C) float32 from 0 to 1."""
    from PIL import Image

    stacked = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
    return (stacked if stacked.ndim == 4 else stacked[..., None]).astype("float32") / 255


def words(train: list[str], test: list[str], most: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, L) numbers of words, the most frequent first, 0 filling up; lower case, no signs, as TextVectorization."""
    cut = [[re.sub(r"[^\w\s]", "", text.lower()).split()[:length] for text in part] for part in (train, test)]
    counts = Counter(word for text in cut[0] for word in text)
    numbers = {word: place + 2 for place, (word, _) in enumerate(counts.most_common(most - 2))}
    out = []
    for part in cut:
        array = np.zeros((len(part), length), dtype="int64")
        for row, text in enumerate(part):
            array[row, : len(text)] = [numbers.get(word, 1) for word in text]
        out.append(array)
    return out[0], out[1]


def keras_pictures(train: str, test: str, seed: int) -> None:
    """keras.io/examples/vision/mnist_convnet: 15 epochs of 128."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    (x, y), (tx, ty) = rows_of(train), rows_of(test)
    y, ty, classes = coded(y, ty)
    x, tx = pixels(x), pixels(tx)
    model = keras.Sequential([
        keras.Input(shape=x.shape[1:]),
        layers.Conv2D(32, kernel_size=(3, 3), activation="relu"), layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Conv2D(64, kernel_size=(3, 3), activation="relu"), layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Flatten(), layers.Dropout(0.5), layers.Dense(classes, activation="softmax"),
    ])  # fmt: skip
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    labels = keras.utils.to_categorical(y, classes)
    model.fit(x, labels, batch_size=128, epochs=15, validation_split=0.1, verbose=0, callbacks=[_each(model, tx, ty)])


def keras_texts(train: str, test: str, seed: int) -> None:
    """keras.io/examples/nlp/text_classification_from_scratch: 3 epochs of 32, 500 words of 20,000."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    (x, y), (tx, ty) = rows_of(train), rows_of(test)
    y, ty, classes = coded(y, ty)
    x, tx = words(x, tx, 20000, 500)
    model = keras.Sequential([
        keras.Input(shape=(500,), dtype="int64"), layers.Embedding(20000, 128), layers.Dropout(0.5),
        layers.Conv1D(128, 7, padding="valid", activation="relu", strides=3),
        layers.Conv1D(128, 7, padding="valid", activation="relu", strides=3),
        layers.GlobalMaxPooling1D(), layers.Dense(128, activation="relu"), layers.Dropout(0.5),
        layers.Dense(classes, activation="softmax"),
    ])  # fmt: skip
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=3, verbose=0, callbacks=[_each(model, tx, ty)])


def _each(model: Any, x: np.ndarray, y: np.ndarray) -> Any:
    import keras

    class Each(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
            tell(lambda x: model.predict(x, verbose=0, batch_size=512), x, y, epoch + 1)

    return Each()


def lightning_pictures(train: str, test: str, seed: int) -> None:
    """Lightning's MNIST classifier: two dense layers of 128 and 256, Adam 1e-3, 10 epochs of 64."""
    import lightning
    import torch
    from torch import nn
    from torch.nn import functional
    from torch.utils.data import DataLoader, TensorDataset

    lightning.seed_everything(seed, verbose=False)
    (x, y), (tx, ty) = rows_of(train), rows_of(test)
    y, ty, classes = coded(y, ty)
    x, tx = (pixels(part).transpose(0, 3, 1, 2) for part in (x, tx))

    class Classifier(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Flatten(), nn.Linear(x[0].size, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU(),
                nn.Linear(256, classes),
            )  # fmt: skip

        def training_step(self, batch: Any, _: int) -> Any:
            return functional.cross_entropy(self.body(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    class Each(lightning.Callback):
        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            def answer(x: np.ndarray) -> np.ndarray:
                with torch.no_grad():
                    return module.body(torch.from_numpy(x)).numpy()

            tell(answer, tx, ty, trainer.current_epoch + 1)

    loader = DataLoader(TensorDataset(torch.from_numpy(x.copy()), torch.from_numpy(y)), batch_size=64, shuffle=True)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    lightning.Trainer(max_epochs=10, callbacks=[Each()], enable_model_summary=False, **quiet).fit(Classifier(), loader)


def skorch_pictures(train: str, test: str, seed: int) -> None:
    """skorch's MNIST notebook, its second network: two convolutions, dropout, Adam 2e-3, 10 epochs of 128."""
    import torch
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback
    from torch import nn

    torch.manual_seed(seed)
    (x, y), (tx, ty) = rows_of(train), rows_of(test)
    y, ty, classes = coded(y, ty)
    x, tx = (pixels(part).transpose(0, 3, 1, 2).copy() for part in (x, tx))

    class Cnn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            side = (x.shape[2] - 2) // 2
            self.body = nn.Sequential(
                nn.Conv2d(x.shape[1], 32, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.Dropout2d(0.5),
                nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(64 * ((side - 2) // 2) ** 2, 100), nn.ReLU(),
                nn.Dropout(0.5), nn.Linear(100, classes), nn.Softmax(-1),
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            return self.body(x)

    class Each(Callback):
        def on_epoch_end(self, net: Any, **_: object) -> None:
            tell(net.predict_proba, tx, ty, len(net.history))

    net = NeuralNetClassifier(
        Cnn, max_epochs=10, lr=0.002, optimizer=torch.optim.Adam, verbose=0, callbacks=[("each", Each())]
    )
    net.fit(x, y)


def sklearn_pictures(train: str, test: str, seed: int) -> None:
    """scikit-learn's MLPClassifier on pixels, no options: until it converges, at most 200 epochs."""
    from sklearn.neural_network import MLPClassifier

    (x, y), (tx, ty) = rows_of(train), rows_of(test)
    y, ty, _ = coded(y, ty)
    x, tx = (pixels(part).reshape(len(part), -1) for part in (x, tx))
    model = MLPClassifier(random_state=seed).fit(x, y)
    tell(model.predict_proba, tx, ty, model.n_iter_)


def sklearn_texts(train: str, test: str, seed: int) -> None:
    """scikit-learn's TF-IDF and logistic regression, no options."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    (x, y), (tx, ty) = rows_of(train), rows_of(test)
    y, ty, _ = coded(y, ty)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000, random_state=seed)).fit(x, y)
    tell(model.predict_proba, tx, ty, 1)


def trainer_texts(train: str, test: str, seed: int) -> None:
    """transformers' text classification page, its Trainer: 2 epochs of 16, AdamW 2e-5, weight decay 0.01.

    DistilBERT's layout; its published weights are a download, so it begins from random ones, with words as tokens.
    """
    import torch
    from torch.utils.data import Dataset
    from transformers import (
        DistilBertConfig,
        DistilBertForSequenceClassification,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    torch.manual_seed(seed)
    (x, y), (tx, ty) = rows_of(train), rows_of(test)
    y, ty, classes = coded(y, ty)
    x, tx = words(x, tx, 30522, 512)

    class Texts(Dataset):
        def __len__(self) -> int:
            return len(x)

        def __getitem__(self, row: int) -> dict[str, Any]:
            return {"input_ids": x[row], "attention_mask": (x[row] > 0).astype("int64"), "labels": y[row]}

    model = DistilBertForSequenceClassification(DistilBertConfig(num_labels=classes))

    class Each(TrainerCallback):
        def on_epoch_end(self, args: object, state: Any, control: object, **_: object) -> None:  # noqa: ARG002
            def answer(ids: np.ndarray) -> np.ndarray:
                model.eval()
                with torch.no_grad():
                    parts = [torch.from_numpy(part) for part in np.array_split(ids, max(1, len(ids) // 64))]
                    answers = [model(part, attention_mask=(part > 0).long()).logits.numpy() for part in parts]
                model.train()
                return np.concatenate(answers)

            tell(answer, tx, ty, round(state.epoch))

    asked = TrainingArguments(
        output_dir="trainer", learning_rate=2e-5, per_device_train_batch_size=16, num_train_epochs=2, weight_decay=0.01,
        report_to=[], save_strategy="no", disable_tqdm=True, seed=seed, use_cpu=True,
    )  # fmt: skip
    Trainer(model=model, args=asked, train_dataset=Texts(), callbacks=[Each()]).train()


RIVALS = {
    ("keras-torch", "pictures"): keras_pictures, ("keras-jax", "pictures"): keras_pictures,
    ("keras-torch", "texts"): keras_texts, ("keras-jax", "texts"): keras_texts,
    ("lightning", "pictures"): lightning_pictures, ("skorch", "pictures"): skorch_pictures,
    ("scikit-learn", "pictures"): sklearn_pictures, ("scikit-learn", "texts"): sklearn_texts,
    ("transformers", "texts"): trainer_texts,
}  # fmt: skip
"""What is run for a rival and a kind of data."""


def main() -> None:
    """Train one rival."""
    rival, kind, train, test, seed = sys.argv[1:]
    if rival.startswith("keras-"):
        os.environ["KERAS_BACKEND"] = rival.removeprefix("keras-")
    if found := RIVALS.get((rival, kind)):
        found(train, test, int(seed))
    else:
        sys.exit(f"{rival} has no example for {kind} here")


if __name__ == "__main__":
    main()
