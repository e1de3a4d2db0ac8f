"""Whose texts are written at the end of a fit, and that it is asked in a real run."""

import json
from pathlib import Path
from typing import Any

import pytest

from trueweight import api
from trueweight.train import members
from trueweight.train.written import rows_to_write

ROWS, SAID = 500, {"encoder": {"type": "transformer", "width": 16, "layers": 1}}
WRITER = {"type": "text", "decoder": {"type": "transformer", "width": 16, "layers": 1}}
PAIR: dict[str, Any] = {"features": {"asked": {"type": "text", **SAID}}, "targets": {"answer": WRITER}}


@pytest.mark.parametrize(
    ("rows", "tokens", "seconds", "count"),
    [
        (1500, 14.0, 1200.0, 512),
        (1500, 14.0, 600.0, 342),
        (1500, 14.0, 200.0, 0),  # 114, of which chance would decide
        (127, 14.0, None, 0),
        (128, 14.0, None, 128),
        (1500, 100.0, None, 163),
        (1500, 0.0, None, 512),
    ],
)
def test_rows_to_write(rows: int, tokens: float, seconds: float | None, count: int):
    assert rows_to_write(rows, tokens, seconds) == count


def weighed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any], rows: int = ROWS) -> list[str]:
    """What the evidence says of texts written, where every look is worse than the one before."""
    looks = iter(range(1000))
    monkeypatch.setattr(members, "_scorer", lambda *_: lambda _: float(next(looks)))
    numbers = [(f"{n % 7} {n % 5}", f"{n % 5} {n % 7}", n % 3) for n in range(rows)]
    lines = ["asked,answer,class", *(",".join(map(str, row)) for row in numbers)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    given = {
        "data": {"source": "rows.csv"}, "other_features": "ignore", "split": {"validation": 0.3},
        "train": {"budget": {"steps": 12}, **spec.pop("train", {})}, "evaluate": {"checks": [], "baselines": []},
    }  # fmt: skip
    (tmp_path / "texts.yaml").write_text(json.dumps(given | spec))
    bundle = api.train(spec=tmp_path / "texts.yaml", out=tmp_path / "run")
    entries = [entry for entry in bundle.evidence.entries if entry.id.endswith("/written")]
    return [str(entry.value) for entry in entries]


def test_texts_of_validation_rows_are_written_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (told,) = weighed(tmp_path, monkeypatch, dict(PAIR))
    assert told.startswith("chrF of texts written for validation rows: ") and told.endswith(" by the last one")


@pytest.mark.parametrize(
    ("spec", "rows"),
    [
        pytest.param({"targets": {"answer": WRITER}}, ROWS, id="a language model"),
        pytest.param(PAIR, 300, id="too few rows"),
        pytest.param({**PAIR, "targets": {"answer": WRITER, "class": "category"}}, ROWS, id="a class beside"),
        pytest.param(
            {**PAIR, "train": {"selection_metric": {"target": "answer", "metric": "perplexity"}}}, ROWS, id="a metric"
        ),
    ],
)
def test_nothing_is_written_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any], rows: int
):
    assert weighed(tmp_path, monkeypatch, dict(spec), rows) == []
