"""Columns of text: what is read, kept and left out, and how texts become numbers."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from trueweight.data import parse_ngrams, text_codec
from trueweight.data.bpe import FIRST, learn_merges, token_rows, tokens_of, vocabulary_of
from trueweight.data.cells import ReadOptions
from trueweight.data.columns.text import TextColumn
from trueweight.data.parse_free_texts import MOST_CHARACTERS
from trueweight.data.parse_ngrams import BUCKETS, PIECES, frequent_words, ngram_counts
from trueweight.data.read import read_table
from trueweight.data.sample import BottomK

OPTIONS = ReadOptions(("", "NA"))
WORDS = ["red", "green", "blue", "house", "garden", "river", "runs", "sleeps", "quickly", "never"]
RNG = np.random.default_rng(0)
ROWS = [" ".join(RNG.choice(WORDS, RNG.integers(3, 12))) for _ in range(200)]


def read(cells, part=None):
    raw = cells if isinstance(cells, pa.Array) else pa.array(cells)
    return (part or TextColumn()).read(pa.chunked_array([raw]), OPTIONS)


def learnt(cells, part, min_group=10):
    rows = np.arange(len(cells))
    return part.learn(cells, rows, BottomK.of(rows), min_group=min_group)


def buckets(text: str, **options) -> set[int]:
    options = {"word_grams": 2, "pieces": (2, 4)} | options
    return {int(bucket) for found in ngram_counts(pa.array([text]), **options) for bucket in found.bucket_G}


# --- Reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("  Ein  Haus \n", "ein  haus"),
        ("ﬁne Ｆｕｌｌ ①", "fine full 1"),
        ("soft\u00adhy\u200bphen\u2060s \ufeffMark", "softhyphens mark"),
        ("a\x00b\x1b[31m\x7fc", "a b [31m c"),
        ("👍🏽 👨‍👩‍👧", "👍🏽 👨‍👩‍👧"),
        ("Straße ΣΟΦΟΣ", "straße σοφοσ"),
        ("我喜歡", "我喜歡"),
    ],
)
def test_what_looks_alike_is_written_alike(cell: str, text: str):
    assert read([cell]).text_N.to_pylist() == [text]


def test_letters_may_stay_as_they_are():
    assert read(["ﬁne Ｆｕｌｌ"], TextColumn(lowercase=False, normalize=False)).text_N.to_pylist() == ["ﬁne Ｆｕｌｌ"]


@pytest.mark.parametrize("cell", ["", " ", "NA", None, "\u200b\ufeff", "\x00\x01", "\u00a0\u2003", "\u00ad \u00ad"])
def test_nothing_to_read_is_missing(cell: str | None):
    cells = read(pa.array([cell, "x"]))
    assert cells.missing_N.tolist() == [True, False]
    assert cells.text_N.to_pylist() == ["", "x"]


def test_halves_of_surrogate_pairs_become_marks_and_are_counted():
    data = b"\xed\xa0\x80 half" + b"fine"
    start = pa.py_buffer(np.array([0, 8, 12], np.int32).tobytes())
    cells = read(pa.Array.from_buffers(pa.string(), 2, [None, start, pa.py_buffer(data)]))
    assert cells.notes["not UTF-8"] == 1
    assert cells.text_N.to_pylist() == ["\ufffd\ufffd\ufffd half", "fine"]


@pytest.mark.parametrize(
    "frame",
    [
        dict,
        lambda columns: pd.DataFrame(columns, dtype=object),
        lambda columns: json.dumps([{"t": cell} for cell in columns["t"]]),
    ],
)
def test_halves_of_pairs_in_frames_and_json_stop_nothing(frame, tmp_path):
    source = frame({"t": ["cut \ud83d off", "\ud83d\ude00", "fine"]})
    if isinstance(source, str):
        (tmp_path / "t.json").write_text(source)
        source = tmp_path / "t.json"
    assert read_table(source).column("t").to_pylist() == ["cut \ufffd off", "😀", "fine"]


def test_a_text_of_ten_megabytes_is_cut_and_counted():
    part = TextColumn()
    cells = read(["many words " * 1_000_000, *ROWS], part)
    assert cells.notes == {"longer than 100,000 characters": 1, "spaces trimmed": 1}
    assert len(cells.text_N[0].as_py()) <= MOST_CHARACTERS
    facts = learnt(cells, part)
    arrays = part.codec("t", facts).encode(cells)
    assert max(arrays["token"].lengths) <= facts["max_tokens"] < 100
    assert 0 < facts["tokens_cut"] < 0.05
    assert max(arrays["bag"].lengths) <= part.max_ngrams


@pytest.mark.parametrize("cells", [["👍"] * 30, ["\U0010ffff\ue000"] * 30, ["..."] * 30, ["a"] * 30, ["\u0301"] * 30])
def test_odd_texts_are_texts(cells: list[str]):
    part = TextColumn()
    facts = learnt(read(cells), part)
    arrays = part.codec("t", facts).encode(read(cells))
    assert all(arrays["token"].lengths > 0)
    assert np.isfinite(arrays["weight"].value_MC).all() if "weight" in arrays else True


# --- N-grams ---------------------------------------------------------------------------------------------------------


def spelled(text: str) -> dict[tuple[str, ...], int]:
    """The slow way, for plain words: words, pairs, and pieces of two to four characters with the spaces around."""
    words, found = text.split(), {}
    grams = [(w,) for w in words] + list(zip(words, words[1:], strict=False))
    for word in (f" {w} " for w in words):
        grams += [("piece", word[i : i + n]) for n in (2, 3, 4) for i in range(len(word) - n + 1)]
    for gram in grams:
        found[gram] = found.get(gram, 0) + 1
    return found


def test_ngrams_are_those_found_one_by_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parse_ngrams, "CHUNK", 500)  # many small parts, whose edges must not show
    number: dict[tuple[str, ...], int] = {}
    texts = pa.array(ROWS)
    found = ngram_counts(texts, word_grams=2, pieces=(2, 4))
    ours = [dict[int, int]() for _ in ROWS]
    for some in found:
        assert (np.diff(some.text_G * BUCKETS + some.bucket_G) > 0).all()  # each n-gram of a text once, in order
        for row, bucket, count in zip(some.text_G.tolist(), some.bucket_G.tolist(), some.count_G.tolist(), strict=True):
            ours[row][bucket] = count
    for text, found in zip(ROWS, ours, strict=True):
        expected = spelled(text)
        assert sorted(found.values()) == sorted(expected.values())
        assert sum(bucket >= PIECES for bucket in found) == sum(gram[0] == "piece" for gram in expected)
    # The same n-gram has the same number in every row: as many numbers as there are n-grams.
    for text in ROWS:
        for gram in spelled(text):
            number.setdefault(gram, len(number))
    assert len({bucket for found in ours for bucket in found}) == len(number)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("don't", "don’t", True),
        ("don't", "don t", False),
        ("red house", "red, house", False),
        ("!!!", "!", False),
        ("酒店好", "酒店好", True),
        ("酒店", "店酒", False),
        ("❤", "❤\ufe0f", True),
    ],
)
def test_what_counts_as_one(one: str, other: str, shared: bool):
    assert (buckets(one) == buckets(other)) == shared


def test_scripts_without_spaces_are_read_by_characters():
    assert len(buckets("我喜欢酒店", pieces=None)) == 5 + 4 + 3  # characters, pairs, threes
    assert len(buckets("我 喜", pieces=None)) == 2 + 1
    # A sign between them is a neighbour of both: 喜欢。店 has four characters, three pairs and two threes.
    assert len(buckets("喜欢。店", pieces=None)) == 4 + 3 + 2
    assert len(buckets("so. much", pieces=None)) == 3  # but words on both sides of a sign are no pair


def test_weights_are_those_of_scikit_learn():
    part = TextColumn(char_ngrams=None, word_ngrams=2)
    cells = read(ROWS)
    codec = part.codec("t", learnt(cells, part, min_group=1))
    arrays = codec.encode(cells)
    reference = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(ROWS)
    assert codec.senses()["bag"].vocabulary == reference.shape[1]
    for row in range(len(ROWS)):
        expected = np.sort(reference[row].data)
        np.testing.assert_allclose(np.sort(arrays["weight"].row(row)[:, 0]), expected, rtol=1e-5)  # float32


def test_a_foreign_word_in_a_long_text_has_a_small_share():
    part, cells = TextColumn(), read(["我喜欢这家酒店ok的服务"] * 20)
    codec = part.codec("t", learnt(cells, part))
    arrays = codec.encode(cells)
    code_T, weight_T = arrays["bag"].row(0)[:, 0], arrays["weight"].row(0)[:, 0]
    is_piece_T = codec.bucket_K[code_T] >= PIECES
    share = float((weight_T[is_piece_T] ** 2).sum())
    # Its pieces are 6 (" o", "ok", "k ", " ok", "ok ", " ok ") beside all words, pairs and threes.
    assert share == pytest.approx(6 / (6 + (~is_piece_T).sum()), rel=1e-5)  # float32


def test_neither_chunks_nor_threads_nor_the_table_show(monkeypatch: pytest.MonkeyPatch):
    part, cells = TextColumn(max_ngrams=20), read(ROWS * 4)
    codec = part.codec("t", learnt(cells, part))
    whole = codec.encode(cells)
    monkeypatch.setattr(parse_ngrams, "CHUNK", 300)
    for most in (1, 2**60):
        monkeypatch.setattr(text_codec, "MANY", most)
        some = codec.encode(cells)
        for name in ("bag", "weight"):
            assert some[name].start_N1.tolist() == whole[name].start_N1.tolist()
            assert some[name].value_MC.tobytes() == whole[name].value_MC.tobytes()


def test_of_equal_weights_the_first_are_kept():
    row_G = np.repeat([0, 1, 3], [6, 2, 5])
    weight_G = np.array([1.0, 3, 1, 1, 3, 1, 5, 5, 2, 2, 2, 2, 2])
    kept = text_codec._greatest(row_G, weight_G, 3)
    assert kept.tolist() == [0, 1, 4, 6, 7, 8, 9, 10]


def test_the_greatest_weights_stay():
    part, few = TextColumn(char_ngrams=None), TextColumn(char_ngrams=None, max_ngrams=8)
    cells = read(ROWS)
    whole = part.codec("t", learnt(cells, part)).encode(cells)
    some = few.codec("t", learnt(cells, few)).encode(cells)
    assert max(some["bag"].lengths) == 8
    for row in range(20):
        weight = whole["weight"].row(row)[:, 0]
        threshold = np.sort(weight)[-min(8, len(weight))] - 1e-6
        kept = set(whole["bag"].row(row)[weight >= threshold, 0].tolist())
        assert set(some["bag"].row(row)[:, 0].tolist()) <= kept
        np.testing.assert_allclose(np.linalg.norm(some["weight"].row(row)), 1.0, rtol=1e-5)


def test_frequent_words_count_rows():
    found = frequent_words(pa.array(["a a a b", "b c", "b 我我"]), 1, 10)
    assert found == {"b": 3, "a": 1, "c": 1, "我": 1}


def test_both_apostrophes_make_one_word():
    assert frequent_words(pa.array(["don't", "don\u2019t stop"]), 1, 10) == {"don't": 2, "stop": 1}


def test_frequent_words_of_many_texts_equal_a_plain_count():
    rng = np.random.default_rng(0)
    rows = [" ".join(rng.choice(list("abcdefghij"), rng.integers(0, 30))) for _ in range(400)]
    expected = {word: sum(word in row.split() for row in rows) for word in "abcdefghij"}
    assert frequent_words(pa.array(rows), 1, 100) == expected
    assert len(frequent_words(pa.array(rows), 1, 3)) == 3
    assert frequent_words(pa.array(["", "..."]), 1, 3) == {}


# --- Tokens ----------------------------------------------------------------------------------------------------------


def test_tokens_can_be_read_back_byte_by_byte():
    merges = learn_merges(ROWS, size=400, least=10)
    names = {number: name for name, number in vocabulary_of(merges).items()}
    texts = ["red house", "Zürich 我 👍", ""]
    found = tokens_of(texts, merges)
    decoded = ["".join(names[n] for n in found.row(i)[:, 0].tolist()) for i in range(3)]
    assert decoded[0] == "redĠhouse"
    assert [len(d.replace("Ġ", " ")) for d in decoded[1:]] == [len(t.encode()) for t in texts[1:]]
    assert found.value_MC.min() >= FIRST
    assert len(found.row(0)) == 2  # both words are tokens
    assert learn_merges(ROWS, size=400, least=10) == merges


def test_no_token_rests_on_fewer_rows():
    secret = "Rumpelstilzchen-1887"
    planted = [*ROWS, *[f"{secret} " * 500] * 9, f"x{secret}" * 300]
    merges = learn_merges(planted, size=2000, least=10)
    rows_T = token_rows(merges, planted)
    assert (rows_T[FIRST + 256 :] >= 10).all()
    # "Rumpel" is in ten rows, by nine of the same and one of another kind: only what ten hold may stay.
    assert not any("x" in left + right and "R" in left + right for left, right in merges)
    assert (
        np.array(
            [
                sum(token_text in text for text in planted)
                for token_text in (left + right for left, right in merges)
                if "Ġ" not in token_text
            ]
        )
        >= 10
    ).all()


def test_token_rows_count_what_is_inside_longer_ones():
    merges = (("a", "b"), ("ab", "c"))
    rows_T = token_rows(merges, ["abc", "ab", "c", "abcabc"])
    number = vocabulary_of(merges)
    assert [int(rows_T[number[name]]) for name in ("abc", "ab", "a", "c")] == [2, 3, 3, 3]


def test_secrets_repeated_in_few_rows_leave_no_trace():
    secret = "Quvonde-Nebelmoor"
    part = TextColumn()
    cells = read([*ROWS, *[f"{secret} " * 400] * 9])
    facts = learnt(cells, part)
    made = part.synthetic(facts, np.random.default_rng(0), 50).to_pylist()
    written = json.dumps([facts, part.codec("t", facts).to_json(), made]).lower()
    assert not any(piece in written for piece in ("quvon", "nebelm", "belmoor"))
    own = buckets(secret.lower()) - {b for text in ROWS for b in buckets(text)}
    assert not own & set(facts["buckets"])


def test_tokens_are_learnt_only_for_encoders_that_read_them():
    cells = read(ROWS)
    for asked, there in ((None, True), ("bag", False), ("linear", False), ("mlp", True)):
        part = TextColumn.model_validate({"encoder": asked})
        assert ("token" in part.codec("t", learnt(cells, part)).shapes()) == there


def test_rows_that_were_never_seen_have_an_empty_bag():
    part = TextColumn()
    codec = part.codec("t", learnt(read(ROWS), part))
    arrays = codec.encode(read(["ЖЖЖ", None, "red"]))
    assert arrays["bag"].lengths.tolist()[:2] == [0, 0]
    assert arrays["bag"].lengths[2] > 0
    assert "flag" not in arrays
