"""Keeps out of a bundle what is nobody's business: folders of this machine, levels of few rows."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from trueweight.data.signature import ColumnFacts, Signature
from trueweight.errors import TrueweightError
from trueweight.spec.document import dotted
from trueweight.spec.settings import parse_setting

__all__ = ["check_private", "without_folders", "without_folders_in_setting", "without_folders_in_yaml"]

_ABSOLUTE = re.compile(r"(file://)?(/[^/]|~[^/]*/|[A-Za-z]:[\\/]|\\\\)")
_BEGINS_ABSOLUTE = re.compile(rf"(^|[\s'\"\[{{,:]){_ABSOLUTE.pattern}")
"""The same where a YAML value may begin: every spec has an N/A among its words for missing values, and reading it again
for that takes longer than writing it."""
_SOURCES = ("source", "media_dir", "weights", "start_from", "meter")


def without_folders(text: str) -> str:
    """The last piece of an absolute path; any other text as it is."""
    if not _ABSOLUTE.match(text) or "\n" in text:
        return text
    return PureWindowsPath(text).name if "\\" in text else PurePosixPath(text).name


def without_folders_in_words(text: str) -> str:
    """A command line whose absolute paths have lost their folders."""
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    shorter = [without_folders(word) for word in words]
    return text if shorter == words else shlex.join(shorter)


def without_folders_in_json(value: Any) -> Any:
    """Plain JSON whose texts that are absolute paths have lost their folders."""
    if isinstance(value, str):
        return without_folders(value)
    if isinstance(value, Mapping):
        return {key: without_folders_in_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders_in_json(inner) for inner in value]
    return value


def without_folders_in_setting(setting: str) -> str:
    """``data.source=/home/me/claims.csv`` without the folders, also where they are within a list or a mapping."""
    path, value = parse_setting(setting)
    whole = value
    for key in reversed(path):
        whole = [whole] if isinstance(key, int) else {key: whole}
    if not _shorten_sources(whole):
        return setting
    for key in path:
        whole = whole[0 if isinstance(key, int) else key]
    # JSON is YAML too, and what it makes of a date is as good as what YAML did.
    return f"{dotted(path)}={whole if isinstance(whole, str) else json.dumps(whole, ensure_ascii=False, default=str)}"


def without_folders_in_yaml(text: str, settings: Sequence[str] = ()) -> str:
    """A spec whose sources are file names where they were absolute paths; untouched if none was.

    Args:
        text: YAML, comments and all.
        settings: Of the command line, which a resolved spec repeats in comments.
    """
    for setting in settings:
        text = text.replace(repr(setting), repr(without_folders_in_setting(setting)))
    if "\\" not in text and not _BEGINS_ABSOLUTE.search(text):  # no character in disguise, and no path
        return text
    from ruamel.yaml import YAML

    round_trip = YAML()  # keeps comments; builds plain values only, whatever the tags say
    round_trip.width = 1 << 16
    spec = round_trip.load(text)
    if not _shorten_sources(spec):
        return text
    out = StringIO()
    round_trip.dump(spec, out)
    return out.getvalue()


def _is_source(key: str) -> bool:
    return key.endswith(_SOURCES)


def _shorten_sources(node: Any) -> bool:
    """Edits a YAML tree in place; says whether anything was an absolute path."""
    changed = False
    for holder, key, value in _items(node):
        if isinstance(value, str) and (shorter := without_folders(value)) != value:
            holder[key] = shorter
            changed = True
    return changed


def _items(node: Any, *, source: bool = False) -> Iterator[tuple[Any, Any, Any]]:
    """(holder, key, value) of every value that is, or is listed in, a source."""
    pairs = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    for key, value in pairs:
        inside = source if isinstance(node, list) else isinstance(key, str) and _is_source(key)
        if inside:
            yield node, key, value
        yield from _items(value, source=inside)


def check_private(signature: Signature, min_group: int) -> None:
    """Make sure that the signature names no level of fewer than ``min_group`` rows. Target classes are kept.

    Raises:
        TrueweightError: A column type broke its promise; a bug, not the user's mistake.
    """
    for facts in signature.columns.values():
        if facts.role != "target":
            _check_column(facts, min_group)


def _check_column(facts: ColumnFacts, min_group: int) -> None:
    counts = list(_counts(facts.learnt))
    if facts.role == "feature" and all(count >= min_group for count in counts):
        return
    if counts or (facts.role != "feature" and _texts(facts.learnt)):
        why = (
            f"a level of {min(counts, default=0)} rows"
            if facts.role == "feature"
            else f"values of a {facts.role} column"
        )
        raise TrueweightError(
            f"the signature of {facts.name!r} would give away {why}; the limit is {min_group}",
            where=f"columns.{facts.type}",
            hint="please report this: column types must pool rare levels before they are written",
        )


def _counts(value: Any) -> Iterator[int]:
    """Numbers of rows per level, wherever a key says ``counts``."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "counts":
                yield from inner.values() if isinstance(inner, Mapping) else inner
            else:
                yield from _counts(inner)


def _texts(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_texts(inner) for inner in value.values())
    return isinstance(value, list | tuple) and any(isinstance(inner, str) for inner in value)
