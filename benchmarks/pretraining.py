"""Does reading five novels first help with the sixth?

    make bench NAME=pretraining DATA=folder/with/data
    make bench NAME=pretraining DATA=folder/with/data ARGS="--novel persuasion --minutes 10 --first 10 --threads 2"

A language model is trained on the first nine tenths of five of Jane Austen's novels (``austen/*.txt``). Then two models
are trained on the first nine tenths of the sixth, for the same time: one begins with the first model's weights and
vocabulary (``start_from``), one with nothing. Both are asked how probable they hold the last tenth; bits for each byte
can be compared, whatever the tokens are. The difference is told with a paired interval over paragraphs. What the
five novels cost is told beside it: it is time that the other model did not have.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from benchmarks.kept import RESULTS, Entry, Kept, ours

import trueweight
from trueweight.data.frames import from_frame
from trueweight.evaluate.judging import answers_of
from trueweight.metrics.compare import paired
from trueweight.metrics.registry import metric
from trueweight.train.selection import run_truths

NOVEL = "persuasion"
TEST, VALIDATION = 0.9, 0.85
"""Where the parts of a novel begin."""

DECODER = {"type": "transformer", "width": 256, "layers": 4, "heads": 4}
SHORTEST = 400
"""Characters of a row: shorter paragraphs, mostly of dialogue, are joined with the next."""


def passages(text: str) -> list[str]:
    """Paragraphs, hard line breaks taken out, short ones joined."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        if not (line := " ".join(paragraph.split())):
            continue
        if found and len(found[-1]) < SHORTEST:
            found[-1] += f" {line}"
        else:
            found.append(line)
    return found


def parted(novels: Mapping[str, Sequence[str]]) -> pa.Table:
    """All passages with the part that they belong to, by their place in their novel."""
    text, part = [], []
    for rows in novels.values():
        for place, row in enumerate(rows):
            share = place / len(rows)
            text.append(row)
            part.append("test" if share >= TEST else "validation" if share >= VALIDATION else "train")
    return pa.table({"text": text, "part": part})


def spec(name: str, budget: Mapping[str, Any], decoder: Mapping[str, Any] | None, **model: Any) -> dict[str, Any]:
    """A language model. Without a ``decoder`` it is the one that it starts from."""
    target = {"type": "text"} if decoder is None else {"type": "text", "decoder": dict(decoder)}
    return {
        "name": name, "other_features": "ignore", "targets": {"text": target},
        "split": {"method": "column", "column": "part"}, "model": {"encoder": "mlp", **model},
        "train": {"budget": dict(budget)}, "evaluate": {"baselines": []},
    }  # fmt: skip


def pretrained_against_alone(
    novels: Mapping[str, Sequence[str]], sixth: str, *, first: Mapping[str, Any], then: Mapping[str, Any],
    out: Path, decoder: Mapping[str, Any] = DECODER,
) -> dict[str, Any]:  # fmt: skip
    """Bits per byte of the sixth novel's last tenth: after reading the others, and without.

    Args:
        novels: Passages by name.
        sixth: Which one is asked about.
        first: Budget of the others, as in ``train.budget``.
        then: Budget of each of the two models of the sixth.
        out: Folder for the runs.
        decoder: What writes.
    """
    others = parted({name: rows for name, rows in novels.items() if name != sixth})
    table = parted({sixth: novels[sixth]})
    base = trueweight.train(others, spec=spec("five", first, decoder), out=out / "five")
    ways = {
        "after five": spec("after-five", then, None, start_from=str(base.path)),
        "alone": spec("alone", then, decoder),
    }
    test = table.filter(pa.compute.equal(table["part"], "test"))
    answers, facts = {}, dict[str, Any]()
    for name, asked in ways.items():
        bundle = trueweight.train(table, spec=asked, out=out / name.replace(" ", "-"))
        rows = from_frame(test)
        answers[name] = answers_of(bundle.predictor, rows)["text"]
        truth = run_truths(bundle.signature, rows, None)["text"]
        found = bundle.evidence.find("quality/text/bits_per_byte/test")
        ends = None if found.interval is None else [found.interval.low, found.interval.high]
        facts[name] = {
            "bits_per_byte": found.value, "interval": ends, "rows": found.n,
            "steps": bundle.evidence.find("fit/0/steps").value, "seconds": bundle.evidence.find("fit/0/seconds").value,
        }  # fmt: skip
    gain = paired(metric("bits_per_byte"), answers["after five"], answers["alone"], truth)
    five = {"bits_per_byte": base.evidence.find("quality/text/bits_per_byte/test").value,
            "seconds": base.evidence.find("fit/0/seconds").value}  # fmt: skip
    difference = {"value": gain.value, "interval": [gain.low, gain.high], "better": gain.better, "rows": gain.n}
    return {"novel": sixth, "decoder": dict(decoder), "five": five, **facts, "after five minus alone": difference}


def render(entries: Sequence[Entry]) -> str:
    """A section of the page about writing."""
    head = """
## Pre-training

Bits per byte of the last tenth of one novel: of a model that first read the five other novels of its author, and of one
that read only the first nine tenths of this one, for the same minutes. The difference is paired by paragraph, with a
95 % interval; below 0, reading the others first helps.
"""
    if not entries:
        return f"{head}\nNot measured yet: `make bench NAME=pretraining DATA=folder`.\n"
    titles = [
        "novel",
        "minutes for five",
        "minutes for it",
        "after five",
        "alone",
        "after five minus alone",
        "threads",
        "date",
        "machine",
        "version",
    ]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for one in entries:
        gain = one["after five minus alone"]
        values = [f"{one[name]['bits_per_byte']:.3f}" for name in ("after five", "alone")]
        told = f"{gain['value']:+.3f} ({gain['interval'][0]:+.3f} … {gain['interval'][1]:+.3f})"
        shown = [one["novel"], f"{one['first']:g}", f"{one['minutes']:g}", *values, told, one["threads"], one["date"]]
        lines.append("| " + " | ".join(map(str, [*shown, one["machine"], one["by"]])) + " |")
    again = "`make bench NAME=pretraining DATA=folder ARGS='--first 3 --minutes 2 --threads 1'` measures again."
    return "\n".join([head, *lines, "", again, ""])


def main() -> None:
    """Run it, print it, and keep it with the date and the machine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--novel", default=NOVEL, help="the sixth")
    parser.add_argument("--first", type=float, default=10.0, help="minutes for the other five")
    parser.add_argument("--minutes", type=float, default=10.0, help="minutes for each model of the sixth")
    parser.add_argument("--out", type=Path, default=Path("runs") / "pretraining")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if asked.data is None:
        sys.exit("say where the data sets are: make bench NAME=pretraining DATA=folder")
    import torch

    torch.set_num_threads(asked.threads)
    files = sorted((asked.data / "austen").glob("*.txt"))
    novels = {file.stem: passages(file.read_text(encoding="utf-8")) for file in files}
    if asked.novel not in novels:
        sys.exit(f"no novel {asked.novel!r}: choose from {', '.join(novels)}")
    out = asked.out / datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    found = pretrained_against_alone(
        novels, asked.novel, first={"time": 60 * asked.first}, then={"time": 60 * asked.minutes}, out=out
    )
    print(json.dumps(found, indent=2))
    key = {"first": asked.first, "minutes": asked.minutes, "threads": asked.threads, "by": ours()}
    Kept(RESULTS / "pretraining.json").add(found, **key)


if __name__ == "__main__":
    main()
