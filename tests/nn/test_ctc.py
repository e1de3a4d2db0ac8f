import logging
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from trueweight.nn.ctc import CtcTexts, log_likelihood, steps_needed
from trueweight.nn.ctc_search import Weighing, greedy, places, searched
from trueweight.nn.decoding import FORCED, GREEDY, Decoding
from trueweight.nn.encoding import Encoding
from trueweight.nn.token_ngrams import END, Ngrams, counted_ngrams


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    """What is left of an alignment, from the definition."""
    kept = [token for place, token in enumerate(path) if place == 0 or path[place - 1] != token]
    return tuple(token for token in kept if token != 0)


def every_text(logp_LV: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of every text there can be, by a sum over all alignments."""
    found: dict[tuple[int, ...], float] = {}
    steps, tokens = logp_LV.shape
    for path in product(range(tokens), repeat=steps):
        chance = float(np.exp(sum(logp_LV[step, token] for step, token in enumerate(path))))
        found[collapsed(path)] = found.get(collapsed(path), 0.0) + chance
    return found


def steps(seed: int, length: int, tokens: int) -> np.ndarray:
    logit = np.random.default_rng(seed).normal(size=(length, tokens)) * 1.5
    return logit - np.log(np.exp(logit).sum(1, keepdims=True))


@pytest.mark.parametrize("text", [(), (1,), (2, 1), (1, 1), (1, 1, 2)], ids=str)
@pytest.mark.parametrize("real", [3, 5])
def test_the_likelihood_is_the_sum_over_all_alignments(text: tuple[int, ...], real: int):
    logp_LV = steps(3, 5, 3)
    expected = every_text(logp_LV[:real]).get(text, 0.0)
    token_RT = torch.zeros(1, 3, dtype=torch.int64)
    token_RT[0, : len(text)] = torch.tensor(text)
    found = log_likelihood(torch.from_numpy(logp_LV)[None], torch.tensor([real]), token_RT, torch.tensor([len(text)]))
    needed = int(steps_needed(token_RT, torch.tensor([len(text)])))
    assert (expected > 0) == (needed <= real)
    assert float(found.exp()) == pytest.approx(expected if expected else 1.0, rel=1e-9)


def head(**changes: Any) -> CtcTexts:
    torch.manual_seed(0)
    options: dict[str, Any] = {"usual_tokens": 2.0, "dropout": 0.0, "most": 8, "weighing": Weighing(), "beams": 1}
    return CtcTexts(4, 5, reader=lambda out, _facts: out, **(options | changes)).eval()  # type: ignore[arg-type, return-value]


def batch() -> tuple[Encoding, dict[str, torch.Tensor]]:
    """Four rows of up to five steps: two that fit, one with more tokens than steps, one without any step."""
    torch.manual_seed(1)
    mask = torch.arange(5) < torch.tensor([5, 4, 2, 0]).unsqueeze(1)
    token = torch.tensor([[2, 3, 3], [4, 0, 0], [2, 2, 0], [3, 0, 0]]).unsqueeze(2)
    y = {"token": token, "token.length": torch.tensor([3, 1, 2, 1]), "whole": torch.ones(4, dtype=torch.bool)}
    return Encoding(torch.randn(4, 5, 4), mask, (5,)), y


def test_rows_that_cannot_be_aligned_teach_nothing_and_are_told(caplog: pytest.LogCaptureFixture):
    one, (z, y) = head(), batch()
    with caplog.at_level(logging.WARNING):
        loss = one.loss(z, y, None, torch.Generator())
        loss.backward()
        one.loss(z, y, None, torch.Generator())
    fitting = Encoding(z.tokens_BLD[:2], z.mask_BL[:2] if z.mask_BL is not None else None, (5,))
    alone = head().loss(fitting, {name: t[:2] for name, t in y.items()}, None, torch.Generator())
    assert loss.item() == pytest.approx(alone.item(), rel=1e-6)
    assert all(bool(torch.isfinite(p.grad).all()) for p in one.parameters() if p.grad is not None)
    told = [record.message for record in caplog.records]
    assert len(told) == 1
    assert told[0].startswith("2 of the 4 texts of a step cannot be learnt from: they need more steps")


def test_texts_that_were_cut_teach_nothing():
    one, (z, y) = head(), batch()
    cut = y | {"whole": torch.tensor([True, False, True, True])}
    gone = y | {"present": torch.tensor([True, False, True, True])}
    assert one.loss(z, cut, None, torch.Generator()).item() == one.loss(z, gone, None, torch.Generator()).item()


def test_no_row_that_fits_is_a_loss_of_zero():
    one, (z, y) = head(), batch()
    none = y | {"whole": torch.zeros(4, dtype=torch.bool)}
    assert one.loss(z, none, None, torch.Generator()).item() == 0.0


def test_the_truth_that_cannot_be_said_costs_a_blind_guess():
    one, (z, y) = head(), batch()
    scored = one.outputs(z, FORCED, y)
    assert scored["truth_logp"][2:].tolist() == pytest.approx([-3 * np.log(5), -2 * np.log(5)])
    assert (scored["truth_logp"][:2] < 0).all()


def test_what_is_written_has_its_own_likelihood_and_places():
    one, (z, y) = head(), batch()
    out = one.outputs(z, Decoding(times=True), y)
    forced = {"token": out["token"].unsqueeze(2), "token.length": out["length"]}
    torch.testing.assert_close(out["logp"], one.outputs(z, FORCED, forced)["truth_logp"])
    for row, length in enumerate(out["length"].tolist()):
        start, end = out["start"][row, :length], out["end"][row, :length]
        assert (start < end).all()
        assert (end[:-1] <= start[1:]).all()
    assert out["length"][3] == 0  # a row without steps says nothing


def test_places_are_those_of_the_likeliest_alignment():
    logp_LV, text = steps(5, 6, 3), (1, 1, 2)
    paths = [path for path in product(range(3), repeat=6) if collapsed(path) == text]
    best = max(paths, key=lambda path: sum(logp_LV[step, token] for step, token in enumerate(path)))
    (found,) = places(torch.from_numpy(logp_LV)[None], torch.tensor([6]), [list(text)])
    said = [step for start, end in found for step in range(start, end)]
    assert said == [step for step, token in enumerate(best) if token]


def test_greedy_is_the_collapsed_best_path():
    logp_LV = steps(2, 7, 4)
    (found,) = greedy(torch.from_numpy(logp_LV)[None], torch.tensor([6]))
    assert tuple(found) == collapsed(tuple(int(v) for v in logp_LV[:6].argmax(1)))


@pytest.mark.parametrize("seed", range(6))
def test_wide_beams_find_the_best_text_of_all(seed: int):
    logp_LV = steps(seed, 5, 3)
    chances = every_text(logp_LV)
    assert tuple(searched(logp_LV, 1000, Weighing())) == max(chances, key=lambda text: chances[text])


@pytest.mark.parametrize("seed", range(4))
def test_wide_beams_weigh_language_and_length(seed: int):
    logp_LV = steps(seed, 5, 3)
    ngrams = Ngrams(counted_ngrams([[1, 2], [1, 2, 2], [1, 1, 2]], 2, 1), 3)
    weighing = Weighing(ngrams, 0.8, 0.3)

    def worth(text: tuple[int, ...], chance: float) -> float:
        language = sum(ngrams.logp(text[:place], token) for place, token in enumerate((*text, END)))
        return float(np.log(chance)) + 0.8 * language + 0.3 * len(text)

    chances = every_text(logp_LV)
    assert tuple(searched(logp_LV, 1000, weighing)) == max(chances, key=lambda text: worth(text, chances[text]))


def test_beams_are_no_worse_than_the_best_path():
    one, (z, y) = head(), batch()
    path, beams = one.outputs(z, GREEDY, y), one.outputs(z, Decoding(beams=8), y)
    assert (beams["logp"] >= path["logp"] - 1e-6).all()


def test_a_learnable_task_is_learnt():
    """A toy of sound: each token is two steps of its own vector; learnt until texts are read off without mistake."""
    torch.manual_seed(0)
    vectors = torch.randn(5, 4) * 2
    text = torch.randint(1, 5, (16, 3))
    z = Encoding(vectors[text].repeat_interleave(2, 1) + 0.1 * torch.randn(16, 6, 4), None, (6,))
    y = {"token": text.unsqueeze(2), "token.length": torch.full((16,), 3), "whole": torch.ones(16, dtype=torch.bool)}
    # Equal neighbours need a blank, for which there is no room here.
    y["present"] = steps_needed(text, y["token.length"]) == 3
    one = head().train()
    optimizer = torch.optim.Adam(one.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        one.loss(z, y, None, torch.Generator()).backward()
        optimizer.step()
    out = one.eval().outputs(z, GREEDY, {})
    right = [out["token"][row, :3].tolist() == text[row].tolist() for row in range(16) if y["present"][row]]
    assert len(right) > 4
    assert all(right)
