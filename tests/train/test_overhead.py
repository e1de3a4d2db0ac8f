"""The loop costs no more than one written by hand for the same step."""

import importlib.util
from pathlib import Path

import pytest
import torch


@pytest.mark.slow
def test_the_loop_is_at_least_as_fast_as_a_hand_written_one(monkeypatch, capsys):
    path = Path(__file__).parents[2] / "benchmarks" / "loop_overhead.py"
    spec = importlib.util.spec_from_file_location("loop_overhead", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    threads = torch.get_num_threads()
    try:
        hand, ours = benchmark.measured(500)
        assert hand / ours >= 0.98  # at most 2 % slower
        assert ours - hand <= 100  # microseconds a step
    finally:
        torch.set_num_threads(threads)
