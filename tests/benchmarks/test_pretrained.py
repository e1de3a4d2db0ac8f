"""The benchmark of beginning with a folder, on made-up reviews."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from benchmarks.pretrained import from_folder_against_scratch, parted

FOLDER = Path(__file__).parents[1] / "fixtures" / "foreign" / "bert"


def test_all_ways_are_judged_on_the_same_rows(tmp_path: Path):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["the", "cat", "sat", "mat", "line"], 6)) + f" {i}" for i in range(160)]
    table = pa.table({"text": texts, "good": [str(int("cat" in text)) for text in texts]})
    some = parted(table, text="text", target="good", labelled=100, judged=60)
    assert [some["part"].to_pylist().count(part) for part in ("train", "validation", "test")] == [80, 20, 60]
    quick = {"budget": {"steps": 4}, "step_plan": "off"}
    found = from_folder_against_scratch(some, FOLDER, train=quick, out=tmp_path / "runs")
    for other in ("scratch", "defaults"):
        told = found[f"folder minus {other}"]
        assert told["rows"] == found["folder"]["rows"] == found[other]["rows"] == 60
        assert abs(told["value"] - (found["folder"]["roc_auc"] - found[other]["roc_auc"])) < 1e-6
