from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trueweight.data.cells import ReadOptions
from trueweight.data.roles import Role
from trueweight.data.table import Table
from trueweight.registry import registry
from trueweight.train.patience import much_time


def png(side: int) -> bytes:
    out = BytesIO()
    Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(out, "PNG")
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
    assert much_time(role(size=32), large, ReadOptions(), 100)
    assert not much_time(role(size=[64, 32]), large, ReadOptions(), 100)


def test_few_pictures_no_clock_and_other_columns_have_none():
    assert not much_time(role(), table(32, rows=100), ReadOptions(), 100)
    assert not much_time(role(), table(32), ReadOptions(), 0)
    assert not much_time(role(kind="ignored"), table(32), ReadOptions(), 100)
    assert not much_time(role("elsewhere"), table(32), ReadOptions(), 100)


def test_pictures_that_nobody_can_read_are_left_to_those_who_tell():
    assert not much_time(role(), Table.of({"photo": [b"no picture"] * 20_000}), ReadOptions(), 100)
