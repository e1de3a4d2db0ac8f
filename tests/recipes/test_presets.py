"""Each preset of each family: it resolves, it trains, and more is allowed than in the one before."""

from typing import Any

import pytest

from trueweight.recipes.facts import Facts
from trueweight.recipes.recipe import Effort, SenseRecipe
from trueweight.recipes.resolve import resolve
from trueweight.recipes.senses import SENSES, preset_for, with_defaults
from trueweight.recipes.tables import PRESETS
from trueweight.registry import registry
from trueweight.spec.run import RunSpec

FAMILIES = {"number": "number", **{kind: kind for kind in SENSES}}


def resolved(kind: str, preset: str) -> RunSpec:
    raw = {"name": "r", "data": {"source": "a.csv"}, "targets": {"y": "category"}, "model": {"preset": preset}}
    return resolve(RunSpec.model_validate(raw), Facts(20_000, {"a": kind}, {"y": "category"}))


@pytest.mark.parametrize("kind", FAMILIES)
def test_best_may_take_more_than_standard_and_fast_less(kind: str):
    fast, standard, best = (resolved(kind, preset) for preset in ("fast", "standard", "best"))
    times = [spec.train.budget.time for spec in (fast, standard, best)]
    assert None not in times
    assert times[0] < times[1] < times[2]  # type: ignore[operator]
    passes = [spec.train.budget.epochs for spec in (fast, standard, best)]
    assert passes[0] <= passes[1] <= passes[2]  # type: ignore[operator]
    names = [{member.name for member in spec.model.members or []} for spec in (fast, standard, best)]
    assert names[0] <= names[1] | {"rocket"}
    assert names[1] <= names[2]


@pytest.mark.parametrize("kind", SENSES)
@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_preset_names_is_there_and_valid(kind: str, preset: str):
    part: Any = with_defaults(registry("column")[kind].model_validate({"type": kind}), preset)  # type: ignore[attr-defined]
    assert part.encoder is not None
    chosen = preset_for(preset, [kind])
    optimizer: Any = registry("optimizer")[chosen.optimizer["type"]]
    assert optimizer.model_validate(chosen.optimizer).learning_rate > 0
    assert set(SENSES[kind].efforts) <= set(PRESETS)


def test_pictures_have_their_network_in_fast():
    assert [member.name for member in resolved("image", "fast").model.members or []] == ["mlp"]
    assert [member.name for member in resolved("number", "fast").model.members or []] == ["linear"]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("kind", "target", "model"),
    [("text", "text", {}), ("audio", "text", {}), ("number", "number", {"encoder": "mlp"}), ("image", "category", {})],
)
def test_a_network_has_passes_to_learn_in(kind: str, target: str, model: dict[str, Any], preset: str):
    raw = {"name": "r", "data": {"source": "a.csv"}, "targets": {"y": target}, "model": {"preset": preset, **model}}
    found = resolve(RunSpec.model_validate(raw), Facts(600, {"a": kind}, {"y": target}))
    assert any(member.fitter.type == "gradient" for member in found.model.members or [])
    assert (found.train.budget.epochs or 0) >= 8


def test_several_senses_take_the_most_and_agree_or_leave_it(monkeypatch: pytest.MonkeyPatch):
    sgd = {"type": "sgd", "learning_rate": 0.1}
    long, short = Effort(seconds=90, epochs=7, optimizer=sgd), Effort(seconds=40, members=["mlp"])
    one, two = (SenseRecipe([{"type": "cnn"}], efforts={"fast": effort}) for effort in (long, short))
    monkeypatch.setattr("trueweight.recipes.senses.SENSES", {"image": one, "audio": two})
    both, alone, none = (preset_for("fast", kinds) for kinds in (["audio", "image"], ["image", "number"], ["number"]))
    assert (both.seconds, both.epochs, both.members) == (90, 7, ("linear", "mlp"))
    assert both.optimizer == PRESETS["fast"].optimizer  # they do not agree
    assert alone.optimizer == sgd
    assert none == PRESETS["fast"]
