"""The pages of benchmarks, rendered from what is kept in ``benchmarks/results``.

python -m benchmarks page             write what is out of date
python -m benchmarks page --check     say what is out of date, and exit with 1 if anything is
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from benchmarks import (
    generation,
    novels,
    pretrained,
    pretraining,
    race_page,
    rank_page,
    serving,
    soak,
    speaking,
    speech,
    tables,
    tokens,
    translation,
)
from benchmarks.kept import HERE, RESULTS

from trueweight.files import write_atomic

DOCS = HERE.parent / "docs"

Entry = dict[str, Any]

HEAD = """# Benchmarks

Rendered from the files in `benchmarks/results` by `make bench NAME=page`; do not edit. Everything here was measured one
run at a time, with equal threads, and rows where we lose stay. No default was chosen on a set of the benchmark list
(`benchmarks/lists.py`); a test holds the two apart.
"""

FOOT = """## More

* [Time to a given accuracy](benchmarks-race.md): every rival, with range, start-up and memory.
* [Tables](benchmarks-tables.md): every score, rank and failure.
* [Texts, pictures, sounds and series](benchmarks-senses.md): what our defaults reach on held-out rows.
* [Writing](benchmarks-speaking.md): texts made by rule, novels, translation, speech, and how many tokens a second a
  language model reads.
* [Serving](benchmarks-serving.md): rows a second beside other servers.
* [The server at full load](benchmarks-soak.md) for ten minutes, with swaps, spoilt requests and clients that leave.
* [The training loop](benchmarks-throughput.md) beside one written by hand.
* [What the evidence costs](benchmarks-evidence.md), [reports of real models](benchmarks-reports.md),
  [planted faults](planted-faults.md).

## Run them yourself

```console
$ make rivals rivals-autogluon      # the other frameworks, pinned, in virtual environments of their own
$ make bench NAME=race DATA=folder/with/data ARGS='--task mnist-5k --seeds 3'
$ make bench NAME=ranks DATA=folder/with/data ARGS='--sets titanic iris --folds 2'
$ make bench NAME=throughput
$ make bench NAME=page              # render these pages again
```

A benchmark that is stopped goes on where it was: results are kept by version, task, seed and machine.
"""


def kept(name: str) -> list[Entry]:
    """What one benchmark has measured; empty if nothing."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else []


def pages() -> Iterator[tuple[Path, str]]:
    """Every page and image as it should be."""
    raced, ranked, four = kept("race"), kept("ranks"), kept("tables")
    yield DOCS / "benchmarks.md", overview(raced, ranked, four)
    found = race_page.ratios(raced)
    if found:
        yield DOCS / "img" / "race.svg", race_page.chart(found)
    body = race_page.render(raced) if raced else f"{race_page.TITLE}\n\nNot measured yet: `make bench NAME=race`.\n"
    yield DOCS / "benchmarks-race.md", body
    title = "# Benchmarks of tables\n\nRendered by `make bench NAME=page`; do not edit.\n"
    ranks = f"## Average ranks\n\n{rank_page.section(ranked)}"
    yield DOCS / "benchmarks-tables.md", "\n".join([title, ranks, tables.render(four)])
    yield DOCS / "benchmarks-serving.md", serving.render(kept("serving"))
    yield DOCS / "benchmarks-soak.md", soak.render(kept("soak"))
    said = {
        "speaking": speaking, "generation": generation, "novels": novels, "pretraining": pretraining,
        "pretrained": pretrained, "translation": translation, "speech": speech, "tokens": tokens,
    }  # fmt: skip
    yield DOCS / "benchmarks-speaking.md", "\n".join(part.render(kept(name)) for name, part in said.items())


def overview(raced: list[Entry], ranked: list[Entry], four: list[Entry]) -> str:
    """The one page that has the gist of all."""
    parts = [HEAD, "## Time to a given accuracy\n"]
    if race_page.ratios(raced):
        parts.append("![How many times as long as ours the fastest rival takes](img/race.svg)\n")
        parts.append("Right of 1 ours is faster; an empty mark is a rival that was stopped before it got there.\n")
    parts += [
        "Seconds of whole processes to the target, median over seeds; **bold** where a rival beats us.",
        _when(raced),
    ]
    parts += [
        "",
        *race_page.summary(raced),
        "",
        *race_page.promises(raced),
        "",
        "## The training loop beside one written by hand\n",
        *throughput(),
        "",
    ]
    parts += ["## Tables\n", *_tables(ranked), *tables.promises(four), ""]
    parts += ["## From the end of imports to the first step\n", *startup(), "", FOOT]
    return "\n".join(parts)


def _when(entries: list[Entry]) -> str:
    """The days and the machines of some results."""
    if not entries:
        return "Not measured yet."
    days, machines = sorted({e["date"] for e in entries}), sorted({e["machine"] for e in entries})
    return f"Measured {days[0]}{f' to {days[-1]}' if len(days) > 1 else ''} on {', '.join(machines)}."


def _tables(ranked: list[Entry]) -> Iterator[str]:
    yield from rank_page.gist(ranked)
    yield ""


def throughput() -> Iterator[str]:
    """A row for each network."""
    rows = [row for row in kept("throughput") if {"network", "ratio", "low", "high"} <= row.keys()]
    yield f"Time of a step by hand over ours, with a 95 % interval: above 1 ours is faster. {_when(rows)}"
    yield "\n| network | ratio | |\n|---|---|---|"
    for row in rows:
        mark = "**we lose**" if row["high"] < 1 else "" if row["low"] > 1 else "no difference shown"
        yield f"| {row['network']} | {row['ratio']:.3f} ({row['low']:.3f} … {row['high']:.3f}) | {mark} |"
    if rows:
        yield f"| geometric mean | {geometric_mean([row['ratio'] for row in rows]):.3f} | |"


def startup() -> Iterator[str]:
    """A row for each kind of data."""
    rows = kept("startup")
    yield f"{_when(rows)}\n"
    yield "| data | first run, s | second run on unchanged data, s | within 1 s? |\n|---|---|---|---|"
    for row in rows:
        yield f"| {row['task']} | {row['first_run']} | {row['second_run']} | {'yes' if row['within'] else '**no**'} |"


def write() -> None:
    """Write what is out of date."""
    for path, text in pages():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_atomic(path, text.encode())
            print(f"wrote {path.name}", file=sys.stderr)


def main() -> None:
    """Write or check."""
    if "--check" not in sys.argv:
        write()
        return
    stale = [path.name for path, text in pages() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if stale:
        sys.exit(f"out of date: {', '.join(stale)}; run: make bench NAME=page")


if __name__ == "__main__":
    main()
