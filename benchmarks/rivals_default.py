"""Each framework's documented first example: network, optimiser, batch size and epochs are those of the named page."""

import math
from typing import Any

import numpy as np
from rival_data import pictures, series, sounds, spectra, stepped, tell, texts, words


def each(x: np.ndarray, y: np.ndarray) -> Any:
    """A Keras callback that tells the first step and each epoch."""
    import keras

    class Each(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
            stepped()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
            tell(lambda x: self.model.predict(x, verbose=0, batch_size=512), x, y, epoch + 1)

    return Each()


def keras_pictures(train: str, test: str, seed: int) -> None:
    """keras.io/examples/vision/mnist_convnet: 15 epochs of 128."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    x, y, tx, ty, classes = pictures(train, test)
    model = keras.Sequential([
        keras.Input(shape=x.shape[1:]),
        layers.Conv2D(32, kernel_size=(3, 3), activation="relu"), layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Conv2D(64, kernel_size=(3, 3), activation="relu"), layers.MaxPooling2D(pool_size=(2, 2)),
        layers.Flatten(), layers.Dropout(0.5), layers.Dense(classes, activation="softmax"),
    ])  # fmt: skip
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    labels = keras.utils.to_categorical(y, classes)
    model.fit(x, labels, batch_size=128, epochs=15, validation_split=0.1, verbose=0, callbacks=[each(tx, ty)])


def keras_photos(train: str, test: str, seed: int) -> None:
    """Keras's cifar10_resnet example: ResNet20 v1, Adam, 200 epochs of 32 with shifts and flips."""
    import keras
    from keras import layers, regularizers

    keras.utils.set_random_seed(seed)
    x, y, tx, ty, classes = pictures(train, test)
    x, tx = x - x.mean(0), tx - x.mean(0)

    def layer(z: Any, filters: int, size: int = 3, strides: int = 1, activation: str | None = "relu",
              *, normed: bool = True) -> Any:  # fmt: skip
        z = layers.Conv2D(filters, size, strides=strides, padding="same", kernel_initializer="he_normal",
                          kernel_regularizer=regularizers.L2(1e-4))(z)  # fmt: skip
        z = layers.BatchNormalization()(z) if normed else z
        return layers.Activation(activation)(z) if activation else z

    given = keras.Input(shape=x.shape[1:])
    z = layer(given, 16)
    for stack, filters in enumerate((16, 32, 64)):
        for block in range(3):
            strides = 2 if stack and not block else 1
            inner = layer(layer(z, filters, strides=strides), filters, activation=None)
            z = layer(z, filters, 1, strides, None, normed=False) if strides == 2 else z
            z = layers.Activation("relu")(layers.add([z, inner]))
    z = layers.Flatten()(layers.AveragePooling2D(8)(z))
    model = keras.Model(given, layers.Dense(classes, activation="softmax", kernel_initializer="he_normal")(z))

    def rate(epoch: int) -> float:
        return 1e-3 * next((f for e, f in ((180, 0.5e-3), (160, 1e-3), (120, 1e-2), (80, 1e-1)) if epoch > e), 1.0)

    class Shifted(keras.utils.PyDataset):
        def __len__(self) -> int:
            return math.ceil(len(x) / 32)

        def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
            if batch == 0:
                self.order = np.random.permutation(len(x))  # noqa: NPY002  # the seed is Keras's
            rows = self.order[32 * batch : 32 * batch + 32]
            return shifted(x[rows], 3), y[rows]

    model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(1e-3))
    schedule = keras.callbacks.LearningRateScheduler(rate)
    model.fit(Shifted(), epochs=200, verbose=0, shuffle=False, callbacks=[schedule, each(tx, ty)])


def shifted(x: np.ndarray, most: int) -> np.ndarray:
    """Each picture moved by up to ``most`` pixels, its edge repeated, and mirrored by half a chance."""
    side, out = x.shape[1], np.empty_like(x)
    wide = np.pad(x, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    for row, (up, left, mirror) in enumerate(np.random.randint(0, 2 * most + 1, (len(x), 3))):  # noqa: NPY002
        part = wide[row, up : up + side, left : left + side]
        out[row] = part[:, ::-1] if mirror % 2 else part
    return out


def keras_texts(train: str, test: str, seed: int) -> None:
    """keras.io/examples/nlp/text_classification_from_scratch: 3 epochs of 32, 500 words of 20,000."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    x, y, tx, ty, classes = texts(train, test)
    x, tx = (np.pad(part, ((0, 0), (0, 500 - part.shape[1]))) for part in words(x, tx, 20000, 500))
    model = keras.Sequential([
        keras.Input(shape=(500,), dtype="int64"), layers.Embedding(20000, 128), layers.Dropout(0.5),
        layers.Conv1D(128, 7, padding="valid", activation="relu", strides=3),
        layers.Conv1D(128, 7, padding="valid", activation="relu", strides=3),
        layers.GlobalMaxPooling1D(), layers.Dense(128, activation="relu"), layers.Dropout(0.5),
        layers.Dense(classes, activation="softmax"),
    ])  # fmt: skip
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=3, verbose=0, callbacks=[each(tx, ty)])


def keras_sounds(train: str, test: str, seed: int) -> None:
    """TensorFlow's page "Simple audio recognition" in Keras 3: a spectrogram as a picture, 10 epochs of 64."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    x, y, tx, ty, classes = sounds(train, test)
    x, tx = (spectra(part)[..., None] for part in (x, tx))
    normal = layers.Normalization(axis=None, mean=float(x.mean()), variance=float(x.var()))
    model = keras.Sequential([
        keras.Input(shape=x.shape[1:]), layers.Resizing(32, 32), normal,
        layers.Conv2D(32, 3, activation="relu"), layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Dropout(0.25), layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.5),
        layers.Dense(classes),
    ])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, optimizer=keras.optimizers.Adam(), metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=2)
    model.fit(x, y, batch_size=64, epochs=10, validation_split=0.2, verbose=0, callbacks=[each(tx, ty), stop])


def keras_series(train: str, test: str, seed: int) -> None:
    """keras.io/examples/timeseries/timeseries_classification_from_scratch: at most 500 epochs of 32."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    x, y, tx, ty, classes = series(train, test)
    order = np.random.permutation(len(x))  # noqa: NPY002  # as the page has it
    z = given = keras.Input(shape=x.shape[1:])
    for _ in range(3):
        z = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(64, kernel_size=3, padding="same")(z)))
    z = layers.Dense(classes, activation="softmax")(layers.GlobalAveragePooling1D()(z))
    model = keras.Model(given, z)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    calls = [
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=20, min_lr=0.0001),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=50), each(tx, ty),
    ]  # fmt: skip
    model.fit(x[order], y[order], batch_size=32, epochs=500, callbacks=calls, validation_split=0.2, verbose=0)


def lightning_pictures(train: str, test: str, seed: int) -> None:
    """Lightning's MNIST classifier: two dense layers of 128 and 256, Adam 1e-3, 10 epochs of 64."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    x, y, tx, ty, classes = pictures(train, test, first=True)
    body = nn.Sequential(
        nn.Flatten(), nn.Linear(x[0].size, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, classes)
    )
    loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=64, shuffle=True)
    lit(body, lambda weights: torch.optim.Adam(weights, lr=1e-3), loader, (tx, ty), epochs=10, seed=seed)


def lit(body: Any, optimizers: Any, loader: Any, test: tuple[Any, Any], *, epochs: int, seed: int) -> None:
    """Fit by Lightning, telling each epoch."""
    import lightning
    import torch
    from torch.nn import functional

    lightning.seed_everything(seed, verbose=False)

    class Classifier(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.body = body

        def training_step(self, batch: Any, _: int) -> Any:
            return functional.cross_entropy(self.body(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return optimizers(self.parameters())

    class Each(lightning.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            stepped()

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            def answer(x: np.ndarray) -> np.ndarray:
                module.eval()
                with torch.no_grad():
                    found = module.body(torch.from_numpy(x)).numpy()
                module.train()
                return found

            tell(answer, *test, trainer.current_epoch + 1)

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(
        max_epochs=epochs, callbacks=[Each()], enable_model_summary=False, accelerator="cpu", **quiet
    )
    trainer.fit(Classifier(), loader)


def skorch_pictures(train: str, test: str, seed: int) -> None:
    """skorch's MNIST notebook, its second network: two convolutions, dropout, Adam 2e-3, 10 epochs of 128."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x, y, tx, ty, classes = pictures(train, test, first=True)
    side = ((x.shape[2] - 2) // 2 - 2) // 2
    body = nn.Sequential(
        nn.Conv2d(x.shape[1], 32, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.Dropout2d(0.5),
        nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(64 * side**2, 100), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(100, classes), nn.Softmax(-1),
    )  # fmt: skip
    skorched(body, x, y, (tx, ty), max_epochs=10, lr=0.002, optimizer=torch.optim.Adam)


def skorched(body: Any, x: Any, y: Any, test: tuple[Any, Any], *, calls: Any = (), **asked: Any) -> None:
    """Fit by skorch, telling each epoch."""
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback

    class Each(Callback):
        def on_batch_end(self, net: Any, **_: object) -> None:  # noqa: ARG002
            stepped()

        def on_epoch_end(self, net: Any, **_: object) -> None:
            tell(net.predict_proba, *test, len(net.history))

    NeuralNetClassifier(body, verbose=0, callbacks=[*calls, ("each", Each())], **asked).fit(x, y)


def sklearn_pictures(train: str, test: str, seed: int) -> None:
    """scikit-learn's MLPClassifier on pixels, no options: until it converges, at most 200 epochs."""
    from sklearn.neural_network import MLPClassifier

    x, y, tx, ty, _ = pictures(train, test)
    stepped()  # the fit is one call: what came before it
    model = MLPClassifier(random_state=seed).fit(x.reshape(len(x), -1), y)
    tell(model.predict_proba, tx.reshape(len(tx), -1), ty, model.n_iter_)


def sklearn_texts(train: str, test: str, seed: int) -> None:
    """scikit-learn's TF-IDF and logistic regression, no options but enough iterations."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    x, y, tx, ty, _ = texts(train, test)
    stepped()
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000, random_state=seed)).fit(x, y)
    tell(model.predict_proba, tx, ty, 1)


def trainer_texts(train: str, test: str, seed: int) -> None:
    """transformers' text classification page, its Trainer: 2 epochs of 16, AdamW 2e-5, weight decay 0.01.

    DistilBERT's layout; its published weights are a download, so it begins from random ones, with words as tokens.
    """
    asked = {"learning_rate": 2e-5, "per_device_train_batch_size": 16, "num_train_epochs": 2, "weight_decay": 0.01}
    distilled(train, test, seed, length=512, layout={}, asked=asked)


def distilled(train: str, test: str, seed: int, *, length: int, layout: dict[str, Any], asked: dict[str, Any]) -> None:
    """Fit a DistilBERT from random weights by the Trainer, telling each epoch."""
    import torch
    from torch.utils.data import Dataset
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, Trainer, TrainerCallback
    from transformers import TrainingArguments as Arguments

    torch.manual_seed(seed)
    x, y, tx, ty, classes = texts(train, test)
    x, tx = words(x, tx, 30522, length)

    class Texts(Dataset):
        def __len__(self) -> int:
            return len(x)

        def __getitem__(self, row: int) -> dict[str, Any]:
            return {"input_ids": x[row], "attention_mask": (x[row] > 0).astype("int64"), "labels": y[row]}

    model = DistilBertForSequenceClassification(DistilBertConfig(num_labels=classes, **layout))

    class Each(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            stepped()

        def on_epoch_end(self, args: object, state: Any, control: object, **_: object) -> None:  # noqa: ARG002
            def answer(ids: np.ndarray) -> np.ndarray:
                model.eval()
                with torch.no_grad():
                    parts = [torch.from_numpy(part) for part in np.array_split(ids, max(1, len(ids) // 64))]
                    answers = [model(part, attention_mask=(part > 0).long()).logits.numpy() for part in parts]
                model.train()
                return np.concatenate(answers)

            tell(answer, tx, ty, round(state.epoch))

    said = Arguments(output_dir="trainer", report_to=[], save_strategy="no", disable_tqdm=True, seed=seed, use_cpu=True,
                     **asked)  # fmt: skip
    Trainer(model=model, args=said, train_dataset=Texts(), callbacks=[Each()]).train()


def m5_sounds(train: str, test: str, seed: int) -> None:
    """PyTorch's page "Speech Command Classification with torchaudio": M5 at 8 kHz, Adam 0.01, 2 epochs of 256."""
    import torch

    torch.manual_seed(seed)
    x, y, tx, ty, classes = sounds(train, test)
    x, tx = (part.reshape(len(part), 1, -1, 2).mean(3) for part in (x, tx))
    model = m5(classes, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.0001)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=20, gamma=0.1)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    for epoch in range(2):
        model.train()
        for rows in torch.randperm(len(x)).split(256):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            stepped()
        schedule.step()
        model.eval()
        with torch.no_grad():
            tell(lambda x: model(torch.from_numpy(x)).numpy(), tx, ty, epoch + 1)


def m5(classes: int, width: int) -> Any:
    """The network M5 of Dai et al. 2016, arXiv:1610.00087, as that page has it."""
    from torch import nn

    layers: list[Any] = []
    for given, taken, size, stride in ((1, width, 80, 16), (width, width, 3, 1), (width, 2 * width, 3, 1),
                                       (2 * width, 2 * width, 3, 1)):  # fmt: skip
        layers += [nn.Conv1d(given, taken, size, stride), nn.BatchNorm1d(taken), nn.ReLU(), nn.MaxPool1d(4)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(2 * width, classes))


RIVALS = {
    ("keras", "pictures"): keras_pictures, ("keras", "photos"): keras_photos, ("keras", "texts"): keras_texts,
    ("keras", "sounds"): keras_sounds, ("keras", "series"): keras_series,
    ("lightning", "pictures"): lightning_pictures, ("skorch", "pictures"): skorch_pictures,
    ("scikit-learn", "pictures"): sklearn_pictures, ("scikit-learn", "texts"): sklearn_texts,
    ("transformers", "texts"): trainer_texts, ("pytorch-m5", "sounds"): m5_sounds,
}  # fmt: skip
"""By framework and kind of data."""
