"""Defaults are chosen on one list of data sets and judged on another; the two never meet."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LISTS = runpy.run_path(str(ROOT / "benchmarks" / "lists.py"))


def test_no_set_is_on_both_lists() -> None:
    assert not set(LISTS["CALIBRATION"]) & set(LISTS["BENCHMARK"])


@pytest.mark.parametrize("name", LISTS["BENCHMARK"])
def test_no_recipe_names_a_set_that_judges_it(name: str) -> None:
    for file in (ROOT / "src" / "trueweight" / "recipes").glob("*.py"):
        assert name not in file.read_text(encoding="utf-8"), file.name
