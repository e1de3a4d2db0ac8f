"""What the data taught us about each column, free of any model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from trueweight.data.cells import ReadOptions
from trueweight.errors import VerifyError
from trueweight.files import require_types, shortened
from trueweight.registry import registry

__all__ = ["ColumnFacts", "Signature"]

VERSION = 1

_TYPES = {
    "name": str, "type": str, "role": str, "why": str, "spec": Mapping, "rows": int, "missing": int,
    "learnt": Mapping, "notes": Mapping,
}  # fmt: skip
"""What may stand in ``signature.json`` of a column; its digests may be forged."""


@dataclass(frozen=True)
class ColumnFacts:
    """One column. ``learnt`` has the keys that the column's type documents, plain JSON values only."""

    name: str
    type: str
    """Registered column type."""
    role: str
    """"feature", "target", "key", "weight" or "ignored"."""
    why: str
    """Why it has this type or role, in plain words."""
    spec: Mapping[str, Any]
    """The column type's spec, complete, as plain data (``registry("column")[type].model_validate(spec)``)."""
    rows: int
    missing: int
    learnt: Mapping[str, Any] = field(default_factory=dict)
    """What the column type's ``learn`` found on training rows."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """Counts of dirt, over all rows."""

    @cached_property
    def part(self) -> object:
        """The column type (of a target: the head) that it was learnt with, rebuilt once: a server asks for each row."""
        kind = "head" if self.role == "target" else "column"
        return registry(kind)[self.type].model_validate(dict(self.spec))  # type: ignore[attr-defined]

    @cached_property
    def spelled(self) -> str:
        """The spec as a text: equal where cells are read in the same way."""
        return repr(sorted(self.spec.items(), key=lambda item: item[0]))


@dataclass(frozen=True, slots=True)
class Signature:
    """All columns, in file order."""

    columns: Mapping[str, ColumnFacts]
    options: ReadOptions = field(default_factory=ReadOptions)
    rows: int = 0
    """Training rows that taught it."""
    together: Mapping[str, Any] = field(default_factory=dict)
    """How columns vary with each other; see :func:`trueweight.data.together.learn_together`. Empty where rows were too
    few, and in bundles of earlier versions."""

    def features(self) -> list[ColumnFacts]:
        """Columns that models read."""
        return [c for c in self.columns.values() if c.role == "feature"]

    def targets(self) -> list[ColumnFacts]:
        """Columns that models answer."""
        return [c for c in self.columns.values() if c.role == "target"]

    def named(self, role: str) -> ColumnFacts | None:
        """The one column with this role ("key", "weight"), if there is one."""
        return next((c for c in self.columns.values() if c.role == role), None)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``signature.json``. Shares what the facts hold: not to be edited."""
        return {
            "version": VERSION,
            "rows": self.rows,
            "options": {
                "missing_values": list(self.options.missing_values),
                "decimal_comma": self.options.decimal_comma,
                **({} if self.options.marked_texts else {"marked_texts": False}),
            },
            "columns": [{f.name: getattr(column, f.name) for f in fields(column)} for column in self.columns.values()],
            **({"together": dict(self.together)} if self.together else {}),
        }

    @classmethod
    def from_json(cls, raw: Any) -> "Signature":
        """The inverse of :meth:`to_json`.

        Raises:
            VerifyError: Not a signature of this version.
        """
        try:
            if raw["version"] != VERSION:
                raise VerifyError(f"the signature has version {raw['version']!r}, this version reads {VERSION}")
            options = raw["options"]
            require_types({"together": {}} | raw, {"rows": int, "together": Mapping}, "the signature")
            kinds = {"missing_values": list, "decimal_comma": bool | None, "marked_texts": bool}
            marked = options.get("marked_texts", True)
            require_types({**options, "marked_texts": marked}, kinds, "the signature")
            for item in raw["columns"]:
                require_types(item, _TYPES, f"column {shortened(str(item['name']), 60)!r} of the signature")
                require_types(item["notes"], dict.fromkeys(item["notes"], int), f"the notes of column {item['name']!r}")
            return cls(
                {item["name"]: ColumnFacts(**item) for item in raw["columns"]},
                ReadOptions(tuple(options["missing_values"]), options["decimal_comma"], marked_texts=marked),
                raw["rows"],
                raw.get("together", {}),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise VerifyError(f"signature.json does not hold a signature: {error!r}") from None
