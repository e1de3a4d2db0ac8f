"""Translation and summaries after so many minutes, with all defaults, beside a T5 of the same size.

    make rivals
    make bench NAME=translation DATA=folder/with/data ARGS="--tasks en-fr --minutes 5 20"
    python -m benchmarks translation --data folder [--tasks en-fr en-es summaries] [--systems ours t5 copy nearest]

``en-fr``: descriptions of packages, no package on two sides. ``en-es``: verses, no verse twice. ``summaries``: the
short description of a package from the long one, no package on two sides. Judged are 500 test rows.

``t5`` is transformers' Trainer (``translation_t5.py``) with the layers, size of vocabulary and number of weights that
ours ended up with, for the same seconds of fitting; ``copy`` says what it was asked; ``nearest`` the answer of the
training row that is most alike; ``first``, for summaries, the first sentence. Each number of minutes is a run of its
own, with its own schedule. What each row contributes to the score is kept, so that differences can be paired, and three
answers to show; the data set itself is not. A harness that is stopped goes on where it was.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.kept import HERE, RESULTS, Entry, Kept, ours, pins
from safetensors import safe_open

from trueweight.metrics.interval import estimate
from trueweight.metrics.registry import metric
from trueweight.metrics.statistic import Sums
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth
from trueweight.model.text_index import TextIndex

TASKS = {"en-fr": "chrf", "en-es": "chrf", "summaries": "rouge_l"}
"""And what they are judged by."""
SYSTEMS = ("ours", "t5", "copy", "nearest", "first")
UNTRAINED = ("copy", "nearest", "first")
JUDGED = 500
USEFUL = (
    "**What would make them useful.** Nobody should rely on these translations. Set phrases that many "
    "texts share come out right; sentences of their own are left unfinished, lose words or wander off, "
    "and nothing in them says so. Some 27,000 pairs are less than a hundredth of what the original "
    "transformer learnt from (Vaswani et al. 2017, sections 5.1 and 5.2: 4.5 million pairs of English and "
    "German, 36 million of English and French, 3.5 days on eight GPUs for its best results), and 20 "
    "minutes of two cores a tiny part of its time. So: some hundred thousand pairs of your own domain and "
    "hours on a GPU, or weights of another maker to begin with (`start_from` a folder), and a person who "
    "reads what is sent out. Summaries of one line come closer: about a tenth of all test rows is written "
    "exactly as people did, because packages of one family are described alike; the rest mostly names the "
    "right kind of thing and may get its details wrong."
)
"""What is written beside the table, in plain words."""

LONGEST = 256
"""Tokens of a text that the T5 reads or writes, like ours."""
PYTHON = Path(os.environ.get("RIVALS", HERE.parent / ".venv-rivals")) / "bin" / "python"


def rows_of(task: str, data: Path, seed: int = 0) -> pd.DataFrame:
    """``source``, ``target`` and ``part``: a tenth of the groups to judge by, a twentieth to validate."""
    asked: dict[str, Any] = {"dtype": str, "keep_default_na": False}
    if task == "en-es":
        table = pd.read_csv(data / "translation-en-es" / "verses.tsv.gz", sep="\t", quoting=3, **asked)
        table = table.rename(columns={"en": "source", "es": "target"}).drop_duplicates("source")
        group = table["source"]
    elif task == "en-fr":
        table = pd.read_csv(data / "translation-en-fr" / "descriptions.csv.gz", **asked)
        table = table.rename(columns={"en": "source", "fr": "target"})
        group = table["package"]
    else:
        table = pd.read_csv(data / "summaries" / "descriptions.csv.gz", **asked)
        table = table.rename(columns={"text": "source", "summary": "target"})
        group = table["package"]
    kinds = np.random.default_rng(seed).permutation(group.unique())
    part = {kind: "test" if place % 10 == 0 else "train" for place, kind in enumerate(kinds)}
    part |= {kind: "validation" for place, kind in enumerate(kinds) if place % 20 == 1}
    table = table.assign(part=group.map(part))[["source", "target", "part"]]
    # A text that both sides of the split hold would be looked up and not translated.
    known = set(table.loc[table.part != "test", "source"])
    return table[(table.part != "test") | ~table.source.isin(known)].reset_index(drop=True)


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The test rows that everyone answers."""
    test = table[table.part == "test"]
    return test.sample(min(JUDGED, len(test)), random_state=0)


def _ours(folder: Path, table: pd.DataFrame, minutes: float, seed: int) -> tuple[list[str], dict[str, Any]]:
    table.to_csv(folder / "rows.csv", index=False)
    judged(table)[["source"]].to_csv(folder / "asked.csv", index=False)
    spec = {
        "data": {"source": "rows.csv"}, "features": {"source": "text"}, "targets": {"target": "text"},
        "other_features": "ignore", "seed": seed, "split": {"method": "column", "column": "part"},
        "train": {"budget": {"time": 60 * minutes}}, "evaluate": {"checks": [], "baselines": []},
    }  # fmt: skip
    (folder / "spec.yaml").write_text(json.dumps(spec))  # JSON is YAML
    program = [sys.executable, "-m", "trueweight"]
    done = _do([*program, "train", "spec.yaml", "--out", "run"], folder)
    bundle = folder / done.strip().splitlines()[-1]
    start = time.perf_counter()
    _do([*program, "predict", str(bundle), "asked.csv", "-o", "answers.csv"], folder)
    plan = json.loads((bundle.parent / "plan.json").read_text())["members"][-1]
    facts = {"steps": plan["steps"], "threads": plan["threads"], "answering": round(time.perf_counter() - start, 1)}
    return _answers(folder), {**facts, **_size(bundle)}


def _size(bundle: Path) -> dict[str, int]:
    """Of the network that was trained, read off its weights."""
    with safe_open(next(bundle.glob("members/*/state.safetensors")), "numpy") as weights:
        shape = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118  # no mapping
    tokens, width = next(size for name, size in shape.items() if name.endswith("decoder.embedding.weight"))

    def blocks(within: str) -> int:
        places = (re.search(rf"{within}.*blocks\.(\d+)\.", name) for name in shape)
        return len({place[1] for place in places if place})

    return {
        "parameters": sum(int(np.prod(size)) for size in shape.values()), "tokens": tokens, "width": width,
        "layers": blocks("encoders"), "decoder_layers": blocks("decoder"),
    }  # fmt: skip


def _t5(
    folder: Path, table: pd.DataFrame, minutes: float, seed: int, like: Entry
) -> tuple[list[str], dict[str, Any]]:  # fmt: skip
    table[table.part == "train"].to_csv(folder / "train.csv", index=False)
    judged(table)[["source"]].to_csv(folder / "asked.csv", index=False)
    settings = {name: like[name] for name in ("tokens", "layers", "decoder_layers", "threads")}
    settings["width"] = _width(like)
    settings |= {"heads": 4, "seconds": 60 * minutes, "seed": seed, "longest": LONGEST, "rows": 32}
    script = str(HERE / "translation_t5.py")
    done = _do([str(PYTHON), script, "train.csv", "asked.csv", "answers.csv", json.dumps(settings)], folder)
    return _answers(folder), json.loads(done.strip().splitlines()[-1])


def _width(like: Entry) -> int:
    """Of a T5 with as many weights: it has one embedding for both sides, where ours has two."""

    def weights(width: int) -> int:
        blocks = 12 * like["layers"] + 16 * like["decoder_layers"]  # squares of the width: attention, perceptron
        return int(like["tokens"]) * width + blocks * width**2

    return min(range(16, 1025, 16), key=lambda width: abs(weights(width) - like["parameters"]))


def _answers(folder: Path) -> list[str]:
    return pd.read_csv(folder / "answers.csv", dtype=str, keep_default_na=False)["target"].tolist()


def _do(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChildProcessError(done.stderr[-1500:] or f"ended with {done.returncode}")
    return done.stdout


def _untrained(system: str, table: pd.DataFrame) -> list[str]:
    asked, known = judged(table)["source"].tolist(), table[table.part == "train"]
    if system == "copy":
        return asked
    if system == "first":
        return [re.split(r"(?<=[.!?])\s", text.strip(), maxsplit=1)[0] for text in asked]
    found, answers = TextIndex.of(known["source"].tolist()).nearest(asked), known["target"].tolist()
    return ["" if place < 0 else answers[place] for place in found]


def predictions(texts: Sequence[str]) -> TextPrediction:
    """Texts as a model's answers; how likely they were plays no part."""
    return TextPrediction(np.array([*texts, None], dtype=object)[:-1], np.zeros(len(texts)), np.zeros(len(texts), int))


def scored(said: Sequence[str], meant: Sequence[str], name: str) -> dict[str, float]:
    """The measure of a task with its 95 % interval."""
    found = estimate(metric(name), predictions(said), truth_of(meant))
    assert found.low is not None  # there are enough rows
    assert found.high is not None
    return {name: round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def truth_of(meant: Sequence[str]) -> Truth:
    """True texts, all known."""
    return Truth(np.array([*meant, None], dtype=object)[:-1], np.ones(len(meant), bool))


def measured(system: str, task: str, table: pd.DataFrame, minutes: float, seed: int, like: Entry | None) -> Entry:
    """Scores and answers of one run, or the reason why there are none."""
    start, facts = time.perf_counter(), dict[str, Any]()
    try:
        with tempfile.TemporaryDirectory() as place:
            if system == "ours":
                said, facts = _ours(Path(place), table, minutes, seed)
            elif system == "t5":
                if like is None:
                    return {"reason": "ours has to run first: the T5 gets its size"}
                said, facts = _t5(Path(place), table, minutes, seed, like)
            else:
                said = _untrained(system, table)
    except ChildProcessError as error:
        return {"reason": str(error)}
    meant = judged(table)["target"].tolist()
    facts |= {"seconds": round(time.perf_counter() - start, 1)}
    return {
        **scored(said, meant, TASKS[task]), **facts, "counts": counted(said, meant, TASKS[task]),
        "samples": samples(said, meant),
    }  # fmt: skip


def samples(said: Sequence[str], meant: Sequence[str]) -> list[list[str]]:
    """What was meant and what was said, of the first three rows that are short enough to show."""
    return [[a, b] for a, b in zip(meant, said, strict=True) if 30 < len(a) < 120][:3]


def counted(said: Sequence[str], meant: Sequence[str], name: str) -> list[str]:
    """The sums that a measure is made of, a line of numbers for each row."""
    return [" ".join(f"{number:.6g}" for number in row) for row in _sums(said, meant, name).column_NK]


def _sums(said: Sequence[str], meant: Sequence[str], name: str) -> Sums:
    found = metric(name).statistic(predictions(said), truth_of(meant))
    assert isinstance(found, Sums)  # so are those of texts
    return found


def gained(ours: Sequence[str], theirs: Sequence[str], name: str) -> tuple[float, float, float]:
    """A measure of ours minus theirs from the lines of :func:`counted`, with a 95 % interval of paired draws."""
    any_of = _sums(["a"], ["a"], name)
    a, b = (
        replace(any_of, column_NK=np.array([[float(number) for number in line.split()] for line in lines]), row_N=None)
        for lines in (ours, theirs)
    )
    rows = len(ours)
    draws = np.random.default_rng(0).multinomial(rows, np.full(rows, 1 / rows), size=1000)
    low, high = np.percentile(a.values(draws) - b.values(draws), [2.5, 97.5])
    once = np.ones((1, rows))
    return float(a.values(once)[0] - b.values(once)[0]), float(low), float(high)


def told(entry: Entry) -> str:
    """One line of a run."""
    head = f"{entry['task']:<10} {entry['system']:<8} {entry['minutes']:>4g} min  seed {entry['seed']}"
    if entry.get("reason"):
        return f"{head}  failed: {entry['reason'].strip().splitlines()[-1]}"
    name = TASKS[entry["task"]]
    size = f", {entry['steps']:,} steps, {entry['parameters']:,} parameters" if "steps" in entry else ""
    return f"{head}  {name} {entry[name]:.3f} ({entry['low']:.3f} to {entry['high']:.3f}){size}"


def render(entries: Sequence[Entry]) -> str:
    """A section of the page about writing: the newest entry of each task, system and number of minutes."""
    head = [
        "## Translation and summaries",
        "",
        """Texts of 500 test rows after so many minutes of fitting, all defaults. chrF for translations, ROUGE-L for
summaries, 0 to 1, with 95 % intervals; then ours minus the system, paired by row.""",
        "",
    ]
    if not entries:
        return "\n".join([*head, "Not measured yet: `make bench NAME=translation DATA=folder`.", ""])
    names = ("task", "minutes", "seed", "system", "machine")
    newest = {tuple(str(entry[name]) for name in names): entry for entry in sorted(entries, key=_place)}
    columns = ("task", "minutes", "seed", "system", "score", "ours minus it", "steps", "parameters", "date", "machine")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_row(entry, list(newest.values()))) + " |" for entry in newest.values()]
    again = "`make bench NAME=translation DATA=folder` measures again; `make rivals` first, for the T5."
    return "\n".join([*head, *lines, "", *_samples(list(newest.values())), "", USEFUL, "", again, ""])


def _place(entry: Entry) -> tuple[int, int, float]:
    return list(TASKS).index(entry["task"]), SYSTEMS.index(entry["system"]), entry["minutes"]


def _row(entry: Entry, all_of: Sequence[Entry]) -> list[str]:
    shown = [entry["task"], f"{entry['minutes']:g}", str(entry["seed"]), entry["system"]]
    if entry.get("reason"):
        return [*shown, "failed", "", "", "", entry["date"], entry["machine"]]
    name = TASKS[entry["task"]]
    score = f"{entry[name]:.3f} ({entry['low']:.3f} … {entry['high']:.3f})"
    steps, size = (f"{entry[key]:,}" if key in entry else "" for key in ("steps", "parameters"))
    return [*shown, score, _difference(entry, all_of), steps, size, entry["date"], entry["machine"]]


def _difference(entry: Entry, all_of: Sequence[Entry]) -> str:
    """Ours of the same minutes minus the entry; of the longest run for what takes no time."""
    mine = [
        other for other in all_of
        if other["system"] == "ours" and other["task"] == entry["task"] and "counts" in other
        and (entry["system"] in UNTRAINED or all(other[name] == entry[name] for name in ("minutes", "machine")))
    ]  # fmt: skip
    if entry["system"] == "ours" or not mine:
        return ""
    best = _longest(mine)
    value, low, high = gained(best["counts"], entry["counts"], TASKS[entry["task"]])
    return f"{value:+.3f} ({low:+.3f} … {high:+.3f})"


def _longest(entries: Sequence[Entry]) -> Entry:
    """The run of most minutes; of several machines' the last one."""
    return max(reversed(entries), key=lambda entry: float(entry["minutes"]))


def _samples(entries: Sequence[Entry]) -> Iterator[str]:
    """Three answers of the longest run of each task: the first ones that are short enough to show."""
    for task in TASKS:
        mine = [e for e in entries if e["task"] == task and e["system"] == "ours" and "samples" in e]
        if mine:
            best = _longest(mine)
            yield f"What ours wrote for {task} after {best['minutes']:g} minutes, below what was asked for:"
            yield ""
            for meant, said in best["samples"]:
                yield f"* {_plain(meant)}  \n  → {_plain(said)}"
            yield ""


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))


def main() -> None:
    """Everything that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--minutes", nargs="+", type=float, default=[5.0, 10.0, 15.0, 20.0], help="of fitting")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "translation.json")
    parser.add_argument("--retry", action="store_true", help="run again what failed")
    chosen = parser.parse_args()
    if chosen.data is None:
        sys.exit("say where the data sets are: make bench NAME=translation DATA=folder")
    kept, peer = Kept(chosen.out, retry=chosen.retry), pins(PYTHON, ("transformers", "torch"))
    for task in chosen.tasks:
        table = rows_of(task, chosen.data)
        for seed in range(chosen.seeds):
            for system in chosen.systems:
                if system == "first" and task != "summaries":
                    continue
                for minutes in [0.0] if system in UNTRAINED else chosen.minutes:
                    _run(kept, table, {"task": task, "system": system, "minutes": minutes, "seed": seed}, peer)


def _run(kept: Kept, table: pd.DataFrame, key: dict[str, Any], peer: str | None) -> None:
    by = {"ours": ours(), "t5": peer}.get(key["system"], "rules")
    entry = kept.find(**key, by=by)
    if entry is None:
        like = kept.find(**{**key, "system": "ours"}) if key["system"] == "t5" else None
        if by is None:
            found: Entry = {"reason": "transformers is not installed: make rivals"}
        else:
            found = measured(key["system"], key["task"], table, key["minutes"], key["seed"], like)
        entry = kept.add(found, **key, by=by)
    print(told(entry), flush=True)


if __name__ == "__main__":
    main()
