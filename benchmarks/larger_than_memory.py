"""How much memory of its own training takes on data larger than that: numbers in Parquet, and pictures.

    make bench NAME=larger_than_memory

Makes the data (about 5 GB in a temporary folder, or in --folder, where it is kept), trains by the command line, and
watches the process's anonymous memory: what is not backed by a file, and so cannot be dropped and read again.
Linux only.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from benchmarks.kept import machine
from pyarrow import parquet

from trueweight.files import write_atomic

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "larger_than_memory.json"
LIMIT_GB = 1.5


def numbers(path: Path) -> None:
    """4.2 GB of normal numbers in 500 columns, and a target that five of them tell."""
    rng, rows, columns = np.random.default_rng(0), 35_000, 500
    weights = np.zeros(columns)
    weights[:5] = (1.0, -2.0, 0.5, 1.5, -1.0)
    writer = None
    for _ in range(30):
        x = rng.normal(size=(rows, columns))
        y = x @ weights + rng.normal(size=rows)
        table = pa.table({f"x{i}": x[:, i] for i in range(columns)} | {"y": y})
        writer = writer or parquet.ParquetWriter(path, table.schema, compression="none", use_dictionary=False)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def pictures(path: Path) -> None:
    """200,000 PNG pictures of 32 x 32 in one Parquet file: noise in two colours, which is the class."""
    from PIL import Image

    rng, writer = np.random.default_rng(0), None
    for _ in range(100):
        labels = rng.integers(0, 2, 2000)
        cells = []
        for label in labels:
            pixels = rng.integers(0, 160, (32, 32, 3), dtype=np.uint8)
            pixels[..., label] += 60
            held = io.BytesIO()
            Image.fromarray(pixels).save(held, "PNG", compress_level=1)
            cells.append(held.getvalue())
        table = pa.table({"picture": pa.array(cells, pa.binary()), "label": np.array(["red", "green"])[labels]})
        writer = writer or parquet.ParquetWriter(path, table.schema, compression="none", use_dictionary=False)
        writer.write_table(table)
    assert writer is not None
    writer.close()


TASKS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "numbers": (numbers, "y", "rmse"),
    "pictures": (pictures, "label", "accuracy"),
}


def anonymous_bytes(pid: int) -> int:
    """Of a process, now; 0 when it has gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (OSError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:")), 0)


def watched(command: list[str], folder: Path) -> tuple[str, float, int]:
    """(standard output, seconds, most anonymous bytes) of a command."""
    start, most = time.perf_counter(), 0
    environment = os.environ | {"TRUEWEIGHT_CACHE": str(folder / "cache")}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment) as process:
        while process.poll() is None:
            most = max(most, anonymous_bytes(process.pid))
            time.sleep(0.1)
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        sys.exit(f"the run ended with {process.returncode}")
    return printed, time.perf_counter() - start, most


def measure(task: str, folder: Path, budget: str) -> dict[str, object]:
    """Train once, and say what it took."""
    make, target, metric = TASKS[task]
    path = folder / f"{task}.parquet"
    if not path.exists():
        make(path)
    command = [sys.executable, "-m", "trueweight", "train", path.name, "--target", target, "--budget", budget]
    printed, seconds, most = watched(command, folder)
    entries = json.loads((folder / printed.strip().splitlines()[-1] / "evidence.json").read_text())["entries"]
    score = next(e["value"] for e in entries if e["id"] == f"quality/{target}/{metric}/test")
    return {
        "task": task, "file_gb": round(path.stat().st_size / 1e9, 2), "budget": budget, "seconds": round(seconds, 1),
        "anonymous_gb": round(most / 1e9, 3), "within": most <= LIMIT_GB * 1e9, metric: score,
        "date": datetime.now(UTC).date().isoformat(), "machine": machine(),
    }  # fmt: skip


def main() -> None:
    """Measure both, keep the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--task", choices=sorted(TASKS), action="append")
    chosen = parser.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    with tempfile.TemporaryDirectory() as place:
        folder = chosen.folder or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        for task in chosen.task or sorted(TASKS):
            result = measure(task, folder, chosen.budget)
            kept = [old for old in kept if old["task"] != task] + [result]
            write_atomic(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
            print(result, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
