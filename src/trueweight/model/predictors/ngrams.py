"""The baseline of language models: how often bytes follow each other.

Shape suffixes:
    N  rows    G  n-grams
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueweight.data.bpe import alphabet_of, tokens_of, vocabulary_from
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.model.kneser_ney import ORDER, KneserNey
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.predictors.copied import texts_as_target
from trueweight.model.protocols import GREEDY, Decoding, Predictor, State, Way

__all__ = ["NgramPredictor"]

MOST_BYTES = 256
"""That are written, unless asked otherwise."""


@dataclass(frozen=True)
class NgramPredictor:
    """A leaf that reads no column. Texts are scored over the very bytes that the model scores, so that both can be
    compared where long texts are cut; perplexity is told for a token of the model's own. Other targets get the constant
    answer.

    Its state holds every run of five bytes of the training texts, from which they could be put together again: bundles
    keep it only where they may hold real rows.
    """

    signature: Signature
    models: Mapping[str, KneserNey]
    """By target."""

    @classmethod
    def of(cls, signature: Signature, table: Table) -> "NgramPredictor":
        """Counted on these rows."""
        written = [facts for facts in signature.targets() if facts.type == "text"]
        texts = {facts.name: [t for t in texts_as_target(table, facts, signature) if t] for facts in written}
        return cls(signature, {name: KneserNey.fit(some or [""]) for name, some in texts.items()})

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:  # noqa: ARG002
        """How probable the true texts are, or what follows what the target's column holds."""
        found = dict(ConstantPredictor(self.signature).predict(table))
        for name, model in self.models.items():
            facts = self.signature.columns[name]
            if how.forced:
                found[name] = _scored(model, table, facts, self.signature)
            else:
                found[name] = _written(model, texts_as_target(table, facts, self.signature), how)
        return found

    def with_runtime(self, way: Way) -> "NgramPredictor":  # noqa: ARG002  # there is nothing to run
        """Itself."""
        return self

    def members(self) -> Sequence[Predictor]:
        """None: a leaf."""
        return ()

    def state(self) -> State:
        """Counts of the longest n-grams: shorter ones follow."""
        import torch

        tensors: dict[str, Any] = {}
        for place, model in enumerate(self.models.values()):
            gram_G, count_G = model.counts
            tensors[f"{place}.gram"] = torch.from_numpy(gram_G.astype(np.int64))
            tensors[f"{place}.count"] = torch.from_numpy(count_G.astype(np.int64))
        return State("n_gram", {"order": ORDER, "targets": list(self.models)}, tensors)

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "NgramPredictor":
        """The inverse of :meth:`state`.

        Raises:
            VerifyError: Counts that do not fit together.
        """
        try:
            order, models = int(state.facts["order"]), {}
            for place, name in enumerate(state.facts["targets"]):
                gram_G, count_G = (state.tensors[f"{place}.{what}"].numpy() for what in ("gram", "count"))
                models[str(name)] = KneserNey.of_counts(gram_G.astype(np.uint64), count_G, order)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise VerifyError(f"the counts of n-grams cannot be read: {error!r}", where="facts.json") from None
        return cls(signature, models)


def _scored(model: KneserNey, table: Table, facts: ColumnFacts, signature: Signature) -> TextPrediction:
    merges = vocabulary_from(facts.learnt["merges"])
    most, alphabet = int(facts.learnt["max_tokens"]), alphabet_of(merges)
    texts = texts_as_target(table, facts, signature)
    token = tokens_of(texts, merges)
    whole_N = token.lengths <= most
    cut = [b"".join(alphabet[number] for number in token.row(n)[:most, 0]) for n in range(len(texts))]
    bytes_N = np.array([len(some) for some in cut], np.int64)
    blank, zero_N = np.array([*[""] * len(texts), None], dtype=object)[:-1], np.zeros(len(texts))
    return TextPrediction(
        blank, zero_N, zero_N.astype(np.int64), model.logp(cut, whole_N), np.minimum(token.lengths, most) + whole_N,
        truth_bytes_N=bytes_N, written=False,
    )  # fmt: skip


def _written(model: KneserNey, prompts: Sequence[str], how: Decoding) -> TextPrediction:
    most = how.max_steps or MOST_BYTES
    found: dict[str, str] = {}
    for prompt in prompts:
        if prompt not in found:
            found[prompt] = model.written(prompt.encode(), most).decode(errors="replace")
    text_N = np.array([*(found[prompt] for prompt in prompts), None], dtype=object)[:-1]
    return TextPrediction(text_N, np.zeros(len(text_N)), np.zeros(len(text_N), np.int64))
