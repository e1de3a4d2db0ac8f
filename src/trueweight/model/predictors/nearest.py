"""The baseline that answers with the text of the training row whose own texts are most alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trueweight.data.cells import TextCells
from trueweight.data.reading import cells_of
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.prediction import Prediction
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.predictors.copied import answered, texts_as_target
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way
from trueweight.model.text_index import TextIndex

__all__ = ["NearestPredictor"]


@dataclass(frozen=True)
class NearestPredictor:
    """A leaf that remembers rows. Other targets than texts get the constant answer, and so do rows that share nothing
    with any it remembers.

    Its state holds the texts of rows, so bundles keep it only where they may hold real rows.
    """

    signature: Signature
    sources: tuple[str, ...]
    """Texts of the features, one of each remembered row."""
    answers: Mapping[str, tuple[str, ...]]
    """By target, of the same rows."""
    index: TextIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", TextIndex.of(self.sources))

    @classmethod
    def of(cls, signature: Signature, table: Table) -> "NearestPredictor":
        """One that remembers these rows, those whose texts are all missing left out."""
        written = [facts for facts in signature.targets() if facts.type == "text"]
        found = {facts.name: texts_as_target(table, facts, signature) for facts in written}
        sources = _sources(table, signature)
        kept = [n for n in range(len(table)) if any(texts[n] for texts in found.values())]
        answers = {name: tuple(texts[n] for n in kept) for name, texts in found.items()}
        return cls(signature, tuple(sources[n] for n in kept), answers)

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:  # noqa: ARG002
        """Texts of the nearest rows."""
        found = dict(ConstantPredictor(self.signature).predict(table))
        nearest = self.index.nearest(_sources(table, self.signature)).tolist()
        for name, texts in self.answers.items():
            usual = str(self.signature.columns[name].learnt["usual"])
            found[name] = answered([usual if place < 0 else texts[place] for place in nearest])
        return found

    def with_runtime(self, way: Way) -> "NearestPredictor":  # noqa: ARG002  # there is nothing to run
        """Itself."""
        return self

    def members(self) -> Sequence[Predictor]:
        """None: a leaf."""
        return ()

    def state(self) -> State:
        """The texts; what they are found by follows from them."""
        answers = {name: list(texts) for name, texts in self.answers.items()}
        return State("nearest_neighbour", {"sources": list(self.sources), "answers": answers})

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "NearestPredictor":
        """The inverse of :meth:`state`.

        Raises:
            VerifyError: Texts that do not belong together.
        """
        facts: Mapping[str, Any] = state.facts
        try:
            sources = tuple(map(str, facts["sources"]))
            answers = {str(name): tuple(map(str, texts)) for name, texts in facts["answers"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise VerifyError(f"the remembered texts cannot be read: {error!r}", where="facts.json") from None
        if any(len(texts) != len(sources) for texts in answers.values()):
            raise VerifyError("remembered questions and answers are not equally many", where="facts.json")
        return cls(signature, sources, answers)


def _sources(table: Table, signature: Signature) -> list[str]:
    """All text features of each row, one line each."""
    read = [facts for facts in signature.features() if facts.type == "text"]
    cells = [cells_of(table, facts, signature.options) for facts in read]
    columns = [[text or "" for text in one.text_N.to_pylist()] for one in cells if isinstance(one, TextCells)]
    return ["\n".join(texts) for texts in zip(*columns, strict=True)] if columns else [""] * len(table)
