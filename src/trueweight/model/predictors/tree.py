"""Predictors back from data, whatever their kind."""

from collections.abc import Iterator
from typing import Any

from trueweight.data.signature import Signature
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.protocols import Predictor, State
from trueweight.registry import registry

__all__ = ["leaves_of", "predictor_from_state"]


def predictor_from_state(state: State, signature: Signature) -> Predictor:
    """The inverse of ``Predictor.state``, members included.

    Raises:
        SpecError: A kind that is not installed.
    """
    kind: Any = registry("predictor")[state.kind]
    predictor: Predictor = kind.from_state(state, signature)
    return predictor


def leaves_of(predictor: Predictor) -> Iterator[NetworkPredictor]:
    """The networks' leaves, in the tree's order: that of ``with_runtime`` and of ``state``."""
    if isinstance(predictor, NetworkPredictor):
        yield predictor
    for member in predictor.members():
        yield from leaves_of(member)
