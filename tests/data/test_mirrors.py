"""Pictures and their mirror images: what is told of digits, arrows and photos, and that noise alone tells nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits
from tests.evaluate.judged import picture

from trueweight import api
from trueweight.data import mirrors
from trueweight.data.frames import from_frame
from trueweight.data.mirrors import CHANCE, DIFFERS, _between, mirror_share
from trueweight.data.read import read_table
from trueweight.spec.load import parse_spec
from trueweight.train.prepare import prepare


def differs(pixel_NHWC: np.ndarray, class_N: np.ndarray) -> bool:
    share, chance = mirror_share(pixel_NHWC, class_N)
    return share >= DIFFERS and chance <= CHANCE


def coloured(grey_NHW: np.ndarray, seed: int) -> np.ndarray:
    """Ink and ground of any two colours that are apart, from 0 to 1."""
    rng = np.random.default_rng(seed)
    ink, ground = rng.integers(0, 256, (2, len(grey_NHW), 1, 1, 3))
    ground = np.where(np.abs(ink - ground).sum(-1, keepdims=True) > 150, ground, 255 - ink)
    return ground + (ink - ground) * grey_NHW[..., None]


def blobs(rows: int, seed: int, turned: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Each class has patches of light of its own, each picture mirrored by chance: a world without left and right."""
    rng = np.random.default_rng(seed)
    base = np.random.default_rng(99).uniform(size=(4, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2) * 120
    class_N = rng.integers(0, 4, rows)
    pixel = base[class_N] + rng.normal(60, 25, (rows, 16, 16, 3))
    mirror_N = rng.random(rows) < turned
    pixel[mirror_N] = pixel[mirror_N][:, :, ::-1]
    return np.clip(pixel, 0, 255), class_N


@pytest.mark.parametrize("rows", [120, 600])
def test_digits_differ_from_their_mirror_images_in_any_colours(rows: int) -> None:
    data = load_digits()
    some = np.random.default_rng(0).permutation(len(data.target))[:rows]
    assert differs(coloured(data.images[some] / 16, 0), data.target[some])
    upright = data.images[some]  # the same digits, half of them mirrored: what a mirror turns is gone
    upright[::2] = upright[::2, :, ::-1]
    assert not differs(coloured(upright / 16, 0), data.target[some])


def test_left_and_right_are_told_by_the_mirrored_part_alone() -> None:
    arrow = np.tril(np.ones((9, 9)))
    rng = np.random.default_rng(0)
    class_N = rng.integers(0, 2, 80)
    grey = np.where(class_N[:, None, None] == 1, arrow, arrow[:, ::-1]) * 0.8 + rng.uniform(0, 0.2, (80, 9, 9))
    share, chance = mirror_share(coloured(grey, 1), class_N)
    assert share > 0.9
    assert chance <= CHANCE


def test_pictures_without_left_and_right_are_left_in_peace() -> None:
    assert not any(differs(*blobs(rows, seed)) for rows in (60, 300) for seed in range(20))
    assert all(differs(*blobs(300, seed, turned=0.0)) for seed in range(3))


def test_what_lies_between_classes_is_estimated_without_bias() -> None:
    """Against a slow sum over pairs of different pictures, whose expectation holds no noise; and nothing of nothing."""
    rng = np.random.default_rng(0)
    code_N, value_NP = np.repeat([0, 1, 2], [4, 6, 5]), rng.normal(size=(15, 7))
    sign_TN = rng.choice([-1.0, 1.0], (3, 15))
    for toss, sign_N in enumerate(sign_TN):
        signed, share = value_NP * sign_N[:, None], np.array([4, 6, 5]) / 15
        pairs = np.zeros((3, 3))
        for c in range(3):
            for d in range(3):
                mine, theirs = np.flatnonzero(code_N == c), np.flatnonzero(code_N == d)
                pairs[c, d] = np.mean([signed[i] @ signed[j] for i in mine for j in theirs if i != j])
        slow = share @ np.diag(pairs) - share @ pairs @ share
        assert _between(value_NP, code_N, sign_TN)[toss] == pytest.approx(slow)
    many = [_between(rng.normal(size=(15, 7)), code_N, np.ones((1, 15)))[0] for _ in range(400)]
    assert abs(np.mean(many)) < 4 * np.std(many) / 20


@pytest.mark.parametrize("codes", [[], [0] * 50, [-1] * 50, list(range(50))])
def test_nothing_to_compare_tells_nothing(codes: list[int]) -> None:
    assert mirror_share(np.zeros((len(codes), 4, 4, 3), np.uint8), np.array(codes, np.int64)) == (0.0, 1.0)


def signed(kind: str) -> Any:
    data = load_digits()
    pixels = coloured(data.images[:200] / 16, 2)
    address = [picture(np.kron(p, np.ones((2, 2, 1)))) for p in pixels]
    columns = {"sign": address, "digit": [f"d{d}" for d in data.target[:200]], "size": data.target[:200] * 1.0}
    targets = {"digit": "category"} if kind == "category" else {"size": "number"}
    return prepare(from_frame(columns), parse_spec({"features": {"sign": "image"}, "other_features": "ignore",
                                                    "targets": targets}))  # fmt: skip


def test_the_signature_and_the_network_know_it() -> None:
    from trueweight.data.reading import column_part

    for kind in ("category", "number"):
        facts = signed(kind).signature.columns["sign"]
        part: Any = column_part(facts)
        told = facts.learnt.get("mirror", {"differs": False})
        assert told["differs"] is (kind == "category")
        words = "; mirrored: no, classes differ from their mirror images"
        assert part.summary(facts.learnt).endswith(words) is (kind == "category")
        codec = part.codec("sign", facts.learnt)
        assert codec.senses()["pixel"].mirrors is (kind == "number")
        again = part.codec_from_json(codec.to_json())
        assert again == codec


def test_check_tells_the_reason(tmp_path: Path) -> None:
    data = load_digits()
    signs = coloured(data.images[:200] / 16, 3)
    address = [picture(np.kron(p, np.ones((2, 2, 1)))) for p in signs]
    pq.write_table(pa.table({"sign": address, "digit": [f"d{d}" for d in data.target[:200]]}), tmp_path / "d.parquet")
    spec = tmp_path / "d.yaml"
    words = "sign: mirrored: no, classes differ from their mirror images"
    head = "version: 1\ndata: {source: d.parquet}\ntargets: {digit: category}\n"
    spec.write_text(head + "features: {sign: image}\n")
    assert words in api.check(spec).lines
    spec.write_text(head + "features: {sign: {type: image, augment: [horizontal_flip]}}\n")
    assert "sign: classes differ from their mirror images" in api.check(spec).lines


def test_it_is_found_once_for_the_same_rows_and_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data, asked = load_digits(), list[int]()
    signs = coloured(data.images[:200] / 16, 4)
    address = [picture(np.kron(p, np.ones((2, 2, 1)))) for p in signs]
    digits = data.target[:200]
    labels = {"digit": [f"d{d}" for d in digits], "odd": ["yes" if d % 2 else "no" for d in digits]}
    pq.write_table(pa.table({"sign": address, **labels}), tmp_path / "d.parquet")
    share = mirrors.mirror_share
    monkeypatch.setattr(mirrors, "mirror_share", lambda *given: asked.append(1) or share(*given))

    def told(target: str) -> Any:
        spec = parse_spec({"features": {"sign": "image"}, "other_features": "ignore", "targets": {target: "category"}})
        return prepare(read_table(tmp_path / "d.parquet", spec.data), spec).signature.columns["sign"].learnt["mirror"]

    first = told("digit")
    assert told("digit") == first
    assert len(asked) == 1
    assert told("odd")["target"] == "odd"
    assert len(asked) == 2
