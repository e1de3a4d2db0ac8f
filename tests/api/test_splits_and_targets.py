"""Every split, every kind of target, and what dirty rows do, from a table to a measured bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.cli.tables import data_remarks
from trueweight.data.frames import from_frame
from trueweight.errors import DataError
from trueweight.spec.load import parse_spec
from trueweight.train.prepare import Prepared, prepare


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def spec(target: Any = None, **parts: Any) -> dict[str, Any]:
    quick = {"model": {"preset": "fast"}, "evaluate": {"interval": {"n_resamples": 100}}}
    return {"name": "rows", "targets": target or {"won": "binary"}} | quick | parts


def ready(data: Any, **parts: Any) -> Prepared:
    return prepare(from_frame(data), parse_spec(spec(**parts)))


def value(bundle: Bundle, id: str) -> Any:
    return bundle.evidence.find(id).value


def notes(bundle: Bundle) -> str:
    return "; ".join(str(e.value) for e in bundle.evidence if e.id.startswith("data/note/"))


def verified(bundle: Bundle, data: Any) -> bool:
    found = api.verify(bundle.path, recompute=True, data=data)
    assert found.ok, found.lines
    return bool(found.reproduced)


def days(rows: int) -> np.ndarray:
    return np.datetime64("2025-01-01", "D") + np.arange(rows)


# Splits


@pytest.mark.parametrize("method", ["random", "stratified"])
def test_by_share(method: str, make_table: Any) -> None:
    data = make_table(300)
    bundle = api.train(data, spec=spec(split={"method": method, "validation": 0.2, "test": 0.25}))
    counts = [value(bundle, f"data/rows/{part}") for part in ("train", "validation", "calibration", "test")]
    assert counts[3] == pytest.approx(75, abs=2)
    assert sum(counts) - counts[2] == 300  # cross-fitted: the same rows select and calibrate
    assert value(bundle, "data/split/method") == method
    assert verified(bundle, data)


def test_by_group(make_table: Any) -> None:
    data = make_table(300) | {"customer": np.repeat([f"customer {i}" for i in range(60)], 5)}
    parts = {"split": {"method": "group", "group": "customer"}}
    split = ready(data, **parts).split
    sides = [set(data["customer"][rows]) for rows in (split.train, split.validation, split.test)]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    bundle = api.train(data, spec=spec(**parts))
    assert "customer" not in [c.name for c in bundle.signature.features()]
    assert bundle.evidence.find("quality/won/log_loss/test").interval.method == "clustered bootstrap"
    assert verified(bundle, data)


def test_by_time_with_a_gap(make_table: Any) -> None:
    data = make_table(200) | {"day": days(200)[::-1]}
    parts = {"split": {"method": "time", "time_column": "day", "gap": "5d"}}
    split = ready(data, **parts).split
    late, early = data["day"][split.test], data["day"][split.train]
    chosen = data["day"][np.union1d(split.validation, split.calibration)]
    assert early.max() < chosen.min() - np.timedelta64(5, "D") + 1
    assert chosen.max() < late.min() - np.timedelta64(5, "D") + 1
    assert len(split.dropped) == 10
    bundle = api.train(data, spec=spec(**parts))
    assert value(bundle, "data/rows/gap") == 10
    assert "10 rows in split.gap are used by nobody" in "".join(data_remarks(bundle.evidence))
    assert verified(bundle, data)


def test_columns_that_teach_nothing_are_told(make_table: Any) -> None:
    nothing = {"all": ["same"] * 80, "none": [""] * 80, "far": ["inf"] * 80, "too": ["same"] * 80, "left": ["a"] * 80}
    parts = {"features": {"left": {"type": "ignore"}}, "model": {"preset": "fast"}}
    told = "\n".join(data_remarks(api.train(make_table(80) | nothing, spec=spec(**parts)).evidence))
    assert "  left out 'all', 'too': constant: nothing to learn\n" in told
    assert "  left out 'none': no values at all\n" in told
    assert "  left out 'far': all 80 values are infinite: nothing to learn" in told
    assert "'left'" not in told


def test_by_time_counts_groups_on_both_sides(make_table: Any) -> None:
    customer = np.concatenate([np.arange(180), np.arange(20)])  # the last twenty came back
    data = make_table(200) | {"day": days(200), "customer": customer}
    wish = {"method": "time", "time_column": "day", "group": "customer", "test": 0.1, "validation": 0.1}
    bundle = api.train(data, spec=spec(split=wish))
    assert value(bundle, "honesty/groups") == 20
    assert "20 groups have rows on both sides" in "".join(data_remarks(bundle.evidence))
    assert verified(bundle, data)


def test_rows_that_belong_together_are_named(make_table: Any) -> None:
    data = make_table(300) | {"customer_id": np.repeat([f"c{n}" for n in range(60)], 5), "day": days(300)}
    bundle = api.train(data, target="won", settings=["model.preset=fast"])
    told = notes(bundle)
    assert "'customer_id' repeats (60 values in 300 rows): split.group would keep its rows together" in told
    assert "rows are in the order of 'day': split.time_column" in told
    assert verified(bundle, data)
    kept = notes(api.train(data, spec=spec(split={"method": "group", "group": "customer_id"})))
    assert kept == "60 validation rows are too few to halve: calibration is cross-fitted on them"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_by_time_in_numbers_of_any_unit(unit: str, make_table: Any) -> None:
    data, shuffled = make_table(200), np.random.default_rng(0).permutation(200)
    day = days(200)[shuffled]
    moments = day.astype(f"datetime64[{unit}]").astype(np.int64)
    by = {"method": "time", "time_column": "moment"}
    one, other = (ready(data | {"moment": column}, split=by).split for column in (moments, day))
    assert [*one.test] == [*other.test]
    assert [*one.train] == [*other.train]
    if unit == "s":
        assert len(ready(data | {"moment": moments}, split=by | {"gap": "5d"}).split.dropped) == 10
    else:
        with pytest.raises(DataError, match="too many to be seconds"):
            ready(data | {"moment": moments}, split=by | {"gap": "5d"})


def test_by_time_from_a_date(make_table: Any) -> None:
    data = make_table(200) | {"day": days(200).astype(str)}
    begin = {"validation": {"from": "2025-05-01"}, "test": {"from": "2025-06-10"}}
    parts = {"split": {"method": "time", "time_column": "day", **begin}}
    split = ready(data, **parts).split
    assert min(data["day"][split.test]) == "2025-06-10"
    assert min(data["day"][np.union1d(split.validation, split.calibration)]) == "2025-05-01"
    assert max(data["day"][split.train]) == "2025-04-30"
    assert verified(api.train(data, spec=spec(**parts)), data)


def test_by_column(make_table: Any) -> None:
    data = make_table(120) | {"part": np.repeat(["train", "val", "test", ""], [70, 20, 20, 10])}
    parts = {"split": {"method": "column", "column": "part"}}
    split = ready(data, **parts).split
    assert (len(split.train), len(split.validation), len(split.test), len(split.dropped)) == (70, 20, 20, 10)
    assert verified(api.train(data, spec=spec(**parts)), data)


def test_by_column_with_an_unknown_word(make_table: Any) -> None:
    data = make_table(120) | {"part": np.repeat(["train", "holdout"], 60)}
    with pytest.raises(DataError, match="the split column says 'holdout'"):
        ready(data, split={"method": "column", "column": "part"})


def test_by_files(tmp_path: Path, make_csv: Any, make_table: Any) -> None:
    for name, rows, seed in (("train", 120, 0), ("later", 40, 1), ("test", 50, 2)):
        make_csv(tmp_path / f"{name}.csv", make_table(rows, seed))
    parts = {"split": {"method": "files", "validation_source": "later.csv", "test_source": "test.csv"}}
    bundle = api.train(spec=spec(data={"source": "train.csv"}, **parts))
    assert [value(bundle, f"data/rows/{part}") for part in ("train", "validation", "test")] == [120, 40, 50]
    assert verified(bundle, "train.csv")


def test_no_test_rows(make_table: Any) -> None:
    data = make_table(200)
    bundle = api.train(data, spec=spec(split={"test": 0}))
    assert bundle.evidence.find("quality/test").status == "not_run"
    assert {e.data.role for e in bundle.evidence.select(axis="quality") if e.data} == {"validation"}
    assert verified(bundle, data)


def test_sealed(make_table: Any) -> None:
    data = make_table(200)
    bundle = api.train(data, spec=spec(), sealed=True)
    assert "sealed" in bundle.evidence.find("quality/test").reason
    assert {e.data.role for e in bundle.evidence.select(axis="quality") if e.data} == {"validation"}
    assert not Path("runs/looks.jsonl").exists()
    assert verified(bundle, data)


def test_looks_are_counted(make_table: Any) -> None:
    for look in (1, 2):
        assert value(api.train(make_table(100), spec=spec()), "ledger/test/look") == look


# Rows that repeat


def test_copies_stay_on_one_side(make_table: Any) -> None:
    data = {name: np.concatenate([column, column[:12]]) for name, column in make_table(200).items()}
    found = ready(data)
    side = np.zeros(212, dtype=int)
    for number, rows in enumerate((found.split.train, found.split.validation, found.split.test)):
        side[rows] = number
    assert (side[:12] == side[200:]).all()
    assert len(found.twins) == 0
    assert found.repeats == 12


def test_coincidences_are_counted_and_left_out_once(make_table: Any) -> None:
    data = make_table(300)
    few = {"kind": data["kind"], "x": np.round(data["x"]), "won": data["won"]}
    bundle = api.train(few, spec=spec())
    twins = value(bundle, "honesty/twins")
    assert twins > 10
    whole = bundle.evidence.find("quality/won/accuracy/test")
    without = [e for e in bundle.evidence if e.id == "quality/won/accuracy/test/without twins"]
    assert [e.n for e in without] == ([whole.n - twins] if twins < whole.n else [])
    assert verified(bundle, few)


def test_repeated_rows_are_dropped_if_asked(make_table: Any) -> None:
    data = {name: np.concatenate([column, column[:12]]) for name, column in make_table(200).items()}
    bundle = api.train(data, spec=spec(data={"drop_duplicates": True}))
    assert "12 rows that repeat an earlier one dropped" in notes(bundle)
    assert sum(value(bundle, f"data/rows/{part}") for part in ("train", "validation", "test")) == 200
    assert verified(bundle, data)


def test_a_leak_is_named(make_table: Any) -> None:
    data = make_table(300)
    data["paid"] = np.where(data["won"] == "yes", 1.0, 0.0) + 0.001 * data["x"]
    bundle = api.train(data, spec=spec())
    assert bundle.evidence.find("honesty/leak/0").metric == "paid alone tells won"
    clean = api.train(make_table(300) | {"cost": np.zeros(300)}, spec=spec(features={"cost": "ignore"}))
    assert value(clean, "honesty/leak") == 0


# Labels


def test_rows_without_any_label_are_left_out(make_table: Any) -> None:
    data = pd.DataFrame(make_table(200)).assign(won=lambda d: d["won"].where(d.index % 10 > 0))
    bundle = api.train(data, spec=spec())
    assert "20 rows without any label left out" in notes(bundle)
    assert verified(bundle, data)


def test_a_missing_label_masks_its_own_target_only(make_table: Any) -> None:
    full = make_table(300)
    gaps = pd.DataFrame(full)
    gaps.loc[gaps.index % 3 == 0, "cost"] = None
    targets = {"won": "binary", "cost": "number"}
    bundle = api.train(gaps, spec=spec(targets))
    won, cost = (bundle.evidence.find(f"quality/{name}/test") for name in ("won/accuracy", "cost/rmse"))
    assert cost.n < won.n == value(bundle, "data/rows/test")
    alone = api.train(full | {"cost": np.zeros(300)}, spec=spec({"won": "binary"}, features={"cost": "ignore"}))
    new = make_table(20, seed=9)
    assert bundle.predict(new)["won.p[yes]"] == pytest.approx(alone.predict(new)["won.p[yes]"], abs=1e-6)
    assert verified(bundle, gaps)


def test_rows_of_no_weight_have_no_influence(make_table: Any) -> None:
    data = make_table(300) | {"w": np.ones(300)}
    del data["won"]
    wish = spec({"cost": "number"}, data={"sample_weight": "w"}, features={"kind": "category"})
    train = prepare(from_frame(data), parse_spec(wish)).split.train
    idle = train[::3]
    spoilt = {name: column.copy() for name, column in data.items()}
    for table in (data, spoilt):
        table["w"][idle] = 0
    spoilt["cost"][idle] += 50
    new = make_table(20, seed=9)
    one, other = (api.train(table, spec=wish).predict(new)["cost"] for table in (data, spoilt))
    assert one == pytest.approx(other, rel=1e-6)


def test_weights_weigh_the_metrics(make_table: Any) -> None:
    data = make_table(200) | {"w": np.ones(200)}
    wish = spec(data={"sample_weight": "w"})
    test = prepare(from_frame(data), parse_spec(wish)).split.test
    data["w"][test[: len(test) // 2]] = 1e-9  # of weight 0, they would not be split at all
    bundle = api.train(data, spec=wish)
    judged = {name: column[test[len(test) // 2 :]] for name, column in data.items()}
    right = (bundle.predict(judged)["won"] == judged["won"]).mean()
    assert value(bundle, "quality/won/accuracy/test") == pytest.approx(right)
    assert verified(bundle, data)


def test_sets_and_vectors(make_table: Any) -> None:
    data = make_table(300)
    red, tall = data["kind"] == "red", data["x"] > 0
    tags = [[word for word, on in (("red", r), ("tall", t)) if on] for r, t in zip(red, tall, strict=True)]
    place = np.stack([data["x"] + data["z"], 2 * data["z"]], 1)
    frame = pd.DataFrame({"x": data["x"], "z": data["z"], "kind": data["kind"], "tags": tags, "place": list(place)})
    bundle = api.train(frame, spec=spec({"tags": "set", "place": "vector"}))
    assert value(bundle, "quality/tags/f1_micro/test") > 0.95
    assert value(bundle, "quality/place/r2/test") > 0.999
    answers = bundle.predict(frame.drop(columns=["tags", "place"]).head(5))
    assert {"tags", "tags.p[red]", "place"} <= set(answers.columns)
    assert verified(bundle, frame)


def test_intervals_by_cluster(make_table: Any) -> None:
    data = make_table(300) | {"shop": np.repeat(np.arange(20), 15)}
    rows = api.train(data, spec=spec(features={"shop": "ignore"}))
    shops = {"interval": {"n_resamples": 100, "cluster": "shop"}}
    bundle = api.train(data, spec=spec(evaluate=shops, features={"shop": "ignore"}))
    one, other = (b.evidence.find("quality/won/log_loss/test") for b in (rows, bundle))
    assert one.value == pytest.approx(other.value)
    assert one.interval != other.interval
    assert verified(bundle, data)


# Few columns


def test_nothing_to_learn_from_is_refused_with_the_reasons(make_table: Any) -> None:
    data = make_table(60)
    with pytest.raises(DataError, match="is its delimiter right"):
        api.train({"won": data["won"]}, spec=spec())
    ignored = dict.fromkeys(("x", "z", "kind", "cost"), "ignore")
    with pytest.raises(DataError, match="kind: asked to be left out"):
        api.train(data, spec=spec(features=ignored))


def test_one_feature(make_table: Any) -> None:
    data = {name: make_table(120)[name] for name in ("x", "won")}
    assert verified(api.train(data, spec=spec()), data)


def test_two_columns_of_dates() -> None:
    day = days(150)
    data = {"sent": day, "due": day[::-1], "late": np.where(day > day[::-1], "yes", "no")}
    bundle = api.train(data, spec=spec({"late": "binary"}))
    assert value(bundle, "quality/late/roc_auc/test") > 0.95
    assert verified(bundle, data)


def test_a_line_is_recovered_exactly() -> None:
    x = np.linspace(-3, 7, 60)
    bundle = api.train({"x": x, "y": 3 * x + 2}, target="y", settings=["model.preset=fast"])
    new = np.array([-100.0, 0.0, 0.5, 12.25])
    assert bundle.predict({"x": new})["y"] == pytest.approx(3 * new + 2, rel=1e-6)


def test_files_of_the_short_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, rows in (("early", 120), ("late", 40)):
        lines = [f"{i % 7},{'yes' if i % 7 > 3 else 'no'}" for i in range(rows)]
        (tmp_path / f"{name}.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    settings = ["split.test_source=late.csv", "model.preset=fast"]
    bundle = api.train("early.csv", target="y", settings=settings)
    assert bundle.evidence.find("data/rows/test").value == 40
