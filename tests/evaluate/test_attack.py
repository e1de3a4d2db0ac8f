"""The attack against what can be known exactly: the worst case of a linear model, the radius, more being worse."""

from typing import Any

import numpy as np
import pytest
from tests.evaluate.judged import judged, picture

from trueweight.data.reading import cells_of
from trueweight.evaluate.attack import ROWS, attacked, attacks, farthest, scores_of
from trueweight.evaluate.changed_rows import changed_copies, some_rows
from trueweight.evaluate.corrupt_pictures import load_pictures
from trueweight.evaluate.judging import Judging
from trueweight.spec.robustness import AttackSpec


def plain(attack: dict[str, Any] | None = None, transform: str = "none") -> Judging:
    """A solved linear model of two numbers of different spread, and a category, which varies by no small steps."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=300), np.exp(rng.normal(size=300)) * 40
    kind = rng.choice(["red", "blue"], 300)
    score = 2 * x - np.log(z) + (kind == "red") + 3.5 + rng.normal(size=300) * 1.5
    columns = {"x": x, "z": z, "kind": kind, "won": np.where(score > 0, "yes", "no"), "cost": score}
    wish = {
        "features": {"z": {"type": "number", "transform": transform}},
        "targets": {"won": "binary", "cost": "number"},
        "evaluate": {"robustness": {"attack": attack}},
    }
    return judged(columns, wish)


def logit(judging: Judging, table: Any) -> np.ndarray:
    p = judging.predictor.predict(table)["won"].scores()[:, 1]
    return np.log(np.maximum(p, 1e-9)) - np.log(np.maximum(1 - p, 1e-9))


def _assert_within(judging: Judging, clean: Any, changed: Any, norm: str, radius: float) -> None:
    """No row is farther than declared, and some are as far, by this file's own reckoning and by the check's."""
    std = judging.predictor.signature.columns
    moved = [
        (np.asarray(changed.data.column(name)) - np.asarray(clean.data.column(name))) / std[name].learnt["std"]
        for name in ("x", "z")
    ]
    far = max(np.max(np.abs(moved[0])), np.max(np.abs(moved[1]))) if norm == "linf" else np.hypot(*moved).max()
    assert far == pytest.approx(radius, rel=1e-6)
    assert farthest(judging, clean, changed, norm) == pytest.approx(far)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_model_is_brought_to_its_exact_worst_case(norm: str) -> None:
    judging, radius = plain(), 0.1
    table = judging.table
    changed = attacked(judging, table, "won", AttackSpec(norm=norm, radius=radius))
    assert changed is not None
    clean, _ = changed_copies(judging, table)
    _assert_within(judging, clean, changed, norm, radius)
    before, after = logit(judging, clean), logit(judging, changed)
    # The slopes, per standard deviation, by moving one column at a time: the model is linear.
    slopes, signature = [], judging.predictor.signature
    for name in ("x", "z"):
        values = np.asarray(clean.data.column(name)) + signature.columns[name].learnt["std"]
        place = clean.data.column_names.index(name)
        moved = clean.__class__(clean.data.set_column(place, name, [values]))
        inside = (np.abs(before) < 6) & (np.abs(logit(judging, moved)) < 6)
        slopes.append(float(np.median((logit(judging, moved) - before)[inside])))
    worst = radius * (np.abs(slopes).sum() if norm == "linf" else np.linalg.norm(slopes))
    sign = np.where(judging.truths["won"].value == 1, -1, 1)
    # float32 probabilities near 0 and 1 leave about four digits of a logit.
    inside = np.abs(before) < 6
    np.testing.assert_allclose((after - before)[inside], (sign * worst)[inside], rtol=2e-2, atol=2e-3)


def test_columns_that_cannot_vary_stay_and_transforms_are_gone_through() -> None:
    judging = plain(transform="log1p")
    changed = attacked(judging, judging.table, "cost", AttackSpec(radius=0.2))
    assert changed is not None
    clean, _ = changed_copies(judging, judging.table)
    assert changed.data.column("kind").equals(clean.data.column("kind"))
    for name in ("x", "z"):
        moved = np.abs(np.asarray(changed.data.column(name)) - np.asarray(clean.data.column(name)))
        std = judging.predictor.signature.columns[name].learnt["std"]
        assert moved.max() <= 0.2 * std * (1 + 1e-6)
        assert np.median(moved) > 0.19 * std  # linear in the transformed value: the end of the range is the worst


def test_more_radius_is_never_better_and_entries_are_bounds() -> None:
    found = []
    for radius in (0.01, 0.1, 0.4):
        entries = {e.metric: e for e in attacks(plain({"radius": radius, "steps": 5}))}
        assert {e.status for e in entries.values()} == {"bounded"}
        found.append([entries["accuracy_attacked"].value, entries["rmse_attacked"].value])
    accuracy, rmse = np.array(found).T
    assert (np.diff(accuracy) <= 0).all()
    assert accuracy[-1] < accuracy[0] - 0.1
    assert (np.diff(rmse) > 0).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pixels_stay_within_the_radius_and_answers_get_worse(norm: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    pixel = 90 + rng.normal(size=(200, 10, 10)) * 40
    pixel[:, :5] += 25 * y[:, None, None]
    wish = {"features": {"photo": "image"}, "targets": {"what": "category"}}
    judging = judged({"photo": [picture(p) for p in pixel], "what": [f"k{k}" for k in y]}, wish)
    radius = {"linf": 0.0335, "l2": 0.4}[norm]  # 8.5 steps of 1/255: the ninth is too far
    table = judging.table.take(some_rows(judging))
    changed = attacked(judging, table, "what", AttackSpec(norm=norm, radius=radius, restarts=2))
    assert changed is not None
    facts, options = judging.predictor.signature.columns["photo"], judging.predictor.signature.options
    before, after = (load_pictures(cells_of(t, facts, options), facts) for t in (table, changed))
    assert before is not None
    assert after is not None
    step = (after.pixel_NHWC.astype(float) - before.pixel_NHWC) / 255
    size = np.abs(step).max((1, 2, 3)) if norm == "linf" else np.sqrt(np.square(step).sum((1, 2, 3)))
    assert size.max() <= radius
    assert size.max() > 0.8 * radius
    assert farthest(judging, table, changed, norm) == pytest.approx(size.max())
    truth = judging.truths["what"].take(some_rows(judging)).value
    right = [(judging.predictor.predict(t)["what"].answer_N() == truth).mean() for t in (table, changed)]  # type: ignore[attr-defined]
    assert right[1] < right[0] - 0.2


def test_a_change_beyond_the_declared_radius_fails() -> None:
    judging = plain({"radius": 0.1})
    table = judging.table.take(some_rows(judging, ROWS))
    changed = attacked(judging, table, "won", AttackSpec(radius=0.11))
    assert changed is not None
    clean, _ = changed_copies(judging, table)
    (entry,) = scores_of(judging, "won", clean, changed, AttackSpec(radius=0.1))
    assert entry.status == "failed"
    assert "0.11" in (entry.reason or "")
    assert {e.status for e in scores_of(judging, "won", clean, changed, AttackSpec(radius=0.11))} == {"bounded"}


def test_nothing_is_attacked_unasked_or_where_nothing_varies() -> None:
    (entry,) = attacks(plain())
    assert (entry.status, entry.metric) == ("not_applicable", "attack")
    rng = np.random.default_rng(0)
    wish = {"targets": {"won": "binary"}, "evaluate": {"robustness": {"attack": {"radius": 0.1}}}}
    levels = judged({"kind": rng.choice(["a", "b", "c"], 90), "won": rng.choice(["yes", "no"], 90)}, wish)
    (entry,) = attacks(levels)
    assert entry.status == "not_applicable"
