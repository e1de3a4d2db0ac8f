"""Every key of a spec changes something: for each, two values and what they do differently.

A key that has no row here fails the test. An option that changes nothing is worse than none: somebody relies on it.
"""

import base64
import io
import json
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pydantic import BaseModel

from trueweight.data.table import Table
from trueweight.errors import TrueweightError
from trueweight.registry import KINDS, registry
from trueweight.spec.base import Part, PartSpec, Spec
from trueweight.spec.load import parse_spec
from trueweight.spec.run import RunSpec

ROWS = 90
NOTES = ("Wasser im Keller", "Ｆｅｕｅｒ im Dach", "weg ist weg", "nichts ist passiert")


@cache
def photo(kind: int, number: int) -> str:
    """A grey picture of 12 by 10, as an address: noise with a ramp that goes another way for each kind."""
    rng, (y, x) = np.random.default_rng(number), np.mgrid[:12, :10]
    value = rng.integers(0, 80, (12, 10)) + 10 * ((y, x, 10 - x)[kind])
    stream = io.BytesIO()
    Image.fromarray(value.astype(np.uint8)).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


@cache
def sign(kind: int, number: int) -> str:
    """A red sign of 12 by 10, as an address, with a white bar at the top, on the right or on the left."""
    value = np.full((12, 10, 3), (180, 30, 30)) + np.random.default_rng(number).integers(0, 40, (12, 10, 1))
    bar = ((slice(0, 3), slice(None)), (slice(None), slice(7, 10)), (slice(None), slice(0, 3)))[kind]
    value[bar] = 250
    stream = io.BytesIO()
    Image.fromarray(value.astype(np.uint8)).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


@cache
def clip(kind: int, number: int) -> str:
    """A tone in noise of a tenth of a second or more, as an address: higher for each kind."""
    rng, file = np.random.default_rng(number), io.BytesIO()
    time = np.arange(800 + 40 * (number % 20)) / 8000
    value = np.sin(2 * np.pi * 500 * (kind + 1) * time) * 0.3 + rng.normal(size=len(time)) * 0.02
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes((value * 20_000).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"


@cache
def claims() -> Table:
    """A table with a column of every type, and a little of every kind of dirt."""
    rng = np.random.default_rng(0)
    n = np.arange(ROWS)
    size, kind = rng.normal(size=ROWS) * 3, n % 3
    risk = size / 3 + (kind == 1) + rng.normal(size=ROWS) / 2
    amounts = [f"1.{v:03d}" for v in rng.integers(0, 999, ROWS)]
    columns: dict[str, list[Any]] = {
        "size": ["" if i % 10 == 0 else f"{v:.3f}" for i, v in enumerate(size)],
        "amount": amounts,
        "comma": [f"1,{v:03d}" for v in rng.integers(0, 999, ROWS)],
        "kind": [("fire", "water", "theft")[k] if i % 15 else f"rare{i % 2}" for i, k in enumerate(kind)],
        "flag": ["yes" if v else "no" for v in rng.integers(0, 2, ROWS)],
        "day": [f"{1 + i % 12:02d}/{1 + i % 7:02d}/2024" for i in n],
        "time": [f"2024-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in n],
        "place": [json.dumps([round(float(v), 3), float(i % 4)]) for i, v in enumerate(size)],
        "tags": ["|".join("pqr"[j] for j in range(3) if (i + j) % (j + 2) == 0) for i in n],
        "wave": [
            [None if (i + t) % 7 == 3 else round(float(v * np.sin(t / 2 + i)), 3) for t in range(20 + i % 5)]
            for i, v in enumerate(size)
        ],
        "walk": [
            [[round(float(v + t), 3), float(i % 4), float((i + t) % 3)][: 2 if i % 3 else 3] for t in range(4 + i % 3)]
            for i, v in enumerate(size)
        ],
        "spoken": [[f"1,{(i * 37 + t) % 999:03d}" for t in range(5)] for i in n],
        "note": [NOTES[(i + k) % 4] + "!" * int(v > 0) for i, k, v in zip(n, kind, risk, strict=True)],
        "clip": [clip(k, i) for i, k in enumerate(kind.tolist())],
        "photo": [photo(k, i) for i, k in enumerate(kind.tolist())],
        "shows": [("up", "right", "left")[k] for k in kind.tolist()],
        "sign": [sign(k, i) for i, k in enumerate(kind.tolist())],
        "customer": [f"c{i // 6}" for i in n],
        "other": [f"d{i // 9}" for i in n],
        "weight": [float(1 + i % 3) for i in n],
        "part": [("train", "train", "validation", "test")[i % 4] for i in n],
        "fraud": ["yes" if v > 0.3 else "no" for v in risk],
        "cost": [round(float(np.exp(v)), 4) for v in risk],
        "class": [("low", "mid", "high")[int(v > 0) + int(v > 1)] for v in risk],
        "topics": ["|".join("xyz"[j] for j in range(3) if risk[i] > j / 2 - 0.5) for i in n],
        "where": [[float(v), float(v * v)] for v in risk],
    }
    columns = {name: [*cells[: ROWS - 1], cells[0]] for name, cells in columns.items()}  # a row that repeats the first
    return Table(pa.table(columns))


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings within mappings, the second one's values winning; a value that is itself a part replaces."""
    both = dict(base)
    for key, value in more.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def put(path: str, value: Any) -> dict[str, Any]:
    inner = value
    for key in reversed(path.split("/")):
        inner = {key: inner}
    return inner


BASE: dict[str, Any] = {
    "features": {"size": "number", "kind": "category"}, "other_features": "ignore", "targets": {"fraud": "binary"},
    "model": {"preset": "fast"},
}  # fmt: skip

SMALL = {
    "model": {"encoder": {"type": "mlp", "hidden_sizes": [8, 8], "dropout": 0.0, "embedding_size": 4}},
    "train": {"budget": {"steps": 8}, "batch_size": 16, "optimizer": {"type": "sgd", "learning_rate": 0.1}},
}


BY_TOKENS = {"type": "text", "encoder": "mlp"}
"""A column of texts that is read as tokens."""


def spoken(raw: Mapping[str, Any]) -> Any:
    """What a head that writes has learnt, loses while training, and writes."""
    import torch

    from trueweight.data.feed import Feed, stored
    from trueweight.data.reading import cells_of, column_part
    from trueweight.nn.decoding import GREEDY
    from trueweight.nn.encoding import Encoding, Form

    ready = prepared(raw)
    facts = ready.signature.columns["note"]
    part: Any = column_part(facts)
    cells = cells_of(ready.table, facts, ready.signature.options)
    torch.manual_seed(0)
    head = part.build(Form(6, grid_rank=1, coded=True), facts.learnt)
    weights = sum(p.numel() for p in head.parameters())
    with torch.no_grad():
        for weight in head.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)  # first weights would say the same whatever was written
    rows = torch.arange(8)
    y = Feed(rows, {}, {"note": stored(part.encode(cells, facts.learnt))}).batch(rows).targets["note"]
    code = torch.arange(2, 42).view(8, 5)
    z, rng = Encoding(torch.randn(8, 5, 6), None, (5,), code_BL=code), torch.Generator()
    loss = float(head.train().loss(z, y, None, rng).detach())
    with torch.inference_mode():
        out = head.eval().outputs(z, GREEDY, head.noise(rows, 0))
    found = {name: tensor.tolist() for name, tensor in out.items()}
    return {**facts.learnt, "weights": weights, "loss": loss, "loss_weight": part.loss_weight} | found


# --- What can be seen ------------------------------------------------------------------------------------------------


def prepared(raw: Mapping[str, Any]) -> Any:
    from trueweight.train.prepare import prepare

    return prepare(claims(), parse_spec(raw))


def fitted(raw: Mapping[str, Any]) -> Any:
    from trueweight.train.build import fit

    return fit(prepared(raw), None, None)


def answers(raw: Mapping[str, Any]) -> Any:
    """What the trained model answers."""
    columns = {}
    for target, found in fitted(raw).predictor.predict(claims()).items():
        columns |= {name: values.tolist() for name, values in found.columns(target).items()}
    return columns


def raw_intervals(raw: Mapping[str, Any]) -> Any:
    """The answers of a model that is not calibrated."""
    return answers(merged(raw, {"evaluate": {"conformal": None}}))


def split(raw: Mapping[str, Any]) -> Any:
    """Which rows train, select and judge."""
    ready = prepared(raw)
    return [rows.tolist() for rows in (ready.split.train, ready.split.validation, ready.split.test)]


def signature(raw: Mapping[str, Any]) -> Any:
    """What was learnt about the columns."""
    return prepared(raw).signature.to_json()


def resolved(raw: Mapping[str, Any]) -> Any:
    """The spec with every default."""
    return prepared(raw).spec.model_dump(mode="json")


def fields(raw: Mapping[str, Any]) -> Any:
    """Which columns share an encoder."""
    from trueweight.train.encoded import encoders_of, fields_of

    ready = prepared(raw)
    found = fields_of(ready)
    shared = ready.spec.model.members[0]
    return {name: part.model_dump() for name, part in encoders_of(ready, found, shared, solving=False).items()}


def augmented(raw: Mapping[str, Any]) -> Any:
    """What becomes of a batch of the only column that is changed while training."""
    import torch
    from torch import nn

    from trueweight.train.encoded import augmentations_of, encode

    encoded = encode(prepared(raw), keep=False)
    ((name, parts),) = augmentations_of(prepared(raw), encoded.fields).items()
    layout = encoded.fields[name].layout()
    torch.manual_seed(0)
    batch = encoded.feed(np.arange(ROWS)).batch(torch.arange(ROWS))
    changed = nn.Sequential(*(part.build(layout) for part in parts))(batch.inputs[name])
    return {key: value.tolist() for key, value in changed.items()}


def plan(raw: Mapping[str, Any]) -> Any:
    """Steps, batch size, device: what was decided, without what was measured."""
    (member,) = fitted(raw).plan.members
    return [member.steps, member.batch_size, member.seconds, member.device]


def tried(raw: Mapping[str, Any]) -> Any:
    """What the step plan came to, or why there is none."""
    (member,) = fitted(raw).plan.members
    return [(trial.name, trial.reason) for trial in member.trials]


def memory(raw: Mapping[str, Any]) -> Any:
    """What a training step needs."""
    from trueweight.api.needs import members_of

    return members_of(prepared(raw))


def events(raw: Mapping[str, Any]) -> Any:
    """What changed the course of training."""
    return fitted(raw).members[0].events


def climbs(raw: Mapping[str, Any]) -> Any:
    """What became of members that climb."""
    return fitted(raw).climbs


def chosen_by(raw: Mapping[str, Any]) -> Any:
    """The number by which steps and members are chosen."""
    from trueweight.train.selection import run_truths, selection_score

    ready = prepared(raw)
    rows = ready.split.validation
    truths = {name: truth.take(rows) for name, truth in run_truths(ready.signature, ready.table, None).items()}
    return selection_score(ready.spec, ready.signature, fitted(raw).predictor.predict(ready.table.take(rows)), truths)


def card(raw: Mapping[str, Any]) -> Any:
    """The model card."""
    from trueweight.bundle.card import model_card
    from trueweight.evidence.record import Evidence

    ready = prepared(raw)
    return model_card(ready.spec, ready.signature, Evidence(()))


def judged(raw: Mapping[str, Any]) -> Any:
    """Rows to judge by."""
    from trueweight.evaluate.judging import judged_cases

    return judged_cases(prepared(raw), "test").tolist()


def scores(raw: Mapping[str, Any]) -> Any:
    """Scores with their intervals."""
    from trueweight.evaluate.judging import Training, judging_of
    from trueweight.evaluate.measure import measure
    from trueweight.evaluate.quality import Ask
    from trueweight.evidence.record import Data
    from trueweight.train.build import fit

    ready = prepared(raw)
    rows = ready.split.test
    cluster = None if ready.cluster_N is None else ready.cluster_N[rows]
    ask = Ask(ready.spec.evaluate, 0, Data("sha256:0", "test"), min_group=ready.spec.bundle.min_group)
    table = ready.table.take(rows)
    judging = judging_of(fit(ready, None, None).predictor, table, ask, cluster, Training(ready, rows))
    entries = [e for e in measure(judging, {}, np.zeros(len(rows), bool)) if e.axis != "cost"]
    return [(e.id, e.value, e.interval and (e.interval.low, e.interval.high)) for e in entries]


def attacked(raw: Mapping[str, Any]) -> Any:
    """What an attack finds."""
    from trueweight.evaluate.attack import attacks
    from trueweight.evaluate.judging import judging_of
    from trueweight.evaluate.quality import Ask
    from trueweight.evidence.record import Data
    from trueweight.train.build import fit

    ready = prepared(raw)
    ask = Ask(ready.spec.evaluate, 0, Data("sha256:0", "test"))
    found = attacks(judging_of(fit(ready, None, None).predictor, ready.table.take(ready.split.test), ask))
    return [(e.id, e.value) for e in found]


def misworded(raw: Mapping[str, Any]) -> Any:
    """What an attack on words finds."""
    from trueweight.evaluate.attack_texts import text_attacks
    from trueweight.evaluate.judging import judging_of
    from trueweight.evaluate.quality import Ask
    from trueweight.evidence.record import Data
    from trueweight.train.build import fit

    ready = prepared(raw)
    ask = Ask(ready.spec.evaluate, 0, Data("sha256:0", "test"))
    found = text_attacks(judging_of(fit(ready, None, None).predictor, ready.table.take(ready.split.test), ask))
    return [(e.id, e.value) for e in found]


def baselines(raw: Mapping[str, Any]) -> Any:
    """The simple models beside ours."""
    from trueweight.evaluate.baselines import fit_baselines

    return list(fit_baselines(prepared(raw)))


def bundled(raw: Mapping[str, Any]) -> Any:
    """The bundle's name and its golden rows."""
    from trueweight import api

    bundle = api.train(claims(), spec=raw)
    golden = bundle.loaded.golden
    assert golden is not None
    return [bundle.path.name, golden.files()]


def read(raw: Mapping[str, Any]) -> Any:
    """The rows that are read from files."""
    from trueweight.api.request import read_source

    table, labels = read_source(parse_spec(raw), None, Path.cwd())
    return [table.data.to_pylist(), labels]


def media_folder(raw: Mapping[str, Any]) -> Any:
    """Where paths in cells start."""
    from trueweight.api.request import read_source

    return read_source(parse_spec(raw), None, Path.cwd())[0].media_dir


def energy(raw: Mapping[str, Any]) -> Any:
    """How the energy of no work at all was found, and as what it is told."""
    from trueweight.evidence.energy import EnergyMeter

    with EnergyMeter(parse_spec(raw).evaluate.energy, root=Path("nowhere"), nvml="") as meter:
        found = meter.lap("train")
    return [(e.id, e.reason, e.method and {**e.method.parameters, "cpu_seconds": 0}) for e in found]


def rulings(raw: Mapping[str, Any]) -> Any:
    """What becomes of the rules, held against evidence that is always the same."""
    from trueweight.evaluate.gates import judge_gates
    from trueweight.evidence.record import Data, Entry, Evidence, Interval

    def fact(axis: str, metric: str, value: float, role: str, slice: str | None = None, target: Any = "fraud") -> Entry:
        ends, place = Interval(value - 0.1, value + 0.1, 0.95, "bootstrap"), f"{axis}/{target}/{metric}/{role}/{slice}"
        return Entry(id=place, axis=axis, metric=metric, target=target, value=value, interval=ends, n=9, slice=slice,
                     data=Data("sha256:0", role))  # fmt: skip

    facts = [fact("quality", "f1", 0.7, "test"), fact("quality", "accuracy", 0.8, "test"),
             fact("quality", "f1", 0.5, "test", "north"), fact("quality", "f1", 0.6, "validation"),
             fact("slices", "f1", 0.4, "test"), fact("quality", "f1", 0.3, "test", target="cost")]  # fmt: skip
    facts += [replace(fact("comparison", "f1", value, "test"), id=f"comparison/fraud/f1/{rival}")
              for rival, value in (("linear", 0.2), ("constant", 0.0))]  # fmt: skip
    facts += [Entry(id=f"{axis}/flag", axis=axis, metric="flag", value=value, reason="found")
              for axis, value in (("drift", 0), ("honesty", 1))]  # fmt: skip
    return [str(ruling) for ruling in judge_gates(parse_spec(raw).gates, Evidence(tuple(facts)))]


def searched(raw: Mapping[str, Any]) -> Any:
    """What a search would try."""
    from trueweight.tune.asked import space_of

    return space_of(parse_spec(raw), prepared(raw).spec, 32).choices


def spec(raw: Mapping[str, Any]) -> Any:
    """Whether it is a spec at all."""
    return parse_spec(raw).model_dump(mode="json")


# --- The table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """Two values of one key, and where the difference shows."""

    path: str
    """Where in a spec, its steps between slashes."""
    first: Any
    second: Any
    see: Callable[[Mapping[str, Any]], Any]
    base: Mapping[str, Any]
    refused: bool = False
    """Whether the second one may be refused: then the refusal is the difference."""

    def outcome(self, value: Any) -> Any:
        raw = merged(BASE, merged(self.base, put(self.path, value)))
        try:
            return self.see(raw)
        except TrueweightError as error:
            if not self.refused:
                raise
            return str(error)


def change(path: str, first: Any, second: Any, see: Any, refused: bool = False, **base: Any) -> Change:
    return Change(path, first, second, see, base, refused)


def on_text(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    """A change of a column that is to be written."""
    target = {"type": "text", "decoder": {"type": "lstm", "width": 8}, "max_tokens": 8} | fixed
    target.pop(key, None)
    return change(f"targets/note/{key}", first, second, spoken, targets={"note": target, "fraud": "binary"})


def on_decoder(name: str, key: str, first: Any, second: Any, **fixed: Any) -> Change:
    """A change of the decoder."""
    small = {"width": 8, "heads": 2} if name == "transformer" else {"width": 8}
    decoder = {"type": name, **fixed, **{k: v for k, v in small.items() if k != key or name == "transformer"}}
    decoder.pop(key, None)
    target = {"type": "text", "decoder": decoder, "max_tokens": 8}
    return change(f"targets/note/decoder/{key}", first, second, spoken, targets={"note": target, "fraud": "binary"})


def on_numbers(path: str, first: Any, second: Any, see: Any = answers, **base: Any) -> Change:
    """A change seen on a target that is a number, trained by gradients."""
    return Change(path, first, second, see, {**SMALL, "targets": {"cost": {"type": "number"}}, **base})


def on_target(name: str, kind: str, key: str, first: Any, second: Any, see: Any = answers, **fixed: Any) -> Change:
    """A change of a target's own option; the target is alone and trained by gradients."""
    return Only(f"targets/{name}/{key}", first, second, see, {**SMALL, "targets": {name: {"type": kind, **fixed}}})


class Only(Change):
    """Without the target that every other row has."""

    def outcome(self, value: Any) -> Any:
        base = {key: part for key, part in BASE.items() if key != "targets"}
        try:
            return self.see(merged(base, merged(self.base, put(self.path, value))))
        except TrueweightError as error:
            return str(error)


def on_mlp(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    base = merged(SMALL, {"model": {"encoder": fixed}})
    return Change(f"model/encoder/{key}", first, second, answers, base)


def on_trees(
    key: str, first: Any, second: Any, see: Callable[[Mapping[str, Any]], Any] | None = None, **fixed: Any
) -> Change:
    """Boosted trees of a few rounds."""
    asked = {"name": "a", "encoder": "columns", "fusion": "concat"}
    fitter = {"type": "boosting", "rounds": 12, "min_leaf_rows": 3, "leaves": 8, **fixed}
    values = [[{**asked, "fitter": {**fitter, key: value}}] for value in (first, second)]
    return change("model/members", *values, see or answers)


def weights(raw: Mapping[str, Any]) -> Any:
    """Members and their shares of the blend, and members that have none."""
    found = fitted(raw)
    return [*((member.name, member.weights) for member in found.members), found.left_out]


def rounds(raw: Mapping[str, Any]) -> Any:
    """Trees that were grown."""
    return fitted(raw).members[0].steps


def on_realmlp(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    small = {"type": "realmlp", "hidden_sizes": [8, 8], "dropout": 0.0}
    base = merged(SMALL, {"model": {"encoder": small}}) | {"model": {"encoder": {**small, **fixed}}}
    return Change(f"model/encoder/{key}", first, second, answers, base)


def on_optimizer(kind: str, key: str, first: Any, second: Any, **fixed: Any) -> Change:
    base = merged(SMALL, {"train": {"optimizer": {"type": kind, "learning_rate": 0.1, **fixed}}})
    return Change(f"train/optimizer/{key}", first, second, answers, base)


def on_steps(encoder: str, key: str, first: Any, second: Any, **fixed: Any) -> Change:
    """A change of an encoder that reads series."""
    base = merged(SMALL, {"features": {"wave": {"type": "timeseries"}, "size": "ignore", "kind": "ignore"}})
    base["features"]["wave"]["encoder"] = {"type": encoder, **fixed}
    return Change(f"features/wave/encoder/{key}", first, second, answers, base)


def on_recurrent(kind: str) -> dict[str, Change]:
    small = {"hidden_size": 4}
    deep = {**small, "layers": 2}
    return {
        f"encoder.{kind}.hidden_size": on_steps(kind, "hidden_size", 3, 4),
        f"encoder.{kind}.layers": on_steps(kind, "layers", 1, 2, **small),
        f"encoder.{kind}.bidirectional": on_steps(kind, "bidirectional", False, True, **small),
        f"encoder.{kind}.dropout": on_steps(kind, "dropout", 0.0, 0.5, **deep),
        f"encoder.{kind}.embedding_size": on_steps(kind, "embedding_size", None, 3, **small),
        f"encoder.{kind}.pooling": on_steps(kind, "pooling", "last", "max", **small),
    }


def on_augment(kind: str, column: str, type: str, key: str, first: Any, second: Any) -> Change:
    """A change of an augmentation of a column."""
    base = merged(SMALL, {"features": {column: {"type": type}, "size": "ignore", "kind": "ignore"}})
    parts = [[{"type": kind, key: value}] for value in (first, second)]
    return Change(f"features/{column}/augment", *parts, answers, base)


def on_attack(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    """A change of the attack on a number that a small network answers."""
    base = merged(SMALL, {"targets": {"cost": {"type": "number"}}, "features": {"comma": "number"}})
    base["evaluate"] = {"robustness": {"attack": {"radius": 0.2, "steps": 3, **fixed}}}
    return Change(f"evaluate/robustness/attack/{key}", first, second, attacked, base)


def on_words(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    """A change of the attack on words that a linear model reads."""
    base = merged(SMALL, {"targets": {"cost": {"type": "number"}}, "features": {"note": "text"}})
    base["evaluate"] = {"robustness": {"text_attack": {"words": 1, **fixed}}}
    return Change(f"evaluate/robustness/text_attack/{key}", first, second, misworded, base)


class OnSense(Change):
    """A change of an encoder that reads a sense, or of a fusion, built by itself."""

    def outcome(self, value: Any) -> Any:
        return self.see({**self.base, self.path: value})


def built(raw: Mapping[str, Any]) -> Any:
    """What an encoder of a small picture, or a fusion of two encodings, gives while training, and what it keeps."""
    import torch

    from trueweight.data.column import Sense
    from trueweight.data.field import Layout
    from trueweight.nn.encoding import Encoding, Form

    kept: set[tuple[int, ...]] = set()
    note = lambda t: kept.add((t.untyped_storage().data_ptr(), t.numel())) or t  # type: ignore[func-returns-value] # noqa: E731
    torch.manual_seed(0)
    if raw["kind"] == "fusion":
        module = registry("fusion")[raw["type"]].model_validate({k: v for k, v in raw.items() if k != "kind"})
        module = module.build({"a": Form(3), "b": Form(4, grid_rank=1)})
        given = [{"a": Encoding(torch.randn(6, 1, 3)), "b": Encoding(torch.randn(6, 5, 4), None, (5,))}, 6]
    else:
        pixel = Sense(grid=(16, 12), mean=(0.5,) * 3, std=(0.2,) * 3)
        module = registry("encoder")[raw["type"]].model_validate({k: v for k, v in raw.items() if k != "kind"})
        module = module.build(Layout({"pixel": 3}, senses={"pixel": pixel}))
        given = [{"pixel": torch.randint(0, 256, (6, 16, 12, 3), dtype=torch.uint8)}]
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        z = module(*given)
    return [z.tokens_BLD.tolist(), sum(p.numel() for p in module.parameters()), len(kept)]


def on_sense(kind: str, name: str, key: str, first: Any, second: Any, **fixed: Any) -> Change:
    return OnSense(key, first, second, built, {"kind": kind, "type": name, **fixed})


def on_transformer(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    small = {"width": 16, "layers": 2, "heads": 2, "dropout": 0.0}
    return on_sense("encoder", "transformer", key, first, second, **{**small, **fixed})


def on_conformer(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    small = {"width": 16, "layers": 2, "heads": 2, "dropout": 0.0}
    return on_sense("encoder", "conformer", key, first, second, **{**small, **fixed})


def read_off(raw: Mapping[str, Any]) -> Any:
    """What is learnt from texts for a decoder that reads them off steps, its loss, and what it reads off."""
    import torch

    from trueweight.data.cells import ReadOptions
    from trueweight.data.sample import BottomK
    from trueweight.nn.decoding import GREEDY
    from trueweight.nn.encoding import Encoding, Form

    part: Any = registry("head")["text"].model_validate(
        {"type": "text", "tokens": "characters", "beams": 4, "decoder": {k: v for k, v in raw.items() if k != "kind"}}
    )
    texts = pa.chunked_array([pa.array(["abab", "ab ba"] * 12)])
    cells = part.read(texts, ReadOptions())
    learnt = part.learn(cells, np.arange(24), BottomK.of(np.arange(24)), name="y")
    torch.manual_seed(0)
    head = part.build(Form(12, grid_rank=1), learnt)
    with torch.no_grad():
        head.linear.weight.mul_(3.0)
    z = Encoding(torch.randn(24, 9, 12), None, (9,))
    token = torch.full((24, 2, 1), 5)
    token[:, 1] = 6
    y = {"token": token, "token.length": torch.full((24,), 2), "whole": torch.ones(24, dtype=torch.bool)}
    said = head.eval().outputs(z, GREEDY, {})["token"].tolist()
    return [said, head.train().loss(z, y, None, torch.Generator()).item()]


def on_ctc(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    return OnSense(key, first, second, read_off, {"kind": "decoder", "type": "ctc", **fixed})


def on_resnet(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    return on_sense("encoder", "resnet", key, first, second, **fixed)


def on_joined(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    return on_sense("fusion", "transformer", key, first, second, **{"width": 16, "dropout": 0.0, **fixed})


def with_files(path: str, first: Any, second: Any, refused: bool = False, **base: Any) -> Change:
    fixed = merged({"data": {"source": "a.csv"}, "features": {}}, base)
    return Change(path, first, second, read, {**fixed, "other_features": "guess"}, refused)


TINY = {"type": "transformer", "width": 8, "layers": 1, "heads": 2, "dropout": 0.0, "input_norm": False}


def on_masked(key: str, first: Any, second: Any, see: Callable[[Mapping[str, Any]], Any]) -> Change:
    """A change of a text with gaps."""
    fixed = {} if key == "encoder" else {"encoder": TINY}
    base = {**SMALL, "features": {"size": "ignore", "kind": "ignore"}, "targets": {"note": {"type": "masked", **fixed}}}
    return Only(f"targets/note/{key}", first, second, see, base)


@cache
def lent() -> Any:
    """What a small model that fills gaps in the notes lends."""
    from trueweight.train.starting import bodies_in

    asked = {**SMALL, "other_features": "ignore"}
    asked |= {"targets": {"note": {"type": "masked", "encoder": {**TINY, "layers": 2}}}}
    return bodies_in(fitted(asked).predictor, digest="sha256:0", origin="older.bundle")


def started(raw: Mapping[str, Any]) -> Any:
    """The answers of a model that began with it, and what of it learnt."""
    from trueweight.train.build import fit
    from trueweight.train.prepare import prepare

    found = fit(prepare(claims(), parse_spec(raw), lent=lent()), None, None, lent())
    columns = found.predictor.predict(claims())["fraud"].columns("fraud")
    return [found.started[0].trained, {name: values.tolist() for name, values in columns.items()}]


def on_start(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    base = merged(SMALL, {"features": {"note": "text"}, "model": {"start_from": {"source": "older.bundle", **fixed}}})
    return Change(f"model/start_from/{key}", first, second, started, base)


OWN = {"encoder": {"type": "linear"}}
LONG = {"type": "grouped", "case": "who"}
SERIES = {"features": {"walk": {"type": "timeseries"}}}
WAVE = {"features": {"wave": {"type": "timeseries", "encoder": {"type": "lstm", "hidden_size": 3}}}}
TIME = {"split": {"method": "time", "time_column": "time"}}
LATE = {"from": "2024-03-15"}
MEMBER = {"name": "a", "encoder": "linear", "fusion": "concat", "fitter": "solve"}


def member(**options: Any) -> list[dict[str, Any]]:
    return [merged(MEMBER, options)]


def encoder_of(column: str, kind: str) -> Change:
    features = {"features": {column: {"type": kind}}}
    return change(f"features/{column}/encoder", None, {"type": "linear"}, fields, **merged(SMALL, features))


def on_note(key: str, first: Any, second: Any, see: Any = answers, **fixed: Any) -> Change:
    """A change of a column of texts; the model is linear and solved."""
    return change(f"features/note/{key}", first, second, see, features={"note": {"type": "text", **fixed}})


CARBON = {"grams_per_kwh": 380, "source": "an agency", "year": 2024}


def on_energy(key: str, first: Any, second: Any) -> Change:
    return change(f"evaluate/energy/{key}", first, second, energy)


def on_gate(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    """A change of one rule."""
    rule = {"target": "fraud", "metric": "f1", "at_least": 0.55, **fixed}
    targets = {"targets": {"fraud": {"type": "binary"}, "cost": {"type": "number"}}}
    return change("gates", *([{**rule, key: value}] for value in (first, second)), rulings, **targets)


def on_range(key: str, first: Any, second: Any) -> Change:
    """A change of a range of values to search."""
    name = "train.batch_size"
    space = {"low": 2, "high": 9} | {key: first}
    base = {**SMALL, "tune": {"search_space": {name: space}}}
    return change(f"tune/search_space/{name}/{key}", first, second, searched, **base)


def on_gate_of_checks(key: str, first: Any, second: Any) -> Change:
    return change("gates", [{key: first}], [{key: second}], rulings)


def on_bag(key: str, first: Any, second: Any) -> Change:
    encoder = {"type": "bag", "width": 4, "hidden_sizes": [4], "dropout": 0.0, "ngram_dropout": 0.0}
    features = {"features": {"note": {"type": "text", "encoder": encoder}}}
    return Change(f"features/note/encoder/{key}", first, second, answers, merged(SMALL, features))


def on_photo(key: str, first: Any, second: Any, see: Any) -> Change:
    photo = {"features": {"photo": {"type": "image"}}}
    return change(f"features/photo/{key}", first, second, see, **merged(SMALL, photo))


def on_pixels(kind: str, key: str, first: Any, second: Any, see: Any = augmented) -> Change:
    features = {"features": {"photo": {"type": "image"}, "size": "ignore", "kind": "ignore"}}
    ways = [[{"type": kind, key: value}] for value in (first, second)]
    return change("features/photo/augment", *ways, see, **merged(SMALL, features))


def on_signs(kind: str, key: str, first: Any, second: Any) -> Change:
    """Where the target tells pictures from their mirror images."""
    left_out: dict[str, Any] = {"size": "ignore", "kind": "ignore"}
    base = {**SMALL, "features": {"sign": {"type": "image"}, **left_out}, "targets": {"shows": {"type": "category"}}}
    ways = [[{"type": kind, key: value}] for value in (first, second)]
    return Change("features/sign/augment", *ways, augmented, base)


def on_clip(key: str, first: Any, second: Any, see: Any) -> Change:
    features = {"features": {"clip": {"type": "audio"}}}
    return change(f"features/clip/{key}", first, second, see, **merged(SMALL, features))


def encoded(raw: Mapping[str, Any]) -> Any:
    """The arrays of the first column alone."""
    from trueweight.train.encoded import encode

    found = encode(prepared(raw), keep=False)
    return {name: t.value_MC.tolist() for name, t in next(reversed(found.inputs.values())).items() if name == "frame"}


def on_frames(kind: str, key: str, first: Any, second: Any) -> Change:
    features = {"features": {"clip": {"type": "audio"}}}
    ways = [[{"type": kind, key: value}] for value in (first, second)]
    return change("features/clip/augment", *ways, augmented, **merged(SMALL, features))


def on_cnn(key: str, first: Any, second: Any, **fixed: Any) -> Change:
    encoder = {"type": "cnn", "channels": [4, 6], **fixed}
    photo = {"features": {"photo": {"type": "image", "augment": [], "encoder": encoder}}}
    return change(f"features/photo/encoder/{key}", first, second, answers, **merged(SMALL, photo))


def pixels(raw: Mapping[str, Any]) -> Any:
    """Pictures as the model reads them."""
    from trueweight.train.encoded import encode

    found = encode(prepared(raw), keep=False)
    return [t.tolist() for arrays in found.inputs.values() for name, t in arrays.items() if name == "pixel"]


def on_preparation(first: Any, second: Any) -> Change:
    photo = {"features": {"photo": {"type": "image", "size": 8}}}
    return change("features/photo/preparation", first, second, pixels, **merged(SMALL, photo))


def on_resizing(first: Any, second: Any) -> Change:
    photo = {"features": {"photo": {"type": "image", "size": 16, "augment": [], "encoder": {"type": "cnn"}}}}
    return change("features/photo/progressive_resizing", first, second, answers, **merged(SMALL, photo))


def on_clip_cnn(key: str, first: Any, second: Any) -> Change:
    clip = {"features": {"clip": {"type": "audio", "augment": [], "encoder": {"type": "cnn", "channels": [4, 6]}}}}
    return change(f"features/clip/encoder/{key}", first, second, answers, **merged(SMALL, clip))


TWO = {**SMALL, "targets": {"fraud": {"type": "binary"}, "cost": {"type": "number"}}}

# So fast and so long that validation scores get worse.
OVERFITTING = merged(SMALL, {"train": {"budget": {"steps": 60}, "lr_schedule": {"decay": 0.1},
                                       "optimizer": {"learning_rate": 1.0}}})  # fmt: skip

CHANGES: dict[str, Change] = {
    "version": change("version", 1, 2, spec, refused=True),
    "name": change("name", "one", "two", bundled),
    "seed": change("seed", 0, 1, split),
    "data.source": with_files("data/source", "a.csv", "b.csv"),
    "data.format": with_files("data/format", "csv", "jsonl", refused=True),
    "data.chunks": with_files("data/chunks", None, {"by": "lines"}),
    "data.chunks.by": with_files("data/chunks", {"by": "lines"}, {"by": "paragraph"}),
    "data.chunks.size": with_files("data/chunks", {"by": "lines"}, {"by": "lines", "size": 2}),
    "data.delimiter": with_files("data/delimiter", ",", "|", data={"source": "both.csv"}),
    "data.encoding": with_files("data/encoding", "utf-8", "latin-1"),
    "data.media_dir": replace(with_files("data/media_dir", None, "photos"), see=media_folder),
    "data.missing_values": change("data/missing_values", ["theft"], ["fire"], signature),
    "data.decimal_comma": change("data/decimal_comma", True, False, signature, features={"comma": {"type": "number"}}),
    "data.primary_key": change("data/primary_key", None, "customer", signature),
    "data.sample_weight": change("data/sample_weight", None, "weight", answers),
    "data.max_bad_rows": with_files("data/max_bad_rows", 0.5, 0, refused=True, data={"source": "bad.csv"}),
    "data.drop_duplicates": change("data/drop_duplicates", False, True, split),
    "data.cases.type": with_files("data/cases", {}, LONG, data={"source": "long.csv"}),
    "data.cases.case": with_files("data/cases/case", "who", "step", refused=True,
                                  data={"source": "long.csv", "cases": LONG}),
    "data.cases.time": with_files("data/cases/time", None, "step", data={"source": "long.csv", "cases": LONG}),
    "data.cases.channels": with_files("data/cases/channels", [], ["step", "size"],
                                      data={"source": "long.csv", "cases": LONG}),
    "data.cases.series": with_files("data/cases/series", None, ["size", "kind"],
                                    data={"source": "long.csv", "cases": LONG}),
    "split.method": change("split/method", "random", "stratified", split),
    "split.validation": change("split/validation", 0.2, 0.3, split),
    "split.validation.from": change("split/validation/from", "2024-02-01", "2024-02-20", split,
                                    split={**TIME["split"], "test": LATE}),
    "split.test": change("split/test", 0.2, 0.3, split),
    "split.test.from": change("split/test/from", "2024-03-10", "2024-03-20", split, **TIME),
    "split.group": change("split/group", "customer", "other", split),
    "split.time_column": change("split/time_column", None, "time", split),
    "split.gap": change("split/gap", None, "10d", split, **TIME),
    "split.column": change("split/column", None, "part", split),
    "split.validation_source": with_files("split/validation_source", None, "b.csv", split={"test_source": "b.csv"}),
    "split.test_source": with_files("split/test_source", None, "b.csv"),
    "features": change("features", {"flag": "binary"}, {"flag": "category", "size": "number"}, signature),
    "other_features": change("other_features", "ignore", "guess", signature),
    "targets": change("targets/cost", {"type": "number"}, {"type": "number", "transform": "log1p"}, answers),
    "model.preset": change("model/preset", "fast", "standard", resolved),
    "model.encoder": change("model/encoder", None, "mlp", resolved),
    "model.fusion": change("model/fusion", None, "doubled", answers, **SMALL),
    "model.start_from": change("model/start_from", None, "nowhere", bundled, refused=True),
    "model.start_from.source": change("model/start_from/source", "nowhere", "elsewhere", bundled, refused=True),
    "model.start_from.train": on_start("train", "whole", "frozen"),
    "model.start_from.layers": on_start("layers", 1, 2, train="last_layers"),
    "model.start_from.rank": on_start("rank", 1, 3, train="lora"),
    "model.start_from.alpha": on_start("alpha", 1.0, 9.0, train="lora"),
    "model.boosting": change("model/boosting", False, True, resolved),
    "model.members": change("model/members", None, [MEMBER, {**MEMBER, "name": "b"}], resolved),
    "model.members.name": change("model/members", member(name="a"), member(name="b"), resolved),
    "model.members.encoder": change("model/members", member(encoder={"type": "linear"}),
                                    member(encoder={"type": "linear", "max_width": 2}), answers),
    "model.members.fusion": change("model/members", member(fitter="gradient"),
                                   member(fitter="gradient", fusion="doubled"), answers, train=SMALL["train"]),
    "model.members.encoders": change("model/members", member(), member(encoders={"note": "linear"}), fields,
                                     features={"note": {"type": "text", "encoder": "bag"}}),
    "model.members.climbs": change("model/members", [MEMBER, {**MEMBER, "name": "b"}],
                                   [MEMBER, {**MEMBER, "name": "b", "climbs": True}], climbs),
    "model.members.fitter": change("model/members", member(), member(fitter="gradient"), answers, train=SMALL["train"]),
    "model.members.left_out": change("model/members", [MEMBER, {**MEMBER, "name": "b"}],
                                     [MEMBER, {**MEMBER, "name": "b", "left_out": "too slow"}], weights),
    "train.budget.time": change("train/budget/time", "50s", "60s", plan, **SMALL),
    "train.budget.steps": change("train/budget/steps", 8, 9, plan, **SMALL),
    "train.budget.epochs": change("train/budget/epochs", 1, 2, plan, **SMALL),
    "train.budget.memory": change("train/budget/memory", None, "1KB", plan, refused=True, **SMALL),
    "train.selection_metric": change("train/selection_metric", None, {"target": "fraud", "metric": "roc_auc"},
                                     chosen_by, **TWO),
    "train.selection_metric.target": change("train/selection_metric", {"target": "fraud", "metric": "log_loss"},
                                            {"target": "cost", "metric": "rmse"}, chosen_by, **TWO),
    "train.selection_metric.metric": change("train/selection_metric", {"target": "fraud", "metric": "log_loss"},
                                            {"target": "fraud", "metric": "brier_score"}, chosen_by, **TWO),
    "train.batch_size": change("train/batch_size", 8, 16, plan, **SMALL),
    "train.accumulate": change("train/accumulate", 1, 4, memory, **SMALL),
    "train.optimizer": change("train/optimizer/type", "sgd", "adam", answers, **SMALL),
    "train.lr_schedule.type": change("train/lr_schedule/type", "warmup_stable_decay", "cosine", spec, refused=True),
    "train.lr_schedule.warmup": change("train/lr_schedule/warmup", 0.0, 0.5, answers, **SMALL),
    "train.lr_schedule.decay": change("train/lr_schedule/decay", 0.0, 0.5, answers, **SMALL),
    "train.max_grad_norm": change("train/max_grad_norm", 0.01, 100.0, answers, **SMALL),
    "train.early_stopping": change("train/early_stopping", None, {"patience": 1}, events, **OVERFITTING),
    "train.early_stopping.patience": change("train/early_stopping/patience", 1, 1000, events, **OVERFITTING),
    "train.device": change("train/device", "cpu", "mps", plan, refused=True, **SMALL),
    "train.step_plan": change("train/step_plan", "auto", "off", tried, **SMALL),
    "evaluate.metrics": change("evaluate/metrics/fraud", ["accuracy"], ["roc_auc"], scores),
    "evaluate.interval.level": change("evaluate/interval/level", 0.5, 0.9, scores),
    "evaluate.interval.method": change("evaluate/interval/method", "auto", "bootstrap", scores),
    "evaluate.interval.n_resamples": change("evaluate/interval/n_resamples", 100, 200, scores),
    "evaluate.interval.cluster": change("evaluate/interval/cluster", None, "other", scores),
    "evaluate.checks": change("evaluate/checks", ["calibration"], [], scores, split={"test": 0.4}),
    "evaluate.conformal": change("evaluate/conformal", {"coverage": 0.9}, None, answers, targets={"cost": "number"}),
    "evaluate.conformal.method": change(
        "evaluate/conformal/method", "split", "conditional", answers, split={"validation": 0.6, "test": 0.1}
    ),
    "evaluate.calibration": change(
        "evaluate/calibration", {"fraud": "none"}, {"fraud": "beta"}, answers, split={"validation": 0.6, "test": 0.1}
    ),
    "evaluate.conformal.coverage": change("evaluate/conformal/coverage", 0.5, 0.8, answers, targets={"cost": "number"}),
    "evaluate.slices": change("evaluate/slices", [], ["kind"], scores, bundle={"min_group": 1}),
    "evaluate.slices.column": change("evaluate/slices", [{"column": "size", "bins": [0]}],
                                     [{"column": "weight", "bins": [0]}], scores, bundle={"min_group": 1}),
    "evaluate.slices.bins": change("evaluate/slices", [{"column": "size", "bins": [0]}],
                                   [{"column": "size", "bins": [0, 1]}], scores, bundle={"min_group": 1}),
    "evaluate.sensitive": change("evaluate/sensitive", None, {"columns": ["flag"], "min_group": 1}, scores),
    "evaluate.sensitive.columns": change("evaluate/sensitive", {"columns": ["flag"], "min_group": 1},
                                         {"columns": ["kind"], "min_group": 1}, scores, bundle={"min_group": 1}),
    "evaluate.sensitive.min_group": change("evaluate/sensitive", {"columns": ["flag"], "min_group": 1},
                                           {"columns": ["flag"], "min_group": 50}, scores, bundle={"min_group": 1}),
    "evaluate.energy.meter": on_energy("meter", None, "plug.csv"),
    "evaluate.energy.watts": on_energy("watts", None, [3, 50]),
    "evaluate.energy.carbon": on_energy("carbon", None, CARBON),
    "evaluate.energy.carbon.grams_per_kwh": on_energy("carbon", CARBON, {**CARBON, "grams_per_kwh": 20}),
    "evaluate.energy.carbon.source": on_energy("carbon", CARBON, {**CARBON, "source": "another agency"}),
    "evaluate.energy.carbon.year": on_energy("carbon", CARBON, {**CARBON, "year": 2020}),
    "evaluate.robustness.attack": change("evaluate/robustness/attack", None, {"radius": 0.1}, attacked),
    "evaluate.robustness.attack.norm": on_attack("norm", "linf", "l2"),
    "evaluate.robustness.attack.radius": on_attack("radius", 0.1, 0.3),
    "evaluate.robustness.attack.steps": on_attack("steps", 1, 4, norm="l2", radius=3.0),
    "evaluate.robustness.attack.restarts": on_attack("restarts", 1, 3, steps=1, radius=3.0, norm="l2"),
    "evaluate.robustness.text_attack": change("evaluate/robustness/text_attack", None, {"words": 1}, misworded,
                                               features={"note": "text"}),
    "evaluate.robustness.text_attack.words": on_words("words", 1, 3),
    "evaluate.robustness.text_attack.changes": on_words("changes", ["delete"], ["swap"]),
    "evaluate.written_rows": change("evaluate/written_rows", None, 10, judged,
                                    targets={"note": {"type": "text", "decoder": {"type": "lstm", "width": 8}}}),
    "evaluate.learning_curve": change("evaluate/learning_curve", False, True, scores,
                                      features={"note": {"type": "text"}}),
    "evaluate.baselines": change("evaluate/baselines", ["constant"], ["gbdt"], baselines),
    "tune.search_space": change("tune/search_space", {"train.batch_size": [8, 16]}, {"train.batch_size": [8, 32]},
                                searched, **SMALL),
    "tune.search_space.low": on_range("low", 2, 3),
    "tune.search_space.high": on_range("high", 9, 8),
    "tune.search_space.log": on_range("log", False, True),
    "tune.other_fields": change("tune/other_fields", "search", "keep", searched,
                                **SMALL, tune={"search_space": {"train.batch_size": [8, 16]}}),
    "gates.name": on_gate("name", "", "our first rule"),
    "gates.target": on_gate("target", "fraud", "cost"),
    "gates.metric": on_gate("metric", "f1", "accuracy"),
    "gates.slice": on_gate("slice", None, "north"),
    "gates.axis": on_gate("axis", "quality", "slices"),
    "gates.role": on_gate("role", "test", "validation"),
    "gates.at_least": on_gate("at_least", 0.5, 0.65),
    "gates.at_most": on_gate("at_most", 0.9, 0.75, at_least=None),
    "gates.better_than": on_gate("better_than", "linear", "constant", at_least=None),
    "gates.no_flags": on_gate_of_checks("no_flags", "drift", "honesty"),
    "gates.measured": on_gate_of_checks("measured", ["drift"], ["calibration"]),
    "bundle.golden_rows": change("bundle/golden_rows", "synthetic", "real", bundled),
    "bundle.min_group": change("bundle/min_group", 1, 10, signature),
    "card.owner": change("card/owner", "Ann", "Ben", card),
    "card.intended_use": change("card/intended_use", "triage", "billing", card),
    "card.limits": change("card/limits", "not for children", "not for adults", card),
    # Column types
    "column.number.impute": change("features/size/impute", "zero", "mean", signature,
                                   features={"size": {"type": "number"}}),
    "column.number.transform": change("features/size/transform", "none", "signed_log1p", signature,
                                      features={"size": {"type": "number"}}),
    "column.number.unit": change("features/size/unit", "EUR", "kg", card, features={"size": {"type": "number"}}),
    "column.number.decimal_comma": change("features/comma/decimal_comma", True, False, signature,
                                          features={"comma": {"type": "number"}}),
    "column.number.thousands_point": change("features/amount/thousands_point", True, False, signature,
                                            features={"amount": {"type": "number"}}),
    "column.number.encoder": encoder_of("size", "number"),
    "column.binary.encoder": encoder_of("flag", "binary"),
    "column.category.min_frequency": change("features/kind/min_frequency", 1, 20, signature, bundle={"min_group": 1},
                                            features={"kind": {"type": "category"}}),
    "column.category.max_categories": change("features/kind/max_categories", 1, 3, signature,
                                             features={"kind": {"type": "category"}}),
    "column.category.encoder": encoder_of("kind", "category"),
    "column.date.day_first": change("features/day/day_first", True, False, signature,
                                    features={"day": {"type": "date"}}),
    "column.date.encoder": encoder_of("time", "date"),
    "column.vector.width": change("features/place/width", 2, 3, signature, refused=True,
                                  features={"place": {"type": "vector"}}),
    "column.vector.encoder": encoder_of("place", "vector"),
    "column.timeseries.channels": change("features/walk/channels", 2, 3, signature, **SERIES),
    "column.timeseries.max_length": change("features/wave/max_length", None, 3, signature,
                                           features={"wave": {"type": "timeseries"}}),
    "column.timeseries.fill": change("features/wave/fill", "linear", "last", answers, **merged(SMALL, WAVE)),
    "column.timeseries.decimal_comma": change("features/spoken/decimal_comma", True, False, signature,
                                              features={"spoken": {"type": "timeseries"}}),
    "column.timeseries.encoder": encoder_of("wave", "timeseries"),
    "column.timeseries.augment": change("features/wave/augment", [], [{"type": "jitter", "deviation": 0.5}], answers,
                                        **merged(SMALL, WAVE)),
    "column.set.separator": change("features/tags/separator", "|", ";", signature, features={"tags": {"type": "set"}}),
    "column.set.min_frequency": change("features/tags/min_frequency", 1, 30, signature, bundle={"min_group": 1},
                                       features={"tags": {"type": "set"}}),
    "column.set.max_categories": change("features/tags/max_categories", 1, 3, signature,
                                        features={"tags": {"type": "set"}}),
    "column.set.encoder": encoder_of("tags", "set"),
    "column.text.lowercase": on_note("lowercase", True, False),
    "column.text.normalize": on_note("normalize", True, False),
    "column.text.word_ngrams": on_note("word_ngrams", 1, 2),
    "column.text.char_ngrams": on_note("char_ngrams", None, [2, 3]),
    "column.text.max_features": on_note("max_features", 16, 64),
    "column.text.max_ngrams": on_note("max_ngrams", 8, 64),
    "column.text.vocabulary_size": on_note("vocabulary_size", 260, 400, signature, encoder="mlp"),
    "column.text.like": change("features/note/like", None, "kind", signature,
                               features={"note": BY_TOKENS, "kind": BY_TOKENS}),
    "column.text.tokens": on_note("tokens", None, True, signature, encoder="bag"),
    "column.text.max_tokens": on_note("max_tokens", 2, 9, signature, encoder="mlp"),
    "column.text.encoder": on_note("encoder", None, "linear", fields),
    "column.text.augment": on_note("augment", [], ["word_dropout"], augmented),
    "column.audio.sample_rate": on_clip("sample_rate", 4000, 8000, encoded),
    "column.audio.n_mels": on_clip("n_mels", 8, 16, encoded),
    "column.audio.window": on_clip("window", 20.0, 30.0, encoded),
    "column.audio.hop": on_clip("hop", 10.0, 20.0, encoded),
    "column.audio.max_seconds": on_clip("max_seconds", 0.05, 0.1, encoded),
    "column.audio.encoder": on_clip("encoder", None, "linear", fields),
    "column.audio.augment": on_clip("augment", [], ["gain"], augmented),
    "column.image.size": on_photo("size", 8, 12, signature),
    "column.image.encoder": on_photo("encoder", None, "linear", fields),
    "column.image.augment": on_photo("augment", [], ["horizontal_flip"], augmented),
    "column.image.progressive_resizing": on_resizing(None, {}),
    "column.image.preparation": on_preparation(None, {"fit": "stretch"}),
    "column.ignore.reason": change("features/flag/reason", "too late", "not allowed", card,
                                   features={"flag": {"type": "ignore"}}),
    # Target types
    "head.number.unit": on_target("cost", "number", "unit", "EUR", "kg", card),
    "head.number.transform": on_target("cost", "number", "transform", "none", "log1p"),
    "head.number.loss": on_target("cost", "number", "loss", "mse", "mae"),
    "head.number.quantiles": on_target("cost", "number", "quantiles", [0.1, 0.9], [0.3, 0.7],
                                       see=raw_intervals),
    "head.number.huber_delta": on_target("cost", "number", "huber_delta", 0.1, 2.0, loss="huber"),
    "head.number.loss_weight": change("targets/cost/loss_weight", 0.1, 5.0, answers, **TWO),
    "head.binary.positive_class": on_target("fraud", "binary", "positive_class", "yes", "no"),
    "head.binary.class_weight": on_target("fraud", "binary", "class_weight", "none", {"yes": 9.0}),
    "head.binary.loss": on_target("fraud", "binary", "loss", "cross_entropy", "focal"),
    "head.binary.gamma": on_target("fraud", "binary", "gamma", 0.5, 3.0, loss="focal"),
    "head.binary.label_smoothing": on_target("fraud", "binary", "label_smoothing", 0.0, 0.2),
    "head.binary.threshold": on_target("fraud", "binary", "threshold", 0.01, 0.99),
    "head.binary.loss_weight": change("targets/fraud/loss_weight", 0.1, 5.0, answers, **TWO),
    "head.binary.min_class_rows": on_target("fraud", "binary", "min_class_rows", 2, 80),
    "head.masked.encoder": on_masked("encoder", TINY, {**TINY, "layers": 2}, chosen_by),
    "head.masked.share": on_masked("share", 0.2, 0.6, answers),
    "head.masked.vocabulary_size": on_masked("vocabulary_size", 260, 262, signature),
    "head.masked.max_tokens": on_masked("max_tokens", 4, 5, signature),
    "head.masked.loss_weight": on_masked("loss_weight", 0.1, 5.0, chosen_by),
    "head.category.class_weight": on_target("class", "category", "class_weight", "none", "balanced"),
    "head.category.loss": on_target("class", "category", "loss", "cross_entropy", "focal"),
    "head.category.gamma": on_target("class", "category", "gamma", 0.5, 3.0, loss="focal"),
    "head.category.label_smoothing": on_target("class", "category", "label_smoothing", 0.0, 0.2),
    "head.category.first_weights": on_target("class", "category", "first_weights", "usual", "small"),
    "head.category.loss_weight": change("targets/class/loss_weight", 0.1, 5.0, answers,
                                        **merged(TWO, {"targets": {"class": {"type": "category"}}})),
    "head.category.min_class_rows": on_target("class", "category", "min_class_rows", 2, 80),
    "head.set.separator": on_target("topics", "set", "separator", "|", "z"),
    "head.set.loss": on_target("topics", "set", "loss", "cross_entropy", "focal"),
    "head.set.gamma": on_target("topics", "set", "gamma", 0.5, 3.0, loss="focal"),
    "head.set.label_smoothing": on_target("topics", "set", "label_smoothing", 0.0, 0.2),
    "head.set.threshold": on_target("topics", "set", "threshold", 0.01, 0.99),
    "head.set.loss_weight": change("targets/topics/loss_weight", 0.1, 5.0, answers,
                                   **merged(TWO, {"targets": {"topics": {"type": "set"}}})),
    "head.vector.loss": on_target("where", "vector", "loss", "mse", "mae"),
    "head.vector.huber_delta": on_target("where", "vector", "huber_delta", 0.1, 2.0, loss="huber"),
    "head.vector.loss_weight": change("targets/where/loss_weight", 0.1, 5.0, answers,
                                      **merged(TWO, {"targets": {"where": {"type": "vector"}}})),
    # Encoders
    "encoder.columns.max_levels": change(
        "model/members", *([{"name": "a", "encoder": {"type": "columns", "max_levels": most}, "fusion": "concat",
                             "fitter": {"type": "boosting", "min_leaf_rows": 3}}] for most in (1, 9)), answers),
    "encoder.realmlp.hidden_sizes": on_realmlp("hidden_sizes", [8], [8, 8]),
    "encoder.realmlp.dropout": on_realmlp("dropout", 0.0, 0.5),
    "encoder.realmlp.activation": on_realmlp("activation", "selu", "mish"),
    "encoder.realmlp.rate": on_realmlp("rate", 1.0, 10.0),
    "encoder.realmlp.frequencies": on_realmlp("frequencies", 4, 8),
    "encoder.realmlp.sigma": on_realmlp("sigma", 0.1, 0.5),
    "encoder.realmlp.embedding_size": on_realmlp("embedding_size", 3, 5),
    "encoder.realmlp.members": on_realmlp("members", 1, 3),
    "fitter.boosting.rounds": on_trees("rounds", 3, 4, rounds),
    "fitter.boosting.patience": on_trees("patience", 1, 20, rounds, rounds=60, learning_rate=0.5),
    "fitter.boosting.learning_rate": on_trees("learning_rate", 0.05, 0.1),
    "fitter.boosting.leaves": on_trees("leaves", 2, 8),
    "fitter.boosting.depth": on_trees("depth", 1, 8),
    "fitter.boosting.min_leaf_rows": on_trees("min_leaf_rows", 3, 20),
    "fitter.boosting.column_share": on_trees("column_share", 0.5, 1.0),
    "fitter.boosting.l2": on_trees("l2", 0.0, 10.0),
    "encoder.linear.max_width": change("model/encoder/max_width", 2, 100, answers,
                                       model={"encoder": {"type": "linear"}}),
    "encoder.bag.width": on_bag("width", 4, 5),
    "encoder.bag.hidden_sizes": on_bag("hidden_sizes", [4], [4, 4]),
    "encoder.bag.dropout": on_bag("dropout", 0.0, 0.5),
    "encoder.bag.ngram_dropout": on_bag("ngram_dropout", 0.0, 0.5),
    "augmentation.word_dropout.probability": on_note("augment", [{"type": "word_dropout", "probability": 0.1}],
                                                     [{"type": "word_dropout", "probability": 0.9}], augmented),
    "encoder.mlp.hidden_sizes": on_mlp("hidden_sizes", [8], [8, 8]),
    "encoder.mlp.dropout": on_mlp("dropout", 0.0, 0.5),
    "encoder.mlp.activation": on_mlp("activation", "relu", "tanh"),
    "encoder.mlp.normalization": on_mlp("normalization", "none", "layer"),
    "encoder.mlp.residual": on_mlp("residual", False, True),
    "encoder.mlp.initializer": on_mlp("initializer", "kaiming_uniform", "orthogonal"),
    "encoder.mlp.numerical_embedding": on_mlp("numerical_embedding", "piecewise_linear", "periodic"),
    "encoder.mlp.embedding_size": on_mlp("embedding_size", 2, 4),
    "encoder.mlp.category_embedding_size": on_mlp("category_embedding_size", None, 3),
    "encoder.mlp.members": on_mlp("members", 1, 2),
    **on_recurrent("lstm"),
    **on_recurrent("gru"),
    "encoder.chain.parts": on_steps("chain", "parts", ["lstm", "lstm"], ["lstm", "gru"]),
    "encoder.rocket.dilations": on_steps("rocket", "dilations", 1, 2),
    "encoder.rocket.thresholds": on_steps("rocket", "thresholds", 0, 1),
    "encoder.rocket.seed": change("features/walk/encoder/seed", 0, 1, answers, **merged(SMALL, {
        "features": {"walk": {"type": "timeseries", "encoder": {"type": "rocket", "dilations": 1}}}})),
    # Augmentations
    "augmentation.jitter.deviation": on_augment("jitter", "wave", "timeseries", "deviation", 0.1, 0.9),
    "augmentation.scaling.deviation": on_augment("scaling", "wave", "timeseries", "deviation", 0.1, 0.9),
    "encoder.conformer.width": on_conformer("width", 8, 16),
    "encoder.conformer.layers": on_conformer("layers", 1, 2),
    "encoder.conformer.heads": on_conformer("heads", 1, 2),
    "encoder.conformer.hidden": on_conformer("hidden", None, 8),
    "encoder.conformer.kernel_size": on_conformer("kernel_size", 3, 5),
    "encoder.conformer.dropout": on_conformer("dropout", 0.0, 0.5),
    "encoder.conformer.pooling": on_conformer("pooling", "none", "mean"),
    "decoder.ctc.dropout": on_ctc("dropout", 0.0, 0.5),
    "decoder.ctc.ngrams": on_ctc("ngrams", None, 3),
    "decoder.ctc.ngram_weight": on_ctc("ngram_weight", 0.1, 3.0, ngrams=3),
    "decoder.ctc.length_bonus": on_ctc("length_bonus", 0.0, 3.0),
    "encoder.transformer.layout": on_sense("encoder", "transformer", "layout", None, "vit_base_16", layers=1),
    "encoder.transformer.width": on_transformer("width", 8, 16),
    "encoder.transformer.layers": on_transformer("layers", 1, 2),
    "encoder.transformer.heads": on_transformer("heads", 1, 2),
    "encoder.transformer.hidden": on_transformer("hidden", None, 8),
    "encoder.transformer.dropout": on_transformer("dropout", 0.0, 0.5),
    "encoder.transformer.norm": on_transformer("norm", "pre", "post"),
    "encoder.transformer.normalization": on_transformer("normalization", "rms", "layer"),
    "encoder.transformer.activation": on_transformer("activation", "gelu", "relu"),
    "encoder.transformer.norm_eps": on_transformer("norm_eps", None, 0.5),
    "encoder.transformer.rotary_base": on_transformer("rotary_base", 10_000.0, 3.0),
    "encoder.transformer.biases": on_transformer("biases", True, False),
    "encoder.transformer.segments": on_transformer("segments", 0, 2),
    "encoder.transformer.positions": on_transformer("positions", "rotary", "sinusoidal"),
    "encoder.transformer.max_length": on_transformer("max_length", None, 7, positions="learned"),
    "encoder.transformer.qk_norm": on_transformer("qk_norm", False, True),
    "encoder.transformer.causal": on_transformer("causal", False, True),
    "encoder.transformer.zero_residual": on_transformer("zero_residual", False, True),
    "encoder.transformer.input_norm": on_transformer("input_norm", True, False),
    "encoder.transformer.patch_size": on_transformer("patch_size", None, 5),
    "encoder.transformer.pooling": on_transformer("pooling", "mean", "class"),
    "encoder.transformer.pooler": on_transformer("pooler", False, True),
    "encoder.transformer.checkpointing": on_transformer("checkpointing", False, True),
    "encoder.resnet.layers": on_resnet("layers", 18, 34),
    "encoder.resnet.small": on_resnet("small", None, False),
    "encoder.resnet.zero_residual": on_resnet("zero_residual", True, False),
    "encoder.resnet.checkpointing": on_resnet("checkpointing", False, True),
    "encoder.resnet.variant": on_resnet("variant", "b", "d", small=False),
    "encoder.resnet.width": on_resnet("width", 8, 16),
    "encoder.resnet.blur_pool": on_resnet("blur_pool", False, True, width=8),
    "encoder.resnet.pooling": on_resnet("pooling", "none", "mean"),
    # Fusions
    "fusion.transformer.width": on_joined("width", 8, 16),
    "fusion.transformer.layers": on_joined("layers", 1, 2),
    "fusion.transformer.heads": on_joined("heads", 1, 2),
    "fusion.transformer.dropout": on_joined("dropout", 0.0, 0.5),
    "fusion.transformer.pooling": on_joined("pooling", "class", "mean"),
    "fusion.transformer.checkpointing": on_joined("checkpointing", False, True),
    "encoder.cnn.channels": on_cnn("channels", [4], [6]),
    "encoder.cnn.over": on_clip_cnn("over", "steps", "spectrum"),
    "encoder.cnn.kernel_sizes": on_cnn("kernel_sizes", [3], [3, 1]),
    "encoder.cnn.convolutions": on_cnn("convolutions", 1, 2),
    "encoder.cnn.padding": on_cnn("padding", "same", "valid", channels=[4]),
    "encoder.cnn.stride": on_cnn("stride", None, 2),
    "encoder.cnn.pool": on_cnn("pool", "max", "mean"),
    "encoder.cnn.normalization": on_cnn("normalization", "batch", "layer"),
    "encoder.cnn.norm_momentum": on_cnn("norm_momentum", 0.1, 0.9),
    "encoder.cnn.norm_eps": on_cnn("norm_eps", 1e-5, 1.0),
    "encoder.cnn.norm_scale": on_cnn("norm_scale", True, False),
    "encoder.cnn.activation": on_cnn("activation", "relu", "tanh"),
    "encoder.cnn.initializer": on_cnn("initializer", "kaiming_normal", "dirac"),
    "encoder.cnn.residual": on_cnn("residual", False, True),
    "encoder.cnn.separable": on_cnn("separable", False, True),
    "encoder.cnn.whitening": on_cnn("whitening", False, True),
    "encoder.cnn.whitened_bias": on_cnn("whitened_bias", False, True, whitening=True),
    "encoder.cnn.dropout": on_cnn("dropout", 0.0, 0.5),
    "encoder.cnn.pooling": on_cnn("pooling", "none", "max"),
    "encoder.cnn.hidden_sizes": on_cnn("hidden_sizes", [], [5]),
    # Augmentations
    "augmentation.horizontal_flip.grey": on_pixels("horizontal_flip", "grey", True, False),
    "augmentation.horizontal_flip.wary": on_signs("horizontal_flip", "wary", False, True),
    "augmentation.horizontal_flip.alternate": on_pixels("horizontal_flip", "alternate", False, True, see=answers),
    "augmentation.shift.share": on_pixels("shift", "share", 0.1, 0.4),
    "augmentation.crop.smallest": on_pixels("crop", "smallest", 0.2, 0.8),
    "augmentation.spec_augment.time_masks": on_frames("spec_augment", "time_masks", 0, 5),
    "augmentation.spec_augment.time_share": on_frames("spec_augment", "time_share", 0.0, 0.5),
    "augmentation.spec_augment.frequency_masks": on_frames("spec_augment", "frequency_masks", 0, 5),
    "augmentation.spec_augment.frequency_share": on_frames("spec_augment", "frequency_share", 0.0, 0.5),
    "augmentation.speed.factors": on_frames("speed", "factors", [0.9], [1.1]),
    "augmentation.time_shift.steps": on_frames("time_shift", "steps", 1, 5),
    "augmentation.gain.decibels": on_frames("gain", "decibels", 1.0, 6.0),
    "augmentation.noise.signal_to_noise": on_frames("noise", "signal_to_noise", [0.0, 10.0], [20.0, 30.0]),
    "augmentation.mixup.alpha": on_pixels("mixup", "alpha", 0.2, 5.0),
    "augmentation.cutout.share": on_pixels("cutout", "share", 0.2, 0.6),
    # Optimisers
    "optimizer.sgd.learning_rate": on_optimizer("sgd", "learning_rate", 0.1, 0.2),
    "optimizer.sgd.momentum": on_optimizer("sgd", "momentum", 0.5, 0.9),
    "optimizer.sgd.nesterov": on_optimizer("sgd", "nesterov", False, True),
    "optimizer.sgd.weight_decay": on_optimizer("sgd", "weight_decay", 0.0, 0.1),
    "optimizer.adam.learning_rate": on_optimizer("adam", "learning_rate", 0.1, 0.2),
    "optimizer.adam.betas": on_optimizer("adam", "betas", [0.5, 0.9], [0.9, 0.9]),
    "optimizer.adam.eps": on_optimizer("adam", "eps", 1e-8, 1.0),
    "optimizer.adam.weight_decay": on_optimizer("adam", "weight_decay", 0.0, 0.1),
    "optimizer.adamw.learning_rate": on_optimizer("adamw", "learning_rate", 0.1, 0.2),
    "optimizer.adamw.betas": on_optimizer("adamw", "betas", [0.5, 0.9], [0.9, 0.9]),
    "optimizer.adamw.eps": on_optimizer("adamw", "eps", 1e-8, 1.0),
    "optimizer.adamw.weight_decay": on_optimizer("adamw", "weight_decay", 0.0, 0.5),
    "optimizer.nadamw.learning_rate": on_optimizer("nadamw", "learning_rate", 0.1, 0.2),
    "optimizer.nadamw.betas": on_optimizer("nadamw", "betas", [0.5, 0.9], [0.9, 0.9]),
    "optimizer.nadamw.eps": on_optimizer("nadamw", "eps", 1e-8, 1.0),
    "optimizer.nadamw.momentum_decay": on_optimizer("nadamw", "momentum_decay", 4e-3, 1.0),
    "optimizer.nadamw.weight_decay": on_optimizer("nadamw", "weight_decay", 0.0, 0.5),
    "optimizer.muon.learning_rate": on_optimizer("muon", "learning_rate", 0.1, 0.2, layers="all"),
    "optimizer.muon.momentum": on_optimizer("muon", "momentum", 0.1, 0.9, layers="all"),
    "optimizer.muon.nesterov": on_optimizer("muon", "nesterov", False, True, layers="all"),
    "optimizer.muon.weight_decay": on_optimizer("muon", "weight_decay", 0.0, 0.5, layers="all"),
    "optimizer.muon.other_learning_rate": on_optimizer("muon", "other_learning_rate", 0.01, 0.2),
    "optimizer.muon.betas": on_optimizer("muon", "betas", [0.5, 0.9], [0.9, 0.9]),
    "optimizer.muon.layers": on_optimizer("muon", "layers", "auto", "all"),
    "optimizer.muon.iterations": on_optimizer("muon", "iterations", 1, 5, layers="all"),
    "optimizer.muon.others": on_optimizer("muon", "others", "adamw", "nadamw"),
    "optimizer.muon.normalized": on_optimizer("muon", "normalized", False, True, layers="all"),
    "optimizer.muon.other_momentum": on_optimizer("muon", "other_momentum", 0.1, 0.9, others="sgd"),
    "optimizer.muon.other_weight_decay": on_optimizer("muon", "other_weight_decay", 0.0, 0.5, others="sgd"),
    "optimizer.muon.bias_learning_rate": on_optimizer("muon", "bias_learning_rate", 0.01, 0.2),
    "optimizer.muon.bias_weight_decay": on_optimizer("muon", "bias_weight_decay", 0.0, 0.5, others="sgd"),
    # Heads and decoders that write
    "head.text.decoder": on_text("decoder", {"type": "transformer", "width": 8}, {"type": "lstm", "width": 8}),
    "head.text.tokens": on_text("tokens", "bpe", "characters"),
    "head.text.vocabulary_size": on_text("vocabulary_size", 260, 300),
    "head.text.like": change("targets/note/like", None, "kind", spoken, features={"kind": BY_TOKENS},
                             targets={"note": {"type": "text", "decoder": {"type": "lstm", "width": 8}}}),
    "head.text.copying": change("targets/note/copying", False, True, spoken,
                                split={"method": "column", "column": "part"},
                                features={"kind": {"type": "text", "encoder": "lstm"}, "size": "ignore"},
                                targets={"note": {"type": "text", "decoder": {"type": "lstm", "width": 8}}}),
    "head.text.max_tokens": on_text("max_tokens", 3, 9),
    "head.text.label_smoothing": on_text("label_smoothing", 0.0, 0.3),
    "head.text.beams": on_text("beams", 1, 4),
    "head.text.length_penalty": on_text("length_penalty", 0.0, 6.0, beams=6, vocabulary_size=258),
    "head.text.repetition_penalty": on_text("repetition_penalty", 1.0, 3.0),
    "head.text.no_repeat": on_text("no_repeat", 0, 1),
    "head.text.loss_weight": on_text("loss_weight", 1.0, 2.0),
    "decoder.lstm.width": on_decoder("lstm", "width", 8, 12),
    "decoder.lstm.layers": on_decoder("lstm", "layers", 1, 2),
    "decoder.lstm.dropout": on_decoder("lstm", "dropout", 0.0, 0.5),
    "decoder.lstm.tied": on_decoder("lstm", "tied", True, False),
    "decoder.transformer.width": on_decoder("transformer", "width", 8, 16),
    "decoder.transformer.layers": on_decoder("transformer", "layers", None, 1),
    "decoder.transformer.heads": on_decoder("transformer", "heads", 2, 4),
    "decoder.transformer.key_value_heads": on_decoder("transformer", "key_value_heads", None, 1),
    "decoder.transformer.hidden": on_decoder("transformer", "hidden", None, 5),
    "decoder.transformer.dropout": on_decoder("transformer", "dropout", 0.0, 0.5),
    "decoder.transformer.norm": on_decoder("transformer", "norm", "pre", "post"),
    "decoder.transformer.normalization": on_decoder("transformer", "normalization", "rms", "layer"),
    "decoder.transformer.activation": on_decoder("transformer", "activation", "gelu", "relu"),
    "decoder.transformer.positions": on_decoder("transformer", "positions", "rotary", "sinusoidal"),
    "decoder.transformer.qk_norm": on_decoder("transformer", "qk_norm", True, False),
    "decoder.transformer.tied": on_decoder("transformer", "tied", True, False),
    "decoder.transformer.norm_eps": on_decoder("transformer", "norm_eps", None, 0.5),
    "decoder.transformer.rotary_base": on_decoder("transformer", "rotary_base", 10_000.0, 3.0),
    "decoder.transformer.biases": on_decoder("transformer", "biases", True, False),
    "decoder.transformer.scaled": on_decoder("transformer", "scaled", True, False),
    "decoder.transformer.max_length": on_decoder("transformer", "max_length", None, 3, positions="learned"),
}  # fmt: skip


def keys_of(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Every key of a spec, inner ones after dots; keys that only hold others are shown by those."""
    for name, field in model.model_fields.items():
        key = f"{before}{field.alias or name}"
        inner = list(_specs_in(field.annotation))
        if not inner or type(None) in get_args(field.annotation) or _alternatives(field.annotation):
            yield key
        for part in inner:
            yield from keys_of(part, f"{key}.")


def _alternatives(annotation: Any) -> bool:
    return any(not (isinstance(a, type) and issubclass(a, BaseModel)) for a in get_args(annotation))


def _specs_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Specs that a field may hold; not parts, whose own keys are listed by kind and name."""
    if isinstance(annotation, type) and issubclass(annotation, Spec) and not issubclass(annotation, PartSpec):
        yield annotation
    for inner in get_args(annotation):
        if not isinstance(inner, Part):
            yield from _specs_in(inner)


def keys_of_parts() -> Iterator[str]:
    """Keys of our own parts. ``type`` is left out: it is the name by which the part was chosen."""
    for kind in KINDS:
        for name in registry(kind):
            part = registry(kind)[name]
            if registry(kind).is_ours(name) and issubclass(part, PartSpec):
                yield from (f"{kind}.{name}.{key}" for key in part.model_fields if key != "type")


def test_every_key_has_a_row() -> None:
    keys = [*keys_of(RunSpec), *keys_of_parts()]
    assert sorted(set(keys) - CHANGES.keys()) == [], "say here what these keys change"
    assert sorted(CHANGES.keys() - set(keys)) == [], "no such keys (any more)"


class Doubled(PartSpec):
    """A fusion of somebody else: concat, twice as large."""

    type: Literal["doubled"] = "doubled"

    def build(self, forms: Any) -> Any:
        from trueweight.nn.concat import Concat

        class Twice(Concat):
            def forward(self, *arguments: Any) -> Any:
                encoding = super().forward(*arguments)
                return replace(encoding, tokens_BLD=2 * encoding.tokens_BLD)

        return Twice(forms)


@pytest.fixture
def doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fusion, known to this process for one test."""
    monkeypatch.setitem(registry("fusion")._parts, "doubled", Doubled)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("size,kind,fraud\n1,é,yes\n2,b,no\n")
    (tmp_path / "b.csv").write_text("size,kind,fraud\n3,c,yes\n")
    (tmp_path / "both.csv").write_text("a,b|c,d\n1,2|3,4\n")
    (tmp_path / "long.csv").write_text("who,step,size,kind,fraud\na,2,1,x,yes\nb,1,2,x,no\na,1,3,x,yes\nb,2,4,x,no\n")
    (tmp_path / "bad.csv").write_text("size,kind,fraud\n1,a,yes\n2,b\n3,a,no\n3,b,no\n")


@pytest.mark.usefixtures("files", "doubled")
@pytest.mark.parametrize("key", CHANGES)
def test_every_key_changes_something(key: str) -> None:
    row = CHANGES[key]
    assert row.outcome(row.first) != row.outcome(row.second)


@pytest.mark.usefixtures("files", "doubled")
@pytest.mark.parametrize("key", {row.see: key for key, row in CHANGES.items()}.values())
def test_nothing_changes_by_itself(key: str) -> None:
    """Each way to look gives the same twice: else it would prove nothing above."""
    row = CHANGES[key]
    assert row.outcome(row.first) == row.outcome(row.first)
