"""The estimator that answers with texts, as users of scikit-learn see it."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import trueweight
from trueweight import Writer
from trueweight.metrics.registry import metric
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth

WORDS = ("null", "eins", "zwei", "drei", "vier")
TINY: dict[str, Any] = {
    "features": {"digits": {"type": "text", "encoder": {"type": "gru", "hidden_size": 16}}},
    "model": {"encoder": {"type": "mlp", "hidden_sizes": [8]}},
    "train": {"budget": {"steps": 60}, "batch_size": 16, "optimizer": {"type": "adamw", "learning_rate": 0.02}},
}
HEAD: dict[str, Any] = {"decoder": {"type": "lstm", "width": 16}, "max_tokens": 12}


def frame(rows: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    digits = [rng.integers(0, 5, 1 + n % 3).tolist() for n in range(rows)]
    said = [" ".join(WORDS[digit] for digit in some) + "!" for some in digits]
    return pd.DataFrame({"digits": [" ".join(map(str, some)) for some in digits], "words": said})


@pytest.fixture(scope="module")
def fitted() -> Writer:
    return Writer(spec=TINY, head=HEAD).fit(frame()[["digits"]], frame()["words"])


def test_it_answers_every_row_with_a_text(fitted: Writer) -> None:
    found = fitted.predict(frame()[["digits"]])
    assert found.shape == (90,)
    assert {type(text) for text in found} == {str}
    assert fitted.n_iter_ == 60
    assert fitted.predictor_.signature.columns["target of this estimator"].learnt["max_tokens"] == 12


def test_the_score_is_chrf(fitted: Writer) -> None:
    rows = frame()
    weight = np.linspace(0, 2, len(rows))
    zero = np.zeros(len(rows))
    answers = TextPrediction(fitted.predict(rows[["digits"]]), zero, zero)
    truth = Truth(rows["words"].to_numpy(object), np.ones(len(rows), bool), weight)
    expected = metric("chrf").compute(answers, truth)
    assert fitted.score(rows[["digits"]], rows["words"], weight) == pytest.approx(expected)
    assert fitted.score(rows[["digits"]], rows["words"]) != expected


def test_targets_may_be_columns_of_any_frame(fitted: Writer) -> None:
    rows = frame()
    expected = fitted.predict(rows[["digits"]])
    for whole in (rows, pl.from_pandas(rows), pa.table(rows)):
        twin = clone(Writer("words", spec=TINY, head=HEAD)).fit(whole)
        np.testing.assert_array_equal(twin.predict(whole), expected)
        assert twin.score(whole) == pytest.approx(fitted.score(rows[["digits"]], rows["words"]))


def test_it_can_be_cross_validated() -> None:
    rows = frame(60)
    spec = TINY | {"train": {"budget": {"steps": 3}, "batch_size": 16}}
    scores = cross_val_score(Writer(spec=spec, head=HEAD), rows[["digits"]], rows["words"], cv=2)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_what_cannot_be_learnt_is_said() -> None:
    rows = frame()
    holes = rows["words"].where(np.arange(len(rows)) % 9 > 0, None)
    with pytest.raises(ValueError, match="10 of 90 values of y are no texts"):
        Writer(spec=TINY, head=HEAD).fit(rows[["digits"]], holes)
    with pytest.raises(ValueError, match="90 of 90 values of y are no texts"):
        Writer(spec=TINY, head=HEAD).fit(rows[["digits"]], range(len(rows)))
    with pytest.raises(ValueError, match="no column 'other'"):
        Writer("other").fit(rows)
    with pytest.raises(ValueError, match="has no value in any row"):
        Writer(spec=TINY, head=HEAD).fit(rows[["digits"]], [""] * len(rows))


def test_it_is_public() -> None:
    assert trueweight.Writer is Writer
