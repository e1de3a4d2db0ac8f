"""Bad series, as people bring them: an exit code, words that help, and no traceback."""

import json
from pathlib import Path

import numpy as np
import pytest

from trueweight.cli.main import run

FAST = ["--set", "model.preset=fast", "--set", "evaluate.baselines=[]"]
HEAD = "@problemName waves\n@univariate true\n@classLabel true a b\n@data\n"
LONG = ["--set", "data.cases={type: grouped, case: who, time: t}"]


def series(row: int) -> list[float]:
    rng = np.random.default_rng(row)
    return (np.sin(np.arange(20 + row % 7) / (2 + row % 2)) + rng.normal(size=20 + row % 7) / 5).round(3).tolist()


def ts(**changed: str) -> str:
    """Sixty lines, some of which are something else."""
    lines = {str(row): ",".join(map(str, series(row))) + ":" + "ab"[row % 2] for row in range(60)}
    return HEAD + "\n".join({**lines, **{key.removeprefix("r"): line for key, line in changed.items()}}.values()) + "\n"


def listed(*odd: object) -> str:
    """JSON lines, the first of which hold something else."""
    cells = [*odd, *(series(row) for row in range(len(odd), 60))]
    return "\n".join(json.dumps({"wave": cell, "label": "ab"[row % 2]}) for row, cell in enumerate(cells)) + "\n"


def long(header: str = "who,t,x,label", time: str = "{t}", label: str = "{label}") -> str:
    rows = [
        f"c{row},{time.format(t=t)},{value},{label.format(label='ab'[row % 2], t=t)}"
        for row in range(30)
        for t, value in enumerate(series(row))
    ]
    return "\n".join([header, *rows]) + "\n"


def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str,
            content: str, *options: str) -> tuple[int, str]:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(content)
    code = run(["train", name, "--target", "label", *FAST, *options, "--out", "run"])
    told = capsys.readouterr()
    said = told.out + told.err
    assert "Traceback" not in said and "fault of trueweight" not in said
    return code, said


@pytest.mark.parametrize(
    ("name", "content", "options", "code", "says"),
    [
        ("w.ts", HEAD, (), 3, ("no series below @data", "hint:")),
        ("w.ts", "wave,label\n1,a\n", (), 3, ("w.ts:1", "before @data", "hint:")),
        ("w.ts", ts(r3="1,two,3:a", r4="1,2:3:a"), (), 3, ("w.ts:8", "2 of 60 series", "no number", "max_bad_rows")),
        ("w.ts", ts(r3="1,two,3:a"), ("--set", "data.max_bad_rows=0.05"), 0, ("1 unreadable row was skipped",)),
        ("w.ts", ts(r3="?,?,?:a", r5="0.5:b", r7="1,inf,2:a"), ("--set", "data.max_bad_rows=0.05"), 0, ("Test:",)),
        ("w.jsonl", listed([], None, [None], [1.0], [1.0] * 30_000), (), 0, ("3 cells: missing in wave",)),
        ("w.jsonl", listed([1.0, None, 3.0]), (), 0, ("1 cell: steps without a value in wave",)),
        ("w.jsonl", listed([[1.0, 2.0]]), ("--set", "features.wave.type=timeseries"), 0,
         ("1 cell: not a series in wave",)),
        ("w.jsonl", listed(*["nothing"] * 60), ("--set", "features.wave.type=timeseries"), 3,
         ("column 'wave' is said to be a timeseries", "'nothing'", "features.wave")),
        ("w.csv", long(), ("--set", "data.cases={type: grouped}"), 2, ("'grouped' needs data.cases.case",)),
        ("w.csv", long(), ("--set", "data.cases={type: grouped, case: whom}"), 3, ("no column 'whom'", "'who'")),
        ("w.csv", long(time="soon"), LONG, 3, ("'t'", "neither numbers nor dates", "hint:")),
        ("w.csv", long(label="{t}"), LONG, 3, ("'label' has several values within one case", "hint:")),
        ("w.csv", long(), LONG, 0, ("Test: 6 rows",)),
    ],
)  # fmt: skip
def test_bad_series(name, content, options, code, says, tmp_path, monkeypatch, capsys):
    found, said = attempt(tmp_path, monkeypatch, capsys, name, content, *options)
    assert found == code, said
    for words in says:
        assert words in said, said


def test_a_file_without_the_column_of_cases_is_answered_row_by_row(tmp_path, monkeypatch, capsys):
    assert attempt(tmp_path, monkeypatch, capsys, "w.csv", long(), *LONG)[0] == 0
    Path("one.csv").write_text('x\n"[1, 2, 3]"\nnonsense\n\n')
    assert run(["predict", "run/w.bundle", "one.csv", "-o", "answers.csv"]) == 0
    assert len(Path("answers.csv").read_text().splitlines()) == 3
