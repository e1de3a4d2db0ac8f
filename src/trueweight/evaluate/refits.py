"""The linear model again, on parts of the training rows: what a check may afford, and what it then answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from trueweight.metrics.prediction import Prediction
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.progress import listen
from trueweight.seeds import row_hashes, stream_seed
from trueweight.train.build import refit_linear
from trueweight.train.encoded import Encoded, encode
from trueweight.train.prepare import Prepared

__all__ = ["Refits", "affordable", "unsolved"]

MOST = 400_000
"""Most training rows times columns of the linear model times outputs, without being asked for more: about a second for
all parts."""

FOLDS = 5
"""Parts of the training rows, each answered by models of the others."""

_TEXTS = ("masked", "text")
"""Targets that no linear model answers."""

_SENSES = ("text", "image", "audio", "timeseries", "vector", "set")


def unsolved(ready: Prepared) -> str | None:
    """Why there is no linear model to fit again; None if there is one."""
    texts = [facts.name for facts in ready.signature.targets() if facts.type in _TEXTS]
    return f"the tokens of {texts[0]!r} are not solved for: there is no linear model to fit again" if texts else None


def affordable(ready: Prepared) -> str | None:
    """Why the linear model is not fitted again without being asked; None if it may be."""
    senses = [facts.name for facts in ready.signature.features() if facts.type in _SENSES]
    if senses:
        return f"columns such as {senses[0]!r} would take long: ask for it by evaluate.learning_curve"
    width = sum(_width(facts.learnt.get("levels")) for facts in ready.signature.features())
    outputs = sum(_width(facts.learnt.get("classes")) for facts in ready.signature.targets())
    if len(ready.split.train) * width * outputs > MOST:
        return f"{len(ready.split.train):,} training rows would take long: ask for it by evaluate.learning_curve"
    return None


def _width(levels: Sequence[str] | None) -> int:
    return len(levels) if levels else 1


@dataclass(slots=True)
class Refits:
    """Linear models of parts of a run's training rows, each fitted once."""

    ready: Prepared
    encoded: Encoded
    order: np.ndarray
    """Training rows by their hashes."""
    _known: dict[tuple[int, int], NetworkPredictor] = field(default_factory=dict)

    @classmethod
    def of(cls, ready: Prepared) -> "Refits":
        """Nothing fitted yet."""
        train = ready.split.train
        hashes = row_hashes(stream_seed(ready.spec.seed, "parts of training rows"), train)
        return cls(ready, encode(ready, keep=False), train[np.argsort(hashes, kind="stable")])

    def answers(self, start: int, count: int, asked: np.ndarray) -> Mapping[str, Prediction]:
        """What the linear model of so many training rows answers about other cases.

        Args:
            start: Where the part begins, in the order of hashes; it may go round.
            count: Rows of the part.
            asked: Case numbers.
        """
        start %= len(self.order)
        if (start, count) not in self._known:
            rows = np.sort(np.roll(self.order, -start)[:count])
            with listen(lambda _: None):
                self._known[start, count] = refit_linear(self.ready, self.encoded, rows)
        return self._known[start, count].predict_feed(self.encoded.feed(asked))

    def cross_fitted(self) -> tuple[np.ndarray, list[Mapping[str, Prediction]]]:
        """Training rows in parts, and answers about each part by the linear model of all other parts."""
        cuts = np.linspace(0, len(self.order), FOLDS + 1).astype(int).tolist()
        answers = []
        for start, end in pairwise(cuts):
            others = len(self.order) - (end - start)
            answers.append(self.answers(end, others, self.order[start:end]))
        return self.order, answers
