"""Our loop beside other frameworks at their defaults: each measured in a fresh process, in turn, round after round.

    python -m benchmarks throughput_fresh --python .venv-rivals/bin/python --rounds 2

A round starts one process for each network and system: ours, the hand-written loop (whose memory is noted beside ours),
and the wrappers; every other round goes backwards. Results are kept after each process. A round that was cut off is
taken up again where it ended; asking for more rounds adds to those that are there.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from math import exp, log
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.kept import machine

from trueweight.files import write_atomic

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "throughput_rivals.json"

NETWORKS = ("mlp", "lenet", "cnn", "lstm", "transformer")
WRAPPERS = ("lightning", "skorch", "transformers", "keras-torch", "keras-jax")
SYSTEMS = ("ours", "hand", *WRAPPERS)
LIMIT = 300
"""Seconds that one process may take before it counts as failed."""


def _here(network: str, seconds: float) -> dict[str, Any]:
    """Our loop, in this process."""
    import numpy as np
    import torch
    from benchmarks.throughput import RACES, Ours, weights_of

    race = next(race for race in RACES if race.name == network)
    ours = Ours.of(race, race.frame(np.random.default_rng(0)))
    size = race.by_hand.batch_size
    leaf = ours.leaf()

    def whole(steps: int) -> float:
        return ours.seconds(ours.leaf(), size, steps) * steps

    whole(16)  # warms up
    # What a fit does once is not counted, as it is not for the others: the difference of a long and a short one.
    steps = max(16, int(seconds / max((whole(32) - whole(16)) / 16, 1e-6)))
    short, long = whole(steps), whole(3 * steps)
    if long <= short:
        sys.exit("other programs disturbed the measurement: three times the steps took no longer")
    return {
        "us": (long - short) / (2 * steps) * 1e6, "steps": 2 * steps, "weights": weights_of(leaf.network),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "versions": {"torch": version("torch"), "threads": str(torch.get_num_threads())},
    }  # fmt: skip


def _commit() -> str:
    found = subprocess.run(
        ["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, check=False
    )
    return found.stdout.decode().strip()


def measured(system: str, network: str, python: str, seconds: float) -> dict[str, Any]:
    """One system on one network, in a fresh process; what went wrong instead, if it did."""
    if system == "ours":
        command = [sys.executable, "-m", "benchmarks", "throughput_fresh", "--here", network]
    else:
        rival = str(HERE / "throughput_rivals.py")
        command = [sys.executable if system == "hand" else python, rival, system, network]
    command += ["--seconds", str(seconds)] if system == "ours" else [str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, cwd=HERE.parent)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {LIMIT} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no word"])[-1][:300]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def missing(kept: Sequence[Mapping[str, Any]], rounds: int) -> Iterator[tuple[int, str, str]]:
    """(round, network, system) that are not there yet, or failed, in order."""
    there = {(e["round"], e["network"], e["system"]) for e in kept if "failed" not in e}
    for number in range(rounds):
        for network in NETWORKS:
            for system in SYSTEMS[:: 1 if number % 2 == 0 else -1]:
                if (number, network, system) not in there:
                    yield number, network, system


def ratios(kept: Sequence[Mapping[str, Any]], network: str, wrapper: str) -> list[float]:
    """Their time over ours, round by round: above 1 ours is faster."""
    us = {(e["round"], e["system"]): e["us"] for e in kept if e["network"] == network and "us" in e}
    rounds = sorted({number for number, _ in us})
    return [us[n, wrapper] / us[n, "ours"] for n in rounds if (n, wrapper) in us and (n, "ours") in us]


def typical(kept: Sequence[Mapping[str, Any]], network: str, system: str, key: str = "us") -> float | None:
    """The median over rounds."""
    found = [e[key] for e in kept if e["network"] == network and e["system"] == system and key in e]
    return median(found) if found else None


HEAD = """
## Beside other frameworks

Measured {date} on {machine}, rounds: {rounds}, commit {commit}. Each system trains in a fresh process; a round
starts all of them once for each network, every other round backwards. The torch wrappers train the hand-written
network itself as their documentation trains tensors in memory, everything at its default (a `DataLoader` over a
`TensorDataset`, progress bars, logs, checkpoints); nobody validates. Keras trains the same architecture in its own
layers. The table has microseconds a step, and in brackets the time over ours: above 1 ours is faster. Behind it the
lowest and the highest round. Start, compilation and each wrapper's first epoch are not counted. {versions}.

"""


def _cell(kept: Sequence[Mapping[str, Any]], network: str, system: str) -> str:
    us, found = typical(kept, network, system), ratios(kept, network, system)
    if us is None or not found:
        return "failed" if any(e["system"] == system and e["network"] == network for e in kept) else ""
    return f"{us:,.0f} ({median(found):.2f}; {min(found):.2f} … {max(found):.2f})"


def section() -> str:
    """What the page of the throughput benchmark says of this one; nothing before it has run."""
    if not RESULTS.exists():
        return ""
    kept = json.loads(RESULTS.read_text())
    last = kept[-1]
    versions = {part: number for e in kept for part, number in e.get("versions", {}).items() if part != "threads"}
    listed = ", ".join(f"{part} {number}" for part, number in sorted(versions.items()))
    head = HEAD.format(
        date=last["date"], machine=last["machine"], rounds=1 + max(e["round"] for e in kept), commit=last["commit"],
        versions=listed,
    )  # fmt: skip
    lines = ["| network | ours | " + " | ".join(WRAPPERS) + " |", "|---|---|" + "---|" * len(WRAPPERS)]
    for network in NETWORKS:
        if (ours := typical(kept, network, "ours")) is not None:
            cells = [_cell(kept, network, wrapper) for wrapper in WRAPPERS]
            lines.append(f"| {network} | {ours:,.0f} | " + " | ".join(cells) + " |")
    lines.append("| **geometric mean** | | " + " | ".join(_mean(kept, wrapper) for wrapper in WRAPPERS) + " |")
    return head + "\n".join(lines) + "\n" + _memory(kept) + _failures(kept)


def _mean(kept: Sequence[Mapping[str, Any]], wrapper: str) -> str:
    found = [median(of) for network in NETWORKS if (of := ratios(kept, network, wrapper))]
    return f"**{exp(fmean(map(log, found))):.2f}** of {len(found)}" if found else ""


def _memory(kept: Sequence[Mapping[str, Any]]) -> str:
    lines = ["", "Largest resident memory of the whole process, MB; ours has read and encoded the data set before:", ""]
    lines += ["| network | " + " | ".join(SYSTEMS) + " |", "|---|" + "---|" * len(SYSTEMS)]
    for network in NETWORKS:
        peaks = [typical(kept, network, system, "peak_mb") for system in SYSTEMS]
        if any(peaks):
            lines.append(f"| {network} | " + " | ".join("" if p is None else f"{p:,.0f}" for p in peaks) + " |")
    return "\n".join(lines) + "\n"


def _failures(kept: Sequence[Mapping[str, Any]]) -> str:
    found = {f"{e['system']} on {e['network']}: {e['failed']}" for e in kept if "failed" in e}
    return "\n" + "\n".join(f"* {line}" for line in sorted(found)) + "\n" if found else ""


def main() -> None:
    """Measure what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=str(HERE.parent / ".venv-rivals/bin/python"), help="of make rivals")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one epoch, about")
    parser.add_argument("--here", choices=NETWORKS, help="measure ours in this process, and print")
    chosen = parser.parse_args()
    if chosen.here:
        sys.stdout.write(json.dumps(_here(chosen.here, chosen.seconds)) + "\n")
        return
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for number, network, system in list(missing(kept, chosen.rounds)):
        found = measured(system, network, chosen.python, chosen.seconds)
        entry = {"round": number, "network": network, "system": system, **found}
        entry |= {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), "commit": _commit()}
        sys.stderr.write(f"{entry}\n")
        place = (number, network, system)
        kept = [e for e in kept if (e["round"], e["network"], e["system"]) != place] + [entry]
        write_atomic(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
    from benchmarks.throughput import write_page

    write_page()


if __name__ == "__main__":
    main()
