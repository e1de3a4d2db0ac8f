"""Verification says three things apart, and an inflated number never verifies."""

from dataclasses import replace
from pathlib import Path

import pytest

from trueweight.bundle.load import Loaded, load_bundle
from trueweight.bundle.save import Contents, save_bundle
from trueweight.bundle.verify import compare_evidence, verify_bundle
from trueweight.errors import VerifyError
from trueweight.evaluate.tipping import Tipping
from trueweight.evidence.record import Data, Entry, Evidence, Interval

HERE = ("this process",)


def changed(evidence: Evidence, id: str, **changes: object) -> Evidence:
    return Evidence(tuple(replace(e, **changes) if e.id == id else e for e in evidence))


def test_unchanged_not_signed_not_asked(saved: Path) -> None:
    found = verify_bundle(saved, allow=HERE)
    assert (found.unchanged, found.changed, found.signed_by, found.reproduced) == (True, [], None, None)
    assert found.ok
    words = "\n".join(found.lines)
    assert "unchanged: yes, 16 files, sha256:" in words
    assert "not signed" in words
    assert "not asked" in words
    assert "answers: as recorded, 16 golden rows" in words


def test_changed_files_are_an_answer_not_an_error(saved: Path) -> None:
    (saved / "plan.json").write_text("{}\n")
    (saved / "extra").write_text("")
    found = verify_bundle(saved, allow=HERE, recompute=lambda loaded: loaded.evidence)
    assert not found.unchanged
    assert not found.ok
    assert found.reproduced is False
    assert [line.split()[0] for line in found.changed] == ["extra", "plan.json"]
    assert found.lines[0].startswith("unchanged: NO")


def test_a_changed_manifest_is_an_answer_too(saved: Path) -> None:
    manifest = saved / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"shop"', '"shoq"'))
    found = verify_bundle(saved, allow=HERE)
    assert not found.unchanged
    assert "manifest.json was changed" in found.changed[0]


def test_not_a_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="not a bundle"):
        verify_bundle(tmp_path)


def test_the_same_numbers_are_reproduced(saved: Path) -> None:
    found = verify_bundle(saved, allow=HERE, recompute=lambda loaded: loaded.evidence)
    assert found.reproduced is True
    assert "reproduced: yes, 5 facts measured again (all but cost)" in found.lines


def test_an_inflated_number_does_not_verify(tmp_path: Path, contents: Contents) -> None:
    """Forged consistently: the bundle is made with the lie in it, so only measuring again can find it."""
    lie = changed(contents.evidence, "quality/bought/roc_auc/test", value=0.85)
    path = save_bundle(tmp_path / "shop.bundle", replace(contents, evidence=lie))

    def honest(loaded: Loaded) -> Evidence:
        return contents.evidence

    found = verify_bundle(path, allow=HERE, recompute=honest)
    assert found.unchanged
    assert found.reproduced is False
    assert not found.ok
    assert "  quality/bought/roc_auc/test: 0.85 stored, 0.83 measured" in found.lines


@pytest.mark.parametrize(
    ("id", "changes", "problem"),
    [
        ("quality/bought/roc_auc/test", {"value": 0.8324}, "0.8324 stored, 0.83 measured"),
        ("quality/bought/roc_auc/test", {"value": 0.99}, "stored"),
        ("quality/bought/log_loss/test", {"value": 0.4395}, "0.4395 stored, 0.44 measured"),
        ("quality/bought/accuracy/test", {"value": 0.81 + 1 / 442}, "0.812262 stored, 0.81 measured"),  # one row
        ("quality/bought/roc_auc/test", {"value": 0.83 - 1 / 442}, "stored"),
        ("quality/bought/roc_auc/test", {"status": "estimated"}, "its status is 'measured', not 'estimated'"),
        ("quality/bought/roc_auc/test", {"status": "not_run", "reason": "-", "value": None}, "said to be not run"),
        ("quality/bought/roc_auc/test", {"value": None}, "said to be measured, 0.83 measured"),
        ("quality/bought/accuracy/test", {"n": 44_200}, "rests on 442 rows, not 44200"),
        ("quality/bought/accuracy/test", {"metric": "f1"}, "its metric is 'accuracy', not 'f1'"),
        ("quality/bought/accuracy/test", {"data": Data("sha256:4567", "test")}, "other rows"),
        ("quality/bought/accuracy/test", {"value": "0.81"}, "stored"),
        ("quality/bought/roc_auc/test", {"interval": None}, "its interval is"),
        ("quality/bought/roc_auc/test", {"interval": Interval(0.82, 0.84, 0.95, "bootstrap")}, "interval 0.82 … 0.84"),
        ("quality/bought/roc_auc/test", {"interval": Interval(0.79, 0.87, 0.99, "bootstrap")}, "its interval is 0.95"),
        ("data/rows", {"value": 443}, "443 stored, 442 measured"),
        ("comparison/bought", {"value": "Better than linear? Yes."}, "stored"),
    ],
)  # fmt: skip
def test_every_kind_of_lie_is_found(evidence: Evidence, id: str, changes: dict, problem: str) -> None:
    wrong = compare_evidence(changed(evidence, id, **changes), evidence)
    assert [mismatch.id for mismatch in wrong] == [id]
    assert problem in wrong[0].problem


def test_a_number_that_nobody_measures_again_does_not_verify(evidence: Evidence) -> None:
    planted = Entry(id="quality/bought/magic/test", axis="quality", metric="magic", target="bought", value=1.0, n=442)
    wrong = compare_evidence(Evidence((*evidence, planted)), evidence)
    assert [mismatch.id for mismatch in wrong] == ["quality/bought/magic/test"]
    assert "not measured again" in wrong[0].problem


def test_an_estimate_does_not_hide_among_the_costs(evidence: Evidence) -> None:
    lie = changed(evidence, "quality/bought/roc_auc/test", axis="cost", value=0.99)
    assert len(compare_evidence(lie, evidence)) == 1


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("quality/bought/accuracy/test", 0.81 + 1e-12),
        ("quality/bought/roc_auc/test", 0.83 - 4e-5),
        ("quality/bought/log_loss/test", 0.44 * (1 + 5e-5)),
        ("cost/train/seconds", 99.0),  # seconds never come out twice
    ],
)
def test_rounding_is_no_lie(evidence: Evidence, id: str, value: float) -> None:
    assert compare_evidence(changed(evidence, id, value=value), evidence) == []


def test_rows_that_hang_by_a_hair_are_granted_and_no_others(evidence: Evidence) -> None:
    lie = changed(evidence, "quality/bought/accuracy/test", value=0.81 + 2 / 442)
    assert compare_evidence(lie, evidence, tipping={"bought": Tipping(2, 2.0, 442.0)}) == []
    assert len(compare_evidence(lie, evidence, tipping={"bought": Tipping(1, 1.0, 442.0)})) == 1
    assert len(compare_evidence(lie, evidence, tipping={"cost": Tipping(2, 2.0, 442.0)})) == 1


def test_what_was_left_out_is_missed(evidence: Evidence) -> None:
    fewer = Evidence(tuple(e for e in evidence if e.metric != "accuracy"))
    assert compare_evidence(fewer, evidence) == []
    (wrong,) = compare_evidence(fewer, evidence, whole=True)
    assert str(wrong) == "quality/bought/accuracy/test: 0.81 measured, left out of the evidence"


def test_the_words_of_a_flag_count_but_for_their_digits(evidence: Evidence) -> None:
    def flagged(reason: str) -> Evidence:
        flag = Entry(id="slices/bought/flag/test", axis="slices", metric="flag", value=1, unit="flag", reason=reason)
        return Evidence((*evidence, flag))

    told = flagged("worse for north: 0.70123 against 0.9")
    assert compare_evidence(flagged("worse for north: 0.70124 against 0.9"), told) == []
    assert len(compare_evidence(flagged("worse for south: 0.70123 against 0.9"), told)) == 1


def test_what_was_not_run_is_not_measured_again() -> None:
    fact = Entry(id="a", axis="quality", metric="roc_auc", status="not_run", reason="no positive row")
    assert compare_evidence(Evidence((fact,)), Evidence()) == []


def test_no_numbers_is_not_reproduced(tmp_path: Path, contents: Contents) -> None:
    path = save_bundle(tmp_path / "shop.bundle", replace(contents, evidence=Evidence()))
    found = verify_bundle(path, allow=HERE, recompute=lambda loaded: loaded.evidence)
    assert found.reproduced is False


def test_claims_are_told_apart(tmp_path: Path, contents: Contents) -> None:
    claim = Entry(id="claim", axis="quality", metric="roc_auc", value=0.99, status="claimed", reason="by its maker")
    more = Evidence((*contents.evidence, claim))
    path = save_bundle(tmp_path / "shop.bundle", replace(contents, evidence=more))
    found = verify_bundle(path, allow=HERE, recompute=lambda loaded: contents.evidence)
    assert found.reproduced is True
    assert any("1 are claims that nobody measured" in line for line in found.lines)


def test_other_golden_answers_are_told(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_bundle(saved, allow=HERE)
    leaf = type(loaded.predictor.members()[0])
    original = leaf.from_state.__func__
    monkeypatch.setattr(leaf, "from_state", classmethod(lambda cls, s, g: replace(original(cls, s, g), nudge=0.1)))
    found = verify_bundle(saved, allow=HERE)
    assert (found.unchanged, found.answers, found.ok) == (True, False, False)
    assert any(line.startswith("answers: NO") for line in found.lines)


def test_a_notebook_shows_the_words(saved: Path) -> None:
    found = verify_bundle(saved, allow=HERE)
    assert repr(found) == "\n".join(found.lines) and found.lines
