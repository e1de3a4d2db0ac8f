from trueweight.recipes.facts import Facts
from trueweight.recipes.resolve import resolve
from trueweight.recipes.speech import FEW_ROWS, SPEECH_METRICS, with_text_read_off
from trueweight.spec.load import parse_spec

SOUND = {"features": {"sound": "audio"}, "targets": {"said": {"type": "text"}}}


def test_a_text_said_by_a_sound_is_read_off_it_by_characters():
    asked = parse_spec(SOUND)
    found = with_text_read_off(asked, {"sound": "audio"}, 500).targets["said"].model_dump()
    assert (found["decoder"]["type"], found["tokens"]) == ("ctc", "characters")
    many = with_text_read_off(asked, {"sound": "audio"}, FEW_ROWS).targets["said"].model_dump()
    assert (many["decoder"]["type"], many["tokens"]) == ("ctc", "bpe")


def test_what_is_asked_for_stays():
    asked = parse_spec(SOUND | {"targets": {"said": {"type": "text", "decoder": {"type": "lstm"}, "tokens": "bpe"}}})
    assert with_text_read_off(asked, {"sound": "audio"}, 500) == asked
    tokens = parse_spec(SOUND | {"targets": {"said": {"type": "text", "tokens": "bpe"}}})
    assert with_text_read_off(tokens, {"sound": "audio"}, 500).targets["said"].model_dump()["tokens"] == "bpe"


def test_other_features_leave_the_decoder_to_others():
    asked = parse_spec(SOUND)
    for features in ({"sound": "audio", "age": "number"}, {"note": "text"}, {}):
        assert with_text_read_off(asked, features, 500) == asked


def test_speech_is_judged_by_words_first():
    resolved = resolve(parse_spec(SOUND), Facts(500, {"sound": "audio"}, {"said": "text"}))
    assert (resolved.evaluate.metrics or {})["said"] == SPEECH_METRICS
    assert resolved.train.optimizer.model_dump()["learning_rate"] == 1e-3  # type: ignore[union-attr]
    assert [member.name for member in resolved.model.members or []] == ["mlp"]
    written = resolve(parse_spec(SOUND), Facts(500, {"note": "text"}, {"said": "text"}))
    assert (written.evaluate.metrics or {})["said"][0] == "chrf"
