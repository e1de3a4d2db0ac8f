"""Columns of sounds: every kind of cell, broken ones among good ones, and what is learnt."""

import base64
import io
import json
import logging
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile as sf

from trueweight.data.cells import ReadOptions
from trueweight.data.columns.audio import AudioColumn
from trueweight.data.guess import guess_feature
from trueweight.data.sample import BottomK
from trueweight.data.sounds import decode, log_mel
from trueweight.errors import SpecError
from trueweight.spec.load import parse_spec

OPTIONS = ReadOptions(("", "NA"))
PART = AudioColumn(sample_rate=8000, n_mels=20)


def file_of(sample_N, rate=8000, kind="WAV", subtype=None) -> bytes:
    out = io.BytesIO()
    sf.write(out, np.asarray(sample_N), rate, format=kind, subtype=subtype)
    return out.getvalue()


def noise(count, seed=0, size=0.1):
    return np.random.default_rng(seed).normal(size=count) * size


def address(content: bytes) -> str:
    return "data:audio/wav;base64," + base64.b64encode(content).decode()


def run(values, part=PART, options=OPTIONS, min_group=1, rows=None):
    raw = pa.chunked_array([pa.array(values) if isinstance(values, list) else values])
    cells = part.read(raw, options)
    rows = np.arange(len(raw)) if rows is None else rows
    learnt = part.learn(cells, rows, BottomK.of(rows), min_group=min_group)
    json.dumps(learnt, allow_nan=False)
    return cells, learnt, part.codec("c", learnt)


GOOD = [file_of(noise(800 * (i + 1), i), 8000) for i in range(3)]


@pytest.fixture
def folder(tmp_path):
    for i, content in enumerate(GOOD):
        (tmp_path / f"{i} é.wav").write_bytes(content)
    return tmp_path


def kinds(folder):
    names = [f"{i} é.wav" for i in range(3)]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return {
        "bytes": pa.array([*GOOD, None]),
        "large bytes": pa.array([*GOOD, b""], pa.large_binary()),
        "views": pa.array([*GOOD, None]).cast(pa.binary_view()),
        "paths": pa.array([*names, "NA"]),
        "whole paths": pa.array([str(folder / name) for name in names] + [""]),
        "dictionary": pa.array([*names, None]).dictionary_encode(),
        "addresses": pa.array([*map(address, GOOD), " NA "]),
        "structs": pa.array([*({"bytes": b, "path": "elsewhere.wav"} for b in GOOD), None], struct),
        "structs of paths": pa.array([*({"bytes": None, "path": n} for n in names), {"bytes": None}], struct),
        "mixed structs": pa.array(
            [{"bytes": GOOD[0]}, {"path": names[1]}, {"bytes": GOOD[2], "path": "x"}, {"path": None}], struct
        ),
    }


@pytest.mark.parametrize("kind", list(kinds(Path())))
def test_every_kind_of_cell_gives_the_same(kind, folder):
    cells, learnt, codec = run(kinds(folder)[kind], options=ReadOptions(("", "NA"), media_dir=folder))
    assert cells.missing_N.tolist() == [False, False, False, True]
    assert cells.notes == {}
    assert cells.head_NF.tolist() == [[800, 8000, 1], [1600, 8000, 1], [2400, 8000, 1], [0, 0, 0]]
    assert len(set(cells.print_N.tolist())) == 4 and cells.print_N[3] == 0
    arrays = codec.encode(cells)
    assert arrays["flag"].ravel().tolist() == [0, 0, 0, 1]
    assert arrays["frame"].lengths.tolist() == [10, 20, 30, 0]
    expected = log_mel(decode(GOOD[1], 8000, 9), 8000, 20, 200, 80).astype(np.float16)
    np.testing.assert_array_equal(arrays["frame"].row(1), expected)


def test_equal_files_have_equal_prints(folder):
    (folder / "copy.wav").write_bytes(GOOD[0])
    cells, _, _ = run(["0 é.wav", "copy.wav", "1 é.wav"], options=ReadOptions(("",), media_dir=folder))
    assert cells.print_N[0] == cells.print_N[1] != cells.print_N[2]


def test_bad_files_among_good_ones_are_missing_and_counted(folder, caplog):
    (folder / "notes.wav").write_text("Rumpelstilzchen")
    (folder / "short.wav").write_bytes(GOOD[2][:1000])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "silence.wav").write_bytes(file_of([]))
    (folder / "half.flac").write_bytes(file_of(noise(16000), kind="FLAC")[:-9000])
    (folder / "folder.wav").mkdir()
    names = [
        "0 é.wav", "notes.wav", "short.wav", "empty.wav", "silence.wav", "folder.wav", "gone.wav", "half.flac",
        "http://example.org/a.wav", "data:audio/wav,abc", "data:audio/wav;base64,!!!", "x" * 5000, "a\0b", "1 é.wav",
    ]  # fmt: skip
    part = AudioColumn(sample_rate=8000, n_mels=20, max_seconds=5)
    cells, learnt, codec = run(names, part, options=ReadOptions(("",), media_dir=folder))
    assert (~cells.missing_N).nonzero()[0].tolist() == [0, 7, 13]
    assert cells.notes == {
        "not a sound": 1, "empty file": 1, "broken sound": 1, "empty sound": 1, "file not found": 4,
        "web address, not fetched": 1, "broken data: address": 2,
    }  # fmt: skip
    assert (learnt["count"], learnt["missing"], learnt["broken"]) == (3, 11, 1)
    with caplog.at_level(logging.WARNING):
        frames = codec.encode(cells)["frame"]
    assert [r.message for r in caplog.records] == ["c: 1 sound cannot be decoded and counts as missing"]
    assert frames.lengths[[0, 7, 13]].tolist() == [10, 0, 20]


def test_odd_sounds_are_read_and_told():
    loud = np.sign(noise(8000)) * 1.0
    odd = [np.zeros(8000), loud, np.where(np.arange(8000) % 100, noise(8000), np.nan), noise(8000), [0.5]]
    cells, learnt, codec = run([file_of(x, subtype="FLOAT") for x in odd])
    assert [learnt[key] for key in ("looked_at", "silent", "clipped", "not_finite", "broken")] == [5, 1, 1, 1, 0]
    assert PART.summary(learnt).endswith("; of 5, 1 silent, 1 clipped, 1 with impossible samples")
    frames = codec.encode(cells)["frame"]
    assert np.isfinite(frames.value_MC).all()
    assert frames.lengths.tolist() == [100, 100, 100, 100, 1]


def test_clipped_means_as_loud_as_can_be():
    cells, learnt, _ = run([file_of(np.clip(noise(8000, size=2.0), -1, 1)), file_of(noise(8000))])
    assert learnt["clipped"] == 1


def test_any_rate_and_channels_become_one():
    time_N = np.arange(44100) / 44100
    tone = np.sin(2 * np.pi * 440 * time_N) * 0.3
    high = file_of(np.stack([tone] * 6, 1), 44100)
    low = file_of(np.sin(2 * np.pi * 440 * np.arange(8000) / 8000) * 0.3, 8000)
    frames = run([high, low])[2].encode(run([high, low])[0])["frame"]
    assert frames.lengths.tolist() == [100, 100]
    one, other = frames.row(0).astype(float)[5:-5], frames.row(1).astype(float)[5:-5]
    loud = other.mean(0).argmax()
    np.testing.assert_allclose(one[:, loud], other[:, loud], atol=0.02)


def test_length_is_cut_where_nearly_all_rows_end():
    counts = [*[4000] * 995, *[80_000] * 5]
    sounds = {n: file_of(np.zeros(n), 8000) for n in set(counts)}
    cells, learnt, codec = run([sounds[n] for n in counts], min_group=10)
    assert learnt["max_seconds"] == 1.0 and learnt["seconds"] == [0.5, 0.5, 0.5]
    assert codec.encode(cells)["frame"].lengths.max() == codec.senses()["frame"].length == 100
    part = AudioColumn(sample_rate=8000, n_mels=20, max_seconds=3.5)
    cells, learnt, codec = run([sounds[80_000]], part)
    assert codec.encode(cells)["frame"].lengths.tolist() == [350]


def test_a_sound_of_a_hundred_thousand_steps():
    part = AudioColumn(sample_rate=2000, n_mels=8, max_seconds=1000, hop=10, window=20)
    cells, learnt, codec = run([file_of(noise(2_000_000), 2000), file_of(noise(200), 2000)], part)
    assert codec.encode(cells)["frame"].lengths.tolist() == [100_000, 10]
    assert run([file_of(noise(2_000_000), 2000)], AudioColumn())[1]["max_seconds"] == 30.0


def test_means_are_those_of_all_steps():
    sounds = [file_of(noise(800 * (1 + i % 5), i), 8000) for i in range(40)]
    cells, learnt, codec = run(sounds)
    value = codec.encode(cells)["frame"].value_MC.astype(np.float64)
    # float16 is right to 2e-3 at this size.
    np.testing.assert_allclose(learnt["mean"], value.mean(0), atol=2e-3)
    np.testing.assert_allclose(learnt["std"], value.std(0), atol=2e-3)


def test_what_was_decoded_to_learn_from_is_encoded_without_decoding_it_again():
    sounds = [file_of(noise(800 * (1 + i % 5), i), 8000) for i in range(30)]
    values = [*sounds, file_of(noise(12_001, 30), 8000), sounds[0], None]
    part = AudioColumn(sample_rate=8000, n_mels=20, max_seconds=1)
    cells, _, codec = run(values, part)
    assert len(cells.kept) == 30  # all but the one that is cut, and what is there twice is kept once
    fresh = part.read(pa.chunked_array([pa.array(values)]), OPTIONS)
    expected, found = codec.encode(fresh), codec.encode(cells)
    assert not cells.kept
    np.testing.assert_array_equal(found["frame"].value_MC, expected["frame"].value_MC)
    np.testing.assert_array_equal(found["frame"].start_N1, expected["frame"].start_N1)


def test_too_few_sounds_tell_nothing():
    raw = [file_of(noise(8000), 8000)] * 3 + [None] * 50
    _, learnt, codec = run(raw, min_group=10)
    assert learnt["seconds"] == [] and len(set(learnt["mean"])) == 1
    assert codec.shapes() == {"frame": 20, "flag": 1}
    _, learnt, codec = run([None, "gone.wav"])
    assert codec.shapes() == {} and codec.encode(run([None, "gone.wav"])[0]) == {}


def test_made_up_sounds_have_about_the_learnt_spectrum():
    sounds = [file_of(np.cumsum(noise(8000, i, 0.01)) * 0.1, 8000) for i in range(30)]  # low sounds are louder
    _, learnt, codec = run(sounds)
    made = PART.read(pa.chunked_array([PART.synthetic(learnt, np.random.default_rng(0), 50)]), OPTIONS)
    assert not made.missing_N.any() and not made.notes
    mean = codec.encode(made)["frame"].value_MC.astype(float).mean(0)
    assert np.corrcoef(mean, learnt["mean"])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("options", "word"),
    [({"hop": 30}, "hop is longer"), ({"hop": 0.01, "sample_rate": 8000}, "shorter than one sample"),
     ({"n_mels": 1}, "n_mels"), ({"max_seconds": 0}, "max_seconds")],
)  # fmt: skip
def test_impossible_options_are_refused(options, word):
    raw = {"features": {"s": {"type": "audio", **options}}, "targets": {"y": "binary"}}
    with pytest.raises(SpecError, match=word):
        parse_spec(raw)


# --- Guessing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in kinds(Path()) if kind != "mixed structs"])
def test_sounds_are_guessed_from_names_and_content(kind, folder):
    guess = guess_feature("clip", pa.chunked_array([kinds(folder)[kind]]), ReadOptions(("", "NA"), media_dir=folder))
    assert guess.type == "audio", guess.why


def test_sounds_whose_bytes_are_text_by_chance_are_sounds():
    files = [file_of(np.full(20 + i, -(i + 1) / 128), 8000, subtype="PCM_U8") for i in range(40)]
    assert all(content.isascii() for content in files)
    raw = pa.chunked_array([pa.array(files, pa.binary())])
    assert guess_feature("clip", raw, OPTIONS).type == "audio"
    assert not PART.read(raw, OPTIONS).missing_N.any()


def test_paths_that_lead_nowhere_are_not_learnt_from(tmp_path):
    raw = pa.chunked_array([pa.array([f"clips/{i}.MP3" for i in range(30)])])
    guess = guess_feature("clip", raw, ReadOptions(("",), media_dir=tmp_path))
    assert guess.type == "ignore"
    assert guess.why == "paths of sounds, but the files are not there: say where they start with data.media_dir"


def test_what_only_looks_like_a_sound_is_none():
    options = ReadOptions(("",))
    for cells in (pa.array([b"\x01\x02\xff"] * 30), pa.array([{"bytes": b"\xff\x00"}] * 30)):
        assert guess_feature("x", pa.chunked_array([cells]), options).type != "audio"
    mixed = [f"{i}.wav" if i % 2 else f"word {i}" for i in range(30)]
    assert guess_feature("x", pa.chunked_array([pa.array(mixed)]), options).type != "audio"


@pytest.mark.slow
def test_encoding_costs_little_more_than_decoding():
    """Within 1.3 times of a bare loop over soundfile and the spectrum, on one core; less on several."""
    sounds = [file_of(noise(16000, i), 16000, "FLAC") for i in range(300)]
    cells, learnt, codec = run(sounds, AudioColumn())
    ratios = []
    for _ in range(5):
        start = time.perf_counter()
        codec.encode(cells)
        ours = time.perf_counter() - start
        start = time.perf_counter()
        for content in sounds:
            log_mel(sf.read(io.BytesIO(content), dtype="float32")[0], 16000, 64, 400, 160)
        ratios.append(ours / (time.perf_counter() - start))
    assert min(ratios) < 1.3


def test_an_hour_needs_its_file_and_little_more(tmp_path):
    """However long a sound is, only what is kept of it is decoded."""
    (tmp_path / "hour.wav").write_bytes(file_of(np.zeros(3600 * 1000), 1000))
    size = (tmp_path / "hour.wav").stat().st_size
    part = AudioColumn(sample_rate=8000, n_mels=20, max_seconds=2)
    _, learnt, codec = run(GOOD, part)
    tracemalloc.start()
    raw = pa.chunked_array([["hour.wav"]])
    frames = codec.encode(part.read(raw, ReadOptions(media_dir=tmp_path)))["frame"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(frames.value_MC) == 200 and np.isfinite(frames.value_MC).all()  # silence too has a spectrum
    assert size > 7e6 and peak < size + 3e6
    assert learnt["cut"] == 0
