"""ResNet: He et al. 2016, arXiv:1512.03385, as ``ResNetModel`` of transformers lays it out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trueweight.errors import SpecError, VerifyError
from trueweight.files import shortened
from trueweight.model.foreign.links import Architecture, Link, numbers_of, refuse_unless
from trueweight.nn.bodies import Option
from trueweight.nn.resnet import BOTTLENECK, STAGES

__all__ = ["RESNET"]

_KINDS = ("bottleneck", "basic")
_COUNT = "num_batches_tracked"


def _options(config: Mapping[str, Any]) -> dict[str, Option]:
    refuse_unless(config, {
        "layer_type": _KINDS, "hidden_act": ("relu",), "downsample_in_first_stage": (False,),
        "downsample_in_bottleneck": (False,),
    }, "resnet")  # fmt: skip
    width, channels = numbers_of(
        {"embedding_size": 64, "num_channels": 3, **config}, ("embedding_size", "num_channels"), "resnet"
    )
    wide = config.get("layer_type", "bottleneck") == "bottleneck"
    depths = tuple(_listed(config, "depths", (3, 4, 6, 3)))
    found = [layers for layers, stages in STAGES.items() if stages == depths and (layers in BOTTLENECK) == wide]
    widths = [(4 if wide else 1) * width * 2**stage for stage in range(4)]
    told = _listed(config, "hidden_sizes", (256, 512, 1024, 2048))
    if not found or told != widths or channels not in (1, 3):
        raise SpecError(_odd(wide, depths, told, widths, channels, found), where="config.json", hint=_hint(wide))
    return {"layers": found[0], "width": width, "channels": channels}


def _listed(config: Mapping[str, Any], name: str, usual: Sequence[int]) -> list[int]:
    found = config.get(name) or list(usual)
    if not isinstance(found, list) or not all(type(one) is int for one in found):
        problem = f"the config of this resnet model cannot be understood: {name} ({shortened(repr(found), 60)})"
        raise VerifyError(problem, where="config.json", hint="it should be a list of whole numbers, one for each stage")
    return found


def _odd(
    wide: bool, depths: tuple[int, ...], told: list[int], widths: list[int], channels: int, found: list[int]
) -> str:
    kind = _KINDS[0] if wide else _KINDS[1]
    lines = [] if found else [f"depths: {list(depths)} of {kind} layers"]
    lines += [] if told == widths else [f"hidden_sizes: {told}, where this embedding_size makes {widths}"]
    lines += [] if channels in (1, 3) else [f"num_channels: {channels}, where pictures have 1 or 3"]
    return f"this resnet model is built in a way that no part of Trueweight is: {'; '.join(lines)}"


def _hint(wide: bool) -> str:
    known = sorted({stages for layers, stages in STAGES.items() if (layers in BOTTLENECK) == wide})
    return f"known depths are {', '.join(str(list(one)) for one in known)}, each stage twice as wide as the one before"


def _links(options: Mapping[str, Option]) -> list[Link]:
    layers, width, channels = (int(options[name]) for name in ("layers", "width", "channels"))
    found = [*_one("embedder.embedder", "stem.0", "stem.1", (width, channels, 7, 7))]
    number, reached = 0, width
    for stage, count in enumerate(STAGES[layers]):
        for place in range(count):
            start = f"encoder.stages.{stage}.layers.{place}"
            found += _block(
                start, f"blocks.{number}", reached, width * 2**stage, layers in BOTTLENECK, place == 0 < stage
            )
            number, reached = number + 1, width * 2**stage * (4 if layers in BOTTLENECK else 1)
    return found


def _block(theirs: str, ours: str, reached: int, width: int, wide: bool, steps: bool) -> Iterator[Link]:
    out = 4 * width if wide else width
    widths, sides = ((reached, width, width, out), (1, 3, 1)) if wide else ((reached, width, out), (3, 3))
    for place, side in enumerate(sides):  # convolution, norm, relu
        layer, norm = f"{ours}.branch.{3 * place}", f"{ours}.branch.{3 * place + 1}"
        yield from _one(f"{theirs}.layer.{place}", layer, norm, (widths[place + 1], widths[place], side, side))
    if steps or reached != out:
        yield from _one(f"{theirs}.shortcut", f"{ours}.short.0", f"{ours}.short.1", (out, reached, 1, 1))


def _one(theirs: str, layer: str, norm: str, shape: tuple[int, ...]) -> Iterator[Link]:
    yield Link(f"{theirs}.convolution.weight", (f"{layer}.weight",), shape)
    for kind in ("weight", "bias", "running_mean", "running_var"):
        yield Link(f"{theirs}.normalization.{kind}", (f"{norm}.{kind}",), shape[:1])
    yield Link(f"{theirs}.normalization.{_COUNT}", (f"{norm}.{_COUNT}",), (), optional=True)


def _config(options: Mapping[str, Option], head: bool) -> dict[str, Any]:  # noqa: ARG001 - has none
    layers, width = int(options["layers"]), int(options["width"])
    wide = layers in BOTTLENECK
    return {
        "layer_type": _KINDS[0] if wide else _KINDS[1], "depths": list(STAGES[layers]), "embedding_size": width,
        "hidden_sizes": [(4 if wide else 1) * width * 2**stage for stage in range(4)],
        "num_channels": options["channels"], "hidden_act": "relu", "downsample_in_first_stage": False,
        "downsample_in_bottleneck": False,
    }  # fmt: skip


RESNET = Architecture(
    "resnet", _options, _links, _config, prefix="resnet.", head="ResNetForImageClassification", bare="ResNetModel",
    beside=("classifier.",),
)  # fmt: skip
