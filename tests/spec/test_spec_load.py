"""Reading specs: right ones give equal specs again, wrong ones give every mistake with its place."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from trueweight.errors import SpecError
from trueweight.registry import registry
from trueweight.spec.base import PartSpec
from trueweight.spec.document import dotted, read_yaml, scalar
from trueweight.spec.evaluate import EvaluateSpec
from trueweight.spec.load import dump_resolved, dump_spec, load_spec, parse_spec
from trueweight.spec.run import RunSpec, SplitSpec
from trueweight.spec.schema import json_schema
from trueweight.spec.settings import parse_setting


class ToyEncoder(PartSpec):
    """An encoder for tests."""

    type: Literal["toy"] = "toy"
    width: Annotated[int, Field(gt=0)] = 3
    """How wide."""


class ToyHead(PartSpec):
    """A target type for tests."""

    type: Literal["toy"] = "toy"


class ToyColumn(PartSpec):
    """A column type for tests."""

    type: Literal["toy"] = "toy"
    unit: str | None = None


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, part in (("encoder", ToyEncoder), ("head", ToyHead), ("column", ToyColumn)):
        monkeypatch.setitem(registry(kind)._parts, "toy", part)


def refused(text: str, folder: Path, **more: Any) -> str:
    file = folder / "claims.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_spec(file, **more)
    return str(caught.value).replace(f"{folder}/", "")


GOOD = "targets: {y: toy}\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed: -1", "claims.yaml:2:7: seed: must be at least 0, got -1"),
        ("seed: many", "claims.yaml:2:7: seed: must be a whole number, got 'many'"),
        ("name: a/b", "claims.yaml:2:7: name: a name, not a path: 'b' would do, got 'a/b'"),
        ("name: 3", "claims.yaml:2:7: name: must be a text (in quotes if it looks like something else), got 3"),
        ("trian: {}", "claims.yaml:2:1: trian: no such option; did you mean 'train'?"),
        ("budget: 2m", "claims.yaml:2:1: budget: no such option here; did you mean train.budget?"),
        ("train: {budgit: 2m}", "claims.yaml:2:9: train.budgit: no such option; did you mean 'budget'?"),
        (
            "train: {budget: {time: soon}}",
            "claims.yaml:2:24: train.budget.time: not a duration: write 90s, 20m, 1h30m or 30d, got 'soon'",
        ),
        ("train: {batch_size: big}", "claims.yaml:2:21: train.batch_size: must be 'auto' or a whole number, got 'big'"),
        (
            "model: {preset: quick}",
            "claims.yaml:2:17: model.preset: must be 'fast', 'standard' or 'best', got 'quick'",
        ),
        (
            "model: {preset: fats}",
            "claims.yaml:2:17: model.preset: must be 'fast', 'standard' or 'best', got 'fats'; did you mean 'fast'?",
        ),
        (
            "model: {encoder: toyy}",
            "claims.yaml:2:18: model.encoder: unknown encoder 'toyy'; did you mean 'toy'?",
        ),
        (
            "model: {encoder: {type: toyy}}",
            "claims.yaml:2:25: model.encoder: unknown encoder 'toyy'; did you mean 'toy'?",
        ),
        (
            "model: {encoder: {type: toy, widht: 4}}",
            "claims.yaml:2:30: model.encoder.widht: no such option; did you mean 'width'?",
        ),
        ("model: {encoder: {type: toy, width: 0}}", "claims.yaml:2:37: model.encoder.width: must be more than 0, got"),
        ("model: {encoder: {width: 1}}", "claims.yaml:2:18: model.encoder: an encoder needs a 'type'"),
        (
            'features: {"a.b": {type: toy, unti: x}}',
            """claims.yaml:2:31: features."a.b".unti: no such option; did you mean 'unit'?""",
        ),
        (
            "split: {validation: {form: 2026-01-01}}",
            "claims.yaml:2:21: split.validation.from: is missing: First moment that belongs to the part",
        ),
        ("split: {test: most}", "claims.yaml:2:15: split.test: must be a number, got 'most'"),
        ("split: {method: time}", "claims.yaml:2:17: split.method: 'time' needs split.time_column"),
        ("data: {source: 3}", "claims.yaml:2:16: data.source: must be a text (in quotes if it looks like"),
        ("data: {source: [a, 3]}", "claims.yaml:2:20: data.source[1]: must be a text (in quotes if it looks like"),
        ("data: {max_bad_rows: 200%}", "claims.yaml:2:22: data.max_bad_rows: must be less than 1, got '200%'"),
        ("evaluate: {baselines: linear}", "claims.yaml:2:23: evaluate.baselines: must be a list, got 'linear'"),
        ("card:", "claims.yaml:2:1: card: must be a mapping ('key: value' lines), got nothing: fill it in, or remove"),
        ("seed: 1\nseed: 2", "claims.yaml:3:1: seed: given twice; the first is at claims.yaml:2:1"),
        ("version: 2", "claims.yaml:2:10: version: must be 1, got 2"),
        ("train: !!python/object:os.system {}", "claims.yaml:2:8: tag tag:yaml.org,2002:python/object:os.system is"),
        ("<<: {seed: 1}", "claims.yaml:2:1: merge keys (<<) are not part of YAML 1.2"),
        ("? [a]\n: 3", "claims.yaml:2:3: a key must be a text"),
    ],
)
def test_a_mistake_is_told_with_its_place_value_and_remedy(line: str, message: str, tmp_path: Path) -> None:
    assert message in refused(GOOD + line + "\n", tmp_path)


def test_all_mistakes_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "targets: {y: toyy, z: {type: toy, k: 3}}\nseed: -1\ntrain:\n  budgit: 3\n  budget: {steps: 0}\n"
    told = refused(text, tmp_path, settings=["bundle.min_group=0"]).splitlines()
    assert told[0] == "6 mistakes in claims.yaml"
    assert [line.split(": ")[0].strip() for line in told[1:]] == [
        "--set bundle.min_group=0",
        "claims.yaml:1:14",
        "claims.yaml:1:35",
        "claims.yaml:2:7",
        "claims.yaml:4:3",
        "claims.yaml:5:19",
    ]


def test_a_thousand_mistakes_are_cut_short(tmp_path: Path) -> None:
    told = refused(GOOD + "\n".join(f"x{n}: 1" for n in range(1000)), tmp_path).splitlines()
    assert told[0] == "1000 mistakes in claims.yaml"
    assert told[-1] == "  … and 950 more"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "claims.yaml: the spec is empty"),
        ("# only a comment\n", "claims.yaml: the spec is empty"),
        ("- a\n- b\n", "claims.yaml: expected a mapping of options, found a list"),
        ("hello", "claims.yaml: expected a mapping of options, found only 'hello'"),
        ("a:\n\tb: 1\n", "claims.yaml:2:1: a tab at the beginning of a line; YAML wants spaces there"),
        ("a: b: c\n", "claims.yaml:1:5: a second ':' where only one can be\n  a: b: c\n      ^"),
        ("a: [1,\n", "claims.yaml:1:7: not YAML"),
        ("a: *.csv\n", "put a text that begins with '*' in quotes"),
        ("a: 1\n---\nb: 2\n", "claims.yaml:2:1: a second document begins here"),
        ("a: &x [*x]", "aliases unfold"),
        ("a: \x01", "claims.yaml: not YAML"),
        ("{}", "claims.yaml:1:1: targets: is missing: Columns to predict, by name"),
    ],
)
def test_what_is_no_spec_is_refused(text: str, message: str, tmp_path: Path) -> None:
    assert message in refused(text, tmp_path)


def test_aliases_cannot_unfold_without_end(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "aliases unfold into more than 100,000 values" in refused("\n".join(lines), tmp_path)


def test_files_that_are_no_specs(tmp_path: Path) -> None:
    (tmp_path / "junk.yaml").write_bytes(bytes(range(256)))
    (tmp_path / "latin.yaml").write_bytes("name: a\ncard: {owner: M\xfcller}\n".encode("latin-1"))
    (tmp_path / "huge.yaml").write_bytes(b"a: 1\n" * 1_000_000)
    for name, message in [
        ("junk.yaml", "a binary file, not a spec"),
        ("latin.yaml", "latin.yaml:2: not UTF-8: byte 0xfc\n  hint: save the file as UTF-8"),
        ("huge.yaml", "5,000,000 bytes are too many for a spec"),
        ("junc.yaml", "no such file\n  hint: there is junk.yaml"),
        ("nowhere/x.yaml", "no such file\n  hint: there is no folder"),
        (".", "a folder, not a spec"),
        ("claims.csv", "a data file, not a spec"),
    ]:
        with pytest.raises(SpecError) as caught:
            load_spec(tmp_path / name)
        assert message in str(caught.value)


def test_yaml_is_read_by_version_1_2(tmp_path: Path) -> None:
    text = """
    targets: {NO: toy, "1": toy, null: toy, 2: toy}
    train: {max_grad_norm: 1e-3, budget: {time: 1h30m, memory: 8GB}}
    data: {missing_values: [NO, on, ~x, 2026-01-01, "1"], max_bad_rows: 1%, source: &s claims.csv}
    card: {owner: *s}
    seed: 0x10
    """
    (tmp_path / "a.yaml").write_text("\ufeff" + text.replace("\n    ", "\n"), encoding="utf-8")
    spec = load_spec(tmp_path / "a.yaml")
    assert list(spec.targets) == ["NO", "1", "null", "2"]
    assert spec.train.max_grad_norm == 0.001
    assert spec.train.budget.time == 5400
    assert spec.train.budget.memory == 8 * 10**9
    assert spec.data.missing_values == ["NO", "on", "~x", "2026-01-01", "1"]
    assert spec.data.max_bad_rows == 0.01
    assert spec.card.owner == "claims.csv"
    assert spec.seed == 16


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("1_000", "1_000"), ("0o17", 15), ("017", 17), ("yes", "yes"), ("TRUE", True), ("~", None),
     ("-.5", -0.5), ("+3", 3), ("1.", 1.0), ("12:30", "12:30"), ("-.inf", float("-inf")), ("e3", "e3")],
)  # fmt: skip
def test_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_a_spec_that_is_dumped_reads_as_itself() -> None:
    raw = {
        "targets": {"y": {"type": "toy"}},
        "features": {"a.b": "toy", "NO": {"type": "toy", "unit": "1e-3"}, "ü: #x": "toy"},
        "split": {"method": "time", "time_column": "t", "validation": {"from": "2026-01-01"}, "test": 0.1},
        "train": {"budget": {"time": "2m"}},
    }
    spec = parse_spec(raw)
    text = dump_spec(spec)
    assert parse_spec(read_yaml(text).raw) == spec
    assert dump_spec(parse_spec(read_yaml(text).raw)) == text
    assert "seed" not in text  # not asked for
    resolved = dump_resolved(spec, settings=["seed=0"])
    assert resolved.startswith("# set on the command line: 'seed=0'\n")
    assert "seed: 0" in resolved
    assert parse_spec(read_yaml(resolved).raw) == spec


OPTIONS = ["type", "method", "validation", "test", "metrics", "members", "selection_metric", "target", "y", "name"]
PRINTED = st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"], exclude_characters="\u2028\u2029\ufeff")
NAMES = st.text(PRINTED, max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, NAMES, min_size=1, max_size=3), NAMES, st.floats(min_value=1e-300, max_value=1e300))
def test_any_names_survive_the_file(units: dict[str, str], owner: str, norm: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry("column")._parts, "toy", ToyColumn)
        patch.setitem(registry("head")._parts, "toy", ToyHead)
        features = {name: {"type": "toy", "unit": unit} for name, unit in units.items()}
        raw = {"targets": {"a target": "toy"}, "features": features, "card": {"owner": owner}}
        spec = parse_spec(raw | {"train": {"max_grad_norm": norm}})
        assert parse_spec(read_yaml(dump_spec(spec)).raw) == spec


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=4))
@example(["\xa0"])
@example(["a b\\"])
def test_a_dotted_path_reads_as_itself(names: list[str]) -> None:
    assert parse_setting(f"{dotted(tuple(names))}=1") == (tuple(names), 1)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["y", "random", "50%", "%"]),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from(OPTIONS), below, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(list(RunSpec.model_fields)), JUNK, max_size=5))
def test_rules_that_span_fields_bear_any_values(raw: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        parse_spec(raw | {"trian": {}})


def test_a_spec_made_in_python_keeps_the_rules_too() -> None:
    with pytest.raises(ValidationError, match="'group' needs split.group"):
        SplitSpec(method="group")
    with pytest.raises(ValidationError, match="'z' is no target; there is 'y'"):
        RunSpec(targets={"y": ToyHead()}, evaluate=EvaluateSpec(metrics={"z": ["mae"]}))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_no_text_gives_anything_but_a_spec_or_our_error(text: str) -> None:
    try:
        raw = read_yaml(text).raw
    except SpecError:
        return
    with pytest.raises(SpecError):
        parse_spec({"text": raw})


@pytest.mark.parametrize(
    ("settings", "check"),
    [
        (["seed=3"], lambda s: s.seed == 3),
        (["seed=3", "seed=4"], lambda s: s.seed == 4),
        (["train.budget.time=2m"], lambda s: s.train.budget.time == 120),
        (["model.encoder=toy", "model.encoder.width=64"], lambda s: s.model.encoder.width == 64),
        (['features."a.b".type=toy'], lambda s: s.features["a.b"].type == "toy"),
        (["data.missing_values=[NO, x]"], lambda s: s.data.missing_values == ["NO", "x"]),
        (["data.missing_values[0]=q"], lambda s: s.data.missing_values == ["q", "m2"]),
        (["data.missing_values[2]=q"], lambda s: s.data.missing_values == ["m1", "m2", "q"]),
        (["train.early_stopping=null"], lambda s: s.train.early_stopping is None),
        (["card.owner="], lambda s: s.card.owner == ""),
    ],
)
def test_settings_change_the_spec(settings: list[str], check: Any) -> None:
    raw = {"targets": {"y": "toy"}, "data": {"missing_values": ["m1", "m2"]}}
    spec = parse_spec(raw, settings=settings)
    assert check(spec)
    assert raw == {"targets": {"y": "toy"}, "data": {"missing_values": ["m1", "m2"]}}  # left alone
    assert parse_spec(read_yaml(dump_spec(spec)).raw) == spec  # and so they are recorded


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed", "--set seed: expected name=value"),
        ("=3", "--set =3: expected name=value"),
        ("a..b=3", "expected name=value"),
        ('"a=3', "expected name=value"),
        ("train.budget=[1", "the value '[1' is not YAML"),
        ("train={a: 1, a: 2}", "given twice"),
        ("seed.x=3", "--set seed.x=3: seed is 0, so there is no 'x' in it"),
        ("data.missing_values[7]=x", "data.missing_values has 2 items"),
        ("trian.steps=3", "--set trian.steps=3: trian: no such option; did you mean 'train'?"),
        ("seed=-3", "--set seed=-3: seed: must be at least 0, got -3"),
    ],
)
def test_settings_that_cannot_be_applied(setting: str, message: str) -> None:
    raw = {"targets": {"y": "toy"}, "seed": 0, "data": {"missing_values": ["m1", "m2"]}}
    with pytest.raises(SpecError) as caught:
        parse_spec(raw, settings=[setting])
    assert message in str(caught.value)


def test_the_schema_knows_every_option_and_every_part() -> None:
    schema = json_schema()
    json.dumps(schema, allow_nan=False)
    assert set(schema["properties"]) == set(RunSpec.model_fields)
    targets = schema["properties"]["targets"]["additionalProperties"]["anyOf"]
    assert "toy" in targets[0]["enum"]
    encoders = json.dumps(schema["$defs"]["ModelSpec"]["properties"]["encoder"])
    assert "How wide." in encoders
    for spec in schema["$defs"].values():
        for name, option in spec.get("properties", {}).items():
            assert option.get("description") or "$ref" in option or name == "type", f"{spec['title']}.{name}"


@pytest.mark.parametrize(
    ("column", "wrong", "says"),
    [
        ("image", "spec_augment", "spec_augment does not change pictures; choose from crop, cutout, "),
        ("text", "shift", "shift does not change texts; choose from word_dropout"),
        ("audio", "horizontal_flip", "horizontal_flip does not change sounds; choose from gain, jitter, "),
        ("timeseries", "word_dropout", "word_dropout does not change series; choose from gain, jitter, "),
    ],
)
def test_augmentations_that_do_not_fit_their_column_are_refused(column: str, wrong: str, says: str) -> None:
    raw = {"targets": {"y": "binary"}, "features": {"c": {"type": column, "augment": [wrong]}}}
    with pytest.raises(SpecError, match=says) as caught:
        parse_spec(raw)
    assert "features.c.augment" in str(caught.value)


@pytest.mark.parametrize(("written", "means"), [("90%", 0.9), (0.8, 0.8), ("99.5 %", 0.995)])
def test_shares_of_evaluation_may_be_written_as_percent(written: Any, means: float) -> None:
    evaluate = {"conformal": {"coverage": written}, "interval": {"level": written}}
    spec = parse_spec({"targets": {"y": "binary"}, "evaluate": evaluate})
    assert spec.evaluate.conformal is not None
    assert spec.evaluate.conformal.coverage == pytest.approx(means)
    assert spec.evaluate.interval.level == pytest.approx(means)
    for wrong in ("0%", 0, "100%", "most"):
        with pytest.raises(SpecError, match=r"evaluate\.conformal\.coverage"):
            parse_spec({"targets": {"y": "binary"}, "evaluate": {"conformal": {"coverage": wrong}}})


def test_a_name_that_no_file_may_have_is_told_in_words() -> None:
    with pytest.raises(SpecError, match="must be letters a to z, digits, dots") as caught:
        parse_spec({"name": "泰坦尼克", "targets": {"y": "binary"}})
    assert "^" not in str(caught.value)
