"""Defaults are chosen on one list of data sets and judged on another; the two never meet."""

import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LISTS = runpy.run_path(str(ROOT / "benchmarks" / "lists.py"))
JUDGING = ("race", "ranks", "tables", "senses")
"""Benchmarks that judge defaults on data sets."""


def names(text: str, name: str) -> bool:
    """Whether a text holds a name as a word of its own, however it is parted."""
    apart = "[-_ ]?".join(re.split("[-_ ]", name))
    return re.search(rf"(?<![a-z]){apart}(?![a-z])", text, re.IGNORECASE) is not None


def test_no_set_is_on_both_lists() -> None:
    assert not set(LISTS["CALIBRATION"]) & set(LISTS["BENCHMARK"])
    assert len({*LISTS["CALIBRATION"], *LISTS["BENCHMARK"]}) == len(LISTS["CALIBRATION"]) + len(LISTS["BENCHMARK"])


@pytest.mark.parametrize("text", ["chosen on fashion-mnist", "Fashion MNIST:", "FASHION_MNIST = 1"])
def test_a_name_is_found_however_it_is_written(text: str) -> None:
    assert names(text, "fashion-mnist")
    assert not names("explanations of fashions", "nations")


@pytest.mark.parametrize("name", LISTS["BENCHMARK"])
def test_no_recipe_names_a_set_that_judges_it(name: str) -> None:
    files = [f for f in (ROOT / "src" / "trueweight" / "recipes").rglob("*") if f.suffix not in ("", ".pyc")]
    assert len(files) > 3
    for file in files:
        assert not names(file.read_text(encoding="utf-8"), name), file.name


@pytest.mark.parametrize("benchmark", JUDGING)
def test_results_that_judge_defaults_are_of_listed_sets_and_marked(benchmark: str) -> None:
    file = ROOT / "benchmarks" / "results" / f"{benchmark}.json"
    for entry in json.loads(file.read_text(encoding="utf-8")) if file.exists() else []:
        name = entry.get("set", entry.get("task"))
        assert name in {*LISTS["CALIBRATION"], *LISTS["BENCHMARK"]}, name
        if "calibration" in entry:
            assert entry["calibration"] == (name in LISTS["CALIBRATION"]), name
