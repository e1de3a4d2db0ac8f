"""Whatever Python's csv module writes, we read back."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueweight.data.read import read_table
from trueweight.data.sources import csv as csv_source
from trueweight.spec.data import DataSpec

# NUL cannot be in text that we read; surrogates cannot be in UTF-8.
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
SPECIAL = st.sampled_from(list(",;\t|\"\n\r '\\é雪"))
CELLS = st.text(SPECIAL | LETTERS, max_size=8)
NAMES = st.lists(
    st.text("abcdefgh_ ,;|\t\"'", min_size=1, max_size=5).map(lambda s: "n" + s + "n"),
    min_size=1,
    max_size=5,
    unique=True,
)


@st.composite
def tables(draw: st.DrawFn, rows: int = 6) -> tuple[list[str], list[list[str]]]:
    names = draw(NAMES)
    if len(names) == 1:  # one name that another delimiter would split is refused on purpose
        names = ["n"]
    return names, draw(st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), min_size=1, max_size=rows))


@given(table=tables(rows=40), wanted=st.integers(1, 10))
@settings(max_examples=100, deadline=None)
def test_the_first_rows_are_those_of_the_whole(tmp_path_factory: pytest.TempPathFactory, table, wanted: int):
    names, rows = table
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    path = Path(tmp_path_factory.getbasetemp()) / "head.csv"
    path.write_bytes(text.getvalue().encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_source, "_LEAST_HEAD", 1)  # so that cells, quotes and letters are cut
        table = read_table(path, DataSpec(delimiter=","), rows=wanted)
    assert [list(row.values()) for row in table.data.to_pylist()] == rows[:wanted]
    assert table.provenance.skipped_rows == 0


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@given(table=tables(), line_end=st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=60, deadline=None)
def test_what_python_writes_comes_back(tmp_path_factory: pytest.TempPathFactory, delimiter: str, table, line_end: str):
    names, rows = table
    text = io.StringIO()
    # Before 3.13 the module leaves a lone carriage return unquoted, which every other reader takes for a line end.
    quoting = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([names, *rows])
    path = Path(tmp_path_factory.getbasetemp()) / "property.csv"
    path.write_bytes(text.getvalue().encode())
    for limit in (None, len(rows)):
        data = read_table(path, DataSpec(delimiter=delimiter), rows=limit).data
        assert data.column_names == names
        assert [list(row.values()) for row in data.to_pylist()] == rows
