"""Names of options of a resolved spec, as people write them, and the values at their places.

A resolved spec is looked at as plain data. Members are lists there; people call them by name, and all columns ``*``.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from trueweight.spec.document import Path, dotted

__all__ = ["SEARCHED", "named_places", "near", "put", "told", "value_at", "why_not"]

SEARCHED = ("model", "train", "features", "targets")
"""Sections whose options may be searched: others decide what the scores are made on."""

_FIXED = {
    ("train", "budget"): "it decides how long each trial may take, and is the same for all",
    ("train", "selection_metric"): "it decides by what the trials are compared",
    ("train", "device"): "it decides where the run takes place, not what comes of it",
    ("model", "start_from"): "trials begin with weights of their own",
    ("model", "preset"): "the recipe is settled before the search: search the members' options",
}


def value_at(raw: Any, path: Path) -> Any:
    """The value at a place.

    Raises:
        KeyError: There is none.
    """
    for key in path:
        there = key in raw if isinstance(raw, dict) else isinstance(raw, list) and key in range(len(raw))
        if not there:
            raise KeyError(key)
        raw = raw[key]
    return raw


def put(raw: Any, path: Path, value: Any) -> Any:
    """The same data with another value at a place; nothing of the old is changed."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(key, int):
        return [put(item, rest, value) if place == key else item for place, item in enumerate(raw)]
    below = raw or {}  # what a spec leaves out
    return {**below, key: put(below.get(key), rest, value)}


def named_places(raw: Mapping[str, Any], asked: Path) -> list[Path]:
    """The places that a name means: one, or with ``features.*`` that of every column that has such an option."""
    if asked[:2] == ("features", "*") and "*" not in raw["features"]:
        every = [("features", name, *asked[2:]) for name in raw["features"]]
        return [path for path in every if _is_there(raw, path)]
    if asked[:2] == ("model", "members") and len(asked) > 2 and isinstance(asked[2], str):
        names = [member["name"] for member in raw["model"]["members"]]
        if asked[2] not in names:
            return []
        asked = ("model", "members", names.index(asked[2]), *asked[3:])
    if asked[:2] in (("model", "encoder"), ("model", "fusion")):  # as asked for; resolved, it is the only member's
        asked = ("model", "members", len(raw["model"]["members"]) - 1, *asked[1:])
    return [asked] if _is_there(raw, asked) else []


def _is_there(raw: Any, path: Path) -> bool:
    try:
        value_at(raw, path)
    except KeyError:
        return False
    return True


def told(raw: Mapping[str, Any], path: Path) -> str:
    """A place as people call it."""
    if path[:2] == ("model", "members") and len(path) > 2 and isinstance(path[2], int):
        path = (*path[:2], raw["model"]["members"][path[2]]["name"], *path[3:])
    return dotted(path)


def why_not(path: Path) -> str | None:
    """Why an option is not one to be searched; None if it may be."""
    if not path or path[0] not in SEARCHED:
        return f"only options of {', '.join(SEARCHED)} are searched: others decide what the scores are made on"
    if path[0] == "targets" and path[2:] in (("loss_weight",), ("type",)):
        return "it decides what the scores say"
    if path[-1] == "name" or (path[0] == "features" and path[2:] == ("type",)):
        return "it says what something is"
    return _FIXED.get(path[:2])  # type: ignore[arg-type]  # a pair of names, if it is known


def near(raw: Mapping[str, Any], name: str) -> list[str]:
    """Names of options like one that there is not."""
    known = {told(raw, path) for path in _all_places(raw) if why_not(path) is None}
    known |= {
        dotted(("features", "*", path[2])) for path in _all_places(raw) if path[0] == "features" and len(path) > 2
    }
    return get_close_matches(name, sorted(known), n=2)


def _all_places(raw: Any, here: Path = ()) -> Iterator[Path]:
    pairs = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    for key, value in pairs:
        if here or key in SEARCHED:
            yield (*here, key)
            yield from _all_places(value, (*here, key))
