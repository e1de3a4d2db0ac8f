"""Arrow IPC: files (also called Feather) and streams."""

import io
from typing import Any, ClassVar, Literal

import pyarrow as pa

from trueweight.data.source import Piece, SourceFile, arrow_stream
from trueweight.errors import DataError
from trueweight.progress import advance
from trueweight.spec.base import PartSpec
from trueweight.spec.data import DataSpec

__all__ = ["ArrowSource"]

_FILE = b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"


class ArrowSource(PartSpec):
    """Arrow IPC files and streams, with the types they declare."""

    type: Literal["arrow"] = "arrow"
    """Registered name."""

    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".feather", ".ipc", ".arrows")

    def recognises(self, head: bytes) -> bool:
        return head.startswith((_FILE, _STREAM))

    def read(self, file: SourceFile, spec: DataSpec, rows: int | None) -> Piece:  # noqa: ARG002  # the protocol
        try:
            with pa.memory_map(str(file.local)) if file.local else arrow_stream(file.bytes()) as raw:
                if file.head.startswith(_FILE):
                    reader = pa.ipc.open_file(raw)
                    batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
                else:
                    reader = pa.ipc.open_stream(raw)
                    batches = iter(reader)
                return Piece(_collect(batches, reader.schema, file.name, rows))
        except (pa.ArrowException, OSError) as error:
            hint = "was it copied whole? Feather version 1 is not read: write it anew with a recent pyarrow"
            problem = f"this is not a readable Arrow file: {str(error).splitlines()[0][:200]}"
            raise DataError(problem, where=file.name, hint=hint) from None

    def example(self) -> bytes:
        stream = io.BytesIO()
        table = pa.table({"name": ["a", "b", "c"], "count": [1, 2, 3]})
        with pa.ipc.new_file(stream, table.schema) as writer:
            writer.write_table(table)
        return stream.getvalue()


def _collect(batches: Any, schema: pa.Schema, name: str, rows: int | None) -> pa.Table:
    kept, count = [], 0
    for batch in batches:
        kept.append(batch)
        count += batch.num_rows
        advance(f"reading {name}", count, rows)
        if rows is not None and count >= rows:
            break
    table = pa.Table.from_batches(kept, schema)
    return table if rows is None else table.slice(0, rows)
