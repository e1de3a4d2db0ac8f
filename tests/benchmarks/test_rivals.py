"""Rivals get what their pages would give them: words, spectra and labels have a second opinion."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

DATA = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "rival_data.py"))


def test_spectra_are_those_of_scipy():
    waves = np.random.default_rng(0).normal(size=(2, 2000)).astype("float32")
    window = signal.get_window("hann", 255)  # periodic, as TensorFlow's
    _, _, theirs = signal.stft(waves, window=window, nperseg=255, noverlap=127, nfft=256, boundary=None, padded=False)
    # SciPy divides by the sum of the window
    np.testing.assert_allclose(DATA["spectra"](waves), np.abs(theirs).transpose(0, 2, 1) * window.sum(), rtol=1e-4,
                               atol=1e-4)  # fmt: skip


@pytest.mark.parametrize("hertz", [300, 1000, 4000])
def test_a_tone_is_loudest_in_the_band_that_holds_it(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(8000) / 16000)[None].astype("float32")
    loudest = int(DATA["mels"](tone)[0].mean(0).argmax())
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 42) / 2595) - 1)
    assert edges[loudest] < hertz < edges[loudest + 2]


def test_words_are_numbered_by_how_often_they_occur():
    train, test = DATA["words"](["B a a.", "a b"], ["c a b"], 4, 10)
    assert train.tolist() == [[3, 2, 2], [2, 3, 0]]
    assert test.tolist() == [[1, 2, 3]]
    pairs, _ = DATA["words"](["a b", "a b"], ["a"], 10, 10, pairs=True)
    assert pairs.tolist() == [[2, 3, 4], [2, 3, 4]]


def test_labels_that_training_rows_lack_cannot_be_hit():
    train, test, classes = DATA["coded"](["x", "y", "x"], ["y", "z"])
    assert (train.tolist(), test.tolist(), classes) == ([0, 1, 0], [1, -1], 2)
