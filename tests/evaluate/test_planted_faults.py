"""Every fault of ``benchmarks/faults.py`` is found at full strength, and its clean twin left in peace: two seeds each.

The curves over strength, on 100 seeds, are a benchmark: ``docs/planted-faults.md``."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from trueweight.evaluate.checks import CHECKS

FAULTS = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "faults.py"))["FAULTS"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found_and_its_clean_twin_is_not(fault: Any) -> None:
    # A check may miss or cry wolf once in ten; on these two seeds it does neither: what changes that is worth a look.
    assert [fault.found(seed, fault.strengths[-1]) for seed in (0, 1)] == [True, True]
    assert [fault.found(seed, 0.0) for seed in (0, 1)] == [False, False]


def test_every_check_has_a_fault() -> None:
    assert set(CHECKS) <= {fault.check for fault in FAULTS}


def test_what_only_linear_models_take_for_wrong_labels_is_not_claimed() -> None:
    """Labels are wrong in training rows alone: the model's own answers, about rows that are right, do not bear it out."""
    columns = people(0, certain=4.0)
    train = clean(0).ready.split.train
    columns["won"][train[::9]] = np.where(columns["won"][train[::9]] == "yes", "no", "yes")
    entries = check("honesty")(world(columns, {"won": "binary"}, 0).judged())
    (flag,) = (entry for entry in entries if entry.metric == "label_noise_flag")
    assert flag.status == "not_applicable"
    assert "do not bear it out" in str(flag.reason)
