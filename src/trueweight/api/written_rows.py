"""Rows of a table as a model that writes answers them, for a report: only rows that somebody gave, or that the bundle
may hold."""

from typing import Any

from trueweight.bundle.bundle import Bundle
from trueweight.data.table import Table
from trueweight.model.predictors.copied import texts_as_target
from trueweight.report.written import WrittenRow

__all__ = ["kept_rows", "written_rows"]


def written_rows(bundle: Bundle, table: Table, rows: int) -> tuple[WrittenRow, ...]:
    """What was read, what is true and what is written in the first rows, for each target that is a text."""
    few, signature = table.head(rows), bundle.signature
    written = [facts.name for facts in signature.targets() if facts.type == "text"]
    read = [facts.name for facts in signature.features() if facts.name in few.names]
    if not written or not len(few):
        return ()
    truths = {
        facts.name: texts_as_target(few, facts, signature) if facts.name in few.names else [None] * len(few)
        for facts in signature.targets() if facts.name in written
    }  # fmt: skip
    if not signature.features():
        return _continued(bundle, truths)
    answers = bundle.predictor.predict(few.select(read))
    cells = few.select(read).data.to_pylist()
    return tuple(
        WrittenRow(name, row, tuple((column, _shown(cell)) for column, cell in cells[row].items()), truth or None, text)
        for name in written
        for row, (truth, text) in enumerate(zip(truths[name], answers[name].columns(name)[name].tolist(), strict=True))
    )


def _continued(bundle: Bundle, truths: dict[str, Any]) -> tuple[WrittenRow, ...]:
    """A language model is given the first third of each text and goes on."""
    parts = {name: [_parted(text or "") for text in texts] for name, texts in truths.items()}
    table = Table.of({name: [begin for begin, _ in pairs] for name, pairs in parts.items()})
    answers = bundle.predictor.predict(table)
    return tuple(
        WrittenRow(name, row, ((name, begin),), rest or None, text)
        for name, pairs in parts.items()
        for row, ((begin, rest), text) in enumerate(
            zip(pairs, answers[name].columns(name)[name].tolist(), strict=True)
        )
    )  # fmt: skip


def _parted(text: str) -> tuple[str, str]:
    """Its first third, to the end of a word where there are words, and the rest."""
    place = text.find(" ", len(text) // 3)
    place = len(text) // 3 if place < 0 else place
    return text[:place], text[place:]


def _shown(cell: Any) -> str:
    if isinstance(cell, bytes):
        return f"{len(cell):,} bytes"
    return "" if cell is None else str(cell)


def kept_rows(bundle: Bundle) -> tuple[WrittenRow, ...]:
    """The same of rows that the bundle holds, where it holds real ones; the last of those has no value at all."""
    golden = bundle.loaded.golden
    if golden is None or not golden.real:
        return ()
    return written_rows(bundle, golden.table, max(0, min(len(golden.table) - 1, _SHOWN)))


_SHOWN = 5
