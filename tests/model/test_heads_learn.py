"""What heads learn about targets, and what they refuse: real cells in, plain facts out."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from trueweight.data.cells import LevelCells, NumberCells, SetCells, VectorCells
from trueweight.data.sample import BottomK
from trueweight.errors import DataError, SpecError
from trueweight.model.heads.binary import BinaryHead
from trueweight.model.heads.category import CategoryHead
from trueweight.model.heads.number import NumberHead
from trueweight.model.heads.set import SetHead
from trueweight.model.heads.vector import VectorHead
from trueweight.nn.encoding import Encoding, Form


def levels(*texts: str | None) -> LevelCells:
    known = list(dict.fromkeys(t for t in texts if t is not None))
    code = np.array([-1 if t is None else known.index(t) for t in texts], dtype=np.int32)
    return LevelCells(missing_N=code < 0, code_N=code, levels=tuple(known))


def numbers(*values: float) -> NumberCells:
    value = np.array(values, dtype=np.float64)
    return NumberCells(missing_N=np.isnan(value), value_N=value)


def sets(*rows: list[str] | None) -> SetCells:
    known = list(dict.fromkeys(label for row in rows for label in row or []))
    code = np.array([known.index(label) for row in rows for label in row or []], dtype=np.int32)
    start = np.cumsum([0, *(len(row or []) for row in rows)])
    return SetCells(missing_N=np.array([row is None for row in rows]), start_N1=start, code_M=code, levels=tuple(known))


def learn(part, cells, rows=None):
    rows = np.arange(len(cells)) if rows is None else np.array(rows)
    learnt = part.learn(cells, rows, BottomK.of(rows), name="y")
    assert json.loads(json.dumps(learnt)) == learnt
    return learnt


@pytest.mark.parametrize(
    ("texts", "positive"),
    [
        (("0", "1"), "1"),
        (("10", "9"), "10"),
        (("no", "yes"), "yes"),
        (("True", "False"), "True"),
        (("y", "z"), "y"),
        (("positive", "zero"), "positive"),
        ((">50K", "<=50K"), ">50K"),
        (("bad", "good"), "good"),
    ],
)
def test_positive_class_is_guessed(texts, positive):
    assert learn(BinaryHead(), levels(*texts * 2))["classes"][-1] == positive


def test_positive_class_is_what_was_asked_for():
    cells = levels("True", "False", "True", "False")
    assert learn(BinaryHead.model_validate({"positive_class": False}), cells)["classes"] == ["True", "False"]
    with pytest.raises(DataError, match="'maybe', but 'y' has 'True' and 'False'"):
        learn(BinaryHead(positive_class="maybe"), cells)


def test_binary_encodes_what_it_knows_and_masks_the_rest():
    part, cells = BinaryHead(), levels("no", "yes", None, "maybe", "no", "yes")
    learnt = learn(part, cells, [0, 1, 4, 5])
    assert learnt == {"classes": ["no", "yes"], "counts": [2, 2]}
    arrays, truth = part.encode(cells, learnt), part.truth(cells, learnt)
    assert arrays["index"].tolist() == [0, 1, 0, 0, 0, 1]
    assert arrays["present"].tolist() == [True, True, False, False, True, True]
    assert truth.value.tolist() == [0, 1, -1, -1, 0, 1]
    assert truth.present_N.tolist() == [True, True, False, True, True, True]


@pytest.mark.parametrize(
    ("part", "cells", "message"),
    [
        (BinaryHead(), levels("a", "b", "c", "a"), r"3 values, not two: 'a' \(2 rows\), 'b'"),
        (BinaryHead(), levels("a", "a"), "'a' in all 2 labelled training rows"),
        (BinaryHead(), levels("a", "a", "b"), "class 'b' of 'y' has only one training row"),
        (CategoryHead(), levels("a", "b", "c", "a"), "'b' of 'y' has only one training row, and 1 more class"),
        (CategoryHead(), levels(None, None), "all 2 training rows of 'y' have no label"),
        (NumberHead(), numbers(np.nan), "all 1 training rows of 'y' have no number"),
        (NumberHead(), numbers(1e-310, 3e-310, 0), "'y' holds numbers too small to be told from zero"),
        (NumberHead(), numbers(1e-200, 3e-200), "as little as those of 'y' \\(about 2e-200\\) cannot be squared"),
        (NumberHead(), numbers(3, 3), "'y' is 3 in all 2 labelled training rows"),
        (NumberHead(transform="log1p"), numbers(3, -2), "no answer for -2"),
        (SetHead(), sets(None), "have no set"),
        (SetHead(), sets(["a"], ["a"]), "tells 2 training rows apart"),
        (VectorHead(), VectorCells(missing_N=np.zeros(2, bool), value_ND=np.ones((2, 3))), "same vector in all 2"),
        (VectorHead(), VectorCells(missing_N=np.ones(1, bool), value_ND=np.full((1, 3), np.nan)), "have no vector"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(part, cells, message):
    with pytest.raises(DataError, match=message) as caught:
        learn(part, cells)
    assert caught.value.where.startswith("targets.y")
    assert caught.value.hint


def test_categories_come_in_natural_order():
    assert learn(CategoryHead(), levels("10", "9", "10", "9"))["classes"] == ["9", "10"]
    assert learn(CategoryHead(), levels("b", "a", "b", "a"))["classes"] == ["a", "b"]


@pytest.mark.parametrize("transform", ["none", "log1p"])
def test_numbers_come_back_in_their_own_unit(transform):
    import torch

    part, cells = NumberHead(transform=transform), numbers(1, 10, 100, np.nan, 1000)
    learnt = learn(part, cells)
    arrays = part.encode(cells, learnt)
    assert arrays["value"].dtype == np.float32
    assert arrays["value"][3, 0] == 0
    assert not arrays["present"][3]
    head = part.build(Form(1), learnt)
    answer = head.read({"value": torch.from_numpy(arrays["value"])}, learnt, None)
    # Float32 keeps 1e-7 of a standard deviation, here about 400.
    np.testing.assert_allclose(answer.value_N[[0, 1, 2, 4]], [1, 10, 100, 1000], rtol=1e-5, atol=1e-3)


def test_logarithms_do_not_explode():
    import torch

    part, cells = NumberHead(transform="log1p"), numbers(1, 10, 100)
    learnt = learn(part, cells)
    answer = part.build(Form(1), learnt).read({"value": torch.tensor([[1e9], [-1e9]])}, learnt, None)
    assert answer.value_N.max() < 100**2.5
    assert answer.value_N.min() > -1


def test_numbers_in_training_facts_are_quantiles():
    learnt = learn(NumberHead(), numbers(*range(10_001)))
    assert learnt["low"] == pytest.approx(10)
    assert learnt["high"] == pytest.approx(9990)
    assert learnt["average"] == pytest.approx(5000)


def test_sets_encode_their_labels():
    part, cells = SetHead(), sets(["a", "b"], [], None, ["b"], ["a", "new"])
    learnt = learn(part, cells, [0, 1, 2, 3, 4])
    assert learnt == {"labels": ["a", "b"], "counts": [2, 2], "rows": 4}
    assert part.encode(cells, learnt)["hot"].tolist() == [[1, 1], [0, 0], [0, 0], [0, 1], [1, 0]]
    assert part.encode(cells, learnt)["present"].tolist() == [True, True, False, True, True]
    assert part.constant(learnt, 2).probability_NC.tolist() == [[0.5, 0.5]] * 2


def test_vectors_keep_places_that_never_change():
    value = np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, np.nan]])
    part, cells = VectorHead(), VectorCells(missing_N=np.isnan(value[:, 0]), value_ND=value)
    learnt = learn(part, cells)
    assert learnt == {"mean": [2.0, 5.0], "std": [1.0, 0.0]}
    assert part.encode(cells, learnt)["value"].tolist() == [[-1, 0], [1, 0], [0, 0]]
    other = VectorCells(missing_N=np.zeros(2, bool), value_ND=np.zeros((2, 7)))
    assert not part.encode(other, learnt)["present"].any()
    assert not part.truth(other, learnt).present_N.any()


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("part", [BinaryHead, CategoryHead])
def test_class_weights_are_positive(part, weight: float):
    with pytest.raises(ValidationError, match="class_weight"):
        part.model_validate({"class_weight": {"a": weight}})


def test_the_range_told_of_a_number_is_nobodys_number():
    rng = np.random.default_rng(0)
    values = [*rng.normal(size=500), 98_765.4321, -54_321.1234]
    learnt = learn(NumberHead(), numbers(*values))
    assert not {learnt["low"], learnt["high"]} & set(values)
    assert learnt["high"] < 5  # the extreme is left out, the rest is a mean of ten


def test_a_logarithm_of_a_few_rows_is_not_held_to_their_mean():
    learnt = learn(NumberHead(transform="log1p"), numbers(1, 10, 100, 1000))
    head = NumberHead(transform="log1p").build(Form(1), learnt)
    inner = (np.log1p([1.0, 1000.0]) - learnt["mean"]) / learnt["std"]
    np.testing.assert_allclose(head.reader(inner[:, None], learnt).value_N, [1, 1000], rtol=1e-6)


def test_class_weights_average_to_one():
    part = CategoryHead(class_weight="balanced")
    learnt = learn(part, levels(*["a"] * 2, *["b"] * 6))
    weight = part.build(Form(1), learnt).weight_C
    assert weight.tolist() == pytest.approx([2, 2 / 3])
    given = CategoryHead.model_validate({"class_weight": {"a": 3, "b": 1}})
    assert given.build(Form(1), learnt).weight_C.tolist() == pytest.approx([2, 2 / 3])
    with pytest.raises(SpecError, match="class_weight names 'c', which is no class"):
        CategoryHead(class_weight={"c": 1}).build(Form(1), learnt)


def test_summaries_are_short_lines():
    assert BinaryHead().summary({"classes": ["no", "yes"], "counts": [62, 38]}) == "no 62 %, yes 38 %"
    facts = {"labels": ["a", "b"], "counts": [3, 1], "rows": 4}
    assert SetHead().summary(facts) == "2 labels: a 75 %, b 25 %"
    facts = {"average": 12.5, "low": 1.0, "high": 30.0}
    assert NumberHead(unit="EUR").summary(facts) == "mean 12.5 EUR, mostly 1 to 30"


@pytest.mark.parametrize(
    ("head", "cells"),
    [(BinaryHead, levels("a", "b", "b", "a")), (SetHead, sets(["a"], ["b"], ["a"], ["b"]))],
)
def test_binary_cross_entropy_is_another_name_for_cross_entropy(head, cells):
    learnt = learn(head(), cells)
    form = Form(width=3)
    z = Encoding(torch.randn(len(cells), 1, 3))
    y = {name: torch.from_numpy(np.asarray(array)) for name, array in head().encode(cells, learnt).items()}
    losses = []
    for name in ("cross_entropy", "binary_cross_entropy"):
        torch.manual_seed(0)
        losses.append(head(loss=name).build(form, learnt).loss(z, y, None, torch.Generator()).item())
    assert losses[0] == losses[1]
