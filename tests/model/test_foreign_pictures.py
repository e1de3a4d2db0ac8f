"""ResNet folders of other makers: the same numbers as transformers gives, from the file of a picture on.

What transformers gives was written down by ``scripts/foreign_fixtures.py``.
"""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from trueweight.data.column import Sense
from trueweight.data.columns.image import ImageColumn
from trueweight.data.field import Layout
from trueweight.data.preparation import PreparationSpec, marked, picture_of
from trueweight.errors import SpecError, TrueweightError, VerifyError
from trueweight.evaluate.corrupt_pictures import png
from trueweight.model.encoders.resnet import ResnetEncoder
from trueweight.model.foreign.prepared import read_preparation, written_preparation
from trueweight.nn.resnet import Resnet
from trueweight.train.folders import bodies_in_folder
from trueweight.train.pictures import put_pictures, resnet_of, unlike_pictures, written_pictures
from trueweight.train.starting import PictureBody

FOLDERS = Path(__file__).parents[1] / "fixtures" / "foreign"
KINDS = ["resnet-basic", "resnet-bottleneck", "resnet-stretched"]


def body(folder: Path) -> PictureBody:
    found = bodies_in_folder(folder).pictures
    assert found is not None
    return found


def told(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDERS / kind / "expected.json").read_text())
    return found


def network(lent: PictureBody, **options: Any) -> Resnet:
    asked = lent.prepared.asked
    assert asked.mean is not None and asked.std is not None
    sense = Sense(grid=lent.prepared.size, mean=asked.mean, std=asked.std)
    part = ResnetEncoder.model_validate({**lent.encoder.model_dump(), "pooling": "none", **options})
    found = resnet_of(part.build(Layout({"pixel": len(asked.mean)}, senses={"pixel": sense})))
    assert found is not None
    return found


def filled(lent: PictureBody) -> Resnet:
    module = network(lent)
    assert not list(unlike_pictures(module, lent))
    taken = put_pictures(module, lent)
    assert taken.weights == sum(p.numel() for p in module.parameters())
    return module.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_read_as_transformers_does(kind: str):
    lent, expected = body(FOLDERS / kind), told(kind)
    files = [base64.b64decode(file) for file in expected["pictures"]]
    pixels = np.stack([picture_of(file, lent.prepared.size, 3, lent.prepared.asked) for file in files])
    with torch.no_grad():
        z = filled(lent)({"pixel": torch.from_numpy(pixels)})
    states = z.tokens_BLD.transpose(1, 2).unflatten(2, z.grid)
    np.testing.assert_allclose(states.numpy(), expected["states"], atol=1e-4)
    np.testing.assert_allclose(z.tokens_BLD.mean(1).numpy(), expected["pooled"], atol=1e-4)
    assert np.abs(states.numpy()).max() > 0.5  # far from nothing, where all would agree


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_written_again_is_the_same(kind: str):
    lent = body(FOLDERS / kind)
    config, tensors = written_pictures(filled(lent))
    theirs = load_file(FOLDERS / kind / "model.safetensors")
    wanted = {name.removeprefix("resnet."): t for name, t in theirs.items() if not name.startswith("classifier.")}
    assert tensors.keys() == wanted.keys()
    assert all(torch.equal(tensors[name], wanted[name]) for name in wanted)
    before = json.loads((FOLDERS / kind / "config.json").read_text())
    assert {
        name: before.get(name) for name in ("depths", "hidden_sizes", "layer_type", "model_type")
    }.items() <= config.items()


@pytest.mark.parametrize("kind", KINDS)
def test_a_preparation_written_again_is_the_same(tmp_path: Path, kind: str):
    known = body(FOLDERS / kind).prepared
    assert known.asked.mean is not None and known.asked.std is not None
    raw, lost = written_preparation(known.size, known.asked.mean, known.asked.std, known.asked)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(raw))
    again = read_preparation(tmp_path, 3)
    assert not lost and again.size == known.size
    file = base64.b64decode(told(kind)["pictures"][1])
    one, other = (picture_of(file, known.size, 3, asked) for asked in (known.asked, again.asked))
    np.testing.assert_array_equal(one, other)


def test_what_a_folder_cannot_say_of_pictures_is_told():
    raw, lost = written_preparation((8, 6), (0.5,), (0.2,), None)
    assert raw["size"] == {"height": 8, "width": 6}
    assert lost == [
        "pictures of other proportions than 8 × 6, which are kept whole, with edges filled, here and stretched there"
    ]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(FOLDERS / "resnet-basic", tmp_path / "resnet")
    return tmp_path / "resnet"


def refused(folder: Path, kind: type[TrueweightError] = VerifyError) -> str:
    with pytest.raises(kind) as caught:
        bodies_in_folder(folder)
    return str(caught.value)


def change(folder: Path, name: str = "config.json", **values: Any) -> None:
    (folder / name).write_text(json.dumps({**json.loads((folder / name).read_text()), **values}))


def test_all_wrong_tensors_are_told_with_their_shapes(copy: Path):
    tensors = load_file(copy / "model.safetensors")
    del tensors["resnet.embedder.embedder.normalization.running_mean"]
    tensors["resnet.encoder.stages.4.x"] = torch.zeros(3, 2)
    tensors["resnet.encoder.stages.1.layers.0.shortcut.convolution.weight"] = torch.zeros(8, 4, 3, 3)
    save_file(tensors, copy / "model.safetensors")
    said = refused(copy)
    assert "3 tensors do not fit the config" in said
    assert "missing: embedder.embedder.normalization.running_mean (4,)" in said
    assert "not known: encoder.stages.4.x (3, 2)" in said
    assert "stages.1.layers.0.shortcut.convolution.weight is (8, 4, 3, 3) and should be (8, 4, 1, 1)" in said


def test_a_network_that_no_part_builds(copy: Path):
    change(copy, depths=[1, 2, 3, 4], hidden_sizes=[4, 8, 16, 24], num_channels=4)
    said = refused(copy, SpecError)
    assert "depths: [1, 2, 3, 4] of basic layers" in said and "[3, 4, 6, 3]" in said
    assert "hidden_sizes: [4, 8, 16, 24], where this embedding_size makes [4, 8, 16, 32]" in said
    assert "num_channels: 4, where pictures have 1 or 3" in said
    change(copy, downsample_in_bottleneck=True)
    assert "downsample_in_bottleneck: True" in refused(copy, SpecError)


def test_a_folder_without_its_preparation(copy: Path):
    (copy / "preprocessor_config.json").unlink()
    assert "preprocessor_config.json is missing" in refused(copy)
    assert "of pictures: preprocessor_config.json" in refused(copy)


@pytest.mark.parametrize(
    ("values", "kind", "word"),
    [
        ({"do_resize": False}, SpecError, "do_resize: False"),
        ({"rescale_factor": 1 / 127.5}, SpecError, "rescale_factor"),
        ({"do_pad": True}, SpecError, "do_pad: True"),
        ({"resample": 9}, VerifyError, "resample is 9"),
        ({"image_mean": [0.5]}, VerifyError, r"image_mean is [0.5], and the model reads 3 channels"),
        ({"image_std": ["a", 1, 1]}, VerifyError, "image_std is ['a', 1, 1]"),
        ({"image_processor_type": "X", "size": {"longest_edge": 3}}, VerifyError, "not give all pictures one size"),
        ({"image_processor_type": "X", "do_center_crop": True, "crop_size": 50}, SpecError, "crop_size 50 is cut"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_preparations_that_cannot_be_followed(
    copy: Path, values: dict[str, Any], kind: type[TrueweightError], word: str
):
    change(copy, "preprocessor_config.json", **values)
    assert word in refused(copy, kind)


def test_older_folders_write_one_number(copy: Path):
    change(copy, "preprocessor_config.json", size=40, image_processor_type=None,
           feature_extractor_type="ConvNextFeatureExtractor")  # fmt: skip
    assert body(copy).prepared == body(FOLDERS / "resnet-basic").prepared
    change(
        copy,
        "preprocessor_config.json",
        feature_extractor_type="CLIPFeatureExtractor",
        do_center_crop=True,
        crop_size=30,
    )
    found = body(copy).prepared
    assert found.size == (30, 30) and found.asked.fit == "crop" and found.asked.crop_share == 0.75


def test_large_pictures_of_convnext_are_stretched(copy: Path):
    change(copy, "preprocessor_config.json", size={"shortest_edge": 384}, do_normalize=False)
    found = body(copy).prepared
    assert (found.size, found.asked.fit, found.asked.mean) == ((384, 384), "stretch", (0.0, 0.0, 0.0))


@pytest.mark.parametrize("options", [{"variant": "d"}, {"blur_pool": True}, {"small": True}, {"layers": 18}])
def test_other_options_are_told(options: dict[str, Any]):
    lent = body(FOLDERS / "resnet-basic")
    ((line),) = list(unlike_pictures(network(lent, **options), lent))
    assert next(iter(options)) in line and "here and" in line


def test_what_is_prepared_is_not_prepared_again():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    asked = PreparationSpec(fit="crop", crop_share=0.5)
    content = png(pixels)
    np.testing.assert_array_equal(picture_of(marked(content), (12, 12), 3, asked), pixels)
    assert not np.array_equal(picture_of(content, (12, 12), 3, asked), pixels)
    assert picture_of(marked(content), (6, 6), 3, asked).shape == (6, 6, 3)  # of another size: as any other


@pytest.mark.parametrize("size", [(4, 4), (4, 9), (9, 4)])
@pytest.mark.parametrize("shape", [(12, 12), (5, 40), (40, 5), (1, 1)])
def test_cuts_have_the_size_that_is_asked_for(size: tuple[int, int], shape: tuple[int, int]):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 1), dtype=np.uint8)
    for fit in ("crop", "stretch", "whole"):
        asked = PreparationSpec.model_validate({"fit": fit, "crop_share": 0.8 if fit == "crop" else 1})
        assert picture_of(png(pixels), size, 3, asked).shape == (*size, 3)


def test_channels_that_are_asked_for_are_learnt_about():
    part = ImageColumn.model_validate({"type": "image", "preparation": {"mean": [0.5] * 3, "std": [0.2] * 3}})
    assert part.codec_from_json(part.codec("x", FACTS).to_json()) == part.codec("x", FACTS)
    assert part.codec("x", FACTS).mean == (0.5, 0.5, 0.5)


FACTS = {"count": 3, "missing": 0, "size": [4, 4], "mean": [0.1] * 3, "std": [0.1] * 3, "covariance": []}
