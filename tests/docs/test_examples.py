"""Every example can be trained as it stands, and does what its comments say."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import trueweight
from trueweight import api

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples with their data."""
    folder = tmp_path_factory.mktemp("examples")
    for spec in EXAMPLES.glob("*.yaml"):
        shutil.copy(spec, folder)
    subprocess.run([sys.executable, str(EXAMPLES / "make_data.py"), str(folder / "data")], check=True)
    return folder


def trained(folder: Path, spec: str, *settings: str) -> "trueweight.Bundle":
    return api.train(spec=folder / spec, settings=settings, out=folder / f"run-{spec}")


@pytest.mark.parametrize("spec", sorted(path.name for path in EXAMPLES.glob("*.yaml")))
def test_an_example_passes_check(folder: Path, spec: str):
    report = api.check(folder / spec)
    assert report.lines and repr(report) == "\n".join(report.lines)


def test_a_line_is_recovered(folder: Path):
    bundle = trained(folder, "linear-regression.yaml")
    answers = api.predict(bundle, folder / "data" / "line-new.csv")["y"]
    np.testing.assert_allclose(answers, [7, 10, 5], atol=1e-5)  # float32 weights: 7 digits


def scores(folder: Path, spec: str, entry: str, *settings: str) -> tuple[float, float]:
    """Of the model and of the linear one beside it, on the same test rows."""
    bundle = trained(folder, spec, *settings)
    linear = api.load(bundle.path.parent / "linear.bundle")
    return bundle.evidence.find(entry).value, linear.evidence.find(entry).value


@pytest.mark.parametrize(
    ("spec", "entry", "least", "above_linear"),
    [
        ("lenet.yaml", "quality/digit/accuracy/test", 0.97, 0.0),
        ("small-photos.yaml", "quality/shows/accuracy/test", 0.88, -0.03),
        ("lstm-series.yaml", "quality/label/accuracy/test", 0.85, 0.3),
        ("lstm-image-rows.yaml", "quality/digit/accuracy/test", 0.96, -0.01),
        ("text-transformer.yaml", "quality/subject/accuracy/test", 0.7, -0.15),  # the commonest subject: 0.38
        ("text-cnn.yaml", "quality/subject/accuracy/test", 0.82, -0.05),
        ("sounds.yaml", "quality/goes/accuracy/test", 0.85, -0.1),
        ("mixed.yaml", "quality/price/r2/test", 0.7, 0.15),
    ],
)
def test_a_classic_learns_what_it_is_for(folder: Path, spec: str, entry: str, least: float, above_linear: float):
    ours, linear = scores(folder, spec, entry)
    assert ours >= max(least, linear + above_linear), (ours, linear)


def test_data_are_the_same_each_time(folder: Path, tmp_path: Path):
    subprocess.run([sys.executable, str(EXAMPLES / "make_data.py"), str(tmp_path)], check=True)
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 600
    assert all((folder / "data" / path).read_bytes() == (tmp_path / path).read_bytes() for path in files)


def test_classes_of_a_folder_are_read(folder: Path):
    bundle = api.train(folder / "data" / "digits", target="label", settings=["model.preset=fast"], out=folder / "run-f")
    assert bundle.evidence.find("quality/label/accuracy/test").value > 0.8


def test_wine_is_told_apart(folder: Path):
    bundle = trained(folder, "wine.yaml")
    assert bundle.evidence.find("quality/cultivar/accuracy/test").value > 0.8


def test_tumours_answer_the_class_that_was_named(folder: Path):
    bundle = trained(folder, "breast-cancer.yaml", "train.budget.epochs=1")
    answers = api.predict(bundle, folder / "data" / "new-tumours.csv")
    assert list(answers) == ["diagnosis", "diagnosis.p[malignant]", "diagnosis.set"]
    said = answers["diagnosis.p[malignant]"] >= 0.3
    assert (answers["diagnosis"] == np.where(said, "malignant", "benign")).all()
    assert bundle.evidence.find("data/split/method").value == "column"
    assert bundle.evidence.find("quality/diagnosis/recall/test").n == 113


def test_two_targets_are_measured_on_the_rows_that_have_them(folder: Path):
    bundle = trained(folder, "several-targets.yaml", "train.budget.epochs=1")
    counts = {t: bundle.evidence.select(axis="quality", target=t)[0].n for t in ("cultivar", "alcohol")}
    assert counts["cultivar"] != counts["alcohol"]
    answers = api.predict(bundle, folder / "data" / "new-wine.csv")
    assert {"cultivar", "alcohol", "alcohol.low", "alcohol.high"} <= set(answers)
    assert "hue" not in [facts.name for facts in bundle.signature.features()]
