"""Golden rows: made-up rows with the model's answers, which every load must reproduce."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import numpy as np
import pyarrow as pa

from trueweight.bundle.format import ANSWERS, ROWS, TOLERANCES
from trueweight.bundle.tree import dtype_of
from trueweight.data.bpe import alphabet_of, vocabulary_from
from trueweight.data.reading import column_part
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.errors import TrainError, TrueweightError, VerifyError
from trueweight.files import canonical_json
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.model.protocols import FORCED, Predictor
from trueweight.seeds import stream

__all__ = ["Answer", "Golden", "GoldenResult", "check_golden", "make_golden"]

ROW_COUNT = 16
"""Golden rows, the one without any value included."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one target was answered, N rows."""

    scores: np.ndarray
    """(N, K) float64: probabilities or values."""
    columns: Mapping[str, list[Any]]
    """Output columns as plain JSON values."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows with answers."""

    table: Table
    answers: Mapping[str, Answer]
    """By target."""
    torch: str
    """Version that computed the answers."""
    real: bool = False
    """Whether the rows are people's data rather than made up."""

    def files(self) -> dict[str, bytes]:
        """``golden/…`` as bytes by path below the bundle."""
        answers = {name: {"scores": a.scores.tolist(), "columns": a.columns} for name, a in self.answers.items()}
        facts = {"torch": self.torch, "real": self.real, "targets": answers}
        return {ROWS: _lines(self.table), ANSWERS: canonical_json(facts).encode()}

    @classmethod
    def from_files(cls, rows: bytes, facts: Any) -> "Golden":
        """The inverse of :meth:`files`.

        Args:
            rows: Content of ``golden/rows.jsonl``.
            facts: Parsed ``golden/answers.json``.

        Raises:
            VerifyError: Not golden rows.
        """
        try:
            answers = {
                name: Answer(np.asarray(raw["scores"], dtype=np.float64), raw["columns"])
                for name, raw in facts["targets"].items()
            }
            return cls(_table(rows), answers, str(facts["torch"]), bool(facts["real"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VerifyError(f"golden rows cannot be read: {error!r}", where="golden") from None


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """How today's answers compare with the golden ones."""

    largest: Mapping[str, float]
    """Greatest difference by target: of probabilities, or in standard deviations of a number target."""
    allowed: Mapping[str, float]
    """What the tolerance table allows, by target."""
    problems: tuple[str, ...] = ()
    """What is wrong, in plain words; empty when all is well."""

    @property
    def ok(self) -> bool:
        """Whether every answer is within tolerance."""
        return not self.problems


def make_golden(predictor: Predictor, *, seed: int = 0, real: Table | None = None) -> Golden:
    """Draw golden rows and answer them.

    The rows are made up from the Signature unless ``real`` is given; one row has no value at all. Texts as targets are
    pinned down by how probable the model holds given ones, never by what it writes: where two tokens are nearly as
    likely, another machine's rounding would write another text.

    Args:
        predictor: The model to pin down.
        seed: The run's seed.
        real: Rows to draw from instead, because the spec asked for ``golden_rows: real``.

    Raises:
        TrainError: The model answers a golden row with something that is not a finite number.
    """
    drawn = _synthetic(predictor.signature, seed) if real is None else _sample(real, predictor.signature, seed)
    # Through JSON and back before answering: what is stored is exactly what was asked.
    table = _table(_lines(drawn))
    answers = {name: _answer(name, prediction) for name, prediction in predictor.predict(table, how=FORCED).items()}
    return Golden(table, answers, _torch_version(), real is not None)


def check_golden(predictor: Predictor, golden: Golden) -> GoldenResult:
    """Answer the golden rows again and compare, with the tolerances of ``format.py``."""
    try:
        fresh = predictor.predict(golden.table, how=FORCED)
    except TrueweightError as error:
        return GoldenResult({}, {}, (f"the golden rows cannot be answered: {error.problem}",))
    if set(fresh) != set(golden.answers):
        return GoldenResult({}, {}, (f"answers {sorted(fresh)} instead of {sorted(golden.answers)}",))
    dtype = dtype_of(predictor.state())
    largest, allowed, problems = {}, {}, []
    for name, stored in golden.answers.items():
        facts = predictor.signature.columns[name]
        kind = "text" if facts.type == "text" else "number" if "std" in facts.learnt else "probability"
        tolerance = TOLERANCES[kind, dtype]
        allowed[name] = tolerance.same_torch if golden.torch == _torch_version() else tolerance.elsewhere
        largest[name], problem = _compare(stored, fresh[name], _unit(facts, stored), allowed[name], name)
        problems += problem
    return GoldenResult(largest, allowed, tuple(problems))


def _unit(facts: ColumnFacts, stored: Answer) -> np.ndarray:
    """What a difference of 1 means, (N, K): 1 for probabilities, the sd of a number."""
    if "std" not in facts.learnt:
        return np.ones_like(stored.scores)
    unit = np.broadcast_to(np.asarray(facts.learnt["std"], dtype=np.float64), stored.scores.shape)
    if facts.learnt.get("transform", "none") != "none":
        # The sd is then that of log(1 + value); near an answer v, a step dz there is a step (1 + v) dz here.
        unit = unit * (1.0 + np.abs(stored.scores))
    return np.where(unit > 0, unit, 1.0)


def _compare(stored: Answer, fresh: Prediction, unit: np.ndarray, allowed: float, name: str) -> tuple[float, list[str]]:
    scores = _scores(fresh)
    if scores.shape != stored.scores.shape:
        return math.inf, [f"{name}: {scores.shape} answers instead of {stored.scores.shape}"]
    if not np.isfinite(scores).all():
        return math.inf, [f"{name}: an answer is not a finite number"]
    moved = np.abs(scores - stored.scores) / unit
    worst = float(moved.max(initial=0.0))
    problems = [f"{name}: answers differ by {worst:.2g}, allowed is {allowed:.2g}"] if worst > allowed else []
    columns = _columns(name, fresh)
    if set(columns) != set(stored.columns):
        return worst, [*problems, f"{name}: columns {list(columns)} instead of {list(stored.columns)}"]
    row_unit, row_moved = unit.max(1, initial=0.0), moved.max(1, initial=0.0)
    for key, values in columns.items():
        problems += _compare_column(key, (stored.columns[key], values), row_unit, row_moved, allowed)
    return worst, problems


def _compare_column(
    key: str, before_after: tuple[list[Any], list[Any]], unit_N: np.ndarray, moved_N: np.ndarray, allowed: float
) -> list[str]:
    stored, fresh = before_after
    before, after = _numbers(stored), _numbers(fresh)
    if before is not None and after is not None and before.shape == after.shape:
        worst = float((np.abs(after - before) / unit_N[:, None]).max(initial=0.0))
        return [f"{key}: differs by {worst:.2g}, allowed is {allowed:.2g}"] if worst > allowed else []
    flipped = [i for i, (a, b) in enumerate(zip(stored, fresh, strict=True)) if a != b]
    # A label may tip over where two classes tie, and only if rounding moved that very row.
    if len(flipped) > 1 or any(moved_N[i] == 0 for i in flipped):
        row = flipped[0]
        return [f"{key}: row {row} is answered {fresh[row]!r} instead of {stored[row]!r}"]
    return []


def _numbers(values: list[Any]) -> np.ndarray | None:
    """(N, D) float64, or None for labels."""
    try:
        found = np.asarray(values)
    except ValueError:  # lists of different lengths: sets
        return None
    if found.dtype.kind not in "iuf" or found.ndim not in (1, 2):
        return None
    return found.astype(np.float64).reshape(len(found), -1)


def _answer(name: str, prediction: Prediction) -> Answer:
    scores = _scores(prediction)
    if not np.isfinite(scores).all():
        hint = "lower train.optimizer.learning_rate, or look for extreme values among the training rows"
        raise TrainError(f"the model answers {name!r} with a number that is not finite", where="golden", hint=hint)
    return Answer(scores, _columns(name, prediction))


def _scores(prediction: Prediction) -> np.ndarray:
    """(N, K) float64: what is compared. Of texts whose truth was scored, the mean log probability of its tokens."""
    scores = np.asarray(prediction.scores(), dtype=np.float64)
    if isinstance(prediction, TextPrediction) and prediction.truth_tokens_N is not None:
        return np.asarray(scores / np.maximum(prediction.truth_tokens_N, 1)[:, None])
    return scores


def _columns(name: str, prediction: Prediction) -> dict[str, list[Any]]:
    """What is compared beside scores: nothing that was written token by token, see :func:`make_golden`."""
    if isinstance(prediction, TextPrediction) and prediction.truth_logp_N is not None:
        return {}
    return {key: _plain_list(values) for key, values in prediction.columns(name).items()}


def _plain_list(values: np.ndarray) -> list[Any]:
    return [_plain(value) for value in values.tolist()]


def _synthetic(signature: Signature, seed: int) -> Table:
    columns: dict[str, list[Any]] = {}
    for number, facts in enumerate(signature.features()):
        rng = stream(seed, "golden", number)
        part: Any = column_part(facts)
        drawn = part.synthetic(facts.learnt, rng, ROW_COUNT - 1)
        columns[facts.name] = [*map(_plain, drawn.to_pylist()), None]
    for number, facts in enumerate(_written(signature)):
        columns[facts.name] = [*_texts(facts, stream(seed, "golden texts", number)), None]
    return _from_lists(columns) if columns else _numbered(signature)


def _written(signature: Signature) -> list[ColumnFacts]:
    """Targets that are texts."""
    return [facts for facts in signature.targets() if facts.type == "text"]


def _texts(facts: ColumnFacts, rng: np.random.Generator) -> list[str]:
    """Tokens in a row that means nothing; each is in many training rows, or a letter of ASCII."""
    alphabet = alphabet_of(vocabulary_from(facts.learnt["merges"]))
    pieces = [piece for piece in map(_spelt, alphabet) if piece is not None]
    most = max(1, min(_TOKENS, int(facts.learnt["max_tokens"])))
    lengths = rng.integers(1, most + 1, ROW_COUNT - 1)
    return ["".join(pieces[place] for place in rng.integers(0, len(pieces), length)) for length in lengths]


def _spelt(piece: bytes) -> str | None:
    """A token as text, if it is one by itself that a line of JSON shows as it is."""
    try:
        text = piece.decode()
    except UnicodeDecodeError:  # a part of a character
        return None
    return text if text and text.isprintable() else None


_TOKENS = 24
"""Most tokens of a made-up text."""


def _numbered(signature: Signature) -> Table:
    """Rows for a model that reads no column: something must say how many there are."""
    name = "row"
    while name in signature.columns:
        name += "_"
    return Table.of({name: list(range(ROW_COUNT))})


def _sample(table: Table, signature: Signature, seed: int) -> Table:
    asked = [*signature.features(), *_written(signature)]
    names = [facts.name for facts in asked if facts.name in table.names]
    if not names:
        return _numbered(signature)
    count = min(len(table), ROW_COUNT - 1)
    rows = np.sort(stream(seed, "golden").choice(len(table), count, replace=False))
    chosen = table.select(names).take(pa.array(rows, pa.int64())).data.to_pydict()
    return _from_lists({name: [*map(_plain, values), None] for name, values in chosen.items()})


def _plain(value: Any) -> Any:
    """A cell as JSON can hold it. What it cannot hold is missing; moments become ISO 8601."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return None if isinstance(value, bytes) else str(value)


def _lines(table: Table) -> bytes:
    rows = [{key: _plain(value) for key, value in row.items()} for row in table.data.to_pylist()]
    text = [json.dumps(row, sort_keys=True, ensure_ascii=False, allow_nan=False) for row in rows]
    return ("\n".join(text) + "\n").encode()


def _table(lines: bytes) -> Table:
    rows = [json.loads(line) for line in lines.decode().removesuffix("\n").split("\n")]
    names = sorted({name for row in rows for name in row})
    return _from_lists({name: [row.get(name) for row in rows] for name in names})


def _from_lists(columns: Mapping[str, list[Any]]) -> Table:
    return Table(pa.table({name: _array(values) for name, values in columns.items()}))


def _array(values: list[Any]) -> pa.Array:
    try:
        found = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return found.cast(pa.string()) if pa.types.is_null(found.type) else found


def _torch_version() -> str:
    import torch

    return str(torch.__version__)
