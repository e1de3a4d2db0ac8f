"""What chooses: the metric asked for, for its target; a loss for the others."""

from typing import Any

import numpy as np
import pytest

from trueweight.data.table import Table
from trueweight.errors import TrainError
from trueweight.metrics.prediction import ClassPrediction
from trueweight.metrics.truth import Truth
from trueweight.spec.load import parse_spec
from trueweight.train import members
from trueweight.train.build import fit
from trueweight.train.prepare import Prepared, prepare
from trueweight.train.selection import selection_score, target_loss

NET = {"type": "mlp", "hidden_sizes": [8], "members": 2}


def ready() -> Prepared:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    won = np.where(x + rng.normal(size=300) > 0, "yes", "no")
    raw: dict[str, Any] = {
        "name": "rows",
        "targets": {"won": "binary", "cost": "number"},
        "model": {
            "members": [
                {"name": "line", "encoder": "linear", "fusion": "concat", "fitter": "solve"},
                {"name": "net", "encoder": NET, "fusion": "concat", "fitter": "gradient"},
            ]
        },
        "train": {"budget": {"steps": 5}, "selection_metric": {"target": "won", "metric": "roc_auc"}},
    }
    return prepare(Table.of({"x": x, "won": won, "cost": 2 * x + rng.normal(size=300)}), parse_spec(raw))


def two_classes(probability: list[float]) -> ClassPrediction:
    p = np.array(probability)
    return ClassPrediction(np.stack([1 - p, p], 1), ("no", "yes"))


def test_the_metric_asked_for_chooses_the_blend_of_its_target(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    plain = members.greedy_blend
    monkeypatch.setattr(members, "greedy_blend", lambda o, t, loss: seen.append((o[0], t, loss)) or plain(o, t, loss))
    prepared = ready()
    fit(prepared, None, None)
    (won, truth, loss), (cost, costs, other) = seen[:2]
    from sklearn.metrics import roc_auc_score

    assert loss(won, truth) == pytest.approx(-roc_auc_score(truth.value, won.probability_NC[:, 1]))
    assert other(cost, costs) == target_loss(prepared.signature.columns["cost"], cost, costs)


def test_one_class_among_the_validation_rows_is_said() -> None:
    prepared = ready()
    truth = Truth(np.ones(4, dtype=np.int64), np.ones(4, dtype=bool))
    with pytest.raises(TrainError, match="all 4 labelled validation rows have the same value") as caught:
        selection_score(prepared.spec, prepared.signature, {"won": two_classes([0.1, 0.2, 0.7, 0.9])}, {"won": truth})
    assert caught.value.where == "train.selection_metric" and "split.validation" in str(caught.value.hint)
