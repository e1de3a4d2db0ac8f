"""The description of the interface as a page without scripts."""

from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["docs_page"]

_SHOWN = ("Completion", "Chat")
"""Schemas that are shown beside those of the models."""


def docs_page(described: Mapping[str, Any], style: str) -> str:
    """The description as one page that loads nothing and runs nothing."""
    rows = []
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            if told["tags"] != ["page"]:  # files that only the page itself asks for
                rows.append(
                    f"<section><h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
                    f"<p>{escape(told['summary'])}.{_key_for(told)}</p>{_asked(told)}</section>"
                )
    fields = "".join(
        f"<section><h2>{escape(name)}</h2>{_fields(schema)}</section>"
        for name, schema in described["components"]["schemas"].items()
        if "." in name or name in _SHOWN
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        "<meta name=color-scheme content='light dark'>"
        f"<title>Trueweight: the interface</title><link rel=stylesheet href='{style}'></head><body><main class=docs>"
        f"<h1>The interface</h1><p>The same for programs: <a href=/openapi.json>openapi.json</a>. "
        f"<a href=/>Try the models.</a></p>{''.join(rows)}{fields}</main></body></html>"
    )


def _key_for(told: Mapping[str, Any]) -> str:
    ways = told.get("security", ())
    roles = ", ".join(sorted({role for way in ways for each in way.values() for role in each}))
    return f" Needs a key{' for ' + escape(roles) if roles else ''}." if ways else ""


def _asked(told: Mapping[str, Any]) -> str:
    content = told.get("requestBody", {}).get("content", {})
    example = content.get("application/json", {}).get("example")
    if example is None:
        return ""
    from pydantic_core import to_json

    kinds = ", ".join(map(escape, content))
    shown = to_json(example, indent=1).decode()
    if len(shown) > 4000:
        shown = shown[:4000] + " …"
    return f"<p>Bodies: {kinds}</p><pre>{escape(shown)}</pre>"


def _fields(schema: Mapping[str, Any]) -> str:
    lines = []
    for name, field in schema.get("properties", {}).items():
        kind = field.get("type", "")
        cells = (
            field.get("x-type", ""),
            ", ".join(kind) if isinstance(kind, list) else kind,
            field.get("description", ""),
        )
        shown = "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
        lines.append(f"<tr><th scope=row>{escape(name)}</th>{shown}</tr>")
    head = "<thead><tr><th>name<th>column type<th>JSON<th></tr></thead>"
    return f"<table>{head}<tbody>{''.join(lines)}</tbody></table>"
