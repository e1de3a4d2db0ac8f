"""What is too much, or not what it says it is, is refused before anything is made of it."""

import asyncio
import base64
import gzip
import io
import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from trueweight.bundle.bundle import open_bundle
from trueweight.serve.exchange import Request

PREDICT = "/v1/models/every/predict"


def test_gzip_is_unpacked(ask: Any) -> None:
    body = gzip.compress(json.dumps([{"amount": 1}]).encode())
    assert ask("POST", PREDICT, body, content_encoding="gzip").status == 200


def test_gzip_that_was_joined_is_read_to_its_end_and_what_was_cut_is_refused(ask: Any) -> None:
    """Rows that are lost without a word would be worse than no answer."""
    rows = [json.dumps({"amount": n}).encode() + b"\n" for n in range(3)]
    head = {"kind": "application/x-ndjson", "content_encoding": "gzip", "accept": "application/x-ndjson"}
    joined = gzip.compress(rows[0]) + gzip.compress(b"") + gzip.compress(rows[1] + rows[2]) + b"\0" * 9
    for path in (PREDICT, f"{PREDICT}?stream=true"):
        assert len(ask("POST", path, joined, **head).body.splitlines()) == 3
        for cut in (gzip.compress(b"".join(rows))[:-1], joined[:-12], gzip.compress(rows[0])[:12], b""):
            refused = ask("POST", path, cut, **head)
            assert (refused.status, "breaks off" in json.loads(refused.body)["detail"]) == (400, True)
        refused = ask("POST", path, gzip.compress(rows[0]) + b"no more gzip", **head)
        assert (refused.status, "not gzip" in json.loads(refused.body)["detail"]) == (400, True)
        refused = ask("POST", path, gzip.compress(rows[0]) + gzip.compress(b"") * 200, **head)
        assert (refused.status, "too many little pieces" in json.loads(refused.body)["detail"]) == (400, True)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_it_does_not_matter_where_a_packed_body_is_cut_on_its_way(step: int) -> None:
    body = gzip.compress(b"one,") + b"\0" * 5 + gzip.compress(b"two") + b"\0" * 9
    pieces = [body[place : place + step] for place in range(0, len(body), step)]
    messages = iter([{"type": "http.request", "body": one, "more_body": True} for one in pieces])

    async def receive() -> Any:
        return next(messages, {"type": "http.request", "body": b"", "more_body": False})

    scope = {"method": "POST", "path": "/", "headers": [(b"content-encoding", b"gzip")]}
    assert asyncio.run(Request(scope, receive).body(100)) == b"one,two"


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"x" * 3000, {}, 413, "longer than 2,000 bytes"),
        (gzip.compress(b" " * 10**7, mtime=0), {"content_encoding": "gzip"}, 413, "longer than"),
        (b"no gzip", {"content_encoding": "gzip"}, 400, "not gzip"),
        (b"{}", {"content_encoding": "br"}, 415, "'br' is not read"),
        (b"{", {}, 400, "not JSON"),
        (b"[1]", {}, 422, "list of objects"),
        (b"[]", {}, 422, "no row"),
        (b"{}", {}, 422, "none of the columns"),
        (b'[{"amount": NaN}]', {}, 400, "not JSON"),
        (json.dumps([{"amount": 1}] * 11).encode(), {}, 413, "more than 10"),
        (b'{"amount": ' + b"[" * 900, {}, 400, "not JSON"),
    ],
)
def test_bodies(serving: Any, body: bytes, headers: dict[str, str], status: int, said: str) -> None:
    transport = serving(limits={"body": 2000, "rows": 10})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = transport.send("POST", PREDICT, {"content-type": "application/json"} | named, body)
    assert reply.status == status
    assert said in json.loads(reply.body)["detail"]
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", b"x", 415), ("text/csv", b"", 422), ("text/csv", b"\x1f\x8b123", 415),
        ("text/csv", b"a,a\n1,2\n", 422), ("text/csv", b"\x89PNG\x00", 422), ("application/x-ndjson", b"{\n", 400),
        ("application/vnd.apache.arrow.stream", b"x", 400),
        ("multipart/form-data", b"", 400), ("multipart/form-data; boundary=a", b"--b\r\n", 400),
        ("multipart/form-data; boundary=a", b"--a\r\n\r\nx\r\n--a--\r\n", 400),
    ],
)  # fmt: skip
def test_kinds(ask: Any, kind: str, body: bytes, status: int) -> None:
    assert ask("POST", PREDICT, body, kind).status == status


def _bomb(wide: int, high: int) -> bytes:
    """A PNG whose head claims a size; little else is there."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(3000, 3000), (60_000, 60_000)])
def test_pictures_that_unpack_to_too_much(serving: Any, size: tuple[int, int]) -> None:
    transport = serving(limits={"pixels": 10**6})
    photo = "data:image/png;base64," + base64.b64encode(_bomb(*size)).decode()
    body = json.dumps([{"photo": photo}]).encode()
    reply = transport.send("POST", PREDICT, {"content-type": "application/json"}, body)
    assert (reply.status, "pixels" in json.loads(reply.body)["detail"]) == (413, True)


def test_sounds_that_are_too_long(serving: Any) -> None:
    import wave

    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * 24_000)
    transport = serving(limits={"seconds_of_sound": 2.0})
    voice = "data:audio/wav;base64," + base64.b64encode(sink.getvalue()).decode()
    reply = transport.send(
        "POST", PREDICT, {"content-type": "application/json"}, json.dumps([{"voice": voice}]).encode()
    )
    assert (reply.status, "seconds" in json.loads(reply.body)["detail"]) == (413, True)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.png", "x.png", "https://example.org/x.png", "file:///x"])
def test_paths_are_not_followed(ask: Any, path: str) -> None:
    for cell in (path, {"bytes": None, "path": path}):
        reply = ask("POST", PREDICT, [{"amount": 1, "photo": cell}])
        assert reply.status == 422
        assert "root:" not in reply.body.decode()


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"method": ["shapley"]}, "did you mean 'methods'?"),
        ({"methods": "shapley", "target": 3}, "methods must be a list of names; target must be the name of a column"),
        ({"keep": [1]}, "keep must be a list of names"),
    ],
)
def test_wishes_that_there_are_none_of_are_not_passed_over(ask: Any, wishes: dict[str, Any], said: str) -> None:
    reply = ask("POST", "/v1/models/every/explain", {"rows": [{"amount": 1}], **wishes})
    assert reply.status == 422
    assert said in json.loads(reply.body)["detail"]


def test_what_may_be_asked_beside_rows_is_told(ask: Any) -> None:
    told = json.loads(ask("GET", "/openapi.json").body)["paths"]
    wished = told["/v1/models/every/explain"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(wished["properties"]) == {"rows", "methods", "target", "keep"}
    routes = (("predict", "post"), ("explain", "post"), ("report", "get"))
    beside = [one for route, method in routes for one in told[f"/v1/models/every/{route}"][method]["parameters"]]
    assert [one["name"] for one in beside] == ["stream", "notes", "timeout", "timeout", "language"]


def test_a_row_without_columns_is_told_so(ask: Any) -> None:
    assert json.loads(ask("POST", PREDICT, {"rows": [{}]}).body)["hint"] == "there is no column at all"


def test_one_bad_request_spoils_nobody_elses(every: Any) -> None:
    from trueweight.serve.hosted import Hosted
    from trueweight.serve.limits import Limits
    from trueweight.serve.refusals import Refused
    from trueweight.serve.rows import rows_of_records

    hosted = Hosted("every", every, Limits())
    asked = [[{"photo": "a.png"}], [{"photo": None}], [{"photo": "b.png"}], [{"amount": 1}]]
    outcomes = hosted.answer([rows_of_records(rows) for rows in asked])
    assert [isinstance(found, Refused) for found in outcomes] == [True, False, True, False]


def test_errors_show_no_inside(serving: Any, every: Any) -> None:
    from dataclasses import replace

    from trueweight.api.serving import verbs_for

    def broken(*_: object) -> dict[str, Any]:
        raise RuntimeError("PLANTED cell 4711 in /home/somebody")

    transport = serving(verbs=replace(verbs_for(), explain=broken))
    body = json.dumps([{"amount": 1}]).encode()
    reply = transport.send("POST", "/v1/models/every/explain", {"content-type": "application/json"}, body)
    assert reply.status == 500
    assert b"PLANTED" not in reply.body
    assert b"RuntimeError" not in reply.body
    assert every.name == "every"


def test_a_stream_that_breaks_off_says_so(ask: Any) -> None:
    good, bad = json.dumps({"amount": 1}) + "\n", json.dumps({"photo": "x.png"}) + "\n"
    first = ask("POST", f"{PREDICT}?stream=true", bad.encode(), "application/x-ndjson")
    assert first.status == 422
    reply = ask("POST", f"{PREDICT}?stream=true", (good * 512 + bad).encode(), "application/x-ndjson")
    *rows, last = reply.body.decode().splitlines()
    assert (reply.status, len(rows)) == (200, 512)
    assert "a text is no image" in json.loads(last)["error"]["detail"]


def test_a_bundle_that_is_changed_on_disk(plain: Any, serving: Any, tmp_path: Path) -> None:
    """Nothing changes until it is opened again, and then it is refused with the reason; the old one answers on."""
    folder = tmp_path / "plain.bundle"
    shutil.copytree(plain.path, folder)
    transport = serving(bundles={"plain": open_bundle(folder)})
    kind, body = {"content-type": "application/json"}, b'[{"amount": 1.0, "kind": "red"}]'
    before = transport.send("POST", "/v1/models/plain/predict", kind, body).body
    (folder / "signature.json").write_text("{}")
    reply = transport.send("POST", "/v1/models/plain/reload", {}, b"")
    assert reply.status == 409
    assert "signature.json" in json.loads(reply.body)["detail"]
    assert transport.send("POST", "/v1/models/plain/predict", kind, body).body == before
    shutil.rmtree(folder)
    assert transport.send("POST", "/v1/models/plain/reload", {}, b"").status == 409
    assert transport.send("POST", "/v1/models/plain/predict", kind, body).body == before
