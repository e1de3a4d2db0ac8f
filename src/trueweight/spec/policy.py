"""Files of rules, read as strictly as run specs: every mistake at once, each with its place."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from trueweight.errors import SpecError
from trueweight.spec.base import Spec
from trueweight.spec.document import Document
from trueweight.spec.gates import GateSpec
from trueweight.spec.load import all_of, read_document
from trueweight.spec.mistakes import mistakes_of

__all__ = ["PolicySpec", "load_policy", "parse_policy"]


class PolicySpec(Spec):
    """A file of rules: what ``trueweight gate`` asks of any model."""

    version: Literal[1] = 1
    """Of this format."""

    gates: Annotated[list[GateSpec], Field(min_length=1)]
    """The rules. All of them must hold."""


def load_policy(path: Path | str) -> PolicySpec:
    """Read a file of rules.

    Raises:
        SpecError: The file cannot be read, is not YAML, or holds a rule that makes no sense. Lists every mistake.
    """
    return _build(read_document(path))


def parse_policy(raw: Mapping[str, Any] | Sequence[Any]) -> PolicySpec:
    """Rules from plain data: what the file would hold, or the list of rules alone.

    Raises:
        SpecError: Lists every mistake.
    """
    return _build(Document({"gates": list(raw)} if isinstance(raw, Sequence) else dict(raw), "the policy"))


def _build(document: Document) -> PolicySpec:
    if not isinstance(document.raw, dict):
        hint = "write for example 'gates: [{target: fraud, metric: roc_auc, at_least: 0.8}]'"
        raise SpecError("a policy is a mapping with 'gates', a list of rules", where=document.origin, hint=hint)
    try:
        policy, lines = PolicySpec.model_validate(document.raw), list(document.mistakes)
    except ValidationError as error:
        found = mistakes_of(PolicySpec, error.errors(include_url=False), document)
        raise all_of([*document.mistakes, *(mistake.line for mistake in found)], document.origin) from None
    if lines:
        raise all_of(lines, document.origin)
    return policy
