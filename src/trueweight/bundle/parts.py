"""Which parts a bundle names, where they come from, and whether the caller allows them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from trueweight.bundle.tree import states_in
from trueweight.data.signature import Signature
from trueweight.errors import VerifyError
from trueweight.model.protocols import State
from trueweight.registry import registry

__all__ = ["HERE", "check_allowed", "distributions", "origins", "parts_of"]

HERE = "this process"
"""Where a part comes from that no package declares: it was registered by decorator."""

_MAPS = {"features": "column", "targets": "head", "encoders": "encoder"}
"""Keys that hold one part per name."""
_FIELDS = {
    "encoder": "encoder", "fusion": "fusion", "fitter": "fitter", "optimizer": "optimizer", "head": "head",
    "columns": "column",
}  # fmt: skip
"""Keys that hold one part, or a list of them."""


def parts_of(state: State, signature: Signature, specs: Sequence[Any]) -> set[tuple[str, str]]:
    """Every (kind, name) of a registered part that a bundle of these looks up. Imports none of them.

    Args:
        state: The tree of predictors; facts and codecs may name encoders, fusions, column types.
        signature: Names column and head types.
        specs: Parsed specs, asked and resolved.
    """
    nodes = list(states_in(state))
    needed = {("predictor", node.kind) for node in nodes}
    needed |= {("head" if c.role == "target" else "column", c.type) for c in signature.columns.values()}
    held = [value for node in nodes for value in (node.facts, node.codecs)]
    named = {pair for value in (*held, *specs) for pair in _named(value)}
    # Other words may stand under the same keys; only registered ones are parts.
    return needed | {(kind, name) for kind, name in named if name in registry(kind)}


def _named(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _MAPS and isinstance(inner, Mapping):
                # One level of names that the user chose: a column may well be called "encoder".
                for part in inner.values():
                    yield from _part(_MAPS[key], part)
            elif key in _FIELDS:
                yield from _part(_FIELDS[key], inner)
            else:
                yield from _named(inner)
    elif isinstance(value, list | tuple) and not _PLAIN.issuperset(map(type, value)):
        for inner in value:
            yield from _named(inner)


_PLAIN = frozenset({str, int, float, bool, type(None)})
"""What holds no parts: vocabularies are lists of tens of thousands of numbers."""


def _part(kind: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield kind, value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _part(kind, inner)
    elif isinstance(value, Mapping):
        if isinstance(value.get("type"), str):
            yield kind, value["type"]
        yield from _named(value)


def origins(parts: Iterable[tuple[str, str]]) -> dict[str, dict[str, str]]:
    """Kind to name to distribution, for the manifest."""
    found: dict[str, dict[str, str]] = {}
    for kind, name in sorted(parts):
        found.setdefault(kind, {})[name] = registry(kind).origin(name)
    return found


def distributions(recorded: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Where the parts of a manifest come from: what ``allow`` must name for the bundle to be opened."""
    return sorted({_distribution(origin) for names in recorded.values() for origin in names.values()})


def check_allowed(
    parts: Iterable[tuple[str, str]], recorded: Mapping[str, Mapping[str, str]], allow: Sequence[str]
) -> None:
    """Refuse parts that are not installed, or come from a distribution that the caller did not allow.

    Nothing is imported.

    Args:
        parts: (kind, name) of everything that loading would look up.
        recorded: What the manifest says about origins, for the hint.
        allow: Names of distributions beside Trueweight; ``"this process"`` for parts registered by decorator.

    Raises:
        VerifyError: Names the part, its distribution, and what to type.
    """
    allowed = {_plain(name) for name in allow}
    for kind, name in sorted(parts):
        known = registry(kind)
        if name not in known:
            source = recorded.get(kind, {}).get(name, "unknown")
            hint = f"install the package that it came from: {source}" if source != HERE else "register it first"
            raise VerifyError(f"the bundle needs {kind} {name!r}, which is not installed", where="parts", hint=hint)
        if not known.is_ours(name) and _plain(_distribution(known.origin(name))) not in allowed:
            source = _distribution(known.origin(name))
            hint = f"if you trust it, allow it: load(path, allow=[{source!r}])"
            raise VerifyError(f"the bundle needs {kind} {name!r} from {source}", where="parts", hint=hint)


def _distribution(origin: str) -> str:
    return origin if origin == HERE else origin.split(" ", maxsplit=1)[0]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
