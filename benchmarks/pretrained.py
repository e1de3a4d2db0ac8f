"""Does a sentence encoder of another maker help where few texts are labelled?

    make bench NAME=pretrained DATA=folder/with/data ARGS="--folder all-MiniLM-L6-v2"

Clothing reviews (``clothing-reviews/reviews.csv``): is the article recommended? Two models are trained on the same 500
labelled rows and judged on the same other rows: one begins with the folder (``start_from``, frozen), one with nothing
and our defaults. The difference is told with a paired interval.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from benchmarks.kept import RESULTS, Entry, Kept, ours
from pyarrow import csv

import trueweight
from trueweight.data.frames import from_frame
from trueweight.evaluate.judging import answers_of
from trueweight.metrics.compare import paired
from trueweight.metrics.registry import metric
from trueweight.train.selection import run_truths

LABELLED, JUDGED = 500, 2000
METRIC = "roc_auc"


def parted(table: pa.Table, *, text: str, target: str, labelled: int, judged: int) -> pa.Table:
    """So many distinct texts to learn from (a fifth to validate) and to be judged by, drawn with one seed."""
    known = [(t, y) for t, y in dict(zip(table[text].to_pylist(), table[target].to_pylist(), strict=True)).items() if t]
    order = np.random.default_rng(0).permutation(len(known))[: labelled + judged]
    parts = ["train"] * (labelled - labelled // 5) + ["validation"] * (labelled // 5) + ["test"] * judged
    rows = [known[i] for i in order]
    answers = ["yes" if str(y) == "1" else "no" for _, y in rows]
    return pa.table({"text": [t for t, _ in rows], "good": answers, "part": parts[: len(rows)]})


def spec(name: str, train: Mapping[str, Any], **model: Any) -> dict[str, Any]:
    """A classifier of one text."""
    return {
        "name": name, "features": {"text": "text"}, "other_features": "ignore", "targets": {"good": "binary"},
        "split": {"method": "column", "column": "part"}, "model": model, "train": dict(train),
        "evaluate": {"baselines": []},
    }  # fmt: skip


def from_folder_against_scratch(
    table: pa.Table, folder: Path, *, train: Mapping[str, Any], out: Path, how: str = "frozen"
) -> dict[str, Any]:
    """The measure of both, and their difference.

    Args:
        table: From :func:`parted`.
        folder: In the layout of Hugging Face.
        train: Options of both, as in ``train``.
        out: Folder for the runs.
        how: ``start_from.train``.
    """
    ways = {
        "folder": spec("folder", train, encoder="mlp", start_from={"source": str(folder.resolve()), "train": how}),
        "scratch": spec("scratch", train),
    }
    rows = from_frame(table.filter(pa.compute.equal(table["part"], "test")))
    answers, facts = {}, dict[str, Any]()
    for name, asked in ways.items():
        bundle = trueweight.train(table, spec=asked, out=out / name)
        answers[name] = answers_of(bundle.predictor, rows)["good"]
        truth = run_truths(bundle.signature, rows, None)["good"]
        found = bundle.evidence.find(f"quality/good/{METRIC}/test")
        ends = None if found.interval is None else [found.interval.low, found.interval.high]
        facts[name] = {METRIC: found.value, "interval": ends, "rows": found.n}
    gain = paired(metric(METRIC), answers["folder"], answers["scratch"], truth)
    told = {"value": gain.value, "interval": [gain.low, gain.high], "better": gain.better, "rows": gain.n}
    return {"start": how, **facts, "folder minus scratch": told}


def render(entries: Sequence[Entry]) -> str:
    """A section of the page about writing."""
    head = f"""
## A sentence encoder of another maker

Clothing reviews: is the article recommended? From {LABELLED} labelled rows, beginning with the folder of
all-MiniLM-L6-v2, and with nothing but our defaults; judged by {METRIC} on {JUDGED:,} other rows. The difference is
paired by row, with a 95 % interval.
"""
    if not entries:
        return f"{head}\nNot measured yet: `make bench NAME=pretrained DATA=folder ARGS='--folder MODEL'`.\n"
    titles = [
        "trained",
        "minutes for each",
        "from the folder",
        "from scratch",
        "folder minus scratch",
        "threads",
        "date",
        "machine",
        "version",
    ]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for one in entries:
        gain = one["folder minus scratch"]
        values = [f"{one[name][METRIC]:.3f}" for name in ("folder", "scratch")]
        told = f"{gain['value']:+.3f} ({gain['interval'][0]:+.3f} … {gain['interval'][1]:+.3f})"
        shown = [one["start"], f"{one['minutes']:g}", *values, told, one["threads"], one["date"]]
        lines.append("| " + " | ".join(map(str, [*shown, one["machine"], one["by"]])) + " |")
    return head + "\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Run it, print it, and keep it with the date and the machine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--folder", type=Path, required=True, help="of the sentence encoder")
    parser.add_argument("--how", default="frozen", choices=["whole", "frozen", "last_layers", "lora"])
    parser.add_argument("--minutes", type=float, default=5.0, help="for each model")
    parser.add_argument("--out", type=Path, default=Path("runs") / "pretrained")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if asked.data is None:
        sys.exit("say where the data sets are: make bench NAME=pretrained DATA=folder")
    import torch

    torch.set_num_threads(asked.threads)
    options = csv.ParseOptions(newlines_in_values=True)
    table = csv.read_csv(asked.data / "clothing-reviews" / "reviews.csv", parse_options=options)
    some = parted(table, text="Review Text", target="Recommended IND", labelled=LABELLED, judged=JUDGED)
    out = asked.out / datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    budget = {"budget": {"time": 60 * asked.minutes}}
    found = from_folder_against_scratch(some, asked.folder, train=budget, out=out, how=asked.how)
    print(json.dumps(found, indent=2))
    Kept(RESULTS / "pretrained.json").add(found, minutes=asked.minutes, threads=asked.threads, by=ours())


if __name__ == "__main__":
    main()
