"""Baselines: bundles of their own that say what they are, fitted again without a clock."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueweight import api
from trueweight.train import solving
from trueweight.train.plan import Plan

NET = {"type": "mlp", "hidden_sizes": [8], "members": 2}


def spec(name: str, **train: Any) -> dict[str, Any]:
    return {
        "name": "rows",
        "targets": {"won": "binary"},
        "model": {"members": [{"name": name, "encoder": NET, "fusion": "concat", "fitter": "gradient"}]},
        "train": {"budget": {"steps": 20} | train},
        "evaluate": {"interval": {"n_resamples": 100}},
    }


def test_each_is_a_bundle_that_says_what_it_is(tmp_path: Path, make_table: Any) -> None:
    api.train(make_table(200), spec=spec("net"), out=tmp_path / "run")
    for name in ("constant", "linear"):
        card = (tmp_path / "run" / f"{name}.bundle" / "MODEL_CARD.md").read_text()
        assert f"\n# Model card: {name}\n\nThis is a baseline: " in card
        assert "that rows has to beat" in card and f"trueweight predict {name}.bundle" in card
        assert api.load(tmp_path / "run" / f"{name}.bundle").resolved.name == name
    assert "This is a baseline" not in (tmp_path / "run" / "rows.bundle" / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(("member", "baseline"), [("net", "linear"), ("linear", "linear baseline")])
def test_a_slow_linear_baseline_comes_out_again(
    member: str, baseline: str, tmp_path: Path, make_csv: Any, make_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_csv(tmp_path / "rows.csv", make_table(200))
    with monkeypatch.context() as slow:  # a machine on which every point of a path overshoots
        ticks = iter(range(1_000_000))
        slow.setattr(solving.Stopwatch, "seconds", lambda _: 10.0 * next(ticks))
        bundle = api.train(data, spec=spec(member, time="5s"), out=tmp_path / "run")
    planned = Plan.from_json(bundle.plan).member(baseline)
    assert planned is not None and [event.kind for event in planned.events] == ["slow"]
    assert Plan.read(tmp_path / "run" / "plan.json").member(baseline) == planned
    found = api.verify(bundle.path, recompute=True, data=data)
    assert found.reproduced, found.lines


def test_without_a_plan_no_clock_decides(tmp_path: Path, make_table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from trueweight.data.table import Table
    from trueweight.evaluate.baselines import fit_baselines
    from trueweight.spec.load import parse_spec
    from trueweight.train.prepare import prepare

    ready = prepare(Table.of(make_table(200)), parse_spec(spec("net", time="1s")))
    begun = time.perf_counter()
    monkeypatch.setattr(solving.Stopwatch, "seconds", lambda _: 1e6 * (time.perf_counter() - begun))
    plans: list[Any] = []
    fit_baselines(ready, on_plan=plans.append)
    assert [(plan.name, plan.seconds, plan.events) for plan in plans] == [("linear", None, ())]


@pytest.mark.parametrize(
    ("target", "evaluate", "calibrates"),
    [
        ({"won": "binary"}, {"conformal": {"coverage": 0.9}, "calibration": {"won": "none"}}, True),
        ({"won": "binary"}, {"conformal": None, "calibration": {"won": "temperature"}}, True),
        ({"won": "binary"}, {"conformal": None}, True),
        ({"won": "binary"}, {"conformal": None, "calibration": {"won": "none"}}, False),
        ({"won": {"type": "binary", "threshold": {"minimize_cost": {"false_positive": 1, "false_negative": 2}}}},
         {"conformal": None, "calibration": {"won": "none"}}, True),
        ({"cost": "number"}, {"conformal": None}, False),
        ({"won": "binary", "cost": "number"}, {"conformal": {"coverage": 0.8}}, True),
    ],
)  # fmt: skip
def test_rows_calibrate_only_where_something_is_calibrated(
    target: Any, evaluate: Any, calibrates: bool, make_table: Any
) -> None:
    from trueweight.data.table import Table
    from trueweight.spec.load import parse_spec
    from trueweight.train.prepare import prepare

    raw = {"name": "rows", "targets": target, "evaluate": evaluate}
    counts = prepare(Table.of(make_table(1000)), parse_spec(raw)).split.counts()
    assert (counts["calibration"] > 0) is calibrates
    assert counts["validation"] + counts["calibration"] == pytest.approx(200, abs=2)


def test_weights_count_in_what_the_constant_answers(make_table: Any) -> None:
    from trueweight.data.table import Table
    from trueweight.evaluate.baselines import fit_baselines
    from trueweight.spec.load import parse_spec
    from trueweight.train.prepare import prepare

    rows = make_table(300)
    rows["w"] = np.where(rows["won"] == "yes", 3.0, 1.0) * (np.arange(300) % 10 > 0)
    raw = spec("net") | {"data": {"sample_weight": "w"}, "evaluate": {"baselines": ["constant"]}}
    ready = prepare(Table.of(rows), parse_spec(raw))
    parts = np.concatenate([ready.split.train, ready.split.validation, ready.split.calibration, ready.split.test])
    assert (rows["w"][parts] > 0).all() and len(np.unique(parts)) == 270
    assert "30 rows of weight 0 left out" in ready.cases.notes
    answer = fit_baselines(ready)["constant"].predict(ready.table.take([0]))["won"].probability_NC[0, 1]
    train = ready.split.train
    assert answer == pytest.approx(np.average(rows["won"][train] == "yes", weights=rows["w"][train]))


def test_members_whose_names_look_alike_in_an_id(make_table: Any) -> None:
    raw = spec("a b")
    raw["model"]["members"].append(raw["model"]["members"][0] | {"name": "a-b"})
    evidence = api.train(make_table(200), spec=raw).evidence
    assert [e.metric for e in evidence if e.id.endswith("/steps")] == ["steps of a b", "steps of a-b"]


def test_metrics_of_intervals_are_compared_with_those_of_baselines(make_table: Any) -> None:
    asked = {"metrics": {"cost": ["coverage", "rmse"]}, "interval": {"n_resamples": 100}}
    raw = {"name": "rows", "targets": {"cost": "number"}, "model": {"preset": "fast"}, "evaluate": asked}
    evidence = api.train(make_table(200), spec=raw).evidence
    ours, theirs = (evidence.find(f"{by}/cost/coverage/test") for by in ("quality", "baseline/constant"))
    assert ours is not None and theirs is not None
    assert ours.status == "measured" and 0.5 < float(ours.value or 0) <= 1
    assert theirs.status == "measured" and 0.5 < float(theirs.value or 0) <= 1
    widths = [evidence.find(f"{by}/cost/interval_width/test").value for by in ("quality", "baseline/constant")]
    assert 0 < widths[0] < widths[1]
