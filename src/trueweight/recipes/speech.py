"""The recipe for speech: sounds whose target is a text.

Constants were chosen on digits spoken by espeak-ng (``benchmarks/speech.py digits``), but for the learning rate.
"""

from collections.abc import Mapping
from typing import Any

from trueweight.recipes.recipe import SenseRecipe
from trueweight.registry import registry
from trueweight.spec.base import PartSpec
from trueweight.spec.run import RunSpec

__all__ = ["FEW_ROWS", "SPEECH", "SPEECH_METRICS", "is_speech", "kept_whole", "with_text_read_off"]

SPEECH = SenseRecipe(
    # DeepSpeech 2 (Amodei et al. 2015, arXiv:1512.02595) made small: convolutions that leave every fourth step, 40 ms,
    # then an LSTM in both directions. The recipe for sounds leaves every eighth, which is fewer than the letters of
    # fast speech.
    encoder=[
        {"type": "cnn", "channels": [128, 128], "kernel_sizes": [5]},
        {"type": "lstm", "hidden_size": 128, "bidirectional": True},
    ],
    # After 900 steps on 924 strings of digits (15 voices), word error rates of 6 voices never heard were 0.081 without
    # other speeds and 0.073 with them, losses on 3 more voices 0.079 and 0.071, one seed.
    augment=[{"type": "speed"}, {"type": "spec_augment"}],
    # A third of that for tables. With 3e-3, batches of 8 recordings of people never left the state in which nothing is
    # said; with 1e-3 they left it in 10 seconds (docs/speech.md).
    optimizer={"type": "adamw", "learning_rate": 1e-3, "weight_decay": 3e-4},
)

WHOLE_SECONDS = 60.0
"""Where sounds are cut if the spec does not say. A text cannot be learnt from a part of its sound, so it is twice what
other sounds get, and rows that are longer take no part."""

SPEECH_METRICS = ["word_error_rate", "character_error_rate", "exact_match", "chrf", "bits_per_byte"]

FEW_ROWS = 20_000
"""Below, single characters are read off: rarely seen tokens would have to be learnt from few sounds each."""


def is_speech(features: Mapping[str, str], target: str) -> bool:
    """Whether a text is said by a sound."""
    return target == "text" and "audio" in features.values()


def kept_whole(part: PartSpec) -> PartSpec:
    """A column of sounds that keeps them whole, unless it says where they are cut."""
    return part.model_copy(update={"max_seconds": part.model_dump()["max_seconds"] or WHOLE_SECONDS})


def with_text_read_off(spec: RunSpec, features: Mapping[str, str], rows: int) -> RunSpec:
    """The spec with the decoder of every text that is to be learnt from one column of sounds alone, where it names
    none: it is read off the sound (ctc). Texts in another language need a decoder that writes, and the spec has to say
    so: nothing here can know.

    Args:
        spec: As asked for. Not changed.
        features: Types by column.
        rows: Of the table.
    """
    if list(features.values()) != ["audio"]:
        return spec
    targets: dict[str, Any] = {}
    for name, part in spec.targets.items():
        targets[name] = part
        if part.type == "text" and "decoder" not in part.model_fields_set:
            kind: Any = registry("decoder")["ctc"]
            changes: dict[str, Any] = {"decoder": kind.model_validate({"type": "ctc"})}
            if "tokens" not in part.model_fields_set and rows < FEW_ROWS:
                changes["tokens"] = "characters"
            targets[name] = part.model_copy(update=changes)
    return spec.model_copy(update={"targets": targets})
