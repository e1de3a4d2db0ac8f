"""What a server counts, in Prometheus' text format: base units, and no label that names a key or a row."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Counters"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class _Histogram:
    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, label: str) -> Iterator[str]:
        seen = 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            seen += count
            yield f'{name}_bucket{{{label},le="{bound}"}} {seen}'
        yield f"{name}_sum{{{label}}} {self.total:.9g}"
        yield f"{name}_count{{{label}}} {seen}"


class Counters:
    """Counts of one process."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        self.ended: dict[tuple[str, str], int] = {}
        self.rows: dict[str, int] = {}
        self.seconds: dict[str, _Histogram] = {}
        self.batches: dict[str, _Histogram] = {}
        self.queued: dict[str, int] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """One request was answered or refused."""
        self.requests[route, status] = self.requests.get((route, status), 0) + 1
        found = self.seconds.get(route)
        if found is None:
            found = self.seconds[route] = _Histogram(SECONDS)
        found.add(seconds)

    def unfinished(self, route: str, outcome: str) -> None:
        """An answer that had begun was not given to its end."""
        self.ended[route, outcome] = self.ended.get((route, outcome), 0) + 1

    def batch(self, model: str, rows: int) -> None:
        """So many rows were answered at once."""
        self.rows[model] = self.rows.get(model, 0) + rows
        self.batches.setdefault(model, _Histogram(tuple(map(float, ROWS)))).add(rows)

    def text(self) -> str:
        """All of it."""
        lines = ["# HELP trueweight_requests_total Requests by route and status.",
                 "# TYPE trueweight_requests_total counter"]  # fmt: skip
        lines += [
            f'trueweight_requests_total{{route="{route}",status="{status}"}} {count}'
            for (route, status), count in sorted(self.requests.items())
        ]
        lines += ["# HELP trueweight_unfinished_total Answers that had begun and ended before their end.",
                  "# TYPE trueweight_unfinished_total counter"]  # fmt: skip
        lines += [
            f'trueweight_unfinished_total{{route="{route}",outcome="{outcome}"}} {count}'
            for (route, outcome), count in sorted(self.ended.items())
        ]
        lines += ["# HELP trueweight_request_duration_seconds From the request's head to the answer's end.",
                  "# TYPE trueweight_request_duration_seconds histogram"]  # fmt: skip
        for route, found in sorted(self.seconds.items()):
            lines += found.lines("trueweight_request_duration_seconds", f'route="{route}"')
        lines += ["# HELP trueweight_rows_total Rows answered.", "# TYPE trueweight_rows_total counter"]
        lines += [f'trueweight_rows_total{{model="{_safe(name)}"}} {n}' for name, n in sorted(self.rows.items())]
        lines += ["# HELP trueweight_batch_rows Rows answered at once.", "# TYPE trueweight_batch_rows histogram"]
        for name, found in sorted(self.batches.items()):
            lines += found.lines("trueweight_batch_rows", f'model="{_safe(name)}"')
        lines += ["# HELP trueweight_queued_rows Rows that wait.", "# TYPE trueweight_queued_rows gauge"]
        lines += [f'trueweight_queued_rows{{model="{_safe(name)}"}} {n}' for name, n in sorted(self.queued.items())]
        return "\n".join(lines) + "\n"


def _safe(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
