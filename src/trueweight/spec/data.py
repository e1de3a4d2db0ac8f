"""What a run spec says of its data: where rows come from, how cells are read, which rows are one case.

A field that a recipe decides is ``None`` until asked for, as everywhere in a run spec.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from trueweight.spec.base import Conflict, Spec
from trueweight.spec.units import Share

__all__ = ["MISSING_MARKERS", "CasesSpec", "ChunksSpec", "DataSpec"]

MISSING_MARKERS = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "NULL", "null", "None", "none", "?", "-", "#N/A")
"""Cells that mean "no value", after trimming. ``unknown`` is left to the user: it may be a category."""


class CasesSpec(Spec):
    """What one case is: what the model sees, and is asked about, as one."""

    type: Literal["rows", "grouped"] = "rows"
    """rows: each row is a case. grouped: all rows with one value of ``case`` are one."""

    case: str | None = None
    """Column that names the case, for ``grouped``."""

    time: str | None = None
    """Column that orders the rows of a case: numbers or dates. Null: the order of the file."""

    series: list[str] | None = None
    """Columns that become a series for each case. Null: those that vary within a case."""

    channels: list[str] | None = None
    """Those of them that become one column ``series`` together, each a channel of it. Null: where ``series`` is null
    too, all that hold numbers and are not named under ``features``, if they are several; [] keeps each by itself."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Each type has what it needs, and nothing that it has no use for."""
        kind, case = raw.get("type", "rows"), raw.get("case")
        if kind == "grouped" and case is None:
            yield Conflict(("type",), "'grouped' needs data.cases.case: which column says what belongs together?")
        for field in ("case", "time", "series", "channels"):
            if kind == "rows" and raw.get(field) is not None:
                yield Conflict((field,), f"{field!r} needs type: grouped")
        series, channels = raw.get("series"), raw.get("channels")
        if isinstance(channels, list) and isinstance(series, list):
            for place, name in enumerate(channels):
                if name not in series:
                    problem = f"{name!r} is not among data.cases.series, of which channels are made"
                    yield Conflict(("channels", place), problem)
        if case is not None and case == raw.get("time"):
            yield Conflict(("time",), f"{case!r} names the cases: another column must order their rows")


class ChunksSpec(Spec):
    """How text files become rows, of columns ``file`` and ``text``."""

    by: Literal["paragraph", "lines", "size"] = "paragraph"
    """What a row is: what stands between blank lines, or ``size`` lines, or ``size`` characters."""

    size: Annotated[int, Field(ge=1)] = 1
    """Lines or characters of a row; paragraphs are as long as they are."""


class DataSpec(Spec):
    """Where the rows come from and how their cells are read."""

    source: str | list[str] | None = None
    """A file, a glob, or a list of them; relative to the spec's folder. Null when a frame is given in Python."""

    format: Literal["csv", "tsv", "parquet", "arrow", "jsonl", "excel", "ts"] | None = None
    """Null reads it off the file's name and first bytes."""

    chunks: ChunksSpec | None = None
    """Read the files as plain text, some lines a row. Null reads tables."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Between the cells of a CSV file. Null finds it among comma, semicolon, tab and pipe."""

    encoding: Literal["utf-8", "latin-1"] | None = None
    """Of text files. Null tries UTF-8, then Latin-1, and says which."""

    media_dir: str | None = None
    """Folder that paths in cells start from and stay below, itself starting from the data file's folder. Null: that
    folder."""

    missing_values: list[str] = Field(default_factory=lambda: list(MISSING_MARKERS))
    """Cells that mean "no value", compared after trimming spaces. The usual list holds for free texts of CSV and Excel
    alone: other sources can leave a cell empty. A list of your own holds everywhere."""

    decimal_comma: bool | None = None
    """Whether ``1,5`` is one and a half. Null decides per column, from the cells."""

    primary_key: str | None = None
    """Column that names a row. Copied to predictions, never learnt from."""

    sample_weight: str | None = None
    """Column with each row's weight, >= 0, in losses and metrics. Never learnt from."""

    max_bad_rows: Share = 0.01
    """Share of rows that may be unreadable and skipped (and counted) before the run is refused."""

    drop_duplicates: bool = False
    """Drop rows that repeat an earlier row in every column. Off: they are counted and reported."""

    cases: CasesSpec = Field(default_factory=CasesSpec)
    """Which rows are one case together."""
