"""A bundle that is served: rows in, columns out, by the same Predictor that was tested."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from trueweight.bundle.bundle import Bundle, key_of
from trueweight.data.table import Table
from trueweight.errors import TrueweightError, VerifyError, fault_of
from trueweight.serve.limits import Limits
from trueweight.serve.media_guard import guard_media, media_columns
from trueweight.serve.refusals import Refused, refused_by
from trueweight.serve.rows import Rows, table_of
from trueweight.serve.schema import answer_schema, row_schema
from trueweight.spec.data import DataSpec

__all__ = ["Columns", "Hosted", "plain_rows", "told_of"]

_LOG = logging.getLogger("trueweight.serve")

Columns = Mapping[str, np.ndarray]

_PLAIN = ("number", "binary", "category", "date")


@dataclass(frozen=True)
class Hosted:
    """One model as it is served at this moment. Swapping it makes another one.

    Raises:
        VerifyError: The bundle is of another name: whoever asks for this one would be answered by another model, and
            after the next start there would be none.
    """

    name: str
    bundle: Bundle
    limits: Limits

    def __post_init__(self) -> None:
        if self.bundle.name != self.name:
            hint = f"train it with --name {self.name}, or start a server with it"
            said = f"the bundle is of another model, {self.bundle.name!r} and not {self.name!r}"
            raise VerifyError(said, where=str(self.bundle.path), hint=hint)

    @cached_property
    def reading(self) -> DataSpec:
        """How bodies are read: as the model's own files, but that no row may be lost."""
        own = {"source": None, "format": None, "delimiter": None, "encoding": None, "max_bad_rows": 0.0}
        return self.bundle.resolved.data.model_copy(update=own)

    @cached_property
    def bounds(self) -> Limits:
        """Of one request for it: all of its own columns may always be there."""
        return replace(self.limits, columns=self.limits.columns + len(self.bundle.signature.columns))

    @cached_property
    def media(self) -> dict[str, str]:
        """Features that hold files."""
        return media_columns(self.bundle.signature)

    @cached_property
    def plain(self) -> bool:
        """Whether it reads and answers nothing that takes long, whatever a cell holds: no text, file or series, nor by
        a compiler, which takes its time for every new number of rows."""
        running = self.bundle.running
        if running is not None and running.chosen == "compiled":
            return False
        columns = [*self.bundle.signature.features(), *self.bundle.signature.targets()]
        return all(facts.type in _PLAIN for facts in columns)

    @cached_property
    def row_schema(self) -> dict[str, Any]:
        """JSON Schema of one row."""
        return row_schema(self.bundle.signature)

    @cached_property
    def answer_schema(self) -> dict[str, Any]:
        """JSON Schema of one answer."""
        return answer_schema(self.bundle)

    def table(self, rows: Rows) -> Table:
        """Rows of one request as a table.

        Raises:
            Refused: A cell names a path, or a file that is too large.
        """
        table = table_of([rows])
        guard_media(table, self.media, self.limits)
        return table

    def answer(self, several: Sequence[Rows]) -> list[Columns | Exception]:
        """Columns for each of the requests. Those whose columns have the same types are asked together; one that
        cannot be answered takes no other with it."""
        outcomes: list[Columns | Exception] = [Refused(500, "not answered")] * len(several)
        for places in _alike(several):
            together = [several[place] for place in places]
            try:
                found = self._columns(together)
            except Exception as error:  # each is told on its own
                if len(places) == 1:
                    outcomes[places[0]] = told_of(error)
                    continue
                for place in places:  # one of them spoils it for the others
                    outcomes[place] = self.answer([several[place]])[0]
                continue
            start = 0
            for place in places:
                end = start + several[place].count
                outcomes[place] = found if len(places) == 1 else {n: v[start:end] for n, v in found.items()}
                start = end
        return outcomes

    def _columns(self, together: Sequence[Rows]) -> Columns:
        table = table_of(together)
        if self.media:
            guard_media(table, self.media, self.limits)
        if not len(table):  # which columns there are is told by any row; not every way to run a network takes none
            row = pa.table([pa.nulls(1, field.type) for field in table.data.schema], names=table.names)
            told = {name: v[:0] for name, v in self.bundle.predict_columns(replace(table, data=row)).items()}
            return told | key_of(self.bundle.signature, table)
        return self.bundle.predict_columns(table)

    def facts(self) -> dict[str, Any]:
        """What ``/v1/models`` tells: OpenAI's shape, and more."""
        manifest, signature, running = self.bundle.manifest, self.bundle.signature, self.bundle.running
        return {
            "id": self.name, "object": "model", "created": _seconds(manifest.created), "owned_by": "trueweight",
            "digest": manifest.digest, "trueweight": manifest.trueweight,
            "features": {facts.name: facts.type for facts in signature.features()},
            "targets": {facts.name: facts.type for facts in signature.targets()},
            "runtime": {"name": "eager"} if running is None else {"name": running.chosen, "why": running.why},
        }  # fmt: skip

    def measured(self) -> dict[str, Any] | None:
        """How fast each way of running it was here; None: nobody looked."""
        running = self.bundle.running
        return None if running is None else running.to_json()


def _alike(several: Sequence[Rows]) -> list[list[int]]:
    if len(several) == 1:
        return [[0]]
    groups: list[tuple[object, list[int]]] = []
    known: dict[object, list[int]] = {}
    for place, rows in enumerate(several):
        if isinstance(rows.key, pa.Schema):  # is compared, not hashed
            found = next((g for key, g in groups if isinstance(key, pa.Schema) and key.equals(rows.key)), None)
        else:
            found = known.get(rows.key)
        if found is None:
            found = []
            groups.append((rows.key, found))
            if not isinstance(rows.key, pa.Schema):
                known[rows.key] = found
        found.append(place)
    return [places for _, places in groups]


def told_of(error: Exception) -> Refused:
    """What whoever asked is told of an error."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, TrueweightError):
        return refused_by(error)
    # The text of a foreign error may hold cells: only where it happened goes into the log.
    _LOG.error("a request could not be answered: %s", fault_of(error))
    return Refused(500, "the model could not answer; the server's log says where it failed")


def _seconds(created: str) -> int:
    try:
        return int(datetime.fromisoformat(created).timestamp())
    except ValueError:
        return 0


def plain_rows(columns: Columns, count: int) -> list[dict[str, Any]]:
    """One object for each row, with plain values; NaN stays, and is null once it is JSON."""
    lists = {name: values.tolist() for name, values in columns.items()}
    names = list(lists)
    if count == 1:
        return [{name: lists[name][0] for name in names}]
    return [dict(zip(names, row, strict=True)) for row in zip(*lists.values(), strict=True)]
