"""Generated people, models of them that are solved in a moment, and what a check says of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.table import Table
from trueweight.evaluate.checks import CHECKS
from trueweight.evaluate.judging import Judging, Training, judging_of
from trueweight.evaluate.quality import Ask
from trueweight.evidence.record import Data, Entry
from trueweight.spec.load import parse_spec
from trueweight.train.build import fit
from trueweight.train.prepare import prepare

Columns = dict[str, Any]
Judge = Callable[..., Judging]
Look = Callable[[Judging, str], Mapping[str, Entry]]


@pytest.fixture
def people() -> Callable[..., Columns]:
    """Yes or no, and an amount, from numbers and kinds; the region and the gender do not matter."""

    def make(seed: int = 0, rows: int = 1500) -> Columns:
        rng = np.random.default_rng(seed)
        x, z = rng.normal(size=(2, rows))
        kind = rng.choice(["red", "green", "blue", "grey"], rows, p=[0.4, 0.3, 0.2, 0.1])
        score = 2 * x - z + (kind == "red") + rng.normal(size=rows) * 0.7
        return {
            "x": x, "z": z, "kind": kind, "region": rng.choice(["north", "south"], rows),
            "gender": rng.choice(["f", "m"], rows), "won": np.where(score > 0.3, "yes", "no"), "cost": 10 + 3 * score,
        }  # fmt: skip

    return make


@pytest.fixture
def judge() -> Judge:
    """As ``train`` judges: by rows that took no part; or, ``later`` given, as ``evaluate`` judges those."""

    def run(columns: Columns, target: str = "won", later: Columns | None = None, **more: Any) -> Judging:
        kinds = {"won": "binary", "cost": "number", "kind": "category"}
        left = dict.fromkeys({"won", "cost"} - {target}, "ignore")
        base = {"targets": {target: kinds[target]}, "features": left, "model": {"preset": "fast"}}
        evaluate = {"sensitive": {"columns": ["gender"]}, "interval": {"n_resamples": 100}} | more.pop("evaluate", {})
        ready = prepare(Table(pa.table(columns)), parse_spec(base | {"evaluate": evaluate} | more))
        rows, least = ready.split.test, ready.spec.bundle.min_group
        ask = Ask(ready.spec.evaluate, ready.spec.seed, Data("sha256:0", "test"), min_group=least)
        predictor = fit(ready, None, None).predictor
        if later is not None:
            return judging_of(predictor, Table(pa.table(later)), ask)
        cluster = None if ready.cluster_N is None else ready.cluster_N[rows]
        return judging_of(predictor, ready.table.take(rows), ask, cluster, Training(ready, rows))

    return run


@pytest.fixture
def look() -> Look:
    """Entries of one check, by id: all whole, and none failed."""

    def run(judging: Judging, check: str) -> Mapping[str, Entry]:
        entries = CHECKS[check](judging)
        found = {entry.id: entry for entry in entries}
        assert len(found) == len(entries)
        for entry in entries:
            assert entry.axis == check
            assert entry.status in ("measured", "not_applicable"), entry.reason
            assert entry.produced_at
            assert entry.data == judging.ask.data
            assert set(entry.depends_on) <= set(found)
            if entry.interval is not None:
                assert entry.interval.low <= entry.interval.high
        return found

    return run
