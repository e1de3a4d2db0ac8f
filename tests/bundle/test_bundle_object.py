"""The object that people hold: answers, words, later facts beside it."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from trueweight import api
from trueweight.bundle.bundle import Bundle, open_bundle
from trueweight.bundle.card import model_card
from trueweight.bundle.detached import (
    add_detached,
    evidence_folder,
    read_detached,
    read_detached_file,
    require_place,
    write_detached,
)
from trueweight.bundle.judged import read_judged
from trueweight.bundle.load import load_bundle
from trueweight.bundle.save import Contents, save_bundle
from trueweight.data.table import Table
from trueweight.errors import TrainError, VerifyError
from trueweight.evidence.record import Entry, Evidence
from trueweight.files import canonical_json
from trueweight.spec.load import parse_spec

HERE = ("this process",)


@pytest.fixture
def bundle(saved: Path) -> Bundle:
    return open_bundle(saved, allow=HERE)


def test_it_has_what_it_says(bundle: Bundle, saved: Path, contents: Contents) -> None:
    assert bundle.path == saved
    assert bundle.name == "shop"
    assert bundle.evidence == contents.evidence
    assert bundle.card == contents.card
    assert bundle.spec.targets.keys() == {"bought", "cost"}
    assert bundle.signature.rows == 400
    assert bundle.plan == {"steps": 100}


def test_answers_have_the_fixed_columns_key_first(bundle: Bundle) -> None:
    table = Table.of({"colour": ["red", "green"], "customer": [7, 3], "age": ["40", None]})
    columns = bundle.predict_columns(table)
    assert list(columns) == ["customer", "bought", "bought.p[yes]", "cost"]
    assert columns["customer"].tolist() == [7, 3]  # the rows keep their order
    assert columns["customer"].dtype == np.int64
    assert all(len(values) == 2 for values in columns.values())


def test_a_key_with_gaps_keeps_whole_numbers(bundle: Bundle) -> None:
    table = Table(pa.table({"customer": pa.array([7, None]), "age": ["40", "50"]}))
    assert bundle.predict_columns(table)["customer"].tolist() == [7, None]


def test_without_the_key_there_is_none(bundle: Bundle) -> None:
    assert list(bundle.predict_columns(Table.of({"age": ["40"]})))[0] == "bought"


def test_a_table_comes_out_as_a_table(bundle: Bundle) -> None:
    answers = bundle.predict(Table.of({"age": ["40", "50"]}))
    assert isinstance(answers, Table)
    assert answers.names[0] == "bought"


def test_words_for_people(bundle: Bundle) -> None:
    text = repr(bundle)
    assert "bought roc_auc 0.830 (0.790 … 0.870), n = 442" in text
    assert "Better than linear? Not shown." in text
    html = bundle._repr_html_()
    assert "<td>roc_auc</td><td>0.830</td><td>0.790 … 0.870</td><td>442</td>" in html


def test_html_is_escaped(tmp_path: Path, contents: Contents) -> None:
    from dataclasses import replace

    nasty = Evidence((replace(contents.evidence[0], target="<script>alert(1)</script>"),))
    path = save_bundle(tmp_path / "x.bundle", replace(contents, evidence=nasty))
    assert "<script>" not in open_bundle(path, allow=HERE)._repr_html_()


def test_later_facts_lie_beside_the_bundle(saved: Path, evidence: Evidence) -> None:
    before = {path: path.read_bytes() for path in saved.rglob("*") if path.is_file()}
    first = add_detached(saved, evidence, by="somebody@example.org")
    second = add_detached(saved, evidence, by="somebody else")
    assert first.parent == evidence_folder(saved) == saved.parent / "shop.evidence"
    assert {path: path.read_bytes() for path in saved.rglob("*") if path.is_file()} == before
    found = read_detached(saved)
    assert [fact.path for fact in found] == [first, second]
    assert [fact.by for fact in found] == ["somebody@example.org", "somebody else"]
    assert all(fact.matches for fact in found)
    assert found[0].evidence == evidence
    assert found[0].bundle == load_bundle(saved, allow=HERE).manifest.digest


def test_facts_about_another_bundle_are_marked(saved: Path, evidence: Evidence) -> None:
    write_detached(evidence_folder(saved), "sha256:other", evidence, "me")
    assert not read_detached(saved)[0].matches


def test_broken_later_facts_are_refused(saved: Path, evidence: Evidence) -> None:
    file = evidence_folder(saved) / "notes.json"
    add_detached(saved, evidence, by="me")
    for content, problem in (
        ("{}", "not detached evidence"), ("{", "not valid JSON"), ('{"schema": 1e999}', "not valid JSON"),
    ):  # fmt: skip
        file.write_text(content)
        with pytest.raises(VerifyError, match=problem):
            read_detached(saved)


def test_later_facts_that_were_edited_are_refused(saved: Path, evidence: Evidence) -> None:
    file = add_detached(saved, evidence, by="me")
    raw = json.loads(file.read_text())
    file.write_text(canonical_json(raw))  # as it was
    assert read_detached(saved)[0].by == "me"
    file.write_text(canonical_json(raw | {"by": "somebody better"}))
    with pytest.raises(VerifyError, match="changed since they were written") as caught:
        read_detached(saved)
    assert caught.value.where == str(file)
    renamed = file.rename(file.with_name("renamed.json"))  # no digest in the name: nothing is claimed
    assert read_detached_file(renamed).by == "somebody better"


def test_a_place_that_cannot_be_written_to_is_refused_early(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_place(saved.parent / "not" / "yet" / "there.evidence")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != saved.parent)
    with pytest.raises(TrainError, match=r"no permission to write shop\.evidence") as caught:
        require_place(evidence_folder(saved))
    assert caught.value.where == str(saved.parent)
    assert "keep=False" in caught.value.hint
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(TrainError):
        api.evaluate(open_bundle(saved, allow=HERE), "not-even-read.csv")


def test_the_folder_of_a_run_is_no_evidence(saved: Path) -> None:
    shutil.copytree(saved, saved.with_name("constant.bundle"))
    (saved.parent / "plan.json").write_text("{}")
    with pytest.raises(VerifyError, match="is not a bundle") as caught:
        read_judged(saved.parent)
    assert caught.value.hint == f"did you mean {str(saved)!r}?"


def test_no_later_facts(saved: Path) -> None:
    assert read_detached(saved) == []


def spec_with(**bundle: object):
    raw = {"name": "shop", "targets": {"bought": "fake_yes_no"}, "bundle": bundle, "card": {"limits": "not for credit"}}
    return parse_spec(raw)


def test_the_card_says_what_matters(signature, evidence: Evidence) -> None:
    card = model_card(spec_with(), signature, evidence)
    for words in (
        "# Model card: shop",
        "predicts **bought** (fake_yes_no), **cost** (fake_amount) from 2 columns",
        "trained on 400 rows",
        "| bought | roc_auc | 0.830 | 0.790 … 0.870 | 442 |",
        "95 % of the time",
        "Better than linear? Not shown.",
        "| colour | fake_level | 0.75 % | red, green |",
        "not for credit",
        "golden rows are made up",
        "at least 10 training rows",
        "trueweight predict shop.bundle new.csv -o answers.csv",
        "trueweight verify shop.bundle --recompute",
    ):
        assert words in card, words


def test_the_card_admits_what_was_asked_for(signature, evidence: Evidence) -> None:
    card = model_card(spec_with(golden_rows="real", min_group=1), signature, evidence)
    assert "**The bundle holds real rows**" in card
    assert "named even if a single row has them" in card


def test_a_card_without_test_rows_does_not_pretend(signature) -> None:
    assert "is not known" in model_card(spec_with(), signature, Evidence())


def test_a_sealed_run_says_so(signature, evidence: Evidence) -> None:
    from dataclasses import replace

    sealed = Evidence(
        tuple(replace(e, data=replace(e.data, role="validation")) if e.data else e for e in evidence)
        + (
            Entry(
                id="quality/test", axis="quality", metric="all", status="not_run", reason="the test rows stay sealed"
            ),
        )
    )
    card = model_card(spec_with(), signature, sealed)
    assert "is not known" in card
    assert "| bought | roc_auc | 0.830 |" in card
    assert "also chose between models" in card
    assert "not run): the test rows stay sealed" in card
    assert "took no part" not in card


def test_column_names_cannot_break_the_tables(signature, evidence: Evidence) -> None:
    from dataclasses import replace

    columns = {"a|b\n<x>": replace(signature.columns["age"], name="a|b\n<x>")} | dict(signature.columns)
    card = model_card(spec_with(), replace(signature, columns=columns), evidence)
    assert "| a\\|b &lt;x> | fake_number |" in card
