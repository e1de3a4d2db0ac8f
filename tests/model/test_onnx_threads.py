"""A few rows are answered by one thread where that is quicker, and get the same answers."""

from typing import Any

import numpy as np
import pytest
import torch

from trueweight.model import onnx_runtime
from trueweight.nn.decoding import GREEDY

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.mark.parametrize("clearly", [0.0, float("inf")], ids=["never", "always"])
def test_few_rows_and_many_get_the_same_answers(
    clearly: float, make_problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_runtime, "_CLEARLY", clearly)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    rng = np.random.default_rng(0)
    x, kind = rng.normal(size=40), rng.choice(["a", "b", "c"], 40)
    made = make_problem({"x": x, "kind": kind}, {"x": "number"}, {"kind": "category"})
    predictor = made.predictor({"type": "mlp", "hidden_sizes": [8]})
    run = onnx_runtime.OnnxRuntime(predictor.network.eval())
    feed, wanted = predictor.feed(made.table), predictor.predict(made.table)["kind"].scores()
    for rows in (40, 1, 16, 17):
        found = run(feed.batch(torch.arange(rows)), GREEDY, {})["kind"]["probability"]
        assert found.numpy() == pytest.approx(wanted[:rows], abs=1e-5)  # sums in another order
    assert (run._alone is None) == (clearly == 0.0)


def test_a_single_thread_needs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert onnx_runtime._quicker_alone(None, None) is None  # type: ignore[arg-type]  # neither is looked at
