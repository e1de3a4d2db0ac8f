"""``explain`` from end to end: what is told, what is refused, and that answers are those of the model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trueweight
from trueweight import api
from trueweight.cli.explain import METHODS as OFFERED
from trueweight.cli.main import run
from trueweight.data.frames import from_frame
from trueweight.data.table import Table
from trueweight.errors import DataError, SpecError
from trueweight.explain.ask import Wish, explain_table
from trueweight.explain.methods import METHODS
from trueweight.explain.record import Attribution, Change, Curve, Example, Weight
from trueweight.explain.usual import canonical, grid_of, usual_row, with_usual


@pytest.fixture(scope="module")
def found(trained: Any) -> Any:
    bundle, rows = trained
    return trueweight.explain(bundle, rows, rows=3, target="won")


def test_every_method_says_something_and_is_checked(found: Any) -> None:
    by_name = {entry.method: entry for entry in found}
    assert list(by_name) == list(METHODS) == list(OFFERED)
    assert by_name["occlusion"].status == "not_applicable"
    for name in ("importance", "shapley", "gradients", "dependence", "counterfactual"):
        entry = by_name[name]
        assert entry.status == "measured", (name, entry.reason)
        assert entry.items and any(proof.status == "passed" for proof in entry.proofs)
    checks = {proof.name: proof.status for proof in by_name["gradients"].proofs}
    assert checks == dict.fromkeys(
        ("completeness", "deletion", "insertion", "randomised weights", "stability"), "passed"
    )  # fmt: skip


def test_what_matters_comes_first(found: Any) -> None:
    assert [item.column for item in found.select("importance")[0].items if isinstance(item, Weight)][0] == "x"
    curves = [item for item in found.select("dependence")[0].items if isinstance(item, Curve)]
    assert curves[0].column == "x" and curves[0].mean[0] < 0.3 < 0.7 < curves[0].mean[-1]
    assert sum(curves[0].share) == pytest.approx(1) and len(curves[0].single) == 20
    kind = next(curve for curve in curves if curve.column == "kind")
    assert kind.grid[int(np.argmax(kind.mean))] == "red" and sum(kind.share) == pytest.approx(1)


def test_rows_are_explained_by_their_own_answers(found: Any, trained: Any) -> None:
    bundle, rows = trained
    answers = bundle.predictor.predict(from_frame(rows))["won"].scores()[:, 1]
    for method in ("shapley", "gradients"):
        items = [item for item in found.select(method)[0].items if isinstance(item, Attribution)]
        assert [item.row for item in items] == [0, 1, 2]
        for item in items:
            assert item.answer == pytest.approx(answers[item.row], abs=1e-6) and item.output == "yes"
            assert sum(item.values) == pytest.approx(item.answer - item.baseline, abs=0.011)


def test_counterfactuals_turn_the_answer_by_few_cells(found: Any, trained: Any) -> None:
    bundle, rows = trained
    for item in found.select("counterfactual")[0].items:
        assert isinstance(item, Change) and item.after is not None and item.before != item.after
        row = {name: [rows[name][item.row]] for name in ("x", "z", "kind", "noise")}
        assert str(bundle.predict(row)["won"][0]) == item.before
        row |= {name: [after if name == "kind" else float(after)] for name, _, after in item.cells}
        assert str(bundle.predict(row)["won"][0]) == item.after and 1 <= len(item.cells) <= 2
    kept = trueweight.explain(bundle, rows, rows=3, target="won", methods=["counterfactual"], keep=["x"])
    assert all(name != "x" for item in kept[0].items for name, _, _ in item.cells)


def test_prototypes_are_kept_rows_only(found: Any, trained: Any) -> None:
    bundle, _ = trained
    items = [item for item in found.select("prototypes")[0].items if isinstance(item, Example)]
    golden = bundle.loaded.golden.table
    assert len(items) == 9 and all(0 <= item.distance <= 1 for item in items)
    assert {item.cells["kind"] for item in items} <= set(golden.column("kind").to_pylist())


def test_it_is_the_same_again(found: Any, trained: Any) -> None:
    bundle, rows = trained
    again = trueweight.explain(bundle, rows, rows=3, target="won", methods=["shapley", "importance"])
    for one in again:
        assert one.items == found.select(one.method)[0].items


def test_numbers_have_no_answer_to_turn(trained: Any) -> None:
    bundle, rows = trained
    asked = ["counterfactual", "shapley"]
    entries = {e.method: e for e in trueweight.explain(bundle, rows, row=4, target="cost", methods=asked)}
    assert entries["counterfactual"].status == "not_applicable"
    assert [item.row for item in entries["shapley"].items] == [4] and entries["shapley"].items[0].output == ""


def test_one_row_alone_is_compared_with_what_is_usual(trained: Any) -> None:
    bundle, rows = trained
    one = {name: cells[:1] for name, cells in rows.items() if name not in ("won", "cost")}
    entries = {e.method: e for e in trueweight.explain(bundle, one, target="won")}
    assert entries["importance"].status == "not_applicable"
    shares = entries["shapley"]
    assert shares.items and {p.status for p in shares.proofs if p.name in ("deletion", "insertion")} == {
        "not_applicable"
    }


def test_a_table_written_in_one_way_gets_the_same_answers(trained: Any) -> None:
    bundle, rows = trained
    texts = {name: [str(cell) for cell in cells] for name, cells in rows.items()}
    plain = canonical(from_frame(texts), bundle.signature)
    ours, theirs = (bundle.predictor.predict(t)["won"].scores() for t in (plain, from_frame(rows)))
    assert np.array_equal(ours, theirs)
    more = with_usual(plain, bundle.signature)
    assert len(more) == len(plain) + 1
    alone = bundle.predictor.predict(usual_row(bundle.signature))["won"].scores()
    assert bundle.predictor.predict(more)["won"].scores()[-1] == pytest.approx(alone[0], abs=1e-6)


def test_grids_stay_among_training_rows(trained: Any) -> None:
    bundle, _ = trained
    facts = bundle.signature.columns
    grid = grid_of(facts["x"])
    assert 2 < len(grid) <= 12 and grid == sorted(grid) and grid[0] > -2.5 and grid[-1] < 2.5
    assert set(grid_of(facts["kind"])) == {"red", "green", "blue"}


@pytest.mark.parametrize(
    ("wish", "error", "said"),
    [
        ({"methods": ["shap"]}, SpecError, "no method 'shap'"),
        ({"target": "x"}, SpecError, "no target 'x'"),
        ({"keep": ["won"]}, SpecError, "no column 'won'"),
        ({"row": 80}, DataError, "no row 80 among 80"),
    ],
)
def test_wishes_that_cannot_be(wish: Any, error: type[Exception], said: str, trained: Any) -> None:
    bundle, rows = trained
    with pytest.raises(error, match=said):
        api.explain(bundle, rows, **wish)


def test_on_the_command_line(trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, rows = trained
    source = tmp_path / "rows.csv"
    lines = [",".join(rows), *(",".join(map(str, row)) for row in zip(*rows.values(), strict=True))]
    source.write_text("\n".join(lines))
    wish = ["explain", str(bundle.path), str(source), "--target", "won", "--row", "1", "--method", "shapley"]
    assert run([*wish, "-o", str(tmp_path / "why.csv")]) == 0
    shown = capsys.readouterr().out
    assert "row 1: probability of yes: " in shown and "Checked: deletion, insertion" in shown
    table = (tmp_path / "why.csv").read_text().splitlines()
    assert table[0].startswith("method,target,status,row,output,column") and len(table) == 5
    assert run([*wish, "-o", str(tmp_path / "why.json"), "--json"]) == 0
    kept = json.loads((tmp_path / "why.json").read_text())
    assert kept == json.loads(capsys.readouterr().out) and kept["schema"] == 1
    assert kept["explanations"][0]["items"][0]["kind"] == "attribution"
    assert run([*wish, "-o", "why.html"]) == 2


class _Refusing:
    """Answers once, and then names a cell in what it says of an error."""

    def __init__(self, predictor: Any) -> None:
        self.signature, self.members, self.state = predictor.signature, predictor.members, predictor.state
        self.predictor, self.asked = predictor, 0

    def predict(self, table: Table, **how: Any) -> Any:
        self.asked += 1
        if self.asked > 1:
            raise ValueError(f"cannot read {table.column('kind')[0].as_py()!r} of Zyxwille")
        return self.predictor.predict(table, **how)


def test_what_an_error_says_of_a_cell_is_not_in_the_record(trained: Any) -> None:
    bundle, rows = trained
    wish = Wish(rows=2, methods=["shapley"], target="won")
    entries = explain_table(_Refusing(bundle.predictor), from_frame(rows), bundle.resolved, wish)
    (entry,) = entries
    assert entry.status == "failed"
    assert str(entry.reason).startswith("a fault of ours: ValueError in ")
    assert "Zyxwille" not in json.dumps(entries.to_json())
