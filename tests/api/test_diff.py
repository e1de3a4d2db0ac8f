"""Two models side by side: sharp on the same rows, honest where rows were not shared, and a no for what is worse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.bundle.detached import add_detached, evidence_folder, write_detached
from trueweight.cli.main import run
from trueweight.errors import SpecError
from trueweight.evaluate.diff import changed_flags, unpaired_lines
from trueweight.evidence.record import Data, Entry, Evidence, Interval

Make = Callable[..., dict[str, np.ndarray]]

QUICK = {"model": {"preset": "fast"}, "evaluate": {"interval": {"n_resamples": 200}, "baselines": []}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diff")


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 400))
    score = x - z + rng.normal(scale=0.4, size=400)
    return {"x": x, "z": z, "won": np.where(score > 0.3, "yes", "no"), "cost": (10 + 3 * score).round(3)}


@pytest.fixture(scope="module")
def models(home: Path, rows: dict[str, np.ndarray]) -> dict[str, Bundle]:
    """One that knows all, one that knows half, and one that was judged by other rows."""

    def train(name: str, features: list[str], **more: Any) -> Bundle:
        chosen = {"features": dict.fromkeys(features, "number"), "other_features": "ignore"}
        spec = {"name": name, "targets": {"won": "binary", "cost": "number"}} | QUICK | chosen | more
        return api.train(rows, spec=spec, out=home / name)

    return {"whole": train("whole", ["x", "z"]), "half": train("half", ["x"]),
            "other": train("other", ["x", "z"], seed=5)}  # fmt: skip


def test_on_the_same_rows_the_worse_one_is_found(models: dict[str, Bundle], rows: dict[str, np.ndarray]) -> None:
    found = api.diff(models["whole"], models["half"], rows)
    assert found.paired
    assert "the same 80 test rows" in found.how
    assert found.worse == ["won", "cost"]
    rmse = next(line for line in found.lines if (line.target, line.metric) == ("cost", "rmse"))
    stored = [models[name].evidence.find("quality/cost/rmse/test").value for name in ("whole", "half")]
    assert (rmse.a, rmse.b) == pytest.approx(tuple(stored))
    assert rmse.difference == pytest.approx(stored[1] - stored[0])
    assert rmse.low is not None
    assert 0 < rmse.low < rmse.difference < rmse.high  # type: ignore[operator]
    assert api.diff(models["half"], models["whole"], rows).ok


def test_pairing_is_sharper_than_two_intervals(models: dict[str, Bundle], rows: dict[str, np.ndarray]) -> None:
    paired, apart = (api.diff(models["whole"], models["half"], data) for data in (rows, None))
    assert not apart.paired
    assert "add --data" in apart.how
    widths = [[line.high - line.low for line in found.lines if line.verdict and line.metric == "rmse"]  # type: ignore[operator]
              for found in (paired, apart)]  # fmt: skip
    assert widths[0] < widths[1]


def test_rows_that_may_have_trained_the_other_are_not_used(
    models: dict[str, Bundle], rows: dict[str, np.ndarray]
) -> None:
    found = api.diff(models["whole"], models["other"], rows)
    assert not found.paired
    assert "may have been trained on the other's" in found.how
    assert found.ok


def test_rows_that_nobody_has_seen_serve_both(models: dict[str, Bundle], make_table: Make) -> None:
    later = {name: cells for name, cells in make_table(120, seed=9).items() if name != "kind"}
    found = api.diff(models["whole"], models["other"], later)
    assert found.paired
    assert "all 120 rows" in found.how
    assert {line.target for line in found.lines if line.verdict} == {"won", "cost"}


def test_a_model_beside_itself_differs_in_nothing(models: dict[str, Bundle], rows: dict[str, np.ndarray]) -> None:
    found = api.diff(models["whole"], models["whole"], rows)
    assert {line.verdict for line in found.lines} <= {"not shown", None}
    assert all(line.difference in (0, None) for line in found.lines)


def test_later_evidence_can_be_compared_but_not_asked(models: dict[str, Bundle], rows: dict[str, np.ndarray]) -> None:
    path = models["half"].path
    add_detached(path, models["half"].evaluate(rows), by="me")
    folder = evidence_folder(path)
    found = api.diff(models["whole"], folder)
    assert "won" in found.worse
    with pytest.raises(SpecError, match="only bundles can be asked"):
        api.diff(models["whole"], folder, rows)


def test_the_command_says_no_unless_it_is_told_not_to(
    models: dict[str, Bundle], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trueweight.cli.diff.prepare_torch", lambda: None)
    both = [str(models["whole"].path), str(models["half"].path)]
    assert run(["diff", *both]) == 6
    told = capsys.readouterr().out
    assert "worse" in told
    assert told.splitlines()[-1].startswith("half is worse by the first metric of ")
    assert run(["diff", *both, "--report-only"]) == 0
    assert run(["diff", *reversed(both), "--json"]) == 0


def fact(value: float, low: float | None, high: float | None, metric: str = "rmse") -> Entry:
    ends = None if low is None or high is None else Interval(low, high, 0.95, "bootstrap")
    return Entry(id=f"quality/y/{metric}/test", axis="quality", metric=metric, target="y", value=value, interval=ends,
                 n=100, data=Data("sha256:1", "test"))  # fmt: skip


@pytest.mark.parametrize(
    ("b", "verdict", "ends"),
    [
        (fact(14.0, 13.0, 15.0), "worse", (4 - 2**0.5, 4 + 2**0.5)),
        (fact(6.0, 5.0, 7.0), "better", (-4 - 2**0.5, -4 + 2**0.5)),
        (fact(11.0, 10.0, 12.0), "not shown", (1 - 2**0.5, 1 + 2**0.5)),
        (fact(14.0, None, None), None, (None, None)),
    ],
)
def test_two_intervals_are_put_together(b: Entry, verdict: str | None, ends: tuple[Any, Any]) -> None:
    (line,) = unpaired_lines(Evidence((fact(10.0, 9.0, 11.0),)), Evidence((b,)))
    assert line.verdict == verdict
    assert (line.low, line.high) == pytest.approx(ends)


def test_the_interval_of_a_difference_covers_as_often_as_it_says() -> None:
    """The second opinion: differences of two means of unequal spread, whose truth is known."""
    rng, inside = np.random.default_rng(1), 0
    for _ in range(600):
        means, ends = [], []
        for spread, count in ((1.0, 40), (3.0, 90)):
            sample = rng.normal(0.0, spread, count)
            half = 1.96 * sample.std(ddof=1) / count**0.5
            means.append(float(sample.mean()))
            ends.append((means[-1] - half, means[-1] + half))
        a, b = (Evidence((fact(m, *e),)) for m, e in zip(means, ends, strict=True))
        (line,) = unpaired_lines(a, b)
        inside += line.low <= 0 <= line.high  # type: ignore[operator]
    assert 0.925 <= inside / 600 <= 0.975


def test_flags_that_came_and_went_are_told() -> None:
    def flag(name: str, value: int) -> Entry:
        return Entry(id=f"{name}/flag", axis=name, metric="flag", value=value, unit="flag", reason=f"see {name}")

    a, b = Evidence((flag("drift", 0), flag("slices", 1))), Evidence((flag("drift", 1), flag("slices", 0)))
    assert changed_flags(a, b) == ["raised now: see drift", "raised no more: see slices"]
    assert changed_flags(Evidence(), b) == ["not looked for before: see drift"]
    assert changed_flags(a, Evidence()) == ["not looked for any more: see slices"]
    later = Entry(id="slices/flag/other", axis="slices", metric="flag", value=1, unit="flag", reason="see others")
    assert changed_flags(a, Evidence((later,))) == []  # of other rows, and still raised


def test_models_of_different_targets_are_not_compared(models: dict[str, Bundle], home: Path) -> None:
    score = Entry(id="quality/rain/r2/other", axis="quality", metric="r2", target="rain", value=0.5)
    file = write_detached(home / "rain.evidence", "", Evidence((score,)), "me")
    with pytest.raises(SpecError, match="no target in common: one answers 'won', 'cost', the other 'rain'"):
        api.diff(models["whole"], file)


def test_it_is_said_where_no_number_could_be_compared(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = Evidence((Entry(id="quality/rain/r2/other", axis="quality", metric="r2", target="rain", value=0.5),))
    file = str(write_detached(home / "bare.evidence", "", bare, "me"))
    assert run(["diff", file, file]) == 0
    assert capsys.readouterr().out.endswith("No number of both could be compared: nothing is shown.\n")
