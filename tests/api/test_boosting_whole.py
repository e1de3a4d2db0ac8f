"""A blend with boosted trees from end to end: kept without code, asked without LightGBM, measured again."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from trueweight import api
from trueweight.explain.gradients import leaves_of


def rows(count: int = 260) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, count))
    value = 3 * x * z + rng.normal(size=count) * 0.3
    gaps = [None if hidden else v for hidden, v in zip(rng.random(count) < 0.1, x.tolist(), strict=True)]
    kind = rng.choice(["a", "b", "c"], count)
    return {"x": gaps, "z": z, "kind": kind, "won": np.where(value > 0, "yes", "no")}


SPEC = {
    "targets": {"won": "binary"}, "model": {"boosting": True, "preset": "fast"},
    "evaluate": {
        "interval": {"n_resamples": 100}, "checks": ["calibration", "robustness"],
        "robustness": {"attack": {"radius": 0.1}},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return api.train(rows(), spec=SPEC, out=tmp_path_factory.mktemp("runs") / "one")


def test_members_weights_and_seconds_are_facts(bundle: Any) -> None:
    facts = {entry.id: entry for entry in bundle.evidence.select(axis="fit")}
    assert [facts[f"fit/{i}/seconds"].metric for i in (0, 1)] == ["seconds of linear", "seconds of trees"]
    assert facts["fit/1/weight/won"].value > 0.5


def test_trees_lie_in_the_bundle_as_tensors(bundle: Any) -> None:
    names = [load_file(path).keys() for path in sorted(bundle.path.glob("members/*/state.safetensors"))]
    trees = [some for some in names if "heads.t0.forest.threshold_N" in some]
    assert len(trees) == 1
    suffixes = {path.suffix for path in bundle.path.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".jsonl", ".yaml", ".md", ".safetensors"}


def test_it_answers_the_same_where_the_library_is_not(bundle: Any, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['lightgbm'] = sys.modules['sklearn'] = None\n"
        "import numpy as np\n"
        "from trueweight import api\n"
        "rows = {'x': [0.5, None, float('inf')], 'z': [1.0, -2.0, 0.1], 'kind': ['a', 'never seen', None]}\n"
        f"print({{k: v.tolist() for k, v in api.predict({str(bundle.path)!r}, rows).items()}})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked = {"x": [0.5, None, float("inf")], "z": [1.0, -2.0, 0.1], "kind": ["a", "never seen", None]}
    assert done.stdout.strip() == str({name: cells.tolist() for name, cells in api.predict(bundle, asked).items()})


def test_every_number_comes_out_again(bundle: Any) -> None:
    found = api.verify(bundle.path, recompute=True, data=rows())
    assert found.unchanged
    assert found.reproduced


def test_a_forged_tree_is_refused(bundle: Any) -> None:
    state = bundle.predictor.state()
    leaf = state
    while leaf.kind != "network" or not leaf.facts.get("boosted"):
        leaf = leaf.members[-1]
    forged = dict(leaf.tensors) | {"heads.t0.forest.left_N": leaf.tensors["heads.t0.forest.left_N"] * 0}
    from trueweight.errors import VerifyError
    from trueweight.model.predictors.network import NetworkPredictor

    with pytest.raises(VerifyError, match="these trees point to nodes or columns that there are not"):
        NetworkPredictor.from_state(type(leaf)(leaf.kind, leaf.facts, forged, leaf.codecs), bundle.signature)


def test_gradients_are_refused_in_words(bundle: Any) -> None:
    assert leaves_of(bundle.predictor, "won") == "boosted trees take part in the answer, and have no gradients"
    (entry,) = [e for e in bundle.evidence.select(axis="robustness") if e.metric == "attack/won"]
    assert entry.status == "not_run"
    assert entry.reason.startswith("boosted trees take part in the answer: they have no slope to climb")


def test_methods_that_only_ask_explain_trees(bundle: Any) -> None:
    told = api.explain(bundle, rows(40), rows=1, methods=["shapley", "gradients"])
    by_name = {one.method: one for one in told}
    assert by_name["shapley"].items
    assert not by_name["gradients"].items
