"""Slots: whoever ends makes room for the next one, and nobody is changed by who else is there."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.nn.test_generate import decoder, recurrent
from torch import Tensor

from trueweight.nn.encoding import Encoding
from trueweight.nn.generate import END, Choice
from trueweight.nn.slots import Row, Slots, _of_like_length, write
from trueweight.nn.stores import Store

FAMILIES: list[dict[str, Any]] = [
    {}, {"key_value_heads": 2, "qk_norm": True}, {"positions": "learned", "norm": "post"}, {"family": recurrent},
]  # fmt: skip
WAYS = [
    Choice(steps=12),
    Choice(steps=9, temperature=1.3),
    Choice(steps=12, temperature=0.8, top_k=3, repetition_penalty=1.5),
    Choice(steps=5, repetition_penalty=2.0),
]
NOTHING = torch.zeros(0, dtype=torch.int64)


def read(one: Any, lengths: list[int], seed: int = 1) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    found: dict[str, Tensor] = one.read(Encoding(torch.randn(len(lengths), max(lengths), 8), mask, (max(lengths),)))
    return found


def alone(one: Any, memory: dict[str, Tensor], row: Row) -> list[int]:
    how, seed = row.how, torch.tensor([row.seed])
    return [int(token) for _, token, _ in write(one, memory, [row.prompt], seed, how)]


@pytest.mark.parametrize("changes", FAMILIES)
@torch.no_grad()
def test_rows_that_come_and_go_with_wishes_of_their_own_are_written_as_if_alone(changes: dict[str, Any]) -> None:
    one = decoder(**changes)
    lengths = [5, 2, 3, 7, 1, 4, 6, 2]
    memories = [read(one, [length], seed) for seed, length in enumerate(lengths)]
    rows = [Row(n, torch.arange(2, 2 + n % 4), 11 * n, WAYS[n % len(WAYS)]) for n in range(len(lengths))]
    rows[4].stops = lambda token: token == 5
    slots, said, waiting = Slots(one, 3), {row.name: list[int]() for row in rows}, list(rows)
    left: Row | None = None
    for step in range(200):
        if waiting and slots.free:
            row = waiting.pop(0)
            slots.join([row], memories[row.name])
        if not slots.rows:
            break
        for row, token in zip((found := slots.step()).rows, found.tokens, strict=True):
            said[row.name].append(token)
        if step == 3:
            left = slots.rows[0]
            slots.leave(left)
    assert left is not None
    assert not waiting
    for row in rows:
        expected = alone(one, memories[row.name], row)
        if row.name == 4 and 5 in expected:
            expected = expected[: expected.index(5) + 1]
        assert said[row.name] == (expected if row is not left else expected[: len(said[row.name])])


@pytest.mark.parametrize("changes", FAMILIES)
@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_rows_that_join_together_are_written_as_if_alone(changes: dict[str, Any], seed: int) -> None:
    """Any number at once, with beginnings of any length, into holes that others left, and after everybody has gone."""
    one, rng = decoder(**changes), np.random.default_rng(seed)
    slots, said, rows, memories = Slots(one, 6), dict[int, list[int]](), list[Row](), list[dict[str, Tensor]]()
    while len(rows) < 24 or slots.rows:
        count = int(rng.integers(0, slots.free + 1)) if len(rows) < 24 and not (len(rows) > 12 and slots.rows) else 0
        if count:
            lengths = rng.integers(1, 8, count).tolist()
            memory = read(one, lengths, len(rows))
            fresh = [
                Row(len(rows) + n, torch.randint(2, 9, (int(rng.choice([0, 1, 3, 40])),)), n, WAYS[n % len(WAYS)])
                for n in range(count)
            ]
            memories += [{name: t[n : n + 1] for name, t in memory.items()} for n in range(count)]
            rows += fresh
            slots.join(fresh, memory)
        if slots.rows:
            found = slots.step()
            for row, token in zip(found.rows, found.tokens, strict=True):
                said.setdefault(row.name, []).append(token)
    for row in rows:
        assert said[row.name] == alone(one, memories[row.name], row)


def test_rows_are_read_with_those_of_like_length() -> None:
    assert _of_like_length([5, 4, 500, 6, 480]) == [[0, 1, 3], [2, 4]]
    assert _of_like_length([300]) == [[0]]
    assert _of_like_length([1] * 70 + [3]) == [list(range(70)), [70]]


@torch.no_grad()
def test_what_was_the_longest_once_does_not_fill_memory_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    one = decoder(memory=None, length=300)
    slots, how = Slots(one, 2), Choice(steps=2)
    for most, kept in ((2**26, True), (0, False)):
        monkeypatch.setattr("trueweight.nn.slots._KEPT", most)
        slots.join([Row(0, torch.full((200,), 3), 0, how)], {})
        while slots.rows:
            slots.step()
        slots.join([Row(1, NOTHING, 0, how)], {})
        assert (slots._places > 100) == kept
        slots.clear()


@torch.no_grad()
def test_a_long_text_holds_nobody_back() -> None:
    one = decoder(memory=None)
    prompts = [torch.arange(2, 2 + n % 6) for n in range(17)]
    how, seeds = Choice(steps=30, temperature=1.5), torch.arange(17)
    lengths = [len(alone(one, {}, Row(n, prompts[n], n, how))) for n in range(17)]
    assert max(lengths) > 2 * min(lengths)
    ends = [0, 0, 0]  # each row in turn takes the slot that is free first
    for length in lengths:
        ends[ends.index(min(ends))] += length
    assert len(list(write(one, {}, prompts, seeds, how, slots=3))) == max(ends)


@torch.no_grad()
def test_more_tokens_than_a_cache_has_at_first() -> None:
    one = decoder(memory=None, length=200)
    one.embedding.weight[END] = 0.0
    how, seed = Choice(steps=150), torch.tensor([3])
    said = [int(token) for _, token, _ in write(one, {}, [torch.tensor([4, 5])], seed, how)]
    logit_TV = one(torch.tensor([[1, 4, 5, *said]]), {})[0, 2:-1]
    assert len(said) > 64
    assert logit_TV.argmax(1).tolist() == said


@pytest.mark.parametrize(
    ("gone", "moved", "joined"),
    [
        ([0, 1, 2], [], [1, 2]),  # those behind stay where they are, and newcomers come before them
        ([3, 4, 5], [], [3, 4]),
        ([0, 5], [], [0, 5]),
        ([2], [(5, 2)], [5, 6]),
        ([1, 2, 5], [(0, 2)], [0, 1]),  # one moves rather than two
        ([0, 2, 4], [(5, 2)], [0, 4]),
    ],
)
@torch.no_grad()
def test_rows_are_moved_only_to_fill_a_gap_among_them(
    monkeypatch: pytest.MonkeyPatch, gone: list[int], moved: list[tuple[int, int]], joined: list[int]
) -> None:
    one = decoder(memory=None)
    one.embedding.weight[END] = 0.0  # so that nobody ends earlier than they must
    hows = [Choice(steps=6 + n, repetition_penalty=1 + n % 2) for n in range(8)]
    rows = [Row(n, torch.arange(2, 2 + n % 3), 7 * n, hows[n]) for n in range(8)]
    slots, said, moves = Slots(one, 8), {row.name: list[int]() for row in rows}, set[tuple[int, int]]()
    move = Store.move

    def watched(store: Store, sources: list[int], goals: list[int]) -> None:
        moves.update(zip(sources, goals, strict=True))
        move(store, sources, goals)

    def written() -> None:
        for row, token in zip((found := slots.step()).rows, found.tokens, strict=True):
            said[row.name].append(token)

    monkeypatch.setattr(Store, "move", watched)
    slots.join(rows[:6], {})
    written()
    for name in gone:
        slots.leave(rows[name])
    written()
    assert moves == set(moved)
    slots.join(rows[6:], {})
    assert [slot for slot, row in enumerate(slots._rows) if row is not None and row.name > 5] == joined
    assert slots.free == len(gone)
    while slots.rows:
        written()
    monkeypatch.undo()
    for row in rows:
        expected = alone(one, {}, row)
        assert said[row.name] == (expected[: len(said[row.name])] if row.name in gone else expected)


@torch.no_grad()
def test_nobody_asks_for_nothing() -> None:
    assert list(write(decoder(memory=None), {}, [], torch.zeros(0, dtype=torch.int64), Choice(steps=3))) == []


def test_stores_grow_and_are_clean_where_nothing_was_put() -> None:
    store = Store()
    store.put([0], {"a": torch.ones(1, 2)}, slots_at_most=4)
    store.put([1, 3], {"a": 2 * torch.ones(2, 3)}, slots_at_most=4, clean=True)
    assert store.tensors["a"].tolist() == [[1, 1, 0], [2, 2, 2], [0, 0, 0], [2, 2, 2]]
    store.put([1], {"a": torch.ones(1, 1)}, slots_at_most=4, clean=True)
    store.move([1], [0])
    assert store.some(0, 2)["a"].tolist() == [[1, 0, 0], [1, 0, 0]]
