"""Ways to take a step that a step plan may try, and why some make no sense for a job."""

import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trueweight.data.feed import padding_share
from trueweight.train.fused import Fused
from trueweight.train.job import Job
from trueweight.train.memory import needed
from trueweight.train.plan import MemberPlan
from trueweight.train.stepping import optimizer_for

__all__ = ["Candidate", "candidates", "of_rows", "pictured", "why_no_batch"]

LEAST_STEPS, LEAST_AN_EPOCH = 500, 50
"""Steps that a larger batch must leave to a run, and to an epoch."""

_PADDING = 0.05
_SENSES = {"pixel", "frame", "token"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to take a step."""

    axis: str
    """What is chosen: of one axis one candidate is taken at most."""
    name: str
    changes: Mapping[str, Any]
    """Fields of a ``MemberPlan``."""
    refused: str = ""
    """Why it makes no sense here."""
    postponed: str = ""
    """Why there is no time for it."""

    @property
    def tried(self) -> bool:
        """Whether it is."""
        return not self.refused and not self.postponed


def pictured(job: Job) -> bool:
    """Whether the network reads pictures by convolutions."""
    return any(isinstance(module, nn.Conv2d) for module in job.network.modules())


def candidates(job: Job, plain: MemberPlan) -> Iterator[Candidate]:
    """Ways to take a step, those that promise most first."""
    yield Candidate("dtype", "bfloat16", {"dtype": "bfloat16"})
    pictures = pictured(job)
    for layout in ("channels_last", "channels_first"):
        why = "" if pictures else "there are no convolutions of pictures"
        yield Candidate("layout", layout.replace("_", " "), {"layout": layout}, why)
    for size in (2 * plain.batch_size, plain.batch_size // 2):
        yield of_rows(job, plain, size)
    count = plain.threads
    if plain.device == "cpu" and count == 1:
        yield Candidate("threads", "fewer threads", {}, "there is one thread")
    while plain.device == "cpu" and count > 1:
        count //= 2
        yield Candidate("threads", f"{count} thread{'s' * (count > 1)}", {"threads": count})
    yield Candidate("optimizer", "foreach", {"optimizer": "foreach"}, _why_no_foreach(job, plain))
    yield Candidate("dtype", "float16", {"dtype": "float16"}, _why_no_float16(plain.device))
    yield Candidate("compile", "compiled", {"compile": True}, _why_not_compiled(job, plain))


def of_rows(job: Job, plain: MemberPlan, size: int) -> Candidate:
    """Batches of another size."""
    changes: dict[str, Any] = {"batch_size": size, "rate": math.sqrt(size / plain.batch_size)}
    changes |= {"tokens": round(plain.tokens * size / plain.batch_size)} if plain.tokens else {}
    return Candidate("batch", f"batch {size}", changes, why_no_batch(job, plain, size))


def _why_no_float16(device: str) -> str:
    """The first step of a CNN took 33 times as long as in bfloat16 on a processor that has them for that alone."""
    known = torch.cpu.get_capabilities() if device == "cpu" else {}
    able = known.get("architecture") != "x86_64" or known.get("avx512_fp16") or known.get("amx_fp16")
    return "" if able else "this processor has no instructions for float16, and takes many times as long without"


def _why_no_foreach(job: Job, plain: MemberPlan) -> str:
    built = optimizer_for(job.spec, job.network, plain)
    several = isinstance(built, Fused) and "foreach" in built.kernels
    return "" if several else "this optimiser has one way to go through the weights"


def _why_not_compiled(job: Job, plain: MemberPlan) -> str:
    lengths = job.train.lengths()
    if lengths is not None and lengths.min() < lengths.max():
        return "rows differ in length, and each length would be compiled anew"
    if plain.device == "cpu" and not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        return "there is no C++ compiler"
    return ""


def why_no_batch(job: Job, plain: MemberPlan, size: int) -> str:
    """Why batches of another size make no sense, or "". ``plain.steps`` are those that there is time for.

    Calibration chose the sizes for plain columns, where more steps were better than cheaper rows.
    """
    if job.spec.batch_size != "auto":
        return "train.batch_size was asked for"
    if not any(_SENSES & stored.keys() for stored in job.train.inputs.values()):
        return "for plain columns the size follows the rows"
    if size < 8:
        return "too few rows for a batch"
    if size < plain.batch_size:
        return ""
    if len(job.train) // size < LEAST_AN_EPOCH:
        return f"fewer than {LEAST_AN_EPOCH} steps would be left to an epoch"
    if plain.steps * plain.batch_size // size < LEAST_STEPS:
        return f"fewer than {LEAST_STEPS} steps would be left"
    lengths, limit = job.train.lengths(), job.spec.budget.memory
    if lengths is not None and padding_share(lengths, size) > _PADDING:
        return f"more than {_PADDING:.0%} of the steps in rows would be padding"
    if limit is not None and needed(job, size).whole > limit:
        return "it would not fit into train.budget.memory"
    return ""
