"""A model with facts of every kind, made by hand, and with names that would be markup if anything let them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from trueweight.data.signature import ColumnFacts, Signature
from trueweight.evidence.record import Curve, Data, Entry, Evidence, Interval, Method
from trueweight.explain.record import Attribution, Explanation, Explanations, Part, Proof
from trueweight.report.examples import Examples
from trueweight.report.subject import Later, Subject
from trueweight.spec.load import parse_spec

HOSTILE = '<script>alert("1")</script>&amp;'
ROWS = Data("sha256:" + "0123" * 16, "test")


def entry(id: str, metric: str, value: Any = None, **more: Any) -> Entry:
    fixed = {"axis": id.split("/")[0], "target": HOSTILE, "data": ROWS, "method": Method(metric, "1", {"k": "<b>"}, 3)}
    return Entry(id=id, metric=metric, value=value, **{**fixed, **more})


def estimate(id: str, metric: str, value: float, **more: Any) -> Entry:
    ends = Interval(value - 0.02, value + 0.02, 0.95, "bootstrap")
    return entry(id, metric, value, **{"interval": ends, "n": 442, **more})


def facts() -> list[Entry]:
    line = Curve("false_positive_rate", "recall", ((0.0, 0.0), (0.1, 0.7), (1.0, 1.0)), n=(0, 200, 242))
    return [
        estimate("quality/t/accuracy/test", "accuracy", 0.81),
        estimate("quality/t/log_loss/test", "log_loss", 0.44),
        estimate("quality/t/recall[yes]/test", "recall[yes]", 0.7),
        estimate(f"quality/t/recall[{HOSTILE}]/test", f"recall[{HOSTILE}]", 0.5),
        estimate("baseline/linear/t/accuracy/test", "accuracy", 0.8),
        estimate("baseline/linear/t/log_loss/test", "log_loss", 0.5),
        estimate("comparison/t/accuracy/linear", "accuracy", 0.01),
        estimate("comparison/t/log_loss/linear", "log_loss", -0.06),
        entry("verdict/t/linear", "accuracy", "Better than linear?", depends_on=("comparison/t/accuracy/linear",)),
        *(entry(f"confusion/t/{i}/{j}/test", f"{a} answered as {b}", 10.0 * (1 + i + j), unit="rows", n=442)
          for i, a in enumerate(("yes", HOSTILE)) for j, b in enumerate(("yes", HOSTILE))),
        entry("curve/t/roc/test", "roc", 3, unit="points", curve=line, n=442),
        estimate("slices/t/accuracy/test/a", "accuracy", 0.6, slice=f"colour = {HOSTILE}", n=40),
        estimate("slices/t/accuracy/test/b", "accuracy", 0.7, slice="colour = red", n=60),
        entry("slices/t/worst_slice_flag/test", "worst_slice_flag", 1, unit="flag", reason=f"{HOSTILE} fails"),
        entry("robustness/t/robustness_flag/test", "robustness_flag", 0, unit="flag"),
        entry("drift/check", "check", None, status="failed", reason="it fell over"),
        entry("fairness/t", "fairness", None, status="not_applicable", reason="no column is sensitive"),
        entry("ledger/test/look", "look", 2, target=None, unit="looks"),
        entry("cost/train/wall_seconds", "wall_seconds", 3.5, unit="s", target=None),
        entry("fit/0/curve/validation", "score of mlp", 3, curve=replace(line, x="step", y="validation_score")),
        entry("data/note/1", "note", f"rows are {HOSTILE}", target=None),
    ]  # fmt: skip


def examples() -> Examples:
    """Words tinted as strongly as can be, a picture's places, columns with errors, and one that failed its check."""

    def one(parts: list[Part], values: tuple[float, ...], status: Any = "measured", column: str = "") -> Explanation:
        item = Attribution(0, HOSTILE, 0.8, 0.5, tuple(parts), values, errors=None if column else (0.1,) * len(values))
        proof = Proof("deletion", "failed" if status == "failed" else "passed", 0.2, reason="told")
        return Explanation("occlusion", "t", (item,), column, (proof,), status, "no better than random")

    words = [Part("note", (place,), word) for place, word in enumerate((HOSTILE, "and", "good"))]
    places = [Part("photo", (0, 0, 2, 2)), Part("photo", (0, 2, 2, 4))]
    columns = [Part("colour", (), "red"), Part("size", (), HOSTILE)]
    found = (
        one(words, (-0.4, 0.2, 0.4), column="note"),
        one(places, (0.4, -0.2), column="photo"),
        one(columns, (0.1, 0.2)),
    )
    return Examples(Explanations((*found, one(columns, (0.1, 0.2), "failed"))), {}, "new.csv")


@pytest.fixture
def subject() -> Subject:
    return made()


@pytest.fixture
def make_subject() -> Callable[..., Subject]:
    return made


def made(entries: list[Entry] | None = None, **changes: Any) -> Subject:
    columns = [
        ColumnFacts("colour", "category", "feature", "guessed", {}, 400, 3),
        ColumnFacts(HOSTILE, "binary", "target", "asked for", {}, 400, 0, {"classes": ["yes", HOSTILE]}),
    ]
    spec = parse_spec({"name": "shop", "targets": {"won": "binary"}, "data": {"source": "folder/shop.csv"}})
    fixed: dict[str, Any] = {
        "name": "shop",
        "created": "2026-01-02T03:04:05Z",
        "digest": "sha256:" + "ab" * 32,
        "trueweight": "0.1.0",
        "torch": "2.13.0",
        "files": {"spec.yaml": "sha256:" + "cd" * 32},
        "parts": {"head": {"binary": "trueweight 0.1.0"}},
        "spec": spec,
        "signature": Signature({c.name: c for c in columns}, rows=400),
        "evidence": Evidence(tuple(facts() if entries is None else entries)),
        "summaries": {"colour": HOSTILE},
        "golden": 16,
        "weights": 12_345,
        "examples": examples(),
        "later": (Later(HOSTILE, "2026-02-03", Evidence(tuple(facts()[:1])), matches=False),),
    }
    return Subject(**{**fixed, **changes})
