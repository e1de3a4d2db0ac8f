"""Small bodies that would become large: told before there is memory for them."""

import base64
import io
import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueweight.serve.arrow_guard import read_arrow
from trueweight.serve.exchange import Request
from trueweight.serve.refusals import Refused
from trueweight.serve.rows import ARROW

PREDICT = "/v1/models/every/predict"


def arrow(columns: dict[str, Any], **how: Any) -> bytes:
    sink, table = io.BytesIO(), pa.table(columns)
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**how)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def looked_up(value: Any, kind: pa.DataType) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(900, np.int8)), pa.array([value], kind))


def views() -> pa.Array:
    """Cells that all show one text, which is there once."""
    one = pa.array(["x" * 2000], pa.string_view())
    view, texts = one.buffers()[1], one.buffers()[2]
    return pa.Array.from_buffers(pa.string_view(), 900, [None, pa.py_buffer(view.to_pybytes() * 900), texts])


def empty_lists() -> pa.Array:
    """Of nulls, which take no bytes."""
    return pa.FixedSizeListArray.from_arrays(pa.nulls(9 * 10**7), 10**5)


BOMBS: list[tuple[str, Callable[[], bytes], int, str]] = [
    ("zstd", lambda: arrow({"a": np.zeros(10**6)}, compression="zstd"), 415, "compressed"),
    ("lz4", lambda: arrow({"a": np.zeros(10**6)}, compression="lz4"), 415, "compressed"),
    ("dictionary", lambda: arrow({"a": looked_up("x", pa.string())}, compression="zstd"), 415, "compressed"),
    ("no bytes", lambda: arrow({"a": pa.nulls(10**8)}), 413, "100,000,000 rows are more than 1,000"),
    ("nulls within", lambda: arrow({"a": empty_lists()}), 413, "unpack"),
    ("one text", lambda: arrow({"a": looked_up("x" * 2000, pa.string())}), 413, "unpack to more than 1,000,000"),
    ("wide text", lambda: arrow({"a": looked_up(b"x" * 2000, pa.binary(2000))}), 413, "unpack to more than 1,000,000"),
    ("views", lambda: arrow({"a": views()}), 413, "unpack to more than 1,000,000"),
    ("lists", lambda: arrow({"a": looked_up(["x"], pa.list_(pa.string()))}), 415, "dictionaries of lists"),
    ("runs", lambda: arrow({"a": pa.RunEndEncodedArray.from_arrays([900], [1.0])}), 415, "run_end_encoded"),
    ("columns", lambda: arrow({f"c{n}": [1] for n in range(101)}), 413, "101 columns are more than 100"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "status", "said"), [one[1:] for one in BOMBS], ids=[one[0] for one in BOMBS])
def test_arrow_that_unpacks_to_more(make: Callable[[], bytes], status: int, said: str) -> None:
    body = make()
    assert len(body) < 200_000
    with pytest.raises(Refused) as refused:
        read_arrow(body, 1000, 100, 10**6)
    assert refused.value.status == status
    assert said in refused.value.detail


def test_arrow_of_all_plain_kinds_is_read() -> None:
    columns = {
        "number": [1.5, None], "words": pa.array(["a", None]).dictionary_encode(), "raw": [b"x", None],
        "lists": [[1, 2], None], "fixed": pa.array([[1.0], [2.0]], pa.list_(pa.float64(), 1)),
        "view": pa.array(["a" * 50, None], pa.string_view()), "file": [{"bytes": b"x", "path": None}] * 2,
        "nothing": pa.nulls(2),
    }  # fmt: skip
    for version in (pa.ipc.MetadataVersion.V4, pa.ipc.MetadataVersion.V5):
        assert read_arrow(arrow(columns, metadata_version=version), 2, 8, 1000).equals(pa.table(columns))


def test_arrow_over_http(ask: Any) -> None:
    assert ask("POST", PREDICT, arrow({"amount": [1.0]}), ARROW).status == 200
    assert ask("POST", PREDICT, arrow({"amount": [1.0]}, compression="zstd"), ARROW).status == 415
    assert ask("POST", PREDICT, arrow({"amount": [1.0]})[:-100], ARROW).status == 400


def packed(*texts: bytes) -> bytes:
    found = b""
    for text in texts:
        one = zlib.compressobj(9, wbits=31)
        found += one.compress(text) + one.flush()
    return found


def test_a_packed_body_is_never_unpacked_beyond_a_bite() -> None:
    """Also where one stream ends just behind the limit and the next begins in the same bytes."""
    import asyncio
    import tracemalloc

    most, messages = 10**5, [{"type": "http.request", "body": packed(b" " * (10**5 + 1), b" " * 10**8)}]

    async def receive() -> Any:
        return messages.pop()

    scope = {"method": "POST", "path": "/", "headers": [(b"content-encoding", b"gzip")]}
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match="longer than 100,000"):
            asyncio.run(Request(scope, receive).body(most))
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [2**18, 2**18 + 1, 3 * 2**18, 10**6])
def test_a_packed_body_is_whole_where_bites_end(size: int) -> None:
    import asyncio

    text = bytes(range(256)) * (size // 256 + 1)
    for whole in (text[:size], b" " * size):
        messages = [{"type": "http.request", "body": packed(whole, b"end")}]

        async def receive(left: Any = messages) -> Any:
            return left.pop()

        scope = {"method": "POST", "path": "/", "headers": [(b"content-encoding", b"gzip")]}
        assert asyncio.run(Request(scope, receive).body(10**7)) == whole + b"end"


@pytest.mark.parametrize(("kind", "start"), [("application/x-ndjson", b'{"note": "'), ("text/csv", b'note\n"')])
@pytest.mark.parametrize("before", [b"", b"{}\n"])
def test_a_row_of_a_stream_that_never_ends(serving: Any, kind: str, start: bytes, before: bytes) -> None:
    transport = serving(limits={"body": 10**6})
    body = packed((before if "json" in kind else b"") + start + b"x" * 10**7)
    head = {"content-type": kind, "content-encoding": "gzip"}
    reply = transport.send("POST", f"{PREDICT}?stream=true", head, body)
    assert (reply.status, "a row of a stream is longer" in json.loads(reply.body)["detail"]) == (413, True)


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("application/json", json.dumps([{f"c{n}": 1 for n in range(200)}]), "200 columns are more than 1"),
        (
            "application/json",
            json.dumps([{f"c{n}": 1} for n in range(80)]),
            "80 rows of 80 columns are more than 5,000",
        ),
        ("application/x-ndjson", '{"amount": 1}\n\n' * 101, "101 rows are more than 100"),
        ("text/csv", ",".join(f"c{n}" for n in range(200)) + "\n" + ",".join("1" * 200), "200 columns are more than 1"),
    ],
)
def test_tables_that_are_too_wide(serving: Any, kind: str, body: str, said: str) -> None:
    transport = serving(limits={"columns": 100, "cells": 5000, "rows": 100})
    reply = transport.send("POST", PREDICT, {"content-type": kind}, body.encode())
    assert reply.status == 413
    assert said in json.loads(reply.body)["detail"]
    inputs = [{"name": f"c{n}", "shape": [1], "datatype": "FP64", "data": [1]} for n in range(200)]
    asked = json.dumps({"inputs": inputs}).encode()
    assert transport.send("POST", "/v2/models/every/infer", {"content-type": kind}, asked).status == 413


def test_columns_of_the_model_are_never_too_many(serving: Any) -> None:
    transport = serving(limits={"columns": 1})
    names = json.loads(transport.send("GET", "/v1/models/every", {}, b"").body)["row"]["properties"]
    rows = json.dumps([dict.fromkeys(names, None) | {"more": 1}]).encode()
    assert transport.send("POST", PREDICT, {"content-type": "application/json"}, rows).status == 200


def test_a_name_that_never_ends(ask: Any) -> None:
    reply = ask("POST", PREDICT, b"amount," + b"x" * 200_000 + b"\n1,2\n", "text/csv")
    assert (reply.status, "longer than 131,072" in json.loads(reply.body)["detail"]) == (422, True)


def test_pictures_that_are_too_many(serving: Any) -> None:
    from PIL import Image

    sink = io.BytesIO()
    Image.new("L", (100, 100)).save(sink, "PNG")
    photo = "data:image/png;base64," + base64.b64encode(sink.getvalue()).decode()
    transport = serving(limits={"pixels": 10_000})
    for count, status in ((10, 200), (11, 413)):
        body = json.dumps([{"photo": photo}] * count).encode()
        assert transport.send("POST", PREDICT, {"content-type": "application/json"}, body).status == status
