"""The simple models that every result is held against."""

from collections.abc import Callable

from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.protocols import Predictor
from trueweight.train.build import Fitted, fit_linear
from trueweight.train.plan import MemberPlan, Plan
from trueweight.train.prepare import Prepared

__all__ = ["fit_baselines"]


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
            found[name] = ConstantPredictor(ready.signature)
        elif [member.encoder.type for member in ready.spec.model.members or []] != ["linear"]:
            found[name] = fit_linear(ready, fitted, replay, on_plan)
    return found
