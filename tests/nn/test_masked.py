"""What is hidden of a text, and what stands in its gaps."""

import pytest
import torch

from trueweight.nn.decoding import GREEDY
from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.masked import FIRST, MASK, Masked, hidden_places, with_gaps
from trueweight.nn.stems import TokenStem
from trueweight.nn.transformer import Transformer, Wishes, in_a_row

TOKENS = 12


@pytest.mark.parametrize(
    ("length", "share", "count"), [(10, 0.3, 3), (1, 0.3, 1), (2, 0.3, 1), (0, 0.3, 0), (5, 0.3, 2), (4, 1.0, 4)]
)
def test_the_same_share_of_every_text_and_at_least_one_token(length: int, share: float, count: int) -> None:
    uniform = torch.rand(50, 10, generator=torch.Generator().manual_seed(0))
    hidden = hidden_places(uniform, torch.full((50,), length), share)
    assert hidden.sum(1).tolist() == [count] * 50
    assert not hidden[:, length:].any()


def test_every_place_is_hidden_as_often() -> None:
    uniform = torch.rand(20_000, 10, generator=torch.Generator().manual_seed(0))
    often = hidden_places(uniform, torch.full((20_000,), 10), 0.3).float().mean(0)
    # Five standard deviations of a share of 20,000.
    torch.testing.assert_close(often, torch.full((10,), 0.3), rtol=0, atol=5 * (0.3 * 0.7 / 20_000) ** 0.5)


def test_gaps_are_masks_other_tokens_or_nothing_at_eighty_ten_ten() -> None:
    """Devlin et al. 2018, section 3.1."""
    token = torch.full((400, 100), 7)
    hidden = torch.rand(400, 100, generator=torch.Generator().manual_seed(1)) < 0.5
    given = with_gaps(token, hidden, torch.rand(2, 400, 100, generator=torch.Generator().manual_seed(2)), TOKENS)
    assert torch.equal(given[~hidden], token[~hidden])
    inside = given[hidden]
    assert inside.min() >= MASK
    assert inside.max() < TOKENS
    kinds = torch.stack([inside == MASK, (inside != MASK) & (inside != 7), inside == 7]).float().mean(1)
    swapped = 0.1 * (TOKENS - FIRST - 1) / (TOKENS - FIRST)  # of ten tokens one is the same again
    torch.testing.assert_close(kinds, torch.tensor([0.8, swapped, 0.2 - swapped]), rtol=0, atol=0.012)


def head() -> Masked:
    torch.manual_seed(0)
    stem = TokenStem(TOKENS, 8)
    body = Transformer(
        Form(8, grid_rank=1), 8, Wishes(layers=1, heads=2, hidden=8, rotary=True), positions="rotary", length=9,
        class_token=False, input_norm=False, pooler=False,
    )  # fmt: skip
    encoder = in_a_row(stem, body, body.form)
    return Masked(encoder, share=0.4, usual_tokens=5, shares=[1 / TOKENS] * TOKENS, reader=lambda out, _: out).eval()  # type: ignore[arg-type,return-value]


def asked(seeds: list[int], lengths: list[int]) -> dict[str, torch.Tensor]:
    token = torch.randint(FIRST, TOKENS, (len(seeds), 6, 1), generator=torch.Generator().manual_seed(3))
    return {"token": token, "token.length": torch.tensor(lengths), "seed": torch.tensor(seeds)}


NOTHING = Encoding(torch.zeros(0, 1, 1))


def test_rows_are_guessed_alone() -> None:
    masked, noise = head(), asked([5, 6, 7], [6, 3, 5])
    together = masked.outputs(NOTHING, GREEDY, noise)
    alone = masked.outputs(NOTHING, GREEDY, {name: t[1:2] for name, t in noise.items()})
    assert torch.equal(alone["hidden"], together["hidden"][1:2])
    torch.testing.assert_close(alone["logp"], together["logp"][1:2])
    assert together["hidden"].tolist() == [2, 1, 2]


@torch.no_grad()
def test_log_probabilities_are_those_of_the_true_tokens() -> None:
    """Row by row, token by token, from the logits."""
    masked, noise = head(), asked([5, 6], [6, 4])
    out = masked.outputs(NOTHING, GREEDY, noise)
    uniform = torch.stack([masked._uniform(noise["seed"], draw, 6) for draw in range(3)])
    token = noise["token"].squeeze(2)
    hidden = hidden_places(uniform[0], noise["token.length"], 0.4)
    given = with_gaps(token, hidden, uniform[1:], TOKENS)
    for row in range(2):
        one = slice(row, row + 1)
        state = masked.encoder({"token": given[one].unsqueeze(2), "token.length": noise["token.length"][one]})
        logit = masked.dense(state.tokens_BLD[0]) @ masked._table().T + masked.bias_V
        expected, right = 0.0, 0
        for place in hidden[row].nonzero()[:, 0].tolist():
            expected += float(logit[place].double().log_softmax(0)[token[row, place]])
            right += int(logit[place].argmax() == token[row, place])
            assert out["token"][row, place] == logit[place].argmax()
        assert out["logp"][row].item() == pytest.approx(expected, rel=1e-5)
        assert int(out["right"][row]) == right
        kept = ~hidden[row]
        assert torch.equal(out["token"][row][kept], token[row][kept])


def test_without_a_text_there_is_nothing_to_guess() -> None:
    out = head().outputs(NOTHING, GREEDY, {"seed": torch.tensor([1, 2])})
    assert out["hidden"].tolist() == out["length"].tolist() == [0, 0]
    empty = head().outputs(NOTHING, GREEDY, asked([1, 2], [0, 0]))
    assert empty["logp"].tolist() == [0.0, 0.0]
