"""Plain values straight to arrays: bit for bit what Arrow and cells lead to, or left to those."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some

from trueweight.data.cells import ReadOptions
from trueweight.data.column import Codec
from trueweight.data.columns.binary import BinaryCodec, BinaryColumn
from trueweight.data.columns.category import CategoryCodec, CategoryColumn
from trueweight.data.columns.number import NumberCodec, NumberColumn
from trueweight.data.columns.set import SetCodec
from trueweight.data.direct import Direct
from trueweight.data.field import Field
from trueweight.data.reading import encoded_of
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Provenance, Table
from trueweight.data.told import Told

CODECS: dict[str, Codec] = {
    "member": BinaryCodec("member", ("no", "yes"), others=False, flags=True),
    "plain": NumberCodec("plain", "none", 0.25, 1.5, 0.7, flags=False),
    "marked": NumberCodec("marked", "none", -3.0, 0.0, 1e-3, flags=True),
    "grown": NumberCodec("grown", "log1p", 7.0, 2.0, 3.0, flags=True),
    "constant": NumberCodec("constant", "none", 4.0, 4.0, 0.0, flags=True),
    "kind": CategoryCodec("kind", ("red", "1.5", "2", "true"), varies=True),
    "signed": NumberCodec("signed", "signed_log1p", 0.0, -1.0, 0.3, flags=False),
    "truth": BinaryCodec("truth", ("false", "true"), others=False, flags=False),
    "one": BinaryCodec("one", ("red",), others=True, flags=False),
    "same": CategoryCodec("same", ("red",), varies=False),
    "place": CategoryCodec("place", ("x", "1"), varies=True),
}
TYPES = {
    name: "number" if isinstance(codec, NumberCodec) else "binary" if isinstance(codec, BinaryCodec) else "category"
    for name, codec in CODECS.items()
}
PARTS: dict[str, Any] = {"number": NumberColumn(), "binary": BinaryColumn(), "category": CategoryColumn()}
FIELD = Field("table", CODECS, TYPES)
NUMBERS = Field("numbers", {n: c for n, c in CODECS.items() if TYPES[n] == "number"}, TYPES)
LEVELS = Field("levels", {n: c for n, c in CODECS.items() if TYPES[n] != "number"}, TYPES)
SIGNATURE = Signature(
    {
        name: ColumnFacts(name, kind, "feature", "", PARTS[kind].model_dump(mode="json"), 9, 0)
        for name, kind in TYPES.items()
    },
    ReadOptions(("", "NA")),
)  # fmt: skip


def arrow(columns: Any) -> pa.Table:
    return pa.table({name: pa.array(list(values)) for name, values in columns.items()})


def told(columns: dict[str, list[Any]]) -> Table:
    return Table.of_told(Told(columns, len(next(iter(columns.values()))), arrow), Provenance())


_KINDS = (
    some.floats(), some.integers(-(2**60), 2**60), some.integers(-9, 9), some.none(), some.booleans(),
    some.sampled_from([1.0, 1.5, -0.0, 2.0]),
    some.sampled_from(["1.5", "1,5", " NA", "", "x", "red ", "yes", "True"]),
)  # fmt: skip


@some.composite
def _tables(draw: Any) -> dict[str, list[Any]]:
    names = draw(some.lists(some.sampled_from([*CODECS, "other"]), min_size=1, unique=True))
    rows = draw(some.integers(1, 5))
    return {name: draw(some.lists(draw(some.sampled_from(_KINDS)), min_size=rows, max_size=rows)) for name in names}


@given(_tables())
def test_the_same_arrays_bit_for_bit(columns: dict[str, list[Any]]) -> None:
    for field in (FIELD, NUMBERS, LEVELS):  # what levels mean is remembered from one example to the next
        found = encoded_of(told(columns), field, SIGNATURE)
        expected = encoded_of(Table(arrow(columns)), field, SIGNATURE)
        assert list(found) == list(expected)
        for name, array in expected.items():
            assert isinstance(array, np.ndarray)
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
            assert np.asarray(found[name]).flags.c_contiguous


def test_numbers_make_no_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: Any) -> pa.Table:
        raise AssertionError("Arrow was made")

    table = Table.of_told(
        Told({"plain": [1.0, 2.0], "marked": [None, None], "signed": [3, -4]}, 2, never), Provenance()
    )
    assert encoded_of(table, NUMBERS, SIGNATURE)["number"].shape == (2, 4)
    assert len(table) == 2
    assert table.names == ["plain", "marked", "signed"]


@pytest.mark.parametrize("values", [[2**53], ["1"], [True], [-(2**70)]], ids=str)
def test_what_has_to_be_read_first_is_left_to_cells(values: list[Any]) -> None:
    direct = Direct.of(CODECS)
    assert direct is not None
    assert direct.encode(Told({"plain": values}, 1, arrow), SIGNATURE) is None


def test_levels_are_read_once() -> None:
    direct, read = Direct.of(LEVELS.codecs), []

    def noted(columns: Any) -> pa.Table:
        read.append(dict(columns))
        return arrow(columns)

    def encoded(values: list[Any]) -> Any:
        assert direct is not None
        found = direct.encode(Told({"kind": values}, len(values), noted), SIGNATURE)
        assert found is not None
        return found["code"][:, 0].tolist()

    assert encoded(["red", "2", "red"]) == [2, 4, 2]
    assert [columns["kind"] for columns in read if "kind" in columns] == [["red", "2"]]
    read.clear()
    assert encoded(["2"]) == [4]
    assert encoded(["red", "never"]) == [2, 1]
    assert read == [{"kind": ["never"]}]
    assert encoded([2]) == [4]
    assert encoded([2.0]) == [4]
    assert encoded([True]) == [5]
    assert encoded([1]) == [1]
    assert direct.encode(Told({"kind": [2**60]}, 1, noted), SIGNATURE) is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueweight.data.direct._REMEMBERED", 3)
    direct = Direct.of({"kind": CODECS["kind"]})
    assert direct is not None
    for values in (["red", "2"], ["a", "b", "red"], ["c" * 101], ["d"], ["e"]):
        found = direct.encode(Told({"kind": values}, len(values), arrow), SIGNATURE)
        assert found is not None
        assert found["code"].ravel().tolist() == [{"red": 2, "2": 4}.get(value, 1) for value in values]
    assert list(direct.levels["kind"].known[str]) == ["red", "2", "d"]


def test_fields_with_other_columns_have_no_such_way() -> None:
    tags = SetCodec("tags", ("new", "old"), others=False, flags=False)
    assert Direct.of({"tags": tags, **CODECS}) is None
    assert Direct.of({}) is None


def test_a_told_table_is_a_table_like_others() -> None:
    table = told({"plain": [1.0, 2.0, 3.0]})
    assert table.column("plain").to_pylist() == [1.0, 2.0, 3.0]
    assert table.take([2, 0]).column("plain").to_pylist() == [3.0, 1.0]
    assert table.take([2, 0]).told is None
    assert len(table.part(1, 9)) == 2
    with pytest.raises(AttributeError, match="no attribute 'dta'"):
        _ = table.dta  # type: ignore[attr-defined]


def test_many_rows_of_levels_are_left_to_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueweight.data.direct._FEW", 2)
    for field, alone in ((LEVELS, False), (NUMBERS, True)):
        direct = field.direct
        assert direct is not None
        many, few = (Told({"plain": [1.0] * rows}, rows, arrow) for rows in (3, 2))
        assert (direct.encode(many, SIGNATURE) is not None) == alone
        assert direct.encode(few, SIGNATURE) is not None
