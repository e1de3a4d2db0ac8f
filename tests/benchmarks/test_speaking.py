from benchmarks.speaking import render, told

ENTRY = {
    "task": "dates", "decoder": "lstm", "seed": 0, "budget": "5m", "rows": 50000, "machine": "2 cores", "by": "0.1",
    "date": "2026-01-02", "exact": 0.98, "test_rows": 2000, "seconds": 301.2, "steps": 1234, "threads": 2,
}  # fmt: skip


def test_a_line_says_whether_the_goal_was_reached():
    assert told(ENTRY).endswith("exact 98.00% of 2,000 test rows, 301 s, 1,234 steps: below 99%")
    assert told(ENTRY | {"exact": 0.99}).endswith("reached")
    assert told(ENTRY | {"reason": "Traceback\nerror: no space"}).endswith("failed: error: no space")


def test_the_page_has_the_newest_of_equal_runs_and_failures_stay():
    page = render([ENTRY, ENTRY | {"exact": 0.995}, ENTRY | {"seed": 1, "reason": "error"}])
    assert "98.00%" not in page and "99.50%" in page and "| failed |" in page
    assert "Not measured yet" in render([])
