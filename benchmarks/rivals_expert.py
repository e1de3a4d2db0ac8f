"""What a good engineer makes of each framework in five minutes: rows in memory, larger batches, normalisation, AdamW
with a cosine or one-cycle rate, as few passes as it takes. No outside weights; nothing tuned on the sets that judge.

Nothing here calls ``torch.compile``: it takes longer to begin than most of these runs last. Keras on JAX is compiled.
"""

from typing import Any

import numpy as np
from rival_data import mels, pictures, series, sounds, stepped, tell, texts, words
from rivals_default import distilled, each, lit, m5, shifted, skorched


def passes(rows: int, most: int = 20) -> int:
    """Epochs: small data take more of them."""
    return max(4, min(most, round(200_000 / rows)))


def _kept(model: Any, x: np.ndarray, y: np.ndarray, test: tuple[Any, Any], *, epochs: int, batch: int, rate: float,
          decay: float = 0.01) -> None:  # fmt: skip
    """Fit a Keras model by AdamW whose rate warms up for a tenth of the steps and then falls as a cosine."""
    import keras

    steps = epochs * -(-len(x) // batch)
    cosine = keras.optimizers.schedules.CosineDecay(
        rate / 10, steps - steps // 10, alpha=0.0, warmup_target=rate, warmup_steps=max(1, steps // 10)
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, optimizer=keras.optimizers.AdamW(cosine, weight_decay=decay))
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[each(*test)])


def _convolved(shape: tuple[int, ...], widths: tuple[int, ...], classes: int, *, dropout: float = 0.2) -> Any:
    """Convolutions with normalisation, halving the picture after each; then the mean over places."""
    import keras
    from keras import layers

    z = given = keras.Input(shape=shape)
    for width in widths:
        z = layers.ReLU()(
            layers.BatchNormalization(momentum=0.9)(layers.Conv2D(width, 3, padding="same", use_bias=False)(z))
        )
        z = layers.MaxPooling2D()(z)
    z = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(z))
    return keras.Model(given, layers.Dense(classes)(z))


def keras_pictures(train: str, test: str, seed: int) -> None:
    """Three normalised convolutions, batches of 256."""
    import keras

    keras.utils.set_random_seed(seed)
    x, y, tx, ty, classes = pictures(train, test)
    model = _convolved(x.shape[1:], (32, 64, 128), classes)
    _kept(model, x, y, (tx, ty), epochs=passes(len(x)), batch=256 if len(x) > 20_000 else 64, rate=4e-3)


def keras_photos(train: str, test: str, seed: int) -> None:
    """A residual network of 16 to 64 filters as in the example, but 30 epochs of 128 by AdamW and a cosine."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    x, y, tx, ty, classes = pictures(train, test)
    z = given = keras.Input(shape=x.shape[1:])
    for stack, width in enumerate((32, 64, 128)):
        strides = 2 if stack else 1
        z = layers.ReLU()(
            layers.BatchNormalization(momentum=0.9)(layers.Conv2D(width, 3, strides, "same", use_bias=False)(z))
        )
        inner = z
        for _ in range(2):
            inner = layers.BatchNormalization(momentum=0.9)(
                layers.Conv2D(width, 3, padding="same", use_bias=False)(inner)
            )
            inner = layers.ReLU()(inner)
        z = layers.add([z, inner])
    model = keras.Model(given, layers.Dense(classes)(layers.GlobalAveragePooling2D()(z)))

    class Shifted(keras.utils.PyDataset):
        def __len__(self) -> int:
            return max(1, len(x) // 128)

        def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
            if batch == 0:
                self.order = np.random.permutation(len(x))  # noqa: NPY002  # the seed is Keras's
            rows = self.order[128 * batch : 128 * batch + 128]
            return shifted(x[rows], 4), y[rows]

    steps = 30 * len(Shifted())
    cosine = keras.optimizers.schedules.CosineDecay(4e-4, steps, warmup_target=4e-3, warmup_steps=steps // 10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, optimizer=keras.optimizers.AdamW(cosine, weight_decay=0.02))
    model.fit(Shifted(), epochs=30, verbose=0, shuffle=False, callbacks=[each(tx, ty)])


def keras_texts(train: str, test: str, seed: int) -> None:
    """The mean of embeddings of words and pairs of words, and one layer: little to compute, and strong on topics."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    x, y, tx, ty, classes = texts(train, test)
    x, tx = words(x, tx, 50_000, 200, pairs=True)
    model = keras.Sequential([
        keras.Input(shape=(None,), dtype="int64"), layers.Embedding(50_000, 64, mask_zero=True),
        layers.GlobalAveragePooling1D(), layers.Dropout(0.3), layers.Dense(classes),
    ])  # fmt: skip
    _kept(model, x, y, (tx, ty), epochs=passes(len(x), 12), batch=128, rate=1e-2)


def keras_sounds(train: str, test: str, seed: int) -> None:
    """Mel bands on a logarithmic scale, four normalised convolutions, 40 epochs of 32."""
    import keras

    keras.utils.set_random_seed(seed)
    x, y, tx, ty, classes = sounds(train, test, 2.0)
    x, tx = (mels(part)[..., None] for part in (x, tx))
    mean, spread = x.mean(), x.std()
    model = _convolved(x.shape[1:], (32, 64, 128, 128), classes, dropout=0.4)
    _kept(model, (x - mean) / spread, y, ((tx - mean) / spread, ty), epochs=40, batch=32, rate=3e-3)


def keras_series(train: str, test: str, seed: int) -> None:
    """The example's network, 60 epochs of 16 by AdamW and a cosine."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    x, y, tx, ty, classes = series(train, test)
    z = given = keras.Input(shape=x.shape[1:])
    for size in (7, 5, 3):
        z = layers.ReLU()(
            layers.BatchNormalization(momentum=0.9)(layers.Conv1D(64, size, padding="same", use_bias=False)(z))
        )
    model = keras.Model(given, layers.Dense(classes)(layers.GlobalAveragePooling1D()(z)))
    _kept(model, x, y, (tx, ty), epochs=60, batch=16, rate=3e-3)


def _network(channels: int, classes: int, *, last: Any = None) -> Any:
    from torch import nn

    layers: list[Any] = []
    for given, taken in ((channels, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(given, taken, 3, padding=1, bias=False), nn.BatchNorm2d(taken), nn.ReLU(), nn.MaxPool2d(2)]
    ends = [last] if last else []
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, classes), *ends
    )


def lightning_pictures(train: str, test: str, seed: int) -> None:
    """Three normalised convolutions; whole batches are cut from tensors in memory; one cycle of AdamW."""
    import torch

    torch.manual_seed(seed)
    x, y, tx, ty, classes = pictures(train, test, first=True)
    batch, epochs = 256 if len(x) > 20_000 else 64, passes(len(x))
    rows, labels = torch.from_numpy(x), torch.from_numpy(y)

    class Batches:
        def __len__(self) -> int:
            return max(1, len(x) // batch)

        def __iter__(self) -> Any:
            for chosen in torch.randperm(len(x)).split(batch)[: len(self)]:
                yield rows[chosen], labels[chosen]

    def cycle(weights: Any) -> Any:
        optimizer = torch.optim.AdamW(weights, lr=4e-3, weight_decay=0.01, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * len(Batches()))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    lit(_network(x.shape[1], classes), cycle, Batches(), (tx, ty), epochs=epochs, seed=seed)


def skorch_pictures(train: str, test: str, seed: int) -> None:
    """Three normalised convolutions, no inner validation, one cycle of AdamW."""
    import torch
    from skorch.callbacks import LRScheduler
    from torch import nn

    torch.manual_seed(seed)
    x, y, tx, ty, classes = pictures(train, test, first=True)
    batch, epochs = 256 if len(x) > 20_000 else 64, passes(len(x))
    cycle = LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR, max_lr=4e-3, total_steps=epochs * -(-len(x) // batch), step_every="batch"
    )
    skorched(
        _network(x.shape[1], classes, last=nn.Softmax(-1)), x, y, (tx, ty), calls=[("cycle", cycle)], lr=4e-3,
        max_epochs=epochs, batch_size=batch, train_split=None, optimizer=torch.optim.AdamW,
        optimizer__weight_decay=0.01, iterator_train__shuffle=True,
    )  # fmt: skip


def sklearn_pictures(train: str, test: str, seed: int) -> None:
    """scikit-learn's MLPClassifier with wider layers and early stopping, told after each pass."""
    from sklearn.neural_network import MLPClassifier

    x, y, tx, ty, _ = pictures(train, test)
    x, tx = (part.reshape(len(part), -1) for part in (x, tx))
    model = MLPClassifier((256, 128), batch_size=256, learning_rate_init=2e-3, random_state=seed)
    for epoch in range(passes(len(x), 30)):
        model.partial_fit(x, y, classes=np.unique(y))
        stepped()
        tell(model.predict_proba, tx, ty, epoch + 1)


def sklearn_texts(train: str, test: str, seed: int) -> None:
    """TF-IDF of words and pairs, sublinear, and a linear support vector machine: the usual strong start."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    x, y, tx, ty, _ = texts(train, test)
    stepped()
    shown = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    model = make_pipeline(shown, LinearSVC(C=0.5, random_state=seed)).fit(x, y)

    def answer(x: Any) -> np.ndarray:
        margins = model.decision_function(x)
        return margins if margins.ndim == 2 else np.stack([-margins, margins], 1)

    tell(answer, tx, ty, 1)


def trainer_texts(train: str, test: str, seed: int) -> None:
    """The same Trainer, but a network that fits random beginnings: two layers of 128, 128 words, 1e-3, a cosine."""
    layout = {"n_layers": 2, "dim": 128, "n_heads": 4, "hidden_dim": 256, "max_position_embeddings": 128}
    asked = {"learning_rate": 1e-3, "per_device_train_batch_size": 64, "num_train_epochs": 6, "weight_decay": 0.01,
             "lr_scheduler_type": "cosine", "warmup_steps": 100}  # fmt: skip
    distilled(train, test, seed, length=128, layout=layout, asked=asked)


def m5_sounds(train: str, test: str, seed: int) -> None:
    """M5 twice as wide on two seconds at 16 kHz, 60 epochs of 32, one cycle of AdamW."""
    import torch

    torch.manual_seed(seed)
    x, y, tx, ty, classes = sounds(train, test, 2.0)
    rows, labels, model = torch.from_numpy(x[:, None]), torch.from_numpy(y), m5(classes, 64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01, fused=True)
    steps = 60 * -(-len(x) // 32)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for epoch in range(60):
        model.train()
        for chosen in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(rows[chosen]), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
            stepped()
        model.eval()
        with torch.no_grad():
            tell(lambda x: model(torch.from_numpy(x)).numpy(), tx[:, None], ty, epoch + 1)


RIVALS = {
    ("keras", "pictures"): keras_pictures, ("keras", "photos"): keras_photos, ("keras", "texts"): keras_texts,
    ("keras", "sounds"): keras_sounds, ("keras", "series"): keras_series,
    ("lightning", "pictures"): lightning_pictures, ("skorch", "pictures"): skorch_pictures,
    ("scikit-learn", "pictures"): sklearn_pictures, ("scikit-learn", "texts"): sklearn_texts,
    ("transformers", "texts"): trainer_texts, ("pytorch-m5", "sounds"): m5_sounds,
}  # fmt: skip
"""By framework and kind of data."""
