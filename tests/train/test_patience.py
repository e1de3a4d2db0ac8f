from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trueweight.data.cells import ReadOptions
from trueweight.data.roles import Role
from trueweight.data.table import Table
from trueweight.recipes.writing import SELDOM
from trueweight.registry import registry
from trueweight.spec.run import RunSpec
from trueweight.train.patience import letters_of, much_time, seldom_seen, with_patience
from trueweight.train.prepare import prepare


def png(side: int, number: int = 0) -> bytes:
    out = BytesIO()
    color = np.frombuffer(number.to_bytes(3, "big"), np.uint8)
    Image.fromarray(np.tile(color, (side, side, 1))).save(out, "PNG")
    return out.getvalue()


def role(name: str = "photo", kind: str = "feature", **options: Any) -> Role:
    return Role(name, kind, registry("column")["image"].model_validate({"type": "image", **options}), "asked for")


def table(side: int, rows: int = 20_000) -> Table:
    return Table.of({"photo": [png(side)] * rows})


@pytest.mark.parametrize(("side", "much"), [(32, True), (64, False), (16, True)])
def test_time_is_counted_by_pixel(side, much):
    assert much_time(role(), table(side), ReadOptions(), 100) == much


def test_a_size_that_is_asked_for_counts():
    large = table(64)
    assert much_time(role(size=32), large, ReadOptions(), 150)
    assert not much_time(role(size=[64, 32]), large, ReadOptions(), 150)


def test_few_pictures_no_clock_and_other_columns_have_none():
    assert not much_time(role(), table(32, rows=100), ReadOptions(), 100)
    assert not much_time(role(), table(32), ReadOptions(), 0)
    assert not much_time(role(kind="ignored"), table(32), ReadOptions(), 100)
    assert not much_time(role("elsewhere"), table(32), ReadOptions(), 100)


def test_pictures_that_nobody_can_read_are_left_to_those_who_tell():
    assert not much_time(role(), Table.of({"photo": [b"no picture"] * 20_000}), ReadOptions(), 100)


def text(name: str, kind: str) -> Role:
    part = registry("column" if kind == "feature" else "head")["text"]
    return Role(name, kind, part.model_validate({"type": "text"}), "asked for")


def texts(letters: int) -> Table:
    return Table.of({"asked": ["a" * letters] * 80, "said": ["b" * 10] * 80, "kind": ["c" * 500] * 80})


PAIR = [text("asked", "feature"), text("said", "target")]


@pytest.mark.parametrize(("letters", "seldom"), [(70, False), (90, True)])
def test_texts_are_seen_seldom_by_their_letters_each_second(letters: int, seldom: bool):
    assert seldom_seen(PAIR, letters_of(PAIR, texts(letters)), SELDOM / 90) == seldom


def test_only_texts_of_texts_are_seen_seldom():
    kind = Role("kind", "feature", registry("column")["category"].model_validate({"type": "category"}), "asked for")

    def seldom(roles: list[Role], hurry: float = SELDOM) -> bool:
        return seldom_seen(roles, letters_of(roles, texts(500)), hurry)

    assert not seldom(PAIR, 0)
    assert not seldom(PAIR[1:])
    assert not seldom([*PAIR, kind])
    assert seldom([*PAIR, replace(kind, role="ignored")])
    assert letters_of([*PAIR, kind], texts(500)) == {"asked": 500.0, "said": 10.0}


@pytest.mark.parametrize(("seconds", "dropped"), [(0.1, 0.0), (60.0, 0.1)])
def test_texts_that_are_seen_seldom_are_learnt_without_dropping(seconds: float, dropped: float):
    spec = RunSpec.model_validate({
        "data": {"source": "x.csv"}, "features": {"asked": "text"}, "targets": {"said": {"type": "text"}},
        "other_features": "ignore", "train": {"budget": {"time": seconds}}, "split": {"method": "random"},
    })  # fmt: skip
    rows = Table.of({"asked": [f"{'word ' * 30}{n}" for n in range(80)], "said": [f"word {n}" for n in range(80)]})
    resolved = prepare(rows, spec).spec
    parts = resolved.features["asked"].model_dump()["encoder"], resolved.targets["said"].model_dump()["decoder"]
    assert [part["dropout"] for part in parts] == [dropped, dropped]


@pytest.mark.parametrize(("words", "beams"), [(2, 1), (12, 4)])
def test_sentences_are_followed_by_beams(words: int, beams: int):
    spec = RunSpec.model_validate({
        "data": {"source": "x.csv"}, "features": {"asked": "text"}, "targets": {"said": {"type": "text"}},
        "train": {"budget": {"steps": 3}}, "split": {"method": "random"},
    })  # fmt: skip
    rows = Table.of({"asked": [f"a {n}" for n in range(80)], "said": [f"{'words ' * words}{n}" for n in range(80)]})
    assert prepare(rows, spec).spec.targets["said"].model_dump()["beams"] == beams


def asked(**changes: Any) -> RunSpec:
    told = {"data": {"source": "x.parquet"}, "targets": {"y": {"type": "category"}}, "train": {"budget": {"time": 600}}}
    return RunSpec.model_validate(told | changes)


def test_a_patient_run_has_a_recipe_of_its_own():
    spec, (column, target) = with_patience(asked(), [role(), role("y", "target")], ["photo"])
    train: Any = spec.train
    assert (train.batch_size, train.optimizer.others, train.optimizer.normalized) == (500, "sgd", True)
    assert (train.lr_schedule.warmup, train.lr_schedule.decay, train.budget.time) == (0, 1, 600)
    part: Any = column.part
    assert (part.encoder.initializer, [one.type for one in part.augment]) == ("dirac", ["shift", "horizontal_flip"])
    assert spec.targets["y"].model_dump()["label_smoothing"] == 0.2
    assert target == role("y", "target")


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"batch_size": 64}},
        {"train": {"optimizer": {"type": "adamw"}}},
        {"train": {"lr_schedule": {"decay": 0.2}}},
        {"model": {"encoder": {"type": "mlp"}}},
        {"targets": {"y": {"type": "category", "label_smoothing": 0.0}}},
        {"targets": {"y": {"type": "category"}, "z": {"type": "number"}}},
        {"targets": {"y": {"type": "binary"}}},
    ],
    ids=str,
)
def test_who_asks_for_a_part_of_it_otherwise_gets_none_of_it(changes):
    spec, roles = asked(**changes), [role()]
    assert with_patience(spec, roles, ["photo"]) == (spec, roles)


@pytest.mark.parametrize(
    ("roles", "patient"),
    [
        ([role()], []),
        ([role(), role("other")], ["photo"]),
        ([role(encoder="cnn")], ["photo"]),
        ([role(augment=[])], ["photo"]),
    ],
)
def test_other_columns_do_too(roles, patient):
    assert with_patience(asked(), roles, patient) == (asked(), roles)


def test_many_small_pictures_and_much_time_get_it_on_their_way():
    many = Table.of({"photo": [png(4, n) for n in range(20_000)], "y": ["a", "b", "c", "d"] * 5_000})
    assert prepare(many, asked()).spec.train.batch_size == 500
    assert prepare(many, asked(train={"budget": {"time": 1}})).spec.train.batch_size == "auto"
