"""Rules on evidence: each is judged at the unfavourable end, and what nobody measured does not pass."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from trueweight import api
from trueweight.bundle.detached import write_detached
from trueweight.errors import SpecError, VerifyError
from trueweight.evaluate.gates import judge_gates, rule_words
from trueweight.evidence.record import Data, Entry, Evidence, Interval
from trueweight.metrics.ranking import ONE_CLASS
from trueweight.spec.gates import GateSpec
from trueweight.spec.policy import load_policy, parse_policy

TEST = Data("sha256:1", "test")


def number(metric: str, value: Any, low: float | None = None, high: float | None = None, **more: Any) -> Entry:
    axis, target, data = more.pop("axis", "quality"), more.pop("target", "fraud"), more.pop("data", TEST)
    ends = None if low is None or high is None else Interval(low, high, 0.95, "bootstrap")
    place = "/".join(str(p) for p in (axis, target, metric, data and data.role, more.get("slice")) if p)
    n = more.pop("n", 400 if data else None)
    return Entry(id=place, axis=axis, metric=metric, target=target, value=value, interval=ends, n=n, data=data, **more)


def compared(metric: str, value: float, low: float | None, high: float | None, rival: str, reason: Any = None) -> Entry:
    ends = None if low is None or high is None else Interval(low, high, 0.95, "paired bootstrap")
    return Entry(id=f"comparison/fraud/{metric}/{rival}", axis="comparison", metric=metric, target="fraud",
                 value=value, interval=ends, n=400, reason=reason, data=TEST)  # fmt: skip


def flag(axis: str, value: int, reason: str | None = None, name: str = "flag", **more: Any) -> Entry:
    return Entry(id=f"{axis}/fraud/{name}/test", axis=axis, metric=name, target="fraud", value=value, unit="flag",
                 reason=reason, data=TEST, **more)  # fmt: skip


EVIDENCE = Evidence((
    number("roc_auc", 0.87, 0.85, 0.89),
    number("log_loss", 0.40, 0.36, 0.44),
    number("f1", 0.5, reason="4 rows are too few for a bootstrap", n=4),
    number("recall", None, status="not_applicable", reason="no test row is positive"),
    number("precision", 0.9, 0.8, 0.95, status="claimed", reason="by its maker"),
    number("accuracy", 0.9, 0.88, 0.92, slice="without twins"),
    number("accuracy", 0.9, 0.88, 0.92, axis="honesty", slice="without near twins"),
    number("accuracy", 0.8, 0.70, 0.90, axis="slices", slice="north"),
    number("accuracy", 0.6, 0.40, 0.80, axis="slices", slice="south"),
    number("roc_auc", 0.80, 0.78, 0.82, axis="baseline"),
    number("ece", 0.02, 0.01, 0.04, axis="calibration"),
    number("rmse", 3.0, 2.5, 3.5, target="cost", data=Data("sha256:1", "validation")),
    number("gap", 0.1, 0.0, 0.2, axis="fairness"), number("gap", 0.3, 0.2, 0.4, axis="drift"),
    number("wall_seconds", 12.5, axis="cost", target=None, data=None, unit="s"),
    compared("roc_auc", 0.07, 0.05, 0.09, "linear"), compared("roc_auc", 0.01, -0.01, 0.03, "gbdt"),
    compared("log_loss", -0.1, -0.2, -0.05, "linear"), compared("log_loss", 0.1, 0.05, 0.2, "gbdt"),
    compared("f1", 0.2, 0.1, 0.3, "linear", "only 3 rows make the difference"),
    flag("calibration", 0), flag("slices", 1, "far worse for south"),
    flag("drift", 0, "no training data here", name="shift_flag", status="not_run"),
    Entry(id="fairness/check", axis="fairness", metric="check", status="not_applicable",
          reason="no sensitive column is named"),
    Entry(id="robustness/check", axis="robustness", metric="check", status="failed", reason="RuntimeError: no"),
))  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "passed", "why"),
    [
        ({"target": "fraud", "metric": "roc_auc", "at_least": 0.85}, True, "0.870 (0.850 … 0.890), n = 400"),
        ({"target": "fraud", "metric": "roc_auc", "at_least": 0.8501}, False, "its low end is 0.8500"),
        ({"target": "fraud", "metric": "log_loss", "at_most": 0.44}, True, "0.400"),
        ({"target": "fraud", "metric": "log_loss", "at_most": 0.42}, False, "its high end is 0.440"),
        ({"target": "fraud", "metric": "roc_auc", "at_least": 0.8, "at_most": 0.88}, False, "high end"),
        ({"target": "fraud", "metric": "f1", "at_least": 0.1}, False, "too few for a bootstrap"),
        ({"target": "fraud", "metric": "recall", "at_least": 0.1}, False, "not applicable: no test row is positive"),
        ({"target": "fraud", "metric": "precision", "at_least": 0.1}, False, "claimed: by its maker"),
        ({"target": "fraud", "metric": "rocauc", "at_least": 0.1}, False, "not measured; did you mean 'roc_auc'?"),
        ({"target": "fraude", "metric": "roc_auc", "at_least": 0.1}, False, "no target 'fraude', only 'fraud', 'cost'"),
        ({"target": "fraud", "metric": "accuracy", "at_least": 0.1}, False, "not measured of all rows"),
        ({"target": "fraud", "metric": "accuracy", "slice": "north", "at_least": 0.7}, True, "0.80"),
        ({"target": "fraud", "metric": "accuracy", "slice": "every", "at_least": 0.7}, False,
         "1 of 2 slices do not: south: 0.60 (0.40 … 0.80), n = 400; its low end is 0.40"),
        ({"target": "fraud", "metric": "accuracy", "slice": "every", "at_least": 0.4}, True, "all 2 slices"),
        ({"target": "fraud", "metric": "accuracy", "slice": "without twins", "at_least": 0.88}, True, "0.900"),
        ({"target": "fraud", "metric": "accuracy", "slice": "noth", "at_least": 0}, False, "did you mean 'north'?"),
        ({"target": "fraud", "metric": "ece", "slice": "north", "at_most": 1}, False, "of north; there is none"),
        ({"target": "fraud", "metric": "ece", "at_most": 0.04}, True, "0.02"),
        ({"target": "fraud", "metric": "gap", "at_most": 1.0}, False, "say axis: drift or fairness"),
        ({"target": "fraud", "metric": "gap", "axis": "fairness", "at_most": 0.2}, True, "0.10"),
        ({"target": "cost", "metric": "rmse", "at_most": 4}, False, "measured on validation rows, not on test rows"),
        ({"target": "cost", "metric": "rmse", "at_most": 4, "role": "validation"}, True, "3.0"),
        ({"axis": "cost", "metric": "wall_seconds", "at_most": 13}, True, "12.5 s"),
        ({"axis": "cost", "metric": "wall_seconds", "at_most": 12}, False, "12.5 s"),
        ({"target": "fraud", "metric": "roc_auc", "better_than": "linear"}, True, "+0.070 (+0.050 … +0.090)"),
        ({"target": "fraud", "metric": "roc_auc", "better_than": "gbdt"}, False, "not shown: +0.010"),
        ({"target": "fraud", "metric": "roc_auc", "better_than": "mean"}, False, "there is 'linear', 'gbdt'"),
        ({"target": "fraude", "metric": "roc_auc", "better_than": "linear"}, False, "no target 'fraude', only 'fraud'"),
        ({"target": "fraud", "metric": "log_loss", "better_than": "linear"}, True, "−0.1"),
        ({"target": "fraud", "metric": "log_loss", "better_than": "gbdt"}, False, "worse: +0.1"),
        ({"target": "fraud", "metric": "f1", "better_than": "linear"}, False, "only 3 rows make the difference"),
        ({"no_flags": "calibration"}, True, "1 looked at, none raised"),
        ({"no_flags": "slices"}, False, "1 raised: far worse for south"),
        ({"no_flags": "drift"}, False, "not run: no training data here"),
        ({"no_flags": "honesty"}, False, "nobody looked"),
        ({"no_flags": "robustness"}, False, "failed: RuntimeError: no"),
        ({"no_flags": "fairness"}, False, "not applicable: no sensitive column is named"),
        ({"no_flags": "all"}, False, "far worse for south"),
        ({"measured": ["calibration", "slices"]}, True, "5 facts"),
        ({"measured": ["calibration", "robustness"]}, False, "robustness failed: RuntimeError: no"),
        ({"measured": ["explanation"]}, False, "explanation: nobody looked"),
    ],
)  # fmt: skip
def test_a_rule_passes_only_on_what_was_measured(rule: dict[str, Any], passed: bool, why: str) -> None:
    (ruling,) = judge_gates(parse_policy([rule]).gates, EVIDENCE)
    assert why in ruling.why
    assert ruling.passed is passed
    assert str(ruling).startswith(("pass  " if passed else "FAIL  ") + rule_words(parse_policy([rule]).gates[0]))
    assert "\n" not in str(ruling)


def test_a_sealed_test_set_passes_no_rule_on_it() -> None:
    sealed = Entry(
        id="quality/test", axis="quality", metric="all", status="not_run", reason="the test rows stay sealed"
    )
    (ruling,) = judge_gates(
        parse_policy([{"target": "fraud", "metric": "f1", "at_least": 0}]).gates, Evidence((sealed,))
    )
    assert ruling.why == "not run: the test rows stay sealed"


def test_a_rule_goes_by_its_name() -> None:
    (ruling,) = judge_gates(parse_policy([{"name": "no leaks", "no_flags": "calibration"}]).gates, EVIDENCE)
    assert ruling.rule == "no leaks"


NO = "not applicable"


def sliced(*reasons: str | None) -> Evidence:
    """Slices a, b, …: measured where there is no reason, else not applicable."""
    return Evidence(tuple(
        number("roc_auc", None, status="not_applicable", reason=reason, axis="slices", slice=name) if reason
        else number("roc_auc", 0.8, 0.7, 0.9, axis="slices", slice=name)
        for name, reason in zip("abcd", reasons, strict=False)
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("reasons", "passed", "why"),
    [
        ((None, ONE_CLASS, None), True, f"all 2 slices keep to it; not judged: 'b' ({ONE_CLASS})"),
        ((None, ONE_CLASS), True, f"the only other slice keeps to it; not judged: 'b' ({ONE_CLASS})"),
        ((None, ONE_CLASS, "too few"), False, f"1 of 2 slices do not: c: {NO}: too few; not judged: 'b' ({ONE_CLASS})"),
        ((ONE_CLASS, ONE_CLASS), False, f"2 of 2 slices do not: a: {NO}: {ONE_CLASS}; b: {NO}: {ONE_CLASS}"),
        ((ONE_CLASS,), False, f"not applicable: {ONE_CLASS}"),
    ],
)
def test_slices_of_one_class_have_nothing_to_rank(reasons: tuple[str | None, ...], passed: bool, why: str) -> None:
    rule = {"target": "fraud", "metric": "roc_auc", "slice": "every", "at_least": 0.6}
    (ruling,) = judge_gates([GateSpec.model_validate(rule)], sliced(*reasons))
    assert (ruling.passed, ruling.why) == (passed, why)
    alone = GateSpec.model_validate(rule | {"slice": "a"})
    assert judge_gates([alone], sliced(*reasons))[0].passed == (reasons[0] is None)


def test_every_mistake_of_a_policy_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "version: 1\n"
        "gates:\n"
        "- {target: fraud, metric: roc_auc, at_leats: 0.8}\n"
        "- {target: fraud, at_least: 0.8}\n"
        "- {metric: roc_auc, better_than: linear}\n"
        "- {target: fraud, metric: f1, at_least: 0.9, at_most: 0.8}\n"
        "- {no_flags: calibrations}\n"
        "- {no_flags: all, measured: [drift]}\n"
        "- {no_flags: all, slice: north}\n"
        "- {target: fraud, metric: f1}\n"
        "- 7\n"
    )
    with pytest.raises(SpecError) as raised:
        load_policy(path)
    told = str(raised.value)
    for words in (
        "9 mistakes in",
        f"{path}:3:36: gates[0].at_leats: no such option; did you mean 'at_least'?",
        f"{path}:10:3: gates[7]: a rule needs one of at_least",
        f"{path}:4:29: gates[1].at_least: 'at_least' needs 'metric'",
        f"{path}:5:34: gates[2].better_than: 'better_than' needs 'target'",
        f"{path}:6:55: gates[3].at_most: at_least 0.9 and at_most 0.8 leave nothing between",
        "gates[4].no_flags: must be", "did you mean 'calibration'?",
        "gates[5].measured: 'no_flags' and 'measured' are two rules",
        "gates[6].slice: 'slice' says nothing beside 'no_flags'",
    ):  # fmt: skip
        assert words in told, told


@pytest.mark.parametrize(
    ("text", "words"),
    [("gates: []\n", "gates: must be at least 1 long"), ("[1]\n", "a mapping with 'gates'"), ("", "a mapping"),
     ("gates:\n- 7\n", "gates[0]")],
)  # fmt: skip
def test_files_without_rules_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(SpecError) as raised:
        load_policy(tmp_path / "p.yaml")
    assert words in str(raised.value)


def test_junit_says_the_same_to_a_build_server(tmp_path: Path) -> None:
    rules = [{"no_flags": "calibration"}, {"name": "<south> & \x07", "no_flags": "slices"}]
    found = api.gate(EVIDENCE, rules)
    assert not found.passed
    found.write_junit(tmp_path / "gate.xml")
    suite = ET.parse(tmp_path / "gate.xml").getroot()[0]  # noqa: S314
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    good, bad = suite.findall("testcase")
    assert good.find("failure") is None
    assert bad.get("name") == "<south> & ?"
    assert "far worse for south" in bad.find("failure").get("message")  # type: ignore[union-attr]


def test_the_latest_file_of_later_facts_is_judged(tmp_path: Path) -> None:
    folder, rule = tmp_path / "credit.evidence", [{"no_flags": "slices"}]
    with pytest.raises(VerifyError, match="there is no bundle"):
        api.gate(folder, rule)
    folder.mkdir()
    with pytest.raises(VerifyError, match="holds no evidence yet"):
        api.gate(folder, rule)
    write_detached(folder, "", EVIDENCE, "ann")
    assert not api.gate(folder, rule).passed
    last = write_detached(folder, "", Evidence((flag("slices", 0),)), "ben")
    assert api.gate(folder, rule).passed
    assert api.gate(last, rule).name == last.stem


def test_without_rules_there_is_nothing_to_say() -> None:
    with pytest.raises(SpecError, match="no rules"):
        api.gate(EVIDENCE)
