"""The harness of writing: what it tells of rounds, and that it runs."""

import pytest
from benchmarks.generation import asked, entry, main, render


def test_ratios_are_of_neighbouring_rounds() -> None:
    ask = asked(["--tokens", "10"])
    found = entry(ask, size=1000, bandwidth=1e6, mine=[0.1, 0.2, 0.4], other=[0.2, 0.6, 1.6], rows=2)
    assert found["tokens_per_second"] == 200
    assert found["transformers_tokens_per_second"] == 100
    assert (found["ratio_low"], found["ratio"], found["ratio_high"]) == pytest.approx((2, 3, 4))
    assert found["bound_tokens_per_second"] == 2000
    assert found["share_of_bound"] == pytest.approx(0.1)


def test_the_page_marks_what_falls_short() -> None:
    assert "Not measured yet" in render([])
    ask = asked(["--tokens", "10"])
    key = {"layers": 4, "width": 128, "threads": 1, "clock": "cpu", "date": "d", "machine": "m", "version": "v"}
    slow, fast = (entry(ask, 1000, 1e6, [0.1], [other], 1) | key | {"rows": 1} for other in (0.15, 0.25))
    page = render([slow, fast])
    assert "**1.50" in page
    assert "**2.50" not in page
    assert "10% of 1,000" in page


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    before = torch.get_num_threads()
    try:
        main(["--rounds", "1", "--layers", "1", "--width", "16", "--tokens", "4", "--clock", "cpu"])
    finally:
        torch.set_num_threads(before)
    assert " 16 rows:" in capsys.readouterr().out
