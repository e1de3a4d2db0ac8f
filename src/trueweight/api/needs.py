"""``show --memory``: what a training step of each member of a spec will need."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from trueweight.api.request import asked_spec, read_source
from trueweight.api.starting import bodies_of
from trueweight.train.build import untrained
from trueweight.train.encoded import encode
from trueweight.train.job import FitterPart, Job
from trueweight.train.memory import needed
from trueweight.train.prepare import Prepared, prepare
from trueweight.train.probe import asked_batch, few_tokens
from trueweight.train.start import start
from trueweight.train.starting import Bodies

__all__ = ["members_of", "memory_of"]

SAMPLE = 256
"""Training rows that are encoded to try on."""


def memory_of(path: Path, settings: Sequence[str]) -> list[dict[str, Any]]:
    """See :func:`trueweight.api.memory`."""
    spec = asked_spec(path, settings)
    table, labels = read_source(spec, None, path.parent)
    older = spec.model.start
    lent = None if older is None else bodies_of(path.parent / older.source)
    return members_of(prepare(table, spec, labels=labels, lent=lent), lent)


def members_of(ready: Prepared, lent: Bodies | None = None) -> list[dict[str, Any]]:
    """The same of a run that is prepared, with what an older model lends it."""
    return list(_members(ready, lent))


def _members(ready: Prepared, lent: Bodies | None) -> Iterator[dict[str, Any]]:
    train = ready.split.train
    chosen = train[:SAMPLE]
    few = replace(ready, cases=replace(ready.cases, table=ready.table.take(chosen)), weight_N=_taken(ready, chosen))
    encoded = encode(few, keep=False)
    feed, size = encoded.feed(np.arange(len(chosen))), asked_batch(ready.spec.train, len(train))
    leaves = {member.name: untrained(ready, encoded.fields, member) for member in ready.spec.model.fitted}
    asked = ready.spec.model.start
    if lent is not None and asked is not None:
        start(leaves, lent, asked, ready.spec.seed)  # what does not learn needs less
    for member in ready.spec.model.fitted:
        leaf = leaves[member.name]
        network = leaf.network
        known: dict[str, Any] = {"name": member.name, "fitter": member.fitter.type}
        known |= {"parameters": sum(p.numel() for p in network.parameters())}
        if cast(FitterPart, member.fitter).solving:
            yield known
            continue
        job = Job(
            name=member.name, network=network, train=leaf.reading(feed), validation=feed, spec=ready.spec.train,
            seed=ready.spec.seed, score=lambda _: 0.0,
        )  # fmt: skip
        step = few_tokens(job.train, size) if ready.spec.train.batch_size == "auto" else size
        found = needed(job, step, rows=len(train))
        yield known | {"batch_size": step} | asdict(found) | {"total": found.total, "whole": found.whole}


def _taken(ready: Prepared, rows: np.ndarray) -> np.ndarray | None:
    return None if ready.weight_N is None else ready.weight_N[rows]
