"""Recurrent networks as ONNX files: one file answers for any number of rows and steps, as the network itself does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trueweight.data.batch import Batch
from trueweight.nn.decoding import GREEDY

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript", reason="what torch writes ONNX files with")


class Answering(torch.nn.Module):
    """Inputs in, probabilities out."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Any, rows: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.network.answer(Batch(rows, inputs, {}), GREEDY, {})["kind"]["probability"]
        return answer


def problem_of(make_problem: Any, steps: list[int]) -> Any:
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(count, 2)).round(3).tolist() for count in steps]
    kinds = np.resize(["a", "b", "c"], len(steps))
    return make_problem({"moved": series, "kind": kinds}, {"moved": "timeseries"}, {"kind": "category"})


@pytest.mark.parametrize(
    "encoder",
    [
        pytest.param({"type": "gru", "hidden_size": 6}, id="gru"),
        pytest.param({"type": "lstm", "hidden_size": 6}, id="lstm", marks=pytest.mark.slow),
        pytest.param({"type": "lstm", "hidden_size": 6, "layers": 2, "bidirectional": True}, id="both ways",
                     marks=pytest.mark.slow),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore:.*The axis name:UserWarning"
)  # of torch's exporter
def test_one_file_answers_for_any_number_of_steps(encoder: Any, make_problem: Any, tmp_path: Path) -> None:
    made = problem_of(make_problem, [3, 9, 5, 7, 2, 90, 41, 64])
    predictor = made.predictor(encoder)
    network, feed = predictor.network.eval(), predictor.feed(made.table)
    few = feed.batch(torch.arange(4))
    rows, steps = torch.export.Dim("rows", min=2), torch.export.Dim("steps", min=2)
    each = {f: {k: {0: rows} | ({1: steps} if t.dim() > 1 else {}) for k, t in ts.items()}
            for f, ts in few.inputs.items()}  # fmt: skip
    shapes = (each, {0: rows})
    file = tmp_path / "answers.onnx"
    given = (few.inputs, few.rows)  # a dict that comes last would be taken for named arguments
    answering = Answering(network).eval()
    program = torch.onnx.export(answering, given, dynamo=True, dynamic_shapes=shapes, verbose=False)
    assert program is not None
    program.save(file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    for chosen in ([4, 0], [1, 2, 3], [5, 6, 7, 0, 1], list(range(8))):
        batch = feed.batch(torch.tensor(chosen))
        tensors = [*(t for ts in batch.inputs.values() for t in ts.values()), batch.rows]
        named = dict(zip(names, tensors, strict=True))
        (found,) = session.run(None, {name: tensor.numpy() for name, tensor in named.items()})
        wanted = predictor.predict(made.table.take(np.array(chosen)))["kind"].scores()
        assert found == pytest.approx(wanted, abs=1e-5)  # sums in another order
