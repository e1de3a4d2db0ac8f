"""``--set train.budget.time=2m``: changes to a spec from the command line, read by the same rules as the file."""

import copy
import re
from collections.abc import Sequence
from typing import Any

from trueweight.errors import SpecError
from trueweight.spec.document import Document, Path, dotted, read_yaml

__all__ = ["apply_settings", "parse_setting"]

_KEY = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^."\[\]=\s](?:[^."\[\]=]*[^."\[\]=\s])?))\s*')
_INDEX = re.compile(r"\[(\d+)\]")
_EXAMPLE = "write --set train.budget.time=2m; a name that holds a dot goes in quotes: 'features.\"a.b\".type=number'"


def parse_setting(text: str) -> tuple[Path, Any]:
    """Split ``a.b[0]."c.d"=value`` into its path and its value, a YAML scalar, list or mapping.

    Raises:
        SpecError: No ``=``, an empty name, quotes that do not close, or a value that is not YAML.
    """
    path, rest = _path(text)
    try:
        document = read_yaml(rest if rest.strip() else "''", "value")
    except SpecError as error:
        problem = error.problem.splitlines()[0]
        raise SpecError(f"the value {rest!r} is {problem}", where=f"--set {text}", hint=error.hint) from None
    if document.mistakes:
        raise SpecError("; ".join(document.mistakes), where=f"--set {text}")
    return path, document.raw


def _path(text: str) -> tuple[Path, str]:
    path: list[str | int] = []
    at = 0
    while match := (path and _INDEX.match(text, at)) or _KEY.match(text, at):
        if match.re is _INDEX:
            path.append(int(match[1]))
        else:
            path.append(match[2] if match[1] is None else re.sub(r"\\(.)", r"\1", match[1]))
        at = match.end()
        follows = text[at : at + 1]
        if follows == "=":
            return tuple(path), text[at + 1 :]
        if follows == ".":
            at += 1
        elif follows != "[":
            break
    raise SpecError("expected name=value", where=f"--set {text}", hint=_EXAMPLE)


def apply_settings(document: Document, settings: Sequence[str]) -> Document:
    """A copy of a document with the settings written into it, later ones over earlier ones.

    A part given by its name alone may be added to: with ``encoder: mlp``, ``model.encoder.width=64`` gives
    ``{type: mlp, width: 64}``.

    Raises:
        SpecError: A setting cannot be read, or leads through something that is no mapping.
    """
    changed = Document(
        copy.deepcopy(document.raw), document.origin, dict(document.keys), dict(document.values), [*document.mistakes]
    )
    for text in settings:
        path, value = parse_setting(text)
        changed.raw = _put(changed.raw, path, value, text, 0)
        for place in (changed.keys, changed.values):
            for known in [p for p in place if p[: len(path)] == path]:
                del place[known]
            place[path] = f"--set {text}"
            place.update({path[:n]: place[path] for n in range(1, len(path)) if path[:n] not in place})
    return changed


def _put(raw: Any, path: Path, value: Any, text: str, depth: int) -> Any:
    if depth == len(path):
        return value
    key = path[depth]
    if isinstance(key, int):
        if not isinstance(raw, list) or key > len(raw):
            size = len(raw) if isinstance(raw, list) else "no"
            raise SpecError(f"{dotted(path[:depth])} has {size} items", where=f"--set {text}", hint="they count from 0")
        below = _put(raw[key] if key < len(raw) else None, path, value, text, depth + 1)
        return [*raw[:key], below, *raw[key + 1 :]]
    if isinstance(raw, str):
        raw = {"type": raw}  # a part given by its name alone
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        problem = f"{dotted(path[:depth])} is {raw!r}, so there is no {key!r} in it"
        raise SpecError(problem, where=f"--set {text}", hint="set the whole value instead")
    return {**raw, key: _put(raw.get(key), path, value, text, depth + 1)}
