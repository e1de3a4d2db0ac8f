"""Clients that ask a server all at once for minutes, and hold every answer against the known ones.

    python benchmarks/soak_load.py PORT CLIENTS SECONDS PLAN.json KEY

The plan is a list of requests: {"kind", "path", "type", "body" (base64), "known": {digest: answers}}. Some of them are
sent as they are; of some the connection is closed in the middle; some are spoilt first. Prints JSON: how often each
came to what. Standard library only, in a process of its own, so that it does not share our interpreter.
"""

import asyncio
import base64
import collections
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

SPOILT, LEFT = 0.1, 0.05
"""Shares of requests."""

PATIENCE = 60.0
"""Seconds after which an answer counts as lost."""

NEAR = 1e-4
"""How far numbers may be from the known ones: what is answered together is added up in another order."""


def same(found: Any, known: Any) -> bool:
    """Equal, but for the last digits of numbers."""
    if isinstance(known, float) and isinstance(found, int | float):
        return abs(found - known) <= NEAR * (1 + abs(known))
    if isinstance(known, dict):
        return isinstance(found, dict) and found.keys() == known.keys() and all(same(found[k], known[k]) for k in known)
    if isinstance(known, list):
        return isinstance(found, list) and len(found) == len(known) and all(map(same, found, known))
    return bool(found == known)


def spoilt(rng: random.Random, ask: dict[str, Any]) -> tuple[str, bytes]:
    """Content type and body that make no sense."""
    body = base64.b64decode(ask["body"])
    how = rng.randrange(8)
    if how == 0:
        return ask["type"], body[: rng.randrange(len(body))]
    if how == 1:
        place = rng.randrange(len(body))
        return ask["type"], body[:place] + rng.randbytes(8) + body[place:]
    return [
        (ask["type"], b"{" * 2000), ("application/json", b'[{"x0": 1e999}]'), ("text/csv", b'a,"b\n1'),
        ("application/vnd.apache.arrow.stream", rng.randbytes(64)), ("multipart/form-data; boundary=x", b"--x\r\n\r\n"),
        ("application/json", json.dumps([[1], None, {"rows": 3}]).encode()),
    ][how - 2]  # fmt: skip


class Client:
    """One after the other, on a connection that is kept."""

    def __init__(self, port: int, key: str, plan: list[dict[str, Any]], seed: int) -> None:
        self.port, self.key, self.plan, self.rng = port, key, plan, random.Random(seed)
        self.counts: collections.Counter[str] = collections.Counter()
        self.examples: list[str] = []
        self.rows = 0
        self._pipe: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, end: float) -> None:
        """Until then."""
        while time.monotonic() < end:
            ask = self.rng.choice(self.plan)
            draw = self.rng.random()
            if draw < LEFT:
                await self._leave(ask)
            elif draw < LEFT + SPOILT:
                await self._ask("spoilt", ask, *spoilt(self.rng, ask))
            else:
                await self._ask(ask["kind"], ask, ask["type"], base64.b64decode(ask["body"]))
        self._close()

    def _head(self, ask: dict[str, Any], kind: str, length: int) -> bytes:
        return (
            f"POST {ask['path']} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        ).encode()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._pipe is None:
            self._pipe = await asyncio.open_connection("127.0.0.1", self.port, limit=2**24)
        return self._pipe

    def _close(self) -> None:
        if self._pipe is not None:
            self._pipe[1].close()
            self._pipe = None

    async def _leave(self, ask: dict[str, Any]) -> None:
        """Go away: before the body is sent, while it is, or while the answer is being made."""
        body = base64.b64decode(ask["body"])
        _, writer = await self._connected()
        sent = self.rng.choice((0, len(body) // 2, len(body)))
        writer.write(self._head(ask, ask["type"], len(body)) + body[:sent])
        await asyncio.sleep(self.rng.random() * 0.02)
        self._close()
        self.counts["left"] += 1

    async def _ask(self, kind: str, ask: dict[str, Any], content: str, body: bytes) -> None:
        fresh = self._pipe is None
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await self._connected()
                writer.write(self._head(ask, content, len(body)) + body)
                status, closing, answer = await _reply(reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self._close()
            # A server may close a connection that rests, and cannot know that we are about to ask on it: asked anew.
            if fresh or not isinstance(error, ConnectionError | asyncio.IncompleteReadError):
                self._tell("lost", kind, repr(error))
            else:
                await self._ask(kind, ask, content, body)
            return
        if closing:
            self._close()
        self._judge(kind, ask, status, answer)

    def _judge(self, kind: str, ask: dict[str, Any], status: int, answer: bytes) -> None:
        self.counts[f"{kind} {status}"] += 1
        if status >= 500:
            self._tell("5xx", kind, answer[:200].decode("latin-1"))
        elif kind == "spoilt":
            return  # whether what is left of it can be answered or not: it did not fall over
        elif status == 429:
            self.counts["busy"] += 1
        elif status != 200 or not self._right(ask, answer):
            self._tell("wrong", kind, f"{status} {answer[:300].decode('latin-1')}")

    def _right(self, ask: dict[str, Any], answer: bytes) -> bool:
        told = json.loads(answer)
        if "choices" in told:
            return [choice["text"] for choice in told["choices"]] in ask["known"].values()
        self.rows += len(told["predictions"])
        return told["digest"] in ask["known"] and same(told["predictions"], ask["known"][told["digest"]])

    def _tell(self, what: str, kind: str, why: str) -> None:
        self.counts[what] += 1
        if len(self.examples) < 5:
            self.examples.append(f"{what}, {kind}: {why}")


async def _reply(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    """Status, whether the connection is closed, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    status, closing = int(head.split(" ", 2)[1]), lines.get("connection") == "close"
    if "content-length" in lines:
        return status, closing, await reader.readexactly(int(lines["content-length"]))
    pieces = []
    while size := int((await reader.readline()).strip() or b"0", 16):
        pieces.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return status, closing, b"".join(pieces)


async def main(port: int, clients: int, seconds: float, plan: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """All clients at once."""
    end = time.monotonic() + seconds
    made = [Client(port, key, plan, seed) for seed in range(clients)]
    await asyncio.gather(*(client.run(end) for client in made))
    counts: collections.Counter[str] = collections.Counter()
    for client in made:
        counts.update(client.counts)
    examples = [one for client in made for one in client.examples][:10]
    return {"counts": dict(sorted(counts.items())), "rows": sum(client.rows for client in made), "examples": examples}


if __name__ == "__main__":
    port, clients, seconds, path, key = sys.argv[1:]
    plan = json.loads(Path(path).read_text())
    sys.stdout.write(json.dumps(asyncio.run(main(int(port), int(clients), float(seconds), plan, key))))
