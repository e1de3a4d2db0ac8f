"""Whatever runs the networks, a server answers alike, says what it is, and keeps to it when a model is swapped."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.serve.test_same_answers_http import assert_same

from trueweight.api.serving import verbs_for
from trueweight.bundle.bake_off import BakeOff
from trueweight.bundle.bundle import Bundle
from trueweight.cli.main import run
from trueweight.errors import SpecError
from trueweight.serve.server import Wish

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx", reason="what torch writes ONNX files with")


@pytest.fixture
def asking(serving: Any) -> Any:
    def make(bundle: Bundle, **more: Any) -> Any:
        transport = serving(bundles={bundle.name: bundle}, **more)

        def ask(method: str, path: str, body: Any = None) -> Any:
            content = b"" if body is None else json.dumps(body).encode()
            return json.loads(transport.send(method, path, {"content-type": "application/json"}, content).body)

        return ask

    return make


def test_onnx_answers_over_http_for_every_type_of_column(
    every: Bundle, asked: list[dict[str, Any]], asking: Any
) -> None:
    ask = asking(every.run_as("onnx"))
    expected = every.predict(asked)
    assert_same(ask("POST", "/v1/models/every/predict", asked)["predictions"], expected)
    alone = [ask("POST", "/v1/models/every/predict", row)["predictions"][0] for row in asked]
    assert_same(alone, expected)


def test_what_runs_a_model_is_told(every: Bundle, asking: Any) -> None:
    ask = asking(every.run_as("auto", seconds=2.0))
    (model,) = ask("GET", "/v1/models")["data"]
    told = ask("GET", "/v1/models/every/evidence")["runtime"]
    assert model["runtime"]["name"] == told["chosen"]
    assert {one["way"] for one in told["timings"]} >= {"eager", "onnx", "compiled"}
    plain = asking(every)
    assert plain("GET", "/v1/models")["data"][0]["runtime"] == {"name": "eager"}
    assert plain("GET", "/v1/models/every/evidence")["runtime"] is None


def test_a_swapped_model_is_run_as_was_asked(plain: Bundle, asking: Any) -> None:
    verbs = verbs_for((), Wish([str(plain.path)], runtime="onnx"))
    ask = asking(verbs.load(plain.path), verbs=verbs)
    row = {"amount": 0.4, "kind": "red"}
    before = ask("POST", "/v1/models/plain/predict", row)["predictions"]
    assert ask("POST", "/v1/models/plain/reload")["runtime"]["name"] == "onnx"
    assert ask("POST", "/v1/models/plain/predict", row)["predictions"] == before


def test_workers_are_told_what_was_measured(plain: Bundle) -> None:
    known = BakeOff(chosen="onnx", why="2.0 times as fast", threads=1)
    wish = Wish([str(plain.path)], known={plain.manifest.digest: known.to_json()})
    assert verbs_for((), wish).load(plain.path).running == known


def test_runtimes_that_there_are_not_are_refused(plain: Bundle, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SpecError, match="unknown runtime 'fast'"):
        Wish([str(plain.path)], runtime="fast").checked()
    asked = ["serve", str(plain.path), "--open", "--no-audit", "--port", "0", "--runtime", "channels_last"]
    assert run(asked) == 2
    assert "no convolutions of pictures" in capfd.readouterr().err


def test_export_from_the_command_line(plain: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import trueweight

    out = tmp_path / "plain-onnx"
    assert run(["export", str(plain.path), "--to", "onnx", "--output", str(out), "--bake-off", "2"]) == 0
    printed = capfd.readouterr()
    assert printed.out.strip() == str(out)
    assert "runtime " in printed.err
    row = [{"amount": 0.4, "kind": "red"}]
    found, wanted = trueweight.open_onnx(out).predict(row)[0], plain.predict(row)[0]
    assert found["won"] == wanted["won"]
    assert found["won.p[yes]"] == pytest.approx(wanted["won.p[yes]"], abs=1e-5)
    assert run(["export", str(plain.path), "--to", "onnx", "-o", str(out)]) != 0
