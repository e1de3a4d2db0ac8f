"""What every column type promises, checked for every one that is installed."""

import base64
import datetime as dt
import decimal
import io
import json
import subprocess
import sys
import wave

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from trueweight.data.cells import ReadOptions, cut
from trueweight.data.ragged import Ragged
from trueweight.data.sample import BottomK
from trueweight.data.settle import settle
from trueweight.registry import registry
from trueweight.spec.docstrings import descriptions

NAMES = list(registry("column"))
DTYPES = {"code": np.int32, "token": np.int32, "bag": np.int32, "pixel": np.uint8}
"""Others are float32."""
OPTIONS = ReadOptions(("", "NA", "?"))
MIN_GROUP = 10


def picture(level: int) -> str:
    """A small picture as an address."""
    stream = io.BytesIO()
    Image.fromarray(np.arange(level, level + 5, dtype=np.uint8).repeat(4).reshape(5, 4), "L").save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def sound(seed: int) -> str:
    """Some noise of a tenth of a second, as an address."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(np.random.default_rng(seed).integers(-3000, 3000, 700 + 50 * seed, np.int16).tobytes())
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()


TEXTS = {
    "audio": [sound(0), sound(1), f" {sound(2)}", sound(3), "NA", "", "nowhere.wav"],
    "number": ["7,11", "20.05", " 3 ", "4", "NA", "", "1,5", "x", "inf", "1e-3", "+5"],
    "binary": ["yes", "no", "yes ", "NA", "", "no"],
    "category": ["red", "green", " red", "blue", "NA", "", "grün", "3"],
    "date": ["1912-04-10", "10.04.1912", "13/05/1912 ", "NA", "", "1912-04-11 13:30", "never"],
    "vector": ["[1, 2]", "3 4", "NA", "[5]", "", "x y", "0.5;-2"],
    "timeseries": ["[1, 2.5, 3]", "3 4", "NA", "[5, null, 7]", "", "x y", "0.5;-2;1", "[[1], [2]]", "[[1, 2]]"],
    "set": ["red|blue", "blue", "NA", "", " red | green ", "green|green"],
    "text": ["A red house.", "the red, red car", " Grüne Häuser ", "我喜欢这个房子", "NA", "", "👍👍", "don't"],
    "id": ["a1", "a2", " a3", "NA", "a1"],
    "image": [*map(picture, (0, 90, 250)), "NA", "", "no-such-file.png", "data:image/png;base64,iVBORw=="],
    "ignore": ["x", "", "NA"],
}
ZOO = {
    "texts": pa.array(["1", "", "NA", "  ", "x" * 3000, "\u00a0", "−1", "1,2,3", "[", "[]", "{}", "\x00", "NaN", "𝟙"]),
    "large": pa.array(["1", None], pa.large_string()),
    "view": pa.array(["1", None], pa.string_view()),
    "dictionary": pa.array(["b", None, "b"]).dictionary_encode(),
    "bytes": pa.array([b"1", b"\xff\xfe", None]),
    "whole": pa.array([1, None, -(2**63), 2**63 - 1]),
    "unsigned": pa.array([2**64 - 1], pa.uint64()),
    "small": pa.array([1, None], pa.int8()),
    "float": pa.array([1.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, None]),
    "half": pa.array(np.array([1.5], np.float16)),
    "decimal": pa.array([decimal.Decimal("1.50"), None]),
    "bool": pa.array([True, False, None]),
    "date": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), None]),
    "moment": pa.array([dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None]),
    "nanos": pa.array([1, None], pa.timestamp("ns", "Europe/Berlin")),
    "time": pa.array([dt.time(1, 2), None]),
    "duration": pa.array([dt.timedelta(1), None]),
    "lists": pa.array([[1.0, 2.0], None, [], [None], [np.nan, 1.0]]),
    "fixed": pa.array([[1, 2], None], pa.list_(pa.int32(), 2)),
    "labels": pa.array([["a", " b"], None, [], [None, ""]]),
    "nested": pa.array([[[1]], None]),
    "struct": pa.array([{"a": 1}, None]),
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "nulls": pa.nulls(3),
    "no rows": pa.array([], pa.string()),
}


def example(name: str, rows: int = 400) -> pa.ChunkedArray:
    """Dirty cells, each text of the type many times over, in two chunks."""
    texts = TEXTS.get(name, TEXTS["category"])
    cells = pa.array([texts[i] for i in np.random.default_rng(0).integers(0, len(texts), rows)])
    return pa.chunked_array([cells[: rows // 3], cells[rows // 3 :]])


@pytest.fixture(params=NAMES)
def part(request: pytest.FixtureRequest):
    return registry("column")[request.param].model_validate({"type": request.param})


@pytest.fixture
def learnt_case(part):
    raw = example(part.type)
    cells = part.read(raw, OPTIONS)
    rows = np.arange(0, len(raw), 2)
    learnt = part.learn(cells, rows, BottomK.of(rows), min_group=MIN_GROUP)
    return part, raw, cells, learnt


def checked(codec, cells):
    """Arrays of a codec, after looking at everything it promises about them."""
    whole = codec.encode(cells)
    assert all(len(array) == len(cells) for array in whole.values())
    assert {key for key, sense in codec.senses().items() if sense.ragged} == {
        key for key, array in whole.items() if isinstance(array, Ragged)
    }
    arrays = {key: array.value_MC if isinstance(array, Ragged) else array for key, array in whole.items()}
    assert {key: array.shape[-1] for key, array in arrays.items()} == codec.shapes()
    assert all(whole[key].shape[1:-1] == sense.grid for key, sense in codec.senses().items() if sense.grid)
    for key, array in arrays.items():
        assert array.dtype == DTYPES.get(key, np.float32) or (key == "frame" and array.dtype == np.float16), key
        assert np.isfinite(array).all(), key
        assert len(codec.labels()[key]) == array.shape[-1]
    assert set(codec.labels()) == set(codec.shapes())
    assert len(codec.knots()) == codec.shapes().get("number", 0)
    assert len(codec.cardinalities()) == codec.shapes().get("code", 0)
    if "flag" in arrays:
        assert ((arrays["flag"] >= 0) & (arrays["flag"] <= 1)).all()
    for key, sense in codec.senses().items():
        if sense.vocabulary and len(arrays[key]):
            assert 0 <= arrays[key].min() <= arrays[key].max() < sense.vocabulary
        if sense.ragged:
            assert int(whole[key].lengths.max(initial=0)) <= sense.length
    if "code" in arrays:
        assert (arrays["code"] >= 0).all()
        assert (arrays["code"] < np.array(codec.cardinalities())).all()
    for knots in codec.knots():
        assert np.isfinite(knots).all()
        assert (np.diff(knots) > 0).all()
    return arrays


def rows_of(array, start, end):
    """The values of some rows."""
    return array.cut(start, end).value_MC if isinstance(array, Ragged) else array[start:end]


@pytest.mark.parametrize("animal", ZOO)
def test_nothing_that_a_table_can_hold_stops_reading(part, animal):
    raw = pa.chunked_array([ZOO[animal], ZOO[animal]])
    cells = part.read(raw, OPTIONS)
    assert len(cells) == len(raw)
    assert cells.missing_N.dtype == bool
    assert all(count > 0 for count in cells.notes.values())
    rows = np.arange(len(raw))
    for chosen in (rows, rows[:0]):
        learnt = part.learn(cells, chosen, BottomK.of(chosen), min_group=1)
        json.dumps(learnt, allow_nan=False)
        checked(part.codec("c", learnt), cells)
        assert isinstance(part.summary(learnt), str)


@pytest.mark.parametrize("animal", ZOO)
def test_a_codec_answers_for_cells_of_any_other_kind(learnt_case, animal):
    part, _, _, learnt = learnt_case
    checked(part.codec("c", learnt), part.read(pa.chunked_array([ZOO[animal]]), OPTIONS))


def test_encodes_what_it_says(learnt_case):
    part, _, cells, learnt = learnt_case
    arrays = checked(part.codec("c", learnt), cells)
    assert arrays or part.type in ("id", "ignore")


def test_rows_do_not_see_each_other(learnt_case):
    part, raw, cells, learnt = learnt_case
    codec = part.codec("c", learnt)
    whole = codec.encode(cells)
    for key, array in codec.encode(cut(cells, 20, 60)).items():
        np.testing.assert_array_equal(rows_of(array, 0, 40), rows_of(whole[key], 20, 60))
    settled = settle(part, raw, OPTIONS)
    for row in range(40):
        alone = codec.encode(settled.read(raw.slice(row, 1), OPTIONS))
        for key, array in alone.items():
            np.testing.assert_array_equal(
                rows_of(array, 0, 1), rows_of(whole[key], row, row + 1), err_msg=f"{raw[row]}"
            )


def test_json_round_trip_is_exact(learnt_case):
    part, _, cells, learnt = learnt_case
    codec = part.codec("c", learnt)
    again = part.codec_from_json(json.loads(json.dumps(codec.to_json(), allow_nan=False)))
    assert again.to_json() == codec.to_json()
    for key, array in codec.encode(cells).items():
        everything = 0, len(cells)
        np.testing.assert_array_equal(rows_of(array, *everything), rows_of(again.encode(cells)[key], *everything))
    assert part.codec("c", json.loads(json.dumps(learnt, allow_nan=False))).to_json() == codec.to_json()


def test_facts_rest_on_the_given_rows_alone(part):
    raw = example(part.type)
    rows = np.arange(150)
    changed = pa.chunked_array([raw.combine_chunks()[:150], pa.array(["999", "other|x", None] * 10)])
    facts = [
        part.learn(part.read(r, OPTIONS), rows, BottomK.of(rows), min_group=3) for r in (raw.slice(0, 150), changed)
    ]
    assert facts[0] == facts[1]


def test_counts_are_exact_beyond_the_sample(part):
    raw = example(part.type)
    cells, rows = part.read(raw, OPTIONS), np.arange(300)
    learnt = part.learn(cells, rows, BottomK(np.arange(7)), min_group=MIN_GROUP)
    assert learnt["missing"] == cells.missing_N[:300].sum()
    assert learnt["count"] + learnt["missing"] == 300


def test_made_up_cells_can_be_read(learnt_case):
    part, _, _, learnt = learnt_case
    made = part.synthetic(learnt, np.random.default_rng(1), 200)
    assert len(made) == 200
    cells = part.read(pa.chunked_array([made]), OPTIONS)
    assert not set(cells.notes) & {
        "not a number",
        "not a date",
        "not a vector",
        "not a series",
        "wrong number of channels",
        "not a set",
        "wrong length",
        "not a text",
        "not a sound",
        "broken sound",
        "file not found",
    }
    checked(part.codec("c", learnt), cells)
    if part.type not in ("ignore", "id"):
        assert 0.02 < cells.missing_N.mean() < 0.25
        assert made.equals(part.synthetic(learnt, np.random.default_rng(1), 200))


@pytest.mark.parametrize(
    "secret", ["Rumpelstilzchen", "987654.321", "1887-06-05", "[31.25, 77.125]", "Rumpel|Stilzchen"]
)
def test_what_few_rows_hold_is_never_kept(part, secret):
    planted = [secret] * (MIN_GROUP - 1)
    raw = pa.chunked_array([pa.concat_arrays([*example(part.type, 700).chunks, pa.array(planted)])])
    cells, rows = part.read(raw, OPTIONS), np.arange(len(raw))
    learnt = part.learn(cells, rows, BottomK.of(rows), min_group=MIN_GROUP)
    made = part.synthetic(learnt, np.random.default_rng(0), 300).to_pylist()
    written = json.dumps([learnt, part.codec("c", learnt).to_json(), made]) + part.summary(learnt)
    moment = str(int(np.datetime64("1887-06-05", "s").astype(int)))
    for trace in (*secret.split("|"), "Stilzchen", "987654.321", "1887-06-05", moment, "31.25", "77.125"):
        assert trace not in written


def test_every_field_is_explained(part):
    for name in type(part).model_fields:
        assert name in descriptions(type(part)), f"{part.type}.{name} has no docstring"


def test_spec_round_trip(part):
    assert type(part).model_validate(part.model_dump(mode="json")) == part


def test_columns_import_without_torch():
    code = (
        "import sys; from trueweight.registry import registry\n"
        "parts = [registry('column')[name] for name in registry('column')]\n"
        "import trueweight.data.guess\n"
        "assert parts and 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
