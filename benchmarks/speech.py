"""Speech to text, with all defaults: digits and numbers that espeak-ng speaks, and recordings of people.

    python -m benchmarks.speech digits  [--rows 4000] [--minutes 8] [--seed 0]
    python -m benchmarks.speech numbers [--rows 4000] [--minutes 10] [--seed 0]
    python -m benchmarks.speech fr --data FOLDER [--minutes 10] [--seed 0]

``digits``: strings of two to six digits in 24 voices; a quarter of the voices is judged, which training never heard.
``numbers``: one to three numbers below 100 said in French, to be written in English words, by an attention decoder.
``fr``: a folder with ``transcripts.csv`` (``file``, ``text``). No recording and no text is on both sides; the same
test sounds are answered after about a quarter, half and all of the training minutes, beside the best constant text and
the text of the nearest training sound. Every run is a fresh process; each prints one line of JSON. Results are kept by
release, task, rows, minutes, seed, decoder and machine.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from benchmarks.kept import RESULTS, Entry, Kept, ours
from benchmarks.spoken import digit_strings, number_pairs

from trueweight.data.sounds import log_mel, resample
from trueweight.metrics.texts import edits

RATE = 16_000
SHARES = (0.25, 0.5, 1.0)
"""Of the training minutes, for the curve."""
RESAMPLES = 1000


def error_rate(said: list[str], meant: list[str], *, words: bool) -> dict[str, float]:
    """Words or characters to change over those of the truth, with the 95 % interval of a bootstrap over rows."""
    split = str.split if words else list
    count_N2 = np.array([[edits(split(a), split(b)), len(split(b))] for a, b in zip(said, meant, strict=True)], float)
    drawn_RN = np.random.default_rng(0).integers(0, len(count_N2), (RESAMPLES, len(count_N2)))
    rate_R = count_N2[drawn_RN, 0].sum(1) / count_N2[drawn_RN, 1].sum(1)
    low, high = np.quantile(rate_R, [0.025, 0.975])
    rate = count_N2[:, 0].sum() / count_N2[:, 1].sum()
    return {"rate": round(float(rate), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def trained(
    folder: Path, spec: dict[str, Any], target: str, test: pd.DataFrame
) -> tuple[list[str], dict[str, Any]]:  # fmt: skip
    """Texts of a model that is trained by a spec for the rows of ``test``, and what that cost."""
    test.drop(columns=target).to_csv(folder / "asked.csv", index=False)
    (folder / "spec.yaml").write_text(json.dumps(spec))  # JSON is YAML
    ours, start = [sys.executable, "-m", "trueweight"], time.perf_counter()
    done = _do([*ours, "train", "spec.yaml", "--out", str(folder / f"run-{time.time_ns()}")], folder)
    spent, bundle = time.perf_counter() - start, done.strip().splitlines()[-1]
    media = spec["data"].get("media_dir")  # paths that lead out of the data's folder are followed only where told so
    _do(
        [*ours, "predict", bundle, "asked.csv", "-o", "answers.csv", *(["--media-dir", media] if media else [])], folder
    )
    answers = pd.read_csv(folder / "answers.csv", dtype=str, keep_default_na=False)
    plan = json.loads((Path(bundle).parent / "plan.json").read_text())["members"][-1]
    facts = {"seconds": round(spent, 1), "steps": plan["steps"], "threads": plan["threads"]}
    return answers[target].tolist(), facts


def _do(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[2:5])} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def digits(folder: Path, chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Word error rate for voices never heard."""
    source = digit_strings(folder, chosen.rows, chosen.seed)
    table = pd.read_csv(source, dtype=str)
    spec = {
        "data": {"source": str(source)}, "features": {"sound": "audio"}, "targets": {"transcript": "text"},
        "other_features": "ignore", "split": {"method": "column", "column": "part"}, "seed": chosen.seed,
        "train": {"budget": {"time": f"{chosen.minutes:g}m"}}, "evaluate": {"checks": []},
    }  # fmt: skip
    test = table[table.part == "test"]
    said, facts = trained(folder, spec, "transcript", test)
    yield {"task": "digits", "rows": len(table), "wer": error_rate(said, test.transcript.tolist(), words=True), **facts}


def numbers(folder: Path, chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Word error rate of English words for numbers said in French. Numbers of the test rows occur in training, strings
    of several seldom do."""
    source = number_pairs(folder, chosen.rows, chosen.seed)
    table = pd.read_csv(source, dtype=str)
    table["part"] = np.where(np.arange(len(table)) % 10 == 0, "test", "train")
    table.loc[np.arange(len(table)) % 10 == 1, "part"] = "validation"
    table.to_csv(source, index=False)
    spec = {
        "data": {"source": str(source)}, "features": {"sound": "audio"}, "other_features": "ignore",
        "targets": {"english": {"type": "text", "decoder": {"type": chosen.decoder}}}, "seed": chosen.seed,
        "split": {"method": "column", "column": "part"}, "train": {"budget": {"time": f"{chosen.minutes:g}m"}},
        "evaluate": {"checks": []},
    }  # fmt: skip
    test = table[table.part == "test"]
    said, facts = trained(folder, spec, "english", test)
    wer = error_rate(said, test.english.tolist(), words=True)
    yield {"task": "numbers", "rows": len(table), "decoder": chosen.decoder, "wer": wer, **facts}


def recordings(folder: Path) -> pd.DataFrame:
    """Distinct recordings with one text each: ``file``, ``text`` and ``group``, equal for equal texts but for case,
    spaces and marks; ``minutes`` of each."""
    table = pd.read_csv(folder / "transcripts.csv", dtype=str)
    seen: set[bytes] = set()
    rows = []
    for file, text in zip(table.file, table.text, strict=True):
        sample_N, rate = soundfile.read(folder / file, dtype="int16")
        if (content := sample_N.tobytes()) in seen:
            continue
        seen.add(content)
        group = " ".join(re.findall(r"\w+", text.lower()))
        rows.append({"file": str(folder / file), "text": text, "group": group, "minutes": len(sample_N) / rate / 60})
    return pd.DataFrame(rows)


def best_constant(texts: list[str]) -> str:
    """The training text from which all others are fewest changes away."""
    return min(dict.fromkeys(texts), key=lambda one: sum(edits(list(one), list(other)) for other in texts))


def nearest(train: pd.DataFrame, test: pd.DataFrame) -> list[str]:
    """The text of the training sound that is most alike: means and spreads of each band in each third, and length."""
    known_ND, asked_MD = (np.stack([_portrait(file) for file in table.file]) for table in (train, test))
    middle_D, spread_D = known_ND.mean(0), known_ND.std(0) + 1e-9
    known_ND, asked_MD = (known_ND - middle_D) / spread_D, (asked_MD - middle_D) / spread_D
    place_M = np.square(asked_MD[:, None] - known_ND).sum(2).argmin(1)
    return [str(text) for text in train.text.to_numpy()[place_M]]


def _portrait(file: str) -> np.ndarray:
    sample_N, rate = soundfile.read(file, dtype="float32")
    band_TM = log_mel(resample(sample_N, rate, RATE), RATE, 40, 400, 160)
    thirds = np.array_split(band_TM, 3)
    parts = [part for third in thirds if len(third) for part in (third.mean(0), third.std(0))]
    return np.concatenate([*parts, np.zeros(240 - 40 * len(parts)), [20 * np.log(len(band_TM))]])


def french(folder: Path, chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The curve."""
    table = recordings(chosen.data.resolve())
    rng = np.random.default_rng(chosen.seed)
    texts = rng.permutation(table.group.unique())
    part = {text: ("test", "validation")[i % 10 >= 2] if i % 10 < 3 else "train" for i, text in enumerate(texts)}
    table["part"] = table.group.map(part)
    test, train = table[table.part == "test"], table[table.part == "train"]
    for share in SHARES:
        kept = train[train.group.isin(train.group.unique()[: int(share * train.group.nunique())])]
        some = pd.concat([kept, table[table.part != "train"]])
        some.drop(columns=["group", "minutes"]).to_csv(folder / "some.csv", index=False)
        spec = {
            "data": {"source": "some.csv", "media_dir": str(chosen.data.resolve())}, "features": {"file": "audio"},
            "targets": {"text": "text"}, "other_features": "ignore", "seed": chosen.seed,
            "split": {"method": "column", "column": "part"}, "train": {"budget": {"time": f"{chosen.minutes:g}m"}},
            "evaluate": {"checks": []},
        }  # fmt: skip
        asked = test.drop(columns=["group", "minutes"])
        said, facts = trained(folder, spec, "text", asked)
        meant = test.text.tolist()
        ways = {
            "model": said, "constant": [best_constant(kept.text.tolist())] * len(test), "nearest": nearest(kept, test),
        }  # fmt: skip
        rates = {way: error_rate(texts, meant, words=False) for way, texts in ways.items()}
        minutes = round(float(kept.minutes.sum()), 1)
        yield {"task": "fr", "train_minutes": minutes, "test_rows": len(test), "cer": rates, **facts}


TASKS = {"digits": digits, "numbers": numbers, "fr": french}


def render(entries: Sequence[Entry]) -> str:
    """A section of the page about writing: the newest entry of each task and amount of sound."""
    head = [
        "## Speech",
        "",
        """Words to change over words of the truth (WER) for digits and numbers spoken by espeak-ng, characters (CER)
for recordings of people in French, with 95 % intervals. Aimed at: digits 0.05, numbers 0.10; recordings below both
answers that hear nothing.""",
        "",
    ]
    if not entries:
        return "\n".join([*head, "Not measured yet: `make bench NAME=speech ARGS=digits`.", ""])
    names = ("task", "minutes", "seed", "decoder", "train_minutes", "machine")
    newest = {tuple(str(entry.get(name)) for name in names): entry for entry in entries}
    columns = ("task", "decoder", "minutes allowed", "sounds", "seed", "error", "constant", "nearest", "steps", "date",
               "machine", "version")  # fmt: skip
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for entry in newest.values():
        rates = entry["cer"] if entry["task"] == "fr" else {"model": entry["wer"]}
        three = [_rate(rates.get(way)) for way in ("model", "constant", "nearest")]
        amount = f"{entry['train_minutes']:g} min" if "train_minutes" in entry else f"{entry['rows']:,}"
        shown = [entry["task"], entry["decoder"], f"{entry['minutes']:g}", amount, str(entry["seed"]), *three]
        lines.append(
            "| " + " | ".join([*shown, f"{entry['steps']:,}", entry["date"], entry["machine"], entry["by"]]) + " |"
        )
    return "\n".join([*head, *lines, "", "`make bench NAME=speech ARGS=digits` measures again.", ""])


def _rate(rate: dict[str, float] | None) -> str:
    return "" if rate is None else f"{rate['rate']:.3f} ({rate['low']:.3f} … {rate['high']:.3f})"


def main() -> None:
    """One task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--decoder", default="transformer", help="of numbers: transformer, lstm or ctc")
    parser.add_argument("--out", type=Path, default=RESULTS / "speech.json")
    parser.add_argument("--data", type=Path, help="of fr: the folder with transcripts.csv")
    chosen = parser.parse_args()
    if chosen.task == "fr" and chosen.data is None:
        parser.error("fr needs --data, a folder with transcripts.csv and the sounds it names")
    kept = Kept(chosen.out)
    key = {"task": chosen.task, "asked_rows": chosen.rows, "minutes": chosen.minutes, "seed": chosen.seed}
    key |= {"decoder": chosen.decoder if chosen.task == "numbers" else "ctc", "by": ours()}
    if found := kept.find(**key):
        print(json.dumps(found, ensure_ascii=False))
        return
    with tempfile.TemporaryDirectory() as place:
        for line in list(TASKS[chosen.task](Path(place), chosen)):  # all points of a curve, or none
            print(json.dumps(kept.add(line, **key), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
