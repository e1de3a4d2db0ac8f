"""What is to be explained: rows, one number of each row's answer, and the rows that stand for "as usual".

Shape suffixes:
    N  rows    K  numbers of an answer
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.evaluate.mosaic import Again, predicted
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth
from trueweight.model.protocols import Predictor

__all__ = ["Asked", "Output", "outputs_of"]


@dataclass(frozen=True, slots=True)
class Output:
    """Which number of a row's answer is explained."""

    index: int
    """Column of ``Prediction.scores()``."""
    name: str
    """The class or label, or ""."""
    sign: float
    """1, or -1 where the answer is the other of two classes: parts that speak for it lower the number."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One target of some rows."""

    predictor: Predictor
    target: str
    table: Table
    """All rows of the source; others than those explained lend their cells."""
    rows: np.ndarray
    """Numbers of those that are explained and checked, (N,)."""
    shown: np.ndarray
    """bool (N,): those that somebody wants to see; the others are for the checks."""
    outputs: tuple[Output, ...]
    """One for each row."""
    background: np.ndarray
    """Numbers of the rows whose cells stand for "as usual", (B,)."""
    seed: int
    truth: Truth | None = None
    """Of all rows of the table, where it has the target."""
    metrics: tuple[str, ...] = ()
    """That the spec asks for."""
    keep: frozenset[str] = frozenset()
    """Columns that nobody can change."""
    kept: Table | None = None
    """Rows that the bundle may keep."""

    @property
    def signature(self) -> Signature:
        """What the data taught."""
        return self.predictor.signature

    @property
    def columns(self) -> list[str]:
        """That the model reads and the table has."""
        return [facts.name for facts in self.signature.features() if facts.name in self.table.names]

    def scores(
        self, tables: Iterable[tuple[int, Table]] | Again, predictor: Predictor | None = None
    ) -> Iterator[np.ndarray]:
        """The number explained, for every row of many small tables, asked for together.

        Args:
            tables: Each with the position within ``rows`` of the row whose output is asked for; or one table for each
                of ``rows``, which other predictors are asked about too.
            predictor: Another one than ours, e.g. with other weights.
        """
        places: list[int] = []

        def only(pairs: Iterable[tuple[int, Table]]) -> Iterator[Table]:
            for place, table in pairs:
                places.append(place)
                yield table

        if isinstance(tables, Again):
            places += range(len(self.rows))
        answers = predicted(predictor or self.predictor, tables if isinstance(tables, Again) else only(tables))
        for number, found in enumerate(answers):
            yield np.asarray(found[self.target].scores()[:, self.outputs[places[number]].index])

    def answers(self, predictor: Predictor | None = None, table: Table | None = None) -> np.ndarray:
        """The number explained of each row as it is, (N,).

        Args:
            predictor: Another one than ours.
            table: The rows, where several predictors are asked about them: what was decoded of it is decoded once.
        """
        table = self.table.take(self.rows) if table is None else table
        found = (predictor or self.predictor).predict(table)[self.target].scores()
        return np.asarray(found[np.arange(len(self.rows)), [output.index for output in self.outputs]])

    def about(self, output: Output) -> "Asked":
        """The same with one output in all rows."""
        return replace(self, outputs=(output,) * max(1, len(self.rows)))

    def with_rows(self, count: int) -> "Asked":
        """The first so many rows only, those shown before others."""
        order = np.argsort(~self.shown, kind="stable")[:count]
        outputs = tuple(self.outputs[i] for i in order)
        return replace(self, rows=self.rows[order], shown=self.shown[order], outputs=outputs)


def outputs_of(prediction: Prediction) -> tuple[Output, ...] | str:
    """What is explained of each row: of classes the probability of the answer (of two classes that of the positive
    one), of sets that of the likeliest label, of numbers the number; or why there is nothing."""
    match prediction:
        case ClassPrediction(binary=True):
            name = prediction.classes[1]
            return tuple(Output(1, name, 1.0 if yes else -1.0) for yes in prediction.answer_N())
        case ClassPrediction():
            return tuple(Output(int(i), prediction.classes[i], 1.0) for i in prediction.answer_N())
        case SetPrediction():
            return tuple(Output(int(i), prediction.labels[i], 1.0) for i in prediction.probability_NC.argmax(1))
        case NumberPrediction():
            return (Output(0, "", 0.0),) * len(prediction)
        case TextPrediction():
            return "a text has no one number whose parts could be told"
    return "a vector has no one number whose parts could be told"
