"""Sounds: spectra on the mel scale, step by step."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from trueweight.data.bins import bins_of
from trueweight.data.cells import Cells, MediaCells, ReadOptions
from trueweight.data.column import FieldArrays, Sense
from trueweight.data.gist import gist_of
from trueweight.data.media import UnusableError, content_of, in_threads, read_media, undecodable
from trueweight.data.quantiles import tellable
from trueweight.data.ragged import Ragged
from trueweight.data.sample import BottomK
from trueweight.data.sound_facts import AT_ONCE, learn_sounds, make_up
from trueweight.data.sounds import decode, log_mel, mel_centres, sound_head
from trueweight.spec.base import AugmentationPart, EncoderPart, PartSpec, only_for

__all__ = ["AudioCodec", "AudioColumn", "Spectrum"]

_log = logging.getLogger("trueweight.data")


@dataclass(frozen=True, slots=True)
class Spectrum:
    """How sounds become steps."""

    rate: int
    """Samples a second."""
    mels: int
    window: int
    """Samples that one step looks at."""
    hop: int
    """Samples from one step to the next."""

    def __call__(self, sample_N: np.ndarray, steps: int) -> np.ndarray:
        """The first steps of a sound, (T, M) float32."""
        return log_mel(sample_N, self.rate, self.mels, self.window, self.hop)[:steps]

    def seconds(self, steps: int) -> float:
        """So long a sound fills so many steps."""
        return (steps * self.hop + self.window) / self.rate


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """``frame``: log power in each mel band, float16, no step where missing. ``flag``: missing marks."""

    name: str
    spectrum: Spectrum
    steps: int
    """Most that a sound keeps; 0 if no sound was there to learn from, and nothing is encoded."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flags: bool

    def shapes(self) -> dict[str, int]:
        return {"frame": self.spectrum.mels} | ({"flag": 1} if self.flags else {}) if self.steps else {}

    def cardinalities(self) -> list[int]:
        return []

    def knots(self) -> list[list[float]]:
        return []

    def labels(self) -> dict[str, list[str]]:
        bands = mel_centres(self.spectrum.rate, self.spectrum.mels)[1:-1]
        words = {"frame": [f"{self.name} at {band:.0f} Hz" for band in bands], "flag": [f"{self.name} missing"]}
        return {key: words[key] for key in self.shapes()}

    def senses(self) -> dict[str, Sense]:
        if not self.steps:
            return {}
        hertz = tuple(mel_centres(self.spectrum.rate, self.spectrum.mels)[1:-1].tolist())
        return {"frame": Sense(ragged=True, mean=self.mean, std=self.std, length=self.steps, hertz=hertz)}

    def encode(self, cells: Cells) -> FieldArrays:
        assert isinstance(cells, MediaCells)
        if not self.steps:
            return {}
        rows = list(in_threads(partial(self._row, cells), range(len(cells)), at_once=AT_ONCE))
        self._warn(rows)
        empty = np.zeros((0, self.spectrum.mels), np.float16)
        frames = Ragged.of([empty if isinstance(row, str) else row for row in rows], self.spectrum.mels, np.float16)
        if not self.flags:
            return {"frame": frames}
        return {"frame": frames, "flag": (frames.lengths == 0).astype(np.float32)[:, None]}

    def _row(self, cells: MediaCells, row: int) -> np.ndarray | str:
        """The steps of one row, or why there are none."""
        if cells.missing_N[row]:
            return ""
        if (kept := cells.kept.pop((int(cells.print_N[row]), self.spectrum), None)) is not None:
            return kept[: self.steps]
        try:
            sample_N = decode(content_of(cells, row), self.spectrum.rate, self.spectrum.seconds(self.steps))
        except UnusableError as reason:
            return str(reason)
        return self.spectrum(sample_N, self.steps).astype(np.float16)

    def _warn(self, rows: "list[np.ndarray | str]") -> None:
        broken = sum(isinstance(row, str) and row != "" for row in rows)
        if broken:
            _log.warning("%s", undecodable(self.name, broken, "sound"))

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "spectrum": asdict(self.spectrum),
            "steps": self.steps,
            "mean": list(self.mean),
            "std": list(self.std),
            "flags": self.flags,
        }


class AudioColumn(PartSpec):
    """Sounds: files (wav, flac, ogg, mp3, aiff, au) as paths, bytes or ``data:`` addresses, of any rate and length.

    Channels are averaged, and the sound becomes the logarithm of its power in mel bands, a hundred steps a second.
    Nothing of a sound itself is kept.

    Facts learnt: "count" and "missing" (rows), "seconds" (lengths: what 5 %, half and 95 % of the rows stay below),
    "bins" (rows between edges of them), "max_seconds" (where sounds are cut), "cut" (how many are longer), "mean" and
    "std" of each band; and of the
    "looked_at" sounds of a sample, how many are "broken", "silent", "clipped" (one sample in a thousand as loud as the
    file can hold), or hold samples that are "not_finite".

    Example:
        ``recording: {type: audio, n_mels: 80, max_seconds: 10}``
    """

    search_space = {"n_mels": [40, 64, 80]}

    type: Literal["audio"] = "audio"
    """Registered name."""

    sample_rate: Annotated[int, Field(ge=1000, le=192_000)] = 16_000
    """Samples a second that every sound is brought to. Half of it is the highest frequency that is heard."""

    n_mels: Annotated[int, Field(ge=4, le=256)] = 64
    """Bands that the spectrum is summed up in. 64 tell words and noises apart; 80 are usual for recognising speech."""

    window: Annotated[float, Field(gt=0, le=1000)] = 25.0
    """Milliseconds that one step looks at."""

    hop: Annotated[float, Field(gt=0, le=1000)] = 10.0
    """Milliseconds from one step to the next."""

    max_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    """Where sounds are cut. Null: where 99 % of the training rows end, in whole seconds, at most 30."""

    encoder: EncoderPart | None = None
    """What reads the steps. Null: a small convolution over time."""

    augment: list[AugmentationPart] | None = None
    """How training examples are changed, in order; [] leaves them as they are. Null: masks, shifts, gain, and noise."""

    @model_validator(mode="after")
    def _steps_hold_samples(self) -> Self:
        if self.hop > self.window:
            raise ValueError("hop is longer than window, so that parts of each sound would not be heard")
        if self.hop * self.sample_rate < 1000:
            raise ValueError("hop is shorter than one sample: raise hop or sample_rate")
        return self

    @field_validator("augment")
    @classmethod
    def _changes_what_it_reads(cls, parts: list[PartSpec] | None) -> list[PartSpec] | None:
        return only_for("frame", "sounds", parts)

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> MediaCells:
        """Open every file and look at its head: samples of each channel, samples a second, channels."""
        return read_media(raw, options, sound_head, 3, "sound")

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:
        """Facts from the rows given; a sample of them is decoded."""
        assert isinstance(cells, MediaCells)
        count = int((~cells.missing_N[rows]).sum())
        given = sample.rows[~cells.missing_N[sample.rows]]
        spectrum = self._spectrum()
        facts = learn_sounds(
            cells, given if count >= min(min_group, len(rows)) else given[:0], steps=lambda x: spectrum(x, len(x)),
            rate=self.sample_rate, mels=self.n_mels, cut=self.max_seconds, min_group=min_group, made_by=spectrum,
        )  # fmt: skip
        seconds_N = gist_of("audio", cells)
        assert seconds_N is not None
        told = tellable(seconds_N[given], count, len(rows), min_group)
        return {"count": count, "missing": len(rows) - count, **facts, "bins": bins_of(told, min_group)}

    def _spectrum(self) -> Spectrum:
        window, hop = (round(length * self.sample_rate / 1000) for length in (self.window, self.hop))
        return Spectrum(self.sample_rate, self.n_mels, window, hop)

    def codec(self, name: str, learnt: Mapping[str, Any]) -> AudioCodec:
        """The codec for facts that :meth:`learn` found."""
        spectrum = self._spectrum()
        most = max(1, int(learnt["max_seconds"] * self.sample_rate) // spectrum.hop)
        flags = learnt["missing"] > 0 and learnt["count"] > 0
        steps = most if learnt["count"] else 0
        return AudioCodec(name, spectrum, steps, tuple(learnt["mean"]), tuple(learnt["std"]), flags)

    def codec_from_json(self, raw: Mapping[str, Any]) -> AudioCodec:
        """The inverse of :meth:`AudioCodec.to_json`."""
        mean, std = tuple(raw["mean"]), tuple(raw["std"])
        return AudioCodec(raw["name"], Spectrum(**raw["spectrum"]), raw["steps"], mean, std, raw["flags"])

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """Short noises with about the learnt spectrum, as ``data:audio/wav;base64,…``."""
        empty = rng.uniform(size=n) < (0.1 if learnt["missing"] else 0.0)
        return pa.array([None if gone else make_up(learnt, self.sample_rate, rng) for gone in empty], pa.string())

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``sounds of 0.3 to 2.1 seconds, half below 1; 3 of 512 clipped``."""
        if not learnt["count"]:
            return "no sounds"
        told = learnt["seconds"]
        length = "a few sounds"
        if told:
            length = f"sounds of {told[0]:.3g} to {told[2]:.3g} seconds, half below {told[1]:.3g}"
        words = {"broken": "broken", "silent": "silent", "clipped": "clipped", "not_finite": "with impossible samples"}
        odd = [f"{learnt[key]:,} {word}" for key, word in words.items() if learnt[key]]
        return length + (f"; of {learnt['looked_at']:,}, {', '.join(odd)}" if odd else "")
