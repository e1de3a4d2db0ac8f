"""Weights shuffled layer by layer: explanations of what they answer change, those of anything else are caught."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trueweight.data.frames import from_frame
from trueweight.explain.asked import Asked, outputs_of
from trueweight.explain.cascade import layers_of, randomised, sees_weights
from trueweight.explain.shapley import shapley
from trueweight.explain.usual import canonical
from trueweight.model.protocols import Predictor, State


@pytest.fixture(scope="module")
def asked(trained: Any) -> Asked:
    bundle, rows = trained
    table, some = canonical(from_frame(rows), bundle.signature), np.arange(12)
    outputs = outputs_of(bundle.predictor.predict(table.take(some))["won"])
    assert not isinstance(outputs, str)
    return Asked(bundle.predictor, "won", table, some, np.ones(12, bool), outputs, np.arange(40, 56), 0)


def network_of(state: State) -> State:
    """The deepest."""
    found = [state, *(network_of(member) for member in state.members)]
    return max(found, key=lambda one: len(layers_of(one)))


def test_what_shapley_says_changes_with_the_weights(asked: Asked) -> None:
    asked = replace(asked, rows=asked.rows[:6], outputs=asked.outputs[:6])

    def values(predictor: Predictor | None = None) -> list[np.ndarray]:
        return [one.value_P for one in shapley(asked, pairs=4, predictor=predictor)]

    found = sees_weights(values(), values, asked)
    assert found.status == "passed" and found.value is not None and found.value < 0.5
    layers = [stage.layers for stage in found.stages]
    assert layers == sorted(set(layers)) and layers[-1] == found.stages[-1].of == len(
        layers_of(network_of(asked.predictor.state()))
    )
    assert all(-1 <= stage.likeness <= 1 and -1 <= stage.answers <= 1 for stage in found.stages)


def test_what_does_not_look_at_weights_is_caught(asked: Asked) -> None:
    fixed = [np.arange(40.0), np.arange(40.0)]
    rng = np.random.default_rng(0)
    found = sees_weights(fixed, lambda _: fixed, asked)
    assert found.status == "failed" and found.value == pytest.approx(1.0)
    assert found.stages and all(stage.likeness == pytest.approx(1.0) for stage in found.stages)
    other = sees_weights(fixed, lambda _: list(rng.normal(size=(2, 40))), asked)
    assert other.status == "passed"


def test_what_looks_at_the_lowest_layer_alone_is_caught(asked: Asked) -> None:
    """Sizes of the first weights, which are others once all layers are shuffled: only the steps before tell."""

    def lowest(predictor: Predictor) -> list[np.ndarray]:
        tensors = network_of(predictor.state()).tensors
        name = next(n for n, t in tensors.items() if t.is_floating_point() and t.numel() >= 16)
        return [tensors[name].flatten().numpy().astype(float)] * len(asked.rows)

    caught = [sees_weights(lowest(asked.predictor), lowest, replace(asked, seed=seed)) for seed in range(5)]
    assert all(abs(found.stages[-1].likeness) < 0.5 for found in caught)  # so that the old check would have passed them
    assert sum(found.status == "failed" for found in caught) >= 4
    told = next(found for found in caught if found.status == "failed")
    assert "upper" in told.reason and told.value == pytest.approx(1.0)


def test_one_curve_says_nothing(asked: Asked) -> None:
    """It goes up or down, and so do half of all others."""
    curve = [np.arange(12.0)]
    assert sees_weights(curve, lambda _: curve, asked, curves=1).status == "not_applicable"
    assert sees_weights(curve, lambda _: curve, asked, curves=4).status == "failed"


def test_shuffled_weights_are_the_same_numbers_in_other_places(asked: Asked) -> None:
    before, after = (network_of(p.state()) for p in (asked.predictor, randomised(asked.predictor, 3)))
    moved = 0
    for name, tensor in before.tensors.items():
        assert np.array_equal(np.sort(tensor.flatten().numpy()), np.sort(after.tensors[name].flatten().numpy()))
        moved += not np.array_equal(tensor.numpy(), after.tensors[name].numpy())
    assert moved > len(layers_of(before))
    ours, other, again = (
        p.predict(asked.table)["won"].scores()
        for p in (asked.predictor, randomised(asked.predictor, 3), randomised(asked.predictor, 3))
    )
    assert np.abs(ours - other).max() > 0.05 and np.array_equal(other, again)


def test_layers_are_shuffled_from_the_answer_downwards(asked: Asked) -> None:
    before = network_of(asked.predictor.state())
    layers = layers_of(before)
    assert len(layers) >= 3 and layers[-1] == "heads"
    for count in range(1, len(layers) + 1):
        after = network_of(randomised(asked.predictor, 1, share=count / len(layers)).state())
        moved = {layer for layer in layers for n, t in before.tensors.items()
                 if n.startswith(f"{layer}.") and not t.equal(after.tensors[n])}  # fmt: skip
        assert moved <= set(layers[-count:]) and layers[-1] in moved


def test_what_has_no_weights_says_so(formula: Any, ask: Any) -> None:
    found = sees_weights([np.arange(5.0)], lambda _: [], ask(formula(("a", "b"), lambda a, b: a + b)))
    assert found.status == "not_applicable" and found.reason == "there are no weights" and not found.stages
