"""YAML 1.2 read into plain values, with the place of every key and value.

We take ruamel.yaml's scanner and composer, and turn its nodes into values ourselves: by the core schema of YAML 1.2
(section 10.3), so that ``1e-3`` is a number, ``NO`` a text and ``2026-01-01`` a text that a field may read as a date.
Keys are always texts, since they are names of options and columns: a column may be called ``1`` or ``null``.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from trueweight.errors import SpecError

__all__ = ["Document", "Path", "dotted", "read_yaml", "scalar"]

Path = tuple[str | int, ...]
"""Keys and list positions that lead to a value."""

MOST_VALUES = 100_000
"""Aliases may repeat values; a small file must not unfold into a large one ("billion laughs")."""

MOST_DEEP = 100

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_STR_TAG = re.compile(r"(&\S+\s+)?!")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")} | {
    "tag:yaml.org,2002:value"  # a plain "="
}
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


@dataclass(slots=True)
class Document:
    """Plain values and where each of them was written."""

    raw: Any
    origin: str = ""
    """The file's name as the user wrote it; empty for values that come from Python."""
    keys: dict[Path, str] = field(default_factory=dict)
    """Place of the key that leads to a value: ``claims.yaml:12:5``."""
    values: dict[Path, str] = field(default_factory=dict)
    """Place where a value begins."""
    mistakes: list[str] = field(default_factory=list)
    """What was wrong already while reading, one line each: keys given twice, tags we do not know."""

    def place(self, path: Path, *, key: bool = False) -> str:
        """The nearest place known for a path: its own, or that of the closest value around it."""
        if key and path in self.keys:
            return self.keys[path]
        for length in range(len(path), -1, -1):
            if path[:length] in self.values:
                return self.values[path[:length]]
        return self.origin

    def at(self, path: Path) -> Any:
        """The value at a path; None if there is none."""
        here = self.raw
        for key in path:
            there = key in here if isinstance(here, dict) else isinstance(here, list) and key in range(len(here))
            if not there:
                return None
            here = here[key]
        return here


def scalar(text: str) -> Any:
    """The value of an unquoted YAML scalar by the core schema: null, bool, int, float, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 10 if text[:2] not in ("0o", "0x") else 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def read_yaml(text: str, origin: str = "") -> Document:
    """Read one YAML document.

    Raises:
        SpecError: Not YAML; says line, column and shows the line.
    """
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(error, text, origin) from None
    except YAMLError as error:
        raise SpecError(f"not YAML: {' '.join(str(error).split())[:200]}", where=origin) from None
    document = Document(None, origin)
    if node is not None:
        document.raw = _Reader(document).value(node, ())
    return document


def _syntax_error(error: MarkedYAMLError, text: str, origin: str) -> SpecError:
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    line = min(mark.line, len(lines) - 1)
    shown = lines[line] if lines else ""
    problem, hint = _syntax_words(" ".join((error.problem or "").split()), shown)
    column = mark.column if line == mark.line else len(shown)
    pointer = f"\n  {shown.replace(chr(9), ' ')[:100]}\n  {' ' * column}^" if column < 100 else ""
    place = f"{origin or 'line'}:{line + 1}:{column + 1}"
    return SpecError(problem + pointer, where=place, hint=hint)


def _syntax_words(problem: str, line: str) -> tuple[str, str]:
    """What went wrong and what to do, in words for somebody who has never read the YAML standard."""
    if "\\t" in problem or line.lstrip(" ").startswith("\t"):
        return "a tab at the beginning of a line; YAML wants spaces there", "indent with two spaces"
    if "mapping values are not allowed" in problem:
        return "a second ':' where only one can be", "put texts that hold ': ' in quotes, and check the indentation"
    if "single document" in problem or "another document" in problem:
        return "a second document begins here ('---')", "keep one spec to a file"
    if "could not find expected ':'" in problem:
        return "a key without a value", "write 'key: value'"
    if "undefined alias" in problem:
        return f"not YAML: {problem}", "put a text that begins with '*' in quotes"
    return f"not YAML: {problem}", "check quotes, brackets and the indentation here and in the line above"


class _Reader:
    """Turns nodes into values, filling in a document's places and mistakes."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.left = MOST_VALUES

    def value(self, node: Node, path: Path) -> Any:
        self.left -= 1
        if self.left < 0 or len(path) > MOST_DEEP:
            problem = f"aliases unfold into more than {MOST_VALUES:,} values, or into themselves"
            raise SpecError(problem, where=self._place(node), hint="write the values out")
        self.document.values[path] = self._place(node)
        if str(node.tag) not in _TAGS:
            self._mistake(node, f"tag {node.tag!s} is not allowed; write the plain value")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, child in self._pairs(node):
            below = (*path, key.value)
            if key.value in found:
                first = self.document.keys[below]
                self._mistake(key, f"{dotted(below)}: given twice; the first is at {first}")
                continue
            self.document.keys[below] = self._place(key)
            found[key.value] = self.value(child, below)
        return found

    def _pairs(self, node: MappingNode) -> Iterator[tuple[ScalarNode, Node]]:
        for key, child in node.value:
            if not isinstance(key, ScalarNode):
                self._mistake(key, "a key must be a text; put a text that begins with '[' or '{' in quotes")
            elif key.value == "<<" and key.style is None:
                self._mistake(key, "merge keys (<<) are not part of YAML 1.2; write the keys out")
            else:
                yield key, child

    def _scalar(self, node: ScalarNode) -> Any:
        if node.style is not None:  # quoted, or a block
            return node.value
        mark = node.start_mark
        said_to_be_text = _STR_TAG.match(mark.buffer or "", mark.index)
        return node.value if said_to_be_text else scalar(node.value)

    def _mistake(self, node: Node, problem: str) -> None:
        self.document.mistakes.append(f"{self._place(node)}: {problem}")

    def _place(self, node: Node) -> str:
        mark = node.start_mark
        return f"{self.document.origin or 'line'}:{mark.line + 1}:{mark.column + 1}"


def dotted(path: Path) -> str:
    """A path as people write it: ``features."a.b".type``, ``members[0].name``."""
    words = ""
    for key in path:
        if isinstance(key, int):
            words += f"[{key}]"
        else:
            plain = key and not any(c in '."[]=' or c.isspace() for c in key)
            word = key if plain else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
            words += f".{word}" if words else word
    return words
