"""The simple models that every result is held against."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.spill import taken
from trueweight.data.table import Table
from trueweight.errors import SpecError
from trueweight.evaluate.gbdt import fit_trees, require_trees
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.predictors.copied import CopyPredictor
from trueweight.model.predictors.nearest import NearestPredictor
from trueweight.model.predictors.nearest_sound import NearestSoundPredictor
from trueweight.model.predictors.ngrams import NgramPredictor
from trueweight.model.protocols import Predictor
from trueweight.seeds import stream
from trueweight.spec.run import RunSpec
from trueweight.train.build import Fitted, fit_linear
from trueweight.train.calibrate import calibrated
from trueweight.train.plan import MemberPlan, Plan
from trueweight.train.prepare import Prepared
from trueweight.train.selection import run_truths

__all__ = ["OF_TEXTS", "fit_baselines", "kept", "remembered_rows", "require_baselines"]

KEPT = ("constant", "linear", "copy")
"""Baselines that become bundles of their own. Of others only the scores are told."""

REMEMBERING = ("nearest_neighbour", "n_gram")
"""They hold training texts, and become bundles only where those may hold real rows."""

OF_TEXTS = ("copy", *REMEMBERING)
"""Baselines that say nothing of other targets that the constant does not."""

MOST_REMEMBERED = 20_000
"""Training rows that the nearest neighbour is looked for among, chosen by chance: a search takes as long as there are
rows."""

MOST_COUNTED = 2**26
"""Bytes of training texts whose n-grams are counted; rows beyond are left out."""


def kept(spec: RunSpec) -> tuple[str, ...]:
    """Baselines of which bundles are written."""
    return KEPT + (REMEMBERING if spec.bundle.golden_rows == "real" else ())


def require_baselines(ready: Prepared) -> None:
    """Refuse baselines that cannot be had, before anything is fitted.

    Raises:
        SpecError: One that is not installed, would take too long, or cannot answer what is asked.
    """
    asked = ready.spec.evaluate.baselines or []
    texts = [facts.name for facts in ready.signature.targets() if facts.type == "text"]
    read = [facts.name for facts in ready.signature.features() if facts.type == "text"]
    for name in asked:
        if name in OF_TEXTS and not texts:
            _refuse(name, "answers with texts, and no target is one")
        if name == "copy" and len(read) != 1:
            _refuse(name, f"needs one text among the features to copy, and there are {len(read)}")
        if name == "nearest_neighbour" and not read and not _hears(ready):
            _refuse(name, "compares texts or sounds, and no feature is one")
        if name == "gbdt" and not _solvable(ready):
            _refuse(name, "cannot write texts")
    if "gbdt" in asked:
        require_trees(ready)


def _refuse(name: str, why: str) -> None:
    raise SpecError(f"the baseline {name} {why}", where="evaluate.baselines", hint=f"leave {name} out")


def fit_baselines(
    ready: Prepared,
    fitted: Fitted | None = None,
    replay: Plan | None = None,
    on_plan: Callable[[MemberPlan], None] = lambda _: None,
) -> dict[str, Predictor]:
    """The baselines that the spec asks for, by name, unless the model itself is one.

    Args:
        ready: The prepared run.
        fitted: The model, if it is at hand: what it has solved already is not solved again.
        replay: What baselines are to follow; without it and without the model, no clock limits them.
        on_plan: Called with what a baseline that had to be fitted did follow.
    """
    found: dict[str, Predictor] = {}
    for name in ready.spec.evaluate.baselines or []:
        if name == "constant":
            found[name] = _constant(ready)
        elif name == "gbdt":
            found[name] = _trees(ready)
        elif name in OF_TEXTS:
            found[name] = _of_texts(ready, name, fitted)
        elif _solvable(ready) and [member.encoder.type for member in ready.spec.model.fitted] != ["linear"]:
            found[name] = fit_linear(ready, fitted, replay, on_plan)
    return found


def _solvable(ready: Prepared) -> bool:
    """Whether a linear model can be solved for every target: none writes texts, or fills their gaps."""
    return all(facts.type not in ("text", "masked") for facts in ready.signature.targets())


def _constant(ready: Prepared) -> Predictor:
    """Always the same answer, with the sets, intervals and threshold that calibration rows give any model. Its
    probabilities are the classes' frequencies and stay so."""
    return _laid_over(ready, ConstantPredictor(ready.signature), {})


def remembered_rows(ready: Prepared) -> np.ndarray:
    """Training rows that the nearest neighbour is looked for among."""
    rows = ready.split.train
    if len(rows) <= MOST_REMEMBERED:
        return rows
    return np.sort(stream(ready.spec.seed, "nearest neighbour").choice(rows, MOST_REMEMBERED, replace=False))


def _hears(ready: Prepared) -> bool:
    """Whether sounds are read, and no texts, which tell more."""
    kinds = {facts.type for facts in ready.signature.features()}
    return "audio" in kinds and "text" not in kinds


def _of_texts(ready: Prepared, name: str, fitted: Fitted | None) -> Predictor:
    signature = ready.signature
    if name == "copy":
        source = next(facts.name for facts in signature.features() if facts.type == "text")
        return _laid_over(ready, CopyPredictor(signature, source), {})
    if name == "n_gram":
        return _laid_over(ready, NgramPredictor.of(signature, _counted(ready)), {})
    rows = remembered_rows(ready)
    table = taken(ready.table, rows)
    if not _hears(ready):
        return _laid_over(ready, NearestPredictor.of(signature, table), {})
    if fitted is not None:
        fitted.encoded.lend(table, rows)  # files that were decoded for the model are not decoded again
    return _laid_over(ready, NearestSoundPredictor.of(signature, table), {})


def _counted(ready: Prepared) -> Table:
    """Training rows whose n-grams are counted."""
    table = taken(ready.table, ready.split.train)
    names = [facts.name for facts in ready.signature.targets() if facts.type == "text"]
    most = len(table)
    for name in names:
        length_N = np.asarray(pc.binary_length(table.column(name).cast(pa.large_string())).fill_null(0))
        most = min(most, int(np.searchsorted(np.cumsum(length_N), MOST_COUNTED)) + 1)
    return table.head(most)


def _trees(ready: Prepared) -> Predictor:
    """Boosted trees, calibrated as the model is."""
    return _laid_over(ready, fit_trees(ready), ready.spec.evaluate.calibration or {})


def _laid_over(ready: Prepared, leaf: Predictor, methods: Mapping[str, str]) -> Predictor:
    """With all that calibration rows teach."""
    rows = ready.split.calibration
    if not len(rows):
        return leaf
    truths = {
        name: truth.take(rows) for name, truth in run_truths(ready.signature, ready.table, ready.weight_N).items()
    }
    return calibrated(ready, leaf, leaf.predict(ready.table.take(rows)), truths, methods)
