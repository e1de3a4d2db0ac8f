"""Short steps are taken on one thread, long ones on all, and how many there are is as before afterwards."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import torch
from torch import nn

from trueweight.nn import slots, threads
from trueweight.nn.decoder import DecoderWishes, TransformerDecoder
from trueweight.nn.generate import Choice
from trueweight.nn.slots import write
from trueweight.nn.threads import one_thread, side_by_side, threads_at_hand, work_of


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


def test_threads_at_hand_are_those_there_were_before_one() -> None:
    assert threads_at_hand() == 3
    with one_thread(when=True), one_thread(when=True):
        assert threads_at_hand() == 3
    torch.set_num_threads(1)
    with one_thread(when=True):
        assert threads_at_hand() == 1


def test_side_by_side_is_map_in_order_and_on_several_threads() -> None:
    met = threading.Barrier(3)

    def job(k: int) -> tuple[int, int]:
        if k < 3:
            met.wait(10)  # none of the first three ends before all have begun
        return k * k, threading.get_ident()

    found = side_by_side(job, range(20))
    assert [square for square, _ in found] == [k * k for k in range(20)]
    assert len({thread for _, thread in found}) == 3
    assert side_by_side(job, []) == []


def test_a_single_thread_needs_no_others() -> None:
    torch.set_num_threads(1)
    assert set(side_by_side(lambda _: threading.get_ident(), range(5))) == {threading.get_ident()}


def test_what_goes_wrong_side_by_side_is_heard_of() -> None:
    def job(k: int) -> int:
        if k == 7:
            raise ValueError(k)
        return k

    with pytest.raises(ValueError, match="7"):
        side_by_side(job, range(20))
    assert side_by_side(job, range(5)) == [0, 1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_process_has_threads_of_its_own() -> None:
    side_by_side(float, range(9))
    child = os.fork()
    if not child:  # pragma: no cover  # counted in the parent only
        code = 1
        try:
            signal.alarm(20)
            code = 0 if side_by_side(float, range(9)) == [float(k) for k in range(9)] else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
