"""The recipe for texts as targets: what reads where something is to be written, and how writing is learnt.

A decoder attends to what was read token by token, so nothing is pooled, several networks in one are none, and what
helps to tell classes (n-grams, means of word vectors) says too little. Speech has a recipe of its own in ``speech``.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, cast

from trueweight.recipes.facts import Facts
from trueweight.recipes.recipe import SenseRecipe
from trueweight.spec.base import PartSpec
from trueweight.spec.run import RunSpec

__all__ = [
    "BEAMS", "COPIED", "FUSION", "HURRIED", "LABEL_SMOOTHING", "MUON", "PAIR_TOKENS", "RATE", "READ", "READ_IN_TURN",
    "SELDOM", "SELDOM_READ", "SENTENCE", "SMALL", "STEP_ROWS", "STEP_TOKENS", "UNDROPPED", "for_writing", "fusion_for",
    "optimizer_for", "step_rows", "with_beams", "with_letters", "with_quick_decoder", "with_smoothing", "writes",
]  # fmt: skip

HURRIED = 100.0
"""Rows for each second of the budget from which on networks are small: what counts is the number of steps."""

SELDOM = 8000.0
"""Letters, read and written, for each second of the budget from which on transformers drop nothing: texts are then seen
up to about ten times on two laptop cores. Titles of clothing reviews, bits per byte of 1,500 test texts, one seed,
nothing dropped and a tenth: after 600 steps, one pass, 1.464 and 1.482; after 1,400, 1.399 and 1.410; with 5,000 rows
to learn from, after 1,100 steps, seven passes, 1.605 and 1.609. Steps took four fifths of the time: links that are
dropped have to be made."""

READ = SenseRecipe(
    # A deep encoder and a shallow decoder: Kasai et al. 2020, arXiv:2006.10369, where moving layers from the decoder to
    # the encoder cost no quality. Three layers of width 128 instead of their twelve of 512, for laptop cores.
    encoder=[{"type": "transformer", "width": 128, "layers": 3}],
    quick=[{"type": "transformer", "width": 64, "layers": 2, "dropout": 0.0}],
    hurried=HURRIED,
)

READ_IN_TURN = SenseRecipe(
    # Read in both directions for a decoder that is recurrent itself: Bahdanau, Cho and Bengio 2014, arXiv:1409.0473,
    # section 3.2. In 150 s of about half a core this wrote 95.8 % of test sums of two three-digit numbers exactly, and
    # in 80 s 99.8 % of test dates. One seed each.
    encoder=[{"type": "lstm", "hidden_size": 128, "bidirectional": True}],
    quick=[{"type": "lstm", "hidden_size": 64, "bidirectional": True}],
    hurried=HURRIED,
)

SELDOM_READ: Mapping[str, Any] = {"dropout": 0.0, "layers": 2}
"""Options of encoders where texts are seen seldom. A third layer made nothing better: summary lines of docstrings of
Python packages (30,000, of 540 letters each), after 2,000 steps of 32 rows, one seed, bits per byte of 1,000 others
were 1.160 with two layers and 1.164 with three, ROUGE-L 0.274 and 0.275; titles of clothing reviews, after 800 steps,
1.433 and 1.430, ROUGE-L 0.142 and 0.141, in 0.87 of the time."""

SMALL: Mapping[str, Mapping[str, Any]] = {
    "transformer": {"width": 64, "dropout": 0.0},
    "lstm": {"dropout": 0.0},
}
"""Options of decoders where there is little time for each row."""

UNDROPPED: Mapping[str, Mapping[str, Any]] = {"transformer": {"dropout": 0.0}}
"""Options of decoders where no text is seen so often that it would be learnt by heart."""

RATE = 1e-3
"""Of other transformers that write, by AdamW. On sums of two three-digit numbers, 130 to 150 s of about
half a core, one seed, 98.4 % of test rows were exact with 1e-3 (2,641 steps), 22 % with 2e-3 (1,317), none with 4e-3
(1,117)."""

MUON: Mapping[str, Any] = {"type": "muon", "layers": "all", "learning_rate": 0.02, "other_learning_rate": 4e-3}
"""Moves transformers that write, and read nothing but texts, where there is time; the layers of the decoder too. On
clothing reviews, one seed, bits per byte of 600 test texts: after 150 steps a language model had 1.489 by it, 1.552 by
AdamW at 4e-3, 1.577 at 3e-3 and 1.726 at 1e-3. Titles of reviews after 400 steps: 1.549 by it, 1.604 where only what
reads was moved by it, and 1.669 by AdamW at 1e-3, which had 1.631 after 500 steps and 1.489 after 1,400. Twice these
rates, and 0.012 for the rest, were worse where only what reads was moved by it. Its own work was 3 % of those steps."""

STEP_TOKENS, PAIR_TOKENS, STEP_ROWS = 4096, 8192, 64
"""Most tokens of a step that writes texts, of what is read and written in one that reads texts to write them, and most
rows. The first is a choice, like nanoGPT's few thousand tokens for small machines. The second: steps of twice as many
tokens saw as many rows in less time, and had a higher ROUGE-L and bits per byte that were no better. Titles of clothing
reviews, 25,600 rows, one seed, in 400 steps of 64 and 800 of 32: two layers that read 0.146 and 0.142, bits 1.434 and
1.433; three 0.153 and 0.141, 1.435 and 1.430; summary lines of docstrings, 64,000 rows, three layers: 0.286 and 0.275,
1.172 and 1.164. LSTMs were not compared so: on sums, one took 748 steps of 256 rows in 70 s and 3,645 of 64 in 150 s,
on about half a core, and only the second learnt them."""

FUSION: Mapping[str, Any] = {"type": "transformer"}
"""Joins the tokens of several columns, where concat would pool them. One column alone passes concat as it is."""

BEAMS, SENTENCE = 4, 24.0
"""Texts that are followed side by side where sentences are written from texts, of so many letters and more: Vaswani et
al. 2017, section 6.1, and See, Liu and Manning 2017, arXiv:1704.04368, section 5, follow four. Of titles of clothing
reviews, 20 letters long, four made nothing better: ROUGE-L 0.141 for 0.149, one run, 1,500 rows; of short descriptions
of packages, 46 letters, 0.438 for 0.409, one run, 500 rows, in three times the time."""

LEAST_STEP_ROWS = 4
"""However long texts are."""

LABEL_SMOOTHING = 0.1
"""Where there is something to read: Vaswani et al. 2017, arXiv:1706.03762, section 5.4, which gained BLEU by it. None
for language models, whose probabilities are what is asked for, and which it makes worse by the same section."""


COPIED = 0.1
"""Share of a text's words that must stand in its own source, beyond those that stand in another row's, for words to be
copied from there; a choice. Titles of clothing reviews have 0.19: after 700 steps of 64 rows, width 64, one seed, 600
test rows, ROUGE-L was 0.116 with copying and 0.090 without, paired difference 0.010 to 0.044."""


def writes(targets: Mapping[str, str]) -> bool:
    """Whether any target is a text."""
    return "text" in targets.values()


def for_writing(
    kind: str, targets: Mapping[str, str], decoders: Collection[str] = (), *, seldom: bool = False
) -> SenseRecipe | None:
    """The recipe for a feature of this type where it differs from that of its sense.

    Args:
        kind: Of the feature.
        targets: Types by column.
        decoders: Types of what writes.
        seldom: Whether texts are seen seldom; see :data:`SELDOM`.
    """
    if kind != "text" or not writes(targets):
        return None
    if set(decoders) == {"lstm"}:
        return READ_IN_TURN
    return replace(READ, encoder=[{**raw, **SELDOM_READ} for raw in READ.encoder]) if seldom else READ


def optimizer_for(spec: RunSpec, facts: Facts, default: Mapping[str, Any]) -> Mapping[str, Any]:
    """What moves the weights, unless the spec says it.

    Args:
        spec: As asked for.
        facts: Of the data.
        default: Of the preset.
    """
    decoders = {part.model_dump()["decoder"]["type"] for part in spec.targets.values() if part.type == "text"}
    kinds = set(facts.features.values())
    if "transformer" not in decoders or "audio" in kinds or default["type"] != "adamw":
        return default
    alone = decoders == {"transformer"} and kinds <= {"text"} and spec.model.start is None
    calm = not kinds or facts.hurry < HURRIED
    return MUON if alone and calm else {**default, "learning_rate": RATE}


def with_letters(part: PartSpec) -> PartSpec:
    """A text column with its letters as they are, unless it says otherwise: a name that is read in small letters cannot
    be written in large ones.

    Args:
        part: Of the column. Not changed.
    """
    return part if "lowercase" in part.model_fields_set else part.model_copy(update={"lowercase": False})


def step_rows(mean_tokens: float, most: int, *, reads: bool) -> int:
    """Rows of a step, a power of two or ``most``, where texts are written.

    Args:
        mean_tokens: Of what is read and written, of a row.
        most: That there would be otherwise.
        reads: Whether texts are read.
    """
    fitting = 1 << max(0, int((PAIR_TOKENS if reads else STEP_TOKENS) / max(mean_tokens, 1)).bit_length() - 1)
    return min(most, STEP_ROWS, max(LEAST_STEP_ROWS, fitting))


def fusion_for(features: Mapping[str, str]) -> Mapping[str, Any]:
    """What joins columns for a decoder."""
    return FUSION if len(features) > 1 and "text" in features.values() else {"type": "concat"}


def with_quick_decoder(
    spec: RunSpec, features: Mapping[str, str], hurry: float, *, seldom: bool = False
) -> RunSpec:  # fmt: skip
    """The spec with smaller decoders where texts are written from something in little time, or with such that drop
    nothing; what it says itself stays.

    Args:
        spec: As asked for. Not changed.
        features: Types by column.
        hurry: See ``senses.hurry``.
        seldom: Whether texts are seen seldom; see :data:`SELDOM`.
    """
    options = SMALL if hurry >= HURRIED else UNDROPPED if seldom else {}
    if not features or not options:
        return spec
    return spec.model_copy(update={"targets": {name: _with(part, options) for name, part in spec.targets.items()}})


def with_beams(spec: RunSpec, features: Mapping[str, str], letters: Mapping[str, float]) -> RunSpec:
    """The spec with beams for sentences that are written from texts; what it says itself stays.

    Args:
        spec: As asked for. Not changed.
        features: Types by column.
        letters: Of each column's cells that are texts, on average.
    """
    if set(features.values()) != {"text"}:
        return spec
    told = {name: _followed(part, letters.get(name, 0.0)) for name, part in spec.targets.items()}
    return spec.model_copy(update={"targets": told})


def _followed(part: PartSpec, letters: float) -> PartSpec:
    if part.type != "text" or "beams" in part.model_fields_set or letters < SENTENCE:
        return part
    return part.model_copy(update={"beams": BEAMS})


def _with(part: PartSpec, options: Mapping[str, Mapping[str, Any]]) -> PartSpec:
    if part.type != "text":
        return part
    decoder: PartSpec = cast(Any, part).decoder
    named = decoder.model_fields_set if "decoder" in part.model_fields_set else set[str]()
    changes = {name: value for name, value in options.get(decoder.type, {}).items() if name not in named}
    if "heads" in named:  # which must share the width evenly
        changes.pop("width", None)
    return part.model_copy(update={"decoder": decoder.model_copy(update=changes)}) if changes else part


def with_smoothing(spec: RunSpec, features: Mapping[str, str]) -> RunSpec:
    """The spec with the label smoothing of texts that are written from something, where it says nothing of it.

    Args:
        spec: As asked for. Not changed.
        features: Types by column.
    """
    if not features:
        return spec
    return spec.model_copy(update={"targets": {name: _smoothed(part) for name, part in spec.targets.items()}})


def _smoothed(part: PartSpec) -> PartSpec:
    if part.type != "text" or "label_smoothing" in part.model_fields_set:
        return part
    decoder = part.model_dump()["decoder"]["type"]
    if decoder == "ctc":  # it sums over ways to read a text, and has no single label at a time
        return part
    return part.model_copy(update={"label_smoothing": LABEL_SMOOTHING})
