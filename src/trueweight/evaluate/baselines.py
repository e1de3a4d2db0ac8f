"""The simple models that every result is held against."""

from collections.abc import Callable, Mapping

from trueweight.evaluate.gbdt import fit_trees, require_trees
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.protocols import Predictor
from trueweight.train.build import Fitted, fit_linear
from trueweight.train.calibrate import calibrated
from trueweight.train.plan import MemberPlan, Plan
from trueweight.train.prepare import Prepared
from trueweight.train.selection import run_truths

__all__ = ["KEPT", "fit_baselines", "require_baselines"]

KEPT = ("constant", "linear")
"""Baselines that become bundles of their own. Of others only the scores are told."""


def require_baselines(ready: Prepared) -> None:
    """Refuse baselines that cannot be had, before anything is fitted.

    Raises:
        SpecError: One that is not installed, or would take too long.
    """
    if "gbdt" in ready.spec.evaluate.baselines:
        require_trees(ready)


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
    for name in ready.spec.evaluate.baselines:
        if name == "constant":
            found[name] = _constant(ready)
        elif name == "gbdt":
            found[name] = _trees(ready)
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
