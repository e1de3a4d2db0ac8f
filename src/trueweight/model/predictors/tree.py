"""Predictors back from data, whatever their kind."""

from typing import Any

from trueweight.data.signature import Signature
from trueweight.model.protocols import Predictor, State
from trueweight.registry import registry

__all__ = ["predictor_from_state"]


def predictor_from_state(state: State, signature: Signature) -> Predictor:
    """The inverse of ``Predictor.state``, members included.

    Raises:
        SpecError: A kind that is not installed.
    """
    kind: Any = registry("predictor")[state.kind]
    predictor: Predictor = kind.from_state(state, signature)
    return predictor
