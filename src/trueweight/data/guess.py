"""What kind of column this is, judged on all of its cells, and why, in words.

Shape suffixes:
    N  rows    K  distinct texts
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import ReadOptions
from trueweight.data.guess_lists import guess_list, guess_numbers, guess_several, guess_several_targets, guess_steps
from trueweight.data.media import OUTSIDE, media_array
from trueweight.data.media_kinds import media_kind, why_gone
from trueweight.data.parse_dates import day_comes_first, read_dates
from trueweight.data.parse_numbers import EXACT, read_numbers, too_small
from trueweight.data.parse_texts import Texts, flat, is_text, read_texts
from trueweight.data.runs import runs_of_signs
from trueweight.data.settle import style_fields
from trueweight.errors import DataError
from trueweight.metrics.words import counted
from trueweight.registry import registry

__all__ = ["Guess", "guess_feature", "guess_series", "guess_target"]

_STRAYS = 0.01
"""Share of given cells that may be unreadable as what the others are."""

_TELLING = 20
"""Rows from which on "each is different" says something."""

_SAYING = 2.5
"""Mean words of a cell from which on different texts are free text rather than names."""

_UNIQUE = 4
"""The same where every text is another, as codes and names of people are."""

_UNSPACED = r"\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Thai}|\p{Lao}|\p{Khmer}|\p{Myanmar}"
"""Characters of scripts that put no spaces between words; about two make a word."""

_ID_WORDS = {
    "id", "ids", "nr", "no", "num", "number", "index", "idx", "key", "uuid", "guid", "row", "rowid", "rownames",
}  # fmt: skip
_SOME = 1000
"""Rows from everywhere that show whether a column may be one of numbers, or of dates."""

_READ = 5000
"""Cells whose words are counted."""

_CLASSES = 20
"""Most whole numbers that a target is taken to name classes by."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A column's type, with the reason."""

    type: str
    """Registered column type (or head, for targets)."""
    why: str
    """In plain words, without any cell's content."""
    spec: dict[str, Any] = field(default_factory=dict)
    """Fields of the type's spec that the cells decide, such as ``{"day_first": True}``."""


@dataclass(frozen=True, slots=True)
class _Look:
    """A column as the rules see it."""

    name: str
    raw: pa.Array
    options: ReadOptions
    texts: Texts
    given: int
    """Rows that have a value."""
    distinct: int
    """Different texts, or different numbers if that is what they are."""
    numbers: np.ndarray | None
    """Values of the rows that are given and readable, if the column is one of numbers."""
    strays: int
    """Given cells that are no number, in a column of numbers."""
    infinite: int = 0
    """Cells that are infinite, in a column with no finite number and nothing else."""

    def missing(self) -> int:
        return len(self.raw) - self.given


def _look(name: str, raw: pa.ChunkedArray | pa.Array, options: ReadOptions) -> _Look:
    array = flat(raw)
    values, strays, numeric = np.zeros(0), 0, _worth_reading(array, options)
    if numeric:
        cells = read_numbers(array, options)
        if cells.notes.get("infinite") and cells.missing_N.all() and "not a number" not in cells.notes:
            texts = Texts(np.zeros(0, np.int32), pa.array([], pa.string()))
            return _Look(name, array, options, texts, 0, 0, None, 0, cells.notes["infinite"])
        values, strays = cells.value_N[~cells.missing_N], cells.notes.get("not a number", 0)
        numeric = len(values) > 0 and (_few(strays, len(values) + strays) or _marked(array, values, strays, options))
    rounded = numeric and bool((np.abs(values) >= EXACT).any())
    if numeric and not strays and not rounded and len(np.unique(values[:1000])) > 2 and not is_text(array.type):
        texts = Texts(np.zeros(0, np.int32), pa.array([], pa.string()))  # typed numbers need no spelling
        return _Look(name, array, options, texts, len(values), len(np.unique(values)), values, 0)
    texts = read_texts(array, options)
    if numeric:
        # Identifiers of 19 digits are equal as float64 and different as they are written.
        distinct = len(texts.texts) - strays if rounded else len(np.unique(values))
        return _Look(name, array, options, texts, len(values) + strays, distinct, values, strays)
    return _Look(name, array, options, texts, int((texts.index_N >= 0).sum()), len(texts.texts), None, 0)


def _worth_reading(array: pa.Array, options: ReadOptions) -> bool:
    """Whether a thousand rows from everywhere hold numbers enough for the column to be one of numbers."""
    if pa.types.is_temporal(array.type) or pa.types.is_boolean(array.type) or not len(array):
        return False
    cells = read_numbers(array.take(_spread(len(array), _SOME)), options)
    readable = int((~cells.missing_N).sum())
    return readable >= cells.notes.get("not a number", 0)


def _spread(count: int, most: int) -> pa.Array:
    """So many places at most, from everywhere among ``count``."""
    return pa.array(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _marked(array: pa.Array, values: np.ndarray, strays: int, options: ReadOptions) -> bool:
    """Whether what is no number is a word or two for "missing" that nobody declared, like ``unknown``."""
    if not is_text(array.type) or strays > 0.5 * len(values) or len(np.unique(values)) < _CLASSES:
        return False
    words = read_texts(array, options).texts
    return int(np.isnan(read_numbers(words, options).value_N).sum()) <= 2


def _few(strays: int, given: int) -> bool:
    """Whether so few cells are unreadable that the rest decide: 1 %, or two of at least twenty."""
    return strays <= max(_STRAYS * given, 2 if given >= _TELLING else 0)


def guess_feature(name: str, raw: pa.ChunkedArray, options: ReadOptions) -> Guess:
    """The type of a column to learn from; "id" and "ignore" for those that are not worth it.

    Args:
        name: Of the column: one like ``claim_id`` speaks for an identifier.
        raw: All of its cells.
        options: Missing markers and decimal comma.
    """
    if _is_bytes(raw.type) and (found := _media(raw, options)):
        return Guess(*found)  # before their bytes are copied into one array
    array = flat(raw)
    # Bytes that are text by chance are made text when they are laid flat: files are looked for before.
    files = media_array(raw)
    media = (_media(files, options) if files is not None else None) or _media(array, options)
    unfit = guess_list(array, options) or media or _unreadable(array)
    if unfit:
        return Guess(*unfit)
    look = _look(name, array, options)
    rules = (_empty, _constant, _pair, _number, _date, _several, _text)
    for rule in rules:
        guess = rule(look)
        if guess:
            return guess
    raise AssertionError("the last rule takes every column")


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _media(array: pa.ChunkedArray | pa.Array, options: ReadOptions) -> tuple[str, str, dict[str, Any]] | None:
    kind = media_kind(array, options)
    if kind is None or kind not in registry("column"):
        return None
    what = {"image": "pictures", "audio": "sounds"}[kind]
    if is_text(array.type) and (gone := why_gone(array, options)):
        why = f"paths of {what}, but the files are not there: say where they start with data.media_dir"
        if gone == OUTSIDE:
            why = f"paths of {what} that lead out of the data's folder: name a folder that holds them, data.media_dir"
        return "ignore", why, {}
    return kind, f"cells {'name' if is_text(array.type) else 'are'} files of {what}", {}


def guess_series(name: str, raw: pa.ChunkedArray, options: ReadOptions) -> Guess:  # noqa: ARG001  # as guess_feature
    """The type of a column whose cells are lists because the rows of a case were put together."""
    return Guess(*guess_steps(flat(raw), options))


def _unreadable(array: pa.Array) -> tuple[str, str, dict[str, Any]] | None:
    kind = array.type
    if pa.types.is_struct(kind) or pa.types.is_map(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "ignore", f"cells of type {kind} are not supported yet, ignored", {}
    return None


def _empty(look: _Look) -> Guess | None:
    if look.given:
        return None
    if look.infinite:
        return Guess("ignore", f"all {look.infinite:,} values are infinite: nothing to learn")
    return Guess("ignore", "no values at all" if len(look.raw) else "no rows")


def _constant(look: _Look) -> Guess | None:
    if look.numbers is not None and not look.strays and too_small(look.numbers):
        return Guess("ignore", "numbers too small to be told from zero (below 2.2e-308): nothing to learn")
    if look.distinct > 1 or look.strays:
        return None
    if look.missing():
        return Guess("category", f"one value, given in {counted(look.given, 'row')} and missing in {look.missing():,}")
    return Guess("ignore", "constant: nothing to learn")


def _pair(look: _Look) -> Guess | None:
    if look.distinct != 2 or look.strays:
        return None
    return Guess("binary", "two distinct numbers" if look.numbers is not None else "two distinct texts")


def _number(look: _Look) -> Guess | None:
    if look.numbers is None:
        return None
    if _codes(look):
        kinds = len(look.texts.texts)
        if look.given >= _TELLING and kinds == look.given:
            return Guess("id", "codes with leading zeros, unique in every row: an identifier, not learnt from")
        return Guess("category", f"{kinds:,} distinct codes with leading zeros")
    whole = bool((look.numbers == np.round(look.numbers)).all())
    unique = look.given >= _TELLING and look.distinct == len(look.numbers) == len(look.raw)
    if whole and look.given >= _TELLING and _names_rows(look.name) and look.distinct >= 0.95 * look.given:
        rows = "every row" if unique else "nearly every row"
        return Guess("id", f"unique in {rows} and called like one: an identifier, not learnt from")
    why = f"all {look.given:,} values are numbers" if not look.strays else _mostly(look, "numbers", look.strays)
    if whole and unique and np.ptp(look.numbers) == len(look.numbers) - 1:
        why += "; they number the rows without a gap: if that is all they do, make the type 'id'"
    return Guess("number", why, _number_spec(look))


def _mostly(look: _Look, what: str, strays: int) -> str:
    return f"{look.given - strays:,} of {look.given:,} values are {what}; the other {strays:,} count as missing"


def _codes(look: _Look) -> bool:
    """Whether more than stray cells are digits with a zero in front, like 007."""
    if not is_text(look.raw.type):
        return False
    padded = np.asarray(pc.match_substring_regex(look.texts.texts, r"^0\d+$"))
    return int(look.texts.row_counts()[padded].sum()) > _STRAYS * look.given


def _names_rows(name: str) -> bool:
    """Whether a column's name says that it numbers rows: ``claim_id``, ``PassengerId``, ``Unnamed: 0``, ``#``."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    blank = not words or name.startswith(("Unnamed:", "column_"))
    return blank or words[-1].lower() in _ID_WORDS or words[0].lower() in {"uuid", "guid", "id"}


def _number_spec(look: _Look) -> dict[str, Any]:
    if not is_text(look.raw.type):
        return {}
    return style_fields(look.texts.texts, look.options)


def _date(look: _Look) -> Guess | None:
    kind = look.raw.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Guess("date", f"all {look.given:,} values are dates")
    if not is_text(kind) or look.numbers is not None:
        return None
    some = read_dates(look.raw.take(_spread(len(look.raw), _SOME)), look.options)
    if some.notes.get("not a date", 0) > int((~some.missing_N).sum()):
        return None  # reading long texts to the last one takes a while
    dates = read_dates(look.raw, look.options)
    strays = dates.notes.get("not a date", 0)
    if strays == look.given or not _few(strays, look.given):
        return None
    why = _mostly(look, "dates", strays) if strays else f"all {look.given:,} values are dates"
    if "second date format" in dates.notes:
        why += ", in more than one format"
    decided = day_comes_first(look.texts.texts)
    if decided is None and "day first assumed" in dates.notes:
        why += "; nothing tells day from month, so the day is taken to come first"
        decided = True
    return Guess("date", why, {} if decided is None else {"day_first": decided})


def _several(look: _Look) -> Guess | None:
    """Texts that hold several things each."""
    if not is_text(look.raw.type):
        return None
    found = guess_several(look.texts, look.raw, look.options)
    return Guess(*found) if found else None


def _several_targets(look: _Look) -> Guess | None:
    found = guess_several_targets(look.texts, look.raw, look.options) if is_text(look.raw.type) else None
    return Guess(*found) if found else None


def _text(look: _Look) -> Guess:
    if look.given >= _TELLING:
        words = _words(look.texts)
        if look.distinct == look.given and words < _UNIQUE:
            return Guess("id", "unique in every row: an identifier, not learnt from")
        if words >= _SAYING and look.distinct > 0.5 * look.given:
            return Guess("text", f"free text of about {words:.0f} words")
        if look.distinct > 0.5 * look.given:
            return Guess("ignore", f"{look.distinct:,} distinct texts in {look.given:,} rows: too varied to learn from")
    return Guess("category", f"{look.distinct:,} distinct text{'s' if look.distinct != 1 else ''}")


def _words(texts: Texts) -> float:
    """Mean words of a cell that is given, where there are many of a sample of them."""
    given = texts.index_N[texts.index_N >= 0]
    if not len(given):
        return 0.0
    some, counts = np.unique(given[np.asarray(_spread(len(given), _READ))], return_counts=True)
    read = texts.texts.take(pa.array(some))
    words = runs_of_signs(read).astype(np.float64)
    foreign = np.flatnonzero(~np.asarray(pc.string_is_ascii(read), bool))  # looking is slow, and most need no look
    words[foreign] += np.asarray(pc.count_substring_regex(read.take(pa.array(foreign)), _UNSPACED)) / 2
    return float(np.average(words, weights=counts))


def guess_target(name: str, raw: pa.ChunkedArray, options: ReadOptions) -> Guess:
    """The type of a column to predict.

    Two distinct values are binary; lists are vectors or sets; whole numbers that are few (at most 20, and at most one
    for twenty rows) and repeated texts are categories; other numbers are numbers; free text is text, to be written.

    Raises:
        DataError: Nothing can be learnt from these labels: none at all, all equal, or a name for each row.
    """
    where, array = f"targets.{name}", flat(raw)
    listed = guess_numbers(array, options) or guess_list(array, options)
    if listed and listed[0] in ("set", "vector"):
        return _for_head(Guess(*listed))
    if _unreadable(array):
        raise DataError(f"cells of type {array.type} cannot be a target", where=where, hint="name another column")
    look = _look(name, array, options)
    if look.infinite:
        problem = f"all {look.infinite:,} values of the target {name!r} are infinite"
        raise DataError(problem, where=where, hint="look for a division by zero where it was made")
    if not look.given:
        raise DataError(f"the target {name!r} has no values", where=where, hint="name a column that has labels")
    if look.numbers is not None and too_small(look.numbers):
        problem = f"the target {name!r} holds numbers too small to be told from zero (below 2.2e-308)"
        raise DataError(problem, where=where, hint="give it in a smaller unit, so that its numbers are larger")
    if look.distinct == 1 and not look.strays:
        hint = "a model needs at least two different labels to learn from"
        raise DataError(f"the target {name!r} is constant: every label is the same", where=where, hint=hint)
    guess = _pair(look) or _target_number(look) or _date(look) or _several_targets(look) or _text(look)
    if guess.type == "date":
        hint = "make it a number first, such as days since a fixed day"
        raise DataError(f"the target {name!r} holds dates, which cannot be predicted yet", where=where, hint=hint)
    if guess.type == "text":
        return Guess("text", f"{guess.why}, to be written")
    if guess.type in ("ignore", "id"):
        hint = f"name a column whose labels repeat, or say what it is: targets: {{{name}: {{type: category}}}}"
        problem = f"the target {name!r} has {look.distinct:,} distinct texts in {look.given:,} rows"
        raise DataError(problem, where=where, hint=hint)
    return _for_head(guess)


def _for_head(guess: Guess) -> Guess:
    """Without the fields that a column has and a head of the same name has not."""
    known = registry("head")[guess.type].model_fields  # type: ignore[attr-defined]  # heads are PartSpecs
    return replace(guess, spec={key: value for key, value in guess.spec.items() if key in known})


def _target_number(look: _Look) -> Guess | None:
    if look.numbers is None:
        return None
    whole = bool((look.numbers == np.round(look.numbers)).all())
    if whole and not look.strays and look.distinct <= min(_CLASSES, max(3, look.given / 20)) < look.given:
        return Guess("category", f"{look.distinct:,} distinct whole numbers in {look.given:,} rows: taken for classes")
    if _codes(look) and look.distinct <= 0.5 * look.given:
        return Guess("category", f"{look.distinct:,} distinct codes with leading zeros")
    if look.strays:
        return Guess("number", _mostly(look, "numbers", look.strays))
    return Guess("number", f"all {look.given:,} values are numbers")
