"""Does a sentence encoder of another maker help where few texts are labelled?

    make bench NAME=pretrained DATA=folder/with/data ARGS="--folder all-MiniLM-L6-v2"

Clothing reviews (``clothing-reviews/reviews.csv``): is the article recommended? Three models are trained on the same
500 labelled rows and judged on the same other rows: one begins with the folder (``start_from``), one is the same
network from scratch, and one has nothing but our defaults, which count n-grams too. Differences are told with paired
intervals.
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
WAYS = ("folder", "scratch", "defaults")


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
    table: pa.Table, folder: Path, *, train: Mapping[str, Any], out: Path, how: str = "whole"
) -> dict[str, Any]:
    """The measure of all three, and what the folder's is above the others.

    Args:
        table: From :func:`parted`.
        folder: In the layout of Hugging Face.
        train: Options of all, as in ``train``.
        out: Folder for the runs.
        how: ``start_from.train``.
    """
    begun = spec("folder", train, encoder="mlp", start_from={"source": str(folder.resolve()), "train": how})
    rows = from_frame(table.filter(pa.compute.equal(table["part"], "test")))
    asked = {"folder": begun, "scratch": spec("scratch", train, encoder="mlp"), "defaults": spec("defaults", train)}
    answers, facts = {}, dict[str, Any]()
    for name in WAYS:
        bundle = trueweight.train(table, spec=asked[name], out=out / name)
        if name == "folder":
            encoder = bundle.resolved.model_dump(mode="json", by_alias=True)["features"]["text"]["encoder"]
            asked["scratch"]["features"] = {"text": {"type": "text", "encoder": encoder}}
        answers[name] = answers_of(bundle.predictor, rows)["good"]
        truth = run_truths(bundle.signature, rows, None)["good"]
        found = bundle.evidence.find(f"quality/good/{METRIC}/test")
        ends = None if found.interval is None else [found.interval.low, found.interval.high]
        facts[name] = {METRIC: found.value, "interval": ends, "rows": found.n}
    for name in WAYS[1:]:
        gain = paired(metric(METRIC), answers["folder"], answers[name], truth)
        told = {"value": gain.value, "interval": [gain.low, gain.high], "better": gain.better, "rows": gain.n}
        facts[f"folder minus {name}"] = told
    return {"start": how, **facts}


def render(entries: Sequence[Entry]) -> str:
    """A section of the page about writing."""
    head = f"""
## A sentence encoder of another maker

Clothing reviews: is the article recommended? From {LABELLED} labelled rows: beginning with the folder of
all-MiniLM-L6-v2, with the same network from scratch, and with nothing but our defaults, which count n-grams; judged by
{METRIC} on {JUDGED:,} other rows. Differences are paired by row, with 95 % intervals.
"""
    if not entries:
        return f"{head}\nNot measured yet: `make bench NAME=pretrained DATA=folder ARGS='--folder MODEL'`.\n"
    titles = [
        "trained", "minutes for each", "folder", "scratch", "defaults", "folder minus scratch", "folder minus defaults",
        "threads", "date", "machine", "version",
    ]  # fmt: skip
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for one in entries:
        values = [f"{one[name][METRIC]:.3f}" for name in WAYS]
        values += [_gain(one[f"folder minus {name}"]) for name in WAYS[1:]]
        shown = [one["start"], f"{one['minutes']:g}", *values, one["threads"], one["date"]]
        lines.append("| " + " | ".join(map(str, [*shown, one["machine"], one["by"]])) + " |")
    again = "`make bench NAME=pretrained DATA=folder ARGS='--folder all-MiniLM-L6-v2 --minutes 3'` measures again."
    return "\n".join([head, *lines, "", again, ""])


def _gain(told: Mapping[str, Any]) -> str:
    return f"{told['value']:+.3f} ({told['interval'][0]:+.3f} … {told['interval'][1]:+.3f})"


def main() -> None:
    """Run it, print it, and keep it with the date and the machine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--folder", type=Path, required=True, help="of the sentence encoder")
    parser.add_argument("--how", default="whole", choices=["whole", "frozen", "last_layers", "lora"])
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
