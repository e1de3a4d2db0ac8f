"""Categories, yes-no columns, identifiers and ignored ones."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from trueweight.data.cells import ReadOptions
from trueweight.data.columns.binary import BinaryColumn
from trueweight.data.columns.category import CategoryColumn
from trueweight.data.columns.id import IdColumn
from trueweight.data.columns.ignore import IgnoreColumn
from trueweight.data.levels import level_numbers
from trueweight.data.parse_texts import read_levels
from trueweight.data.sample import BottomK

OPTIONS = ReadOptions(("", "NA"))


def learn(part, values, min_group=1):
    raw = pa.chunked_array([pa.array(values)])
    cells, rows = part.read(raw, OPTIONS), np.arange(len(raw))
    return cells, part.learn(cells, rows, BottomK.of(rows), min_group=min_group)


def codes(part, learnt, values):
    codec = part.codec("c", learnt)
    return codec.encode(part.read(pa.chunked_array([pa.array(values)]), OPTIONS))


def test_levels_are_trimmed_merged_and_in_order_of_appearance():
    cells = read_levels(pa.chunked_array([pa.array([" b", "a", "NA "]), pa.array(["b", "", None, "\u00a0a"])]), OPTIONS)
    assert cells.levels == ("b", "a")
    assert cells.code_N.tolist() == [0, 1, -1, 0, -1, -1, 1]
    assert cells.notes == {"spaces trimmed": 2}


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (pa.array([1, 2, None]), ("1", "2")),
        (pa.array([1.0, 2.5, np.nan, -0.0]), ("1", "2.5", "0")),
        (pa.array([True, False]), ("true", "false")),
        (pa.array(["x", "y"]).dictionary_encode(), ("x", "y")),
        (pa.array([b"x"]), ("x",)),
        (pa.array([np.inf, 1e300]), ("1e+300",)),
        (pa.array(["1.00"]).cast(pa.decimal128(5, 2)), ("1",)),
    ],
    ids=str,
)
def test_typed_cells_are_written_as_people_do(values, levels):
    assert read_levels(values, OPTIONS).levels == levels


def test_codes_follow_count_then_spelling():
    part = CategoryColumn()
    _, learnt = learn(part, ["b", "a", "c", "c", "NA"])
    assert learnt["levels"] == ["c", "a", "b"]
    assert codes(part, learnt, ["c", "a", "b", "new", None])["code"][:, 0].tolist() == [2, 3, 4, 1, 0]
    assert part.codec("c", learnt).cardinalities() == [5]


def test_rare_levels_are_pooled_and_counted():
    part = CategoryColumn(min_frequency=3)
    _, learnt = learn(part, ["a"] * 5 + ["b"] * 2 + ["c"])
    assert learnt["levels"] == ["a"]
    assert learnt["rare"] == {"levels": 2, "rows": 3}
    assert codes(part, learnt, ["a", "b", "zzz"])["code"][:, 0].tolist() == [2, 1, 1]
    _, strict = learn(CategoryColumn(), ["a"] * 5 + ["b"] * 2 + ["c"], min_group=3)
    assert strict == learnt
    assert "2 too rare to name" in part.summary(learnt)


def test_most_frequent_categories_win():
    part = CategoryColumn(max_categories=2)
    _, learnt = learn(part, ["a"] * 3 + ["b"] * 2 + ["c"])
    assert learnt["levels"] == ["a", "b"]
    assert learnt["rare"] == {"levels": 1, "rows": 1}


def test_a_column_of_one_kind_has_no_width():
    part = CategoryColumn()
    assert codes(part, learn(part, ["a"] * 4)[1], ["a"]) == {}
    assert codes(part, learn(part, ["a"] * 4 + [None])[1], ["a", None])["code"][:, 0].tolist() == [2, 0]
    assert codes(part, learn(part, [None] * 4)[1], ["a"]) == {}


@pytest.mark.parametrize(
    ("vocabulary", "levels", "numbers"),
    [
        (["1", "2"], ["2.0", "1", "3"], [1, 0, -1]),
        (["1.0", "2.0"], ["1", "2"], [0, 1]),
        (["True", "False"], ["false", "true"], [1, 0]),
        (["1", "1.0"], ["1.00"], [-1]),  # which of the two is meant cannot be told
        (["a", "b"], ["A", "nan", "inf"], [-1, -1, -1]),
        ([], ["a"], [-1]),
    ],
)
def test_the_same_value_written_otherwise_is_found(vocabulary, levels, numbers):
    assert level_numbers(levels, vocabulary).tolist() == numbers


def test_a_million_levels_are_no_trouble():
    raw = pc.cast(pa.array(np.arange(1_000_000)), pa.string())
    part = CategoryColumn()
    cells = part.read(pa.chunked_array([raw]), OPTIONS)
    rows = np.arange(len(raw))
    learnt = part.learn(cells, rows, BottomK.of(rows), min_group=1)
    assert len(learnt["levels"]) == 10_000
    assert learnt["rare"]["levels"] == 990_000


def test_binary_is_one_flag_in_natural_order():
    part = BinaryColumn()
    _, learnt = learn(part, ["no"] * 2 + ["yes"] * 3)
    assert codes(part, learnt, ["no", "yes", None, "maybe"])["flag"][:, 0].tolist() == [0, 1, 0.5, 0.5]
    assert part.codec("c", learnt).labels() == {"flag": ["c is yes"]}
    assert part.summary(learnt) == "yes 60 %, no 40 %"
    _, learnt = learn(part, ["10", "9"])
    assert codes(part, learnt, [9, 10.0])["flag"][:, 0].tolist() == [0, 1]


def test_binary_marks_missing_if_training_rows_had_any():
    part = BinaryColumn()
    _, learnt = learn(part, ["no", "yes", None])
    assert codes(part, learnt, ["no", None])["flag"].tolist() == [[0, 0], [0.5, 1]]


def test_binary_with_a_rare_value_names_only_the_other():
    part = BinaryColumn()
    _, learnt = learn(part, ["no"] * 20 + ["secret"] * 2, min_group=10)
    assert "secret" not in str(learnt)
    assert codes(part, learnt, ["no", "secret", "other"])["flag"][:, 0].tolist() == [0, 1, 1]
    assert part.codec("c", learnt).labels() == {"flag": ["c is not no"]}
    assert codes(part, learn(part, ["no", "yes"], min_group=10)[1], ["no"]) == {}


def test_ids_are_counted_not_kept():
    part = IdColumn()
    _, learnt = learn(part, ["a", "b", "b", None])
    assert learnt == {"count": 3, "missing": 1, "distinct": 2, "repeated": 2}
    assert part.codec("c", learnt).shapes() == {}


def test_ignored_columns_say_why():
    part = IgnoreColumn(reason="known too late")
    _, learnt = learn(part, ["a", None])
    assert learnt == {"count": 1, "missing": 1}
    assert part.summary(learnt) == "left out: known too late"
    assert IgnoreColumn().summary(learnt) == "left out"


def test_an_encoder_of_ones_own_can_be_asked_for():
    for part in (BinaryColumn, CategoryColumn):
        assert part(encoder="linear").encoder.type == "linear"
