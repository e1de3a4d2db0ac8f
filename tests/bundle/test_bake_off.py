"""The bake-off: ways that answer alike are measured, the fastest is kept, and what goes wrong is a row of the table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.bundle.test_onnx_folder import COLUMNS, SMALL_CNN, a_bundle, a_leaf, new_rows

from trueweight.bundle import bake_off as module
from trueweight.bundle.bake_off import WAYS, BakeOff, bake_off
from trueweight.bundle.bundle import Bundle
from trueweight.errors import SpecError, VerifyError
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.runtimes import RUNTIMES, Eager

WON = {"won": {"type": "binary"}}
NUMBER, PICTURE = {"number": COLUMNS["number"]}, {"image": COLUMNS["image"]}


@pytest.fixture
def table(tmp_path: Path) -> Bundle:
    return a_bundle(tmp_path, a_leaf(NUMBER, {"number": {"type": "mlp", "hidden_sizes": [6]}}, WON), NUMBER, WON)


@pytest.fixture
def pictures(tmp_path: Path) -> Bundle:
    return a_bundle(tmp_path, a_leaf(PICTURE, {"image": SMALL_CNN}, WON), PICTURE, WON)


def rows_of(told: BakeOff) -> dict[str, Any]:
    return {timing.way: timing for timing in told.timings}


class Slow:
    """The network, later."""

    def __init__(self, network: Any, seconds: float) -> None:
        self.run, self.seconds = Eager(network), seconds

    def __call__(self, *args: Any) -> Any:
        import time

        time.sleep(self.seconds)
        return self.run(*args)


class Wrong(Eager):
    """Answers a little differently."""

    def __call__(self, *args: Any) -> Any:
        found = super().__call__(*args)
        return {t: {key: value**1.05 for key, value in out.items()} for t, out in found.items()}


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts other runtimes in the place of ours."""

    def put(**makers: Any) -> None:
        for name, maker in makers.items():
            monkeypatch.setitem(RUNTIMES, name, maker)  # type: ignore[arg-type]

    return put


def test_the_fastest_is_kept_and_answers_alike(pictures: Bundle, pretend: Any) -> None:
    pretend(eager=lambda network: Slow(network, 0.02), channels_first=lambda network: Slow(network, 0.01))
    predictor, told = bake_off(pictures.predictor, pictures.loaded.golden, ways=["channels_last", "channels_first"])
    assert told.chosen == "channels_last"
    assert "times as fast as eager" in told.why
    rows = rows_of(told)
    assert rows["channels_last"].reason == "taken"
    assert rows["eager"].network["1"] >= 20
    assert 10 <= rows["channels_first"].network["16"] < rows["eager"].network["16"]
    asked = new_rows(["image"])
    wanted, found = pictures.predictor.predict(asked), predictor.predict(asked)
    np.testing.assert_allclose(found["won"].scores(), wanted["won"].scores(), atol=1e-5)


@pytest.mark.parametrize(
    ("times", "chosen"),
    [
        pytest.param([9.0] * 6, "channels_last", id="faster"),
        pytest.param([9.8] * 6, "eager", id="hardly faster"),
        pytest.param([5.0, 5.0, 5.0, 11.0, 11.0, 11.0], "eager", id="not each time"),
        pytest.param([11.0] * 6, "eager", id="slower"),
    ],
)
def test_a_way_must_be_clearly_faster_each_time(times: list[float], chosen: str, pictures: Bundle) -> None:
    golden = pictures.loaded.golden
    assert golden is not None
    race = module._Race(pictures.predictor, golden, list(module.leaves_of(pictures.predictor)), 10)
    for way in ("eager", "channels_last"):
        assert race.prepared(way).status == "measured"
    for rows in ("1", "16"):
        race.runners["eager"].network[rows] = [10.0] * 6
        race.runners["channels_last"].network[rows] = times
    assert race.choice()[0] == chosen


def test_other_answers_are_out_however_fast(pictures: Bundle, pretend: Any) -> None:
    pretend(eager=lambda network: Slow(network, 0.01), channels_last=Wrong)
    _, told = bake_off(pictures.predictor, pictures.loaded.golden, ways=["channels_last"])
    assert told.chosen == "eager"
    row = rows_of(told)["channels_last"]
    assert row.status == "failed"
    assert "other answers to the golden rows" in row.reason
    assert row.difference is not None
    assert row.difference > 1e-4


def test_what_fails_is_a_row_and_no_error(table: Bundle, pretend: Any) -> None:
    def broken(_: Any) -> Any:
        raise RuntimeError("the compiler said no\nand a lot more")

    pretend(onnx=broken)
    _, told = bake_off(table.predictor, table.loaded.golden, ways=["onnx"])
    assert rows_of(told)["onnx"].status == "failed"
    assert rows_of(told)["onnx"].reason == "RuntimeError: the compiler said no"
    assert told.chosen == "eager"


def test_what_makes_no_sense_or_has_no_time_says_why(table: Bundle) -> None:
    _, told = bake_off(table.predictor, table.loaded.golden, seconds=4)
    rows = rows_of(told)
    assert set(rows) == set(WAYS)
    assert rows["channels_last"].status == "not_applicable"
    assert rows["compiled"].status in ("not_run", "not_applicable")  # without a compiler
    assert "out of time" in rows["compiled"].reason or "compiler" in rows["compiled"].reason
    assert told.seconds < 60
    assert BakeOff.from_json(told.to_json()) == told
    assert len(told.lines()) == 1 + len(WAYS)


def test_without_a_compiler_there_is_a_row(table: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueweight.model.runtimes.shutil.which", lambda _: None)
    _, told = bake_off(table.predictor, table.loaded.golden, seconds=1, ways=["compiled"])
    assert rows_of(told)["compiled"].reason == "there is no C++ compiler"


def test_without_the_packages_there_is_a_row(table: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueweight.model.runtimes.find_spec", lambda _: None)
    _, told = bake_off(table.predictor, table.loaded.golden, seconds=1, ways=["onnx"])
    assert "onnx and onnxruntime not installed" in rows_of(told)["onnx"].reason
    with pytest.raises(SpecError, match="not installed"):
        table.run_as("onnx")


def test_some_models_stay_as_they_are(table: Bundle) -> None:
    constant = ConstantPredictor(table.signature)
    assert bake_off(constant, table.loaded.golden)[1].why == "there is no network in it"
    assert "no golden rows" in bake_off(table.predictor, None)[1].why
    predictor, told = bake_off(table.predictor, table.loaded.golden, seconds=0)
    assert predictor is table.predictor
    assert told.timings == ()


def test_models_that_write_stay_as_they_are(tmp_path: Path) -> None:
    said = {"text": {"type": "text", "max_tokens": 6}}
    leaf = a_leaf(NUMBER, {"number": {"type": "mlp", "hidden_sizes": [6]}}, said)
    bundle = a_bundle(tmp_path, leaf, NUMBER, said)
    assert "models that write" in bake_off(bundle.predictor, bundle.loaded.golden)[1].why
    with pytest.raises(SpecError, match="step by step"):
        bundle.run_as("onnx")


def test_a_bundle_is_run_as_asked(table: Bundle) -> None:
    pytest.importorskip("onnxruntime")
    rows = new_rows(["number"])
    other = table.run_as("onnx")
    assert other.running is not None
    assert other.running.chosen == "onnx"
    assert table.running is None
    for found, wanted in ((other, table), (table.run_as_known(other.running), table)):
        np.testing.assert_allclose(
            found.predict_columns(rows)["won.p[yes]"], wanted.predict_columns(rows)["won.p[yes]"], atol=1e-5
        )
    assert len(other.predict_columns(rows.head(0))["won"]) == 0
    back = other.run_as("eager").predict_columns(rows)["won.p[yes]"]
    np.testing.assert_array_equal(back, table.predict_columns(rows)["won.p[yes]"])
    with pytest.raises(SpecError, match="no convolutions"):
        table.run_as("channels_last")
    with pytest.raises(SpecError, match="unknown runtime 'fast'"):
        table.run_as("fast")


def test_what_answers_differently_is_not_run(pictures: Bundle, pretend: Any) -> None:
    pretend(channels_last=Wrong)
    # Layouts are made ahead, by the same table of makers.
    assert "channels_last" in module.WAYS
    with pytest.raises(VerifyError, match="golden rows get other answers"):
        pictures.run_as("channels_last")


@pytest.mark.parametrize("way", ["channels_last", "channels_first"])
def test_layouts_answer_alike(way: str, pictures: Bundle) -> None:
    rows = new_rows(["image"])
    found = pictures.run_as(way).predict_columns(rows)
    np.testing.assert_allclose(found["won.p[yes]"], pictures.predict_columns(rows)["won.p[yes]"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own
def test_compiled_networks_answer_alike_for_any_number_of_rows(table: Bundle) -> None:
    compiled = table.run_as("compiled")
    for count in (0, 1, 3, 40):
        rows = new_rows(["number"]).head(count)
        found = compiled.predict_columns(rows)["won.p[yes]"]
        np.testing.assert_allclose(found, table.predict_columns(rows)["won.p[yes]"], atol=1e-5)
    many = pa.concat_tables([new_rows(["number"]).data] * 4)  # 160 rows: more than the largest bucket
    from trueweight.data.table import Table

    found = compiled.predict_columns(Table(many))["won.p[yes]"]
    np.testing.assert_allclose(found, table.predict_columns(Table(many))["won.p[yes]"], atol=1e-5)
