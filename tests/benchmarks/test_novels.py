import pytest
import torch
from benchmarks import novels_plain
from benchmarks.novels import LONGEST, measured, pieces, render, told
from benchmarks.novels_plain import CharacterModel, bits
from benchmarks.pretraining import parted

ENTRY = {
    "system": "plain", "seed": 0, "budget": 600.0, "machine": "2 cores", "by": "0.1", "date": "2026-01-02",
    "bits_per_byte": 2.5, "steps": 1234, "seconds": 601.0,
}  # fmt: skip


def test_passages_are_cut_between_sentences_and_nothing_is_lost():
    passage = " ".join(f"This is sentence number {place}." for place in range(100))
    found = list(pieces(passage))
    assert " ".join(found) == passage and max(map(len, found)) <= LONGEST and len(found) > 2
    assert all(part.endswith(".") for part in found)


def test_each_byte_is_paid_for_once_however_long_the_text_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(novels_plain, "BLOCK", 8)
    torch.manual_seed(0)
    model = CharacterModel().eval()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)  # every byte is as likely as any other: 8 bits
    assert bits(model, bytes(range(97, 97 + 21))) == pytest.approx(8 * 20)


def test_the_plain_model_sees_nothing_of_what_follows():
    torch.manual_seed(0)
    model, text = CharacterModel().eval(), torch.arange(10)[None]
    other = text.clone()
    other[0, 6:] = 99
    with torch.no_grad():
        assert torch.allclose(model(text)[0, :6], model(other)[0, :6], atol=1e-6)


def test_ngrams_of_a_text_that_repeats_need_less_than_a_bit():
    table = parted({"a": ["all happy families are alike"] * 40})
    assert 0 < measured("kneser-ney", table, 1.0, 0)["bits_per_byte"] < 1


def test_what_is_told():
    assert told(ENTRY) == "novels  plain       seed 0    600 s  2.500 bits per byte, 1,234 steps, 601 s"
    page = render([ENTRY, ENTRY | {"bits_per_byte": 2.25}, ENTRY | {"seed": 1, "reason": "a\nb"}])
    assert "2.250" in page and "2.500" not in page and "| failed |" in page
    assert "Not measured yet" in render([])


def test_what_was_written_is_shown_as_it_is():
    page = render([ENTRY | {"samples": [["It is a", " truth *universally*\nknown"], ["She walk", "ed."]]}])
    assert "> **It is a** truth \\*universally\\* known" in page and "> **She walk**ed." in page


def test_ours_tells_what_it_wrote():
    table = parted({"a": [f"number {n} of all the happy families that there are" for n in range(60)]})
    found = measured("ours", table, 3.0, 0)
    assert len(found["samples"]) == 3 and all(begun.startswith("number") for begun, _ in found["samples"])
