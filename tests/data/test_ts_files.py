"""Files of the UCR and UEA archives, well formed and otherwise."""

from pathlib import Path

import numpy as np
import pytest

from trueweight.data.read import read_table
from trueweight.errors import DataError
from trueweight.spec.data import DataSpec

HEAD = "# made up\n@problemName made\n@timeStamps false\n@univariate {univariate}\n@classLabel {label}\n@data\n"


def written(folder: Path, body: str, *, univariate: str = "true", label: str = "true a b", more: str = "") -> Path:
    path = folder / "made.ts"
    path.write_text(HEAD.format(univariate=univariate, label=label).replace("@data", more + "@data") + body)
    return path


def test_one_channel_of_different_lengths(tmp_path):
    table = read_table(written(tmp_path, "1,2.5,-3e-2:a\n4 , 5:b \n?,7,NaN:a\n"))
    assert table.data.to_pydict() == {
        "series": [[1.0, 2.5, -0.03], [4.0, 5.0], [None, 7.0, None]], "label": ["a", "b", "a"],
    }  # fmt: skip


def test_several_channels_come_step_by_step(tmp_path):
    body = "1,2,3:10,20,30:a\n4,5:40,50:b\n6,7:60:a\n"
    table = read_table(written(tmp_path, body, univariate="false", more="@dimensions 2\n"))
    assert table.data["series"].to_pylist() == [
        [[1, 10], [2, 20], [3, 30]], [[4, 40], [5, 50]], [[6, 60], [7, None]],
    ]  # fmt: skip


@pytest.mark.parametrize("label", ["false", "false a b"])
def test_files_without_labels(tmp_path, label):
    assert read_table(written(tmp_path, "1,2\n3\n", label=label)).names == ["series"]


def test_a_number_to_predict_is_a_label(tmp_path):
    path = tmp_path / "made.ts"
    path.write_text("@problemName made\n@univariate true\n@targetLabel true\n@data\n1,2:0.25\n3,4:-7\n")
    assert read_table(path).data["label"].to_pylist() == ["0.25", "-7"]


def test_time_stamps_are_left_out_and_said_so(tmp_path):
    path = tmp_path / "made.ts"
    path.write_text("@timeStamps true\n@univariate true\n@classLabel true a\n@data\n(0,1.5),(2,2.5):a\n")
    table = read_table(path)
    assert table.data["series"].to_pylist() == [[1.5, 2.5]]
    assert "time stamps" in table.provenance.notes[0]


def test_a_few_bad_lines_are_skipped_and_counted(tmp_path):
    lines = ["1,2,3:a"] * 99 + ["1,x,3:a"]
    table = read_table(written(tmp_path, "\n".join(lines)))
    assert (len(table), table.provenance.skipped_rows) == (99, 1)


@pytest.mark.parametrize(
    ("body", "more", "said"),
    [
        ("1,2:a\n1,2\n", "@dimensions 1\n", "0 channels instead of 1"),
        ("1,2:a\n1:2:a\n", "@dimensions 1\n", "2 channels instead of 1"),
        ("1,2:a\n1,huh:a\n", "", "a value that is no number"),
        ("1,2:a\n1,2,3:a\n", "@equalLength true\n@seriesLength 2\n", "3 steps instead of 2"),
    ],
)
def test_too_many_bad_lines_are_refused_with_their_place(tmp_path, body, more, said):
    with pytest.raises(DataError, match=said) as caught:
        read_table(written(tmp_path, body, more=more))
    assert caught.value.where.startswith("made.ts:")
    assert read_table(written(tmp_path, body, more=more), DataSpec(max_bad_rows=0.5)).provenance.skipped_rows == 1


@pytest.mark.parametrize(("text", "said"), [
    ("@problemName x\n", "ends before @data"), ("@problemName x\n1,2:a\n", "before @data"), ("@data\n", "no series"),
    ("\x00\xff\xfe", "before @data"),
])  # fmt: skip
def test_what_is_no_such_file_is_refused(tmp_path, text, said):
    path = tmp_path / "made.ts"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=said):
        read_table(path)


def test_many_lines_are_read_as_few_are(tmp_path, monkeypatch):
    monkeypatch.setattr("trueweight.data.sources.ts._BLOCK", 1000)
    rng = np.random.default_rng(0)
    series = [rng.normal(size=rng.integers(1, 9)).round(4).tolist() for _ in range(1000)]
    path = written(tmp_path, "\n".join(",".join(map(str, row)) + ":a" for row in series))
    assert read_table(path).data["series"].to_pylist() == series
    assert read_table(path, rows=700).data["series"].to_pylist() == series[:700]
