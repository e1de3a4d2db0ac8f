"""A text as it is written, of a row of any columns."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from trueweight import application, decoding
from trueweight.bundle.bundle import Bundle
from trueweight.serve.transport import Answer, MemoryTransport


@pytest.fixture
def server(teller: Bundle, plain: Bundle) -> Iterator[MemoryTransport]:
    transport = MemoryTransport(application([teller, plain]))
    yield transport
    transport.close()


def post(server: MemoryTransport, asked: Any, model: str = "teller") -> Answer:
    kind = {"content-type": "application/json"}
    return server.send("POST", f"/v1/models/{model}/write", kind, json.dumps(asked).encode())


def events(answer: Answer) -> list[tuple[str, Any]]:
    told = [event.split("\n") for event in answer.body.decode().strip().split("\n\n")]
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for kind, data in told]


def test_pieces_are_what_predict_answers(server: MemoryTransport, teller: Bundle) -> None:
    answer = post(server, {"rows": [{"kind": "green"}]})
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    *pieces, last = events(answer)
    assert last == ("end", {})
    assert "".join(told["text"] for _, told in pieces) == teller.predict([{"kind": "green"}])[0]["words"]


def test_wishes(server: MemoryTransport, teller: Bundle) -> None:
    asked = {"rows": [{"kind": "red"}], "temperature": 1.5, "max_tokens": 6, "seed": 4}
    how = decoding(temperature=1.5, max_tokens=6)
    expected = "".join(teller.stream({"kind": "red"}, how=how, seed=4))
    assert "".join(told.get("text", "") for _, told in events(post(server, asked))) == expected
    refused = post(server, asked | {"temperature": -1})
    assert refused.status == 422
    assert "temperature" in json.loads(refused.body)["detail"]


def test_what_cannot_be_written_is_refused(server: MemoryTransport) -> None:
    assert post(server, {"rows": [{"amount": 1.0}]}, "plain").status == 422  # it writes no text
    assert post(server, {"rows": [{"kind": "red"}] * 2}).status == 413
    assert post(server, {"rows": [{"unknown": 1}]}).status == 422
    assert post(server, {"rows": [{"kind": "red"}], "target": "other"}).status == 422
    assert server.send("POST", "/v1/models/teller/write", {"content-type": "text/csv"}, b"kind\nred\n").status == 415
