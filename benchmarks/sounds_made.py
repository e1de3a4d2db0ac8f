"""Encoders of sounds beside each other, on commands that are made up here and spoken by voices never heard.

    python -m benchmarks.sounds_made [--seeds 3] [--seconds 8] [--words 16] [--voices 20] [--only NAME]

No set of real sounds may shape our defaults, so this one does. A word is three phonemes in a row; a phoneme is a vowel
of two formants, a hiss, or a stop before a vowel. A voice has a pitch, a length of the vocal tract, which moves all
formants, a speed, a roughness and a loudness; every take differs a little, and lies somewhere in a room with noise.
Source: the source-filter model of Fant 1960, "Acoustic theory of speech production". A fifth of the voices is judged.

Every run is a fresh process with all defaults but the encoder and augmentations; all see the same rows for each seed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

RATE = 16_000

VOWELS = ((300, 2300), (400, 2000), (550, 1800), (700, 1200), (500, 900), (350, 750), (450, 1400), (620, 1600))
"""First and second formant in Hz, about those of an adult man."""

HISSES = ((4000, 900), (2500, 700), (6000, 1500), (1500, 500))
"""Middle and width of a band of noise in Hz."""

SEPARABLE = {"type": "cnn", "over": "spectrum", "separable": True}
MOVED = [{"type": "time_shift"}, {"type": "spec_augment"}]
WAYS: dict[str, dict[str, Any]] = {
    "default": {},
    "steps": {
        "encoder": {"type": "cnn", "channels": [128, 128, 128], "kernel_sizes": [5]}, "augment": [MOVED[1]],
    },
    "spectrum": {"encoder": {"type": "cnn", "over": "spectrum"}, "augment": [MOVED[1]]},
    "separable": {"encoder": SEPARABLE, "augment": [MOVED[1]]},
    "separable, shifted": {"encoder": SEPARABLE, "augment": MOVED},
    "separable, shifted, noisy": {"encoder": SEPARABLE, "augment": [*MOVED, {"type": "noise"}]},
    "DS-CNN": {
        "encoder": SEPARABLE | {"channels": [64, 64, 64, 64, 64], "pool": "none", "kernel_sizes": [5, 3, 3, 3, 3]},
        "augment": [MOVED[1]],
    },
}  # fmt: skip
"""Options of the column."""


def voiced(seconds: float, pitch: float, formants: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Harmonics of a pitch that falls a little, louder near the formants."""
    time_N = np.arange(int(seconds * RATE)) / RATE
    glide_N = pitch * (1 + rng.uniform(-0.1, 0.05) * time_N / seconds)
    phase_N, total_N = np.cumsum(2 * np.pi * glide_N / RATE), np.zeros(len(time_N))
    for number in range(1, int(4000 / pitch)):
        at = number * pitch
        gain = sum(1 / (1 + ((at - formant) / (60 + 0.05 * formant)) ** 2) for formant in formants) + 0.01
        total_N += gain / number**0.5 * np.sin(number * phase_N + rng.uniform(0, 2 * np.pi))
    return total_N * np.hanning(len(time_N)) ** 0.3


def hiss(seconds: float, middle: float, width: float, rng: np.random.Generator) -> np.ndarray:
    """Noise in a band."""
    count = int(seconds * RATE)
    hertz_K = np.fft.rfftfreq(count, 1 / RATE)
    shaped_K = np.fft.rfft(rng.normal(size=count)) * np.exp(-(((hertz_K - middle) / width) ** 2))
    found_N = np.fft.irfft(shaped_K, count)
    return 2 * found_N / (found_N.std() + 1e-9) * np.hanning(count) ** 0.3


def spoken(word: tuple[int, ...], voice: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """One take: phonemes from 0 on are vowels, then hisses, then stops before a vowel."""
    parts = [np.zeros(int(rng.uniform(0.05, 0.25) * RATE))]
    for phoneme in word:
        seconds = 0.14 * voice["speed"] * rng.uniform(0.8, 1.25)
        kind, number = divmod(phoneme, len(VOWELS))
        if kind == 1 and number < len(HISSES):
            middle, width = HISSES[number]
            parts.append(hiss(seconds, middle * voice["tract"] ** 0.5, width, rng))
            continue
        low, high = (f * voice["tract"] * rng.uniform(0.95, 1.05) for f in VOWELS[number])
        pitch = voice["pitch"] * rng.uniform(0.9, 1.1)
        if kind:
            parts += [np.zeros(int(0.04 * RATE)), 2 * rng.normal(size=int(0.012 * RATE))]
        parts.append(voiced(seconds, pitch, (low, high), rng) + voice["rough"] * rng.normal(size=int(seconds * RATE)))
    parts.append(np.zeros(int(rng.uniform(0.05, 0.25) * RATE)))
    sound_N = np.concatenate(parts)
    sound_N += 0.02 * 10 ** rng.uniform(0, 1) * rng.normal(size=len(sound_N))
    return 0.9 * sound_N / np.abs(sound_N).max() * voice["loud"] * rng.uniform(0.6, 1.0)


def make(folder: Path, words: int, voices: int, takes: int, seed: int) -> None:
    """Sounds and two tables: ``train.csv`` and ``test.csv``, of other voices, with ``file``, ``voice`` and ``word``."""
    rng = np.random.default_rng(seed)
    kinds = len(VOWELS) + len(HISSES) + 4
    spelled: list[tuple[int, ...]] = []
    while len(spelled) < words:
        word = tuple(int(x) for x in rng.integers(0, kinds, 3))
        if word not in spelled:
            spelled.append(word)
    rows = []
    for number in range(voices):
        voice = {
            "pitch": rng.uniform(85, 260), "tract": rng.uniform(0.9, 1.25), "speed": rng.uniform(0.75, 1.35),
            "rough": rng.uniform(0.0, 0.4), "loud": rng.uniform(0.2, 1.0),
        }  # fmt: skip
        for place, word in enumerate(spelled):
            for take in range(takes):
                file = f"{number}-{place}-{take}.wav"
                soundfile.write(folder / file, spoken(word, voice, rng), RATE, subtype="PCM_16")
                rows.append((file, f"voice {number}", f"word {place}"))
    table = pd.DataFrame(rows, columns=["file", "voice", "word"])
    judged = table.voice.isin([f"voice {number}" for number in range(max(1, voices // 5))])
    table[~judged].to_csv(folder / "train.csv", index=False)
    table[judged].to_csv(folder / "test.csv", index=False)


def run(folder: Path, way: str, seed: int, seconds: float) -> dict[str, Any]:
    """Train in one way, answer, score."""
    ours, out = [sys.executable, "-m", "trueweight"], folder / f"run-{way.replace(', ', '-')}-{seed}"
    options = [f"features.file.{key}={json.dumps(value)}" for key, value in WAYS[way].items()]
    options += ["split.test=0", "split.group=voice", "features.voice=ignore", "features.file.type=audio"]
    command = [*ours, "train", "train.csv", "--target", "word", "--out", str(out), "--budget", f"{seconds:g}s"]
    start = time.perf_counter()
    done = _do([*command, "--seed", str(seed), *(word for option in options for word in ("--set", option))], folder)
    spent, bundle = time.perf_counter() - start, done.strip().splitlines()[-1]
    _do([*ours, "predict", bundle, "test.csv", "-o", str(out / "answers.csv")], folder)
    answers, truth = pd.read_csv(out / "answers.csv", dtype=str), pd.read_csv(folder / "test.csv", dtype=str)
    plan = json.loads((out / "plan.json").read_text())["members"][-1]
    return {
        "way": way, "seed": seed, "accuracy": round(float((answers.word == truth.word).mean()), 4),
        "seconds": round(spent, 1), "steps": plan["steps"], "epochs": round(plan["epochs"], 1),
    }  # fmt: skip


def _do(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[2:5])} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    """Make sounds for each seed, and print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--words", type=int, default=16)
    parser.add_argument("--voices", type=int, default=20)
    parser.add_argument("--takes", type=int, default=3)
    parser.add_argument("--only", action="append", choices=WAYS)
    chosen = parser.parse_args()
    for seed in range(chosen.seeds):
        with tempfile.TemporaryDirectory() as place:
            make(Path(place), chosen.words, chosen.voices, chosen.takes, seed)
            for way in chosen.only or WAYS:
                print(json.dumps(run(Path(place), way, seed, chosen.seconds)), flush=True)


if __name__ == "__main__":
    main()
