"""Frames of every maker in, and the same kind out."""

import math
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from trueweight.data.frames import arrow_array, from_frame, like_frame
from trueweight.data.read import read_table
from trueweight.data.table import Table
from trueweight.errors import DataError

COLUMNS = {
    "n": [1.5, None, 3.0],
    "k": [1, 2, 3],
    "s": ["a", "", None],
    "b": [True, False, True],
    "v": [[1.0], [], [2.0, 3.0]],
}
ARROW = pa.table(COLUMNS)


class Capsule:
    """Some library's frame, known by the Arrow stream only."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return ARROW.__arrow_c_stream__(requested_schema)


class Batch:
    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        return ARROW.to_batches()[0].__arrow_c_array__(requested_schema)


class Dataset:
    """As much of a Hugging Face dataset as we use."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def with_format(self, kind: str) -> "Dataset":
        assert kind == "arrow"
        return self

    def __getitem__(self, rows: slice) -> pa.Table:
        return self.table[rows.start or 0 :]

    @classmethod
    def from_dict(cls, columns: dict) -> "Dataset":
        return cls(pa.table(columns))


Dataset.__module__ = "datasets.arrow_dataset"


FRAMES = {
    "arrow": ARROW,
    "batch": ARROW.to_batches()[0],
    "reader": ARROW.to_reader(),
    "chunks": pa.concat_tables([ARROW.slice(0, 1), ARROW.slice(1)]),
    "stream": Capsule(),
    "array": Batch(),
    "polars": pl.DataFrame(COLUMNS),
    "lazy polars": pl.DataFrame(COLUMNS).lazy(),
    "pandas": pd.DataFrame({**COLUMNS, "n": pd.array([1.5, None, 3.0], "Float64")}),
    "pandas with arrow types": ARROW.to_pandas(types_mapper=pd.ArrowDtype),
    "dict": {**COLUMNS, "k": np.array([1, 2, 3]), "n": np.array([1.5, np.nan, 3.0])},
    "rows": ARROW.to_pylist(),
    "dataset": Dataset(ARROW),
    "table": from_frame(ARROW),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
def test_every_frame_gives_the_same_table(frame: object):
    table = read_table(frame)
    assert table.data.to_pydict() == COLUMNS
    assert [str(field.type).replace("item", "element") for field in table.data.schema] == [
        "double", "int64", "string", "bool", "list<element: double>",
    ]  # fmt: skip
    assert table.provenance.format == "frame"
    assert table.provenance.digest == from_frame(ARROW).provenance.digest
    assert len(read_table(table, rows=2)) == 2


def test_the_digest_sees_content_only():
    base = from_frame(ARROW).provenance.digest
    padded = pa.concat_tables([ARROW, ARROW, ARROW]).slice(3, 3)
    assert from_frame(padded).provenance.digest == base
    masked = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([7, 9]).buffers()[1]])
    assert from_frame({"a": masked}).provenance.digest == from_frame({"a": pa.array([7, None])}).provenance.digest


@pytest.mark.parametrize(
    "other",
    [
        ARROW.rename_columns(["N", "k", "s", "b", "v"]),
        ARROW.take([0, 2, 1]),
        ARROW.set_column(0, "n", pa.array([1.5, 0.0, 3.0])),
        ARROW.set_column(1, "k", pa.array([1, 2, 3], pa.int32())),
        ARROW.set_column(2, "s", pa.array(["a", None, None])),
        ARROW.set_column(2, "s", pa.array(["", "a", None])),
        ARROW.set_column(4, "v", pa.array([[1.0, 2.0], [], [3.0]])),
        ARROW.set_column(4, "v", pa.array([[1.0], None, [2.0, 3.0]])),
        ARROW.slice(0, 2),
    ],
    ids=str,
)
def test_the_digest_sees_every_difference(other: pa.Table):
    assert from_frame(other).provenance.digest != from_frame(ARROW).provenance.digest


def test_pandas_in_all_its_variety():
    frame = pd.DataFrame(
        {
            "mixed": [1, "a", 2.5],
            "holes": [1, "a", None],
            "nan": ["x", np.nan, pd.NA],
            "category": pd.Categorical(["u", "v", "u"]),
            "codes": pd.Categorical([1, 2, 1]),
            "when": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
            "period": pd.period_range("2020-01", periods=3, freq="M"),
            "sets": [{"b", "a"}, set(), {"c"}],
            "arrays": [np.array([1.0, 2.0])] * 3,
            "numbers": np.array([1, 2.5, np.int64(3)], dtype=object),
            "big": [2**53 + 1, 2, 3],
            "huge": [2**70, 2, 3],
            "decimal": [Decimal("1.50"), Decimal("2"), None],
            "complex": [1j, 2j, 3j],
            7: [1, 2, 3],
        },
        index=[5, 6, 7],
    )
    data = from_frame(frame).data
    assert data.column("mixed").to_pylist() == ["1", "a", "2.5"]
    assert data.column("holes").to_pylist() == ["1", "a", None]
    assert data.column("nan").to_pylist() == ["x", None, None]
    assert data.column("category").to_pylist() == ["u", "v", "u"]
    assert data.column("codes").type == pa.int64()
    assert data.column("when").to_pylist() == [datetime(2020, 1, 1), None, datetime(2020, 1, 3)]
    assert data.column("period").to_pylist() == ["2020-01", "2020-02", "2020-03"]
    assert data.column("sets").to_pylist() == [["a", "b"], [], ["c"]]
    assert data.column("arrays").to_pylist() == [[1.0, 2.0]] * 3
    assert data.column("numbers").to_pylist() == [1.0, 2.5, 3.0]
    assert data.column("big").to_pylist() == [2**53 + 1, 2, 3]
    assert data.column("huge").to_pylist() == [str(2**70), "2", "3"]
    assert data.column("decimal").to_pylist() == [Decimal("1.50"), Decimal("2.00"), None]
    assert data.column("complex").to_pylist() == ["1j", "2j", "3j"]
    assert data.column_names[-1] == "7"
    assert from_frame(pd.Series([1, 2], name="y")).names == ["y"]


def test_polars_in_some_of_its_variety():
    frame = pl.DataFrame(
        {
            "category": pl.Series(["u", "v"], dtype=pl.Categorical),
            "day": [date(2020, 1, 1), None],
            "vector": pl.Series([[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float32, 2)),
            "object": pl.Series([{1}, {2}], dtype=pl.Object),
            "struct": [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}],
        }
    )
    data = from_frame(frame).data
    assert data.column("category").type == pa.string()
    assert data.column("vector").type == pa.list_(pa.float32(), 2)
    assert data.column("object").to_pylist() == [[1], [2]]
    assert data.select(["struct.x", "struct.y"]).to_pydict() == {"struct.x": [1, 2], "struct.y": ["a", "b"]}
    assert from_frame(pl.Series("y", [1, 2])).names == ["y"]


def test_numpy():
    assert from_frame(np.arange(6).reshape(3, 2)).data.to_pydict() == {"x0": [0, 2, 4], "x1": [1, 3, 5]}
    assert from_frame(np.array([1.0, np.nan])).data.to_pydict() == {"x0": [1.0, None]}
    assert from_frame(np.ma.array([1, 2], mask=[0, 1])).data.to_pydict() == {"x0": [1, None]}
    structured = np.array([(1, "a"), (2, "b")], dtype=[("n", ">i4"), ("s", "U2")])
    assert from_frame(structured).data.to_pydict() == {"n": [1, 2], "s": ["a", "b"]}
    assert from_frame(np.array([[1, "a"], [None, "b"]], dtype=object)).data.to_pydict() == {
        "x0": [1, None],
        "x1": ["a", "b"],
    }
    assert from_frame([[1, 2], [3, 4]]).data.to_pydict() == {"x0": [1, 3], "x1": [2, 4]}
    assert from_frame([[1, "a"], [2, "b"]]).data.to_pydict() == {"x0": [1, 2], "x1": ["a", "b"]}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.zeros(2, np.float16), "float"),
        (np.zeros(2, np.longdouble), "double"),
        (np.zeros(2, ">f8"), "double"),
        (np.zeros((2, 3)), "fixed_size_list<item: double>[3]"),
        (np.array(["2020-01-01T05", "NaT"], "datetime64[h]"), "timestamp[s]"),
        (np.array([1, "a"], object), "string"),
        (["a", 1, None], "string"),
        ([10**400, 1.5, -(10**400)], "double"),
        ([{"a"}, None], "list<item: string>"),
        ([[1], ["a"]], "list<item: string>"),
        (np.array([datetime(2020, 1, 1, tzinfo=UTC)]), "timestamp[us, tz=UTC]"),
    ],
    ids=str,
)
def test_columns_of_odd_types(values: object, kind: str):
    array = arrow_array(values)
    assert str(array.type) == kind
    assert len(array) == len(values)  # type: ignore[arg-type]


def test_whole_numbers_beyond_all_floats_are_infinite():
    assert arrow_array([10**400, 1.5, None, -(10**400)]).to_pylist() == [math.inf, 1.5, None, -math.inf]


REFUSED = {
    "repeated pandas columns": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "duplicate column names: 'a'", "1, 2"),
    "repeated arrow columns": (pa.table([[1], [2]], names=["a", "a"]), "duplicate column names: 'a'", "rename"),
    "names that are equal as text": ({1: [1], "1": [2]}, "duplicate column names: '1'", "rename"),
    "lengths that differ": ({"a": [1, 2], "b": [1]}, "'a' has 2 rows, 'b' has 1", "None or NaN"),
    "no rows": ([], "no columns", "at least one"),
    "a frame without columns": (pd.DataFrame(index=range(3)), "no columns", "at least one"),
    "no columns": ({}, "no columns", "at least one"),
    "a number": (3, "no rows can be read from a builtins.int", "pandas or Polars"),
    "a scalar column": ({"a": 3}, "3 is no column", "one value a row"),
    "three axes": (np.zeros((2, 2, 2)), "shape (2, 2, 2) is no table", "reshape"),
    "complex": (np.zeros((2, 2), complex), "complex numbers", "real and imaginary"),
    "ragged rows": ([[1], [1, 2]], "differ in length", "dict of columns"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_table_is_refused(case):
    frame, problem, hint = case
    with pytest.raises(DataError) as caught:
        from_frame(frame)
    assert problem in caught.value.problem
    assert hint in caught.value.hint


def test_sparse_matrices_and_dicts_of_datasets_say_what_to_pass():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(DataError, match="sparse") as caught:
        from_frame(sparse.csr_matrix(np.eye(2)))
    assert "toarray()" in caught.value.hint
    splits = type("DatasetDict", (dict,), {"__module__": "datasets.dataset_dict"})(train=Dataset(ARROW))
    with pytest.raises(DataError, match="DatasetDict") as caught:
        from_frame(splits)
    assert caught.value.hint == "choose one of its splits: 'train'"


ANSWERS = {
    "y": np.array(["no", "yes", "no"], dtype=object),
    "y.p": np.array([0.25, 0.75, np.nan]),
    "v": np.arange(6.0).reshape(3, 2),
}


def test_answers_come_back_as_the_frame_that_asked():
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=["r1", "r2", "r3"])
    out = like_frame(ANSWERS, frame)
    assert isinstance(out, pd.DataFrame)
    assert out.index.tolist() == ["r1", "r2", "r3"]
    assert out["y"].tolist() == ["no", "yes", "no"]
    assert out["v"].iloc[1].tolist() == [2.0, 3.0]
    assert isinstance(like_frame(ANSWERS, pl.DataFrame({"a": [1]})), pl.DataFrame)
    assert isinstance(like_frame(ANSWERS, pl.LazyFrame({"a": [1]})), pl.LazyFrame)
    assert isinstance(like_frame(ANSWERS, ARROW), pa.Table)
    assert isinstance(like_frame(ANSWERS, ARROW.to_batches()[0]), pa.RecordBatch)
    assert isinstance(like_frame(ANSWERS, Capsule()), pa.Table)
    assert isinstance(like_frame(ANSWERS, Dataset(ARROW)), Dataset)
    assert like_frame(ANSWERS, [{"a": 1}])[2] == {"y": "no", "y.p": None, "v": [4.0, 5.0]}  # type: ignore[index]
    for like in ({"a": [1]}, np.zeros((3, 1)), "file.csv", Table(ARROW)):
        assert like_frame(ANSWERS, like) == ANSWERS


def test_no_library_is_imported_for_a_frame_that_is_not_its_own():
    # pandas is not looked for: Arrow itself imports it, if it is installed, to convert a list.
    code = (
        "import sys, numpy as np; from trueweight.data.frames import from_frame, like_frame;"
        "from_frame({'a': [1, 'x']}); from_frame(np.zeros((2, 2))); like_frame({}, {});"
        "assert not {'polars', 'torch', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pandas_is_read_after_a_command_kept_arrow_from_it():
    code = (
        "from trueweight.cli.machine import leave_pandas_out; leave_pandas_out()\n"
        "import pandas as pd\n"
        "from trueweight.data.frames import from_frame\n"
        "table = from_frame(pd.DataFrame({'x': [1.0, 2.0]}, index=[5, 6]))\n"
        "assert table.data.column('x').to_pylist() == [1.0, 2.0]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
