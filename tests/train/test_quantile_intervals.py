"""Intervals whose width follows the row, from a spec to answers."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from trueweight import api
from trueweight.data.frames import from_frame
from trueweight.errors import SpecError
from trueweight.metrics.conformal import coverage_band
from trueweight.metrics.prediction import NumberPrediction
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.conformal import ConformalPredictor
from trueweight.model.protocols import Predictor
from trueweight.spec.load import parse_spec
from trueweight.train.build import fit
from trueweight.train.prepare import prepare


def rows(count: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, z = rng.uniform(0, 1, (2, count))
    return {"x": x, "z": z, "cost": 3 * x + (0.1 + 3 * z) * rng.normal(size=count)}


NET = {"type": "mlp", "hidden_sizes": [16], "members": 2}


@cache
def trained(method: str, net: bool = False) -> Predictor:
    more: dict[str, Any] = {"preset": "fast"}
    if net:
        members = [("linear", "linear", "solve"), ("net", NET, "gradient")]
        keys = ("name", "encoder", "fitter")
        more = {"members": [dict(zip(keys, one, strict=True)) | {"fusion": "concat"} for one in members]}
    raw = {"name": "t", "targets": {"cost": "number"}, "model": more, "train": {"budget": {"steps": 60}},
           "evaluate": {"conformal": {"method": method, "coverage": 0.9}}}  # fmt: skip
    return fit(prepare(from_frame(rows(2400, 0)), parse_spec(raw)), None, None).predictor


def answer(predictor: Predictor, data: dict[str, np.ndarray]) -> NumberPrediction:
    found = predictor.predict(from_frame({"x": data["x"], "z": data["z"]}))["cost"]
    assert isinstance(found, NumberPrediction) and found.low_N is not None and found.high_N is not None
    return found


@pytest.mark.parametrize("net", [False, True])
def test_the_width_follows_the_noise_and_the_promise_is_kept(net: bool) -> None:
    new = rows(3000, 1)
    width, inside = {}, {}
    for method in ("split", "quantile"):
        found = answer(trained(method, net), new)
        width[method] = found.high_N - found.low_N  # type: ignore[operator]
        inside[method] = (found.low_N <= new["cost"]) & (new["cost"] <= found.high_N)
    low, high = coverage_band(240, 0.9, 3000)
    assert low <= inside["quantile"].mean() <= high
    assert width["quantile"].mean() < 0.95 * width["split"].mean()  # the true quantiles would give 0.86
    assert np.ptp(width["split"]) == pytest.approx(0, abs=1e-9)
    assert np.corrcoef(width["quantile"], new["z"])[0, 1] > 0.9
    loud, still = new["z"] > 0.8, new["z"] < 0.2
    # Of a million draws one radius covers 73 % of the loudest fifth and all of the stillest; true quantiles cover 90 %
    # of both. The radius of 240 rows varies, so that what is asked is how far both are apart.
    apart = {method: abs(inside[method][still].mean() - inside[method][loud].mean()) for method in inside}
    assert apart["split"] > 0.1 and apart["quantile"] < 0.07


def test_the_answers_themselves_do_not_change_for_solved_models() -> None:
    new = rows(50, 2)
    np.testing.assert_array_equal(answer(trained("split"), new).value_N, answer(trained("quantile"), new).value_N)


def test_ends_are_blended_by_what_they_are_good_for() -> None:
    predictor = trained("quantile", net=True)
    assert isinstance(predictor, ConformalPredictor) and isinstance(predictor.inner, BlendPredictor)
    assert sum(predictor.inner.ends["cost"]) == pytest.approx(1)
    assert predictor.radii["cost"].of_quantiles


def test_the_resolved_spec_says_which_quantiles_are_learnt() -> None:
    raw = {"targets": {"cost": "number"}, "evaluate": {"conformal": {"method": "quantile", "coverage": 0.9}}}
    ready = prepare(from_frame(rows(200, 3)), parse_spec(raw))
    assert ready.spec.targets["cost"].model_dump()["quantiles"] == [0.05, 0.95]
    assert prepare(from_frame(rows(200, 3)), parse_spec({"targets": {"cost": "number"}})).spec.targets[
        "cost"].model_dump()["quantiles"] is None  # fmt: skip
    with pytest.raises(SpecError, match=r"the lower of two shares between 0 and 1 first, not 0.9 and 0.1"):
        parse_spec({"targets": {"cost": {"type": "number", "quantiles": [0.9, "10%"]}}})


def test_a_bundle_answers_with_its_intervals_and_is_reproduced(tmp_path: Any) -> None:
    import pandas as pd

    data = tmp_path / "rows.csv"
    pd.DataFrame(rows(400, 4)).to_csv(data, index=False)
    raw = {
        "name": "t",
        "targets": {"cost": "number"},
        "model": {"preset": "fast"},
        "evaluate": {"conformal": {"method": "quantile"}, "interval": {"n_resamples": 100}, "checks": ["calibration"]},
    }
    bundle = api.train(str(data), spec=raw, out=tmp_path / "run")
    columns = api.predict(bundle.path, str(data))
    assert list(columns) == ["cost", "cost.low", "cost.high"]
    assert len(np.unique(np.round(columns["cost.high"] - columns["cost.low"], 6))) > 50
    for name in ("linear", "constant"):
        beside = tmp_path / "run" / f"{name}.bundle"
        assert not beside.exists() or list(api.predict(beside, str(data))) == list(columns)
    found = api.verify(bundle.path, recompute=True, data=str(data))
    assert found.reproduced, found.lines
