"""Reading a CSV costs little more than Arrow alone needs for it."""

import runpy
import statistics
from pathlib import Path

import pytest


@pytest.mark.slow
def test_reading_takes_at_most_half_as_long_again_as_arrow_alone(tmp_path: Path) -> None:
    benchmark = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "csv_reading.py"))
    benchmark["write_file"](tmp_path / "rows.csv", 300_000, quoted=False)
    pairs = benchmark["measure"](tmp_path / "rows.csv", 9)
    assert statistics.median(ours / theirs for ours, theirs in pairs) <= 1.5
