"""Laws of what follows the batch size, and who it applies to."""

import math
from typing import Any

import pytest

from trueweight.recipes.facts import Facts
from trueweight.recipes.resolve import resolve
from trueweight.recipes.scaling import batch_size_for, rate_factor, scaled
from trueweight.registry import registry
from trueweight.spec.run import RunSpec

OPTIONS = {"type": "adamw", "learning_rate": 3e-3, "betas": (0.9, 0.99), "weight_decay": 0.01, "eps": 1e-8}
RATIOS = [1 / 8, 0.5, 2.0, 7.0]


def half_life(share: float) -> float:
    """Steps until half is forgotten."""
    return math.log(0.5) / math.log(share)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_at_the_reference_nothing_changes(kind: str):
    assert scaled(OPTIONS | {"type": kind}, 1.0) == OPTIONS | {"type": kind}


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("kind", ["adamw", "nadamw", "muon", "sgd"])
def test_two_steps_are_one_and_back_again_is_where_it_was(kind: str, ratio: float):
    start = OPTIONS | {"type": kind, "other_learning_rate": 2e-3}
    twice, once = scaled(scaled(start, ratio), 3.0), scaled(start, 3.0 * ratio)
    back = scaled(scaled(start, ratio), 1 / ratio)
    for name in ("learning_rate", "other_learning_rate", "betas", "weight_decay"):
        assert twice[name] == pytest.approx(once[name])
        assert back[name] == pytest.approx(start[name])


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_mean_square_forgets_after_the_same_rows(ratio: float):
    new = scaled(OPTIONS, ratio)
    assert half_life(new["betas"][1]) * ratio == pytest.approx(half_life(OPTIONS["betas"][1]))
    assert new["betas"][0] == OPTIONS["betas"][0]


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_weights_are_forgotten_after_the_same_passes(kind: str, ratio: float):
    """What is left of a weight after one pass over N rows is (1 - rate * decay)**(N / batch)."""
    new = scaled(OPTIONS | {"type": kind}, ratio)
    left = (1 - new["learning_rate"] * new["weight_decay"]) ** (10_000 / (256 * ratio))
    before = (1 - OPTIONS["learning_rate"] * OPTIONS["weight_decay"]) ** (10_000 / 256)
    assert left == pytest.approx(before, rel=1e-4)


def test_rates_by_hand():
    assert rate_factor("adamw", 4.0) == 2.0  # Malladi et al.: the root
    assert rate_factor("sgd", 4.0) == 4.0  # Goyal et al.: in proportion
    assert scaled({"type": "muon", "learning_rate": 0.02}, 4.0) == {"type": "muon", "learning_rate": 0.04}


def test_who_moves_the_others_says_how_their_rates_follow():
    options = {
        "type": "muon", "others": "sgd", "learning_rate": 0.1, "weight_decay": 0.01, "other_learning_rate": 0.02,
        "other_weight_decay": 0.2, "bias_learning_rate": 100.0, "bias_weight_decay": 1e-5,
    }  # fmt: skip
    new = scaled(options, 4.0)
    assert new == {
        "type": "muon", "others": "sgd", "learning_rate": 0.2, "weight_decay": 0.02, "other_learning_rate": 0.08,
        "other_weight_decay": 0.2, "bias_learning_rate": 400.0, "bias_weight_decay": 1e-5,
    }  # fmt: skip
    assert scaled(options | {"others": "adamw"}, 4.0)["bias_learning_rate"] == 200.0


def test_an_auto_that_follows_another_option_stays():
    four = resolved({"batch_size": 4 * USUAL, "optimizer": {"type": "muon", "others": "sgd"}})
    assert four["learning_rate"] == pytest.approx(0.04)
    assert four["other_learning_rate"] == pytest.approx(4 * 0.05)
    assert four["bias_learning_rate"] == four["other_weight_decay"] == "auto"


def resolved(train: dict[str, Any], rows: int = 20_000) -> dict[str, Any]:
    raw = {"name": "r", "data": {"source": "a.csv"}, "targets": {"y": "number"}, "train": train}
    spec = RunSpec.model_validate(raw)
    asked = resolve(spec, Facts(rows, {"a": "number"}, {"y": "number"}))
    again = resolve(RunSpec.model_validate(asked.model_dump(mode="json", by_alias=True)), Facts(rows, {"a": "number"},
                    {"y": "number"}))  # fmt: skip
    assert again.train == asked.train  # a resolved spec stays as it is
    assert asked.train.optimizer is not None
    return asked.train.optimizer.model_dump()


PLAIN = resolved({})
USUAL = batch_size_for(12_000)


def test_defaults_stay_at_the_usual_batch_size():
    assert resolved({"batch_size": USUAL}) == PLAIN


def test_the_recipes_optimiser_follows_a_batch_size_that_is_asked_for():
    four = resolved({"batch_size": 4 * USUAL})
    assert four["learning_rate"] == pytest.approx(2 * PLAIN["learning_rate"])
    assert four["betas"][1] == pytest.approx(0.999**4, abs=1e-6)
    assert four["weight_decay"] == pytest.approx(2 * PLAIN["weight_decay"])
    assert {k: v for k, v in four.items() if k not in ("learning_rate", "betas", "weight_decay")} == {
        k: v for k, v in PLAIN.items() if k not in ("learning_rate", "betas", "weight_decay")
    }


@pytest.mark.parametrize("kind", list(registry("optimizer")))
def test_a_rate_left_to_us_follows_and_what_is_named_stays(kind: str):
    auto = dict(registry("optimizer")[kind].auto)  # type: ignore[attr-defined]
    ours = resolved({"batch_size": USUAL // 4, "optimizer": {"type": kind, "weight_decay": 0.3}})
    assert ours["learning_rate"] == pytest.approx(auto["learning_rate"] * rate_factor(kind, 0.25))
    assert ours["weight_decay"] == 0.3
    named = {"type": kind, "learning_rate": 0.07}
    assert resolved({"batch_size": USUAL // 4, "optimizer": named})["learning_rate"] == 0.07
    default = resolved({"optimizer": kind})
    assert resolved({"batch_size": USUAL // 4, "optimizer": named}) == default | named


def test_a_batch_of_the_whole_table_is_no_larger_than_it():
    assert resolved({"batch_size": 4096}, rows=200) == resolved({"batch_size": 128}, rows=200)
