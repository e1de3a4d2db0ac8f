"""Named, replaceable parts, found by entry point or added by decorator."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from trueweight.errors import SpecError

__all__ = ["KINDS", "Registry", "registry"]

T = TypeVar("T")

KINDS = (
    "augmentation", "column", "decoder", "encoder", "fusion", "head", "fitter", "optimizer", "predictor", "source",
)  # fmt: skip
"""Every kind of part there is; each is an entry-point group ``trueweight.<kind>``."""

OURS = "trueweight"


class Registry(Generic[T]):
    """Maps a short name, as written in a spec, to the object that implements it.

    Parts are declared as entry points, ours exactly like everybody else's:

        [project.entry-points."trueweight.encoder"]
        fourier = "their_pkg.encoders:FourierEncoder"

    They are listed without being imported and loaded one by one when asked for, so
    ``trueweight parts`` is instant and a broken plugin breaks only the runs that name it.
    In notebooks and tests, where nothing is installed, use :meth:`register`.

    Args:
        kind: What the parts are, singular: "encoder", "head". Also names the entry-point
            group (``trueweight.<kind>``) and appears in error messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Add a part by decorator. Names are permanent: specs on disk refer to them."""

        def add(part: T) -> T:
            if name in self._parts or name in self._points():
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._parts[name] = part
            return part

        return add

    def __getitem__(self, name: str) -> T:
        if name in self._parts:
            return self._parts[name]
        if name in (points := self._points()):
            return self._parts.setdefault(name, points[name].load())
        near = get_close_matches(name, list(self), n=1)
        choose = f"choose from {', '.join(self)}"
        raise SpecError(
            f"unknown {self.kind} {name!r}",
            hint=f"did you mean {near[0]!r}?" if near else choose,
        )

    def __iter__(self) -> Iterator[str]:
        """Names of all parts, sorted. Loads nothing."""
        return iter(sorted(self._parts.keys() | self._points().keys()))

    def __contains__(self, name: object) -> bool:
        return name in self._parts or name in self._points()

    def origin(self, name: str) -> str:
        """The distribution a part comes from, e.g. ``trueweight 0.1.0``; "this process" if decorated."""
        point = self._points().get(name)
        if point is None or point.dist is None:
            return "this process"
        return _name_of(point.dist)

    def is_ours(self, name: str) -> bool:
        """Whether the part is Trueweight's own, so that a bundle may name it without being asked."""
        return self.origin(name).split(" ")[0] == OURS

    def _points(self) -> dict[str, EntryPoint]:
        return _entry_points(f"trueweight.{self.kind}")


@cache
def _name_of(dist: Distribution) -> str:
    """With its version. Both are read from its description, which is parsed anew each time."""
    return f"{dist.name} {dist.version}"


@cache
def _all_points() -> Any:
    """Of all groups. Versions of Python have different classes for that, each with a method ``select``."""
    return entry_points()


@cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name; two distributions with one name are an error."""
    found: dict[str, EntryPoint] = {}
    for point in _all_points().select(group=group):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            names = sorted({p.dist.name if p.dist else "?" for p in (other, point)})
            raise SpecError(
                f"two installed packages both provide {group} {point.name!r}: {', '.join(names)}",
                hint=f"uninstall one of them: pip uninstall {names[0]}",
            )
    return found


_REGISTRIES: dict[str, "Registry[type]"] = {}


def registry(kind: str) -> "Registry[type]":
    """The one registry of a kind of part; see :data:`KINDS`."""
    if kind not in KINDS:
        raise ValueError(f"no such kind of part: {kind!r}")
    return _REGISTRIES.setdefault(kind, Registry(kind))
