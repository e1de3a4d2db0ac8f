"""Tables in long form: one row a step becomes one row a case, at training and at every later time alike."""

import numpy as np
import pyarrow as pa
import pytest

from trueweight.api.request import as_cases, read_source
from trueweight.data.cells import ReadOptions
from trueweight.data.grouped import grouped
from trueweight.data.guess import guess_feature, guess_series
from trueweight.data.roles import assign_roles
from trueweight.data.table import Provenance, Table
from trueweight.errors import DataError, SpecError
from trueweight.files import canonical_json, digest_bytes
from trueweight.spec.data import CasesSpec, DataSpec
from trueweight.spec.load import parse_spec

OPTIONS = ReadOptions(("", "NA"))
LONG = {
    "who": ["b", "a", "b", "a", "b", "", "c"],
    "t": ["2", "10", "1", "9", "3", "1", "1"],
    "speed": ["2.5", "20", "1.5", "10", "", "7", "8"],
    "city": ["Rome", "Oslo", "", "Oslo", "Rome", "Bern", ""],
}
GROUPED = CasesSpec(type="grouped", case="who", time="t")


def together(columns=LONG, cases=GROUPED, **options):
    return grouped(Table.of(columns), cases, OPTIONS, **options)


def test_rows_of_a_case_become_one_in_order_of_time():
    found = together()
    assert found.table.data.to_pydict() == {
        "who": ["b", "a", "c"], "speed": [["1.5", "2.5", ""], ["10", "20"], ["8"]], "city": ["Rome", "Oslo", ""],
    }  # fmt: skip
    assert found.series == found.table.provenance.series == ("speed",)
    assert found.first_K.tolist() == [2, 3, 6]
    assert "1 rows without a case" in found.table.provenance.notes[0]


def test_without_a_time_the_file_s_order_stays():
    found = together({k: v for k, v in LONG.items() if k != "t"}, CasesSpec(type="grouped", case="who"))
    assert found.table.data["speed"].to_pylist() == [["2.5", "1.5", ""], ["20", "10"], ["8"]]


def test_dates_order_steps_too():
    days = ["2.1.2024", "10.1.2024", "1.1.2024", "9.1.2024", "3.1.2024", "1.1.2024", "1.1.2024"]
    assert together(LONG | {"t": days}).table.data.equals(together().table.data)


def test_typed_columns_and_steps_of_several_values():
    columns = {
        "who": [1, 1, 2], "t": [2.0, 1.0, 1.0], "n": pa.array([1, 2, 3]), "xy": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
        "same": [7, None, 8],
    }  # fmt: skip
    data = together(columns).table.data
    assert data["n"].to_pylist() == [[2, 1], [3]]
    assert data["xy"].to_pylist() == [[[3, 4], [1, 2]], [[5, 6]]]
    assert data["same"].to_pylist() == [7, 8]


def test_cases_of_one_step_are_lists_where_training_had_lists():
    later = together({"who": ["x"], "t": [1], "speed": ["3"], "city": ["Bern"]}, GROUPED.model_copy(
        update={"series": ["speed"]}))  # fmt: skip
    assert later.table.data.to_pydict() == {"who": ["x"], "speed": [["3"]], "city": ["Bern"]}


def test_columns_that_must_have_one_value_are_refused_when_they_vary():
    with pytest.raises(DataError, match="'speed' has several values within one case") as caught:
        together(single=["speed"])
    assert "who" in caught.value.hint
    assert together(single=["city", "nowhere"]).table.data["city"].to_pylist() == ["Rome", "Oslo", ""]


def test_the_time_of_a_case_is_its_end_where_the_split_asks_for_it():
    assert together(single=["t"]).table.data["t"].to_pylist() == ["3", "10", "1"]


def test_rows_of_different_files_never_share_a_case():
    found = together(apart=["x", "x", "y", "x", "x", "x", "x"])
    assert found.table.data["who"].to_pylist() == ["b", "a", "b", "c"]


@pytest.mark.parametrize(
    ("cases", "columns", "said"),
    [
        (CasesSpec(type="grouped", case="whom", time="t"), LONG, "no column 'whom'"),
        (CasesSpec(type="grouped", case="who", time="tt"), LONG, "no column 'tt'"),
        (GROUPED, LONG | {"t": ["1", "2", "", "4", "5", "6", "7"]}, "neither numbers nor dates"),
        (GROUPED, LONG | {"t": ["1", "2", "soon", "4", "5", "6", "7"]}, "neither numbers nor dates"),
        (GROUPED, LONG | {"who": [""] * 7}, "names no case"),
        (GROUPED.model_copy(update={"channels": ["speed", "sped"]}), LONG, "no column 'sped'"),
    ],
)
def test_what_cannot_be_put_together_is_refused(cases, columns, said):
    with pytest.raises(DataError, match=said):
        together(columns, cases)


@pytest.mark.parametrize(
    "cases",
    [
        {"type": "grouped"},
        {"case": "who"},
        {"type": "grouped", "case": "a", "time": "a"},
        {"type": "heaps"},
        {"type": "grouped", "case": "a", "series": ["b"], "channels": ["c"]},
    ],
)
def test_a_spec_that_says_half_is_refused(cases):
    with pytest.raises(SpecError):
        parse_spec({"targets": {"y": "number"}, "data": {"cases": cases}})


def test_as_slow_as_python_says_the_same():
    rng = np.random.default_rng(0)
    who, t, x = rng.integers(0, 50, 1000), rng.permutation(1000), rng.normal(size=1000)
    data = together({"who": who, "t": t, "x": x}).table.data
    for case, series in zip(data["who"].to_pylist(), data["x"].to_pylist(), strict=True):
        rows = [row for row in np.argsort(t) if who[row] == case]
        assert series == x[rows].tolist()
    assert data["who"].to_pylist() == list(dict.fromkeys(who.tolist()))


def test_columns_are_guessed_as_series_however_short():
    table = together({"who": [1, 1, 2, 2], "x": ["1", "2", "3", "4"], "w": ["a", "b", "b", "c"]},
                     CasesSpec(type="grouped", case="who")).table  # fmt: skip
    options = OPTIONS
    assert guess_series("x", table.data["x"], options).type == "timeseries"
    assert guess_series("w", table.data["w"], options).type == "set"
    assert guess_feature("x", table.data["x"], options).type == "set"  # which is what it would be anywhere else


def test_the_case_is_the_key_and_no_feature():
    spec = parse_spec({"targets": {"city": "category"}, "data": {"cases": GROUPED.model_dump()}})
    roles = {role.name: role.role for role in assign_roles(as_cases(Table.of(LONG), spec.data), spec)}
    assert roles == {"who": "key", "speed": "feature", "city": "target"}


def test_files_are_stacked_before_cases_are_formed(tmp_path):
    (tmp_path / "a.csv").write_text("who,t,x,y\n1,1,5,u\n1,2,6,u\n2,1,7,v\n")
    (tmp_path / "b.csv").write_text("who,t,x,y\n1,1,8,v\n")
    spec = parse_spec({
        "targets": {"y": "category"}, "data": {"source": "a.csv", "cases": GROUPED.model_dump()},
        "split": {"test_source": "b.csv"},
    })  # fmt: skip
    table, labels = read_source(spec, None, tmp_path)
    assert table.data["x"].to_pylist() == [["5", "6"], ["7"], ["8"]]
    assert labels == ["train", "train", "test"]


def test_a_table_of_rows_stays_as_it_is():
    table = Table.of(LONG)
    assert as_cases(table, DataSpec()) is table


MOTION = {
    "who": [1, 2, 1, 2, 1], "t": [2, 1, 1, 2, 3], "x": [1.0, 2.0, 3.0, 4.0, None], "kind": ["a", "b", "c", "d", "e"],
    "y": [10, 20, 30, 40, 50], "label": ["u", "v", "u", "v", "u"],
}  # fmt: skip


def test_several_columns_of_numbers_are_channels_of_one_series():
    found = together(MOTION)
    assert found.table.data.to_pydict() == {
        "who": [1, 2], "series": [[[3.0, 30.0], [1.0, 10.0], [None, 50.0]], [[2.0, 20.0], [4.0, 40.0]]],
        "kind": [["c", "a", "e"], ["b", "d"]], "label": ["u", "v"],
    }  # fmt: skip
    assert found.series == ("kind", "series")
    assert found.table.provenance.channels == ("x", "y")
    assert guess_series("series", found.table.data["series"], OPTIONS).spec == {"channels": 2}


@pytest.mark.parametrize(
    ("columns", "cases", "own"),
    [
        (MOTION, GROUPED, ["x"]),  # named under features
        (MOTION, GROUPED.model_copy(update={"channels": []}), []),
        (MOTION, GROUPED.model_copy(update={"series": ["x", "kind", "y"]}), []),  # as specs of older bundles say
        ({**MOTION, "x": ["1", "2", "3", "4", ""]}, GROUPED, []),  # texts beside typed numbers are read otherwise
    ],
)
def test_columns_stay_apart_where_that_is_asked_for(columns, cases, own):
    found = together(columns, cases, own=own)
    assert set(found.series) == {"x", "y", "kind"}
    assert found.table.provenance.channels == ()


def test_a_column_that_is_called_series_keeps_its_name():
    assert together({**MOTION, "series": [1, 2, 3, 4, 5]}).table.provenance.channels == ()


def test_texts_are_joined_and_their_decimal_comma_is_settled():
    columns = {"who": ["1", "1", "2"], "x": ["1,5", "2,5", ""], "y": ["3", "4,25", "5"]}
    table = together(columns, CasesSpec(type="grouped", case="who")).table
    spec = parse_spec({"targets": {"who": "category"}})
    (role,) = [role for role in assign_roles(table, spec) if role.name == "series"]
    assert role.part.type == "timeseries"
    cells = role.part.read(table.data["series"], OPTIONS)
    np.testing.assert_array_equal(cells.value.value_MC, [[1.5, 3], [2.5, 4.25], [np.nan, 5]])
    one = together({"who": ["9"], "x": ["1,234"], "y": ["2"]}, CasesSpec(
        type="grouped", case="who", series=["x", "y"], channels=["x", "y"]))  # fmt: skip
    np.testing.assert_array_equal(role.part.read(one.table.data["series"], OPTIONS).value.value_MC, [[1.234, 2]])


def test_channels_that_are_known_are_joined_again_whatever_a_later_table_lacks():
    known = GROUPED.model_copy(update={"series": ["x", "y"], "channels": ["x", "y"]})
    later = {"who": [1, 1], "t": [2, 1], "y": ["5", "6"], "kind": ["a", "a"]}
    found = together(later, known).table.data
    assert found.to_pydict() == {"who": [1], "series": [[[None, "6"], [None, "5"]]], "kind": ["a"]}
    assert "series" not in together({"who": [1], "t": [1], "kind": ["a"]}, known).table.names
    assert together({**later, "x": [[1], [2]]}, known).table.data["series"].to_pylist() == [[[None, "6"], [None, "5"]]]


def test_without_channels_digests_are_what_they_were():
    """Bundles that were made before there were channels keep the digest of their data."""
    origin = Provenance(digest="sha256:00")
    digest = grouped(Table(pa.table(LONG), origin), GROUPED, OPTIONS).table.provenance.digest
    asked = {"case": "who", "series": ["speed"], "time": "t", "type": "grouped"}
    assert digest == digest_bytes(b"sha256:00", canonical_json(asked).encode())
