"""Vectors and sets."""

import json

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.cells import ReadOptions
from trueweight.data.columns.set import SetColumn
from trueweight.data.columns.vector import VectorColumn
from trueweight.data.sample import BottomK

OPTIONS = ReadOptions(("", "NA"))


def run(part, values, min_group=1):
    raw = pa.chunked_array([pa.array(values) if isinstance(values, list) else values])
    cells, rows = part.read(raw, OPTIONS), np.arange(len(raw))
    learnt = part.learn(cells, rows, BottomK.of(rows), min_group=min_group)
    return cells, learnt, part.codec("c", learnt)


def members(cells):
    starts = cells.start_N1
    return [[cells.levels[k] for k in cells.code_M[a:b]] for a, b in zip(starts[:-1], starts[1:], strict=True)]


@pytest.mark.parametrize(
    "values",
    [
        [[1.0, 2.0], None, [3.0, -4.5]],
        pa.array([[1, 2], None, [3, -4.5]], pa.list_(pa.float32(), 2)),
        pa.array([[1, 2], None, [3, -4.5]], pa.large_list(pa.float64())),
        ["[1, 2]", "NA", "[3,-4.5]"],
        ["1 2", "", " 3  -4.5 "],
        ["(1;2)", None, "3;-4.5"],
    ],
    ids=str,
)
def test_vectors_are_read_from_lists_and_texts(values):
    cells, _, _ = run(VectorColumn(), values)
    np.testing.assert_array_equal(cells.value_ND, [[1, 2], [np.nan] * 2, [3, -4.5]])
    assert cells.missing_N.tolist() == [False, True, False]


def test_other_lengths_are_missing_and_counted():
    cells, _, _ = run(VectorColumn(), ["1 2", "3 4", "5", "x y", "1 2 3"])
    assert cells.missing_N.tolist() == [False, False, True, True, True]
    assert cells.notes == {"wrong length": 2, "not a vector": 1}
    cells, _, _ = run(VectorColumn(width=1), ["1 2", "3 4", "5"])
    assert cells.missing_N.tolist() == [True, True, False]


def test_vectors_are_standardised_place_by_place():
    rng = np.random.default_rng(0)
    values = rng.normal([5, 0, 100], [1, 20, 0], size=(500, 3)).tolist()
    cells, _, codec = run(VectorColumn(), [*values, None])
    arrays = codec.encode(cells)
    assert codec.labels() == {"number": ["c[0]", "c[1]"], "flag": ["c missing"]}  # the last place never varies
    np.testing.assert_allclose(arrays["number"][:500].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(arrays["number"][:500].std(0), 1, atol=1e-6)
    assert arrays["number"][500].tolist() == [0, 0]


def test_vectors_of_another_width_are_missing_to_a_codec():
    _, _, codec = run(VectorColumn(), [[1.0, 2.0], [3.0, 5.0], None])
    later, _, _ = run(VectorColumn(), [[1.0, 2.0, 3.0]])
    arrays = codec.encode(later)
    assert arrays["number"].tolist() == [[0, 0]]
    assert arrays["flag"].tolist() == [[1]]


@pytest.mark.parametrize(
    "values",
    [
        [["a", "b"], None, ["b"], []],
        ["a|b", "NA", "b", "[]"],
        [" b ;a;b", "", "b", "[]"],
        ['["a", "b"]', None, '["b"]', "[]"],
        ["[a, b]", None, "['b']", "[]"],
    ],
    ids=str,
)
def test_sets_are_read_from_lists_and_texts(values):
    cells, _, codec = run(SetColumn(), values)
    assert [sorted(row) for row in members(cells)] == [["a", "b"], [], ["b"], []]
    assert cells.missing_N.tolist() == [False, True, False, False]
    flags = dict(zip(codec.labels()["flag"], codec.encode(cells)["flag"].T.tolist(), strict=True))
    assert flags == {"c has b": [1, 0, 1, 0], "c has a": [1, 0, 0, 0], "c missing": [0, 1, 0, 0]}


def test_separator_can_be_given():
    cells, _, _ = run(SetColumn(separator=","), ["a|b,c", "a|b"])
    assert members(cells) == [["a|b", "c"], ["a|b"]]
    cells, _, _ = run(SetColumn(), ["a|b,c", "a|b"])
    assert members(cells) == [["a", "b,c"], ["a", "b"]]


def test_commas_inside_quotes_stay():
    cells, _, _ = run(SetColumn(), [json.dumps(["x, y", "z"])])
    assert members(cells) == [["x, y", "z"]]


def test_rare_and_new_members_share_a_flag():
    part = SetColumn(min_frequency=2)
    _, learnt, codec = run(part, ["a|b", "a", "b", "rare"])
    assert learnt["levels"] == ["a", "b"]
    assert learnt["rare"] == {"levels": 1, "rows": 1}
    later, _, _ = run(part, ["a|new", "b"])
    assert codec.encode(later)["flag"].tolist() == [[1, 0, 1], [0, 1, 0]]
    _, learnt, _ = run(SetColumn(max_categories=1), ["a|b", "a"])
    assert learnt["levels"] == ["a"]


def test_repeats_count_once():
    cells, learnt, _ = run(SetColumn(), ["a|a|b", "b"])
    assert members(cells) == [["a", "b"], ["b"]]
    assert cells.notes == {"repeated members": 1}
    assert learnt["size"] == 1.5
    assert "1.5 a row" in SetColumn().summary(learnt)


def test_an_encoder_of_ones_own_can_be_asked_for():
    for part in (VectorColumn, SetColumn):
        assert part(encoder="linear").encoder.type == "linear"
