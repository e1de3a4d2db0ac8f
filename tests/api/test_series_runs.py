"""Series through every verb: from .ts files, from lists, and from tables in long form."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueweight import api
from trueweight.errors import DataError

CASES = 60
FAST = {"model": {"preset": "fast"}, "evaluate": {"baselines": ["constant"]}}


def waves(seed: int = 0) -> tuple[list[list[float]], list[list[float]], list[str]]:
    """Two channels of different lengths; the class is how fast the first one swings."""
    rng = np.random.default_rng(seed)
    one, two, labels = [], [], []
    for case in range(CASES):
        steps, label = int(rng.integers(25, 45)), case % 2
        t = np.arange(steps)
        wave = np.sin(2 * np.pi * t / (12 if label else 7) + rng.uniform(0, 6)) + 0.2 * rng.normal(size=steps)
        one.append(wave.round(4).tolist())
        two.append(rng.normal(size=steps).round(4).tolist())
        labels.append("slow" if label else "fast")
    return one, two, labels


def as_ts(path: Path, seed: int = 0) -> Path:
    one, two, labels = waves(seed)
    lines = [
        ":".join([",".join(map(str, a)), ",".join(map(str, b)), label])
        for a, b, label in zip(one, two, labels, strict=True)
    ]
    head = "@problemName waves\n@univariate false\n@dimensions 2\n@classLabel true fast slow\n@data\n"
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def as_long(path: Path, seed: int = 0, order: bool = True) -> Path:
    one, two, labels = waves(seed)
    rows = [
        [f"case{case}", step, a, b, "room" if case % 3 else "hall", labels[case]]
        for case, pair in enumerate(zip(one, two, strict=True))
        for step, (a, b) in enumerate(zip(*pair, strict=True))
    ]
    if not order:
        rows = [rows[place] for place in np.random.default_rng(1).permutation(len(rows))]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["who", "t", "one", "two", "place", "label"], *rows])
    return path


LONG = {"type": "grouped", "case": "who", "time": "t"}


def test_ts_files_with_a_test_file_of_their_own(tmp_path):
    spec = {
        "data": {"source": str(as_ts(tmp_path / "train.ts"))}, "targets": {"label": "binary"},
        "split": {"test_source": str(as_ts(tmp_path / "test.ts", seed=1))}, **FAST,
    }  # fmt: skip
    bundle = api.train(spec=spec, out=tmp_path / "run")
    assert [member.name for member in bundle.resolved.model.members] == ["rocket"]
    found = {e.id: e.value for e in bundle.evidence}
    assert found["quality/label/accuracy/test"] >= 0.95
    assert len(api.predict(bundle, tmp_path / "test.ts")["label"]) == CASES


@pytest.fixture(scope="module")
def long_bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    source = as_long(folder / "long.csv")
    spec = {"data": {"source": str(source), "cases": LONG}, "targets": {"label": "binary"}, **FAST}
    return api.train(spec=spec, out=folder / "run"), source


def test_a_long_table_goes_the_same_way_at_every_verb(long_bundle, tmp_path):
    bundle, source = long_bundle
    types = {name: (facts.type, facts.role) for name, facts in bundle.signature.columns.items()}
    assert types == {
        "who": ("id", "key"), "series": ("timeseries", "feature"),
        "place": ("binary", "feature"), "label": ("binary", "target"),
    }  # fmt: skip
    assert bundle.signature.columns["series"].learnt["channels"] == 2
    assert bundle.resolved.data.cases.series == bundle.resolved.data.cases.channels == ["one", "two"]
    answers = api.predict(bundle, source)
    assert answers["who"].tolist() == [f"case{case}" for case in range(CASES)]
    mixed = api.predict(bundle, as_long(tmp_path / "mixed.csv", order=False))
    order = np.argsort([int(name[4:]) for name in mixed["who"]])
    np.testing.assert_array_equal(mixed["label.p[slow]"][order], answers["label.p[slow]"])
    evidence = api.evaluate(bundle, as_long(tmp_path / "later.csv", seed=2), keep=False)
    assert next(e.value for e in evidence if e.metric == "accuracy" and e.id.startswith("quality")) >= 0.9
    assert api.verify(bundle.path, recompute=True, data=source).ok


def test_a_later_case_of_one_step_is_still_a_series(long_bundle, tmp_path):
    bundle, _ = long_bundle
    path = tmp_path / "short.csv"
    path.write_text("who,t,one,two,place\nz,1,0.5,0.25,hall\n")
    assert api.predict(bundle, path)["label"].shape == (1,)


def test_rows_that_are_cases_already_are_answered_one_by_one(long_bundle):
    bundle, _ = long_bundle
    one, two, _ = waves()
    steps = [np.column_stack(pair).tolist() for pair in zip(one[:5], two[:5], strict=True)]
    listed = api.predict(bundle, {"series": steps, "place": ["hall", "room", "room", "hall", "room"]})
    whole = api.predict(bundle, long_bundle[1])
    np.testing.assert_allclose(listed["label.p[slow]"], whole["label.p[slow]"][:5], rtol=1e-5, atol=1e-6)


def test_the_line_that_show_prints_can_be_answered(long_bundle, tmp_path):
    bundle, _ = long_bundle
    line = api.show(bundle.path)["predict"]
    made = line.split("'")[1].encode().decode("unicode_escape").replace("%%", "%")
    (tmp_path / "row.csv").write_text(made)
    assert len(api.predict(bundle, tmp_path / "row.csv")["label"]) == 1


def test_init_finds_the_long_form_and_check_agrees(long_bundle, tmp_path):
    text = api.init(long_bundle[1], ["label"])
    assert "cases: {type: grouped, case: who, time: t}" in text or "case: who" not in text
    source = as_long(tmp_path / "a.csv")
    source.write_text(source.read_text().replace("who,", "case_id,", 1))
    text = api.init(source, ["label"])
    assert "cases: {type: grouped, case: case_id, time: t}" in text
    assert "series: {type: timeseries, channels: 2}" in text
    (tmp_path / "a.yaml").write_text(text)
    report = api.check(tmp_path / "a.yaml")
    assert "cases, 4 columns" in report.lines[0]


def test_columns_of_a_long_table_can_keep_encoders_of_their_own(long_bundle, tmp_path):
    spec = {
        "data": {"source": str(long_bundle[1]), "cases": LONG}, "targets": {"label": "binary"},
        "features": {"one": "timeseries"}, **FAST,
    }  # fmt: skip
    bundle = api.train(spec=spec, out=tmp_path / "run")
    assert {"one", "two"} <= bundle.signature.columns.keys()
    assert (bundle.resolved.data.cases.series, bundle.resolved.data.cases.channels) == (["one", "two"], [])
    assert api.verify(bundle.path, recompute=True, data=long_bundle[1]).ok


def test_lists_beside_other_columns_and_a_number_to_predict(tmp_path):
    one, two, labels = waves()
    rng = np.random.default_rng(0)
    frame: dict[str, Any] = {
        "wave": one, "age": rng.normal(size=CASES), "speed": [float(label == "slow") + 1.0 for label in labels],
    }  # fmt: skip
    frame["wave"][3], frame["wave"][4] = None, [0.5, None, float("nan"), 1.0]
    spec = {"targets": {"speed": "number"}, **FAST}
    bundle = api.train(frame, spec=spec, out=tmp_path / "run")
    assert {e.id: e.value for e in bundle.evidence}["quality/speed/r2/test"] > 0.5


@pytest.mark.parametrize("encoder", ["lstm", {"type": "gru", "bidirectional": True, "pooling": "last"}, "rocket",
                                     {"type": "chain", "parts": ["gru", "lstm"]}], ids=str)  # fmt: skip
def test_a_network_that_reads_series_comes_back_as_it_was(tmp_path, encoder):
    one, two, labels = waves()
    paired = [[list(step) for step in zip(a, b, strict=True)] for a, b in zip(one, two, strict=True)]
    if isinstance(encoder, dict) and "parts" not in encoder:
        encoder = {**encoder, "hidden_size": 8}
    spec = {
        "features": {"pair": {"type": "timeseries", "encoder": encoder}}, "targets": {"label": "binary"},
        "model": {"encoder": {"type": "mlp", "hidden_sizes": [8]}},
        "train": {"budget": {"steps": 4}, "batch_size": 16}, "evaluate": {"baselines": []},
    }  # fmt: skip
    bundle = api.train({"pair": paired, "label": labels}, spec=spec, out=tmp_path / "run")
    again = api.load(bundle.path)
    before, after = (api.predict(b, {"pair": paired})["label.p[slow]"] for b in (bundle, again))
    np.testing.assert_array_equal(before, after)
    alone = api.predict(again, {"pair": paired[:1]})["label.p[slow]"]
    np.testing.assert_allclose(alone, after[:1], rtol=1e-4, atol=1e-6)


def test_a_target_that_varies_within_a_case_is_refused(tmp_path):
    path = as_long(tmp_path / "long.csv")
    with pytest.raises(DataError, match="'one' has several values within one case"):
        api.train(spec={"data": {"source": str(path), "cases": LONG}, "targets": {"one": "number"}, **FAST})


def test_nothing_of_a_single_series_is_kept(tmp_path):
    one, _, labels = waves()
    one[7] = [31.25, 77.125, 4242.4242] * 200
    spec = {"targets": {"label": "binary"}, **FAST}
    bundle = api.train({"wave": one, "label": labels}, spec=spec, out=tmp_path / "r")
    for path in bundle.path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not re.search(rb"77\.125|4242\.4242|[ :]600(?![\d.])", content)  # 600 steps, not 600 million bytes
    assert json.loads((bundle.path / "signature.json").read_text())


def test_members_follow_what_the_features_are():
    from trueweight.recipes.facts import Facts
    from trueweight.recipes.resolve import ROCKET_ROWS, resolve
    from trueweight.spec.load import parse_spec

    def members(features: dict[str, str], rows: int = 100, **raw: Any) -> list[str]:
        spec = parse_spec({"targets": {"y": "binary"}, **raw})
        return [m.name for m in resolve(spec, Facts(rows, features, {"y": "binary"})).model.members or []]

    assert members({"a": "number"}) == ["linear", "mlp"]
    assert members({"a": "number", "b": "timeseries"}) == ["linear", "rocket", "mlp"]
    assert members({"b": "timeseries", "c": "timeseries"}) == ["rocket", "mlp"]
    assert members({"b": "timeseries"}, ROCKET_ROWS + 1) == ["linear", "mlp"]
    assert members({"b": "timeseries"}, model={"encoder": "rocket"}) == ["rocket"]
