"""The words of a report, one table per language. Both tables have the same keys; a test holds them to it."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from trueweight.report.terms_en import TERMS as ENGLISH_TERMS
from trueweight.report.terms_zh import TERMS as CHINESE_TERMS
from trueweight.report.translate import in_chinese
from trueweight.report.words_en import WORDS as ENGLISH
from trueweight.report.words_zh import WORDS as CHINESE

__all__ = ["LANGUAGES", "Language", "Words"]

Language = Literal["en", "zh"]

LANGUAGES: tuple[str, ...] = get_args(Language)

_TABLES: Mapping[Language, Mapping[str, str]] = {
    "en": {**ENGLISH, **ENGLISH_TERMS},
    "zh": {**CHINESE, **CHINESE_TERMS},
}
"""By language; a test holds them to the same keys."""


_ENDS = ("change", "difference", "gap")
"""Of names of metrics that are made from another's."""


class Words:
    """Looks words up.

    Args:
        language: Of the report.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self._table = _TABLES[language]

    def __call__(self, key: str, **values: Any) -> str:
        """A sentence with its values filled in."""
        return self._table[key].format(**values)

    def metric(self, name: str) -> str:
        """A metric by the name that people know; of others, the name itself."""
        base, _, label = name.partition("[")
        if base.endswith("flag"):
            return self.flag(base)
        known = self._table.get(f"metric.{base}") or self._of_another(base) or self.told(base.replace("_", " "))
        return f"{known} [{label}" if label else known

    def _of_another(self, name: str) -> str:
        """``roc_auc_change`` by the words of ``roc_auc``; nothing where it is not made so."""
        for end in _ENDS:
            base = name.removesuffix(f"_{end}")
            if base != name and f"metric.{base}" in self._table:
                return self(f"metric.of.{end}", metric=self._table[f"metric.{base}"])
        return ""

    def method(self, name: str) -> str:
        """A method of explaining."""
        return self._table.get(f"method.{name}", name)

    def proof(self, name: str) -> str:
        """A check of an explanation."""
        return self._table.get(f"proof.{name}", name)

    def told(self, text: str) -> str:
        """A sentence of the evidence, in the report's language as far as it is known."""
        return text if self.language == "en" else in_chinese(text) or text

    def unit(self, name: str) -> str:
        """What a value is counted in."""
        return self._table.get(f"unit.{name}") or self.told(name)

    def flag(self, metric: str) -> str:
        """What a flag looks for."""
        return self._table.get(f"looked.{metric}", metric.removesuffix("flag").replace("_", " ").strip())

    def label(self, name: str) -> str:
        """What goes along an axis of a plot."""
        return self._table.get(f"label.{name}", name.replace("_", " "))

    def type(self, name: str) -> str:
        """A column's type."""
        return self._table.get(f"type.{name}", name)

    def axis(self, name: str) -> str:
        """A check's name."""
        return self._table.get(f"axis.{name}", name)

    def about(self, axis: str) -> str:
        """One sentence on what a check looks at, or nothing."""
        return self._table.get(f"about.{axis}", "")

    def figure(self, metric: str) -> str:
        """One sentence on how to read a plot, or nothing."""
        return self._table.get(f"figure.{metric.partition('[')[0]}", "")

    def several(self, key: str, count: int) -> str:
        """A sentence that is another where the count is one."""
        return self(f"{key}.one") if count == 1 else self(key, count=f"{count:,}")

    def counted(self, count: int, noun: str) -> str:
        """``1 row``, ``1,200 rows``."""
        return self(f"{noun}.one" if count == 1 else f"{noun}.many", count=f"{count:,}")
