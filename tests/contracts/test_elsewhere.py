"""What encoders, heads, augmentations and optimisers do holds on a device that is not the CPU as well."""

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from tests.contracts.elsewhere import DEVICE, Elsewhere, Far
from tests.contracts.test_augmentation_contract import LAYOUTS as LOOKS
from tests.contracts.test_augmentation_contract import batch
from tests.contracts.test_encoder_contract import CASES as ENCODERS
from tests.contracts.test_encoder_contract import LAYOUTS, ROWS, arrays, make
from tests.contracts.test_head_contract import CASES as HEADS
from tests.contracts.test_head_contract import Case
from tests.contracts.test_optimizer_contract import OPTIONS, network, take
from torch import Tensor

from trueweight.nn.copying import Copying
from trueweight.nn.decoder import DecoderWishes, TransformerDecoder
from trueweight.nn.decoder_lstm import LstmDecoder
from trueweight.nn.decoding import GREEDY, Decoding
from trueweight.nn.encoding import Encoding
from trueweight.nn.generate import Choice
from trueweight.nn.mix import taken_apart
from trueweight.nn.texts import Texts
from trueweight.registry import registry
from trueweight.spec.run import TrainSpec

VOCABULARY, READ, WIDTH, TEXTS = 11, 6, 16, 5
MUON = {"type": "muon", "iterations": 5}  # of which there are fewer on CPUs, unless they are asked for
WAYS = [name for name in registry("optimizer") if name != "muon"] + [MUON, *({**way, **MUON} for way in OPTIONS)]
HOWS = {
    "greedy": GREEDY,
    "drawn": Decoding(temperature=0.8, top_k=5, top_p=0.9, repetition_penalty=1.2),
    "beams": Decoding(beams=3, no_repeat=2),
    "samples": Decoding(temperature=0.8, samples=2),
    "stopped": Decoding(stop=("aa",)),
    "forced": Decoding(forced=True),
}


def far(some: Any) -> Any:
    """Tensors, or an encoding of them, on the other device."""
    if isinstance(some, Tensor):
        return some.to(DEVICE)
    if isinstance(some, dict):
        return {name: far(t) for name, t in some.items()}
    values = {field.name: getattr(some, field.name) for field in fields(some)}
    return replace(some, **{name: far(value) for name, value in values.items() if isinstance(value, Tensor)})


def near(some: dict[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU again; all of them were away."""
    assert all(isinstance(t, Far) for t in some.values()), [n for n, t in some.items() if not isinstance(t, Far)]
    return {name: t.cpu() for name, t in some.items()}


def test_tensors_of_two_devices_do_not_meet():
    here, place = torch.ones(2), torch.tensor([0, 1])
    with Elsewhere():
        there = torch.ones(2, device=DEVICE, requires_grad=True)
        (there[place] * 3 * torch.tensor(2.0)).sum().backward()  # single numbers and indices may come from the CPU
        assert there.grad.cpu().tolist() == [6.0, 6.0]
        for meeting in (
            lambda: there + here,
            lambda: here[place.to(DEVICE)],
            lambda: there.detach().index_put_((place,), here),
            lambda: torch.stack([there.sum(), torch.tensor(2.0)]),
        ):
            with pytest.raises(RuntimeError, match="two devices"):
                meeting()


@pytest.mark.parametrize(("name", "options", "layout"), ENCODERS)
def test_encoders_read_elsewhere(name, options, layout):
    encoder, x = make(name, options, layout), arrays(LAYOUTS[layout], ROWS)
    here = encoder(x).tokens_BLD
    with Elsewhere():
        z = encoder.to(DEVICE)(far(x))
        assert isinstance(z.tokens_BLD, Far)
        if z.tokens_BLD.requires_grad:
            z.tokens_BLD.nan_to_num().sum().backward()
        torch.testing.assert_close(z.tokens_BLD.detach().cpu(), here.detach(), equal_nan=True, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chosen", HEADS)
def test_heads_learn_and_answer_elsewhere(chosen):
    case = Case(*chosen)
    case.head.eval()
    loss, answers = case.loss(), case.outputs()
    with Elsewhere():
        case.head.to(DEVICE)
        case.z, case.y = far(case.z), far(case.y)
        lost = case.loss()
        assert isinstance(lost, Far)
        lost.backward()
        with torch.no_grad():
            noise = case.head.noise(torch.arange(len(case.y["present"]), device=DEVICE), 0)
            found = near(case.head.outputs(case.z, GREEDY, noise))
    torch.testing.assert_close(lost.near.detach(), loss.detach())
    assert found.keys() == answers.keys()
    for name, answer in answers.items():
        torch.testing.assert_close(found[name], answer, equal_nan=True, rtol=1e-5, atol=1e-6)


def writer(kind: str) -> tuple[Texts, Encoding]:
    """A head that writes and what it reads."""
    torch.manual_seed(0)
    wishes = DecoderWishes(
        width=WIDTH, layers=1, heads=4, key_value_heads=2, hidden=24, dropout=0.0, norm="pre", normalization="rms",
        activation="gelu", positions="rotary", qk_norm=True, tied=True, length=12,
    )  # fmt: skip
    decoder: Any = TransformerDecoder(VOCABULARY, READ, wishes)
    if kind == "lstm":
        decoder = LstmDecoder(VOCABULARY, READ, width=WIDTH, layers=1, dropout=0.0, tied=True)
    head = Texts(
        decoder, reads=True, usual_tokens=4.0, label_smoothing=0.1, usual=Choice(steps=6),
        alphabet=(b"a",) * VOCABULARY, reader=None,  # type: ignore[arg-type]
        copying=None if kind == "transformer" else Copying(WIDTH, READ),
    )  # fmt: skip
    real = torch.arange(7) < torch.tensor([3, 7, 1, 2, 5]).unsqueeze(1)
    code = torch.randint(2, VOCABULARY, (TEXTS, 7))
    return head.eval(), Encoding(torch.randn(TEXTS, 7, READ), real, (7,), code_BL=code)


def texts() -> dict[str, Tensor]:
    """Of four tokens each, to learn or to score."""
    whole = torch.ones(TEXTS, dtype=torch.bool)
    return {"token": torch.randint(2, VOCABULARY, (TEXTS, 4, 1)), "token.length": 4 * whole.long(), "whole": whole}


@pytest.mark.parametrize("how", HOWS.values(), ids=list(HOWS))
@pytest.mark.parametrize("kind", ["transformer", "lstm", "copying"])
def test_texts_are_written_elsewhere(kind, how):
    head, z = writer(kind)
    y, rows = texts(), torch.arange(TEXTS)
    with torch.no_grad():
        here = head.outputs(z, how, {**y, **head.noise(rows, 0)})
        with Elsewhere():
            head.to(DEVICE)
            there = near(head.outputs(far(z), how, far({**y, **head.noise(rows, 0)})))
    assert here.keys() == there.keys()
    for name, t in here.items():
        torch.testing.assert_close(there[name], t, rtol=1e-5, atol=1e-6)  # kernels of single rows differ


@pytest.mark.parametrize("kind", ["transformer", "lstm", "copying"])
def test_texts_are_learnt_elsewhere(kind):
    (head, z), y = writer(kind), texts()
    here = head.loss(z, y, None, torch.Generator())
    with Elsewhere():
        there = head.to(DEVICE).loss(far(z), far(y), None, torch.Generator())
        there.backward()
        assert all(isinstance(p.grad, Far) for p in head.parameters())
    torch.testing.assert_close(there.detach().cpu(), here.detach())


def test_texts_are_streamed_elsewhere():
    head, z = writer("copying")
    with torch.no_grad():
        here = [t["token"].tolist() for t in head.stream(z, GREEDY, head.noise(torch.arange(TEXTS), 0))]
        with Elsewhere():
            head.to(DEVICE)
            noise = head.noise(torch.arange(TEXTS, device=DEVICE), 0)
            there = [t["token"].cpu().tolist() for t in head.stream(far(z), GREEDY, noise)]
    assert there == here


@pytest.mark.parametrize("name", list(registry("augmentation")))
def test_training_examples_are_changed_elsewhere(name):
    part: Any = registry("augmentation")[name].model_validate({"type": name})
    module, before = part.build(LOOKS[part.reads]).train(), batch(part.reads)
    with Elsewhere():
        after, mix = taken_apart(dict(module.to(DEVICE)(far(before))))
        assert near(after).keys() == before.keys()
        assert mix is None or isinstance(mix.partner_R, Far)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_weights_are_moved_elsewhere(way):
    here, there = network(), network()
    take(here, TrainSpec(optimizer=way).optimizer.build(here, steps=2), 2)
    with Elsewhere():
        there.to(DEVICE)
        optimizer = TrainSpec(optimizer=way).optimizer.build(there, steps=2)
        x = torch.randn(64, 4, generator=torch.Generator().manual_seed(1)).to(DEVICE)
        for _ in range(2):
            optimizer.zero_grad()
            (there(x) - (x[:, :1] - 2 * x[:, 1:2])).square().mean().backward()
            optimizer.step()
        for p, expected in zip(there.parameters(), here.parameters(), strict=True):
            torch.testing.assert_close(p.detach().cpu(), expected.detach(), rtol=1e-4, atol=1e-6)
