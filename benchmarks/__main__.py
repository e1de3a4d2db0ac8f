"""``make bench NAME=tables``: run one of the benchmarks in this folder by its name."""

import os
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run the benchmark that is named, handing the other arguments on."""
    parts = (
        "__init__", "__main__", "lists", "peers", "faults", "faults_kinds", "worlds", "process", "kept", "rivals",
        "rival_data", "rivals_default", "rivals_expert", "rivals_hand", "race_tasks", "race_times", "race_page",
        "rank_sets", "rank_peers", "rank_page", "throughput_nets", "throughput_keras", "throughput_rivals",
        "serving_load", "serving_peers", "serving_bento", "serving_litserve", "serving_tasks", "soak_load",
        "pairs_made", "novels_plain", "translation_t5", "tokens_rivals", "spoken", "sounds_made",
    )  # fmt: skip
    names = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in parts)
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f"name one of these with NAME=: {', '.join(names)}")
    name = sys.argv.pop(1)
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))  # the same threads for every system
    runpy.run_path(str(HERE / f"{name}.py"), run_name="__main__")


if __name__ == "__main__":
    main()
