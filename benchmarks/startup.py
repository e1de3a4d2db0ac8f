"""How soon a second run on unchanged data takes its first step: a table, pictures, texts.

    make bench NAME=startup
    make bench NAME=startup ARGS="--file reviews.csv --target stars"

Trains twice by the command line, for a moment, with a single network, and adds up what the second run's evidence says
of its beginning: from the end of imports to the first optimiser step.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from benchmarks.kept import machine
from pyarrow import csv, parquet

from trueweight.files import write_atomic

RESULTS = Path(__file__).parent / "results" / "startup.json"
LIMIT_SECONDS = 1.0
BUDGET = "10s"


def table(folder: Path) -> Path:
    """50,000 rows: ten columns of numbers, four of categories, in CSV."""
    rng, rows = np.random.default_rng(0), 50_000
    columns: dict[str, np.ndarray] = {f"x{i}": rng.normal(size=rows).round(4) for i in range(10)}
    words = np.array([f"word {i}" for i in range(20)])
    columns |= {f"c{i}": rng.choice(words, rows) for i in range(4)}
    columns["label"] = np.where(columns["x0"] + rng.normal(size=rows) > 0, "yes", "no")
    csv.write_csv(pa.table(columns), folder / "table.csv")
    return folder / "table.csv"


def pictures(folder: Path) -> Path:
    """50,000 PNG pictures of 28 x 28 in Parquet."""
    from PIL import Image

    rng, rows = np.random.default_rng(0), 50_000
    labels, cells = rng.integers(0, 10, rows), []
    for label in labels:
        pixels = rng.integers(0, 100, (28, 28), dtype=np.uint8)
        pixels[2 * label : 2 * label + 6] += 100
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "PNG", compress_level=1)
        cells.append(held.getvalue())
    names = np.array([f"row {i}" for i in range(10)])[labels]
    parquet.write_table(
        pa.table({"picture": pa.array(cells, pa.binary()), "label": names}), folder / "pictures.parquet"
    )
    return folder / "pictures.parquet"


def texts(folder: Path) -> Path:
    """10,000 texts of about 150 words, in CSV."""
    rng, rows = np.random.default_rng(0), 10_000
    words = np.array(["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(3, 9))) for _ in range(20_000)])
    labels = rng.integers(0, 10, rows)
    cells = []
    for label in labels:
        ranks = np.minimum(rng.zipf(1.3, int(rng.lognormal(5, 0.5)) + 1), 19_000) + 100 * int(label)
        cells.append(" ".join(words[np.minimum(ranks, 19_999)]))
    names = np.array([f"topic {i}" for i in range(10)])[labels]
    csv.write_csv(pa.table({"text": cells, "label": names}), folder / "texts.csv")
    return folder / "texts.csv"


TASKS = {"table": table, "pictures": pictures, "texts": texts}


def trained(path: Path, target: str, folder: Path) -> dict[str, float]:
    """Seconds of each stage of a run, until its first step."""
    command = [sys.executable, "-m", "trueweight", "train", str(path), "--target", target, "--budget", BUDGET]
    command += ["--set", "model.encoder=mlp"]
    environment = os.environ | {"TRUEWEIGHT_CACHE": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    entries = json.loads((folder / done.stdout.strip().splitlines()[-1] / "evidence.json").read_text())["entries"]
    found = {e["id"].removeprefix("cost/start/"): e["value"] for e in entries if e["id"].startswith("cost/start/")}
    found.pop("importing", None)  # what is left of imports once data is prepared: they run beside it
    return found | {"first_step": next(e["value"] for e in entries if e["id"] == "fit/0/first_step")}


def measure(task: str, path: Path, target: str, folder: Path) -> dict[str, object]:
    """Train twice, and say how the second run began."""
    before, stages = trained(path, target, folder), trained(path, target, folder)
    total = sum(stages.values())
    return {
        "task": task, "first_run": round(sum(before.values()), 2), "second_run": round(total, 2),
        "within": total <= LIMIT_SECONDS, "stages": stages, "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
    }  # fmt: skip


def main() -> None:
    """Measure, keep the results of the generated data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=sorted(TASKS), action="append")
    parser.add_argument("--file", type=Path, help="data of your own instead")
    parser.add_argument("--target")
    chosen = parser.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if chosen.file:
            print(measure(chosen.file.name, chosen.file.resolve(), chosen.target, folder), file=sys.stderr)
            return
        for task in chosen.task or sorted(TASKS):
            result = measure(task, TASKS[task](folder), "label", folder)
            kept = [old for old in kept if old["task"] != task] + [result]
            write_atomic(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
            print(result, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
