"""Specs inside a bundle: YAML text to plain data to a RunSpec."""

from copy import deepcopy
from functools import lru_cache
from typing import Any

from trueweight.errors import SpecError, VerifyError
from trueweight.spec.document import read_yaml
from trueweight.spec.load import parse_spec
from trueweight.spec.run import RunSpec

__all__ = ["parse_yaml", "run_spec"]


def parse_yaml(text: str, name: str) -> Any:
    """Plain data of a YAML 1.2 text, nothing looked up.

    Raises:
        VerifyError: Not YAML.
    """
    try:
        return deepcopy(_parsed(text, name))
    except SpecError as error:
        raise VerifyError(f"{name} cannot be read: {error.problem}", where=error.where or name) from None


@lru_cache(maxsize=8)
def _parsed(text: str, name: str) -> Any:
    """A run's bundles hold much the same specs, and are read as soon as they are written."""
    return read_yaml(text, name).raw


def run_spec(raw: Any, name: str) -> RunSpec:
    """The spec in ``raw``. Looks up the parts that it names.

    Args:
        raw: Parsed YAML.
        name: Of the file, for messages.

    Raises:
        VerifyError: Not a spec that this version understands.
    """
    if not isinstance(raw, dict):
        raise VerifyError(f"{name} does not hold a spec", where=name)
    try:
        return parse_spec(raw, origin=name)
    except SpecError as error:
        raise VerifyError(f"{name} is no spec that this version understands: {error.problem}", where=name) from None
