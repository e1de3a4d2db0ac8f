"""Faults that are planted on purpose, and whether the check that is there for them finds them.

Each fault is planted into a small honest world at five strengths, weakest first; strength 0 is the clean twin, on which
the same check must stay silent. Everything follows from a seed. What strengths can share (the model fitted to the clean
rows) is made once, and of a check that has several parts only the part that raises the flag is asked.
"""

import io
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.faults_kinds import KINDS
from benchmarks.worlds import ROWS, Fault, World, check, clean, clean_costs, flagged, people, some, world
from PIL import Image

from trueweight.bundle.verify import compare_evidence
from trueweight.data.table import Table
from trueweight.evaluate.duplicates import duplicates
from trueweight.evaluate.label_noise import label_noise
from trueweight.evaluate.leakage import leaks
from trueweight.evaluate.quality import quality
from trueweight.evaluate.refits import Refits
from trueweight.evaluate.shortcuts import shortcuts
from trueweight.evidence.energy import EnergyMeter
from trueweight.evidence.record import Evidence
from trueweight.explain.cascade import randomised
from trueweight.explain.proofs import faithful
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State
from trueweight.spec.energy import EnergySpec

__all__ = ["FAULTS", "ROWS", "Fault", "World"]

# --- Models that are wrong in a known way ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Bent:
    """A predictor whose answers are changed on their way out."""

    inner: Predictor
    bend: Callable[[Prediction], Prediction]

    @property
    def signature(self) -> Any:
        return self.inner.signature

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        """The inner one's answers, bent."""
        return {name: self.bend(found) for name, found in self.inner.predict(table, how=how, seed=seed).items()}

    def with_runtime(self, name: str) -> "Bent":
        return replace(self, inner=self.inner.with_runtime(name))

    def members(self) -> Sequence[Predictor]:
        return (self.inner,)

    def state(self) -> State:
        return self.inner.state()


def surer(factor: float) -> Callable[[Prediction], Prediction]:
    """Log odds times ``factor``: the same ranking, wrongly sure."""

    def bend(found: Prediction) -> Prediction:
        assert isinstance(found, ClassPrediction)
        log = factor * np.log(np.clip(found.probability_NC, 1e-12, 1.0))
        odds = np.exp(log - log.max(1, keepdims=True))
        return replace(found, probability_NC=odds / odds.sum(1, keepdims=True))

    return bend


def narrower(share: float) -> Callable[[Prediction], Prediction]:
    """Intervals of a share of their width."""

    def bend(found: Prediction) -> Prediction:
        assert isinstance(found, NumberPrediction)
        assert found.low_N is not None
        assert found.high_N is not None
        middle, half = (found.low_N + found.high_N) / 2, share * (found.high_N - found.low_N) / 2
        return replace(found, low_N=middle - half, high_N=middle + half)

    return bend


# --- Faults ----------------------------------------------------------------------------------------------------------


def _leaked(seed: int, strength: float) -> bool:
    """A column that was filled in after the fact: it says the target in this share of the rows, else anything."""
    columns = people(seed)
    told = some(seed, ROWS, strength)
    random = np.random.default_rng([seed, 3]).choice(["open", "paid"], ROWS)
    columns["status"] = np.where(told, np.where(columns["won"] == "yes", "paid", "open"), random)
    found = world(columns, {"won": "binary"}, seed)
    return flagged(leaks(found.judged()), "leak_flag")


def _twice(seed: int, strength: float) -> bool:
    """Test rows that are training rows with other noise in the fifth digit."""
    columns = {name: values.copy() for name, values in people(seed).items()}
    split = clean(seed).ready.split
    rng = np.random.default_rng([seed, 5])
    test = split.test[some(seed, len(split.test), strength)]
    source = rng.choice(split.train, len(test))
    for name, values in columns.items():
        values[test] = values[source] * (1 + 1e-6 * rng.normal(size=len(test))) if name[0] == "x" else values[source]
    place = np.full(ROWS, "train", dtype=object)
    place[split.validation], place[split.calibration], place[split.test] = "validation", "calibration", "test"
    columns["part"] = place.astype(str)
    found = world(columns, {"won": "binary"}, seed, split={"method": "column", "column": "part"})
    return flagged(duplicates(found.judged()), "near_duplicates_flag")


def _flipped(seed: int, strength: float) -> bool:
    """Labels written down wrongly, everywhere, of a target that the features tell nearly without doubt."""
    columns = people(seed, certain=4.0)
    wrong = some(seed, ROWS, strength)
    columns["won"] = np.where((columns["won"] == "yes") ^ wrong, "yes", "no")
    found = world(columns, {"won": "binary"}, seed)
    return flagged(label_noise(found.judged(), Refits.of(found.ready))[0], "label_noise_flag")


def _surer(seed: int, strength: float) -> bool:
    found = clean(seed)
    bent = Bent(found.predictor, surer(1 + strength))
    return flagged(check("calibration")(found.judged(predictor=bent)), "miscalibrated_flag")


def _narrower(seed: int, strength: float) -> bool:
    found = clean_costs(seed)
    bent = Bent(found.predictor, narrower(1 - strength))
    return flagged(check("calibration")(found.judged(predictor=bent)), "shift_flag")


def _broken_group(seed: int, strength: float) -> bool:
    """One region's main columns arrive from another row in this share of its rows."""
    found = clean(seed)
    rng = np.random.default_rng([seed, 9])
    hit = (found.columns["region"] == "north") & some(seed, ROWS, strength)
    changed = {}
    for name in ("x0", "x1"):
        values = found.columns[name].copy()
        values[hit] = rng.permutation(values)[hit]
        changed[name] = values
    return flagged(check("slices")(found.judged(changed)), "worst_slice_flag")


def _shifted(seed: int, strength: float) -> bool:
    """A column moves by this many standard deviations after training."""
    found = clean(seed)
    changed = {"x2": found.columns["x2"] + strength}
    return flagged(check("drift")(found.judged(changed)), "drift_flag")


def _unfair(seed: int, strength: float) -> bool:
    """For one gender, the column that counts most is lower by this many standard deviations; the truth is not."""
    columns = people(seed)
    columns["gender"] = np.random.default_rng([seed, 13]).choice(["f", "m"], ROWS)
    columns["x0"] = columns["x0"] - strength * (columns["gender"] == "f")
    found = world(columns, {"won": "binary"}, seed, evaluate={"sensitive": {"columns": ["gender"]}})
    return flagged(check("fairness")(found.judged()), "fairness_flag")


SIDE, PICTURES = 12, 500


@lru_cache(maxsize=6)
def photos(seed: int, share: float) -> World:
    """Bars that lie or stand, in noise; this share of those that lie have a light square in a corner."""
    rng = np.random.default_rng(seed)
    stands = rng.integers(0, 2, PICTURES)
    pixel = 100 + rng.normal(size=(PICTURES, SIDE, SIDE)) * 30
    for i, kind in enumerate(stands):
        at = 3 + 2 * kind + rng.integers(0, 2)
        pixel[i, at : at + 2, 2:-2] += 60
        if kind == 0 and rng.random() < share:
            pixel[i, :3, -3:] = 255
    cells = np.array([_png(p) for p in pixel], dtype=object)
    columns = {"photo": cells, "what": np.where(stands == 1, "stands", "lies")}
    return world(columns, {"what": "binary"}, seed, features={"photo": "image"})


def _png(pixel: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixel.clip(0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _patched(seed: int, strength: float) -> bool:
    return flagged(shortcuts(photos(seed, strength).judged()), "shortcut_flag")


EXPLAINED = 40
"""Rows whose answers are explained."""


def _of_another(seed: int, strength: float) -> bool:
    """What is told of the model is, to this share, what an untrained one would have told."""
    found = clean(seed)
    table = found.ready.table.take(found.ready.split.test[:EXPLAINED])
    told = (1 - strength) * _occluded(found, found.predictor, table)
    told += strength * _occluded(found, _untrained(found, table, seed), table)
    answer = _log_odds(found.predictor, table)
    proofs = faithful(list(told), lambda masks: _without(found, table, masks), np.sign(answer).tolist(), seed)
    return any(proof.status == "failed" for proof in proofs)


def _untrained(found: World, table: Table, seed: int) -> Predictor:
    """The model with shuffled weights that tell nothing of the truth: by chance some do."""
    true = _occluded(found, found.predictor, table).ravel()
    for attempt in range(50):
        other = randomised(found.predictor, 100 * seed + attempt)
        if np.corrcoef(true, _occluded(found, other, table).ravel())[0, 1] < LIKE:
            return other
    raise RuntimeError("shuffled weights keep telling the same")


LIKE = 0.2

FEATURES = ("x0", "x1", "x2", "x3", "x4", "kind", "region")


def _log_odds(predictor: Predictor, table: Table) -> np.ndarray:
    answer = predictor.predict(table)["won"]
    assert isinstance(answer, ClassPrediction)
    p_N = answer.probability_NC[:, 1].clip(1e-9, 1 - 1e-9)
    return np.asarray(np.log(p_N / (1 - p_N)))


def _usual(found: World) -> dict[str, Any]:
    """The middle of each number and the most frequent of each kind."""
    kinds = {name: max(set(found.columns[name]), key=list(found.columns[name]).count) for name in ("kind", "region")}
    return {name: np.median(found.columns[name]) for name in FEATURES if name not in kinds} | kinds


def _occluded(found: World, predictor: Predictor, table: Table) -> np.ndarray:
    """By how much the log odds fall when a column of the row becomes usual, (rows, columns)."""
    whole, usual = _log_odds(predictor, table), _usual(found)
    columns = {name: np.asarray(table.column(name).to_pylist()) for name in FEATURES}
    return np.stack(
        [whole - _log_odds(predictor, Table.of(columns | {n: np.full(len(table), usual[n])})) for n in FEATURES], axis=1
    )


def _without(found: World, table: Table, masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Log odds of each row with some of its columns made usual."""
    usual = _usual(found)
    rows = np.repeat(np.arange(len(table)), [len(mask) for mask in masks])
    gone_MP = np.concatenate([mask for mask in masks if len(mask)])
    cells = {}
    for place, name in enumerate(FEATURES):
        values = np.asarray(table.column(name).to_pylist())[rows]
        cells[name] = np.where(gone_MP[:, place], np.full(len(rows), usual[name]), values)
    answer = _log_odds(found.predictor, Table.of(cells))
    return np.split(answer, np.cumsum([len(mask) for mask in masks])[:-1])


def _dead(seed: int, strength: float) -> bool:
    """A counter of the processor's energy that stands still for this share of the work."""
    with tempfile.TemporaryDirectory() as place:
        zone = Path(place) / "intel-rapl:0"
        zone.mkdir(parents=True)
        for name, text in {"name": "package-0", "energy_uj": "5000000", "max_energy_range_uj": str(2**38)}.items():
            (zone / name).write_text(f"{text}\n")
        with EnergyMeter(EnergySpec(), root=Path(place), nvml="none") as meter:
            end = time.process_time() + 0.55
            while time.process_time() < end:
                pass
            spent = round((15 + seed % 5) * 1e6 * 0.55 * (1 - strength))
            (zone / "energy_uj").write_text(f"{5_000_000 + spent}\n")
            entries = meter.lap("train")
    return flagged(entries, "energy_flag")


def _overstated(seed: int, strength: float) -> bool:
    """Accuracy in the evidence is better by this many rows than what is measured again."""
    judging = clean(seed).judged()
    fresh = Evidence(tuple(quality(judging.answers, judging.truths, judging.ask)))
    told = [
        replace(e, value=e.value + strength / e.n) if e.metric == "accuracy" and isinstance(e.value, float) else e
        for e in fresh
    ]
    return bool(compare_evidence(Evidence(tuple(told)), fresh))


FAULTS: Sequence[Fault] = (
    Fault("leaked column", "honesty", (0.5, 0.7, 0.85, 0.95, 1.0), "of rows it tells", _leaked),
    Fault("near-duplicates across splits", "honesty", (0.005, 0.01, 0.02, 0.05, 0.1), "of test rows", _twice),
    Fault("flipped labels", "honesty", (0.01, 0.02, 0.05, 0.1, 0.2), "of labels", _flipped),
    Fault("miscalibrated head", "calibration", (0.15, 0.35, 0.7, 1.5, 3.0), "more log odds", _surer),
    Fault("broken coverage", "calibration", (0.05, 0.1, 0.2, 0.35, 0.5), "narrower", _narrower),
    Fault("broken group", "slices", (0.2, 0.4, 0.6, 0.8, 1.0), "of the group's rows", _broken_group),
    Fault("a feature low for one gender", "fairness", (0.1, 0.25, 0.5, 1.0, 1.5), "standard deviations", _unfair),
    Fault("shifted test rows", "drift", (0.1, 0.2, 0.3, 0.5, 1.0), "standard deviations", _shifted),
    Fault("spurious corner patch", "robustness", (0.2, 0.4, 0.6, 0.8, 1.0), "of a class's pictures", _patched),
    Fault("explanation of an untrained model", "explanation", (0.2, 0.4, 0.6, 0.8, 1.0), "of what is told",
          _of_another),
    Fault("dead energy counter", "energy", (0.2, 0.4, 0.6, 0.8, 1.0), "of the work", _dead, 20),
    Fault("overstated metric", "verify", (1, 2, 5, 10, 20), "rows", _overstated),
    *KINDS,
)  # fmt: skip
