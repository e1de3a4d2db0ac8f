"""From epochs and budgets to times, targets and promises kept or broken."""

import json
import re
from xml.etree import ElementTree as ET

from benchmarks import race
from benchmarks.kept import Kept
from benchmarks.lists import BENCHMARK, CALIBRATION
from benchmarks.race_page import chart, promises, ratios, render, summary
from benchmarks.race_tasks import TASKS, Promise
from benchmarks.race_times import counting, fastest, judged, newest, target_of, time_of, times

FASHION = TASKS[0]
CIFAR = TASKS[-1]


def rival(who, curve, *, variant="default", seed=0, task="fashion-mnist", identity="1", reason=None):
    epochs = [{"epoch": i + 1, "seconds": s, "accuracy": a} for i, (s, a) in enumerate(curve)]
    return {
        "task": task, "who": who, "variant": variant, "seed": seed, "identity": identity, "machine": "m", "threads": 2,
        "rows": None, "epochs": epochs, "accuracy": curve[-1][1] if curve else None, "startup": 1.0, "date": "d",
        "seconds": curve[-1][0] if curve else 5.0, "peak_mb": 100.0, "ended": reason is None, "reason": reason,
    }  # fmt: skip


def ours(budget, seconds, accuracy, *, cold=True, seed=0, task="fashion-mnist", identity="1"):
    return {
        "task": task, "who": "trueweight", "variant": "default", "seed": seed, "identity": identity, "machine": "m",
        "threads": 2, "rows": None, "budget": budget, "cold": cold, "seconds": seconds, "accuracy": accuracy,
        "startup": 1.0, "peak_mb": 200.0, "ended": True, "reason": None, "date": "d",
    }  # fmt: skip


KERAS = [
    rival("keras-jax", [(50.0, 0.85), (100.0, 0.90)], seed=0),
    rival("keras-jax", [(60.0, 0.86), (120.0, 0.91)], seed=1),
    rival("keras-jax", [(70.0, 0.91), (140.0, 0.93)], seed=2),
]
OWN = [ours(1, 5.0, 0.80), ours(2, 6.0, 0.92), ours(2, 4.0, 0.92, cold=False)]


def test_the_target_is_the_median_of_the_ends():
    assert target_of(FASHION, KERAS) == 0.91
    assert target_of(FASHION, []) is None
    assert target_of(CIFAR, []) == 0.90


def test_the_best_of_several_references_sets_the_target():
    voices = next(task for task in TASKS if task.name == "voice-commands")
    runs = [rival(who, [(9.0, end)], task=voices.name) for who, end in (("keras-jax", 0.2), ("pytorch-m5", 0.1))]
    assert target_of(voices, runs) == 0.2


def test_a_rivals_time_is_its_first_epoch_there_and_ours_the_first_budget():
    time = time_of(KERAS, FASHION, "keras-jax", "default", 0.86)
    assert (time.seconds, time.low, time.high, time.runs, time.reached) == (70.0, 60.0, 100.0, 3, True)
    time = time_of(OWN, FASHION, "trueweight", "default", 0.91)
    assert (time.seconds, time.budget, time.reached) == (6.0, 2, True)
    assert time_of(OWN, FASHION, "trueweight", "default", 0.91, cold=False).seconds == 4.0
    assert not time_of(OWN, FASHION, "trueweight", "default", 0.95).reached


def test_a_run_that_never_got_there_is_endless_in_the_median():
    time = time_of(KERAS, FASHION, "keras-jax", "default", 0.91)
    assert (time.seconds, time.reached, time.missed, time.low, time.high) == (120.0, True, 1, 70.0, 120.0)
    time = time_of(KERAS, FASHION, "keras-jax", "default", 0.93)
    assert (time.seconds, time.reached, time.missed) == (110.0, False, 2)


def test_of_two_runs_no_doubt_is_to_our_favour():
    two = [ours(1, 5.0, 0.95), ours(1, 9.0, 0.95, seed=1)]
    assert time_of(two, FASHION, "trueweight", "default", 0.9).seconds == 9.0
    assert time_of(KERAS[1:], FASHION, "keras-jax", "default", 0.91).seconds == 70.0


def test_older_versions_do_not_count():
    entries = [rival("keras-jax", [(9.0, 0.99)], seed=2, identity="0"), *KERAS[:2]]
    assert newest(entries) == KERAS[:2]


def test_only_what_one_machine_gave_is_compared():
    elsewhere = [{**run, "machine": "another"} for run in [ours(1, 1.0, 0.99), rival("skorch", [(2.0, 0.99)])]]
    assert newest([*KERAS, *OWN, elsewhere[0]]) == newest([*KERAS, *OWN])  # no rival ran there
    assert newest([*KERAS, *OWN, *elsewhere]) == elsewhere
    assert newest([*OWN, elsewhere[0]]) == [elsewhere[0]]


def test_a_promise_is_held_against_the_fastest_that_it_speaks_of():
    entries = [*KERAS, *OWN, rival("skorch", [(30.0, 0.92)]), rival("skorch", [(1.0, 0.95)], variant="expert")]
    verdict = judged(entries, FASHION, Promise(1 / 4, "default"))
    assert (verdict.rival, verdict.ratio, verdict.kept) == ("skorch", 6.0 / 30.0, True)
    assert judged(entries, FASHION, Promise(1 / 6, "default")).kept is False
    assert judged(entries, FASHION, Promise(1 / 6, "default", warm=True)).kept is True
    assert judged(entries, FASHION, Promise(1 / 2, "expert")).kept is False
    assert judged(entries, FASHION, Promise(1.0, "default", without=("skorch",))).rival == "keras-jax"
    assert [t.who for t in counting(Promise(1, "default", only=("skorch",)), times(entries, FASHION, 0.9))] == [
        "skorch"
    ]


def test_a_rival_that_was_stopped_bounds_the_ratio():
    stopped = rival("skorch", [(30.0, 0.5), (60.0, 0.6)], variant="expert", reason="stopped after 60 s")
    entries = [*KERAS, *OWN, stopped]
    sure = judged(entries, FASHION, Promise(1 / 2, "expert"))
    assert (sure.bound, sure.ratio, sure.kept) == (True, 0.1, True)
    assert judged(entries, FASHION, Promise(1 / 20, "expert")).kept is None


def test_not_reaching_the_target_breaks_the_promise():
    verdict = judged([*KERAS, ours(256, 280.0, 0.5)], FASHION, FASHION.promises[0])
    assert (verdict.ratio, verdict.kept) == (None, False)


def test_a_rival_that_failed_has_a_row_with_its_reason():
    page = render([*KERAS, *OWN, rival("lightning", [], reason="ended with 1: ImportError: gone")])
    assert "| lightning | default | failed: ended with 1: ImportError: gone |" in page


def test_rows_where_we_lose_are_marked():
    entries = [*KERAS, *OWN, rival("skorch", [(3.0, 0.92)], variant="expert")]
    assert "**0.50** we lose" in render(entries)
    assert "| **3.0** (skorch) |" in "\n".join(summary(entries))
    assert "| at most 1/2 of the fastest (expert) | 2.000 | skorch | **no** |" in "\n".join(promises(entries))


def test_the_fastest_of_each_variant_run_again():
    hand = rival("by hand", [(2.0, 0.95)], variant="hand")
    never = rival("lightning", [(2.0, 0.5)])
    entries = [KERAS[0], rival("skorch", [(30.0, 0.92)]), rival("skorch", [(9.0, 0.95)], variant="expert"), hand, never]
    assert fastest(FASHION, entries, 0.9) == [("skorch", "default"), ("skorch", "expert"), ("by hand", "hand")]


def test_the_chart_shows_each_mark_where_it_belongs():
    entries = [*KERAS, *OWN, rival("skorch", [(3.0, 0.92)], variant="expert")]
    found = ratios(entries)
    assert found == {"fashion-mnist": {"default": (120 / 6, True), "expert": (0.5, True)}}
    picture = ET.fromstring(chart(found))
    marks = [mark for mark in picture.iter("{http://www.w3.org/2000/svg}circle") if len(mark)]
    places = {mark[0].text: float(mark.get("cx")) for mark in marks}
    one = next(line for line in picture.iter("{http://www.w3.org/2000/svg}line") if line.get("stroke") == "#222")
    assert places["five-minute expert: 0.50"] < float(one.get("x1")) < places["documented example: 20.00"]


def test_every_rival_of_every_task_has_a_script_and_every_set_is_listed():
    for task in TASKS:
        assert task.name in {*BENCHMARK, *CALIBRATION}
        for who, variant in task.rivals:
            assert race.identity(task, who, variant)
            assert "def " in race.scripts(variant)["keras" if who in race.KERAS else who, task.kind]


def test_what_ran_is_found_again(tmp_path):
    kept = Kept(tmp_path / "results" / "race.json")
    kept.add({"seconds": 1.0}, task="t", seed=0)
    again = Kept(tmp_path / "results" / "race.json")
    assert again.find(task="t", seed=0)["seconds"] == 1.0
    assert again.find(task="t", seed=1) is None
    kept.add({"seconds": 1.0, "reason": "stopped"}, task="t", seed=1)
    assert Kept(tmp_path / "results" / "race.json").find(task="t", seed=1)
    retried = Kept(tmp_path / "results" / "race.json", retry=True)
    assert retried.find(task="t", seed=0)
    assert retried.find(task="t", seed=1) is None
    retried.add({"reason": "stopped again"}, task="t", seed=1)
    assert retried.find(task="t", seed=1)["reason"] == "stopped again"
    entry = json.loads((tmp_path / "results" / "race.json").read_text())[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", entry["date"])
    assert {"machine", "commit"} <= entry.keys()
