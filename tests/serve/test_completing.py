"""Texts over OpenAI's interface; with its own client where that is installed."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from trueweight import decoding
from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.data.frames import from_frame
from trueweight.data.reading import encoded_of
from trueweight.model.protocols import Decoding
from trueweight.serve.app import Application
from trueweight.serve.transport import MemoryTransport


@pytest.fixture
def server(novel: Bundle, plain: Bundle) -> Iterator[MemoryTransport]:
    transport = MemoryTransport(Application({"novel": novel, "plain": plain}, verbs_for()))
    yield transport
    transport.close()


def post(server: MemoryTransport, path: str, asked: Any) -> Any:
    return server.send("POST", path, {"content-type": "application/json"}, json.dumps(asked).encode())


def written(bundle: Bundle, prompts: list[str], how: Decoding, seed: int = 0) -> int:
    """Tokens that the Predictor alone takes, ends among them."""
    table = from_frame({"words": prompts})
    return int(bundle.predictor.predict(table, how=how, seed=seed)["words"].tokens_N.sum())  # type: ignore[attr-defined]


def test_completions_are_what_predict_answers(server: MemoryTransport, novel: Bundle) -> None:
    asked = {"model": "novel", "prompt": ["the c", "a "], "max_tokens": 9, "temperature": 0}
    told = json.loads(post(server, "/v1/completions", asked).body)
    expected = novel.predict({"words": ["the c", "a "]}, how=decoding(max_tokens=9, temperature=0.0))["words"]
    assert [choice["text"] for choice in told["choices"]] == list(expected)
    assert told["object"] == "text_completion"
    assert told["usage"]["prompt_tokens"] == 6  # cells are read without spaces at their ends
    how = decoding(max_tokens=9, temperature=0.0)
    assert told["usage"]["completion_tokens"] == written(novel, ["the c", "a "], how)


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


def streamed(server: MemoryTransport, asked: Any) -> list[Any]:
    reply = post(server, "/v1/completions", asked | {"stream": True})
    events = [event.removeprefix("data: ") for event in reply.body.decode().strip().split("\n\n")]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("stop", [False, True])
def test_tokens_are_those_that_were_written(seed: int, stop: bool, server: MemoryTransport, novel: Bundle) -> None:
    """What is cut off at a stop was written too; whether a text came to its end is known and not guessed."""
    asked = {"model": "novel", "prompt": "the", "max_tokens": 12, "temperature": 1.2, "seed": seed}
    first = json.loads(post(server, "/v1/completions", asked).body)["choices"][0]["text"]
    sign = next((sign for sign in first[2:] if sign.isascii()), None)
    stop = stop and sign is not None
    asked |= {"stop": sign} if stop else {}

    def took(most: int) -> int:
        how = decoding(max_tokens=most, temperature=1.2, stop=[asked["stop"]] if stop else ())
        return written(novel, ["the"], how, seed)

    told = json.loads(post(server, "/v1/completions", asked).body)
    assert told["usage"] == {"prompt_tokens": 3, "completion_tokens": took(12), "total_tokens": took(12) + 3}
    (choice,) = told["choices"]
    assert (choice["finish_reason"] == "length") == (took(13) == 13)  # it would have gone on
    assert not (stop and choice["finish_reason"] == "length")
    assert took(12) > len(choice["text"].encode(errors="ignore").replace(b"\xef\xbf\xbd", b"")) or not stop
    *pieces, last = streamed(server, asked | {"stream_options": {"include_usage": True}})
    assert (last["choices"], last["usage"]) == ([], told["usage"])
    assert {piece["usage"] for piece in pieces} == {None}
    assert pieces[-1]["choices"][0]["finish_reason"] == choice["finish_reason"]
    assert all("usage" not in piece for piece in streamed(server, asked))


def test_of_several_candidates_all_are_counted(server: MemoryTransport) -> None:
    asked = {"model": "novel", "prompt": ["the", "a do"], "max_tokens": 9, "temperature": 1.2, "n": 3}
    told = json.loads(post(server, "/v1/completions", asked).body)
    assert told["usage"]["prompt_tokens"] == 7
    assert sum(len(choice["text"]) for choice in told["choices"]) <= told["usage"]["completion_tokens"] <= 6 * 9
    assert {choice["finish_reason"] for choice in told["choices"]} <= {"stop", "length"}


def test_a_model_that_reads_counts_what_it_read(reader: Bundle) -> None:
    with closing(MemoryTransport(Application({"reader": reader}, verbs_for()))) as server:
        told = json.loads(post(server, "/v1/completions", {"model": "reader", "prompt": "the cat sat"}).body)
        (field,) = reader.predictor.fields.values()  # type: ignore[attr-defined]  # a leaf
        read: Any = encoded_of(from_frame({"line": ["the cat sat"]}), field, reader.signature)["token"]
        assert told["usage"]["prompt_tokens"] == len(read.value_MC) > 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"model": "novel", "prompt": "x", "stream_options": {"include_usage": True}}, "are for streams"),
        ({"model": "novel", "prompt": "x", "stream": True, "stream_options": 3}, "must be an object"),
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
        counted: Any = {"stream": True, "stream_options": {"include_usage": True}}
        stream = client.completions.create(model="novel", prompt="the", max_tokens=8, temperature=0, **counted)
        assert list(stream)[-1].usage == whole.usage
        messages = [{"role": "user", "content": "the"}]
        stream = client.chat.completions.create(
            model="novel", messages=messages, max_tokens=8, temperature=0, **counted
        )  # fmt: skip
        *pieces, last = stream
        assert (last.choices, last.usage.total_tokens) == ([], whole.usage.total_tokens)
        assert all(piece.usage is None for piece in pieces)
        chat = client.chat.completions.create(model="novel", messages=messages, max_tokens=8, temperature=0)
        assert chat.choices[0].message.content == whole.choices[0].text
        with pytest.raises(openai.NotFoundError, match="no model"):
            client.completions.create(model="other", prompt="x")
    finally:
        server.should_exit = True
        thread.join(10)
