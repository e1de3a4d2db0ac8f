"""The bundle with our own columns, heads and predictors: answers survive, and nobody's data is inside."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trueweight.bundle.bundle import open_bundle
from trueweight.bundle.card import model_card
from trueweight.bundle.golden import make_golden
from trueweight.bundle.load import load_bundle
from trueweight.bundle.save import Contents, save_bundle
from trueweight.data.field import Field
from trueweight.data.learn import blank_signature, learn_signature
from trueweight.data.reading import column_part
from trueweight.data.roles import assign_roles, read_options_of
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.evidence.record import Evidence
from trueweight.metrics.conformal import Radius
from trueweight.model.network import build_network
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.conformal import ConformalPredictor
from trueweight.model.predictors.network import NetworkPredictor, learnt_targets
from trueweight.model.protocols import Predictor
from trueweight.registry import registry
from trueweight.spec.load import dump_resolved, dump_spec, parse_spec
from trueweight.spec.run import RunSpec

N = 300
SECRETS = [
    "Quentin Quillfeather",
    "Xanadu-on-Sea",
    "wrote-a-long-complaint",
    "cust-00042-zz",
    "vaulted-folder-name",
    98765.25,
]


@pytest.fixture
def table() -> Table:
    rng = np.random.default_rng(0)
    town = rng.choice(["Ulm", "Bonn", "Kiel"], N).astype(object)
    town[7] = SECRETS[1]
    age = rng.normal(40, 10, N).round(1)
    age[11] = SECRETS[5]
    note = np.array([f"note {i} {rng.integers(1 << 40)}" for i in range(N)], dtype=object)
    note[3] = SECRETS[2]
    name = np.array([f"Person {i}" for i in range(N)], dtype=object)
    name[5] = SECRETS[0]
    key = np.array([f"cust-{i:05d}-zz" for i in range(N)], dtype=object)
    kind = rng.choice(["red", "blue", "red|blue"], N)
    day = np.datetime64("2026-01-01") + rng.integers(0, 300, N)
    bought = np.where(rng.uniform(size=N) < 1 / (1 + np.exp(-(age - 40) / 10)), "yes", "no").astype(object)
    cost = age + rng.normal(0, 1, N)
    cells = {"key": key, "age": age, "town": town, "note": note, "name": name, "kind": kind, "day": day.astype(str),
             "bought": bought, "cost": cost.round(2)}  # fmt: skip
    return Table.of({column: [str(v) for v in values] for column, values in cells.items()})


@pytest.fixture
def spec() -> RunSpec:
    return parse_spec(
        {
            "name": "shop",
            "data": {"source": f"/home/me/{SECRETS[4]}/shop.csv", "primary_key": "key"},
            "features": {
                "age": {"type": "number"}, "town": {"type": "category"}, "kind": {"type": "set"}, "day": "date",
                "note": {"type": "ignore", "reason": "free text"}, "name": {"type": "id"},
            },
            "targets": {"bought": {"type": "binary"}, "cost": {"type": "number"}},
        }
    )  # fmt: skip


@pytest.fixture
def signature(table: Table, spec: RunSpec) -> Signature:
    blank = blank_signature(table, assign_roles(table, spec), read_options_of(spec.data), np.arange(N))
    return learn_signature(blank, table, np.arange(N), min_group=10)


def leaf(signature: Signature, encoder: str, seed: int) -> NetworkPredictor:
    facts = signature.features()
    parts = {c.name: column_part(c) for c in facts}
    codecs = {c.name: parts[c.name].codec(c.name, c.learnt) for c in facts}  # type: ignore[attr-defined]
    fields = {"table": Field("table", codecs, {c.name: c.type for c in facts})}
    chosen = registry("encoder")[encoder].model_validate({"type": encoder})  # type: ignore[attr-defined]
    fusion = registry("fusion")["concat"].model_validate({"type": "concat"})  # type: ignore[attr-defined]
    solving = encoder == "linear"
    network = build_network({"table": chosen}, fusion, fields, learnt_targets(signature), solving=solving, seed=seed)
    return NetworkPredictor(signature, fields, network.eval(), {"table": chosen}, fusion, solving)


@pytest.fixture
def predictor(signature: Signature) -> Predictor:
    mlps = [leaf(signature, "mlp", seed) for seed in (1, 2)]
    weights = {"bought": (0.25, 0.75), "cost": (0.5, 0.5)}
    mixed = BlendPredictor(signature, tuple(mlps), weights)
    return ConformalPredictor(signature, mixed, {"cost": Radius(2.5, 0.9, 60)})


@pytest.fixture
def path(tmp_path: Path, spec: RunSpec, signature: Signature, predictor: Predictor) -> Path:
    contents = Contents(
        name=spec.name, spec_yaml=dump_spec(spec), resolved_yaml=dump_resolved(spec), plan={"steps": 1},
        signature=signature, predictor=predictor, evidence=Evidence(), card=model_card(spec, signature, Evidence()),
        golden=make_golden(predictor, seed=spec.seed), min_group=spec.bundle.min_group,
    )  # fmt: skip
    return save_bundle(tmp_path / "shop.bundle", contents)


def test_answers_are_the_same_bit_for_bit(path: Path, table: Table, predictor: Predictor) -> None:
    before, after = predictor.predict(table), load_bundle(path).predictor.predict(table)
    for target in ("bought", "cost"):
        assert np.array_equal(before[target].scores(), after[target].scores())


def test_our_own_parts_need_no_leave(path: Path) -> None:
    parts = load_bundle(path).manifest.parts
    assert {origin for names in parts.values() for origin in names.values()} == {"trueweight 0.1.0"}
    assert set(parts["predictor"]) == {"blend", "conformal", "network"}
    assert parts["encoder"].keys() == {"mlp"}
    assert parts["column"].keys() == {"age", "number", "category", "set", "date", "ignore", "id"} - {"age"}


def test_answers_have_their_columns(path: Path, table: Table) -> None:
    columns = open_bundle(path).predict_columns(table)
    assert list(columns) == ["key", "bought", "bought.p[yes]", "cost", "cost.low", "cost.high"]
    assert columns["key"][42] == "cust-00042-zz"


def test_nothing_planted_is_in_the_bundle(path: Path, tmp_path: Path, table: Table, find_planted) -> None:
    (tmp_path / "data").mkdir()
    rows = "\n".join(map(str, table.data.to_pylist()))
    (tmp_path / "data" / "shop.csv").write_text(rows)
    assert len(find_planted(tmp_path / "data", SECRETS)) == len(SECRETS) - 1  # the folder's name is not in the rows
    assert find_planted(path, [*SECRETS, str(tmp_path), "Person 1", "cust-000", "/home/me"]) == []


def test_a_pooled_level_is_found_when_the_limit_is_lowered(
    tmp_path: Path, table: Table, spec: RunSpec, find_planted
) -> None:
    """The twin of the test above: with ``min_group: 1`` the rare town is written, so the search can find it."""
    blank = blank_signature(table, assign_roles(table, spec), read_options_of(spec.data), np.arange(N))
    open_signature = learn_signature(blank, table, np.arange(N), min_group=1)
    model = leaf(open_signature, "mlp", 1)
    contents = Contents(
        name="open", spec_yaml=dump_spec(spec), resolved_yaml=dump_resolved(spec), plan={}, signature=open_signature,
        predictor=model, evidence=Evidence(), card="", golden=make_golden(model), min_group=1,
    )  # fmt: skip
    path = save_bundle(tmp_path / "open.bundle", contents)
    assert any(line.startswith("signature.json") for line in find_planted(path, [SECRETS[1]]))


def test_a_bundle_with_changed_weights_but_right_digests_is_refused(path: Path, forge) -> None:
    from safetensors.torch import load_file, save_file

    from trueweight.errors import VerifyError

    file = next(path.rglob("state.safetensors"))
    tensors = load_file(file)
    name = max(tensors, key=lambda key: tensors[key].numel())
    save_file({key: t * (1.5 if key == name else 1) for key, t in tensors.items()}, file)
    forge(path)
    with pytest.raises(VerifyError, match="golden rows get other answers"):
        load_bundle(path)


def test_weights_of_another_shape_are_refused(path: Path, forge) -> None:
    from safetensors.torch import load_file, save_file

    from trueweight.errors import VerifyError

    file = next(path.rglob("state.safetensors"))
    tensors = load_file(file)
    save_file({key: t[..., :-1].contiguous() if t.ndim else t for key, t in tensors.items()}, file)
    forge(path)
    with pytest.raises(VerifyError, match="do not fit together"):
        load_bundle(path)


def test_a_table_of_frames_comes_back_as_the_same_kind(path: Path, table: Table) -> None:
    pd = pytest.importorskip("pandas")
    frame = table.data.to_pandas().iloc[10:20]
    frame.index = pd.Index(range(100, 110))
    answers = open_bundle(path).predict(frame)
    assert isinstance(answers, pd.DataFrame)
    assert answers.index.tolist() == list(range(100, 110))
    assert list(answers.columns) == ["key", "bought", "bought.p[yes]", "cost", "cost.low", "cost.high"]


def test_a_forged_min_or_level_in_codecs_is_still_digested(path: Path) -> None:
    from trueweight.errors import VerifyError

    file = next(path.rglob("codecs.json"))
    raw = json.loads(file.read_text())
    file.write_text(json.dumps(raw))
    with pytest.raises(VerifyError, match="codecs.json"):
        load_bundle(path)


def test_a_solved_leaf_comes_back_too(tmp_path: Path, spec: RunSpec, signature: Signature, table: Table) -> None:
    model = leaf(signature, "linear", 0)
    contents = Contents(
        name="linear", spec_yaml=dump_spec(spec), resolved_yaml=dump_resolved(spec), plan={}, signature=signature,
        predictor=model, evidence=Evidence(), card="", golden=make_golden(model),
    )  # fmt: skip
    loaded = load_bundle(save_bundle(tmp_path / "linear.bundle", contents))
    again = replace(loaded.golden, torch="other") if loaded.golden else None
    assert again is not None
    assert np.array_equal(model.predict(table)["bought"].scores(), loaded.predictor.predict(table)["bought"].scores())
