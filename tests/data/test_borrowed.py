"""Cells that stand in many rows are decoded once, and are the same arrays as if each had been."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.explain.test_cuts import signature_of

from trueweight.data.borrowed import borrowed_of, joined, slices
from trueweight.data.column import FieldArrays
from trueweight.data.field import Field
from trueweight.data.ragged import Ragged
from trueweight.data.reading import column_part, encoded_of
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.evaluate.mosaic import mosaic, with_column
from trueweight.explain.written import png_of, wav_of

rng = np.random.default_rng(0)
COLUMNS: dict[str, tuple[Any, list[Any]]] = {
    "text": ("text", ["a few words", "and some more of them", None, "again", "", "ends here", "x", "y"]),
    "timeseries": ("timeseries", [[float(x) for x in rng.normal(size=3 + n % 4)] for n in range(7)] + [None]),
    "image": ("image", [png_of(rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)) for _ in range(7)] + [None]),
    "audio": (
        {"type": "audio", "sample_rate": 8000},
        [wav_of(rng.normal(size=900 + 50 * n).astype(np.float32) / 9, 8000) for n in range(7)] + [b"no sound"],
    ),
}
OTHER = [float(n) for n in range(8)]


def made(kind: str) -> tuple[Table, Field, Signature]:
    spec, cells = COLUMNS[kind]
    table = Table(pa.table({"cell": cells, "other": OTHER}))
    signature = signature_of(table, {"cell": spec, "other": "number"})
    facts = signature.columns["cell"]
    part: Any = column_part(facts)
    return table, Field("cell", {"cell": part.codec("cell", facts.learnt)}, {"cell": kind}), signature


def assert_same(found: FieldArrays, expected: FieldArrays) -> None:
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        mine: Any = found[key]
        if isinstance(array, Ragged):
            assert np.array_equal(mine.start_N1, array.start_N1)
            array, mine = array.value_MC, mine.value_MC
        assert mine.dtype == array.dtype
        assert np.array_equal(mine, array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize("kind", list(COLUMNS))
def test_the_same_arrays(kind: str) -> None:
    table, field, signature = made(kind)
    rows = np.array([3, 7, 3, 2, 2, 3, 0, 7, 7, 7])
    parts = [mosaic(table, rows), mosaic(table, rows, {"cell": rows[::-1]}), mosaic(table, rows, {"other": rows % 2})]
    whole = joined(Table(pa.concat_tables([part.data for part in parts])), parts)
    assert borrowed_of(whole, "cell") is not None
    assert_same(encoded_of(whole, field, signature), encoded_of(Table(whole.data), field, signature))
    for some in slices(whole, 13):
        assert borrowed_of(some, "cell") is not None or len(some) < 8
        assert_same(encoded_of(some, field, signature), encoded_of(Table(some.data), field, signature))


def test_each_cell_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table, field, signature = made("image")
    seen: list[int] = []
    codec: Any = type(field.codecs["cell"])
    whole = codec.picture
    monkeypatch.setattr(codec, "picture", lambda self, content: seen.append(len(content)) or whole(self, content))
    for others in (None, {"other": np.zeros(40, int)}):
        encoded_of(mosaic(table, np.arange(40) % 3, others), field, signature)
    assert len(seen) == 3


def test_cells_of_its_own_are_no_lenders() -> None:
    table, _, _ = made("text")
    changed = with_column(mosaic(table, np.zeros(6, int)), "cell", pa.array(list("abcdef")))
    assert borrowed_of(changed, "cell") is None
    found = borrowed_of(changed, "other")
    assert found is not None
    assert (len(found[0]), found[1].tolist()) == (1, [0] * 6)
    assert borrowed_of(mosaic(table, np.arange(8)), "cell") is None  # none stands in two rows
    assert borrowed_of(table, "cell") is None
    two = [mosaic(table, np.zeros(4, int)), mosaic(Table(table.data), np.zeros(4, int))]
    assert borrowed_of(joined(Table(pa.concat_tables([one.data for one in two])), two), "cell") is None
