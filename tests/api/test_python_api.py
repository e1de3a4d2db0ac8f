"""Trueweight from Python: one call to train, the same kind of frame out as in, and nothing imported too early."""

import inspect
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import trueweight
from trueweight.api.request import make_request
from trueweight.errors import DataError, SpecError, TrainError, VerifyError
from trueweight.registry import registry
from trueweight.spec.base import PartSpec

FAST = ["model.preset=fast"]


def claims(rows: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size, kind = rng.normal(size=rows), rng.choice(["fire", "water"], size=rows)
    fraud = np.where(size + (kind == "fire") + 0.3 * rng.normal(size=rows) > 0.5, "yes", "no")
    return pd.DataFrame({"nr": [f"c{n}" for n in range(rows)], "size": size, "kind": kind, "fraud": fraud})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    claims().to_csv(folder / "claims.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def bundle(folder: Path) -> "trueweight.Bundle":
    settings = [*FAST, "data.primary_key=nr"]
    return trueweight.train(claims(), target="fraud", budget="5s", settings=settings, out=folder / "run", name="claims")


def test_training_on_a_frame(bundle: "trueweight.Bundle", folder: Path) -> None:
    assert bundle.path == folder / "run" / "claims.bundle"
    assert bundle.name == "claims"
    assert (bundle.path / "manifest.json").is_file()
    assert bundle.spec.train.budget.time == 5.0
    assert bundle.signature.targets()[0].name == "fraud"
    assert bundle.card.startswith("---\nlibrary_name: trueweight\n")
    assert "\n# Model card: claims" in bundle.card


def test_training_on_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for path in ("claims.csv", folder / "claims.csv"):
        found = trueweight.train(path, target=["fraud", "fraud"], settings=FAST, seed=3)
        assert found.path.parent.parent == Path("runs")
        assert found.spec.seed == 3
        assert found.name == "claims"


def test_training_by_a_spec(tmp_path: Path) -> None:
    raw: dict[str, Any] = {"targets": {"fraud": "binary"}, "model": {"preset": "fast"}, "name": "mine"}
    first = trueweight.train(claims(), spec=raw, out=tmp_path / "a")
    (tmp_path / "spec.yaml").write_text("name: mine\ntargets: {fraud: binary}\nmodel: {preset: fast}\n")
    second = trueweight.train(claims(), spec=tmp_path / "spec.yaml", out=tmp_path / "b")
    third = trueweight.train(claims(), spec=first.spec, out=tmp_path / "c")
    same = {name: fact for name, fact in first.manifest.files.items() if name.endswith(".safetensors")}
    assert same
    for other in (second, third):
        assert same.items() <= dict(other.manifest.files).items()


def test_settings_are_recorded(bundle: "trueweight.Bundle") -> None:
    assert "model.preset=fast" in bundle.manifest.settings
    assert "train.budget.time=5s" in bundle.manifest.settings


def test_a_sealed_run_says_so(tmp_path: Path) -> None:
    sealed = trueweight.train(claims(), target="fraud", settings=FAST, out=tmp_path / "run", sealed=True)
    entries = {entry.id: entry for entry in sealed.evidence}
    assert entries["quality/test"].status == "not_run"
    assert not [e for e in sealed.evidence if e.axis == "quality" and e.data and e.data.role == "test"]


def test_the_same_kind_of_frame_comes_out(bundle: "trueweight.Bundle") -> None:
    columns = ["nr", "fraud", "fraud.p[yes]", "fraud.set"]
    frame = claims().drop(columns="fraud").set_index(np.arange(80) * 2 + 5)
    found = bundle.predict(frame)
    assert isinstance(found, pd.DataFrame)
    assert list(found.columns) == columns
    assert found.index.equals(frame.index)
    assert found["nr"].tolist() == frame["nr"].tolist()
    polars = bundle.predict(pl.from_pandas(frame))
    assert isinstance(polars, pl.DataFrame)
    arrow = bundle.predict(pa.Table.from_pandas(frame, preserve_index=False))
    assert isinstance(arrow, pa.Table)
    plain = bundle.predict({name: frame[name].tolist() for name in frame})
    assert isinstance(plain, dict)
    for other in (polars, arrow, plain):
        np.testing.assert_array_equal(np.asarray(other["fraud.p[yes]"]), found["fraud.p[yes]"])


def test_rows_are_answered_one_by_one_as_all_at_once(bundle: "trueweight.Bundle") -> None:
    frame = claims().drop(columns="fraud")
    whole = bundle.predict(frame)["fraud.p[yes]"]
    for n in (0, 7, 79):
        np.testing.assert_allclose(bundle.predict(frame.iloc[[n]])["fraud.p[yes]"], whole[n], rtol=1e-5)


def test_no_rows_give_no_answers(bundle: "trueweight.Bundle") -> None:
    found = bundle.predict(claims().iloc[:0])
    assert isinstance(found, pd.DataFrame)
    assert len(found) == 0
    assert "fraud.p[yes]" in found


def test_predict_function(bundle: "trueweight.Bundle", folder: Path) -> None:
    for source in (folder / "claims.csv", str(folder / "claims.csv"), claims()):
        columns = trueweight.predict(bundle.path, source)
        assert list(columns) == ["nr", "fraud", "fraud.p[yes]", "fraud.set"]
        assert all(len(values) == 80 for values in columns.values())


def test_evaluating(bundle: "trueweight.Bundle", folder: Path) -> None:
    found = bundle.evaluate(claims())
    by_id = {entry.id: entry.value for entry in found}
    assert float(by_id["quality/fraud/roc_auc/other"]) > 0.9  # type: ignore[arg-type]
    kept = folder / "run" / "claims.evidence"
    assert not kept.exists()
    trueweight.evaluate(bundle, folder / "claims.csv", keep=False)
    assert not kept.exists()
    again = trueweight.evaluate(bundle.path, folder / "claims.csv")
    assert len(list(kept.iterdir())) == 1
    assert by_id["quality/fraud/roc_auc/other"] == {e.id: e.value for e in again}["quality/fraud/roc_auc/other"]


def test_evidence_is_at_hand(bundle: "trueweight.Bundle") -> None:
    (verdict,) = bundle.evidence.select(axis="verdict")
    assert "Better than constant?" in str(verdict.value)
    assert bundle.evidence.select(axis="quality", metric="roc_auc")


def test_what_a_notebook_shows(bundle: "trueweight.Bundle") -> None:
    words = repr(bundle)
    assert words.startswith(f"Bundle 'claims' at {bundle.path}, on test rows")
    assert "fraud roc_auc" in words
    html = bundle._repr_html_()
    assert "<table>" in html
    assert "roc_auc" in html


def test_loading(bundle: "trueweight.Bundle") -> None:
    again = trueweight.load(bundle.path)
    assert again.manifest.digest == bundle.manifest.digest
    pd.testing.assert_frame_equal(again.predict(claims()), bundle.predict(claims()))
    assert trueweight.load(str(bundle.path)).name == "claims"


def test_verify_show_check_init(bundle: "trueweight.Bundle", folder: Path) -> None:
    assert trueweight.verify(bundle.path).unchanged
    assert trueweight.verify(bundle.path, recompute=True, data=claims()).reproduced
    facts = trueweight.show(bundle.path)
    assert facts["predict"].startswith("printf ")
    (folder / "claims.yaml").write_text(trueweight.init(folder / "claims.csv", "fraud"))
    report = trueweight.check(folder / "claims.yaml")
    assert report.spec.targets.keys() == {"fraud"}
    assert any("fraud: binary" in line for line in report.lines)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, SpecError, "nothing to train for"),
        ({"target": "fruad"}, DataError, "no column 'fruad'"),
        ({"target": "fraud", "settings": ["seed=x"]}, SpecError, "seed"),
        ({"target": "fraud", "budget": "soon"}, SpecError, "train.budget.time"),
        ({"target": "fraud", "resume": True}, TrainError, "no unfinished run"),
        ({"spec": {"targets": {"fraud": "binery"}}}, SpecError, "did you mean 'binary'"),
    ],
)
def test_mistakes(
    arguments: dict[str, Any], error: type[Exception], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        trueweight.train(claims(), **arguments)
    assert list(tmp_path.iterdir()) == []


class Doubled(PartSpec):
    """A fusion from elsewhere: concat under another name."""

    type: Literal["elsewhere"] = "elsewhere"

    def build(self, forms: Any) -> Any:
        from trueweight.nn.concat import Concat

        return Concat(forms)


def test_parts_of_other_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry("fusion")._parts, "elsewhere", Doubled)
    encoder = ["model.encoder={type: mlp, hidden_sizes: [4]}", "model.fusion=elsewhere", "train.budget.steps=3"]
    # Who trains with a part has chosen it: the run opens its own bundle.
    found = trueweight.train(claims(), target="fraud", settings=encoder, out=tmp_path / "run")
    refused = (trueweight.load, trueweight.show, trueweight.verify)
    for verb in refused:
        with pytest.raises(VerifyError, match="fusion 'elsewhere' from this process"):
            verb(found.path)
    with pytest.raises(VerifyError, match="allow"):
        trueweight.predict(found.path, claims())
    with pytest.raises(VerifyError, match="allow"):
        trueweight.evaluate(found.path, claims())
    allow = ["this process"]
    trueweight.load(found.path, allow=allow)
    assert trueweight.show(found.path, allow=allow)["name"] == "model"
    assert trueweight.verify(found.path, allow=allow).unchanged
    assert len(trueweight.predict(found.path, claims(), allow=allow)["fraud"]) == 80
    assert trueweight.evaluate(found.path, claims(), keep=False, allow=allow)


@pytest.mark.parametrize("name", sorted(set(trueweight.__all__) - {"Bundle", "Estimator", "Regressor", "Writer"}))
def test_every_verb_has_a_docstring(name: str) -> None:
    verb = getattr(trueweight, name)
    words = inspect.getdoc(verb) or ""
    assert len(words.splitlines()) > 2
    if name not in ("check",):
        assert "Args:" in words
        for parameter in inspect.signature(verb).parameters:
            assert f"{parameter}: " in words, f"{name} does not say what {parameter!r} is"


def test_names_are_listed() -> None:
    assert set(trueweight.__all__) <= set(dir(trueweight))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = trueweight.trian


def test_importing_loads_nothing_heavy() -> None:
    program = "import sys, trueweight; trueweight.__version__; dir(trueweight)\n"
    program += "heavy = [n for n in ('torch', 'pyarrow', 'numpy', 'pydantic', 'pandas', 'click') if n in sys.modules]\n"
    program += "sys.exit(str(heavy) if heavy else 0)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "trueweight", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"trueweight, version {trueweight.__version__}\n"


def test_verbs_stay_verbs() -> None:
    """Two of them share their name with a subpackage, which must not take their place once it is imported."""
    program = "import trueweight.train.loop, trueweight.evaluate.measure, trueweight\n"
    program += "from trueweight import train; from trueweight.train.loop import Step\n"
    program += "assert train is trueweight.train and callable(train) and callable(trueweight.evaluate)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("file", "named", "told"),
    [
        ("销售.csv", "model", "which '销售' is not: the model is called 'model'; --name chooses another"),
        ("销售2024.csv", "2024", "which '销售2024' is not: the model is called '2024'"),
        ("Ausgaben für März.csv", "Ausgaben-fur-Marz", None),
        ("claims.csv", "claims", None),
    ],
)
def test_a_name_that_had_to_be_changed_is_told(
    file: str, named: str, told: str | None, make_table: Any, make_csv: Any, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    path = make_csv(tmp_path / file, make_table(60))
    with caplog.at_level(logging.WARNING, "trueweight.api"):
        assert make_request(path, "won", None, {}, [], None).spec.name == named
        assert (told in caplog.text) if told else not caplog.text
        caplog.clear()
        assert make_request(path, "won", None, {"name": "shop"}, [], None).spec.name == "shop"
        assert not caplog.text


def test_a_spec_without_a_name_is_called_as_its_file(make_table: Any, make_csv: Any, tmp_path: Path) -> None:
    """Else as the data's; so that two models of one folder have two names."""
    frame = make_table(60)
    data = make_csv(tmp_path / "claims.csv", frame)
    path, plain = tmp_path / "who won?.yaml", {"targets": {"won": "binary"}}
    path.write_text("version: 1\ndata: {source: claims.csv}\ntargets: {won: binary}\n")

    def called(*asked: Any, **changes: Any) -> str:
        return make_request(*asked, changes, [], None).spec.name

    assert called(None, None, path) == "who-won"
    assert called(frame, None, path) == "who-won"
    assert called(data, None, plain) == "claims"
    assert called(None, None, plain | {"data": {"source": str(data)}}) == "claims"
    assert called(frame, None, plain) == "model"
    assert called(data, None, plain | {"name": "model"}) == "model"  # as it was asked for
    assert called(None, None, path, name="shop") == "shop"
