"""What the strings below a spec's fields say, read from its source when somebody asks.

Pydantic can do that itself (``use_attribute_docstrings``), but does it whenever a class is made: a sixth of a second
of every command, for words that only ``schema``, the reference pages and complaints about a value ever show.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import lru_cache

from pydantic import BaseModel

__all__ = ["descriptions"]


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What is said of a model's fields, by their names in Python; those of which nothing is said are left out.

    Words given to ``Field`` come first, then the string below the field in the class that last annotates it. Where
    there is no source, as in an interactive session, nothing is said.
    """
    below: dict[str, str | None] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, BaseModel) and cls is not BaseModel:
            below |= _classes(cls.__module__).get(cls.__qualname__.replace("<locals>.", ""), {})
    told = {name: field.description or below.get(name) for name, field in model.model_fields.items()}
    return {name: text for name, text in told.items() if text}


@lru_cache(maxsize=512)
def _classes(module: str) -> dict[str, dict[str, str | None]]:
    """Annotated fields of every class of a module, by its qualified name, and the strings below them."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError, SyntaxError):
        return {}
    return dict(_found(tree, ""))


def _found(node: ast.AST, prefix: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.ClassDef):
            yield f"{prefix}{inner.name}", _below(inner.body)
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _found(inner, f"{prefix}{inner.name}.")
        else:
            yield from _found(inner, prefix)


def _below(body: list[ast.stmt]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for statement, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        found[statement.target.id] = inspect.cleandoc(text) if isinstance(text, str) else None
    return found
