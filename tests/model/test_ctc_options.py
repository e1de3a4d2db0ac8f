import pytest

from trueweight.errors import SpecError
from trueweight.spec.load import parse_spec
from trueweight.spec.run import RunSpec

BASE = {"targets": {"said": {"type": "text"}}, "features": {"sound": "audio"}}


def spec(**text: object) -> RunSpec:
    return parse_spec({**BASE, "targets": {"said": {"type": "text", **text}}})


@pytest.mark.parametrize(
    "option", [{"label_smoothing": 0.1}, {"length_penalty": 0.5}, {"repetition_penalty": 1.2}], ids=str
)
def test_what_only_writers_use_is_refused(option: dict[str, float]):
    (name,) = option
    with pytest.raises(SpecError, match=f"{name}.*means nothing to decoder ctc, which reads texts off"):
        spec(decoder={"type": "ctc"}, **option)
    assert spec(decoder={"type": "lstm"}, **option).targets["said"].model_dump()[name] == option[name]


def test_ngrams_need_beams():
    with pytest.raises(SpecError, match="n-grams weigh beams, and there is one: set beams beside decoder, such as 16"):
        spec(decoder={"type": "ctc", "ngrams": 4})
    assert spec(decoder={"type": "ctc", "ngrams": 4}, beams=8).targets["said"].model_dump()["beams"] == 8


def test_a_weight_of_no_ngrams_is_refused():
    with pytest.raises(SpecError, match="weighs n-grams, and there are none: set ngrams, such as 5"):
        spec(decoder={"type": "ctc", "ngram_weight": 0.4})


def test_all_defaults_written_out_are_no_conflict():
    whole = spec(decoder={"type": "ctc"})
    assert parse_spec(whole.model_dump(mode="json", by_alias=True)) == whole


@pytest.mark.parametrize(("kernel", "near"), [(4, "3 or 5"), (10, "9 or 11")])
def test_a_filter_of_the_conformer_has_a_middle(kernel: int, near: str):
    sound = {"type": "audio", "encoder": {"type": "conformer", "kernel_size": kernel}}
    with pytest.raises(SpecError, match=f"{kernel} steps have no middle: choose {near}"):
        parse_spec({**BASE, "features": {"sound": sound}})
