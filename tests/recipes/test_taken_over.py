"""What was taken over learns on in small steps, unless the spec says otherwise."""

from typing import Any

import pytest

from trueweight.recipes.facts import Facts
from trueweight.recipes.resolve import resolve
from trueweight.spec.load import parse_spec
from trueweight.spec.run import RunSpec


def resolved(start: Any, width: int = 384, feature: Any = None, **train: Any) -> RunSpec:
    encoder = {"type": "transformer", "width": width, "heads": 4}
    feature = {"type": "text", "encoder": encoder} if feature is None else feature
    spec = {"features": {"x": feature}, "targets": {"y": "binary"}, "model": {"encoder": "mlp", "start_from": start}}
    kind = feature if isinstance(feature, str) else feature["type"]
    return resolve(parse_spec(spec | {"train": train}), Facts(500, {"x": kind}, {"y": "binary"}))


def optimizer(spec: RunSpec) -> dict[str, Any]:
    assert spec.train.optimizer is not None
    return spec.train.optimizer.model_dump()


@pytest.mark.parametrize(
    ("way", "width", "rate"),
    [("whole", 384, 1e-4), ("last_layers", 768, 5e-5), ("lora", 384, 1e-3), ("lora", 32, 3e-3), ("whole", 128, 3e-4)],
)
def test_rates_fall_with_the_width_and_are_never_above_the_usual(way: str, width: int, rate: float) -> None:
    found = optimizer(resolved({"source": "older", "train": way}, width))
    assert (found["type"], found["weight_decay"]) == ("adamw", 0.01)
    assert found["learning_rate"] == pytest.approx(rate)


def test_a_path_alone_means_that_all_learn() -> None:
    assert optimizer(resolved("older"))["learning_rate"] == pytest.approx(1e-4)


@pytest.mark.parametrize("start", [None, {"source": "older", "train": "frozen"}])
def test_what_is_new_learns_as_ever(start: Any) -> None:
    assert optimizer(resolved(start))["learning_rate"] == pytest.approx(3e-3)


def test_what_is_asked_for_stays() -> None:
    asked = {"type": "adamw", "learning_rate": 2e-3}
    assert optimizer(resolved("older", optimizer=asked))["learning_rate"] == 2e-3


def test_other_readers_are_not_meant() -> None:
    assert optimizer(resolved("older", feature="number"))["learning_rate"] == pytest.approx(3e-3)
