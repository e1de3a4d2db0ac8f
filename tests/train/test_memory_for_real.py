"""The memory of one real step of a large network, beside what was predicted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CASES: list[dict[str, Any]] = [
    {"encoder": {"type": "transformer", "layout": "gpt2_small"}, "vocabulary": 50_257, "train": {"batch_size": 8}},
    {"encoder": {"type": "transformer", "layout": "bert_base"}, "vocabulary": 30_521, "train": {"batch_size": 8}},
    {
        "encoder": {"type": "transformer", "layout": "bert_base", "checkpointing": True},
        "vocabulary": 30_521, "train": {"batch_size": 16, "accumulate": 2},
    },
]  # fmt: skip


def asked(what: str, options: dict[str, Any]) -> list[int]:
    command = [sys.executable, str(Path(__file__).parent / "real_step.py"), what, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("options", CASES, ids=["the largest", "plain", "checkpointing and pieces"])
def test_a_step_of_a_hundred_million_weights_fits_what_was_predicted(options: dict[str, Any]) -> None:
    parameters, predicted, _ = asked("predict", options)
    (seen,) = asked("measure", options)
    assert parameters > 100e6
    assert predicted == pytest.approx(seen, rel=0.1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_looks_and_checkpoints_need_no_more_than_was_predicted() -> None:
    options = CASES[-1]  # little is alive in a step, so that it is not the step which decides
    _, _, predicted = asked("predict", options)
    (seen,) = asked("whole", options)
    assert seen <= 1.1 * predicted
