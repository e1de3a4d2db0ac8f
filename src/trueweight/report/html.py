"""Builds HTML in which nothing a user wrote can become markup: every text is escaped unless it is :class:`Html`."""

from collections.abc import Iterable
from html import escape

__all__ = ["Child", "Html", "el", "join"]


class Html(str):
    """Markup, made by :func:`el` or by us as a literal. Everything else is text."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]
"""What may stand inside an element. None is nothing; a list is its items."""

_VOID = {"meta", "br", "hr", "col"}


def join(*children: Child) -> Html:
    """Children side by side."""
    return Html("".join(_rendered(child) for child in children))


def el(name: str, /, *children: Child, **attributes: Child) -> Html:
    """An element.

    Args:
        name: Of the tag.
        children: Texts are escaped, markup is kept.
        attributes: ``class_`` is class, ``aria_label`` is aria-label; None and False are left out, True is bare.
    """
    inside = join(*children)
    start = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    return Html(start if name in _VOID else f"{start}{inside}</{name}>")


def _attribute(key: str, value: Child) -> str:
    if value is None or value is False:
        return ""
    word = key.rstrip("_").replace("_", "-")
    return f" {word}" if value is True else f' {word}="{escape(str(value), quote=True)}"'


def _rendered(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str | int | float):
        return escape(str(child), quote=False)
    return "".join(_rendered(inner) for inner in child)
