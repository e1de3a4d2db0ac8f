"""Beams of many rows at once find what each row's own search finds."""

from typing import Any

import pytest
import torch
from tests.nn.test_generate import decoder, recurrent
from tests.nn.test_slots import read

from trueweight.nn.beams import beam_search
from trueweight.nn.generate import Choice

ROWS = [5, 2, 3, 7, 1, 4, 6]


@pytest.mark.parametrize("changes", [{}, {"key_value_heads": 2, "norm": "post"}, {"family": recurrent}])
@pytest.mark.parametrize(
    "how",
    [
        Choice(steps=9, beams=3),
        Choice(steps=9, beams=4, samples=3, length_penalty=0.0),
        Choice(steps=7, beams=2, repetition_penalty=1.7, samples=2),
        Choice(steps=9, beams=12, samples=12, places=10),
    ],
)
@pytest.mark.parametrize("stopped", [False, True])
@torch.no_grad()
def test_many_rows_at_once_are_searched_as_if_alone(changes: dict[str, Any], how: Choice, stopped: bool) -> None:
    one, memory = decoder(**changes), {}
    memory = read(one, ROWS)
    prompts = [torch.arange(2, 2 + n % 4) for n in range(len(ROWS))]
    stops = (lambda tokens: len(tokens) > 1 and tokens[-1] == 4) if stopped else None
    each = [
        beam_search(one, {name: t[n : n + 1] for name, t in memory.items()}, [prompts[n]], how, stops)
        for n in range(len(ROWS))
    ]
    for lanes in (1, 3 * how.beams, 1000):  # one row at a time, three, all
        found = beam_search(one, memory, prompts, how, stops, lanes=lanes)
        assert torch.equal(found.token_RS, torch.cat([alone.token_RS for alone in each]))
        assert torch.equal(found.length_R, torch.cat([alone.length_R for alone in each]))
        torch.testing.assert_close(found.logp_R, torch.cat([alone.logp_R for alone in each]), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_row_that_is_done_makes_room_before_the_others_are() -> None:
    one = decoder(memory=None)
    prompts = [torch.arange(2, 2 + n) for n in (0, 3, 5)]
    how = Choice(steps=8, beams=2)
    calls = []
    steps = one.steps()

    class Counting(type(one)):  # type: ignore[misc]
        def steps(self) -> Any:
            def step(token_B: Any, *more: Any) -> Any:
                calls.append(len(token_B))
                return steps(token_B, *more)

            return step

    one.__class__ = Counting
    beam_search(one, {}, prompts, how, lanes=4)
    assert max(calls) == 4
    assert len(calls) < 3 * 8


def test_nobody_to_search_for() -> None:
    found = beam_search(decoder(memory=None), {}, [], Choice(steps=4, beams=2))
    assert found.token_RS.shape == (0, 4)
