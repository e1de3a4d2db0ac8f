"""What the recipe does with columns of texts, pictures, sounds and series that say nothing of it."""

from typing import Any

import pytest
import torch

from trueweight.data.column import Sense
from trueweight.data.field import Layout
from trueweight.recipes.senses import SENSES, hurry, preset_for, with_defaults
from trueweight.registry import registry
from trueweight.spec.run import RunSpec


def part(kind: str, **options: Any) -> Any:
    return with_defaults(registry("column")[kind].model_validate({"type": kind, **options}))


def mirrored(channels: int, mirrors: bool = True) -> bool:
    """Whether what the recipe chose mirrors pictures of so many channels in any of twenty batches."""
    layout = Layout(
        {"pixel": channels},
        senses={"pixel": Sense(grid=(8, 8), mean=(0.5,) * channels, std=(0.2,) * channels, mirrors=mirrors)},
    )
    ramp = torch.arange(8, dtype=torch.uint8).view(1, 1, 8, 1).expand(6, 8, 8, channels) * 30
    modules = [one.build(layout) for one in part("image").augment]
    torch.manual_seed(0)
    for _ in range(20):
        x = {"pixel": ramp.clone()}
        for module in modules:
            x = module(x)
        if (x["pixel"][:, 4, 2] > x["pixel"][:, 4, 5]).any():  # shifts are of two pixels at most
            return True
    return False


def test_flips_are_off_where_they_are_wrong():
    """Digits, letters and scans are grey, and their mirror image is something else; photographs are in colour."""
    assert mirrored(3)
    assert not mirrored(1)
    assert not mirrored(3, mirrors=False)


@pytest.mark.parametrize("kind", SENSES)
def test_what_is_asked_for_stays(kind):
    assert part(kind).encoder is not None
    own = part(kind, encoder="linear", augment=[])
    assert own.encoder.type == "linear"
    assert own.augment == []


def spec(**budget: Any) -> RunSpec:
    return RunSpec.model_validate({"targets": {"y": "category"}, "train": {"budget": budget}})


def test_little_time_for_each_picture_makes_networks_smaller():
    column = registry("column")["image"].model_validate({"type": "image"})
    slow, quick = (with_defaults(column, "standard", hurry(spec(time=s), 40_000)).encoder for s in (60, 8))
    assert slow.model_dump() == part("image").encoder.model_dump()
    assert (quick.type, quick.stride) == ("cnn", 2)
    own = registry("column")["image"].model_validate({"type": "image", "encoder": "resnet"})
    assert with_defaults(own, "standard", hurry(spec(time=1), 40_000)).encoder.type == "resnet"


def test_hurry_is_rows_for_each_second_of_a_clock():
    assert hurry(spec(time=8), 40_000) == 5000
    assert hurry(spec(), 6000) == 100  # a minute, the preset's
    assert hurry(spec(steps=5), 6000) == hurry(spec(epochs=5), 6000) == 0
    assert hurry(spec(epochs=5, time=10), 6000) == 600


def test_other_columns_have_no_recipe_of_senses():
    number = registry("column")["number"].model_validate({"type": "number"})
    assert with_defaults(number) is number


@pytest.mark.parametrize(
    ("kind", "optimizer"), [("image", "muon"), ("audio", "muon"), ("timeseries", "muon"), ("text", "adamw")]
)
def test_filters_are_moved_by_muon(kind: str, optimizer: str):
    assert preset_for("standard", [kind]).optimizer["type"] == optimizer
    assert preset_for("standard", [kind, "number"]).optimizer["type"] == optimizer


@pytest.mark.parametrize(
    ("rows", "seconds", "side", "wide"),
    [
        (50_000, 300, 32, True), (50_000, 150, 32, False), (50_000, 500, 64, False), (50_000, 2_000, 64, True),
        (10_000, 500, 32, False), (50_000, None, 32, False),
    ],
)  # fmt: skip
def test_much_time_for_each_of_many_pictures_makes_networks_wider(rows, seconds, side, wide):
    """Few are learnt by heart, and where no clock ends the run nobody knows how much time there is."""
    column = registry("column")["image"].model_validate({"type": "image"})
    little_time = hurry(spec(time=seconds) if seconds else spec(epochs=3), rows)
    patient = SENSES["image"].patient_with(rows, little_time, side * side)
    encoder = with_defaults(column, "standard", little_time, patient=patient).encoder
    assert (encoder.channels == [64, 256, 256]) == wide


@pytest.mark.parametrize("kind", ["audio", "timeseries"])
def test_classes_are_learnt_at_higher_rates_than_numbers(kind: str):
    classes, numbers = (preset_for("standard", [kind], [told]).optimizer for told in ("category", "number"))
    assert classes["learning_rate"] > numbers["learning_rate"]
    assert preset_for("standard", ["audio", "timeseries"], ["number"]).optimizer == numbers  # they agree
