"""Models that write, asked as OpenAI's interface asks: completions, chats, and both as they are written."""

import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from trueweight.bundle.asked import texts_table, written_target
from trueweight.data.bpe import tokens_of, vocabulary_from
from trueweight.data.table import Table
from trueweight.errors import SpecError
from trueweight.model.predictors.running import Written
from trueweight.nn.decoding import Decoding, decoding
from trueweight.serve.doorkeeper import Guest
from trueweight.serve.exchange import Reply, Request, json_reply
from trueweight.serve.hosted import Columns, Hosted
from trueweight.serve.media_guard import guard_media
from trueweight.serve.refusals import Refused
from trueweight.serve.routes import Route
from trueweight.serve.streaming import broken_off, pieces_of, while_there
from trueweight.serve.writing import Spent

if TYPE_CHECKING:
    from trueweight.serve.app import Application, Asked

__all__ = ["MOST_PROMPTS", "Completing"]

MOST_PROMPTS = 64
"""Of one request."""

_USUAL_TOKENS = 16
"""Of a completion, if nobody says; theirs."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is asked for."""

    hosted: Hosted
    target: str
    prompts: tuple[str, ...]
    table: Table
    """The prompts as the model reads them."""
    how: Decoding
    seed: int
    stream: bool
    chat: bool
    counted: bool = False
    """Of a stream: whether what it took is told at its end."""

    def told(self, **more: Any) -> dict[str, Any]:
        """What every answer begins with."""
        kind = ("chat.completion.chunk" if self.stream else "chat.completion") if self.chat else "text_completion"
        start = "chatcmpl" if self.chat else "cmpl"
        made = int(time.time())
        return {
            "id": f"{start}-{secrets.token_hex(12)}",
            "object": kind,
            "created": made,
            "model": self.hosted.name,
        } | more

    def choice(self, place: int, text: str, finish: str | None) -> dict[str, Any]:
        """One text, or one piece of it."""
        if not self.chat:
            said: dict[str, Any] = {"text": text, "logprobs": None}
        elif self.stream:
            said = {"delta": {"content": text} if text else {}}
        else:
            said = {"message": {"role": "assistant", "content": text}}
        return {"index": place, **said, "finish_reason": finish}

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, as the model writes them."""
        learnt = self.hosted.bundle.signature.columns[self.target].learnt
        lengths: list[int] = tokens_of(list(texts), vocabulary_from(learnt["merges"])).lengths.tolist()
        return lengths

    def texts(self, columns: Columns) -> list[str]:
        """What was answered, the candidates of each prompt beside each other."""
        names = [self.target, *(f"{self.target}.other[{place}]" for place in range(2, self.how.samples + 1))]
        return [str(columns[name][row] or "") for row in range(len(self.prompts)) for name in names if name in columns]

    def read_again(self, texts: Sequence[str]) -> Spent:
        """What texts took of which only that is known: their tokens, as the model would write them."""
        every = self.tokens([*texts, *self.prompts])  # in one go: a call takes longer than a text
        most = self.how.max_steps
        pairs = zip(texts, every, strict=False)
        written = [Written(text, tokens, most is None or tokens < most) for text, tokens in pairs]
        return Spent(sum(every[len(texts) :]), written)

    def finishes(self, texts: Sequence[str], spent: Spent) -> list[str]:
        """Why each of the texts ends. Candidates are told the likeliest first, and were not written so."""
        found, several = [], self.how.samples
        for place, text in enumerate(texts):
            first = place // several * several
            some = spent.written[first : first + several]
            ended = next((one.ended for one in some if one.text == text), True)
            found.append("stop" if ended else "length")
        return found


def _usage(spent: Spent) -> dict[str, int]:
    written = sum(one.tokens for one in spent.written)
    return {"prompt_tokens": spent.read, "completion_tokens": written, "total_tokens": spent.read + written}


class Completing:
    """Handlers; see :class:`~trueweight.serve.answering.Answering`."""

    def __init__(self, app: "Application") -> None:
        self._app = app

    def routes(self) -> list[Route]:
        """Theirs."""
        return [
            Route("POST", "/v1/completions", "predict", self.completions, theirs=True),
            Route("POST", "/v1/chat/completions", "predict", self.chat, theirs=True),
        ]

    async def completions(self, request: Request, guest: Guest, _: str, asked: "Asked") -> Reply:
        """Texts that go on from prompts, or answer them."""
        return await self._answered(request, guest, asked, chat=False)

    async def chat(self, request: Request, guest: Guest, _: str, asked: "Asked") -> Reply:
        """The same of messages: their texts, one below the other, are the prompt."""
        return await self._answered(request, guest, asked, chat=True)

    async def _answered(self, request: Request, guest: Guest, asked: "Asked", *, chat: bool) -> Reply:
        body = await self._app.read(request)
        try:
            raw = from_json(body, allow_inf_nan=False)
        except ValueError as error:
            raise Refused(400, f"the body is not JSON: {str(error)[:200]}") from None
        wish = self._wish(raw, chat=chat)
        self._app.charge(guest, len(wish.prompts))
        asked.model, asked.digest, asked.rows = wish.hosted.name, wish.hosted.bundle.manifest.digest, len(wish.prompts)
        if wish.stream:
            events = broken_off(request, self._pieces(request, wish), lambda refused: _event(refused.openai()))
            return Reply(kind="text/event-stream", pieces=events)
        return json_reply(_whole(wish, *await self._texts(request, wish)))

    async def _texts(self, request: Request, wish: _Wish) -> tuple[list[str], Spent]:
        """Of all prompts, the candidates of each beside each other; and what they took."""
        seconds, spent = self._app.limits.seconds, Spent()
        scribe = self._app.scribe(wish.hosted, wish.how)
        if scribe is None:
            texts = wish.texts(await self._app.texts.run(_searched, wish))
            return texts, wish.read_again(texts)
        table, count = (lambda: wish.table), len(wish.prompts)
        columns = await self._app.written(
            request, wish.hosted, scribe, table, count, seconds, wish.how, wish.seed, spent
        )  # fmt: skip
        return wish.texts(columns), spent

    def _wish(self, raw: Any, *, chat: bool) -> _Wish:
        if not isinstance(raw, dict) or not isinstance(raw.get("model"), str):
            raise Refused(400, "the request names no model")
        hosted = self._app.hosted(raw["model"])
        try:
            target = written_target(hosted.bundle.signature)
            prompts = (_of_messages(raw.get("messages")),) if chat else _prompts(raw.get("prompt", ""))
            table = texts_table(hosted.bundle.signature, prompts)
            guard_media(table, hosted.media, hosted.limits)  # a prompt may not name a file
            how = self._app.limits.require(_how(raw, chat=chat))
        except SpecError as error:
            raise Refused(400, error.problem, hint=error.hint) from None
        stream = bool(raw.get("stream", False))
        if stream and (len(prompts) > 1 or how.samples > 1):
            raise Refused(400, "one prompt and one choice are streamed at a time")
        seed, counted = raw.get("seed"), _counted(raw, stream=stream)
        return _Wish(hosted, target, prompts, table, how, seed if isinstance(seed, int) else 0, stream, chat, counted)

    async def _pieces(self, request: Request, wish: _Wish) -> AsyncGenerator[bytes, None]:
        """Server-sent events, one for each piece; between two of them others are served."""
        told, said, spent = wish.told(), "", Spent()
        blank = {"usage": None} if wish.counted else {}
        texts = pieces_of(
            self._app, wish.hosted, lambda: wish.table, target=wish.target, how=wish.how, seed=wish.seed, spent=spent
        )  # fmt: skip
        async with aclosing(while_there(request, texts)) as pieces:
            async for piece in pieces:
                said += piece
                yield _event(told | {"choices": [wish.choice(0, piece, None)]} | blank)
        if not spent.written:  # not by the running batch
            spent = wish.read_again([said])
        yield _event(told | {"choices": [wish.choice(0, "", *wish.finishes([said], spent))]} | blank)
        if wish.counted:
            yield _event(told | {"choices": [], "usage": _usage(spent)})
        yield b"data: [DONE]\n\n"


def _event(told: Mapping[str, Any]) -> bytes:
    return b"data: " + to_json(told) + b"\n\n"


def _searched(wish: _Wish) -> Columns:
    """Texts that are not written token by token."""
    return wish.hosted.bundle.predict_columns(wish.table, how=wish.how, seed=wish.seed)


def _whole(wish: _Wish, texts: Sequence[str], spent: Spent) -> dict[str, Any]:
    pairs = zip(texts, wish.finishes(texts, spent), strict=True)
    choices = [wish.choice(place, text, finish) for place, (text, finish) in enumerate(pairs)]
    return wish.told(choices=choices, usage=_usage(spent))


def _counted(raw: Mapping[str, Any], *, stream: bool) -> bool:
    """Whether ``stream_options`` ask for what a stream took.

    Raises:
        Refused: They make no sense, or there is no stream.
    """
    options = raw.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise Refused(400, "stream_options are for streams", hint="ask with stream: true, or leave them out")
    if not isinstance(options, dict) or not isinstance(options.get("include_usage", False), bool):
        raise Refused(400, "stream_options must be an object", hint='such as {"include_usage": true}')
    return bool(options.get("include_usage", False))


def _prompts(raw: Any) -> tuple[str, ...]:
    found = [raw] if isinstance(raw, str) else raw
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise Refused(400, "prompt must be a text or a list of texts")
    if len(found) > MOST_PROMPTS:
        raise Refused(413, f"{len(found):,} prompts are more than {MOST_PROMPTS}")
    return tuple(found)


def _of_messages(raw: Any) -> str:
    if not isinstance(raw, list) or not raw:
        raise Refused(400, "messages must be a list of objects with role and content")
    return "\n".join(map(_content, raw))


def _content(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):  # parts, as newer clients send them
        content = "".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    if not isinstance(content, str):
        raise Refused(400, "each message needs content that is a text")
    return content


def _how(raw: dict[str, Any], *, chat: bool) -> Decoding:
    """Their names for what is ours.

    Raises:
        SpecError: Values that make no sense.
    """
    most = raw.get("max_completion_tokens", raw.get("max_tokens"))
    stop = raw.get("stop")
    temperature = raw.get("temperature")
    temperature = 1.0 if temperature is None else temperature
    drawn = isinstance(temperature, int | float) and temperature > 0
    top_p = raw.get("top_p")
    return decoding(
        temperature=temperature, top_p=top_p if drawn and top_p != 1 else None, samples=raw.get("n") or 1,
        max_tokens=_USUAL_TOKENS if most is None and not chat else most,
        stop=() if stop is None else [stop] if isinstance(stop, str) else stop,
    )  # fmt: skip
