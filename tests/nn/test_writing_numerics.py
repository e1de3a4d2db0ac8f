"""A second opinion on every number of writing: slow references, full searches, counted draws."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from trueweight.data.bpe import alphabet_of, texts_of, tokens_of
from trueweight.nn.beams import beam_search
from trueweight.nn.decoder_lstm import LstmDecoder
from trueweight.nn.decoding import FORCED
from trueweight.nn.encoding import Encoding
from trueweight.nn.generate import BEGIN, END, Choice, kept
from trueweight.nn.slots import write
from trueweight.nn.spelling import Spelling, spelt
from trueweight.nn.texts import Texts

NOTHING = torch.zeros(0, dtype=torch.int64)
ALPHABET = (b"", b"", b"a", b"b")


def lstm(vocabulary: int = 4, **changes: int) -> LstmDecoder:
    torch.manual_seed(3)
    one = LstmDecoder(vocabulary, None, width=8, layers=changes.get("layers", 1), dropout=0.0, tied=True).eval()
    with torch.no_grad():
        one.embedding.weight.mul_(2)
    return one


def head(decoder: nn.Module, steps: int = 3, **changes: float) -> Texts:
    return Texts(
        decoder, reads=False, usual_tokens=2.0, label_smoothing=changes.get("smoothing", 0.0),
        usual=Choice(steps=steps), alphabet=ALPHABET, reader=lambda out, facts: out,  # type: ignore[arg-type]
    )  # fmt: skip


def log_p(decoder: LstmDecoder, tokens: list[int]) -> float:
    """Of a text, step by step in float64: the LSTM of Hochreiter and Schmidhuber 1997 with a forget gate, by hand."""
    weight = {name: p.detach().double().numpy() for name, p in decoder.named_parameters()}
    h, c, total = np.zeros(decoder.width), np.zeros(decoder.width), 0.0
    for before, after in itertools.pairwise([BEGIN, *tokens]):
        x = weight["embedding.weight"][before] * decoder.width**0.5
        gates = weight["lstm.weight_ih_l0"] @ x + weight["lstm.bias_ih_l0"]
        gates = gates + weight["lstm.weight_hh_l0"] @ h + weight["lstm.bias_hh_l0"]
        i, f, g, o = np.split(gates, 4)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        logit = weight["embedding.weight"] @ h
        total += logit[after] - np.log(np.exp(logit).sum())
    return float(total)


def texts_up_to(steps: int, vocabulary: int = 4) -> list[list[int]]:
    """All that can be written in so many tokens: ended, or cut off."""
    words = [token for token in range(vocabulary) if token != END]
    ended = [[*said, END] for n in range(steps) for said in itertools.product(words, repeat=n)]
    return [*ended, *(list(said) for said in itertools.product(words, repeat=steps))]


@torch.no_grad()
def test_probabilities_of_all_texts_sum_to_one_and_are_those_by_hand() -> None:
    one = lstm()
    every = texts_up_to(3)
    assert sum(np.exp(log_p(one, text)) for text in every) == pytest.approx(1, abs=1e-9)
    body = [[token for token in text if token != END] for text in every]
    longest = max(map(len, body))
    y = {
        "token": torch.tensor([[*text, *[END] * (longest - len(text))] for text in body]).unsqueeze(2),
        "token.length": torch.tensor([len(text) for text in body]),
        "whole": torch.tensor([text[-1] == END for text in every]),
    }
    z = Encoding(torch.zeros(len(every), 1, 1))
    out = head(one).outputs(z, FORCED, y)
    expected = [log_p(one, text) for text in every]
    torch.testing.assert_close(out["truth_logp"], torch.tensor(expected, dtype=torch.float64), atol=1e-5, rtol=1e-5)
    assert out["truth_tokens"].tolist() == [len(text) for text in every]
    loss = head(one).loss(z, y, None, torch.Generator())
    assert float(loss) == pytest.approx(-np.mean(expected) / 2.0, abs=1e-5)


@torch.no_grad()
def test_label_smoothing_is_a_mixture_with_all_tokens() -> None:
    one, share = lstm(), 0.3
    y = {"token": torch.tensor([[[2], [3]]]), "token.length": torch.tensor([2]), "whole": torch.tensor([True])}
    logp_TV = one(torch.tensor([[BEGIN, 2, 3]]), {})[0].log_softmax(1)
    goal_TV = (1 - share) * nn.functional.one_hot(torch.tensor([2, 3, END]), 4) + share / 4
    found = head(one, smoothing=share).loss(Encoding(torch.zeros(1, 1, 1)), y, None, torch.Generator())
    assert float(found) == pytest.approx(float(-(goal_TV * logp_TV).sum() / 2.0), abs=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@torch.no_grad()
def test_beams_find_the_best_texts_of_all(penalty: float) -> None:
    one = lstm()
    scored = {tuple(text): log_p(one, text) for text in texts_up_to(3)}
    best = sorted(scored, key=lambda text: -scored[text] / ((5 + len(text)) / 6) ** penalty)[:5]
    found = beam_search(one, {}, [NOTHING], Choice(steps=3, beams=64, samples=5, length_penalty=penalty))
    texts = [tokens[:length].tolist() for tokens, length in zip(found.token_RS, found.length_R, strict=True)]
    assert texts == [[token for token in text if token != END] for text in best]
    np.testing.assert_allclose(found.logp_R.numpy(), [scored[text] for text in best], atol=1e-5)


@torch.no_grad()
def test_one_beam_is_greedy() -> None:
    one = lstm(6)
    greedy = [int(t) for _, t, _ in write(one, {}, [NOTHING], torch.tensor([0]), Choice(steps=6))]
    found = beam_search(one, {}, [NOTHING], Choice(steps=6, beams=1, length_penalty=0.0))
    beam = found.token_RS[0, : int(found.length_R[0])].tolist()
    # A beam may end earlier where stopping is likelier than all that follows; up to there it is greedy.
    assert beam == [t for t in greedy if t != END][: len(beam)]


@torch.no_grad()
def test_what_is_drawn_has_the_frequencies_of_its_probabilities() -> None:
    one, rows = lstm(), 6000
    every = texts_up_to(2)
    drawn: list[list[int]] = [[] for _ in range(rows)]
    steps = write(one, {}, [NOTHING] * rows, torch.arange(rows), Choice(steps=2, temperature=1.0), slots=1024)
    for row_B, token_B, _ in steps:
        for row, token in zip(row_B.tolist(), token_B.tolist(), strict=True):
            drawn[row].append(token)
    counts = [sum(text == found for found in drawn) for text in every]
    assert sum(counts) == rows
    expected = rows * np.exp([log_p(one, text) for text in every])
    assert stats.chisquare(counts, expected * rows / expected.sum()).pvalue > 1e-3


@pytest.mark.parametrize("top_p", [0.05, 0.3, 0.7, 0.95])
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(top_p: float) -> None:
    torch.manual_seed(0)
    logit_BV = torch.randn(50, 12).double() * 2
    kept_BV = kept(logit_BV, Choice(steps=1, top_p=top_p)).isfinite()
    for logit_V, kept_V in zip(logit_BV, kept_BV, strict=True):
        share = sorted(logit_V.softmax(0).tolist(), reverse=True)
        size = next(n for n in range(1, 13) if sum(share[:n]) >= top_p)
        assert sorted(logit_V.topk(size).indices.tolist()) == kept_V.nonzero().flatten().tolist()


def test_top_k_keeps_so_many() -> None:
    kept_BV = kept(torch.randn(20, 9).double(), Choice(steps=1, top_k=4)).isfinite()
    assert kept_BV.sum(1).tolist() == [4] * 20


@torch.no_grad()
def test_a_repetition_penalty_divides_what_is_likely_and_multiplies_what_is_not() -> None:
    one = lstm(5)
    logit_V = one(torch.tensor([[BEGIN, 2, 3]]), {})[0, -1]
    slow = [float(v) if token not in (2, 3) else float(v / 3 if v > 0 else v * 3) for token, v in enumerate(logit_V)]
    how = Choice(steps=1, repetition_penalty=3.0)
    (_, token_B, logp_B), *_ = write(one, {}, [torch.tensor([2, 3])], torch.tensor([0]), how)
    assert int(token_B) == int(np.argmax(slow))
    assert float(logp_B) == pytest.approx(float(logit_V.log_softmax(0)[int(token_B)]), abs=1e-5)


@torch.no_grad()
def test_slots_that_refill_write_every_row_once_and_in_order() -> None:
    one, rows = lstm(7), 23
    seeds, prompts = torch.arange(rows), [torch.arange(2, 2 + row % 5) for row in range(rows)]
    how = Choice(steps=9, temperature=1.2)

    def texts(slots: int) -> tuple[list[list[int]], int]:
        found: list[list[int]] = [[] for _ in range(rows)]
        widest = 0
        for row_B, token_B, _ in write(one, {}, prompts, seeds, how, slots=slots):
            widest = max(widest, len(row_B))
            assert len(set(row_B.tolist())) == len(row_B)
            for row, token in zip(row_B.tolist(), token_B.tolist(), strict=True):
                assert END not in found[row]
                found[row].append(token)
        return found, widest

    alone, _ = texts(1)
    assert all(text[-1] == END or len(text) == 9 for text in alone)
    for slots in (2, 5, 8, 64):
        found, widest = texts(slots)
        assert found == alone
        assert widest == min(slots, rows)


# --- From tokens to text ---------------------------------------------------------------------------------------------

MERGES = (("h", "e"), ("he", "l"), ("l", "o"), ("Ã", "©"), ("æ", "Ĺ"))


@pytest.mark.parametrize("text", ["hello", "café", "日本語 ж", "a\nb\tc \x00\x7f\xad", "👩‍🚀", ""])
def test_bytes_of_tokens_spell_what_the_tokenizer_spells(text: str) -> None:
    tokens = tokens_of([text], MERGES).value_MC[:, 0].tolist()
    alphabet = alphabet_of(MERGES)
    assert spelt(alphabet, tokens) == texts_of([tokens], MERGES)[0] == text
    growing = Spelling(alphabet)
    pieces = [growing.add(token) for token in tokens]
    assert all("\ufffd" not in piece for piece in pieces)
    assert "".join(pieces) + growing.end() == text


def test_half_a_character_is_held_back_and_marked_at_the_end() -> None:
    alphabet = alphabet_of(())
    first, second, *_ = tokens_of(["日"], ()).value_MC[:, 0].tolist()
    growing = Spelling(alphabet)
    assert growing.add(first) == growing.add(second) == ""
    assert growing.end() == "\ufffd" == spelt(alphabet, [first, second])


@pytest.mark.parametrize(
    ("pieces", "stop", "text"),
    [
        (["ab", "cd", "ef"], ["cde"], "ab"),
        (["ab", "cd", "ef"], ["bc", "e"], "a"),
        (["aa", "ab"], ["aab"], "a"),
        (["ab", "ca", "bd"], ["abd"], "abc"),
        (["ab", "c"], ["cd"], "abc"),
    ],
)
def test_a_stop_across_tokens(pieces: list[str], stop: list[str], text: str) -> None:
    growing = Spelling([piece.encode() for piece in pieces], stop)
    said = "".join(growing.add(number) for number in range(len(pieces))) + growing.end()
    assert said == text
    assert growing.kept == len(text)
    assert growing.stopped == (text != "".join(pieces))
