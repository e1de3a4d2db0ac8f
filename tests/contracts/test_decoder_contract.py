"""What every decoder promises, checked for every decoder we ship or have installed."""

from typing import Any

import pytest
import torch
from torch import nn

from trueweight.model.decoders.ctc import Aligning
from trueweight.nn.encoding import Encoding
from trueweight.nn.generate import BEGIN, Choice
from trueweight.nn.places import Places
from trueweight.nn.slots import write
from trueweight.registry import registry

VOCABULARY, MEMORY, ROWS, LENGTH = 11, 6, 4, 7
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "transformer": [
        {"width": 16, "heads": 4, "layers": 2},
        {"width": 16, "heads": 4, "layers": 1, "key_value_heads": 2, "norm": "post", "positions": "sinusoidal"},
        {"width": 16, "heads": 2, "layers": 1, "positions": "learned", "tied": False, "normalization": "layer"},
    ],
    "lstm": [{"width": 16}, {"width": 16, "layers": 2, "tied": False}],
}
WRITING = [n for n in registry("decoder") if not isinstance(registry("decoder")[n].model_construct(), Aligning)]
"""Those that read a text off steps have a suite of their own, ``test_decoder_contract_reading.py``."""
CASES = [
    pytest.param((name, {**options, "dropout": 0.0}, memory), id=f"{name}-{number}-{'reads' if memory else 'alone'}")
    for name in WRITING
    for number, options in enumerate(VARIANTS.get(name, [{}]))
    for memory in (MEMORY, None)
]


class Case:
    """A decoder with rows to write."""

    def __init__(self, name: str, options: dict[str, Any], memory: int | None) -> None:
        torch.manual_seed(0)
        self.part: Any = registry("decoder")[name].model_validate({"type": name, **options})
        self.memory_width = memory
        self.decoder = self.build().eval()
        length_R1 = torch.tensor([3, 5, 1, 2]).unsqueeze(1)
        tokens, mask = torch.randn(ROWS, 5, MEMORY), torch.arange(5) < length_R1
        self.z = None if memory is None else Encoding(tokens, mask, (5,))
        self.token_RT = torch.randint(2, VOCABULARY, (ROWS, LENGTH))

    def build(self) -> Any:
        return self.part.build(VOCABULARY, self.memory_width, LENGTH + 1)

    def logits(self, decoder: Any = None) -> torch.Tensor:
        one = decoder or self.decoder
        logits: torch.Tensor = one.logits(one.states(self.token_RT, one.read(self.z)))
        return logits


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(*request.param)


def test_logits_are_one_number_for_each_token(case: Case):
    assert case.decoder.vocabulary == VOCABULARY
    assert case.logits().shape == (ROWS, LENGTH, VOCABULARY)
    assert torch.isfinite(case.logits()).all()


@torch.no_grad()
def test_no_token_sees_those_behind_it(case: Case):
    before = case.logits()
    case.token_RT[:, 4] = (case.token_RT[:, 4] - 1) % (VOCABULARY - 2) + 2
    after = case.logits()
    torch.testing.assert_close(after[:, :4], before[:, :4])
    assert not torch.allclose(after[:, 4], before[:, 4])


@torch.no_grad()
def test_steps_say_what_all_tokens_at_once_say(case: Case):
    whole, memory = case.logits(), case.decoder.read(case.z)
    length_R = torch.tensor([2, 0, 3, 1])
    caches = [case.decoder.cache(ROWS, LENGTH + 1) for _ in range(2)]
    assert all(len(t) == ROWS for t in [*caches[0].values(), *memory.values()])
    for cache in caches:
        case.decoder.prefill(case.token_RT[:, :3], length_R, memory, cache)
    steps = case.decoder.steps()
    for step in range(3):
        place_R = length_R + step
        token_R = case.token_RT[torch.arange(ROWS), place_R]
        for found in (
            case.decoder.step(token_R, place_R, memory, caches[0]),
            steps(token_R, Places.of(place_R), memory, caches[1]),
        ):
            torch.testing.assert_close(found, whole[torch.arange(ROWS), place_R], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_rows_do_not_see_each_other(case: Case):
    whole = case.logits()
    case.token_RT, case.z = case.token_RT[1:2], case.z and Encoding(case.z.tokens_BLD[1:2], case.z.mask_BL[1:2], (5,))
    torch.testing.assert_close(case.logits(), whole[1:2], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_what_is_read_matters_and_its_padding_does_not(case: Case):
    if case.z is None:
        pytest.skip("it reads nothing")
    before, tokens, mask = case.logits(), case.z.tokens_BLD, case.z.mask_BL
    case.z = Encoding(torch.where(mask.unsqueeze(2), tokens, 7.0), mask, (5,))
    torch.testing.assert_close(case.logits(), before)
    case.z = Encoding(tokens + 1, mask, (5,))
    assert not torch.allclose(case.logits(), before)


def test_every_parameter_learns(case: Case):
    case.logits().log_softmax(2)[..., 2].sum().backward()
    assert [name for name, p in case.decoder.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_state_survives_a_round_trip(case: Case):
    twin = case.build().eval()
    twin.load_state_dict(case.decoder.state_dict())
    assert torch.equal(case.logits(twin), case.logits())


def test_it_writes(case: Case):
    nothing = [torch.zeros(0, dtype=torch.int64)] * ROWS
    seeds = torch.arange(ROWS)
    with torch.no_grad():
        steps = list(write(case.decoder, case.decoder.read(case.z), nothing, seeds, Choice(steps=5, temperature=1.0)))
    assert 1 <= len(steps) <= 5
    assert all(bool((token_B < VOCABULARY).all()) and bool((logp_B <= 0).all()) for _, token_B, logp_B in steps)
    first = {int(row): float(logp) for row, logp in zip(steps[0][0], steps[0][2], strict=True)}
    with torch.no_grad():
        logits = case.decoder.logits(
            case.decoder.states(torch.full((ROWS, 1), BEGIN), case.decoder.read(case.z))
        ).log_softmax(2)[:, 0]
    for row, token in zip(steps[0][0].tolist(), steps[0][1].tolist(), strict=True):
        assert first[row] == pytest.approx(float(logits[row, token]), abs=1e-5)


def test_dropout_changes_training_and_not_answers(case: Case):
    options = {**case.part.model_dump(), "dropout": 0.5}
    case.part = type(case.part).model_validate(options)
    noisy: nn.Module = case.build()
    noisy.load_state_dict(case.decoder.state_dict())
    torch.manual_seed(1)
    assert not torch.allclose(case.logits(noisy.train()), case.logits())
    torch.testing.assert_close(case.logits(noisy.eval()), case.logits())


@pytest.mark.parametrize("name", WRITING)
def test_search_space_and_words(name: str):
    part: Any = registry("decoder")[name]
    assert part.__doc__
    for key, values in part.search_space.items():
        for value in values:
            assert part.model_validate({"type": name, key: value}) is not None
