"""The networks of ``throughput_nets`` in Keras's own layers: the same shapes, the same number of weights.

Rotary positions, which Keras has no layer for, are a layer of a few lines here.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops


def layers_of(name: str) -> Any:
    """A model that gives logits, or the value."""
    return {"mlp": _mlp, "lenet": _lenet, "cnn": _cnn, "lstm": _lstm, "transformer": _transformer}[name]()


def _mlp() -> Any:
    return keras.Sequential([layers.Input((16,)), layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(1)])


def _lenet() -> Any:
    return keras.Sequential([
        layers.Input((28, 28, 1)), layers.Rescaling(1 / 255, -0.5),
        layers.Conv2D(6, 5), layers.MaxPooling2D(2), layers.ReLU(),
        layers.Conv2D(16, 5), layers.MaxPooling2D(2), layers.ReLU(),
        layers.Flatten(), layers.Dense(120, "relu"), layers.Dense(84, "relu"), layers.Dense(10),
    ])  # fmt: skip


def _cnn() -> Any:
    model = keras.Sequential([layers.Input((32, 32, 3)), layers.Rescaling(1 / 255, -0.5)])
    for width in (32, 64, 128):
        model.add(layers.Conv2D(width, 3, padding="same", use_bias=False))
        model.add(layers.MaxPooling2D(2))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
        model.add(layers.Conv2D(width, 3, padding="same", use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10))
    return model


def _lstm() -> Any:
    # One bias a gate, where torch has two that are added: 256 weights fewer.
    return keras.Sequential([layers.Input((40, 1)), layers.LSTM(64), layers.Dense(4)])


@keras.saving.register_keras_serializable()
class Rotary(layers.Layer):  # type: ignore[misc]
    """Four heads of width 32 attend to each other, positions told by rotation; (B, 64, 384) -> (B, 64, 128)."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        angles = np.outer(np.arange(64), 10000.0 ** -(np.arange(16) / 16)).astype("float32")[:, None]
        self.cos, self.sin = np.cos(angles), np.sin(angles)

    def turned(self, x: Any) -> Any:
        """Rotate pairs of values."""
        first, second = x[..., :16], x[..., 16:]
        return ops.concatenate([first * self.cos - second * self.sin, second * self.cos + first * self.sin], axis=-1)

    def call(self, qkv: Any) -> Any:
        """Attend."""
        parts = ops.reshape(qkv, (-1, 64, 3, 4, 32))
        query, key, value = parts[:, :, 0], parts[:, :, 1], parts[:, :, 2]
        seen = ops.nn.dot_product_attention(self.turned(query), self.turned(key), value)
        return ops.reshape(seen, (-1, 64, 128))

    def compute_output_shape(self, shape: Any) -> Any:
        """(B, 64, 128)."""
        return (shape[0], 64, 128)


def _transformer() -> Any:
    def norm() -> Any:
        return layers.RMSNormalization(epsilon=1e-6)

    x = layers.Input((64,), dtype="int32")
    h = norm()(layers.Embedding(284, 128)(x))
    for _ in range(2):
        h = h + layers.Dense(128)(Rotary()(layers.Dense(384)(norm()(h))))
        h = h + layers.Dense(128)(layers.Dense(512, "gelu")(norm()(h)))
    return keras.Model(x, layers.Dense(4)(layers.GlobalAveragePooling1D()(norm()(h))))
