"""Texts over OpenAI's interface; with its own client where that is installed."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from trueweight import decoding
from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.serve.app import Application
from trueweight.serve.transport import MemoryTransport


@pytest.fixture
def server(novel: Bundle, plain: Bundle) -> Iterator[MemoryTransport]:
    transport = MemoryTransport(Application({"novel": novel, "plain": plain}, verbs_for()))
    yield transport
    transport.close()


def post(server: MemoryTransport, path: str, asked: Any) -> Any:
    return server.send("POST", path, {"content-type": "application/json"}, json.dumps(asked).encode())


def test_completions_are_what_predict_answers(server: MemoryTransport, novel: Bundle) -> None:
    asked = {"model": "novel", "prompt": ["the c", "a "], "max_tokens": 9, "temperature": 0}
    told = json.loads(post(server, "/v1/completions", asked).body)
    expected = novel.predict({"words": ["the c", "a "]}, how=decoding(max_tokens=9, temperature=0.0))["words"]
    assert [choice["text"] for choice in told["choices"]] == list(expected)
    assert told["object"] == "text_completion"
    assert told["usage"]["prompt_tokens"] == 7
    assert told["usage"]["completion_tokens"] == sum(map(len, expected))


def test_seeds_samples_and_stops(server: MemoryTransport) -> None:
    asked = {"model": "novel", "prompt": "the", "max_tokens": 12, "temperature": 1.2, "seed": 3, "n": 2}
    one, again = (json.loads(post(server, "/v1/completions", asked).body)["choices"] for _ in range(2))
    assert one == again
    assert len(one) == 2
    letter = next(c for c in one[0]["text"] if c.isprintable())
    cut = json.loads(post(server, "/v1/completions", asked | {"n": 1, "stop": [letter]}).body)["choices"][0]["text"]
    assert letter not in cut


@pytest.mark.parametrize("chat", [False, True])
def test_streams_are_the_same_in_pieces(chat: bool, server: MemoryTransport) -> None:
    asked: dict[str, Any] = {"model": "novel", "max_tokens": 10, "temperature": 0}
    asked |= {"messages": [{"role": "user", "content": "a d"}]} if chat else {"prompt": "a d"}
    path = "/v1/chat/completions" if chat else "/v1/completions"
    whole = json.loads(post(server, path, asked).body)["choices"][0]
    reply = post(server, path, asked | {"stream": True})
    assert reply.headers["content-type"] == "text/event-stream"
    events = [event.removeprefix("data: ") for event in reply.body.decode().strip().split("\n\n")]
    assert events[-1] == "[DONE]"
    pieces = [json.loads(event)["choices"][0] for event in events[:-1]]
    said = "".join(p["delta"].get("content", "") if chat else p["text"] for p in pieces)
    assert said == (whole["message"]["content"] if chat else whole["text"])
    assert len(pieces) > 3
    assert pieces[-1]["finish_reason"] == whole["finish_reason"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"model": "plain", "prompt": "x"}, "writes no text"),
        ({"model": "nobody", "prompt": "x"}, "no model"),
        ({"prompt": "x"}, "names no model"),
        ({"model": "novel", "prompt": 3}, "prompt must be"),
        ({"model": "novel", "prompt": ["x"] * 65}, "more than 64"),
        ({"model": "novel", "prompt": "x", "temperature": -1}, "temperature must be"),
        ({"model": "novel", "prompt": "x", "max_tokens": 0}, "max_tokens must be"),
        ({"model": "novel", "prompt": ["x", "y"], "stream": True}, "one prompt"),
    ],
)
def test_mistakes_are_told_in_their_shape(asked: dict[str, Any], said: str, server: MemoryTransport) -> None:
    reply = post(server, "/v1/completions", asked)
    assert reply.status in (400, 404, 413)
    assert said in json.loads(reply.body)["error"]["message"]


def test_the_real_client(novel: Bundle) -> None:
    openai = pytest.importorskip("openai")
    uvicorn = pytest.importorskip("uvicorn")
    from tests.serve.test_server import free_port

    port = free_port()
    config = uvicorn.Config(Application({"novel": novel}, verbs_for()), port=port, log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
    try:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
        assert [one.id for one in client.models.list()] == ["novel"]
        whole = client.completions.create(model="novel", prompt="the", max_tokens=8, temperature=0)
        stream = client.completions.create(model="novel", prompt="the", max_tokens=8, temperature=0, stream=True)
        assert "".join(piece.choices[0].text for piece in stream) == whole.choices[0].text
        messages = [{"role": "user", "content": "the"}]
        chat = client.chat.completions.create(model="novel", messages=messages, max_tokens=8, temperature=0)
        assert chat.choices[0].message.content == whole.choices[0].text
        with pytest.raises(openai.NotFoundError, match="no model"):
            client.completions.create(model="other", prompt="x")
    finally:
        server.should_exit = True
        thread.join(10)
