"""Rows in parts: nothing gone is the row itself, and what is planted is found."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.cells import ReadOptions
from trueweight.data.learn import blank_signature, learn_signature
from trueweight.data.pictures import decoded
from trueweight.data.reading import cells_of
from trueweight.data.roles import Role
from trueweight.data.signature import Signature
from trueweight.data.sounds import decode
from trueweight.data.table import Table
from trueweight.explain.asked import Asked, Output
from trueweight.explain.cuts import cell_cut, column_cut
from trueweight.explain.nudge import nudged
from trueweight.explain.occlusion import occlusion
from trueweight.explain.written import png_of, wav_of
from trueweight.metrics.prediction import NumberPrediction, Prediction
from trueweight.registry import registry

ROWS = 12


def signature_of(table: Table, kinds: Mapping[str, Any]) -> Signature:
    roles = []
    for name, kind in kinds.items():
        raw = {"type": kind} if isinstance(kind, str) else kind
        part: Any = registry("column")[raw["type"]]
        roles.append(Role(name, "feature", part.model_validate(raw), ""))
    rows = np.arange(len(table))
    return learn_signature(blank_signature(table, roles, ReadOptions(), rows), table, rows, min_group=1)


@dataclass(frozen=True)
class Looker:
    """Answers a function of a column's cells as they are read."""

    signature: Signature
    look: Any

    def predict(self, table: Table, **_: Any) -> Mapping[str, Prediction]:
        cells = {n: cells_of(table, f, self.signature.options) for n, f in self.signature.columns.items()}
        return {"y": NumberPrediction(np.asarray(self.look(cells), float))}


def asked_of(columns: Mapping[str, Any], kinds: Mapping[str, Any], look: Any) -> Asked:
    table = Table(pa.table({n: pa.array(c) for n, c in columns.items()}))
    looker: Any = Looker(signature_of(table, kinds), look)
    rows = np.arange(3)
    return Asked(looker, "y", table, rows, np.ones(3, bool), (Output(0, "", 1.0),) * 3, np.arange(6, ROWS), 0)


def test_words() -> None:
    said = ["Not good,  not bad: lovely!"] + [f"row {i} 中文 words" for i in range(ROWS - 1)]

    def lovely(cells):
        return [float("lovely" in t) + 0.1 * t.count("not") for t in cells["said"].text_N.to_pylist()]

    asked = asked_of({"said": said}, {"said": {"type": "text"}}, lovely)
    cut = cell_cut(asked, 0, "said")
    assert cut is not None and [p.shown for p in cut.parts] == ["Not", "good,", "not", "bad:", "lovely!"]
    none = np.zeros((1, 5), bool)
    assert cut.without(none).column("said")[0].as_py() == said[0]
    (found,) = occlusion(replace(asked, rows=asked.rows[:1], outputs=asked.outputs[:1]), [cut])
    assert found.value_P == pytest.approx([0.1, 0, 0.1, 0, 1])
    assert (found.answer, found.baseline) == pytest.approx((1.2, 0.0))
    other = cell_cut(asked, 1, "said")
    assert other is not None and [p.shown for p in other.parts][2:4] == ["中", "文"]


def test_patches() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, size=(ROWS, 14, 14, 1)).astype(np.uint8)
    pixels[:, 2:4, 10:12] = 255

    def corner(cells):
        raw = cells["seen"].raw_N.to_pylist()
        return [decoded(file)[2:4, 10:12].mean() for file in raw]

    asked = asked_of({"seen": [png_of(p) for p in pixels]}, {"seen": "image"}, corner)
    cut = cell_cut(asked, 0, "seen")
    assert cut is not None and len(cut.parts) == 49
    same = cut.without(np.zeros((1, 49), bool)).column("seen")[0].as_py()
    assert np.array_equal(decoded(same), pixels[0])
    (found,) = occlusion(replace(asked, rows=asked.rows[:1], outputs=asked.outputs[:1]), [cut])
    assert cut.parts[int(found.value_P.argmax())].place == (2, 10, 4, 12)
    assert np.count_nonzero(np.abs(found.value_P) > 1e-9) == 1


def test_spans_of_sound_and_series() -> None:
    rng = np.random.default_rng(0)
    sounds = [(0.1 * rng.normal(size=1600)).astype(np.float32) for _ in range(ROWS)]
    series = rng.normal(size=(ROWS, 16, 2)).round(3)

    def energy(cells):
        files = cells["heard"].raw_N.to_pylist()
        loud = [float(np.square(decode(f, 16_000, 1.0)[800:880]).sum()) for f in files]
        return [a + cells["moved"].value.row(i)[4:6, 1].sum() for i, a in enumerate(loud)]

    columns = {"heard": [wav_of(s, 16_000) for s in sounds], "moved": series.tolist()}
    asked = asked_of(columns, {"heard": "audio", "moved": "timeseries"}, energy)
    for name, place, count in (("heard", (50, 55), 20), ("moved", (4, 6), 16)):
        cut = cell_cut(asked, 0, name)
        assert cut is not None and len(cut.parts) == count
        whole = asked.predictor.predict(cut.without(np.zeros((1, count), bool)))["y"].scores()[0, 0]
        assert whole == pytest.approx(asked.answers()[0], rel=1e-5)
        (found,) = occlusion(replace(asked, rows=asked.rows[:1], outputs=asked.outputs[:1]), [cut])
        moved = [cut.parts[i] for i in np.flatnonzero(np.abs(found.value_P) > 1e-6)]
        assert [p.place for p in moved] == [place] and moved[0].shown == ("channel 1" if name == "moved" else "")


def test_a_column_is_what_other_rows_have() -> None:
    rng = np.random.default_rng(0)
    columns = {"a": rng.normal(size=ROWS), "b": rng.normal(size=ROWS)}
    asked = asked_of(columns, {"a": "number", "b": "number"}, lambda c: c["a"].value_N + 10 * c["b"].value_N)
    cut = column_cut(asked, 0)
    gone = cut.without(np.array([[False, True]]))
    assert len(gone) == cut.repeat == 4 and set(gone.column("a").to_pylist()) == {columns["a"][0]}
    assert gone.column("b").to_pylist() == [columns["b"][i] for i in asked.background[:4]]


def test_a_nudge_is_small_and_leaves_the_background() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, size=(ROWS, 8, 8, 1)).astype(np.uint8)
    columns = {"a": rng.normal(size=ROWS), "k": list("ab" * 6), "seen": [png_of(p) for p in pixels]}
    asked = asked_of(columns, {"a": "number", "k": "category", "seen": "image"}, lambda c: c["a"].value_N)
    other = nudged(asked)
    assert other is not None
    moved = np.asarray(other.table.column("a").to_numpy())[other.rows] - columns["a"][:3]
    assert (moved != 0).all() and np.abs(moved).max() < 0.05
    assert list(other.table.column("a").to_numpy()[other.background]) == list(columns["a"][6:])
    noisy = decoded(other.table.column("seen")[0].as_py()).astype(int)
    assert 0 < np.abs(noisy - pixels[0]).max() <= 2
    assert other.table.column("k").to_pylist()[:3] == ["a", "b", "a"]
    assert nudged(asked, only="k") is None
