"""Parquet files, with the types they declare."""

import io
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa

from trueweight.data import spill
from trueweight.data.source import Piece, SourceFile, arrow_stream
from trueweight.errors import DataError
from trueweight.files import digest_file
from trueweight.progress import advance
from trueweight.spec.base import PartSpec
from trueweight.spec.data import DataSpec

__all__ = ["ParquetSource"]


class ParquetSource(PartSpec):
    """Parquet: numbers, texts, dates and lists arrive with the types that the file declares."""

    type: Literal["parquet"] = "parquet"
    """Registered name."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    def recognises(self, head: bytes) -> bool:
        return head.startswith(b"PAR1")

    def read(self, file: SourceFile, spec: DataSpec, rows: int | None) -> Piece:  # noqa: ARG002  # the protocol
        from pyarrow import parquet

        try:
            # Buffered ahead, the whole file would be in memory by the time its last rows are read.
            options = {"pre_buffer": False, "memory_map": True}
            with parquet.ParquetFile(file.local or arrow_stream(file.bytes()), **options) as opened:
                if rows is not None:
                    return Piece(_first(opened, rows))
                if file.local and _bytes(opened) > spill.SPILL_BYTES:
                    return Piece(_mapped(opened, file.local, file.name))
                return Piece(_all(opened, file.name))
        except (pa.ArrowException, OSError) as error:
            hint = "was it copied whole? A Parquet file begins and ends with PAR1"
            problem = f"this is not a readable Parquet file: {_short(error)}"
            raise DataError(problem, where=file.name, hint=hint) from None

    def example(self) -> bytes:
        from pyarrow import parquet

        stream = io.BytesIO()
        parquet.write_table(pa.table({"name": ["a", "b", "c"], "count": [1, 2, 3]}), stream)
        return stream.getvalue()


def _all(opened: Any, name: str) -> pa.Table:
    total, groups = opened.metadata.num_rows, []
    for number in range(opened.num_row_groups):
        groups.append(opened.read_row_group(number))
        advance(f"reading {name}", sum(map(len, groups)), total)
    return pa.concat_tables(groups) if groups else opened.read()


def _bytes(opened: Any) -> int:
    """What its columns fill before they are compressed; encodings may make even that smaller than memory."""
    facts = opened.metadata
    return sum(facts.row_group(number).total_byte_size for number in range(facts.num_row_groups))


def _mapped(opened: Any, path: Path, name: str) -> pa.Table:
    total = opened.metadata.num_rows
    rows = max(1, total * spill.BATCH_BYTES // max(1, _bytes(opened)))
    batches = opened.iter_batches(batch_size=rows)
    return spill.spilled(batches, opened.schema_arrow, digest_file(path), total, f"reading {name}")


def _first(opened: Any, rows: int) -> pa.Table:
    batches, count = [], 0
    for batch in opened.iter_batches(batch_size=rows):
        batches.append(batch)
        count += batch.num_rows
        if count >= rows:
            break
    return pa.Table.from_batches(batches, opened.schema_arrow).slice(0, rows)


def _short(error: BaseException) -> str:
    return str(error).split("\n")[0][:200]
