"""Clients that ask a server over and over, as separate processes so that they do not share our interpreter.

    python benchmarks/serving_load.py PORT PATH CLIENTS SECONDS BODY.json [KEY]

Each client keeps one connection and sends the next request when it has the answer. Prints JSON: requests, seconds,
milliseconds at the median and at 99 %, answers that were no 200. Standard library only: it runs in any environment.
"""

import asyncio
import json
import sys
import time
from pathlib import Path


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, end: float, story: dict[str, list[float]]) -> None:
        self.request, self.end, self.story = request, end, story
        self.done = asyncio.get_running_loop().create_future()
        self.held = b""
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        """The next request, or the end."""
        if time.perf_counter() >= self.end:
            self.transport.close()
            return
        self.sent = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]  # of a socket

    def data_received(self, data: bytes) -> None:
        self.held += data
        head, gap, rest = self.held.partition(b"\r\n\r\n")
        if not gap:
            return
        low = head.lower()
        if b"content-length:" in low:
            if len(rest) < int(low.partition(b"content-length:")[2].split(b"\r\n", 1)[0]):
                return
        elif not rest.endswith(b"0\r\n\r\n"):  # in chunks
            return
        self.story["ms"].append(1000 * (time.perf_counter() - self.sent))
        if b" 200 " not in head[:20]:
            self.story["bad"].append(1.0)
        self.held = b""
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self.story["bad"].append(1.0)
        if not self.done.done():
            self.done.set_result(None)


async def load(port: int, path: str, clients: int, seconds: float, body: bytes, key: str) -> dict[str, float]:
    """All clients at once."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    head += f"authorization: Bearer {key}\r\n" if key else ""
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    loop, story, start = asyncio.get_running_loop(), {"ms": [], "bad": []}, time.perf_counter()
    made = [
        (await loop.create_connection(lambda: Client(request, start + seconds, story), "127.0.0.1", port))[1]
        for _ in range(clients)
    ]
    await asyncio.gather(*(client.done for client in made))
    took, ms = time.perf_counter() - start, sorted(story["ms"])
    if not ms:
        return {"requests": 0, "seconds": took, "p50": 0.0, "p99": 0.0, "bad": len(story["bad"])}
    return {
        "requests": len(ms), "seconds": took, "p50": ms[len(ms) // 2], "p99": ms[min(len(ms) - 1, int(0.99 * len(ms)))],
        "bad": len(story["bad"]),
    }  # fmt: skip


if __name__ == "__main__":
    port, path, clients, seconds, body, *key = sys.argv[1:]
    found = asyncio.run(
        load(int(port), path, int(clients), float(seconds), Path(body).read_bytes(), key[0] if key else "")
    )
    sys.stdout.write(json.dumps(found))
