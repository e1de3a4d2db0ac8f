"""Predictors: one path from table to answers, and back from what a bundle stores."""

import json
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.conformal import Radius, conformal_radius
from trueweight.metrics.prediction import NumberPrediction
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.conformal import ConformalPredictor
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.predictors.tree import predictor_from_state
from trueweight.model.protocols import State
from trueweight.model.runtimes import RUNTIMES

MLP = {"type": "mlp", "hidden_sizes": [16, 16], "embedding_size": 4, "members": 2}


def through_json(state: State) -> State:
    """What a bundle does to a state."""
    facts, codecs = json.loads(json.dumps([state.facts, state.codecs], allow_nan=False))
    tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
    return State(state.kind, facts, tensors, codecs, tuple(through_json(m) for m in state.members))


def same(a, b) -> bool:
    return all(np.array_equal(a[name].scores(), b[name].scores()) for name in a)


def test_exact_line_is_recovered_exactly(make_problem):
    x = np.arange(40.0)
    problem = make_problem({"x": x, "y": 3 * x + 2}, {"x": "number"}, {"y": "number"})
    answer = problem.solved().predict(Table.of({"x": [0.0, 10.0, 100.0]}))["y"]
    # Float32 weights and inputs: 1e-7 of numbers up to 302.
    np.testing.assert_allclose(answer.value_N, [2, 32, 302], rtol=1e-6, atol=1e-5)


def test_state_is_an_exact_inverse_for_every_kind(mixed):
    leaf, linear, constant = mixed.predictor(MLP), mixed.solved(), ConstantPredictor(mixed.signature)
    weights = {t.name: (0.5, 0.25, 0.25) for t in mixed.signature.targets()}
    blend = BlendPredictor(mixed.signature, (leaf, linear, constant), weights, ("mlp", "linear", "constant"))
    radii = {"cost": Radius(2.0, 0.9, 50), "fraud": Radius(None, 0.9, 3, "few")}
    tree = ConformalPredictor(mixed.signature, blend, radii)
    twin = predictor_from_state(through_json(tree.state()), mixed.signature)
    assert same(tree.predict(mixed.table), twin.predict(mixed.table))
    assert twin.state().facts == tree.state().facts
    assert [m.state().kind for m in twin.members()[0].members()] == ["network", "network", "constant"]
    rebuilt = twin.members()[0].members()[0].state()
    assert rebuilt.codecs == leaf.state().codecs
    assert rebuilt.facts == leaf.state().facts


def test_answers_do_not_depend_on_batch_mates(mixed):
    predictor = mixed.predictor(MLP)
    everyone, few = predictor.predict(mixed.table), predictor.predict(mixed.table.take([7, 250]))
    for name, answer in few.items():
        mine = everyone[name].take(np.array([7, 250])).scores()
        np.testing.assert_allclose(answer.scores(), mine, rtol=1e-5, atol=1e-6)


def test_chunks_do_not_change_answers(mixed, monkeypatch):
    predictor = mixed.predictor(MLP)
    whole = predictor.predict(mixed.table)
    monkeypatch.setattr("trueweight.model.predictors.portions.CHUNK_ROWS", 34)
    for name, answer in predictor.predict(mixed.table).items():
        np.testing.assert_allclose(answer.scores(), whole[name].scores(), rtol=1e-5, atol=1e-6)


def test_encoded_rows_get_the_same_answers_as_the_table(mixed):
    predictor = mixed.predictor(MLP)
    assert same(predictor.predict_feed(mixed.feed()), predictor.predict(mixed.table))


def test_no_rows_and_no_columns_have_answers(mixed):
    predictor = mixed.predictor(MLP)
    for name, answer in predictor.predict(mixed.table.head(0)).items():
        assert len(answer) == 0
        assert answer.columns(name)
    empty = predictor.predict(mixed.table.select(["cost"]))
    assert all(np.isfinite(answer.scores()).all() and len(answer) == 300 for answer in empty.values())


def test_without_inputs_the_answer_is_the_prior(make_problem):
    problem = make_problem({"y": ["a"] * 30 + ["b"] * 10}, {}, {"y": "binary"})
    answer = problem.solved().predict(problem.table)["y"]
    np.testing.assert_allclose(answer.probability_NC[:, 1], 0.25, atol=1e-5)


def test_columns_that_never_vary_are_no_inputs(make_problem):
    problem = make_problem({"x": [1.0] * 8, "y": [1.0, 3.0] * 4}, {"x": "number"}, {"y": "number"})
    predictor = problem.solved()
    assert predictor.network.fields == ()
    np.testing.assert_allclose(predictor.predict(problem.table)["y"].value_N, 2, atol=1e-6)
    twin = predictor_from_state(through_json(predictor.state()), problem.signature)
    assert same(twin.predict(problem.table), predictor.predict(problem.table))


def test_double_differs_from_eager_by_rounding_only(mixed):
    predictor = mixed.predictor(MLP)
    eager, double = predictor.predict(mixed.table), predictor.with_runtime("double").predict(mixed.table)
    assert not same(eager, double)
    for name, answer in eager.items():
        np.testing.assert_allclose(answer.scores(), double[name].scores(), rtol=1e-4, atol=1e-5)
    assert same(predictor.predict(mixed.table), eager)
    weights = {t.name: (1.0,) for t in mixed.signature.targets()}
    tree = ConformalPredictor(mixed.signature, BlendPredictor(mixed.signature, (predictor,), weights), {})
    assert same(tree.with_runtime("double").predict(mixed.table), double)
    with pytest.raises(ValueError, match="choose from eager, double"):
        predictor.with_runtime("fast")


def test_predicting_leaves_the_network_in_its_mode(mixed):
    predictor = mixed.predictor({**MLP, "dropout": 0.5})
    predictor.network.train()
    assert same(predictor.predict(mixed.table), predictor.predict(mixed.table))
    assert predictor.network.training


@pytest.mark.parametrize("damage", ["tensor", "codec", "facts"])
def test_states_that_do_not_fit_are_refused(mixed, damage):
    state = mixed.predictor(MLP).state()
    if damage == "tensor":
        state = State(state.kind, state.facts, dict(list(state.tensors.items())[1:]), state.codecs)
    elif damage == "codec":
        state = State(state.kind, state.facts, state.tensors, [{"name": "table"}])
    else:
        state = State(state.kind, {}, state.tensors, state.codecs)
    with pytest.raises(VerifyError):
        predictor_from_state(state, mixed.signature)


def test_blend_mixes_by_target(mixed):
    constant, linear = ConstantPredictor(mixed.signature), mixed.solved()
    names = [t.name for t in mixed.signature.targets()]
    weights = dict.fromkeys(names, (0.25, 0.75)) | {"fraud": (1.0, 0.0)}
    answers = BlendPredictor(mixed.signature, (constant, linear), weights).predict(mixed.table)
    a, b = constant.predict(mixed.table), linear.predict(mixed.table)
    np.testing.assert_allclose(answers["cost"].value_N, 0.25 * a["cost"].value_N + 0.75 * b["cost"].value_N)
    assert np.array_equal(answers["fraud"].scores(), a["fraud"].scores())
    with pytest.raises(ValueError, match="sum 1"):
        BlendPredictor(mixed.signature, (constant, linear), {"cost": (0.5, 0.6)})


def test_constant_answers_frequencies(mixed):
    answers = ConstantPredictor(mixed.signature).predict(mixed.table.head(3))
    share = np.mean([v == "yes" for v in mixed.table.column("fraud").to_pylist() if v])
    np.testing.assert_allclose(answers["fraud"].probability_NC[:, 1], share)
    np.testing.assert_allclose(answers["cost"].value_N, np.mean(mixed.table.column("cost").to_numpy()))


def test_conformal_radius_is_the_right_order_statistic():
    residuals = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))  # 1 … 19
    assert conformal_radius(residuals, 0.9).radius == 18  # ceil(20 * 0.9)
    assert conformal_radius(residuals, 0.95).radius == 19
    assert conformal_radius(np.arange(1.0, 10.0), 0.9).radius == 9  # ceil(10 * 0.9), not spoilt by rounding
    too_few = conformal_radius(np.arange(8.0), 0.9)
    assert too_few.radius is None
    assert too_few.reason == "8 calibration rows cannot promise 90%: it takes 9"
    assert conformal_radius(np.zeros(0), 0.5).radius is None


def test_conformal_intervals_cover_what_they_promise():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        radius = conformal_radius(np.abs(rng.normal(size=30)), 0.8).radius
        covered.append(np.mean(np.abs(rng.normal(size=100)) <= radius))
    # Between 0.8 and 0.8 + 1/31 on average; the mean of 400 draws is known to 0.004.
    assert 0.79 < np.mean(covered) < 0.85


def test_conformal_passes_on_what_it_has_no_radius_for(mixed):
    inner = ConstantPredictor(mixed.signature)
    tree = ConformalPredictor(mixed.signature, inner, {"cost": Radius(2.0, 0.9, 50), "fraud": Radius(1.0, 0.9, 9)})
    answers = tree.predict(mixed.table.head(2))
    assert isinstance(answers["cost"], NumberPrediction)
    np.testing.assert_allclose(answers["cost"].high_N - answers["cost"].low_N, 4.0)
    assert same({"fraud": answers["fraud"]}, {"fraud": inner.predict(mixed.table.head(2))["fraud"]})


def test_tensors_of_the_state_are_copies(mixed):
    predictor = mixed.predictor(MLP)
    state = predictor.state()
    with torch.no_grad():
        for tensor in state.tensors.values():
            tensor.zero_()
    assert any(p.any() for p in predictor.network.parameters())


def test_batches_and_noise_follow_the_network_to_its_device(mixed, monkeypatch):
    predictor = mixed.predictor(MLP)
    before, copy, seen = predictor.predict(mixed.table), deepcopy(predictor.network), set()

    def elsewhere(network):
        def run(batch, how, noise):
            tensors = [
                batch.rows,
                *batch.inputs["table"].values(),
                *(t for some in noise.values() for t in some.values()),
            ]
            seen.update(str(t.device) for t in tensors)
            here = feeds.pop(0)
            with torch.inference_mode():
                return copy.eval().answer(here, how, {})

        return run

    # "meta" is a device that every build of torch has; nothing can be computed there, so a copy here answers.
    feeds = list(predictor.feed(mixed.table).batches(4096 // copy.form.members))
    monkeypatch.setitem(RUNTIMES, "eager", elsewhere)
    predictor.network.to("meta")
    assert same(before, predictor.predict(mixed.table))
    assert seen == {"meta"}


def test_one_wild_member_does_not_decide_a_blend():
    calm, wild = NumberPrediction(np.array([1.0, 2.0]), reach=(-5.0, 9.0)), NumberPrediction(np.array([3.0, -1e6]))
    wild = replace(wild, reach=(-5.0, 9.0))
    np.testing.assert_allclose(calm.mix([wild], [0.5, 0.5]).value_N, [2.0, -1.5])
    assert wild.mix([], [1.0]).value_N[1] == -1e6  # alone, a line goes on


def test_how_far_a_blend_goes_is_told_by_the_labels(make_problem):
    x = np.arange(400.0)
    answer = make_problem({"x": x, "y": x}, {"x": "number"}, {"y": "number"}).solved().predict(Table.of({"x": [1e6]}))
    low, high = answer["y"].reach
    assert -470 < low < -380 and 780 < high < 870  # 4 standard deviations of a uniform are 1.15 ranges


def test_a_large_table_is_answered_in_slices(mixed, monkeypatch):
    from trueweight.model.predictors import portions

    predictor = mixed.predictor(MLP)
    whole = predictor.predict(mixed.table)
    monkeypatch.setattr(portions, "SLICE_CELLS", 1)
    long = Table(pa.concat_tables([mixed.table.data] * 8))
    sliced = predictor.predict(long)
    count = len(mixed.table)
    assert len(long) > 1024
    for name, answer in sliced.items():
        np.testing.assert_allclose(answer.scores()[:count], whole[name].scores(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(answer.scores()[-count:], whole[name].scores(), rtol=1e-5, atol=1e-6)
