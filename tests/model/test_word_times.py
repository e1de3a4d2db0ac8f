import numpy as np

from trueweight.metrics.text_prediction import TextPrediction
from trueweight.model.word_times import spans_of_words


def test_words_begin_with_their_first_token_and_end_with_their_last():
    pieces = ["d", "o", "Ġ", "Ġ", "mi"]
    spans = [(1, 2), (4, 6), (7, 8), (8, 9), (10, 12)]
    assert spans_of_words("do  mi", pieces, spans) == [("do", 1.0, 6.0), ("mi", 10.0, 12.0)]


def test_a_token_may_hold_a_space_and_several_words():
    assert spans_of_words("a bc d", ["aĠb", "cĠd"], [(0, 3), (5, 6)]) == [
        ("a", 0.0, 3.0), ("bc", 0.0, 6.0), ("d", 5.0, 6.0),
    ]  # fmt: skip


def test_letters_of_several_bytes_are_one_word():
    pieces = ["Ã", "©"]  # the two bytes of é
    assert spans_of_words("é", pieces, [(2, 3), (4, 5)]) == [("é", 2.0, 5.0)]


def test_what_is_not_a_token_of_letters_is_passed_over():
    assert spans_of_words("a", ["", "a"], [(0, 1), (3, 4)]) == [("a", 3.0, 4.0)]


def test_texts_that_were_not_aligned_have_no_times():
    assert spans_of_words("do", ["d", "o"], []) == []
    assert spans_of_words("", [], []) == []


def test_they_are_written_as_json_beside_the_text():
    words = np.array([[("été", 0.0, 1.23456)], [], None], dtype=object)[:-1]
    found = TextPrediction(np.array(["été", ""], dtype=object), np.zeros(2), np.ones(2, np.int64), words_N=words)
    assert found.columns("t")["t.times"].tolist() == ['[["été", 0.0, 1.235]]', "[]"]
    assert found.take(np.array([1])).columns("t")["t.times"].tolist() == ["[]"]
