"""Six novels in ten minutes: how probable is the last tenth of each?

    make bench NAME=novels DATA=folder/with/data
    python -m benchmarks novels --data folder/with/data [--systems ours plain] [--budget 600] [--seeds 3]

Bits for each byte of the last tenth of each of Jane Austen's novels (``austen/*.txt``), after the first nine tenths
were read for so many seconds: ours with all defaults; a character model with a loop written by hand
(``novels_plain.py``); a 5-gram model with Kneser-Ney smoothing, which is counted and not trained. All read the same
passages (whole sentences, at most a thousand characters) and all pay for the ends of passages. Ours begins each
passage afresh; the character model sees what stands before it as well. One line a run; results are kept by release,
system, seed, budget and machine, and a harness that is stopped goes on where it was.
"""

import argparse
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from benchmarks import novels_plain
from benchmarks.kept import RESULTS, Entry, Kept, ours
from benchmarks.pretraining import parted, passages

import trueweight
from trueweight.errors import TrueweightError
from trueweight.model.kneser_ney import KneserNey

SYSTEMS = ("ours", "plain", "kneser-ney")
GAIN = 0.9
"""Of the plain loop's bits per byte, at most: the goal."""
SAMPLED, GIVEN, WRITTEN = 3, 8, 60
"""Samples: so many of the last tenth's passages begin them, with so many words; so many tokens are drawn after each."""
LONGEST = 1000
"""Characters of a passage; longer ones are cut between sentences, so that nothing has to be cut off."""


def pieces(passage: str) -> Iterator[str]:
    """A passage in parts of whole sentences, none longer than :data:`LONGEST` unless one sentence is."""
    part = ""
    for sentence in re.split(r"(?<=[.!?;]) ", passage):
        if part and len(part) + 1 + len(sentence) > LONGEST:
            yield part
            part = sentence
        else:
            part = f"{part} {sentence}" if part else sentence
    yield part


def rows_of(folder: Path) -> pa.Table:
    """Passages of all novels, each with its part."""
    files = sorted(folder.glob("*.txt"))
    if not files:
        sys.exit(f"no novels in {folder}: say where the data sets are with --data")
    told = {file.stem: passages(file.read_text(encoding="utf-8")) for file in files}
    return parted({name: [piece for row in rows for piece in pieces(row)] for name, rows in told.items()})


def measured(system: str, table: pa.Table, seconds: float, seed: int) -> dict[str, Any]:
    """Bits per byte of test rows, and what it took."""
    start = time.perf_counter()
    if system == "ours":
        found = _ours(table, seconds, seed)
    else:
        train, test = (_texts(table, parts) for parts in (("train",), ("test",)))
        if system == "plain":
            found = novels_plain.measured("\n".join(train), "\n".join(test) + "\n", seconds, seed)
            found["bits_per_byte"] *= _bytes(test, ends=1) / _bytes(test)  # ends cost bits and are no bytes of texts
        else:
            logp = float(KneserNey.fit(train).logp(test).sum())
            found = {"bits_per_byte": -logp / math.log(2) / _bytes(test)}
    return {**found, "bits_per_byte": round(found["bits_per_byte"], 4), "seconds": time.perf_counter() - start}


def _ours(table: pa.Table, seconds: float, seed: int) -> dict[str, Any]:
    spec = {
        "name": "novels", "seed": seed, "other_features": "ignore",
        # No row is longer: bits of a text that is cut off would be too few.
        "targets": {"text": {"type": "text", "max_tokens": 512}},
        "split": {"method": "column", "column": "part"}, "train": {"budget": {"time": seconds}},
        "evaluate": {"checks": [], "baselines": []},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        bundle = trueweight.train(table, spec=spec, out=Path(place) / "run")
        cut = bundle.signature.targets()[0].learnt["cut"]
        value = bundle.evidence.find("quality/text/bits_per_byte/test").value
        steps = bundle.evidence.find("fit/0/steps").value
        samples = _samples(bundle, _texts(table, ("test",)), seed)
    return {"bits_per_byte": value, "steps": steps, "cut": cut, "samples": samples}


def _samples(bundle: trueweight.Bundle, texts: Sequence[str], seed: int) -> list[tuple[str, str]]:
    """(beginning, how it goes on) of passages spread over all novels, drawn at temperature 0.8; none is picked."""
    chosen = [texts[len(texts) * place // SAMPLED] for place in range(SAMPLED)]
    begun = [" ".join(text.split()[:GIVEN]) for text in chosen]
    how = trueweight.decoding(temperature=0.8, max_tokens=WRITTEN)
    return list(zip(begun, bundle.predict({"text": begun}, how=how, seed=seed)["text"], strict=True))


def _texts(table: pa.Table, parts: Sequence[str]) -> list[str]:
    return [row["text"] for row in table.to_pylist() if row["part"] in parts]


def _bytes(texts: Sequence[str], ends: int = 0) -> int:
    return sum(len(text.encode()) + ends for text in texts)


def told(entry: Entry) -> str:
    """One line of a run."""
    head = f"novels  {entry['system']:<11} seed {entry['seed']}  {entry['budget']:>5g} s"
    if entry.get("reason"):
        return f"{head}  failed: {entry['reason'].strip().splitlines()[-1]}"
    steps = f", {entry['steps']:,} steps" if entry.get("steps") else ""
    return f"{head}  {entry['bits_per_byte']:.3f} bits per byte{steps}, {entry['seconds']:.0f} s"


def render(entries: Sequence[Entry]) -> str:
    """A section of the page about writing: the newest entry of each system, seed, budget and machine."""
    goal = f"Ours is to need at most {GAIN:.0%} of the bits of a character model trained for as long by hand."
    head = ["## Novels", "", f"Bits per byte of the last tenth of six novels. {goal}", ""]
    if not entries:
        return "\n".join([*head, "Not measured yet: `make bench NAME=novels DATA=folder`.", ""])
    names = ("system", "budget", "seed", "machine")
    newest = {tuple(str(entry[name]) for name in names): entry for entry in entries}
    lines = ["| system | seconds allowed | seed | bits per byte | steps | date | machine | version |", "|" + "---|" * 8]
    for entry in newest.values():
        value = "failed" if entry.get("reason") else f"{entry['bits_per_byte']:.3f}"
        shown = [entry["system"], f"{entry['budget']:g}", entry["seed"], value, entry.get("steps", ""), entry["date"]]
        lines.append("| " + " | ".join(map(str, [*shown, entry["machine"], entry["by"]])) + " |")
    written = [entry for entry in newest.values() if entry.get("samples")]
    if written:
        lines += ["", *_shown(written[-1])]
    return "\n".join([*head, *lines, "", "`make bench NAME=novels DATA=folder` measures again.", ""])


def _shown(entry: Entry) -> list[str]:
    head = f"What ours writes after {entry['budget']:g} seconds at temperature 0.8, given the words in bold."
    told = f"{head} Nothing is picked:"
    return [told, *(f"\n> **{begun}**{_marked(written)}" for begun, written in entry["samples"])]


def _marked(text: str) -> str:
    """On one line, with what Markdown would take for marks as it is."""
    plain = re.sub(r"([\\*_`<>\[\]])", r"\\\1", " ".join(text.split()))
    return f" {plain}" if text[:1].isspace() else plain


def main() -> None:
    """Every system that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budget", type=float, default=600.0, help="seconds")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=RESULTS / "novels.json")
    parser.add_argument("--retry", action="store_true", help="run again what failed")
    chosen = parser.parse_args()
    if chosen.data is None:
        sys.exit("say where the data sets are: make bench NAME=novels DATA=folder")
    torch.set_num_threads(chosen.threads)
    table, kept = rows_of(chosen.data / "austen"), Kept(chosen.out, retry=chosen.retry)
    for seed in range(chosen.seeds):
        for system in chosen.systems:
            key = {"system": system, "seed": seed, "budget": chosen.budget}
            entry = kept.find(**key, by=ours())
            if entry is None:
                try:
                    found = measured(system, table, chosen.budget, seed)
                except TrueweightError as error:
                    found = {"reason": str(error)}
                entry = kept.add(found, **key, by=ours())
            print(told(entry), flush=True)


if __name__ == "__main__":
    main()
