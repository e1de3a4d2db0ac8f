"""Tokens a second: both models are the same, all learn from the same tokens, and the page says what was measured."""

import sys

import pytest
import torch
from benchmarks import tokens
from benchmarks.tokens import Ours, compared, in_turns, render, texts, weights_of
from benchmarks.tokens_rivals import LanguageModel, Sizes, seconds_by_hand, turned

from trueweight.nn.positions import rotated, rotation

ENTRY = {
    "rival": "hand", "tokens_per_second": 9000, "ours_per_second": 9500, "ratio": 1.05, "low": 1.01, "high": 1.09,
    "pairs": 15, "weights": 1000, "threads": 2, "date": "2026-01-02", "machine": "2 cores", "by": "0.1",
}  # fmt: skip


@pytest.fixture(scope="module")
def one() -> Ours:
    return Ours.of(texts(40), width=16, layers=1, size=300)


def test_the_model_by_hand_is_ours(one: Ours) -> None:
    """Equal weights give an equal loss, up to a row's end: there ours begins anew."""
    network = one.leaf().network
    (head,) = network.heads.values()
    decoder = head.decoder
    by_hand = LanguageModel(Sizes(decoder.vocabulary, 16, 1, 4), 32)
    assert weights_of(by_hand) == weights_of(network)
    (mine,), (theirs,) = decoder.blocks, by_hand.blocks
    with torch.no_grad():
        by_hand.token.weight.copy_(decoder.embedding.weight)
        theirs.qkv.weight.copy_(torch.cat([mine.attention.q.weight, mine.attention.kv.weight]))
        theirs.qkv.bias.copy_(torch.cat([mine.attention.q.bias, mine.attention.kv.bias]))
        for to, of in [
            (theirs.out, mine.attention.out), (theirs.up, mine.perceptron.up), (theirs.down, mine.perceptron.down),
            (theirs.norm_1, mine.norm_1), (theirs.norm_2, mine.norm_3), (by_hand.norm, decoder.last),
            (theirs.norm_q, mine.attention.norm_q), (theirs.norm_k, mine.attention.norm_k),
        ]:  # fmt: skip
            to.load_state_dict(of.state_dict())
        token = torch.randint(2, decoder.vocabulary, (1, 33), generator=torch.Generator().manual_seed(0))
        logits = decoder(token[:, :-1], {})
        expected = torch.nn.functional.cross_entropy(logits[0], token[0, 1:])
        torch.testing.assert_close(by_hand(token[:, :-1], token[:, 1:])["loss"], expected)


def test_places_are_turned_as_ours_are() -> None:
    x = torch.randn(1, 2, 5, 8)
    torch.testing.assert_close(turned(x, *rotation(5, 8, x)), rotated(x, rotation(5, 8, x)))


def test_lines_hold_every_token_once_and_both_loops_run(one: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = one.lines(16)
    total = int(tokens.Packing("text", one.train).places().sum())
    assert lines.shape == (total // 16, 17)
    assert torch.equal(lines[1:, 0], lines[:-1, -1])
    sizes = Sizes(one.leaf().network.heads["t0"].decoder.vocabulary, 16, 1, 4)
    assert seconds_by_hand(sizes, lines, 4, 3) > 0
    monkeypatch.setattr(tokens, "TOKENS", 64)
    (found,) = tokens.measured(one, {"hand": lambda steps: seconds_by_hand(sizes, lines, 4, steps)}, 2, 0.01)
    assert found["low"] <= found["ratio"] <= found["high"]
    assert found["ours_per_second"] > 0


def test_turns_go_forth_and_back_and_the_first_warms_up() -> None:
    seen = list[str]()
    systems = {name: lambda _, name=name: seen.append(name) or 1.0 for name in ("ours", "hand", "trainer")}
    assert len(in_turns(systems, 2, 1.0)) == 2
    assert seen[1:] == ["trainer", "hand", "ours", "ours", "hand", "trainer", "trainer", "hand", "ours"]


def test_a_ratio_above_one_is_ours() -> None:
    found = compared([{"ours": 1.0, "hand": 2.0}, {"ours": 1.0, "hand": 2.0}], "hand")
    assert found == {"ratio": 2.0, "low": 2.0, "high": 2.0}


def test_the_page_tells_the_newest_and_whether_the_goal_is_met() -> None:
    assert "Not measured yet" in render([])
    page = render([ENTRY | {"ratio": 3.0}, ENTRY, ENTRY | {"rival": "trainer", "ratio": 0.9}])
    assert "3.000" not in page
    assert "| a loop by hand | 9,000 | 9,500 | 1.050 (1.010 … 1.090) |" in page
    assert page.count("met |") == 1
    assert page.count("**missed**") == 1


def test_a_rival_that_ends_is_told(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "tokens_rivals.py"
    broken.write_text("raise SystemExit(1)\n")
    monkeypatch.setattr(tokens, "HERE", tmp_path)
    with tokens.trainer(sys.executable, Sizes(9, 8, 1, 1), torch.zeros(1, 5).long(), 1) as measure:
        with pytest.raises(SystemExit, match="ended"):
            measure(3)
