"""Texts that are longer than what a model keeps of them: how many of the judged ones are cut, and what that means."""

from collections.abc import Iterator

import numpy as np

from trueweight.data.bpe import tokens_of, vocabulary_from
from trueweight.data.cells import TextCells
from trueweight.data.reading import cells_of
from trueweight.data.signature import ColumnFacts
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import now
from trueweight.evidence.record import Entry, Method

__all__ = ["cut_texts"]


def cut_texts(judging: Judging) -> list[Entry]:
    """For each text that is read or written token by token, the judged rows of which the end is lost."""
    return list(_entries(judging))


def _entries(judging: Judging) -> Iterator[Entry]:
    signature = judging.predictor.signature
    for facts in (*signature.features(), *signature.targets()):
        merges = facts.learnt.get("merges") if facts.type in ("text", "masked") else None
        if merges is None or facts.name not in judging.table.names:
            continue  # nothing is read by tokens
        cells = cells_of(judging.table, facts, signature.options)
        if not isinstance(cells, TextCells):
            continue
        known = np.flatnonzero(~cells.missing_N)
        texts = cells.text_N.to_pylist()
        lengths = tokens_of([texts[row] for row in known], vocabulary_from(merges)).lengths
        yield _entry(judging, facts, int((lengths > int(facts.learnt["max_tokens"])).sum()), len(known))


def _entry(judging: Judging, facts: ColumnFacts, cut: int, n: int) -> Entry:
    most, ask = int(facts.learnt["max_tokens"]), judging.ask
    reason = f"only their first {most:,} tokens are read: max_tokens keeps more"
    metric, method = f"cut texts of {facts.name}", Method("tokens", "1", {"max_tokens": most})
    if facts in judging.predictor.signature.targets():
        reason = f"only their first {most:,} tokens are learnt from, scored and written: max_tokens keeps more"
    return Entry(
        id=f"data/cut/{facts.name}/{ask.role}", axis="data", metric=metric, value=cut, unit="cells", n=n,
        reason=reason if cut else None, method=method, data=ask.data, produced_at=now(),
    )  # fmt: skip
