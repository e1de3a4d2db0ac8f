"""Checkpoints: what a killed run goes on from. Either whole or not there, and checked before use.

Each is a pair of files in ``<run>/checkpoints/<member>/``: ``step-00000120.safetensors`` with the tensors and
``step-00000120.json`` with the rest and the digest of both. The JSON is written last, so a pair without it
never counted. The two newest are kept: if the newest turns out broken, the older one serves.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from trueweight.errors import TrainError, VerifyError
from trueweight.files import canonical_json, digest_bytes, disk_errors, read_json, safe_name, write_json
from trueweight.train.tensor_file import digest_with, write_tensors

__all__ = ["Checkpoint", "Checkpoints"]

_LOG = logging.getLogger("trueweight.train")
_SCHEMA = 1
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A moment of a fit."""

    step: int
    facts: Mapping[str, Any]
    """Plain JSON."""
    tensors: Mapping[str, Tensor]
    """Written before the fit goes on: they may share its memory."""


class Checkpoints:
    """The checkpoints of one member.

    Args:
        folder: The run's folder.
        member: The member's name.
    """

    def __init__(self, folder: Path, member: str) -> None:
        # The digest keeps two names apart that differ only in letters that file names cannot hold.
        stem = f"{safe_name(member, fallback='member')}-{digest_bytes(member.encode())[-6:]}"
        self.folder = folder / "checkpoints" / stem

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then drop all but the two newest.

        Raises:
            TrainError: The disk is full, or the folder may not be written to.
        """
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        base = self.folder / f"step-{checkpoint.step:08d}"
        facts = dict(checkpoint.facts)
        total = _begun(facts)
        write_tensors(base.with_suffix(".safetensors"), checkpoint.tensors, total)
        digest = f"sha256:{total.hexdigest()}"
        head = {"schema": _SCHEMA, "step": checkpoint.step, "facts": facts, "digest": digest}
        write_json(base.with_suffix(".json"), head)
        self._drop_old()

    def load(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; None if there never was one.

        Raises:
            TrainError: There are checkpoints, and all are broken.
        """
        heads = self._heads()
        for head in heads:
            try:
                return _read(head)
            except (VerifyError, SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
                _LOG.warning("checkpoint %s is broken (%s): trying the one before it", head.stem, error)
        if heads:
            hint = f"delete {self.folder} and start again: what was trained so far cannot be recovered"
            raise TrainError(f"all {len(heads)} checkpoints are broken", where=str(self.folder), hint=hint)
        return None

    def _heads(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.json"), reverse=True)

    def _drop_old(self) -> None:
        kept = {head.stem for head in self._heads()[:_KEPT]}
        for old in self.folder.iterdir():
            # The JSON goes first: without it the pair no longer counts. Leftovers of a kill go too.
            if old.suffix == ".json" and old.stem not in kept:
                old.unlink(missing_ok=True)
        for old in self.folder.iterdir():
            if old.suffix == ".tmp" or (old.suffix == ".safetensors" and old.stem not in kept):
                old.unlink(missing_ok=True)


def _begun(facts: Mapping[str, Any]) -> "hashlib._Hash":
    """The digest of facts and tensors, with the facts in it."""
    told = canonical_json(facts).encode()
    return hashlib.sha256(len(told).to_bytes(8, "big") + told)


def _read(head: Path) -> Checkpoint:
    raw = read_json(head)
    path = head.with_suffix(".safetensors")
    if raw["schema"] != _SCHEMA:
        raise ValueError(f"schema {raw['schema']!r}, we read {_SCHEMA}")
    total = _begun(raw["facts"])
    digest_with(path, total)
    if raw["digest"] != f"sha256:{total.hexdigest()}":
        raise ValueError("its digest does not match")
    return Checkpoint(raw["step"], raw["facts"], safetensors.torch.load_file(path))
