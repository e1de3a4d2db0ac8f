"""Maps of probabilities, against generators with a known map and against a search without derivatives."""

import numpy as np
import pytest

from trueweight.metrics.recalibrate import METHODS, learn_recalibration, recalibrated


def logits(rows: int, seed: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Right logits and what happened."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, (rows, classes))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return z, (p.cumsum(1) > rng.random((rows, 1))).argmax(1)


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(1, keepdims=True)


def loss(p: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    return float(np.average(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-300)), weights=w))


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(classes: int, temperature: float) -> None:
    z, y = logits(4000, 0, classes)
    found = learn_recalibration(softmax(z * temperature), y, None, "temperature", binary=classes == 2)
    assert found.parameters[0] == pytest.approx(temperature, rel=0.1)  # 4,000 rows know it to about 3 %


def test_a_known_beta_map_is_found() -> None:
    z, _ = logits(40_000, 1)
    p = softmax(z)
    true = METHODS["beta"].apply(p, (0.6, 1.5, -0.4))
    y = (np.random.default_rng(2).random(len(p)) < true[:, 1]).astype(np.int64)
    found = learn_recalibration(p, y, None, "beta", binary=True)
    assert found.parameters == pytest.approx((0.6, 1.5, -0.4), abs=0.08)


@pytest.mark.parametrize("true", [(1.3, 0.4), (0.8, -0.2)])
def test_a_known_adaptive_temperature_is_found(true: tuple[float, float]) -> None:
    z, _ = logits(40_000, 1, 5)
    p = softmax(2 * z)
    right = METHODS["adaptive"].apply(p, true)
    y = (right.cumsum(1) > np.random.default_rng(2).random((len(p), 1))).argmax(1)
    found = learn_recalibration(p, y, None, "adaptive", binary=False)
    assert found.parameters == pytest.approx(true, abs=0.05)
    assert METHODS["adaptive"].apply(p, (1.7, 0.0)) == pytest.approx(METHODS["temperature"].apply(p, (1.7,)))


def test_sure_and_unsure_rows_are_put_right_at_once() -> None:
    """Wrong labels make sure answers too sure, and the model is too modest about others: no one temperature fits."""
    z, y = logits(6000, 8, 10)
    rng = np.random.default_rng(0)
    y = np.where(rng.random(6000) < 0.05, rng.integers(0, 10, 6000), y)
    p = softmax(z * np.where(np.arange(6000) % 2, 0.7, 1.0)[:, None] * np.linspace(0.6, 3, 6000)[:, None])
    mixed = rng.permutation(6000)
    early, late, ones = mixed[:2000], mixed[2000:], np.ones(4000)
    found = {m: learn_recalibration(p[early], y[early], None, m, binary=False) for m in ("temperature", "auto")}
    left = {m: loss(recalibrated(p[late], one), y[late], ones) for m, one in found.items()}
    assert found["auto"].method == "adaptive"
    assert left["auto"] < left["temperature"] - 0.02


@pytest.mark.parametrize("method", ["temperature", "adaptive", "beta"])
def test_no_neighbour_has_less_loss(method: str) -> None:
    z, y = logits(200, 3)
    w = np.random.default_rng(0).uniform(0.1, 3, 200)
    p = softmax(2.2 * z + np.array([0.0, 0.4]))
    if method == "adaptive":
        y[::15] = 1 - y[::15]  # wrong labels lead away from the bounds of its exponent
    best = METHODS[method].fit(p, y, w)

    def doubted(parameters: list[float]) -> float:  # as if a 201st row had drawn its class by lot
        found = METHODS[method].apply(p, parameters)
        by_lot = np.average(-np.log(found).mean(1), weights=w)
        return 200 / 201 * loss(found, y, w) + 1 / 201 * float(by_lot)

    for place in range(len(best)):
        for step in (-1e-2, 1e-2):
            moved = [value + step * (k == place) for k, value in enumerate(best)]
            # The pull towards the identity moves the optimum by a ten-thousandth of the rows' own.
            assert doubted(moved) >= doubted(list(best)) - 1e-6


def test_the_order_of_rows_and_the_most_probable_class_stay() -> None:
    z, y = logits(500, 4)
    p = softmax(3 * z)
    for method in ("temperature", "adaptive", "beta"):
        found = recalibrated(p, learn_recalibration(p, y, None, method, binary=True))
        assert np.array_equal(np.argsort(found[:, 1], kind="stable"), np.argsort(p[:, 1], kind="stable"))
        np.testing.assert_allclose(found.sum(1), 1)
    z, y = logits(500, 5, 6)
    for method in ("auto", "adaptive"):
        many = recalibrated(softmax(3 * z), learn_recalibration(softmax(3 * z), y, None, method, binary=False))
        assert np.array_equal(many.argmax(1), z.argmax(1))


def test_auto_does_not_hurt_and_helps_where_there_is_need() -> None:
    changes = []
    for seed in range(40):
        z, y = logits(2300, seed)
        for sharper in (1.0, 3.0):
            p = softmax(z * sharper)
            found = learn_recalibration(p[:300], y[:300], None, "auto", binary=True)
            ones = np.ones(2000)
            changes.append((sharper, loss(recalibrated(p[300:], found), y[300:], ones) - loss(p[300:], y[300:], ones)))
    assert np.mean([change for sharper, change in changes if sharper == 1]) < 0.003
    assert max(change for sharper, change in changes if sharper == 3) < -0.1


@pytest.mark.parametrize(
    ("rows", "labels", "why"),
    [(39, 2, "39 calibration rows are too few"), (80, 1, "all calibration rows are of one class")],
)
def test_where_nothing_can_be_learnt_nothing_changes(rows: int, labels: int, why: str) -> None:
    z, y = logits(rows, 0)
    found = learn_recalibration(softmax(z), y * (labels - 1), None, "auto", binary=True)
    assert (found.method, found.reason) == ("none", why)


def test_rows_that_can_be_told_apart_keep_parameters_finite() -> None:
    p = np.stack([1 - np.linspace(0, 1, 100), np.linspace(0, 1, 100)], axis=1)
    for method in ("temperature", "adaptive", "beta"):
        found = learn_recalibration(p, (p[:, 1] > 0.5).astype(np.int64), None, method, binary=True)
        assert np.isfinite(found.parameters).all()
        assert np.isfinite(recalibrated(p, found)).all()


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("rows", [50, 400])
def test_rows_that_are_all_right_leave_as_much_doubt_as_one_wrong_row(rows: int, classes: int) -> None:
    """Platt's targets: of 50 rows that were right nobody can know that one in 200 is not wrong."""
    y = np.arange(rows) % classes
    p = np.full((rows, classes), 0.1 / (classes - 1))
    p[np.arange(rows), y] = 0.9
    for method in ("auto", "temperature", "beta" if classes == 2 else "adaptive"):
        found = recalibrated(p, learn_recalibration(p, y, None, method, binary=classes == 2))
        left = 1 - found[np.arange(rows), y]
        np.testing.assert_allclose(left, (1 - 1 / classes) / (rows + 1), rtol=0.25)


def test_labels_that_the_model_does_not_know_teach_nothing() -> None:
    z, y = logits(200, 1, 3)
    unseen = np.where(np.arange(200) % 4 == 0, -1, y)
    kept = unseen >= 0
    a = learn_recalibration(softmax(z), unseen, None, "temperature", binary=False)
    b = learn_recalibration(softmax(z)[kept], y[kept], None, "temperature", binary=False)
    assert a.parameters == b.parameters and a.n == 150
