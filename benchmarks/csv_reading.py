"""How long our CSV reader takes, as a multiple of Arrow's own on the same file.

    python benchmarks/csv_reading.py [ROWS] [REPEATS]

A clean UTF-8 file (default about 41 MB: 11 number columns, 4 categories, one text) is written to a temporary folder
and read in turns by both, whole, from a warm page cache. Ours also hashes the file and looks for NUL bytes and quotes.
Printed: the median of the paired ratios, and their range. The goal is 1.5 at most.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from trueweight.data.read import read_table


def write_file(path: Path, rows: int, *, quoted: bool) -> None:
    """A table like those that people have."""
    rng = np.random.default_rng(0)
    levels = np.array(["red", "green", "blue", "a longer text cell"])
    columns = {"id": np.arange(rows)}
    columns |= {f"n{place}": np.round(rng.normal(size=rows), 4) for place in range(10)}
    columns |= {f"c{place}": levels[rng.integers(0, 4, rows)] for place in range(4)}
    columns["note"] = np.array([f"{number:06x} some words here" for number in rng.integers(0, 2**24, rows)])
    csv.write_csv(pa.table(columns), path, csv.WriteOptions(quoting_style="needed" if quoted else "none"))


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(path: Path, repeats: int) -> list[tuple[float, float]]:
    """Seconds of ours and of Arrow's, in pairs."""
    pairs = [(seconds(partial(read_table, path)), seconds(partial(csv.read_csv, path))) for _ in range(repeats + 1)]
    return pairs[1:]  # the first warms up


def main(rows: int = 300_000, repeats: int = 9) -> None:
    """Measure a file without quotes and one where every text is quoted."""
    with tempfile.TemporaryDirectory() as folder:
        for quoted in (False, True):
            path = Path(folder) / f"quoted-{quoted}.csv"
            write_file(path, rows, quoted=quoted)
            pairs = measure(path, repeats)
            ratios = [ours / theirs for ours, theirs in pairs]
            ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
            print(
                f"{path.stat().st_size / 1e6:.0f} MB, {'texts quoted' if quoted else 'no quotes'}: "
                f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {repeats} pairs), "
                f"ours {ours:.3f} s, pyarrow {theirs:.3f} s"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
