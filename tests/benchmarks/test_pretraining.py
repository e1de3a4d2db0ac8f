"""The benchmark of reading first, on novels of a few made-up words."""

from pathlib import Path

import numpy as np
from benchmarks.pretraining import parted, passages, pretrained_against_alone

SENTENCE = "she was not to be persuaded of it by any of them"


def test_passages_have_no_hard_breaks_and_are_not_too_short():
    text = "One.\n\nTwo\nlines.\n\n" + "long " * 100 + "\n\n\nEnd."
    assert passages(text) == ["One. Two lines. " + "long " * 99 + "long", "End."]


def test_the_last_tenth_judges():
    table = parted({"a": [str(i) for i in range(20)], "b": [str(i) for i in range(40)]})
    part = table["part"].to_pylist()
    assert (part.count("test"), part.count("validation"), part.count("train")) == (2 + 4, 1 + 2, 17 + 34)
    assert table["text"].to_pylist()[18:20] == ["18", "19"]


def test_reading_first_is_compared_on_the_same_passages(tmp_path: Path):
    rng, words = np.random.default_rng(0), SENTENCE.split()
    novels = {name: [" ".join(rng.choice(words, 12)) for _ in range(120)] for name in ("a", "b", "c")}
    decoder = {"type": "transformer", "width": 16, "layers": 1, "heads": 2, "dropout": 0.0}
    found = pretrained_against_alone(
        novels, "c", first={"steps": 60}, then={"steps": 5}, out=tmp_path / "runs", decoder=decoder
    )
    both, alone = found["after five"], found["alone"]
    difference = found["after five minus alone"]
    assert difference["rows"] == both["rows"] == alone["rows"] == 12
    assert abs(difference["value"] - (both["bits_per_byte"] - alone["bits_per_byte"])) < 1e-6
    assert difference["better"] == "a"  # what all novels have in common was known before
    assert both["steps"] == alone["steps"] == 5
