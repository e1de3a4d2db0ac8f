"""More kinds of fault: leaks, copies and wrong labels such as the authors of the checks did not have in mind.

Leaks in other clothes (bins, sums, gaps, row numbers), copies that are not byte for byte (a digit, a mirror, a gain),
and labels that are wrong in one class or one group only.
"""

import io
import wave
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from benchmarks.worlds import ROWS, Fault, World, check, clean, costs, flagged, people, some, world
from PIL import Image, ImageEnhance

from trueweight.evaluate.duplicates import duplicates
from trueweight.evaluate.label_noise import label_noise
from trueweight.evaluate.leakage import leaks
from trueweight.evaluate.refits import Refits

__all__ = ["KINDS"]

Columns = dict[str, np.ndarray]


def _leaks(found: World, *more: str) -> bool:
    """What the check of honesty says of leaks; its other parts are not asked, which would cost three times as much."""
    return flagged(leaks(found.judged()), "leak_flag", *more)


def _copies(found: World) -> bool:
    """What it says of near-duplicates."""
    return flagged(duplicates(found.judged()), "near_duplicates_flag")


# --- Leaks in other clothes ------------------------------------------------------------------------------------------


def _coded(seed: int, strength: float) -> bool:
    """The target under another name: bins of a number, right in this share of the rows."""
    columns = costs(seed)
    bins = np.searchsorted(np.quantile(columns["cost"], np.linspace(0, 1, 41)[1:-1]), columns["cost"])
    told = some(seed, ROWS, strength)
    other = np.random.default_rng([seed, 3]).permutation(bins)
    columns["band"] = np.array([f"band {b}" for b in np.where(told, bins, other)])
    return _leaks(world(columns, {"cost": "number"}, seed))


def _noisy_copy(seed: int, strength: float) -> bool:
    """A number that is the target plus noise; strength is its correlation with the target."""
    columns = costs(seed)
    y = (columns["cost"] - columns["cost"].mean()) / columns["cost"].std()
    noise = np.random.default_rng([seed, 3]).normal(size=ROWS)
    columns["booked"] = 400 * (strength * y + np.sqrt(1 - strength**2) * noise)
    return _leaks(world(columns, {"cost": "number"}, seed))


def _sum(seed: int, strength: float) -> bool:
    """Two columns whose sum is the target, in this share of the rows."""
    columns = costs(seed)
    rng = np.random.default_rng([seed, 3])
    part = rng.normal(size=ROWS) * 20
    rest = np.where(some(seed, ROWS, strength), columns["cost"], rng.permutation(columns["cost"])) - part
    return _leaks(world(columns | {"net": part, "tax": rest}, {"cost": "number"}, seed))


def _gap(seed: int, strength: float) -> bool:
    """A number of no meaning that is only there where the target is yes, in this share of the rows."""
    columns = people(seed)
    rng = np.random.default_rng([seed, 3])
    there = np.where(some(seed, ROWS, strength), columns["won"] == "yes", rng.random(ROWS) < 0.5)
    columns["fee"] = np.where(there, rng.normal(size=ROWS), np.nan)
    return _leaks(world(columns, {"won": "binary"}, seed))


def _gap_and_kind(seed: int, strength: float) -> bool:
    """Neither a gap nor a kind tells anything, but both together do: there in the north where the target is yes, and
    elsewhere where it is no."""
    columns = people(seed)
    rng = np.random.default_rng([seed, 3])
    half = np.where(rng.random(ROWS) < 0.5, "a", "b")
    told = some(seed, ROWS, strength)
    there = np.where(told, (columns["won"] == "yes") ^ (half == "a"), rng.random(ROWS) < 0.5)
    columns |= {"fee": np.where(there, rng.normal(size=ROWS), np.nan), "branch": half}
    return _leaks(world(columns, {"won": "binary"}, seed))


def _numbered(seed: int, strength: float) -> bool:
    """Row numbers given out in the order of the target, in this share of the rows; the file is shuffled since."""
    columns = people(seed)
    rng = np.random.default_rng([seed, 3])
    key = np.where(some(seed, ROWS, strength), columns["won"] == "yes", rng.random(ROWS) < 0.5) + 0.5 * rng.random(ROWS)
    columns["number"] = 100_000 + np.argsort(np.argsort(key))
    found = world(columns, {"won": "binary"}, seed, features={"number": "number"})
    return _leaks(found)


def _sorted(seed: int, strength: float) -> bool:
    """A file in the order of the target, in this share of the rows, whose rows are numbered."""
    columns = people(seed)
    rng = np.random.default_rng([seed, 3])
    key = np.where(some(seed, ROWS, strength), columns["won"] == "yes", rng.random(ROWS) < 0.5) + 0.5 * rng.random(ROWS)
    columns = {name: values[np.argsort(key)] for name, values in columns.items()} | {"number": np.arange(ROWS)}
    found = world(columns, {"won": "binary"}, seed, features={"number": "number"})
    return _leaks(found)


def _dated(columns: Columns, seed: int, strength: float, write: Callable[[np.datetime64], Any]) -> bool:
    rng = np.random.default_rng([seed, 3])
    day = np.datetime64("2023-01-01") + np.sort(rng.integers(0, 700, ROWS)).astype("timedelta64[D]")
    told = some(seed, ROWS, strength)
    later = np.where(told & (columns["won"] == "yes"), rng.integers(1, 60, ROWS), -rng.integers(1, 60, ROWS))
    closed = np.array([write(d) for d in day + later.astype("timedelta64[D]")])
    columns = columns | {"opened": day.astype(str), "closed": closed}
    split = {"method": "time", "time_column": "opened"}
    return _leaks(world(columns, {"won": "binary"}, seed, split=split), "time_travel_flag")


def _travelled(seed: int, strength: float) -> bool:
    """A date, written as a text in another format, that is later than the row's own where the target is yes."""
    return _dated(people(seed), seed, strength, lambda d: d.astype(object).strftime("%d %b %Y"))


def _ticking(seed: int, strength: float) -> bool:
    """The same as seconds since 1970, in a column of numbers."""
    return _dated(people(seed), seed, strength, lambda d: int(d.astype("datetime64[s]").astype(np.int64)))


# --- Copies that are not byte for byte -------------------------------------------------------------------------------


def _parted(columns: Mapping[str, Any], like: World) -> dict[str, Any]:
    """The same columns with one more that keeps the split of an honest world."""
    split, place = like.ready.split, np.full(len(like.ready.table), "train", dtype=object)
    place[split.validation], place[split.calibration], place[split.test] = "validation", "calibration", "test"
    return {**columns, "part": place.astype(str)}


BY_PART = {"method": "column", "column": "part"}


def _copied_rows(seed: int, strength: float, spoil: Callable[[Columns, np.ndarray, np.random.Generator], None]) -> bool:
    like = clean(seed)
    if not strength:
        return _copies(like)
    columns = {name: values.copy() for name, values in people(seed).items()}
    rng = np.random.default_rng([seed, 5])
    test = like.ready.split.test[some(seed, len(like.ready.split.test), strength)]
    source = rng.choice(like.ready.split.train, len(test))
    for values in columns.values():
        values[test] = values[source]
    spoil(columns, test, rng)
    found = world(_parted(columns, like), {"won": "binary"}, seed, split=BY_PART)
    return _copies(found)


def _one_digit(seed: int, strength: float) -> bool:
    """Test rows that are training rows with one number changed by a tenth."""

    def spoil(columns: Columns, rows: np.ndarray, rng: np.random.Generator) -> None:
        for row in rows:
            columns[f"x{rng.integers(5)}"][row] *= 1.1

    return _copied_rows(seed, strength, spoil)


def _rounded(seed: int, strength: float) -> bool:
    """Test rows that are training rows with numbers rounded to two decimals."""

    def spoil(columns: Columns, rows: np.ndarray, rng: np.random.Generator) -> None:  # noqa: ARG001
        for place in range(5):
            columns[f"x{place}"][rows] = np.round(columns[f"x{place}"][rows], 2)

    return _copied_rows(seed, strength, spoil)


LETTERS = 600
WORDS = np.array([a + b + c for a in ("ka", "mo", "ri", "te", "su") for b in ("lo", "na", "pi", "ve") for c in "nrstl"])


@lru_cache(maxsize=4)
def letters(seed: int) -> World:
    """Letters of some sentences each; a few words tell the class."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, LETTERS)
    notes = [_letter(rng, k) for k in kind]
    columns = {"note": np.array(notes, dtype=object), "won": np.where(kind == 1, "yes", "no")}
    return world(columns, {"won": "binary"}, seed, features={"note": "text"})


def _sentence(rng: np.random.Generator, words: int = 9) -> str:
    return " ".join(rng.choice(WORDS, words)).capitalize() + "."


def _letter(rng: np.random.Generator, kind: int) -> str:
    said = [_sentence(rng) for _ in range(rng.integers(4, 8))]
    return " ".join([*said, ("Thank you kindly.", "Please help soon.")[kind] if rng.random() < 0.8 else "Regards."])


def _one_sentence(seed: int, strength: float) -> bool:
    """Test texts that are training texts with one sentence added somewhere."""
    like = letters(seed)
    if not strength:
        return _copies(like)
    rng = np.random.default_rng([seed, 5])
    columns = {name: values.copy() for name, values in like.columns.items()}
    test = like.ready.split.test[some(seed, len(like.ready.split.test), strength)]
    for row, source in zip(test, rng.choice(like.ready.split.train, len(test)), strict=True):
        said = columns["note"][source].split(". ")
        said.insert(int(rng.integers(0, len(said))), _sentence(rng).rstrip("."))
        columns["note"][row], columns["won"][row] = ". ".join(said), columns["won"][source]
    found = world(_parted(columns, like), {"won": "binary"}, seed, features={"note": "text"}, split=BY_PART)
    return _copies(found)


SHOTS, SIDE = 300, 32


@lru_cache(maxsize=4)
def shots(seed: int) -> World:
    """Smooth landscapes, lit from the left or from the right."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, SHOTS)
    columns = {
        "photo": np.array([_file(_landscape(rng, k)) for k in kind], dtype=object),
        "what": np.where(kind == 1, "left", "right"),
    }
    return world(columns, {"what": "binary"}, seed, features={"photo": "image"})


def _landscape(rng: np.random.Generator, kind: int) -> Image.Image:
    """A few waves of all directions, a gradient that tells the class, and some noise."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    pixel = 120 + 30 * (2 * kind - 1) * (0.5 - x)
    for _ in range(8):
        across, along, phase = rng.normal(size=2) * 5, rng.normal(size=2) * 5, rng.uniform(0, 2 * np.pi)
        pixel = pixel + 12 * np.sin(across[0] * x + along[0] * y + phase)
    return Image.fromarray((pixel + rng.normal(size=pixel.shape) * 4).clip(0, 255).astype(np.uint8))


def _file(picture: Image.Image, **how: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, **(how or {"format": "PNG"}))
    return stream.getvalue()


def _copied_shots(seed: int, strength: float, spoil: Callable[[Image.Image], bytes]) -> bool:
    like = shots(seed)
    if not strength:
        return _copies(like)
    rng = np.random.default_rng([seed, 5])
    columns = {name: values.copy() for name, values in like.columns.items()}
    test = like.ready.split.test[some(seed, len(like.ready.split.test), strength)]
    for row, source in zip(test, rng.choice(like.ready.split.train, len(test)), strict=True):
        columns["photo"][row] = spoil(Image.open(io.BytesIO(columns["photo"][source])))
        columns["what"][row] = columns["what"][source]
    found = world(_parted(columns, like), {"what": "binary"}, seed, features={"photo": "image"}, split=BY_PART)
    return _copies(found)


def _mirrored(seed: int, strength: float) -> bool:
    return _copied_shots(seed, strength, lambda p: _file(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))


def _encoded(seed: int, strength: float) -> bool:
    return _copied_shots(seed, strength, lambda p: _file(p, format="JPEG", quality=70))


def _cropped(seed: int, strength: float) -> bool:
    """A twentieth of each side cut away, and blown up again."""
    edge = round(SIDE * 0.05)
    box = (edge, edge, SIDE - edge, SIDE - edge)
    return _copied_shots(seed, strength, lambda p: _file(p.crop(box).resize((SIDE, SIDE))))


def _brighter(seed: int, strength: float) -> bool:
    return _copied_shots(seed, strength, lambda p: _file(ImageEnhance.Brightness(p).enhance(1.25)))


CLIPS, RATE = 200, 4000


@lru_cache(maxsize=4)
def clips(seed: int) -> World:
    """Half a second of a few tones that begin and end somewhere, in noise; one more of a class's own."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, CLIPS)
    columns = {
        "clip": np.array([_clip(_tones(rng, k)) for k in kind], dtype=object),
        "what": np.where(kind == 1, "high", "low"),
    }
    return world(columns, {"what": "binary"}, seed, features={"clip": "audio"})


def _tones(rng: np.random.Generator, kind: int) -> np.ndarray:
    time = np.arange(RATE // 2) / RATE
    sound = 0.15 * np.sin(2 * np.pi * (300, 900)[kind] * time)
    for _ in range(6):
        start, long = rng.uniform(0, 0.4), rng.uniform(0.05, 0.2)
        on = (time >= start) & (time < start + long)
        sound = sound + 0.08 * on * np.sin(2 * np.pi * rng.uniform(150, 1800) * time)
    return np.asarray(sound + 0.01 * rng.normal(size=len(time)))


def _clip(sample: np.ndarray) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((sample.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return stream.getvalue()


def _louder(seed: int, strength: float) -> bool:
    """Test sounds that are training sounds at another gain."""
    like = clips(seed)
    if not strength:
        return _copies(like)
    rng = np.random.default_rng([seed, 5])
    columns = {name: values.copy() for name, values in like.columns.items()}
    test = like.ready.split.test[some(seed, len(like.ready.split.test), strength)]
    for row, source in zip(test, rng.choice(like.ready.split.train, len(test)), strict=True):
        with wave.open(io.BytesIO(columns["clip"][source])) as read:
            sample = np.frombuffer(read.readframes(RATE), "<i2") / 32767
        columns["clip"][row], columns["what"][row] = _clip(0.5 * sample), columns["what"][source]
    found = world(_parted(columns, like), {"what": "binary"}, seed, features={"clip": "audio"}, split=BY_PART)
    return _copies(found)


# --- Labels that are wrong somewhere ---------------------------------------------------------------------------------


def _flipped_where(seed: int, strength: float, where: Callable[[Columns], np.ndarray], *more: str) -> bool:
    columns = people(seed, certain=4.0)
    wrong = where(columns) & some(seed, ROWS, strength)
    columns["won"] = np.where((columns["won"] == "yes") ^ wrong, "yes", "no")
    found = world(columns, {"won": "binary"}, seed)
    judging = found.judged()
    entries = label_noise(judging, Refits.of(found.ready))[0]
    entries += [entry for name in more for entry in check(name)(judging)]
    return flagged(entries, "label_noise_flag", "worst_slice_flag")


def _one_class(seed: int, strength: float) -> bool:
    """Labels of one class only that were written down as the other."""
    return _flipped_where(seed, strength, lambda columns: columns["won"] == "yes")


def _one_group(seed: int, strength: float) -> bool:
    """Labels of one region only; the check of slices may be the one to say so."""
    return _flipped_where(seed, strength, lambda columns: columns["region"] == "north", "slices")


SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)

KINDS: tuple[Fault, ...] = (
    Fault("target in bins", "honesty", (0.5, 0.8, 0.9, 0.98, 1.0), "of rows", _coded),
    Fault("target with noise", "honesty", (0.9, 0.95, 0.98, 0.99, 0.999), "correlation", _noisy_copy),
    Fault("target as a sum of two columns", "honesty", (0.5, 0.8, 0.9, 0.98, 1.0), "of rows", _sum),
    Fault("target as a gap", "honesty", (0.5, 0.7, 0.85, 0.95, 1.0), "of rows", _gap),
    Fault("target as a gap and a kind", "honesty", (0.5, 0.7, 0.85, 0.95, 1.0), "of rows", _gap_and_kind),
    Fault("numbers in the order of the target", "honesty", (0.1, 0.2, 0.4, 0.7, 1.0), "of rows", _numbered),
    Fault("file in the order of the target", "honesty", (0.1, 0.2, 0.4, 0.7, 1.0), "of rows", _sorted),
    Fault("time travel by a text", "honesty", (0.1, 0.2, 0.4, 0.7, 1.0), "of rows", _travelled),
    Fault("time travel by a number", "honesty", (0.1, 0.2, 0.4, 0.7, 1.0), "of rows", _ticking),
    Fault("copies with one digit changed", "honesty", SHARES, "of test rows", _one_digit),
    Fault("copies rounded", "honesty", SHARES, "of test rows", _rounded),
    Fault("texts with a sentence added", "honesty", SHARES, "of test rows", _one_sentence),
    Fault("pictures mirrored", "honesty", SHARES, "of test rows", _mirrored),
    Fault("pictures as JPEG", "honesty", SHARES, "of test rows", _encoded),
    Fault("pictures cropped by 5 %", "honesty", SHARES, "of test rows", _cropped),
    Fault("pictures brightened", "honesty", SHARES, "of test rows", _brighter),
    Fault("sounds at half the gain", "honesty", SHARES, "of test rows", _louder),
    Fault("labels flipped in one class", "honesty", (0.02, 0.05, 0.1, 0.2, 0.3), "of its rows", _one_class),
    Fault("labels flipped in one group", "honesty", (0.05, 0.1, 0.2, 0.3, 0.4), "of its rows", _one_group),
)
