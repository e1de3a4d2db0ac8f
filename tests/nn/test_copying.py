"""Copying from what is read: a slow reference, laws of the mixture, and writing that agrees with scoring."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from trueweight.nn.beams import beam_search
from trueweight.nn.copying import Copying, CopyingWriter
from trueweight.nn.decoder import DecoderWishes, TransformerDecoder
from trueweight.nn.decoder_lstm import LstmDecoder
from trueweight.nn.decoding import FORCED, GREEDY, Decoding
from trueweight.nn.encoding import Encoding
from trueweight.nn.generate import BEGIN, END, Choice
from trueweight.nn.lora import Adapted
from trueweight.nn.places import Places
from trueweight.nn.slots import write
from trueweight.nn.texts import Texts

VOCABULARY, READ, WIDTH = 9, 8, 16
WISHES = DecoderWishes(
    width=WIDTH, layers=2, heads=4, key_value_heads=2, hidden=32, dropout=0.0, norm="pre", normalization="rms",
    activation="gelu", positions="rotary", qk_norm=True, tied=True, length=12,
)  # fmt: skip


def decoder(kind: str) -> Any:
    if kind == "lstm":
        return LstmDecoder(VOCABULARY, READ, width=WIDTH, layers=2, dropout=0.0, tied=True)
    found = TransformerDecoder(VOCABULARY, READ, WISHES)
    if kind == "adapted":  # whose steps cannot be fused
        block: Any = found.blocks[0]
        block.attention.q = Adapted(block.attention.q, rank=2, alpha=4.0)
    return found


def head(kind: str = "transformer", smoothing: float = 0.0, beams: int = 1) -> Texts:
    torch.manual_seed(0)
    found = Texts(
        decoder(kind), reads=True, usual_tokens=3.0, label_smoothing=smoothing, usual=Choice(steps=6, beams=beams),
        alphabet=[b""] * 2 + [bytes([97 + n]) for n in range(VOCABULARY - 2)],
        reader=lambda out, facts: out, copying=Copying(WIDTH, READ),  # type: ignore[arg-type]
    )  # fmt: skip
    with torch.no_grad():
        for weight in found.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return found.eval()


def read(rows: int = 4, length: int = 6) -> Encoding:
    torch.manual_seed(1)
    mask = torch.arange(length) < torch.tensor([length, 3, 1, 0])[:rows, None]
    code = torch.randint(2, VOCABULARY - 2, (rows, length)) * mask  # some tokens stand there twice, some never
    return Encoding(torch.randn(rows, length, READ), mask, (length,), code_BL=code)


def target(rows: int = 4, length: int = 5) -> dict[str, Tensor]:
    torch.manual_seed(2)
    lengths = torch.tensor([5, 4, 2, 0])[:rows]
    token = torch.randint(2, VOCABULARY, (rows, length)) * (torch.arange(length) < lengths[:, None])
    return {
        "token": token.unsqueeze(2),
        "token.length": lengths,
        "whole": torch.tensor([True, True, False, True])[:rows],
    }


def by_hand(one: Texts, z: Encoding, row: int, tokens: list[int]) -> list[list[float]]:
    """Probabilities of all tokens after each beginning of a text, with loops in float64, from the formula."""
    alone = Encoding(z.tokens_BLD[row : row + 1], z.mask_BL[row : row + 1], z.grid)  # type: ignore[index]
    inner, copying = one.decoder, one.copying
    assert copying is not None
    given = torch.tensor([[BEGIN, *tokens]])
    state_TD = inner.states(given, inner.read(alone))[0]  # type: ignore[operator]
    own_TV = inner.logits(state_TD).double().softmax(1)  # type: ignore[operator]
    code = [int(c) for c, real in zip(z.code_BL[row], z.mask_BL[row], strict=True) if real]  # type: ignore[index]
    source, written = [END, BEGIN, *code], [END, BEGIN, *tokens]
    found = []
    for t in range(len(tokens) + 1):
        b, once, twice = copying.odds(state_TD[t]).double().tolist()
        weight = [math.exp(b + math.log(max(1, len(code))))]
        for place in range(len(code)):
            q, k = copying.q(state_TD[t]).double(), copying.k(z.tokens_BLD[row, place]).double()
            score = float(q @ k) / math.sqrt(WIDTH)
            if source[place + 1] == written[t + 1]:
                score += once + twice * (source[place] == written[t])
            weight.append(math.exp(score))
        share = [w / sum(weight) for w in weight]
        chances = [share[0] * p for p in own_TV[t].tolist()]
        for place, token in enumerate(code):
            chances[token] += share[1 + place]
        found.append(chances)
    return found


@pytest.mark.parametrize("kind", ["transformer", "lstm"])
@torch.no_grad()
def test_the_mixture_is_what_loops_by_hand_say(kind: str):
    one, z, y = head(kind), read(), target()
    outputs = one.outputs(z, FORCED, y)
    for row, (token, length) in enumerate(zip(y["token"][..., 0].tolist(), y["token.length"].tolist(), strict=True)):
        chances = by_hand(one, z, row, token[:length])
        after = [*token[:length], END] if y["whole"][row] else token[:length]
        expected = sum(math.log(chances[t][after[t]]) for t in range(len(after)))
        # Sums of some ten logarithms in float32.
        assert float(outputs["truth_logp"][row]) == pytest.approx(expected, abs=2e-5)
        assert all(sum(each) == pytest.approx(1.0, abs=1e-6) for each in chances)


@pytest.mark.parametrize("kind", ["transformer", "adapted", "lstm"])
@torch.no_grad()
def test_one_token_at_a_time_says_what_all_at_once_say(kind: str):
    one, z = head(kind), read()
    writer = one.writer()
    assert isinstance(writer, CopyingWriter)
    memory = one.begin(z, GREEDY, {"seed": torch.zeros(4, dtype=torch.int64)}).memory
    texts = [[2, 3, 2, 4, 5], [6, 6, 3, 2, 2], [4, 5, 6, 7, 8], [2, 3, 4, 5, 6]]
    given_BT = torch.tensor([[BEGIN, *text] for text in texts])
    length_B = torch.tensor([3, 0, 1, 2])
    caches = [writer.cache(4, 8) for _ in range(2)]
    for cache in caches:
        writer.prefill(given_BT[:, :3], length_B, memory, cache)
    steps, row_B = writer.steps(), torch.arange(4)
    for step in range(3):
        place_B = length_B + step
        token_B = given_BT[row_B, place_B]
        plain = writer.step(token_B, place_B, memory, caches[0])
        torch.testing.assert_close(steps(token_B, Places.of(place_B), memory, caches[1]), plain, rtol=1e-4, atol=1e-5)
        for row in range(4):
            expected = torch.tensor(by_hand(one, z, row, texts[row])[int(place_B[row])])
            torch.testing.assert_close(plain[row].exp(), expected.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "how", [GREEDY, Decoding(temperature=1.0), Decoding(beams=3)], ids=["greedy", "drawn", "beams"]
)
@torch.no_grad()
def test_what_is_written_is_as_likely_as_it_is_scored_and_rows_are_alone(how: Decoding):
    one, z = head(), read()
    noise = {"seed": torch.arange(4)}
    found = one.outputs(z, how, noise)
    whole = found["length"] < 6  # steps there are: longer ones were cut off
    scored = one.outputs(
        z, FORCED, {"token": found["token"].unsqueeze(2), "token.length": found["length"], "whole": whole}
    )
    torch.testing.assert_close(found["logp"], scored["truth_logp"], rtol=1e-5, atol=1e-4)
    assert z.mask_BL is not None
    assert z.code_BL is not None
    for row in range(4):
        few = slice(row, row + 1)
        alone = Encoding(z.tokens_BLD[few], z.mask_BL[few], z.grid, code_BL=z.code_BL[few])
        again = one.outputs(alone, how, {"seed": noise["seed"][few]})
        assert again["token"][0].tolist() == found["token"][row].tolist()


@torch.no_grad()
def test_slots_that_refill_write_what_all_at_once_write():
    one, z = head(), read()
    begun = one.begin(z, GREEDY, {"seed": torch.arange(4)})
    told = []
    for slots in (4, 2):
        texts: dict[int, list[int]] = {}
        for name_B, token_B, _ in write(
            one.writer(), begun.memory, begun.prompts, torch.arange(4), begun.choice, slots=slots
        ):
            for row, token in zip(name_B.tolist(), token_B.tolist(), strict=True):
                texts.setdefault(row, []).append(token)
        told.append(texts)
    assert told[0] == told[1]
    streamed: dict[int, list[int]] = {}
    for piece in one.stream(z, GREEDY, {"seed": torch.arange(4)}):
        for row, token in zip(piece["row"].tolist(), piece["token"].tolist(), strict=True):
            streamed.setdefault(row, []).append(token)
    assert streamed == told[0]


@torch.no_grad()
def test_a_beam_as_wide_as_all_there_is_finds_the_likeliest_text():
    one, z = head(), read(rows=1)
    begun = one.begin(z, GREEDY, {"seed": torch.arange(1)})
    how = Choice(steps=2, beams=VOCABULARY**2, length_penalty=0.0)
    (found,) = beam_search(one.writer(), begun.memory, begun.prompts, how).logp_R.tolist()
    first = by_hand(one, z, 0, [0])[0]
    every = [first[END]]
    for token in range(1, VOCABULARY):
        every += [first[token] * chance for chance in by_hand(one, z, 0, [token])[1]]
    assert found == pytest.approx(math.log(max(every)), abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_mixture_with_a_smoothed_vocabulary_and_all_weights_learn(smoothing: float):
    one, z, y = head(smoothing=smoothing), read(), target()
    loss = one.loss(z, y, None, torch.Generator())
    total = 0.0
    with torch.no_grad():
        for row, (token, length) in enumerate(
            zip(y["token"][..., 0].tolist(), y["token.length"].tolist(), strict=True)
        ):
            chances = by_hand(one, z, row, token[:length])
            after = [*token[:length], END] if y["whole"][row] else token[:length]
            few = slice(row, row + 1)
            alone = Encoding(z.tokens_BLD[few], z.mask_BL[few], z.grid)  # type: ignore[index]
            inner: Any = one.decoder
            state = inner.states(torch.tensor([[BEGIN, *token[:length]]]), inner.read(alone))[0]
            smooth = -inner.logits(state).double().log_softmax(1).mean(1)
            for t, goal in enumerate(after):
                total += -(1 - smoothing) * math.log(chances[t][goal]) + smoothing * float(smooth[t])
    assert loss.item() == pytest.approx(total / 3.0 / 4, rel=1e-5)
    loss.backward()
    assert one.copying is not None
    assert [n for n, p in one.copying.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert all(bool(torch.isfinite(p.grad).all()) for p in one.parameters() if p.grad is not None)


def test_the_gradient_is_that_of_finite_differences():
    one, z, y = head(smoothing=0.1).double(), read(), target()
    tokens = z.tokens_BLD.double().requires_grad_()

    def loss(x: Tensor) -> Tensor:
        return one.loss(Encoding(x, z.mask_BL, z.grid, code_BL=z.code_BL), y, None, torch.Generator())

    assert torch.autograd.gradcheck(loss, tokens)


@torch.no_grad()
def test_scores_that_no_float_can_raise_to_a_power_are_borne():
    one, z, y = head(), read(), target()
    assert one.copying is not None
    one.copying.q.weight.mul_(1e4)
    assert torch.isfinite(one.loss(z, y, None, torch.Generator()))
    assert torch.isfinite(one.outputs(z, FORCED, y)["truth_logp"]).all()
    writer, begun = one.writer(), one.begin(z, GREEDY, {"seed": torch.arange(4)})
    logp = writer.step(torch.full((4,), BEGIN), torch.zeros(4, dtype=torch.int64), begun.memory, writer.cache(4, 2))
    assert torch.isfinite(logp).all()
    torch.testing.assert_close(logp.logsumexp(1), torch.zeros(4), atol=1e-5, rtol=0)


@torch.no_grad()
def test_what_fills_up_a_row_is_not_copied():
    one, y, z = head(), target(3), read(3)  # a row of nothing at all attends to what fills it up: nobody reads it
    before = one.outputs(z, FORCED, y)["truth_logp"]
    assert z.mask_BL is not None
    assert z.code_BL is not None
    code = torch.where(z.mask_BL, z.code_BL, 5)
    other = Encoding(torch.where(z.mask_BL.unsqueeze(2), z.tokens_BLD, 3.0), z.mask_BL, z.grid, code_BL=code)
    torch.testing.assert_close(one.outputs(other, FORCED, y)["truth_logp"], before)
