"""``export --to onnx``: for every type of column and of target, the files answer as the Predictor does."""

import base64
import io
import json
import shutil
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from trueweight.bundle.bake_off import WAYS
from trueweight.bundle.bundle import Bundle, open_bundle
from trueweight.bundle.card import model_card
from trueweight.bundle.golden import make_golden
from trueweight.bundle.onnx_folder import RECORD, open_onnx, write_onnx_folder
from trueweight.bundle.save import Contents, save_bundle
from trueweight.data.cells import ReadOptions
from trueweight.data.field import Field
from trueweight.data.learn import blank_signature, learn_signature
from trueweight.data.reading import column_part
from trueweight.data.roles import Role
from trueweight.data.table import Table
from trueweight.errors import SpecError, TrainError, VerifyError
from trueweight.evidence.record import Evidence
from trueweight.model.network import build_network
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.network import NetworkPredictor, learnt_targets
from trueweight.registry import registry
from trueweight.spec.load import parse_spec

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx", reason="what torch writes ONNX files with")

ROWS = 40


def a_picture(number: int) -> str:
    from PIL import Image

    sink = io.BytesIO()
    Image.new("RGB", (8, 8), (number * 5 % 255, number * 11 % 255, 90)).save(sink, "PNG")
    return "data:image/png;base64," + base64.b64encode(sink.getvalue()).decode()


def a_sound(number: int) -> str:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(4000)
        time = np.arange(800 + 200 * (number % 5)) / 4000
        file.writeframes((9000 * np.sin(2 * np.pi * (200 + 20 * number) * time)).astype("<i2").tobytes())
    return "data:audio/wav;base64," + base64.b64encode(sink.getvalue()).decode()


def made_up() -> dict[str, list[Any]]:
    """Every type of column, a missing cell in each; series, sounds and texts of different lengths."""
    rng = np.random.default_rng(0)
    words = ["late", "paid", "twice", "never", "again"]
    found: dict[str, list[Any]] = {
        "number": rng.normal(size=ROWS).round(3).tolist(),
        "category": rng.choice(["red", "green", "blue"], ROWS).tolist(),
        "binary": rng.choice(["yes", "no"], ROWS).tolist(),
        "date": [f"2026-0{1 + i % 9}-1{i % 10}" for i in range(ROWS)],
        "set": ["|".join(t for t in ("new", "big", "odd") if rng.integers(2)) for _ in range(ROWS)],
        "vector": [row.tolist() for row in rng.normal(size=(ROWS, 3)).round(3)],
        "text": [" ".join(rng.choice(words, 1 + i % 7)) for i in range(ROWS)],
        "timeseries": [rng.normal(size=(1 + i % 9, 2)).round(3).tolist() for i in range(ROWS)],
        "image": [a_picture(i) for i in range(ROWS)],
        "audio": [a_sound(i) for i in range(ROWS)],
    }
    for number, column in enumerate(found.values()):
        column[3 + number] = None
    x = np.array([0.0 if v is None else v for v in found["number"]]) + rng.normal(size=ROWS)
    return found | {
        "won": np.where(x > 0, "yes", "no").tolist(), "kind": np.resize(["a", "b", "c"], ROWS).tolist(),
        "cost": np.exp(x).tolist(), "tags": ["|".join(t for t in "pqr" if rng.integers(2)) for _ in range(ROWS)],
        "place": [[float(v), 1 - float(v)] for v in x],
    }  # fmt: skip


COLUMNS: dict[str, dict[str, Any]] = {
    name: {"type": name}
    for name in ("number", "category", "binary", "date", "set", "vector", "text", "timeseries", "image")
} | {"set": {"type": "set", "separator": "|"}, "audio": {"type": "audio", "sample_rate": 4000, "n_mels": 8}}
TARGETS: dict[str, dict[str, Any]] = {
    "won": {"type": "binary"}, "kind": {"type": "category"}, "cost": {"type": "number", "transform": "log1p"},
    "tags": {"type": "set", "separator": "|"}, "place": {"type": "vector"},
}  # fmt: skip
SMALL_CNN = {"type": "cnn", "channels": [4, 6]}
AIRBENCH = {
    **SMALL_CNN, "activation": "gelu", "initializer": "dirac", "norm_eps": 1e-12, "norm_scale": False,
    "whitened_bias": True, "pooling": "max",
}  # fmt: skip
READERS: list[tuple[str, dict[str, Any]]] = [
    *(
        (name, {"type": "mlp", "hidden_sizes": [6]})
        for name in ("number", "category", "binary", "date", "set", "vector")
    ),
    ("number", {"type": "realmlp", "hidden_sizes": [6]}),
    ("category", {"type": "mlp", "hidden_sizes": [6], "members": 3}),
    ("vector", {"type": "linear"}),
    ("text", {"type": "bag", "width": 6}),
    ("text", {"type": "transformer", "width": 8, "layers": 1}),
    ("text", {"type": "linear"}),
    ("timeseries", {"type": "gru", "hidden_size": 5}),
    ("timeseries", {"type": "lstm", "hidden_size": 5, "bidirectional": True}),
    ("timeseries", {"type": "rocket", "dilations": 2}),
    ("timeseries", {"type": "chain", "parts": [SMALL_CNN, {"type": "lstm", "hidden_size": 5}]}),
    ("image", SMALL_CNN),
    ("image", AIRBENCH),
    ("image", {"type": "resnet", "layers": 10, "width": 4}),
    ("image", {"type": "transformer", "width": 8, "layers": 1}),
    ("audio", SMALL_CNN),
    ("audio", {"type": "conformer", "width": 8, "layers": 1}),
]
"""A column, and what reads it."""


def part(kind: str, raw: dict[str, Any]) -> Any:
    found: Any = registry(kind)[raw["type"]]
    return found.model_validate(raw)


def a_leaf(
    features: dict[str, dict[str, Any]], readers: dict[str, dict[str, Any]], targets: dict[str, dict[str, Any]]
) -> NetworkPredictor:
    """A network with its first weights, over what made-up rows taught."""
    columns = made_up()
    table = Table(pa.table({name: columns[name] for name in (*features, *targets)}))
    roles = [Role(name, "feature", part("column", raw), "") for name, raw in features.items()]
    roles += [Role(name, "target", part("head", raw), "") for name, raw in targets.items()]
    rows = np.arange(len(table))
    signature = learn_signature(blank_signature(table, roles, ReadOptions(), rows), table, rows, min_group=1)
    facts = signature.columns
    codecs: Any = {name: column_part(facts[name]).codec(name, facts[name].learnt) for name in features}  # type: ignore[attr-defined]
    fields = {name: Field(name, {name: codec}, {name: facts[name].type}) for name, codec in codecs.items()}
    encoders = {name: part("encoder", readers[name]) for name in features}
    fusion = part("fusion", {"type": "concat"})
    network = build_network(encoders, fusion, fields, learnt_targets(signature), solving=False, seed=3)
    for module in network.modules():  # as if trained: no norm is the identity
        if (mean := getattr(module, "running_mean", None)) is not None:
            mean += 0.1
    return NetworkPredictor(signature, fields, network.eval(), encoders, fusion, solving=False)


def a_bundle(folder: Path, predictor: Any, features: dict[str, Any], targets: dict[str, Any]) -> Bundle:
    spec = {"name": "model", "data": {"source": "rows.jsonl"}, "features": features, "targets": targets}
    text = json.dumps(spec)
    contents = Contents(
        name="model", spec_yaml=text, resolved_yaml=text, plan={}, signature=predictor.signature, predictor=predictor,
        evidence=Evidence(()), card=model_card(parse_spec(spec), predictor.signature, Evidence(())),
        golden=make_golden(predictor), settings=[], min_group=1,
    )  # fmt: skip
    return open_bundle(save_bundle(folder / "model.bundle", contents))


Make = Callable[..., Bundle]


@pytest.fixture
def bundle_of(tmp_path: Path) -> Make:
    def make(
        columns: dict[str, dict[str, Any]],
        targets: dict[str, dict[str, Any]] = {"won": {"type": "binary"}},  # noqa: B006
    ) -> Bundle:
        features = {name: COLUMNS[name] for name in columns}
        return a_bundle(tmp_path, a_leaf(features, columns, targets), features, targets)

    return make


def new_rows(names: list[str]) -> Table:
    """Asked in the wrong order, with what was never seen."""
    columns = made_up()
    found = {name: columns[name][::-1] for name in names}
    if "category" in found:
        found["category"][5] = "violet"
    if "timeseries" in found:
        found["timeseries"][7] = [[0.1 * i, -0.2 * i] for i in range(60)]
    if "text" in found:
        found["text"][7] = "never paid twice " * 9
    return Table(pa.table(found))


def assert_same(model: Any, bundle: Bundle, table: Table) -> None:
    """The same answers, whether rows are asked for together or one by one."""
    wanted = bundle.predictor.predict(table)
    found = model.predictor.predict(table)
    assert set(found) == set(wanted)
    for target, answer in wanted.items():
        scale = np.maximum(1.0, np.abs(answer.scores()))
        np.testing.assert_allclose(found[target].scores() / scale, answer.scores() / scale, atol=2e-5)
        for row in (0, 7, len(table) - 1):
            alone = model.predictor.predict(table.take([row]))[target].scores()
            np.testing.assert_allclose(alone / scale[row], answer.scores()[[row]] / scale[row], atol=2e-5)


SLOW = ("lstm", "chain", "realmlp")


@pytest.mark.parametrize(
    ("column", "reader"),
    [
        pytest.param(name, raw, id=f"{name}-{raw['type']}", marks=[pytest.mark.slow] if raw["type"] in SLOW else [])
        for name, raw in READERS
    ],
)
def test_files_answer_like_the_predictor(column: str, reader: Any, bundle_of: Make, tmp_path: Path) -> None:
    bundle = bundle_of({column: reader})
    record = write_onnx_folder(bundle, tmp_path / "out", seconds=0)
    assert record["parity"]["won"]["largest"] <= record["parity"]["won"]["allowed"]
    assert_same(open_onnx(tmp_path / "out"), bundle, new_rows([column]))


def test_every_type_of_column_that_there_is_was_tried() -> None:
    """A new one must be tried here too; "id" and "ignore" are not read by networks."""
    ours = {name for name in registry("column") if registry("column").is_ours(name)}
    assert {name for name, _ in READERS} == ours - {"id", "ignore"}


def test_every_target_and_several_fields_together(bundle_of: Make, tmp_path: Path) -> None:
    mlp = {"type": "mlp", "hidden_sizes": [6]}
    readers = {"number": mlp, "text": {"type": "bag", "width": 6}, "timeseries": {"type": "gru", "hidden_size": 5}}
    bundle = bundle_of(readers, TARGETS)
    write_onnx_folder(bundle, tmp_path / "out", seconds=0)
    assert_same(open_onnx(tmp_path / "out"), bundle, new_rows(list(readers)))


def test_learnt_quantiles_are_exported(bundle_of: Make, tmp_path: Path) -> None:
    cost = {"cost": {"type": "number", "quantiles": [0.1, 0.9]}}
    bundle = bundle_of({"number": {"type": "mlp", "hidden_sizes": [6]}}, cost)
    write_onnx_folder(bundle, tmp_path / "out", seconds=0)
    assert_same(open_onnx(tmp_path / "out"), bundle, new_rows(["number"]))


def test_trees_of_networks_become_several_files(tmp_path: Path) -> None:
    features, won = {"number": COLUMNS["number"]}, {"won": {"type": "binary"}}
    first = a_leaf(features, {"number": {"type": "mlp", "hidden_sizes": [6]}}, won)
    second = a_leaf(features, {"number": {"type": "linear"}}, won)
    blend = BlendPredictor(first.signature, (first, second, first), {"won": (0.25, 0.75, 0.0)})
    bundle = a_bundle(tmp_path, blend, features, won)
    write_onnx_folder(bundle, tmp_path / "out", seconds=0)
    assert sorted(p.name for p in (tmp_path / "out" / "networks").iterdir()) == ["0.onnx", "1.onnx", "2.onnx"]
    assert_same(open_onnx(tmp_path / "out"), bundle, new_rows(["number"]))


@pytest.fixture
def exported(bundle_of: Make, tmp_path: Path) -> Path:
    write_onnx_folder(bundle_of({"number": {"type": "mlp", "hidden_sizes": [6]}}), tmp_path / "out", seconds=0)
    return tmp_path / "out"


def test_any_program_can_run_the_file_from_what_the_record_says(exported: Path) -> None:
    import onnxruntime

    record = json.loads((exported / RECORD).read_text())
    (network,) = record["networks"]
    session = onnxruntime.InferenceSession(exported / network["file"], providers=["CPUExecutionProvider"])
    model = open_onnx(exported)
    table = new_rows(["number"])
    (leaf,) = [model.predictor]
    batch = leaf.feed(table).batch(torch.arange(len(table)))  # type: ignore[attr-defined]
    given = {one["name"]: batch.inputs[one["field"]][one["array"]].numpy() for one in network["inputs"]}
    known = {one.name for one in session.get_inputs()}
    (place,) = [
        i for i, one in enumerate(network["outputs"]) if (one["target"], one["output"]) == ("won", "probability")
    ]
    found = session.run(None, {name: value for name, value in given.items() if name in known})[place]
    np.testing.assert_allclose(found, model.predictor.predict(table)["won"].scores(), atol=1e-6)


def test_weights_are_in_the_file_alone(exported: Path) -> None:
    assert not list(exported.rglob("*.safetensors"))


def test_a_frame_comes_back_as_it_was(exported: Path, tmp_path: Path) -> None:
    rows = [{"number": 0.5}, {"number": None}]
    wanted = open_bundle(tmp_path / "model.bundle").predict(rows)
    found = open_onnx(exported).predict(rows)
    assert [row["won"] for row in found] == [row["won"] for row in wanted]
    assert found[0]["won.p[yes]"] == pytest.approx(wanted[0]["won.p[yes]"], abs=1e-6)


def test_changed_folders_are_refused(exported: Path) -> None:
    with pytest.raises(VerifyError, match="no export.json"):
        open_onnx(exported / "networks")
    file = exported / "networks" / "0.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(VerifyError, match="was changed"):
        open_onnx(exported)
    file.unlink()
    with pytest.raises(VerifyError, match="is missing"):
        open_onnx(exported)
    with pytest.raises(TrainError):
        write_onnx_folder(open_bundle(exported.parent / "model.bundle"), exported, seconds=0)


def test_files_of_another_model_do_not_pass_for_this_one(exported: Path, tmp_path: Path) -> None:
    """Even where somebody made all digests agree: the golden rows are asked."""
    other = a_leaf(
        {"number": COLUMNS["number"]}, {"number": {"type": "mlp", "hidden_sizes": [6]}}, {"won": {"type": "binary"}}
    )
    with torch.no_grad():
        next(iter(other.network.heads["t0"].parameters())).mul_(2.0)
    (tmp_path / "b").mkdir()
    changed = a_bundle(tmp_path / "b", other, {"number": COLUMNS["number"]}, {"won": {"type": "binary"}})
    write_onnx_folder(changed, tmp_path / "other", seconds=0)
    shutil.copy(tmp_path / "other" / "networks" / "0.onnx", exported / "networks" / "0.onnx")
    theirs = json.loads((tmp_path / "other" / RECORD).read_text())["files"]["networks/0.onnx"]
    record = json.loads((exported / RECORD).read_text())
    record["files"]["networks/0.onnx"] = theirs
    (exported / RECORD).write_text(json.dumps(record))
    with pytest.raises(VerifyError, match="golden rows get other answers"):
        open_onnx(exported)


def test_what_cannot_be_exported_says_so_before_work_begins(tmp_path: Path) -> None:
    from trueweight.model.predictors.constant import ConstantPredictor

    features, won = {"number": COLUMNS["number"]}, {"won": {"type": "binary"}}
    leaf = a_leaf(features, {"number": {"type": "linear"}}, won)
    bundle = a_bundle(tmp_path, ConstantPredictor(leaf.signature), features, won)
    with pytest.raises(SpecError, match="has no network"):
        write_onnx_folder(bundle, tmp_path / "out", seconds=0)
    features, said = {"number": COLUMNS["number"]}, {"text": {"type": "text", "max_tokens": 6}}
    writer = a_leaf(features, {"number": {"type": "mlp", "hidden_sizes": [6]}}, said)
    (tmp_path / "w").mkdir()
    written = a_bundle(tmp_path / "w", writer, features, said)
    with pytest.raises(SpecError, match="step by step"):
        write_onnx_folder(written, tmp_path / "out", seconds=0)
    assert not (tmp_path / "out").exists()


def test_the_record_holds_the_bake_off(bundle_of: Make, tmp_path: Path) -> None:
    bundle = bundle_of({"image": SMALL_CNN})
    told = write_onnx_folder(bundle, tmp_path / "out", seconds=5)["bake_off"]
    assert {one["way"] for one in told["timings"]} == set(WAYS)
    measured = {one["way"]: one for one in told["timings"] if one["status"] == "measured"}
    assert {"eager", "onnx"} <= set(measured)
    assert all(set(one["network"]) == {"1", "16"} and one["network"]["1"] > 0 for one in measured.values())
