"""Encodes the columns of a prepared run into feeds, once for all members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from trueweight.data.blocks import MEDIA_SHARD_ROWS, SHARD_ROWS, TEXT_SHARD_ROWS, block_address, open_block, write_block
from trueweight.data.cells import Cells, MediaCells
from trueweight.data.column import FieldArrays
from trueweight.data.feed import Feed, Stored, stored
from trueweight.data.field import Field
from trueweight.data.packed import Packed
from trueweight.data.ragged import Ragged
from trueweight.data.reading import cells_between, cells_of, column_part, lend
from trueweight.data.signature import ColumnFacts
from trueweight.data.table import Table
from trueweight.errors import SpecError
from trueweight.files import digest_bytes
from trueweight.spec.base import PartSpec
from trueweight.spec.run import MemberSpec
from trueweight.train.prepare import Prepared

__all__ = ["TABLE", "Encoded", "augmentations_of", "encode", "encoders_of", "fields_of", "resizings_of"]

_NOT_READING = ("encoder", "augment", "progressive_resizing")
"""Options of columns that say what is done with cells once they are read."""

_SHARD_CELLS = 2**23
"""Cells that are encoded at once: wide tables take fewer rows."""

TABLE = "table"
"""The field of all columns that have no encoder of their own."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """All cases of a run as tensors."""

    fields: Mapping[str, Field]
    inputs: Mapping[str, Stored]
    targets: Mapping[str, Stored]
    weight_N: torch.Tensor | None

    def feed(self, rows: np.ndarray) -> Feed:
        """Some of the cases, by number."""
        return Feed(torch.from_numpy(rows), self.inputs, self.targets, self.weight_N)

    def lend(self, table: Table, rows: np.ndarray) -> None:
        """Spare predictors to encode again what texts, pictures, sounds and series hold.

        Args:
            table: Some of the cases, as a table of its own that lives as long as they are judged.
            rows: Their numbers.
        """
        for name, field in self.fields.items():
            if field.sensed:
                lend(table, field, {key: _taken(array, rows) for key, array in self.inputs[name].items()})


def _taken(array: torch.Tensor | Packed, rows: np.ndarray) -> np.ndarray | Ragged:
    if isinstance(array, Packed):
        return Ragged(array.value_MC.numpy(), array.start_N1.numpy()).take(rows)
    taken: np.ndarray = array.numpy()[rows]
    return taken


def fields_of(ready: Prepared) -> dict[str, Field]:
    """Feature columns grouped by the encoder that reads them: one field for all without one of their own."""
    grouped: dict[str, list[str]] = {TABLE: []}
    for facts in ready.signature.features():
        own = _own_encoder(column_part(facts))
        grouped.setdefault(f"column {facts.name}" if own else TABLE, []).append(facts.name)
    columns, fields = ready.signature.columns, {}
    for key, names in grouped.items():
        if names or len(grouped) == 1:
            codecs = {n: column_part(columns[n]).codec(n, columns[n].learnt) for n in names}  # type: ignore[attr-defined]
            fields[key] = Field(key, codecs, {n: columns[n].type for n in names})
    return fields


def encoders_of(
    ready: Prepared, fields: Mapping[str, Field], member: MemberSpec, *, solving: bool
) -> dict[str, PartSpec]:
    """The encoder of each field: what the member reads the column with, else its column's own, or the member's. A
    solved member has no use for one with weights, and reads such a column with its own.

    Raises:
        SpecError: The member names a column that no encoder of its own reads.
    """
    found = {}
    for key, field in fields.items():
        own = None if key == TABLE else _own_encoder(_only_part(ready, field))
        if key != TABLE:
            own = member.encoders.get(next(iter(field.codecs)), own)
        found[key] = member.encoder if own is None or (solving and not _weightless(own)) else own
    alone = {name for key, field in fields.items() if key != TABLE for name in field.codecs}
    if unread := sorted(member.encoders.keys() - alone):
        raise SpecError(
            f"member {member.name!r} names an encoder for {unread[0]!r}, which is read together with other columns",
            where="model.members.encoders",
            hint=f"leave it out, or give features.{unread[0]} an encoder of its own",
        )
    return found


def augmentations_of(ready: Prepared, fields: Mapping[str, Field]) -> dict[str, list[PartSpec]]:
    """What changes each field's training examples."""
    sensed = {key: field for key, field in fields.items() if field.sensed}
    return {key: list(_only_part(ready, field).augment or []) for key, field in sensed.items()}


def resizings_of(ready: Prepared, fields: Mapping[str, Field]) -> dict[str, tuple[float, float]]:
    """Of each field of pictures that begin smaller: the share of a side, and of the run until when."""
    pictures = {key: field for key, field in fields.items() if "pixel" in field.layout().senses}
    asked = {key: _only_part(ready, field).progressive_resizing for key, field in pictures.items()}
    return {key: (wish.initial, wish.until) for key, wish in asked.items() if wish is not None}


def _only_part(ready: Prepared, field: Field) -> Any:
    return column_part(ready.signature.columns[next(iter(field.codecs))])


def _own_encoder(part: Any) -> PartSpec | None:
    encoder: PartSpec | None = part.encoder
    return encoder


def _weightless(encoder: Any) -> bool:
    return bool(encoder.weightless)


def encode(ready: Prepared, *, keep: bool) -> Encoded:
    """Encode every case.

    Args:
        ready: The prepared run.
        keep: Put blocks into the cache, so that other runs and members share them; else only in memory, as are
            those of tables without a digest.

    Raises:
        TrainError: The cache has no space or may not be written to.
    """
    fields = fields_of(ready)
    inputs = {name: stored(_encode_field(ready, field, keep)) for name, field in fields.items()}
    targets = {facts.name: stored(_encode_target(ready, facts.name)) for facts in ready.signature.targets()}
    weight = None if ready.weight_N is None else torch.from_numpy(ready.weight_N.astype(np.float32))
    return Encoded(fields, inputs, targets, weight)


def _encode_field(ready: Prepared, field: Field, keep: bool) -> FieldArrays:
    options, columns, count = ready.signature.options, ready.signature.columns, len(ready.table)
    if not field.codecs:
        return {}

    def some(start: int, end: int) -> FieldArrays:
        return field.encode({n: cells_between(ready.table, columns[n], options, start, end) for n in field.codecs})

    if not keep or not ready.table.provenance.digest:  # without one, other tables would share the address
        return some(0, count)
    # How cells are read decides what is encoded, and the data's digest does not know it.
    how = [list(options.missing_values), options.decimal_comma, options.marked_texts]
    reading = [*how, [_reading(columns[name]) for name in field.codecs]]
    sensed = [columns[name] for name, codec in field.codecs.items() if codec.senses()]
    # Nor does it know what the files hold that cells name.
    files = [digest_bytes(c.print_N.tobytes()) for c in _cells(ready, sensed) if isinstance(c, MediaCells)]
    address = block_address(ready.table.provenance.digest, count, reading, files, field.to_json())
    if not sensed:
        rows = min(SHARD_ROWS, max(1024, _SHARD_CELLS // len(field.codecs)))
        return open_block(write_block(address, count, some, task="encoding columns", shard_rows=rows))
    rows = TEXT_SHARD_ROWS if sensed[0].type == "text" else MEDIA_SHARD_ROWS
    return open_block(write_block(address, count, some, task=f"encoding {sensed[0].name}", shard_rows=rows))


def _cells(ready: Prepared, columns: Sequence[ColumnFacts]) -> list[Cells]:
    return [cells_of(ready.table, facts, ready.signature.options) for facts in columns]


def _reading(facts: ColumnFacts) -> dict[str, Any]:
    """What a column's spec says of reading, not of what is then done with it."""
    return {key: value for key, value in facts.spec.items() if key not in _NOT_READING}


def _encode_target(ready: Prepared, name: str) -> FieldArrays:
    facts = ready.signature.columns[name]
    part: Any = column_part(facts)
    arrays: FieldArrays = part.encode(cells_of(ready.table, facts, ready.signature.options), facts.learnt)
    return arrays
