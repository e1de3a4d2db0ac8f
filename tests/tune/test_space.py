"""What is searched: what the recipe decides and what the spec names, and how values get to their places."""

import json
from typing import Any

import numpy as np
import pytest

from trueweight.data.read import read_table
from trueweight.errors import SpecError
from trueweight.spec.document import read_yaml
from trueweight.spec.load import parse_spec
from trueweight.spec.run import RunSpec
from trueweight.spec.tune import RangeSpec
from trueweight.train.prepare import prepare
from trueweight.tune.asked import space_of
from trueweight.tune.places import put
from trueweight.tune.space import KEEP, Choice, Space
from trueweight.tune.trial import Trial
from trueweight.tune.written import tuned_spec


def table() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=80), "z": rng.normal(size=80), "kind": rng.choice(["a", "b"], 80),
        "note": [f"so many words about {i % 7} and {i % 5}" for i in range(80)], "won": rng.choice(["yes", "no"], 80),
    }  # fmt: skip


def pair(**sections: Any) -> tuple[RunSpec, RunSpec]:
    """A spec as asked for and resolved on a small table."""
    raw: dict[str, Any] = {
        "targets": {"won": "binary"}, "features": {"x": "number", "z": "number", "kind": "category"},
        "other_features": "ignore", **sections,
    }  # fmt: skip
    asked = parse_spec(raw)
    return asked, prepare(read_table(table(), asked.data), asked).spec


def space(**sections: Any) -> Space:
    return space_of(*pair(**sections), 32)


def names(found: Space) -> set[str]:
    return {choice.name for choice in found.choices}


def choice(found: Space, key: str) -> Choice:
    return next(one for one in found.choices if one.key == key)


def test_what_the_recipe_decides_is_searched_over_what_parts_suggest() -> None:
    found = space()
    assert names(found) == {
        *(f"model.members.mlp.encoder.{field}" for field in (
            "hidden_sizes", "dropout", "numerical_embedding", "embedding_size", "members")),
        "features.*.transform", "features.*.impute", "features.*.min_frequency", "train.batch_size",
        *(f"train.optimizer.{field}" for field in (
            "type", "learning_rate", "betas", "weight_decay", "other_learning_rate")),
    }  # fmt: skip
    assert choice(found, "train.optimizer.learning_rate (adamw)").default == 0.003
    assert choice(found, "train.optimizer.learning_rate (adamw)").values == (5e-4, 1e-3, 2e-3, 3e-3, 4e-3, 8e-3)
    assert choice(found, "model.members.mlp.encoder.hidden_sizes").default == [256, 256]
    assert len(choice(found, "features.*.transform").places) == 2


def test_every_default_of_the_space_gives_the_resolved_spec_itself() -> None:
    texts, muon, best = {"features": {"note": "text"}}, {"train": {"optimizer": "muon"}}, {"model": {"preset": "best"}}
    for sections in ({}, texts, muon, best):
        asked, resolved = pair(**sections)
        found = space_of(asked, resolved, 32)
        assert found.spec(found.defaults()) == RunSpec.model_validate(found.raw)
        assert found.changed(found.defaults()) == {}


def test_every_suggested_value_can_stand_in_its_place() -> None:
    found = space(features={"x": "number", "kind": "category", "note": "text"})
    for one in found.choices:
        assert not isinstance(one.values, RangeSpec)
        for value in one.values:
            kind = {} if one.when is None else {"train.optimizer.type": one.when}
            spec = found.spec({**kind, one.key: value})
            if value != one.default:
                assert spec != found.spec(kind)


@pytest.mark.parametrize(
    ("sections", "gone", "left"),
    [
        ({"train": {"batch_size": 16}}, "train.batch_size", "train.optimizer.type"),
        ({"train": {"optimizer": "adamw"}}, "train.optimizer.type", "train.optimizer.learning_rate"),
        (
            {"train": {"optimizer": {"type": "adamw", "learning_rate": 0.1}}},
            "train.optimizer.learning_rate", "train.optimizer.weight_decay",
        ),
        (
            {"model": {"encoder": {"type": "mlp", "dropout": 0.5}}},
            "model.members.mlp.encoder.dropout", "model.members.mlp.encoder.members",
        ),
        (
            {"features": {"x": {"type": "number", "transform": "none"}}},
            "features.*.transform", "features.*.impute",
        ),
    ],
)  # fmt: skip
def test_what_was_asked_for_is_kept(sections: dict[str, Any], gone: str, left: str) -> None:
    found = names(space(**sections))
    assert gone not in found
    assert left in found


def test_a_solved_model_has_no_training_to_search() -> None:
    found = space(model={"preset": "fast"})
    assert names(found) == {"features.*.transform", "features.*.impute", "features.*.min_frequency"}


def test_nothing_to_search_is_told() -> None:
    with pytest.raises(SpecError, match="nothing to search"):
        space(tune={"other_fields": "keep"})
    with pytest.raises(SpecError, match="nothing to search"):
        space(tune={"other_fields": "keep", "search_space": {"train.batch_size": [32]}})


def test_the_spec_narrows_and_widens() -> None:
    found = space(
        train={"batch_size": 16},
        tune={"search_space": {
            "train.batch_size": [16, 64], "train.optimizer.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
            "features.x.transform": ["log1p", "none"], "targets.won.loss": ["cross_entropy", "focal"],
            "model.members.mlp.encoder.dropout": [0.4],
        }},
    )  # fmt: skip
    assert choice(found, "train.batch_size").values == (16, 64)
    assert choice(found, "train.batch_size").default == 16
    rate = choice(found, "train.optimizer.learning_rate")
    assert rate.values == RangeSpec(low=1e-4, high=1e-2, log=True)
    assert rate.when is None
    assert "train.optimizer.type" not in names(found)  # its option is meant for the one at hand
    assert choice(found, "features.*.transform").places == (("features", "z", "transform"),)
    assert choice(found, "model.members.mlp.encoder.dropout").default == 0.4
    alone = space(tune={"search_space": {"train.batch_size": [16, 64]}, "other_fields": "keep"})
    assert names(alone) == {"train.batch_size"}


def test_other_optimisers_bring_their_own_options() -> None:
    found = space(tune={"search_space": {"train.optimizer.type": ["adamw", "sgd"]}})
    kinds = {one.when for one in found.choices if one.when}
    assert kinds == {"adamw", "sgd"}
    spec = found.spec({"train.optimizer.type": "sgd", "train.optimizer.momentum (sgd)": 0.8})
    assert spec.train.optimizer is not None
    assert spec.train.optimizer.type == "sgd"
    assert spec.train.optimizer.model_dump()["momentum"] == 0.8


def test_all_mistakes_are_told_at_once_with_their_places_and_near_names() -> None:
    text = (
        "targets: {won: binary}\nfeatures: {x: number}\nother_features: ignore\ntune:\n  search_space:\n"
        "    train.optimizer.learning_rat: [0.1]\n    model.members.mpl.encoder.dropout: [0.1]\n"
        "    split.test: [0.1, 0.2]\n    train.budget.time: [60]\n    model.members.mlp.encoder.dropout: [0.1, 2.5]\n"
        "    targets.won.loss_weight: [1, 2]\n    features.*.transfrom: [none]\n    nonsense: [1]\n"
    )
    document = read_yaml(text, "claims.yaml")
    asked, resolved = pair(features={"x": "number"})
    asked = parse_spec(document.raw, positions=document)
    with pytest.raises(SpecError) as caught:
        space_of(asked, resolved, 32, document)
    told = str(caught.value)
    assert told.startswith("8 mistakes in claims.yaml")
    for line in (
        "claims.yaml:6:5: tune.search_space: train.optimizer.learning_rat: no such option; did you mean",
        "did you mean 'train.optimizer.learning_rate'?",
        "claims.yaml:7:5: tune.search_space: model.members.mpl.encoder.dropout: no such option; did you mean",
        "did you mean 'model.members.mlp.encoder.dropout'?",
        "split.test cannot be searched: only options of model, train, features, targets",
        "train.budget.time cannot be searched: it decides how long each trial may take",
        "model.members.mlp.encoder.dropout: must be less than 1, got 2.5",
        "targets.won.loss_weight cannot be searched: it decides what the scores say",
        "did you mean 'features.*.transform'?",
        "nonsense cannot be searched",
    ):
        assert line in told


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"train.batch_size": []}, "at least 1 long"),
        ({"train.batch_size": {"low": 3, "high": 3}}, "high 3 is not more than low 3"),
        ({"train.batch_size": {"low": 0, "high": 3, "log": True}}, "low must be more than 0, not 0"),
        ({"train.batch_size": {"low": 1, "hihg": 3}}, "hihg"),
    ],
)
def test_wrong_forms_are_told_by_the_spec(space: Any, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        parse_spec({"targets": {"won": "binary"}, "tune": {"search_space": space}})


def test_columns_that_differ_may_stay_as_they_are() -> None:
    asked, resolved = pair()
    raw = put(resolved.model_dump(mode="json", by_alias=True), ("features", "x", "transform"), "log1p")
    differing = RunSpec.model_validate(raw)
    found = space_of(asked, differing, 32)
    kept = choice(found, "features.*.transform")
    assert kept.default == KEEP
    assert found.spec(found.defaults()) == differing
    assert found.changed({"features.*.transform": "log1p"}) == {"features.*.transform": "log1p"}


def test_a_tuned_spec_resolves_to_what_the_trial_was() -> None:
    asked, resolved = pair(
        features={"x": "number", "z": {"type": "number", "impute": "zero"}, "kind": "category"},
        tune={"search_space": {"train.max_grad_norm": [0.5, 1.0], "targets.won.label_smoothing": [0.0, 0.05]}},
    )
    found = space_of(asked, resolved, 32)
    values = found.defaults() | {
        "train.optimizer.type": "muon", "train.optimizer.learning_rate (muon)": 0.01, "train.batch_size": 64,
        "model.members.mlp.encoder.hidden_sizes": [128], "features.*.transform": "signed_log1p",
        "train.max_grad_norm": 0.5, "targets.won.label_smoothing": 0.05,
    }  # fmt: skip
    trial = Trial(number=1, state="complete", values=values, changed=found.changed(values), score=1.0, rounds=(1.0,),
                  parts=(), seconds=1.0)  # fmt: skip
    tuned = tuned_spec(asked, found, trial)
    again = parse_spec(json.loads(tuned.model_dump_json(by_alias=True, exclude_unset=True)))
    assert again == tuned
    reached = prepare(read_table(table(), tuned.data), tuned).spec
    tried = found.spec(values)
    for section in ("model", "train", "targets", "features"):
        assert getattr(reached, section) == getattr(tried, section), section
