"""Integrated gradients: laws, completeness on networks with layer norms, refusal, and a second opinion."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from trueweight.data.cells import ReadOptions
from trueweight.data.field import Field
from trueweight.data.learn import blank_signature, learn_signature
from trueweight.data.reading import column_part
from trueweight.data.roles import Role
from trueweight.data.table import Table
from trueweight.explain.asked import Asked, outputs_of
from trueweight.explain.gradients import LARGEST_GAP, integrated_gradients, leaves_of
from trueweight.explain.methods import METHODS
from trueweight.explain.path import row_paths
from trueweight.explain.usual import canonical, usual_row
from trueweight.explain.written import png_of, wav_of
from trueweight.model.network import build_network
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.network import NetworkPredictor, learnt_targets
from trueweight.registry import registry

LAYERS = {"type": "transformer", "width": 16, "heads": 2, "layers": 2, "normalization": "layer", "norm": "post",
          "activation": "relu", "positions": "sinusoidal"}  # fmt: skip


def part(kind: str, raw: Any) -> Any:
    raw = {"type": raw} if isinstance(raw, str) else raw
    return registry(kind)[raw["type"]].model_validate(raw)


def columns(rows: int = 60) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, rows))
    words = np.array(["good", "bad", "fine", "poor", "lovely", "dull", "nice", "awful"])
    return {
        "x": x, "z": z, "kind": rng.choice(list("abcdefghijkl"), rows), "flag": rng.choice(["no", "yes"], rows),
        "said": [" ".join(rng.choice(words, 6)) for _ in range(rows)],
        "series": [rng.normal(size=(12, 2)).tolist() for _ in range(rows)],
        "seen": [png_of(rng.integers(0, 255, size=(16, 16, 3)).astype(np.uint8)) for _ in range(rows)],
        "heard": [wav_of(0.1 * rng.normal(size=3200).astype(np.float32), 16_000) for _ in range(rows)],
        "y": np.where(x > 0, "p", "n"), "c": 2 * x - z + 5,
    }  # fmt: skip


def leaf(features: dict[str, Any], encoder: Any, target: tuple[str, Any], fusion: Any = "concat", seed: int = 0,
         *, apart: bool = False) -> tuple[NetworkPredictor, Table]:  # fmt: skip
    """A network with its first weights, made livelier so that answers differ."""
    table = Table(pa.table({n: pa.array(c) for n, c in columns().items() if n in (*features, target[0])}))
    roles = [Role(n, "feature", part("column", raw), "") for n, raw in features.items()]
    roles.append(Role(target[0], "target", part("head", target[1]), ""))
    rows = np.arange(len(table))
    signature = learn_signature(blank_signature(table, roles, ReadOptions(), rows), table, rows, min_group=1)
    codecs = {f.name: column_part(f).codec(f.name, f.learnt) for f in signature.features()}  # type: ignore[attr-defined]
    groups = {n: [n] for n in codecs} if apart else {"table": list(codecs)}
    fields = {g: Field(g, {n: codecs[n] for n in ns}, {n: signature.columns[n].type for n in ns})
              for g, ns in groups.items()}  # fmt: skip
    encoders = dict.fromkeys(fields, part("encoder", encoder))
    joined = part("fusion", fusion)
    network = build_network(encoders, joined, fields, learnt_targets(signature), solving=False, seed=seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    return NetworkPredictor(signature, fields, network.eval(), encoders, joined, False), table


def asked_of(predictor: Any, table: Table, target: str, rows: int = 6) -> Asked:
    plain, some = canonical(table, predictor.signature), np.arange(rows)
    outputs = outputs_of(predictor.predict(plain.take(some))[target])
    assert not isinstance(outputs, str)
    return Asked(predictor, target, plain, some, np.ones(rows, bool), outputs, np.arange(20, 36), 0)


def traced(predictor: Any, table: Table, target: str) -> list[Any]:
    leaves = leaves_of(predictor, target)
    assert not isinstance(leaves, str), leaves
    return integrated_gradients(asked_of(predictor, table, target), leaves)


PICTURE, SOUND, SERIES = {"seen": "image"}, {"heard": "audio"}, {"series": "timeseries"}
TEXT = {"said": {"type": "text", "encoder": "transformer"}}
CNN = {"type": "cnn", "channels": [4, 8]}
SENSED = [
    (PICTURE, CNN), (PICTURE, LAYERS), (SOUND, CNN), (SOUND, LAYERS), (SERIES, CNN), (SERIES, LAYERS), (TEXT, LAYERS),
    (SERIES, {"type": "gru", "hidden_size": 8}), (SERIES, {"type": "lstm", "hidden_size": 8, "bidirectional": True}),
    (SOUND, {"type": "gru", "hidden_size": 8}), (TEXT, {"type": "lstm", "hidden_size": 8}),
]  # fmt: skip

PLAIN = {"x": "number", "z": "number", "kind": "category", "flag": "binary"}
MLP = {"type": "mlp", "hidden_sizes": [16], "members": 2}


@pytest.mark.parametrize(
    ("features", "encoder", "fusion", "target"),
    [
        (PLAIN, MLP, "concat", ("y", "binary")),
        (PLAIN, MLP, "concat", ("c", "number")),
        (PLAIN, MLP, "concat", ("c", {"type": "number", "transform": "log1p"})),
        ({"said": "text"}, {"type": "bag", "width": 8}, "concat", ("c", "number")),
        *((features, encoder, "concat", ("y", "binary")) for features, encoder in SENSED),
    ],
)  # fmt: skip
def test_values_account_for_the_answer(features: Any, encoder: Any, fusion: Any, target: Any) -> None:
    """Every row's gap is at most 1 %, layer norms included."""
    predictor, table = leaf(features, encoder, target, fusion)
    answers = predictor.predict(table)[target[0]]
    for row, one in enumerate(traced(predictor, table, target[0])):
        way, scale = abs(one.answer - one.baseline), predictor.signature.columns[target[0]].learnt.get("std", 1.0)
        assert one.gap <= LARGEST_GAP
        assert abs(one.value_Q.sum() - one.answer + one.baseline) <= LARGEST_GAP * max(way, 0.01 * scale) * 1.0001
        assert one.answer == pytest.approx(answers.scores()[row, -1], rel=1e-4)
        assert one.at(np.ones((1, len(one.parts))))[0] == pytest.approx(one.answer, rel=1e-4)
        assert one.at(np.zeros((1, len(one.parts))))[0] == pytest.approx(one.baseline)


@pytest.mark.parametrize(("features", "encoder"), SENSED)
def test_slopes_are_those_of_finite_differences(features: Any, encoder: Any) -> None:
    """Halfway between what is usual and the row, part by part, and all parts together."""
    predictor, table = leaf(features, encoder, ("y", "binary"))
    usual, here = usual_row(predictor.signature), np.array([0.4])
    (path,) = row_paths(predictor, "y", table.take(np.array([3])), usual, [1])
    count, step = len(path.parts), 1e-5
    some = np.random.default_rng(0).permutation(count)[:12]
    moves = np.concatenate([np.eye(count)[some], np.ones((1, count))]) * step
    ahead, back = path.answers(0.4 + moves), path.answers(0.4 - moves)
    (slope_Q,) = path.slopes(here)
    wanted = np.append(slope_Q[some], slope_Q.sum())
    assert np.abs(wanted).max() > 1e-6
    # Answers are float64: cancellation leaves about 1e-16 / step, and curvature step squared.
    assert (ahead - back) / (2 * step) == pytest.approx(wanted, rel=1e-5, abs=1e-9)


def test_of_a_linear_model_they_are_weight_times_way() -> None:
    predictor, table = leaf({"x": "number", "z": "number"}, "linear", ("c", "number"))
    weight = predictor.network.head("c").linear.weight_KDO[0, :, 0].detach().numpy()  # type: ignore[attr-defined]
    std = predictor.signature.columns["c"].learnt["std"]
    feed = predictor.feed(table)
    for row, one in enumerate(traced(predictor, table, "c")):
        here = feed.inputs["table"]["number"][row].numpy()
        usual = [(predictor.signature.columns[n].learnt[k]) for n in "xz" for k in ("median", "center", "scale")]
        base = np.array([(usual[0] - usual[1]) / usual[2], (usual[3] - usual[4]) / usual[5]])
        assert one.value_Q == pytest.approx(weight * (here - base) * std, rel=1e-4)


def test_of_a_blend_they_are_the_weighted_sum() -> None:
    first, table = leaf(PLAIN, MLP, ("y", "binary"), seed=1)
    second, _ = leaf(PLAIN, MLP, ("y", "binary"), seed=2)
    both = BlendPredictor(first.signature, (first, second), {"y": (0.3, 0.7)})
    one, two, mixed = (traced(p, table, "y") for p in (first, second, both))
    # Steps are chosen for each by itself: sums agree within what the gap allows.
    for a, b, c in zip(one, two, mixed, strict=True):
        assert c.value_Q == pytest.approx(0.3 * a.value_Q + 0.7 * b.value_Q, abs=0.02)


def test_as_captum_says() -> None:
    """Numbers and flags alone, many equal steps there, adaptive ones here."""
    captum = pytest.importorskip("captum.attr", reason="a second opinion that is not installed")
    from trueweight.data.batch import Batch
    from trueweight.nn.decoding import GREEDY

    predictor, table = leaf({"x": "number", "z": "number", "flag": "binary"}, MLP, ("y", "binary"))
    network = predictor.network.double()

    def probability(number: torch.Tensor, flag: torch.Tensor) -> torch.Tensor:
        batch = Batch(torch.zeros(len(number), dtype=torch.int64), {"table": {"number": number, "flag": flag}}, {})
        return network.answer(batch, GREEDY, {})["y"]["probability"][:, 1]

    feed, base = predictor.feed(table), predictor.feed(canonical(usual_row(predictor.signature), predictor.signature))
    mine = tuple(feed.inputs["table"][key][:6].double() for key in ("number", "flag"))
    usual = tuple(base.inputs["table"][key][:1].double() for key in ("number", "flag"))
    theirs = captum.IntegratedGradients(probability).attribute(mine, usual, n_steps=3000, method="riemann_middle")
    theirs = torch.cat(theirs, dim=1).detach().numpy()
    predictor.network.float()
    for row, one in enumerate(traced(predictor, table, "y")):
        order = [[part.column for part in one.parts].index(name) for name in ("x", "z", "flag")]
        assert one.value_Q[order] == pytest.approx(theirs[row], abs=0.006)


def test_an_answer_that_gradients_do_not_account_for_is_refused() -> None:
    """A blend holds numbers of its members within reach; beyond it their gradients say what does not happen."""
    first, table = leaf({"x": "number", "z": "number"}, "linear", ("c", "number"), seed=1)
    second, _ = leaf({"x": "number", "z": "number"}, "linear", ("c", "number"), seed=2)
    both = BlendPredictor(first.signature, (first, second), {"c": (0.5, 0.5)})
    far = Table(table.data.set_column(0, "x", pa.array(np.full(len(table), 1000.0))))
    (found,) = METHODS["gradients"](asked_of(both, far, "c"))
    assert found.status == "failed" and not found.items
    assert "completeness" in found.reason and "1% is allowed" in found.reason


def test_words_of_a_bag_and_tokens_have_names() -> None:
    predictor, table = leaf({"said": "text"}, {"type": "bag", "width": 8}, ("y", "binary"))
    text = table.column("said")[0].as_py().split()
    parts = traced(predictor, table, "y")[0].parts
    named = {p.shown for p in parts if len(p.place) == 1}
    assert named and named <= set(text)
    for part_ in parts:
        assert part_.shown == " ".join(text[i] for i in part_.place)
    predictor, _ = leaf({"said": {"type": "text", "encoder": "transformer"}}, LAYERS, ("y", "binary"))
    tokens = [p.shown for p in traced(predictor, table, "y")[0].parts]
    assert "".join(tokens).replace("Ġ", " ") == " ".join(text)  # and no n-gram, which this network does not read


def test_places_in_a_sound_are_milliseconds_and_bands_have_names() -> None:
    """As occlusion counts them, so that both lie over one spectrogram."""
    predictor, table = leaf(SOUND, CNN, ("y", "binary"))
    parts = traced(predictor, table, "y")[0].parts
    assert max(part_.place[1] for part_ in parts) == pytest.approx(200, abs=10)  # 3,200 samples at 16 kHz
    bands = list(dict.fromkeys(part_.shown for part_ in parts))
    assert len(bands) == 8 and all(band.endswith(" Hz") and "heard" not in band for band in bands)
    predictor, table = leaf(SERIES, LAYERS, ("y", "binary"))
    parts = traced(predictor, table, "y")[0].parts
    assert max(part_.place[1] for part_ in parts) == 12
    assert {part_.shown for part_ in parts} == {"series[0]", "series[1]"}


def test_what_has_no_gradients_says_so(formula: Any) -> None:
    found = leaves_of(formula(("a",), lambda a: a), "y")
    assert isinstance(found, str) and "formula" in found
