"""The table at the end of ``train``, against the one that design promises."""

from pathlib import Path
from typing import Any

import pytest

from trueweight.cli.tables import (
    aligned,
    check_remarks,
    confusion_tables,
    cost_line,
    data_remarks,
    evidence_table,
    members_table,
    remarks,
)
from trueweight.evidence.record import Data, Entry, Evidence, Interval

TEST = Data("sha256:0", "test")


def score(axis: str, target: str, metric: str, value: float, low: float, high: float, **more: Any) -> Entry:
    name = f"{axis}/{target}/{metric}/test"
    bounds = Interval(low, high, 0.95, "bootstrap")
    plain = {"id": name, "axis": axis.split("/")[0], "n": 442, "data": TEST} | more
    return Entry(metric=metric, target=target, value=value, interval=bounds, **plain)


def titanic() -> list[Entry]:
    rows = [
        ("roc_auc", 0.8312, 0.79, 0.87, 0.8203, 0.5),
        ("accuracy", 0.8101, 0.77, 0.85, 0.8, 0.68),
        ("log_loss", 0.4402, 0.39, 0.49, 0.45, 0.63),
    ]
    entries = []
    for metric, value, low, high, linear, constant in rows:
        entries.append(score("quality", "survived", metric, value, low, high))
        entries.append(score("baseline/linear", "survived", metric, linear, 0, 1))
        entries.append(score("baseline/constant", "survived", metric, constant, 0, 1))
    entries.append(score("quality", "survived", "f1[1]", 0.7, 0.6, 0.8))  # one class of many: not in the short table
    words = "Better than linear?  Not shown: roc_auc +0.01 (−0.01 … +0.03), same rows."
    said = {"id": "verdict/survived/linear", "axis": "verdict", "metric": "roc_auc", "target": "survived"}
    entries.append(Entry(value=words, **said))
    entries.append(Entry(id="data/test/look", axis="data", metric="look", value=1))
    return entries


def test_the_end_of_train_is_as_promised() -> None:
    told = evidence_table(Evidence(tuple(titanic())), kept={"linear": Path("runs/titanic-01/linear.bundle")})
    assert told == (
        "Test: 442 rows, look 1   95 % interval   linear   constant\n"
        "  roc_auc        0.831   0.790 … 0.870    0.820      0.500\n"
        "  accuracy       0.810   0.770 … 0.850    0.800      0.680\n"
        "  log_loss       0.440   0.390 … 0.490    0.450      0.630\n"
        "  Better than linear?  Not shown: roc_auc +0.01 (−0.01 … +0.03), same rows.\n"
        "  The linear model is kept too: runs/titanic-01/linear.bundle"
    )


def test_several_targets_stand_under_their_names() -> None:
    entries = [*titanic(), score("quality", "fare", "rmse", 1234.5, 1100.0, 1400.0, n=440)]
    lines = evidence_table(Evidence(tuple(entries))).splitlines()
    assert lines[1] == "  survived"
    assert lines[5] == "  fare"
    assert lines[6].split() == ["rmse", "1,230", "1,100", "…", "1,400"]


def test_what_was_not_run_is_said() -> None:
    sealed = Entry(
        id="quality/test", axis="quality", metric="all", status="not_run", reason="the test rows stay sealed"
    )
    look = Data("sha256:0", "validation")
    lines = evidence_table(Evidence((score("quality", "y", "r2", 0.5, 0.4, 0.6, data=look), sealed))).splitlines()
    assert lines[0].startswith("Validation: 442 rows")
    assert lines[-1] == "  quality/test: not run: the test rows stay sealed"
    assert evidence_table(Evidence((sealed,))) == lines[-1]
    assert evidence_table(Evidence()) == "no scores"


def test_a_score_that_cannot_be_had_says_why() -> None:
    failed = Entry(
        id="quality/y/roc_auc/test", axis="quality", metric="roc_auc", target="y", status="not_applicable",
        reason="only one class among these rows", data=TEST, n=3,
    )  # fmt: skip
    told = evidence_table(Evidence((failed,)))
    assert "roc_auc" in told
    assert "not applicable" in told
    assert "only one class among these rows" in told


def test_cells_are_aligned() -> None:
    assert aligned([("a", "1"), ("bcd", "1000")]) == ["a        1", "bcd   1000"]


def test_one_is_told_as_one() -> None:
    places = {"data/repeats": "rows", "data/rows/gap": "rows", "honesty/groups": "groups", "honesty/twins": "rows"}
    counts = [Entry(id=at, axis="data", metric="count", value=1, unit=unit) for at, unit in places.items()]
    missing = Entry(id="data/missing/0", axis="data", metric="missing in x", value=1, unit="cells")
    assert data_remarks(Evidence((*counts, missing))) == [
        "  1 row in split.gap is used by nobody",
        "  1 group has rows on both sides of the split: scores are for groups already seen",
        "  1 test row has the same features as rows that trained: scored without too",
        "  1 row repeats an earlier one (see data.drop_duplicates)",
        "  1 cell: missing in x",
    ]


def flag(metric: str, reason: str, target: str | None = "y") -> Entry:
    place = f"honesty/{target}/{metric}"
    return Entry(id=place, axis="honesty", metric=metric, target=target, value=1, unit="flag", reason=reason)


def leak(target: str) -> Entry:
    return Entry(
        id=f"honesty/leak/{target}", axis="honesty", metric=f"paid alone tells {target}", target=target, value=0.99,
        reason="is it known before the target is?",
    )  # fmt: skip


def test_what_two_checks_find_is_said_once() -> None:
    twins = Entry(id="honesty/twins", axis="honesty", metric="twins", value=3, unit="rows")
    found = Evidence((flag("leak_flag", "'paid' alone tells 'y'"), leak("y"), leak("z"), twins))
    assert check_remarks(found) == [
        "  'paid' alone tells 'y'",
        "  paid alone tells z: is it known before the target is?",
    ]
    assert data_remarks(found) == ["  3 test rows have the same features as rows that trained: scored without too"]
    assert data_remarks(Evidence((flag("near_duplicates_flag", "copies", None), twins))) == []


def test_what_checks_find_is_not_called_the_data() -> None:
    gap = Entry(id="data/rows/gap", axis="data", metric="rows", value=2, unit="rows")
    both = Evidence((flag("label_noise_flag", "labels look wrong"), gap))
    assert remarks(both) == [
        "What the checks found:", "  labels look wrong",
        "About the data:", "  2 rows in split.gap are used by nobody",
    ]  # fmt: skip
    assert remarks(Evidence((gap,)))[0] == "About the data:"
    assert remarks(Evidence(())) == []


def test_a_label_of_a_megabyte_does_not_fill_the_terminal() -> None:
    label = "x" * 1_000_000
    cells = [
        Entry(id=f"confusion/y/{n}", axis="confusion", metric=f"{label} answered as {word}", target="y", value=3)
        for n, word in enumerate((label, "no"))
    ]
    remark = Entry(id="data/missing/0", axis="data", metric=f"missing in {label}", value=3, unit="cells")
    lines = [*confusion_tables(Evidence(tuple(cells))), *data_remarks(Evidence((remark,)))]
    assert max(map(len, lines)) < 500
    assert lines[0].count("…") == 1
    assert aligned([("two\nlines", "1")]) == ["two lines   1"]


def test_odd_facts_are_shown_as_far_as_they_go() -> None:
    odd = [
        score("baseline/linear", "y", "r2", 0.5, 0.4, 0.6, id="baseline"),
        score("quality", "y", "r2", 0.5, 0.4, 0.6),
        Entry(id="confusion/y/1", axis="confusion", metric="no", target="y", value=3),
        Entry(id="confusion/y/2", axis="confusion", metric="a answered as b", target="y", value=3),
    ]
    assert "r2" in evidence_table(Evidence(tuple(odd)))
    assert len(confusion_tables(Evidence(tuple(odd)))) == 3


def test_what_the_spec_names_and_the_rows_lack_is_said() -> None:
    nothing: dict[str, Any] = {"status": "not_applicable", "data": TEST}
    gaps = [
        Entry(id="fairness/groups/age", axis="fairness", metric="groups", reason="these rows have no 'age'", **nothing),
        Entry(id="slices/declared/0/test", axis="slices", metric="declared", reason="no part", **nothing),
        Entry(id="fairness/check", axis="fairness", metric="check", reason="nobody asked", **nothing),
    ]
    assert check_remarks(Evidence(tuple(gaps))) == [
        "  evaluate.sensitive: these rows have no 'age'",
        "  evaluate.slices: no part",
    ]
    flags = [Entry(id=f"x/{n}", axis="drift", metric="flag", value=1, reason=f"found {n}") for n in range(9)]
    assert check_remarks(Evidence(tuple(flags)), most=3, rest="in later.evidence") == [
        "  found 0", "  found 1", "  and 7 more: in later.evidence",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("joules", "told"),
    [
        (270.0, "270 J (140 … 540)"),
        (3.21, "3.2 J (1.6 … 6.4)"),
        (0.0027, "0.0027 J"),
        (4.1e4, "11 Wh"),
        (4e9, "1,100 kWh"),
    ],
)
def test_energy_is_told_in_plain_numbers(joules: float, told: str) -> None:
    ends = Interval(joules / 1.98, joules * 2, 0.95, "bounds")
    spent = {"id": "cost/train/joules", "metric": "joules", "value": joules, "interval": ends, "status": "estimated"}
    wall = Entry(id="cost/train/wall_seconds", axis="cost", metric="wall_seconds", value=3.0)
    line = cost_line(Evidence((Entry(axis="cost", **spent), wall)))
    assert f"training {told}" in line


def test_signs_that_take_two_places_are_aligned() -> None:
    lines = aligned([("年龄", "0.1"), ("a", "1000"), ("体重kg", "2")])
    assert lines == ["年龄      0.1", "a        1000", "体重kg      2"]


def test_what_mistakes_cost_stands_in_the_table() -> None:
    cost = score("calibration", "survived", "cost", 2.31, 2.0, 2.7)
    half = score("calibration", "survived", "cost_at_half", 3.0, 2.5, 3.6)
    lines = evidence_table(Evidence((*titanic(), cost, half))).splitlines()
    assert lines[1:5] == [
        "  roc_auc        0.831   0.790 … 0.870    0.820      0.500",
        "  accuracy       0.810   0.770 … 0.850    0.800      0.680",
        "  log_loss       0.440   0.390 … 0.490    0.450      0.630",
        "  cost            2.31     2.00 … 2.70",
    ]


def fit_entries(*names: str) -> list[Entry]:
    found = []
    for place, name in enumerate(names):
        found.append(Entry(id=f"fit/{place}/seconds", axis="fit", metric=f"seconds of {name}", value=2.0 + place))
        found.append(Entry(id=f"fit/{place}/weight/y", axis="fit", metric=f"weight of {name}", value=0.5))
    return found


def test_members_and_what_became_of_those_that_climb() -> None:
    climbs = [
        Entry(id="fit/climb/1", axis="fit", metric="climb to mlp", value="validation loss lower by +0.01 ± 0.02"),
        Entry(id="fit/climb/2", axis="fit", metric="climb to transformer", status="not_run", reason="mlp was no gain"),
        Entry(id="fit/left_out/1", axis="fit", metric="left out", value="realmlp: no time"),
    ]
    assert members_table(Evidence((*fit_entries("linear", "mlp"), *climbs))).splitlines() == [
        "Members        time   weight",
        "linear        2.0 s     0.50",
        "mlp           3.0 s     0.50   validation loss lower by +0.01 ± 0.02",
        "transformer                    not begun: mlp was no gain",
        "realmlp                        left out: no time",
    ]


def test_a_model_alone_has_no_table_of_members() -> None:
    assert members_table(Evidence(tuple(fit_entries("linear")))) == ""
