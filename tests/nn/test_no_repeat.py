"""No run is written twice: against a slow search, in slots, beams and streams."""

from typing import Any

import pytest
import torch

from trueweight.nn.beams import beam_search
from trueweight.nn.decoder_lstm import LstmDecoder
from trueweight.nn.generate import END, Choice, forbidden
from trueweight.nn.slots import write

VOCABULARY = 5


def circling() -> LstmDecoder:
    """One that says a token again and again."""
    torch.manual_seed(3)
    one = LstmDecoder(VOCABULARY, None, width=8, layers=1, dropout=0.0, tied=True).eval()
    with torch.no_grad():
        one.embedding.weight[END] = 0
        one.embedding.weight.mul_(3)
    return one


def holds_twice(said: list[int], size: int) -> bool:
    runs = [said[place : place + size] for place in range(len(said) - size + 1)]
    return any(run in runs[:place] for place, run in enumerate(runs))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_forbidden_are_the_tokens_that_would_make_a_run_come_twice(size: int):
    rng = torch.Generator().manual_seed(size)
    said: list[Any] = [torch.randint(1, VOCABULARY, (n,), generator=rng).tolist() for n in range(12)]
    said = [tokens if not holds_twice(tokens, size) else tokens[:size] for tokens in said]
    told = forbidden(torch.zeros(13, VOCABULARY), [*said, None], size)
    for row, tokens in enumerate(said):
        for token in range(VOCABULARY):
            expected = holds_twice([*tokens, token], size) and not holds_twice(tokens, size)
            assert bool(told[row, token] == -torch.inf) is expected
    assert not told[12].isinf().any()


def texts(how: Choice, rows: int = 3, slots: int = 3) -> dict[int, list[int]]:
    prompts = [torch.tensor([2, 3, 2, 3][:row]) for row in range(rows)]
    found: dict[int, list[int]] = {}
    for name_B, token_B, _ in write(circling(), {}, prompts, torch.arange(rows), how, slots=slots):
        for row, token in zip(name_B.tolist(), token_B.tolist(), strict=True):
            found.setdefault(row, []).append(token)
    return found


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@torch.no_grad()
def test_slots_write_no_run_twice_whoever_is_beside(temperature: float):
    free = texts(Choice(steps=20, temperature=temperature))
    assert any(holds_twice(said, 2) for said in free.values())
    how = Choice(steps=20, temperature=temperature, no_repeat=2)
    guarded = texts(how)
    assert not any(holds_twice(said, 2) for said in guarded.values())
    assert texts(how, slots=1) == guarded


@torch.no_grad()
def test_beams_write_no_run_twice_and_tell_the_models_probabilities():
    one, prompts = circling(), [torch.zeros(0, dtype=torch.int64)]
    free = beam_search(one, {}, prompts, Choice(steps=12, beams=3, length_penalty=6.0))
    assert holds_twice(free.token_RS[0, : int(free.length_R[0])].tolist(), 2)
    found = beam_search(one, {}, prompts, Choice(steps=12, beams=3, length_penalty=6.0, no_repeat=2))
    said = found.token_RS[0, : int(found.length_R[0])].tolist()
    assert said
    assert not holds_twice(said, 2)
    after = [*said, END][:12]
    logp_TV = one(torch.tensor([[1, *after[:-1]]]), {})[0].log_softmax(1)
    expected = sum(float(logp_TV[place, token]) for place, token in enumerate(after))
    assert float(found.logp_R[0]) == pytest.approx(expected, abs=1e-4)
