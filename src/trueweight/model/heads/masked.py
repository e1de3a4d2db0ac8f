"""A target that is a text some of whose tokens are hidden: what an encoder learns a language from.

Shape suffixes:
    N  rows
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from trueweight.data.cells import Cells, ReadOptions
from trueweight.data.column import FieldArrays, Sense
from trueweight.data.field import Layout
from trueweight.data.sample import BottomK
from trueweight.data.spelling import Spelling
from trueweight.errors import SpecError
from trueweight.metrics.masked_prediction import MaskedPrediction
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.truth import Truth
from trueweight.model.encoders.transformer import TransformerEncoder
from trueweight.model.heads.text import TextHead
from trueweight.recipes.tables import METRICS
from trueweight.spec.base import EncoderPart, PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.model.protocols import Head, Solving
    from trueweight.nn.encoding import Form

__all__ = ["MaskedHead"]


class MaskedHead(PartSpec):
    """Guesses hidden tokens of a text from those around them. It needs no labels and no features: what it is for is its
    encoder, which another model can ``start_from``.

    Of each text 30 % of the tokens are hidden: of these, 80 % are replaced by a mask, 10 % by any other token, and 10 %
    are left. Facts learnt: those of ``text``, and "shares", the probability of each token wherever it stands.

    Sources: Devlin et al. 2018, "BERT: pre-training of deep bidirectional transformers for language understanding",
    arXiv:1810.04805, section 3.1; for more than its 15 %, Wettig et al. 2022, "Should you mask 15% in masked language
    modeling?", arXiv:2202.08005.

    Example:
        ``note: {type: masked, encoder: {type: transformer, width: 128, layers: 4}}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {"share": [0.15, 0.3, 0.4], "vocabulary_size": [512, 2048, 8192]}

    type: Literal["masked"] = "masked"
    """Name of this part."""

    encoder: EncoderPart = Field(default_factory=lambda: TransformerEncoder(input_norm=False))
    """What reads the text with its gaps: one that gives every token back, so without pooling."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Of the tokens of each text that are hidden; at least one is."""

    vocabulary_size: Annotated[int, Field(ge=258, le=2**17)] | None = None
    """Most tokens. Null: four times the root of the characters there are, from 512 to 16,384."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens after which a text is cut off. Null: as many as 99 % of training rows have, at most 512."""

    loss_weight: Annotated[float, Field(ge=0)] = 1.0
    """Share of this target in the summed loss of all."""

    def _texts(self) -> TextHead:
        """What reads, learns and encodes texts in the same way."""
        return TextHead(vocabulary_size=self.vocabulary_size, max_tokens=self.max_tokens)

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> Cells:
        """Interpret raw cells as texts, letters as they are."""
        return self._texts().read(raw, options)

    def learn(
        self, cells: Cells, rows: np.ndarray, sample: BottomK, *, name: str, weight_N: np.ndarray | None = None,
        spelling: Spelling | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """See the class. With a ``spelling``, tokens are those of an older model and are not learnt.

        Raises:
            DataError: No row has a text.
        """
        facts = self._texts().learn(cells, rows, sample, name=name, weight_N=weight_N, spelling=spelling)
        known = self._encoded(cells, facts)
        count_V = np.ones(_tokens(facts))  # one more of each than there are: none is impossible
        for row in sample.rows:
            np.add.at(count_V, known[row], 1)
        return {**facts, "shares": (count_V / count_V.sum()).tolist()}

    def encode(self, cells: Cells, learnt: Mapping[str, Any]) -> FieldArrays:
        """ "token", ragged; "present"."""
        arrays = dict(self._texts().encode(cells, learnt))
        del arrays["whole"]
        return arrays

    def prompts(self, cells: Cells, learnt: Mapping[str, Any]) -> FieldArrays:
        """The texts whose gaps are to be filled."""
        return self.encode(cells, learnt)

    def _encoded(self, cells: Cells, learnt: Mapping[str, Any]) -> np.ndarray:
        """Tokens of each row, (N,) object."""
        ragged: Any = self._texts().encode(cells, learnt)["token"]
        found = np.empty(len(ragged), dtype=object)
        for row in range(len(ragged)):
            found[row] = ragged.value_MC[ragged.start_N1[row] : ragged.start_N1[row + 1], 0]
        return found

    def truth(self, cells: Cells, learnt: Mapping[str, Any]) -> Truth:
        """Tokens of each text, as far as they are read."""
        return Truth(self._encoded(cells, learnt), ~cells.missing_N)

    def build(self, form: "Form", learnt: Mapping[str, Any]) -> "Head":  # noqa: ARG002
        """The encoder with its loss. What features there are for other targets is not looked at.

        Raises:
            SpecError: The encoder does not give back every token.
        """
        from trueweight.nn.masked import Masked

        return Masked(
            self._encoder(learnt), share=self.share, usual_tokens=learnt["tokens"] - 1, shares=learnt["shares"],
            reader=_read,
        )  # fmt: skip

    def _encoder(self, learnt: Mapping[str, Any]) -> "nn.Module":
        sense = Sense(ragged=True, vocabulary=_tokens(learnt), length=learnt["max_tokens"])
        encoder: Any = self.encoder
        module: Any = encoder.build(Layout({"token": 1}, senses={"token": sense}))
        if module.form.grid_rank != 1 or module.form.members > 1 or not _gives_every_token(module):
            hint = "use a transformer with pooling: none"
            problem = f"encoder {encoder.type!r} as asked for does not give back every token of a text, and gaps are"
            raise SpecError(f"{problem} guessed from those", where="targets.encoder", hint=hint)
        found: nn.Module = module
        return found

    def build_solving(self, form: "Form", learnt: Mapping[str, Any]) -> "Solving":  # noqa: ARG002
        """Refused.

        Raises:
            SpecError: Always.
        """
        hint = "use fitter: gradient"
        raise SpecError("a masked text cannot be solved for", where="model.members.fitter", hint=hint)

    def constant(self, learnt: Mapping[str, Any], n: int) -> Prediction:
        """The most frequent token in every gap."""
        zero = np.zeros(n, np.int64)
        return MaskedPrediction(np.array([""] * n, dtype=object), zero, zero, np.zeros(n), np.array(learnt["shares"]))

    def metrics(self, learnt: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Default metrics."""
        return list(METRICS[self.type])

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``texts of about 34 characters, 2,113 tokens, 30 % of them hidden``."""
        return f"{self._texts().summary(learnt)}, {self.share:.0%} of them hidden"


def _tokens(learnt: Mapping[str, Any]) -> int:
    from trueweight.data.bpe import vocabulary_from

    return Spelling(vocabulary_from(learnt["merges"]), False, False).tokens


def _gives_every_token(module: Any) -> bool:
    """By trying: what an encoder does with a text's length is its own business. Also, there must be one table."""
    import torch

    from trueweight.nn.stems import TokenStem

    stems = [inner for inner in module.modules() if isinstance(inner, TokenStem)]
    if len(stems) != 1:
        return False
    training = module.training
    with torch.no_grad():
        z = module.eval()({"token": torch.full((1, 7, 1), 2), "token.length": torch.tensor([7])})
    module.train(training)
    return bool(z.tokens_BLD.shape[1] == 7)


def _read(out: Mapping[str, Any], facts: Mapping[str, Any]) -> Prediction:
    from trueweight.data.bpe import texts_of, vocabulary_from

    merges = vocabulary_from(facts["merges"])
    rows = [tokens[:length].tolist() for tokens, length in zip(out["token"], out["length"], strict=True)]
    texts = texts_of(rows, merges) if rows else []
    return MaskedPrediction(np.array([*texts, None], dtype=object)[:-1], out["hidden"], out["right"], out["logp"])
