"""Bad pictures, sounds, texts and series: each case is made, and what a command says about it is written down.

``tests/api/test_bad_senses.py`` runs each of them once, looks for the words that it must say, and compares the page.
"""

import io
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from docs_bad_input import as_row, run
from docs_words import table
from PIL import Image

__all__ = ["SENSE_CASES", "SenseCase", "bad_senses_table"]

TRAIN = ("--target", "label", "--set", "model.preset=fast", "--set", "evaluate.baselines=[]", "--out", "run")
SOME = ("--set", "data.max_bad_rows=15%")
RATE = 8000


@dataclass(frozen=True)
class SenseCase:
    """One bad input, and what must be said of it."""

    id: str
    title: str
    make: Callable[[Path], object]
    """Puts it into an empty folder."""
    source: str
    code: int
    says: tuple[str, ...]
    options: tuple[str, ...] = ()

    def row(self, folder: Path) -> tuple[int, str, tuple[str, str, str]]:
        """Run the command where it was made; the exit code, all that was printed, and the row of the table."""
        code, said = run(("train", self.source, *TRAIN, *self.options), folder)
        return code, said, as_row(self.title, code, said, folder / "run" / f"{self.source.split('.')[0]}.bundle")


def bad_senses_table() -> str:
    """Run every case in a folder of its own and tell what came of it."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        os.environ |= {"TRUEWEIGHT_CACHE": f"{name}/cache", "TRUEWEIGHT_STATE": f"{name}/state", "NO_COLOR": "1"}
        for case in SENSE_CASES:
            folder = Path(name) / case.id
            folder.mkdir()
            case.make(folder)
            rows.append(case.row(folder)[2])
    return table(["what comes in", "exit code", "what is said"], rows)


def _png(number: int, *, light: bool, side: int = 6) -> bytes:
    level, stream = 150 if light else 40, io.BytesIO()
    pixels = np.random.default_rng(number + 1000 * light).integers(level, level + 60, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _bomb() -> bytes:
    """A PNG of 171 bytes whose head claims 2,500 million pixels."""
    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b""))
    whole = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def _spoilt(png: bytes) -> bytes:
    """Its head and its end are right; what lies between is not."""
    place = png.index(b"IDAT") + 6
    return png[:place] + bytes(len(png) - place - 16) + png[-16:]


def _sound(number: int, *, high: bool, samples: int = 1600, kind: str = "WAV") -> bytes:
    rng, time, out = np.random.default_rng(number + 1000 * high), np.arange(samples) / RATE, io.BytesIO()
    wave = 0.3 * np.sin(2 * np.pi * (1500 if high else 400) * time) + 0.02 * rng.normal(size=samples)
    soundfile.write(out, wave, RATE, format=kind)
    return out.getvalue()


def _silence(samples: int) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.zeros(samples), RATE, format="WAV")
    return out.getvalue()


def _photos(folder: Path, *, side: int = 6, **spoilt: bytes) -> Path:
    """Thirty dark and thirty light pictures; some of the dark ones are something else."""
    for label in ("dark", "light"):
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(30):
            content = spoilt.get(f"{label}{number}", _png(number, light=label == "light", side=side))
            (folder / "photos" / label / f"{number}.png").write_bytes(content)
    return folder / "photos"


def _clips(folder: Path, **spoilt: bytes) -> Path:
    """The same with low and high tones; ``low3_flac`` becomes ``low/3.flac``."""
    for label in ("low", "high"):
        (folder / "clips" / label).mkdir(parents=True)
        for number in range(30):
            (folder / "clips" / label / f"{number}.wav").write_bytes(_sound(number, high=label == "high"))
    for name, content in spoilt.items():
        stem, _, kind = name.partition("_")
        (folder / "clips" / "low" / f"{stem.removeprefix('low')}.wav").unlink()
        (folder / "clips" / "low" / f"{stem.removeprefix('low')}.{kind or 'wav'}").write_bytes(content)
    return folder / "clips"


def _broken_pictures() -> dict[str, bytes]:
    return {"dark0": b"", "dark1": _png(1, light=False)[:60], "dark2": b"no picture", "dark3": _bomb()}


def _broken_sounds() -> dict[str, bytes]:
    return {
        "low0": b"", "low1": _sound(1, high=False)[:900], "low2": b"no sound", "low3": _silence(0),
        "low4_mp3": b"ID3" + _sound(4, high=False, samples=RATE, kind="MP3")[:300],
    }  # fmt: skip


def _with_undecodable(folder: Path) -> None:
    """Three of them, one of which at least trains however the rows are parted: each class has thirty."""
    _photos(folder, **_broken_pictures(), **{f"light{n}": _spoilt(_png(n, light=True)) for n in (4, 5, 6)})


def _with_silent(folder: Path) -> None:
    odd = {f"low{n}": _silence(1600 + n) for n in range(5, 9)}
    cut = {f"low{n}_flac": _sound(n, high=False, kind="FLAC")[:-500] for n in range(9, 15)}
    _clips(folder, **_broken_sounds(), **odd, **cut)


def _only_silent(folder: Path) -> None:
    _clips(folder, **{f"low{n}": _silence(1600) for n in range(30)})
    for path in (folder / "clips" / "high").iterdir():
        path.write_bytes(_silence(1600))


def _paths(start: str, beside: bool = False) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        _photos(folder)
        rows = [f"{start}{label}/{n}.png,{label}{f',{n % 7}' if beside else ''}" for label in ("dark", "light")
                for n in range(30)]  # fmt: skip
        (folder / "data.csv").write_text("\n".join([f"file,label{',size' if beside else ''}", *rows]) + "\n")

    return make


def _empty_class(folder: Path) -> None:
    (_photos(folder) / "dusk").mkdir()
    (folder / "photos" / "dusk" / "notes.txt").write_text("none yet")
    (folder / "photos" / "night").mkdir()


def _empty_classes(folder: Path) -> None:
    (folder / "photos" / "dark").mkdir(parents=True)
    (folder / "photos" / "light").mkdir()


def _loose(folder: Path) -> None:
    _photos(folder)
    for path in list((folder / "photos").glob("*/*.png")):
        path.rename(folder / "photos" / f"{path.parent.name}-{path.name}")
    (folder / "photos" / "dark").rmdir()
    (folder / "photos" / "light").rmdir()


def _texts(*odd: str) -> Callable[[Path], object]:
    """Sixty texts, the first of which are something else."""

    def make(folder: Path) -> None:
        usual = [f"a {('lovely and calm', 'dull and noisy')[n % 2]} day, number {n * 7} of many" for n in range(60)]
        rows = [f'"{text}",{"yn"[n % 2]}' for n, text in enumerate([*odd, *usual[len(odd) :]])]
        (folder / "data.csv").write_text("\n".join(["text,label", *rows]) + "\n")

    return make


def _lengths(*lengths: int) -> Callable[[Path], object]:
    """Sixty series, the first of which are so long."""

    def make(folder: Path) -> None:
        with (folder / "data.jsonl").open("w") as file:
            for row in range(60):
                count = lengths[row] if row < len(lengths) else 20 + row % 7
                noise = np.random.default_rng(row).normal(size=count) / 5
                wave = (np.sin(np.arange(count) / (2 + row % 2)) + noise).round(2).tolist()
                file.write(json.dumps({"wave": wave, "label": "ab"[row % 2]}) + "\n")

    return make


PICTURE, TEXT = ("--set", "features.file.type=image"), ("--set", "features.text.type=text")

SENSE_CASES = (
    SenseCase("broken-pictures", "empty, truncated and wrong pictures and a decompression bomb among good ones",
              lambda folder: _photos(folder, **_broken_pictures()), "photos", 3,
              ("4 of 60 files in column 'file' cannot be used", "broken picture: 1", "empty file: 1",
               "not a picture: 1", "picture of too many pixels: 1", "dark/0.png", "data.max_bad_rows: 7%")),
    SenseCase("broken-pictures-allowed", "the same and three that only decoding finds broken, with `data.max_bad_rows` "
              "at 15 %", _with_undecodable, "photos", 0,
              ("4 rows left out whose files are broken or missing", "1 cell: picture of too many pixels in file",
               "cannot be decoded in file"), SOME),
    SenseCase("one-pixel", "pictures of one pixel", lambda folder: _photos(folder, side=1), "photos", 0,
              ("Test: 12 rows",)),
    SenseCase("no-such-pictures", "paths that lead nowhere, named as pictures", _paths("photo/"), "data.csv", 3,
              ("60 of 60 files", "file not found: 60", "say in which folder", "data.media_dir", "another type"),
              PICTURE),
    SenseCase("no-such-pictures-guessed", "the same beside another column, left to be guessed", _paths("photo/", True),
              "data.csv", 0, ("left out 'file'", "the files are not there", "data.media_dir")),
    SenseCase("absolute-paths", "paths out of the data's folder", _paths("/photos/"), "data.csv", 3,
              ("path out of the data's folder: 60", "/photos/dark/0.png", "data.media_dir"), PICTURE),
    SenseCase("climbing-paths", "the same with `..`, left to be guessed", _paths("../photos/"), "data.csv", 3,
              ("lead out of the data's folder", "data.media_dir")),
    SenseCase("no-such-folder", "a folder that is not there", _photos, "photo", 3,
              ("there is no file or folder 'photo'", "did you mean 'photos'?")),
    SenseCase("empty-class", "a class folder without pictures, and one without files", _empty_class, "photos", 0,
              ("class folder 'dusk' holds no pictures", "class folder 'night' holds no pictures",
               "skipped files that are no pictures: 1", "Test: 12 rows")),
    SenseCase("empty-classes", "class folders without any file", _empty_classes, "photos", 3,
              ("photos has no rows", "sub-folders dark, light hold no pictures or sounds", "each class needs")),
    SenseCase("loose", "pictures without class folders", _loose, "photos", 3,
              ("there are no class folders: 60 files lie in photos itself", "put the files of each class")),
    SenseCase("broken-sounds", "empty, truncated and wrong sounds and one without a sample among good ones",
              lambda folder: _clips(folder, **_broken_sounds()), "clips", 3,
              ("5 of 60 files in column 'file' cannot be used", "broken sound: 2", "empty file: 1", "empty sound: 1",
               "not a sound: 1", "low/0.wav", "data.max_bad_rows: 9%")),
    SenseCase("broken-sounds-allowed", "the same, some that only decoding finds broken, and silent ones, with "
              "`data.max_bad_rows` at 15 %", _with_silent, "clips", 0,
              ("5 rows left out whose files are broken or missing", "2 cells: broken sound in file", "silent in file",
               "cannot be decoded in file"), SOME),
    SenseCase("no-sample", "sounds without any sample",
              lambda folder: _clips(folder, **{f"low{n}": _silence(0) for n in range(30)}), "clips", 3,
              ("30 of 60 files in column 'file' cannot be used (empty sound: 30)",)),
    SenseCase("silence", "nothing but silence", _only_silent, "clips", 3,
              ("leaves no row", "the 60 rows make only 1 group", "rows with the same features, stay together")),
    SenseCase("empty-texts", "empty texts among others", _texts("", "   ", ""), "data.csv", 0,
              ("3 cells: missing in text", "Test: 12 rows")),
    SenseCase("only-empty-texts", "nothing but empty texts", _texts(*[""] * 60), "data.csv", 3,
              ("no column is left to learn from", "no values at all")),
    SenseCase("long-text", "a text of 10 MB", _texts("", "word " * 2_000_000), "data.csv", 0,
              ("1 cell: longer than 100,000 characters in text", "Test: 12 rows")),
    SenseCase("lengths", "series of 1 to 100,000 steps", _lengths(1, 100_000, 2, 5_000, 300), "data.jsonl", 0,
              ("longer than what is kept and cut in wave", "Test: 12 rows")),
)  # fmt: skip
