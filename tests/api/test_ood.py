"""``predict --ood``: foreign rows stand out, usual ones do not, and models that cannot tell say why."""

import csv
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.data.frames import from_frame
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.together import strangeness, why_unknown
from trueweight.errors import SpecError

SPEC = {"targets": {"won": "binary"}, "model": {"preset": "fast"}, "evaluate": {"checks": ["drift"], "baselines": []}}


def rows(count: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    return {
        "x": x, "near": x + rng.normal(size=count) * 0.1, "kind": rng.choice(["a", "b", "c"], count),
        "won": np.where(x + rng.normal(size=count) > 0, "yes", "no"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return api.train(rows(1500, 0), spec=SPEC, out=tmp_path_factory.mktemp("ood") / "run")


def test_rows_like_those_it_learnt_from_are_below_one(bundle: Bundle) -> None:
    found = api.predict(bundle, rows(3000, 1), ood=True)
    assert list(found)[-1] == "ood" and (found["ood"] >= 0).all()
    # 1 in 100 by design; the threshold of 450 rows is itself known to a factor of about two.
    assert 0.002 < np.mean(found["ood"] > 1) < 0.025


def test_each_foreign_row_stands_out_in_its_own_way(bundle: Bundle) -> None:
    foreign = {
        "x": [0.0, 40.0, 2.0, 0.0, None], "near": [0.0, 40.0, -2.0, 0.0, None], "kind": ["a", "a", "a", "z", None],
    }  # fmt: skip
    score = api.predict(bundle, foreign, ood=True)["ood"]
    assert score[0] < 0.7  # usual
    assert score[1] > 1.5  # far outside every range
    assert score[2] > 1.5  # values that are usual, and never go together
    assert score[3] > 1 and score[4] > 1  # a kind that nobody had; nothing at all
    assert np.isfinite(score).all()


def test_answers_are_the_same_with_and_without(bundle: Bundle) -> None:
    new = rows(50, 2)
    plain, told = api.predict(bundle, new), api.predict(bundle, new, ood=True)
    assert "ood" not in plain
    for name, values in plain.items():
        np.testing.assert_array_equal(values, told[name])
    one = bundle.predict({"x": [1.0], "near": [1.0], "kind": ["a"]}, ood=True)
    assert list(one) == ["won", "won.p[yes]", "won.set", "ood"]


def test_it_is_the_score_that_the_evidence_counts(bundle: Bundle) -> None:
    new = rows(900, 3)
    share = api.evaluate(bundle, new, keep=False).find("drift/ood/other")
    found = api.predict(bundle, new, ood=True)["ood"]
    assert share is not None and share.value == pytest.approx(np.mean(found > 1))
    table, threshold = from_frame(new), bundle.signature.together["threshold"]
    np.testing.assert_allclose(found * threshold, strangeness(bundle.signature, table))


def test_on_the_command_line(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("x,near,kind\n0,0,a\n40,40,a\n")
    command = [sys.executable, "-m", "trueweight", "predict", str(bundle.path), str(tmp_path / "new.csv"), "--ood"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    usual, foreign = csv.DictReader(io.StringIO(done.stdout))
    assert float(usual["ood"]) < 0.7 < 1.5 < float(foreign["ood"])


def test_a_target_of_that_name_keeps_it(tmp_path: Path) -> None:
    data = rows(400, 4)
    data["ood"] = data.pop("won")
    made = api.train(data, spec=SPEC | {"targets": {"ood": "binary"}}, out=tmp_path / "run")
    found = api.predict(made, data, ood=True)
    assert set(found["ood"]) == {"yes", "no"} and found["ood_"].dtype == np.float64


def test_a_model_that_cannot_tell_says_why(tmp_path: Path) -> None:
    few = api.train(rows(150, 5), spec=SPEC, out=tmp_path / "few")
    with pytest.raises(SpecError, match="cannot say how unusual rows are: it has learnt from 9") as told:
        few.predict(rows(3, 6), ood=True)
    assert "it takes 200 to know" in str(told.value) and "leave --ood (ood=True) out" in str(told.value)


def test_why_in_other_words() -> None:
    photo = ColumnFacts("photo", "image", "feature", "", {}, 900, 0, {"count": 900})
    number = replace(photo, name="size", type="number")
    assert "pictures or sounds" in why_unknown(Signature({"photo": photo}, rows=900), 10)
    assert "earlier version" in why_unknown(Signature({"photo": photo, "size": number}, rows=900), 10)
    assert "it takes 400" in why_unknown(Signature({"size": number}, rows=300), 100)
