"""What every predictor promises, checked for every kind of predictor we ship or have installed."""

import base64
import io
import json
import wave
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.cells import ReadOptions
from trueweight.data.field import Field
from trueweight.data.learn import blank_signature, learn_signature
from trueweight.data.reading import column_part
from trueweight.data.roles import Role
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import VerifyError
from trueweight.metrics.conformal import ClassSets, Radius
from trueweight.metrics.recalibrate import Recalibration
from trueweight.metrics.threshold import Threshold
from trueweight.model.predictors.blend import BlendPredictor
from trueweight.model.predictors.calibrated import CalibratedPredictor
from trueweight.model.predictors.conformal import ConformalPredictor
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.model.predictors.copied import CopyPredictor
from trueweight.model.predictors.nearest import NearestPredictor
from trueweight.model.predictors.nearest_sound import NearestSoundPredictor
from trueweight.model.predictors.ngrams import NgramPredictor
from trueweight.model.predictors.threshold import ThresholdPredictor
from trueweight.model.predictors.tree import predictor_from_state
from trueweight.model.protocols import FORCED, Predictor, State
from trueweight.registry import registry

ROWS = 30


def a_table() -> Table:
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    kind = rng.choice(["a", "b"], size=ROWS)
    note = [f"case {number % 7} of {'red' if number % 2 else 'blue'}" for number in range(ROWS)]
    said = [f"{text} is closed" if number % 5 else None for number, text in enumerate(note)]
    columns = {"x": x, "kind": kind, "cost": x * 3 + 1, "fraud": np.where(x > 0, "yes", "no")}
    sound = [None if number == 8 else a_sound(number) for number in range(ROWS)]
    return Table(pa.table(columns | {"note": note, "said": said, "sound": sound}))


def a_signature(table: Table, cost: Any = None, *, texts: bool = False) -> Signature:
    """Of numbers and classes, and where asked of texts: networks with both are the end-to-end tests' matter."""
    heads: dict[str, Any] = {"cost": cost or {"type": "number"}, "fraud": {"type": "binary"}}
    columns = {"x": "number", "kind": "category"} | ({"note": "text"} if texts else {})
    heads |= {"said": {"type": "text", "max_tokens": 8}} if texts else {}
    roles = [Role(n, "feature", registry("column")[t].model_validate({"type": t}), "") for n, t in columns.items()]
    roles += [Role(n, "target", registry("head")[t["type"]].model_validate(t), "") for n, t in heads.items()]
    rows = np.arange(ROWS)
    return learn_signature(blank_signature(table, roles, ReadOptions(), rows), table, rows, min_group=1)


def a_sound(number: int) -> str:
    """A tone, as an address that holds its file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(4000)
        time_N = np.arange(400 + 40 * (number % 3)) / 4000
        sound.writeframes((9000 * np.sin(2 * np.pi * 150 * (1 + number % 7) * time_N)).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"


def a_sound_signature(table: Table) -> Signature:
    """Sounds are read, and a text is to be written."""
    sound = registry("column")["audio"].model_validate({"type": "audio", "sample_rate": 4000, "n_mels": 8})
    said = registry("head")["text"].model_validate({"type": "text", "max_tokens": 8})
    roles, rows = [Role("sound", "feature", sound, ""), Role("said", "target", said, "")], np.arange(ROWS)
    return learn_signature(blank_signature(table, roles, ReadOptions(), rows), table, rows, min_group=1)


def a_network(signature: Signature) -> Predictor:
    from trueweight.model.network import build_network
    from trueweight.model.predictors.network import NetworkPredictor, learnt_targets

    codecs = {f.name: column_part(f).codec(f.name, f.learnt) for f in signature.features()}
    fields = {"table": Field("table", codecs, {f.name: f.type for f in signature.features()})}
    encoders = {"table": registry("encoder")["mlp"].model_validate({"type": "mlp", "hidden_sizes": [8], "members": 2})}
    fusion = registry("fusion")["concat"].model_validate({"type": "concat"})
    network = build_network(encoders, fusion, fields, learnt_targets(signature), solving=False, seed=0)
    return NetworkPredictor(signature, fields, network, encoders, fusion, solving=False)


EXAMPLES: dict[str, Callable[[Signature], Predictor]] = {
    "network": a_network,
    "constant": ConstantPredictor,
    "blend": lambda s: BlendPredictor(
        s, (a_network(s), ConstantPredictor(s)), {"cost": (0.5, 0.5), "fraud": (0.2, 0.8)}, ("mlp", "constant")
    ),
    "conformal": lambda s: ConformalPredictor(
        s,
        a_network(s),
        {"cost": Radius(1.5, 0.9, 80, edges=(0.5,), radii=(1.0, 2.0), sizes=(40, 40))},
        {"fraud": ClassSets(0.9, 20, (0.2, 0.4), (10, 10), (0, 1))},
    ),
    "calibrated": lambda s: CalibratedPredictor(
        s, a_network(s), {"fraud": Recalibration("beta", (0.7, 1.2, 0.1), 90, "asked for")}
    ),
    "copy": lambda s: CopyPredictor(s, "note"),
    "nearest_neighbour": lambda s: NearestPredictor.of(s, a_table()),
    "nearest_sound": lambda s: NearestSoundPredictor.of(s, a_table()),
    "n_gram": lambda s: NgramPredictor.of(s, a_table()),
    "threshold": lambda s: ThresholdPredictor(s, a_network(s), {"fraud": Threshold(0.3, 3.0, 7.0, 0.4, 90, "costs")}),
}


@pytest.fixture(params=list(registry("predictor")))
def case(request: pytest.FixtureRequest) -> tuple[Any, Table]:
    table = a_table()
    if request.param == "nearest_sound":
        return EXAMPLES[request.param](a_sound_signature(table)), table
    texts = request.param in ("copy", "nearest_neighbour", "n_gram")
    return EXAMPLES[request.param](a_signature(table, texts=texts)), table


def stored(state: State) -> State:
    """What a bundle makes of a state: JSON and copies of tensors."""
    facts, codecs = json.loads(json.dumps([state.facts, state.codecs], allow_nan=False))
    tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
    return State(state.kind, facts, tensors, codecs, tuple(stored(member) for member in state.members))


def equal(a: Any, b: Any) -> bool:
    return all(
        np.array_equal(a[target].columns("y")[name], column)
        for target in a
        for name, column in b[target].columns("y").items()
    )


def test_ends_have_shares_of_their_own_and_survive():
    table = a_table()
    signature = a_signature(table, {"type": "number", "quantiles": [0.1, 0.9]})
    parts = (a_network(signature), ConstantPredictor(signature))
    blended = BlendPredictor(signature, parts, {"cost": (1.0, 0.0), "fraud": (1.0, 0.0)}, (), {"cost": (0.0, 1.0)})
    predictor = ConformalPredictor(signature, blended, {"cost": Radius(-0.1, 0.8, 80, of_quantiles=True)})
    twin = predictor_from_state(stored(predictor.state()), signature)
    assert equal(twin.predict(table), predictor.predict(table))
    found, (network, constant) = predictor.predict(table)["cost"], (part.predict(table)["cost"] for part in parts)
    np.testing.assert_array_equal(found.value_N, network.value_N)
    np.testing.assert_allclose(found.low_N, np.minimum(constant.low_N + 0.1, found.value_N))
    np.testing.assert_allclose(found.high_N, np.maximum(constant.high_N - 0.1, found.value_N))
    assert found.coverage == 0.8


def test_every_predictor_is_here():
    assert set(registry("predictor")) == set(EXAMPLES)


def test_state_is_an_exact_inverse(case):
    predictor, table = case
    twin = predictor_from_state(stored(predictor.state()), predictor.signature)
    assert type(twin) is type(predictor)
    assert equal(twin.predict(table), predictor.predict(table))
    assert stored(twin.state()).facts == stored(predictor.state()).facts


def test_members_are_what_the_state_holds(case):
    predictor, _ = case
    assert [m.state().kind for m in predictor.members()] == [m.kind for m in predictor.state().members]
    assert bool(predictor.state().members) == (predictor.state().codecs is None and bool(predictor.members()))


def test_rows_do_not_see_each_other(case):
    predictor, table = case
    few, whole = predictor.predict(table.take([4, 2])), predictor.predict(table)
    for target, answer in few.items():
        np.testing.assert_allclose(answer.scores(), whole[target].take(np.array([4, 2])).scores(), rtol=1e-5, atol=1e-6)


def test_the_same_question_has_the_same_answer(case):
    predictor, table = case
    assert equal(predictor.predict(table), predictor.predict(table))


def test_lost_columns_and_no_rows_are_answered(case):
    predictor, table = case
    assert all(len(answer) == ROWS for answer in predictor.predict(table.select(["kind"])).values())
    assert all(len(answer) == 0 for answer in predictor.predict(table.head(0)).values())


def test_every_runtime_answers_alike(case):
    predictor, table = case
    double = predictor.with_runtime("double").predict(table)
    for target, answer in predictor.predict(table).items():
        np.testing.assert_allclose(answer.scores(), double[target].scores(), rtol=1e-4, atol=1e-5)


def test_a_beta_calibration_may_leave_one_of_its_sides_out():
    # Of labels that are nearly certain and sometimes flipped, the best one has no term of log p at all.
    signature = a_signature(a_table())
    one_sided = {"fraud": Recalibration("beta", (0.0, 4.8, -3.3), 90, "least loss")}
    calibrated = CalibratedPredictor(signature, ConstantPredictor(signature), one_sided)
    assert predictor_from_state(calibrated.state(), signature).predict(a_table()).keys() == {"cost", "fraud"}
    frozen = {"fraud": Recalibration("temperature", (0.0,), 90)}
    with pytest.raises(ValueError, match="no such calibration"):
        CalibratedPredictor(signature, ConstantPredictor(signature), frozen)


@pytest.mark.parametrize("name", ["copy", "nearest_neighbour", "nearest_sound", "n_gram"])
def test_states_of_texts_that_do_not_fit_together_are_refused(name):
    signature = a_sound_signature(a_table()) if name == "nearest_sound" else a_signature(a_table(), texts=True)
    state = EXAMPLES[name](signature).state()
    broken = {"answers": {"said": ["one"]}, "source": 3, "order": "five"}
    for key in state.facts:
        for facts in ({k: v for k, v in state.facts.items() if k != key}, {**state.facts, key: broken.get(key)}):
            with pytest.raises(VerifyError, match=r"cannot be read|not equally many|does not say"):
                predictor_from_state(State(name, facts, state.tensors), signature)


def test_what_is_true_is_scored_the_same_after_a_round_trip():
    table = a_table()
    signature = a_signature(table, texts=True)
    model = EXAMPLES["n_gram"](signature)
    twin = predictor_from_state(stored(model.state()), signature)
    ours, theirs = (one.predict(table, how=FORCED)["said"] for one in (model, twin))
    np.testing.assert_array_equal(ours.truth_logp_N, theirs.truth_logp_N)
    assert (ours.truth_logp_N < 0).all()


def test_a_sound_that_was_heard_finds_its_own_text_and_no_sound_the_usual_one():
    table = a_table()
    model = NearestSoundPredictor.of(a_sound_signature(table), table)
    truths, sounds = table.column("said").to_pylist(), table.column("sound").to_pylist()
    first = {sound: text for sound, text in reversed(list(zip(sounds, truths, strict=True))) if sound and text}
    answers = model.predict(table)["said"].text_N.tolist()
    assert len(set(answers)) > 3
    first[None] = model.signature.columns["said"].learnt["usual"]
    known = [(sound, answer) for sound, answer in zip(sounds, answers, strict=True) if sound in first]
    assert len(known) > ROWS // 2
    assert all(answer == first[sound] for sound, answer in known)
