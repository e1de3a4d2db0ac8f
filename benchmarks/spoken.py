"""Sounds of speech for benchmarks, spoken by espeak-ng (the Debian package) in several voices.

Nothing is downloaded: the words are drawn here, and the program that speaks them is asked for where it is missing.
"""

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

__all__ = ["DIGITS", "digit_strings", "number_pairs", "require_voice", "speak"]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

VOICES = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
VARIANTS = ("m1", "m3", "m5", "m7", "f1", "f2", "f3", "f4")
"""Of each voice: other formants, pitch and roughness."""

ONES = {
    "fr": [
        "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze",
        "treize", "quatorze", "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf",
    ],
    "en": [
        *DIGITS, "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
        "nineteen",
    ],
}  # fmt: skip
TENS = {
    "fr": ["vingt", "trente", "quarante", "cinquante", "soixante", "soixante", "quatre-vingt", "quatre-vingt"],
    "en": ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"],
}


def require_voice() -> str:
    """Where espeak-ng is.

    Raises:
        SystemExit: It is not installed.
    """
    found = shutil.which("espeak-ng")
    if found is None:
        raise SystemExit("espeak-ng speaks the sounds of this benchmark: install it, e.g. apt-get install espeak-ng")
    return found


def speak(words: str, voice: str, speed: int, pitch: int) -> tuple[np.ndarray, int]:
    """One utterance: samples, float64, and how many there are in a second."""
    asked = [require_voice(), "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", words]
    return soundfile.read(io.BytesIO(subprocess.run(asked, check=True, capture_output=True).stdout))


def spoken_in(count_voices: int, rng: np.random.Generator) -> list[tuple[str, int, int]]:
    """Voices with a usual speed (words a minute) and pitch (0 to 99), no two alike."""
    every = [f"{voice}+{variant}" for voice in VOICES for variant in VARIANTS]
    chosen = rng.choice(len(every), min(count_voices, len(every)), replace=False)
    return [(every[i], int(rng.integers(130, 190)), int(rng.integers(25, 75))) for i in chosen]


def _take(words: str, voice: tuple[str, int, int], rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """As a voice says it this time: a little faster or slower, in some silence with a little noise."""
    name, speed, pitch = voice
    sound_N, rate = speak(words, name, speed + int(rng.integers(-15, 16)), pitch + int(rng.integers(-5, 6)))
    before, after = (np.zeros(int(rate * rng.uniform(0, 0.2))) for _ in range(2))
    whole_N = np.concatenate([before, sound_N * rng.uniform(0.4, 1.0), after])
    return whole_N + 10 ** rng.uniform(-4, -2.5) * rng.normal(size=len(whole_N)), rate


def digit_strings(folder: Path, rows: int, seed: int, *, voices: int = 24) -> Path:
    """Writes ``digits.csv``: paths of sounds of two to six digits, the words, and the voice, whose last quarter is
    for the test."""
    rng = np.random.default_rng(seed)
    cast, table = spoken_in(voices, rng), []
    (folder / "sounds").mkdir(parents=True, exist_ok=True)
    for row in range(rows):
        words = " ".join(DIGITS[i] for i in rng.integers(0, 10, int(rng.integers(2, 7))))
        number = int(rng.integers(len(cast)))
        sound_N, rate = _take(words, cast[number], rng)
        path = folder / "sounds" / f"{row:05}.wav"
        soundfile.write(path, sound_N, rate)
        part = "test" if number < len(cast) // 4 else ("validation" if number < len(cast) * 3 // 8 else "train")
        table.append({"sound": str(path), "transcript": words, "voice": cast[number][0], "part": part})
    pd.DataFrame(table).to_csv(folder / "digits.csv", index=False)
    return folder / "digits.csv"


def in_words(number: int, language: str) -> str:
    """0 to 99 in French or English words."""
    ones, tens = ONES[language], TENS[language]
    if number < 20:
        return ones[number]
    ten, one = divmod(number, 10)
    if language == "en":
        return tens[ten - 2] + (f"-{ones[one]}" if one else "")
    rest = one + 10 if ten in (7, 9) else one
    if number == 80:
        return "quatre-vingts"
    joined = " et " if rest in (1, 11) and ten < 8 else "-"
    return tens[ten - 2] + (joined + ones[rest] if rest else "")


def number_pairs(folder: Path, rows: int, seed: int, *, count: tuple[int, int] = (1, 3)) -> Path:
    """Writes ``numbers.csv``: sounds of some numbers below 100 in French, and the same in English words."""
    rng = np.random.default_rng(seed)
    table = []
    (folder / "sounds").mkdir(parents=True, exist_ok=True)
    for row in range(rows):
        numbers = rng.integers(0, 100, int(rng.integers(count[0], count[1] + 1)))
        variant = VARIANTS[int(rng.integers(len(VARIANTS)))]
        voice = (f"{('fr', 'fr-be', 'fr-ch')[int(rng.integers(3))]}+{variant}", 150, int(rng.integers(25, 75)))
        said = ", ".join(in_words(int(n), "fr") for n in numbers)
        sound_N, rate = _take(said, voice, rng)
        path = folder / "sounds" / f"{row:05}.wav"
        soundfile.write(path, sound_N, rate)
        english = ", ".join(in_words(int(n), "en") for n in numbers)
        table.append({"sound": str(path), "english": english})
    pd.DataFrame(table).to_csv(folder / "numbers.csv", index=False)
    return folder / "numbers.csv"
