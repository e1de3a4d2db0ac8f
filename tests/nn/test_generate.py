"""Writing: cached equals uncached, rows do not depend on their neighbours, beams find what a full search finds."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from trueweight.nn import decoder_steps, products
from trueweight.nn.beams import beam_search
from trueweight.nn.decoder import DecoderWishes, TransformerDecoder
from trueweight.nn.decoder_lstm import LstmDecoder
from trueweight.nn.decoder_steps import FusedSteps
from trueweight.nn.encoding import Encoding
from trueweight.nn.generate import BEGIN, END, Choice, gumbel, prefill_of
from trueweight.nn.lora import Adapted
from trueweight.nn.places import Places
from trueweight.nn.slots import write

WISHES = DecoderWishes(
    width=16, layers=2, heads=4, key_value_heads=4, hidden=32, dropout=0.0, norm="pre", normalization="rms",
    activation="gelu", positions="rotary", qk_norm=False, tied=True, length=12,
)  # fmt: skip


def decoder(vocabulary: int = 9, memory: int | None = 8, family: Any = None, **changes: Any) -> Any:
    if family is not None:
        return family(vocabulary, memory, **changes)
    torch.manual_seed(0)
    found = TransformerDecoder(vocabulary, memory, replace(WISHES, **changes)).eval()
    with torch.no_grad():
        for weight in found.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return found


def recurrent(vocabulary: int = 9, memory: int | None = 8, **changes: Any) -> LstmDecoder:
    torch.manual_seed(0)
    wishes = {"width": 16, "layers": 2, "dropout": 0.0, "tied": True} | changes
    return LstmDecoder(vocabulary, memory, **wishes).eval()


KINDS: list[dict[str, Any]] = [
    {},
    {"key_value_heads": 2, "qk_norm": True},
    {"key_value_heads": 1, "tied": False},
    {"norm": "post", "normalization": "layer", "activation": "relu", "positions": "sinusoidal"},
    {"positions": "learned", "activation": "swiglu"},
    {"family": recurrent},
    {"family": recurrent, "layers": 1, "tied": False},
]


def memory_of(rows: int = 3, length: int = 5) -> Encoding:
    torch.manual_seed(1)
    mask = torch.arange(length) < torch.tensor([length, 2, 1])[:rows, None]
    return Encoding(torch.randn(rows, length, 8), mask, (length,))


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("reads", [True, False])
@torch.no_grad()
def test_cached_equals_uncached(changes: dict[str, Any], reads: bool) -> None:
    one = decoder(memory=8 if reads else None, **changes)
    memory = one.read(memory_of() if reads else None)
    token_BT = torch.randint(2, 9, (3, 7))
    whole = one(token_BT, memory)
    lengths = torch.tensor([4, 1, 0])
    cache = one.cache(3, 8)
    one.prefill(token_BT[:, :4], lengths, memory, cache)
    place = lengths.clone()
    for _ in range(3):
        logits = one.step(token_BT.gather(1, place.unsqueeze(1)).squeeze(1), place, memory, cache)
        torch.testing.assert_close(logits, whole[torch.arange(3), place], rtol=1e-5, atol=1e-5)
        place = place + 1


@pytest.mark.parametrize("changes", [*KINDS, {"biases": False, "scaled": False}, {"positions": "learned", "length": 3}])
@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("even", [True, False])
@torch.no_grad()
def test_steps_with_all_worked_out_before_equal_plain_ones(changes: dict[str, Any], reads: bool, even: bool) -> None:
    one = decoder(memory=8 if reads else None, **changes)
    memory = one.read(memory_of() if reads else None)
    token_BT = torch.randint(2, 9, (3, 7))
    lengths = torch.tensor([2, 2, 2] if even else [4, 1, 0])
    caches = [one.cache(3, 9), one.cache(3, 9)]
    for cache in caches:
        one.prefill(token_BT[:, :4], lengths, memory, cache)
    steps, place = one.steps(), lengths.clone()
    for _ in range(3):
        token_B = token_BT.gather(1, place.unsqueeze(1)).squeeze(1)
        plain, fused = one.step(token_B, place, memory, caches[0]), steps(token_B, Places.of(place), memory, caches[1])
        torch.testing.assert_close(fused, plain, rtol=1e-5, atol=1e-5)
        place = place + 1


@pytest.mark.parametrize("changes", [*KINDS, {"biases": False, "scaled": False}, {"positions": "learned", "length": 3}])
@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("packed", [True, False])
@torch.no_grad()
def test_prompts_are_read_as_the_decoder_reads_them(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], reads: bool, packed: bool
) -> None:
    if packed:  # where it is worth it, however little there is to multiply
        monkeypatch.setattr(products, "_WORTH", 1)
        monkeypatch.setattr(products, "_FEW", 1)
    one = decoder(memory=8 if reads else None, **changes)
    memory = one.read(memory_of() if reads else None)
    token_BT, lengths = torch.randint(2, 9, (3, 5)), torch.tensor([4, 1, 0])
    caches, steps = [one.cache(3, 9), one.cache(3, 9)], one.steps()
    for prefill, cache in zip((one.prefill, prefill_of(one, steps)), caches, strict=True):
        prefill(token_BT[:, :4], lengths, memory, cache)
        prefill(token_BT[:, :0], torch.zeros(3, dtype=torch.int64), memory, cache)  # nothing more
    for name, t in caches[0].items():
        torch.testing.assert_close(caches[1][name], t, rtol=1e-5, atol=1e-5)
    token_B = token_BT.gather(1, lengths.unsqueeze(1)).squeeze(1)
    plain = one.step(token_B, lengths, memory, caches[0])
    torch.testing.assert_close(steps(token_B, Places.of(lengths), memory, caches[1]), plain, rtol=1e-5, atol=1e-5)


def test_what_is_wrapped_is_not_fused() -> None:
    one = decoder()
    assert isinstance(one.steps(), FusedSteps)
    assert prefill_of(one, one.steps()) != one.prefill
    one.blocks[0].attention.q = Adapted(one.blocks[0].attention.q, 2, 4.0)
    assert not isinstance(one.steps(), FusedSteps)
    assert prefill_of(one, one.steps()) == one.prefill


@torch.no_grad()
def test_large_weights_are_not_held_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_steps, "_PACKED", 0)
    monkeypatch.setattr(products, "_WORTH", 1)
    monkeypatch.setattr(products, "_FEW", 1)
    monkeypatch.setattr(products.Linear, "_laid_out", lambda _: pytest.fail("they are"))
    one = decoder(memory=None)
    assert one.steps()(torch.tensor([2, 3]), Places(1, None), {}, one.cache(2, 4)).shape == (2, 9)


@pytest.mark.parametrize("family", [None, recurrent])
@torch.no_grad()
def test_the_future_and_what_is_not_there_are_not_read(family: Any) -> None:
    one = decoder(family=family)
    z = memory_of()
    token_BT = torch.randint(2, 9, (3, 6))
    base = one(token_BT, one.read(z))
    later = token_BT.clone()
    later[:, 4] = (later[:, 4] + 1) % 9
    torch.testing.assert_close(one(later, one.read(z))[:, :4], base[:, :4])
    assert not torch.allclose(one(later, one.read(z))[:, 4], base[:, 4])
    noisy = replace(z, tokens_BLD=torch.where(z.mask_BL.unsqueeze(2), z.tokens_BLD, 9.0))
    torch.testing.assert_close(one(token_BT, one.read(noisy)), base)


def texts(one: Any, rows: list[int], how: Choice, prompts: list[Tensor], slots: int) -> dict[int, Any]:
    found: dict[int, list[int]] = {row: [] for row in rows}
    z = memory_of()
    chosen = Encoding(z.tokens_BLD[rows], z.mask_BL[rows], z.grid)
    seeds = torch.tensor(rows) * 7 + 3
    for row_B, token_B, _ in write(one, one.read(chosen), [prompts[r] for r in rows], seeds, how, slots=slots):
        for row, token in zip(row_B.tolist(), token_B.tolist(), strict=True):
            found[rows[row]].append(token)
    return found


@pytest.mark.parametrize(
    "how",
    [
        Choice(steps=10),
        Choice(steps=10, temperature=1.3),
        Choice(steps=10, temperature=0.8, top_k=3, repetition_penalty=1.5),
        Choice(steps=10, temperature=2.0, top_p=0.7),
    ],
)
@pytest.mark.parametrize("family", [None, recurrent])
@torch.no_grad()
def test_batch_mates_and_slots_do_not_matter(how: Choice, family: Any) -> None:
    one = decoder(family=family)
    prompts = [torch.tensor([2, 3]), torch.tensor([], dtype=torch.int64), torch.tensor([4, 5, 6])]
    together = texts(one, [0, 1, 2], how, prompts, 8)
    assert together == texts(one, [0, 1, 2], how, prompts, 1)
    for row in range(3):
        assert texts(one, [row], how, prompts, 8)[row] == together[row]
    assert all(1 <= len(text) <= 10 for text in together.values())
    assert all(END not in text[:-1] for text in together.values())


@torch.no_grad()
def test_greedy_takes_the_likeliest_token_each_time() -> None:
    one = decoder()
    z, prompt = memory_of(1), torch.tensor([4, 5])
    memory = one.read(z)
    said, logps = [], []
    for _, token_B, logp_B in write(one, memory, [prompt], torch.zeros(1, dtype=torch.int64), Choice(steps=8)):
        said.append(int(token_B))
        logps.append(float(logp_B))
    text = torch.tensor([[BEGIN, 4, 5, *said]])
    logit_TV = one(text, memory)[0, 2:-1]
    assert logit_TV.argmax(1).tolist() == said
    expected = logit_TV.log_softmax(1).gather(1, torch.tensor(said).unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(torch.tensor(logps), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_wide_beam_finds_what_trying_all_finds() -> None:
    one = decoder(vocabulary=4)
    memory, how = one.read(memory_of(1)), Choice(steps=4, beams=64, length_penalty=0.8)
    found = beam_search(one, memory, [torch.tensor([], dtype=torch.int64)], how)
    best, best_score = None, -torch.inf
    for length in range(5):
        for said in itertools.product([1, 2, 3], repeat=length):
            ends = length < 4
            whole = [BEGIN, *said] + [END] * ends
            logp = one(torch.tensor([whole]), memory)[0].double().log_softmax(1)
            total = sum(float(logp[i, whole[i + 1]]) for i in range(len(whole) - 1))
            score = total / ((5 + len(whole) - 1) / 6) ** 0.8
            if score > best_score:
                best, best_score, best_total = list(said), score, total
    assert found.token_RS[0, : int(found.length_R[0])].tolist() == best
    assert float(found.logp_R[0]) == pytest.approx(best_total, abs=1e-5)


def test_gumbel_noise_is_gumbel_and_belongs_to_its_row_and_step() -> None:
    noise = gumbel(torch.arange(200), torch.zeros(200, dtype=torch.int64), 500)
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.02)
    assert float(noise.var()) == pytest.approx(torch.pi**2 / 6, abs=0.04)
    again = gumbel(torch.tensor([5]), torch.tensor([0]), 500)
    torch.testing.assert_close(again[0], noise[5], rtol=0, atol=0)
    assert float(torch.corrcoef(torch.stack([noise[0], noise[1]]))[0, 1]) == pytest.approx(0, abs=0.15)


@torch.no_grad()
def test_draws_follow_the_probabilities() -> None:
    logit_V = torch.tensor([0.0, 1.0, 2.0, -1.0])
    rows = 20_000
    noise = gumbel(torch.arange(rows), torch.full((rows,), 3), 4)
    share_V = torch.bincount((logit_V.double() + noise).argmax(1), minlength=4) / rows
    torch.testing.assert_close(share_V, logit_V.softmax(0), atol=0.015, rtol=0)
