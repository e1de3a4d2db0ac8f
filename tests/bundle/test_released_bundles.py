"""Bundles that released versions wrote, one folder per version: each must open and answer as it did then."""

from pathlib import Path

import pytest

from trueweight.bundle.bundle import open_bundle
from trueweight.bundle.verify import verify_bundle

RELEASED = sorted((Path(__file__).parent.parent / "fixtures" / "bundles").glob("*/*.bundle"))


def test_there_is_one_of_this_version() -> None:
    from trueweight import __version__

    assert __version__ in {path.parent.name for path in RELEASED}


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_released_bundle_still_answers_as_it_did(path: Path) -> None:
    found = verify_bundle(path)
    assert found.unchanged, found.lines
    assert found.answers, found.lines
    answers = open_bundle(path).predict({"color": ["deep", "light"], "flavanoids": [3.0, 0.7]})
    assert len(answers["alcohol"]) == 2
