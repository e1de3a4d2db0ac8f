"""Arrow streams from a request: read batch by batch, and none that unpacks to more than a body may have.

A few bytes of Arrow may stand for any number: buffers may be compressed, cells may be numbers in a dictionary or views
of one text, and a column of nulls has no bytes at all. What is claimed is counted before anything is unpacked.
"""

import struct
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from trueweight.serve.refusals import Refused

__all__ = ["read_arrow"]

_OLD_CODEC = b"ARROW:experimental_compression"
"""How messages of Arrow 0.17 say that they are compressed."""

_DICTIONARY, _BATCH = 2, 3
"""Of the kinds of messages that hold buffers."""


def read_arrow(body: bytes, rows: int, columns: int, size: int) -> pa.Table:
    """The table that a stream holds; its types are as they came.

    Args:
        body: The whole stream.
        rows: At most.
        columns: At most.
        size: Bytes at most, once all cells are plain.

    Raises:
        Refused: It is larger, or of a kind that is not taken.
        pa.ArrowException: It is no Arrow stream.
    """
    source = pa.py_buffer(body)
    _refuse_compressed(source)
    with pa.ipc.open_stream(source) as reader:
        if len(reader.schema) > columns:
            raise Refused(413, f"{len(reader.schema):,} columns are more than {columns:,}")
        return pa.Table.from_batches(_batches(reader, rows, size), reader.schema)


def _batches(reader: pa.RecordBatchReader, rows: int, size: int) -> Iterator[pa.RecordBatch]:
    count = weight = 0
    for batch in reader:
        count += batch.num_rows
        if count > rows:
            hint = "send them in several requests"
            raise Refused(413, f"{count:,} rows are more than {rows:,}", hint=hint)
        batch.validate(full=True)
        weight += sum(map(_weight, batch.columns))
        if weight > size:
            raise Refused(413, f"the cells of this stream unpack to more than {size:,} bytes")
        yield batch


def _weight(array: pa.Array) -> int:
    """Bytes of its cells where they are plain, and at least one for each."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _weight(array.storage)
    if pa.types.is_dictionary(kind):
        return len(array) + _looked_up(array)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return len(array) + _viewed(array)
    if pa.types.is_struct(kind):
        return len(array) + sum(_weight(array.field(place)) for place in range(kind.num_fields))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return len(array) + _weight(array.values)
    if pa.types.is_nested(kind) or pa.types.is_run_end_encoded(kind):
        raise Refused(415, f"Arrow columns of type {str(kind)[:60]} are not read", hint="send plain columns or lists")
    return max(len(array), int(array.nbytes))


def _looked_up(array: pa.DictionaryArray) -> int:
    """Of cells that are places in a dictionary."""
    values = array.dictionary
    if pa.types.is_nested(values.type) or pa.types.is_dictionary(values.type):
        raise Refused(415, "Arrow dictionaries of lists are not read", hint="send plain columns or lists")
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or _is_bytes(values.type)):
        return 16 * len(array)  # no plain value is wider, but of a fixed width that is counted below
    lengths = pc.binary_length(values).take(array.indices)
    return pc.sum(lengths.cast(pa.int64())).as_py() or 0


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _viewed(array: pa.Array) -> int:
    """Of cells that are views: 16 bytes each, of which the first four tell a length."""
    views = array.buffers()[1]
    if views is None:
        return 0
    numbers = pa.Array.from_buffers(pa.int32(), 4 * (array.offset + len(array)), [None, views])
    lengths = numbers.take(pa.array(range(4 * array.offset, 4 * (array.offset + len(array)), 4), pa.int64()))
    told = pc.if_else(array.is_valid(), lengths.cast(pa.int64()), 0)
    return pc.sum(told).as_py() or 0


def _refuse_compressed(source: pa.Buffer) -> None:
    """Refuse buffers that Arrow would unpack before anybody could count.

    Raises:
        Refused: There are such.
    """
    for message in pa.ipc.MessageReader.open_stream(source):
        told = message.metadata.to_pybytes()
        if _OLD_CODEC in told or _is_compressed(told):
            hint = "write the stream without compression; the body as a whole may be gzip, by Content-Encoding"
            raise Refused(415, "compressed Arrow buffers are not read", hint=hint)


def _is_compressed(told: bytes) -> bool:
    """Whether a message is a batch whose buffers are compressed.

    Reads the flatbuffers of Arrow's ``Message.fbs``: of a message, fields 1 and 2 are the kind and the place of what it
    holds; of a batch, field 3 is the compression; of a dictionary, field 1 is its batch.
    """
    try:
        (message,) = struct.unpack_from("<I", told)
        place = _field(told, message, 1)
        kind = told[place] if place else 0
        if kind not in (_DICTIONARY, _BATCH):
            return False
        batch = _table(told, message, 2)
        return _field(told, _table(told, batch, 1) if kind == _DICTIONARY else batch, 3) != 0
    except (struct.error, IndexError):
        raise Refused(400, "the body is not an Arrow stream") from None


def _field(told: bytes, table: int, number: int) -> int:
    """Where a field of a table stands; 0 where it has none."""
    (back,) = struct.unpack_from("<i", told, table)
    entries = table - back
    (size,) = struct.unpack_from("<H", told, entries)
    if 4 + 2 * number >= size:
        return 0
    (offset,) = struct.unpack_from("<H", told, entries + 4 + 2 * number)
    return table + offset if offset else 0


def _table(told: bytes, table: int, number: int) -> int:
    """Where a table begins that is a field of another one."""
    place = _field(told, table, number)
    return place + int(struct.unpack_from("<I", told, place)[0])
