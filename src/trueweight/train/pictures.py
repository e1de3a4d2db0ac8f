"""Residual networks over pictures: taken over from folders of other makers, and written as such folders."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from trueweight.data.columns.image import ImageCodec
from trueweight.errors import SpecError
from trueweight.model.encoders.resnet import ResnetEncoder
from trueweight.model.foreign.folder import Folder
from trueweight.model.foreign.links import tensors_of, theirs_of
from trueweight.model.foreign.prepared import read_preparation
from trueweight.model.foreign.resnet import RESNET
from trueweight.model.protocols import Predictor
from trueweight.nn.bodies import Option
from trueweight.nn.resnet import Resnet
from trueweight.train.frozen import Taken
from trueweight.train.starting import PictureBody, networks_in

__all__ = [
    "PictureReader",
    "pictures_in",
    "put_pictures",
    "readers_in",
    "resnet_of",
    "unlike_pictures",
    "written_pictures",
]


def pictures_in(folder: Folder) -> PictureBody:
    """The body of a folder of pictures that was read.

    Raises:
        SpecError: It is built, or its pictures are prepared, in a way that no part of ours is.
        VerifyError: Tensors or files are missing, of other shapes, or more.
    """
    options = RESNET.options(folder.config)
    tensors = tensors_of(RESNET.links(options), folder.tensors, RESNET, str(folder.path))
    asked = {
        "type": "resnet",
        "layers": options["layers"],
        "width": options["width"],
        "small": False,
        "pooling": "mean",
    }
    return PictureBody(
        options=options, tensors=tensors, encoder=ResnetEncoder.model_validate(asked),
        prepared=read_preparation(folder.path, int(options["channels"])),
    )  # fmt: skip


def resnet_of(module: nn.Module) -> Resnet | None:
    """The residual network in an encoder; None where there is none, or more than one."""
    found = [inner for inner in module.modules() if isinstance(inner, Resnet)]
    return found[0] if len(found) == 1 else None


def unlike_pictures(mine: Resnet, lent: PictureBody) -> Iterator[str]:
    """Every option that keeps a network from being filled, with both values."""
    theirs = {"variant": "b", "blur_pool": False, "small": False, **lent.options}
    for name, value in mine.options.items():
        if value != theirs[name]:
            named = {"channels": "the number of channels"}.get(name, name)
            yield f"{named} is {_shown(value)} here and {_shown(theirs[name])} there"


def _shown(value: Option) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def put_pictures(mine: Resnet, lent: PictureBody) -> Taken:
    """Fill a network in place."""
    mine.load_state_dict({**mine.state_dict(), **lent.tensors})
    named = dict(mine.named_parameters())
    buffers = sum(name not in named for name in lent.tensors)
    return Taken("folder", mine, {name: named[name] for name in lent.tensors if name in named}, 0, buffers=buffers)


@dataclass(frozen=True, slots=True)
class PictureReader:
    """A residual network over pictures in a model of ours."""

    place: str
    """``features.photo``."""
    network: Resnet
    codec: ImageCodec


def readers_in(predictor: Predictor) -> list[PictureReader]:
    """All of a model's."""
    return [
        PictureReader(f"features.{column}", network, codec)
        for leaf in networks_in(predictor)
        for number, name in enumerate(leaf.network.fields)
        for column, codec in leaf.fields[name].codecs.items()
        if isinstance(codec, ImageCodec) and not leaf.solving
        if (network := resnet_of(leaf.network.encoders[f"f{number}"])) is not None
    ]


def written_pictures(network: Resnet) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    """Their config and tensors for a network of ours.

    Raises:
        SpecError: Theirs cannot be built like it; says what differs.
    """
    asked: dict[str, Option] = {"variant": "b", "blur_pool": False, "small": False}
    wrong = [f"{name} is {network.options[name]!r}, not {value!r}" for name, value in asked.items()
             if network.options[name] != value]  # fmt: skip
    if wrong:
        problem = f"no kind of model there is built like this one\n  resnet: {', '.join(wrong)}"
        raise SpecError(problem, where="encoder", hint="such a model stays a bundle")
    state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    tensors = theirs_of(RESNET.links(network.options), state, "")
    told = {"model_type": RESNET.name, "architectures": [RESNET.bare], "torch_dtype": "float32", "dtype": "float32"}
    return {**told, **RESNET.config(network.options, False)}, tensors
