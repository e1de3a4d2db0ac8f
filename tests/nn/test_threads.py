"""Short steps are taken on one thread, long ones on all, and how many there are is as before afterwards."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
import torch
from torch import nn

from trueweight.nn import slots, threads
from trueweight.nn.decoder import DecoderWishes, TransformerDecoder
from trueweight.nn.generate import Choice
from trueweight.nn.slots import write
from trueweight.nn.threads import one_thread, work_of


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_only_where_it_is_said() -> None:
    with one_thread(when=False):
        assert torch.get_num_threads() == 3
    with one_thread(when=True):
        assert torch.get_num_threads() == 1
    with suppress(ValueError), one_thread(when=True):
        raise ValueError
    assert torch.get_num_threads() == 3


def test_work_is_the_number_of_weights() -> None:
    assert work_of(nn.Linear(3, 4)) == 16
    assert work_of(object()) == threads.SHORT  # nobody knows: as ever


@pytest.mark.parametrize(("short", "expected"), [(10**9, 1), (1, 3)])
def test_texts_are_written_on_as_many_as_their_steps_are_worth(
    monkeypatch: pytest.MonkeyPatch, short: int, expected: int
) -> None:
    wishes = DecoderWishes(
        width=16, layers=1, heads=2, key_value_heads=2, hidden=32, dropout=0.0, norm="pre", normalization="rms",
        activation="gelu", positions="rotary", qk_norm=True, tied=True, length=20,
    )  # fmt: skip
    decoder, seen = TransformerDecoder(30, None, wishes).eval(), []
    steps = decoder.steps()

    def watched(*given: object) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return steps(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(decoder, "steps", lambda: watched)
    monkeypatch.setattr(slots, "SHORT", short)
    with torch.inference_mode():
        list(write(decoder, {}, [torch.arange(2, 5)] * 2, torch.arange(2), Choice(steps=4)))
    assert set(seen) == {expected}
    assert torch.get_num_threads() == 3
