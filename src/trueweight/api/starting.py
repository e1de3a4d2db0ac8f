"""Where a model starts from: a path becomes what it lends, and what was taken becomes facts."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from trueweight.bundle.bundle import open_bundle
from trueweight.bundle.format import Lineage
from trueweight.evaluate.data_facts import reading
from trueweight.evidence.record import Entry
from trueweight.model.foreign.folder import is_folder
from trueweight.spec.run import RunSpec
from trueweight.train.folders import bodies_in_folder
from trueweight.train.start import Copied
from trueweight.train.starting import Bodies, bodies_in

__all__ = ["bodies_of", "lineage_of", "start_entries"]


def bodies_of(path: Path) -> Bodies:
    """What a model on disk lends.

    Args:
        path: A bundle, or a folder in the layout of Hugging Face.

    Raises:
        SpecError: The folder holds a kind of model that we have no parts for.
        VerifyError: It is neither, or was changed.
    """
    if is_folder(path):
        return bodies_in_folder(path)
    bundle = open_bundle(path)
    return bodies_in(bundle.predictor, digest=bundle.manifest.digest, origin=bundle.path.name)


def lineage_of(lent: Bodies, spec: RunSpec, copied: Sequence[Copied]) -> Lineage:
    """What the manifest tells of the older model: its digest, never its path."""
    asked = spec.model.start
    assert asked is not None  # something was lent
    named = ("member", "role", "field", "source", "tensors", "weights")
    return Lineage(
        digest=lent.digest, train=asked.train, share=_share(copied), trained=_trained(copied),
        copied=tuple({name: asdict(one)[name] for name in named} for one in copied),
    )  # fmt: skip


def start_entries(copied: Sequence[Copied]) -> list[Entry]:
    """Evidence of what was taken over, and what of it went on learning."""
    if not copied:
        return []
    numbered = enumerate(copied, 1)
    told = [reading(f"fit/start/{number}", "weights taken over", str(one), None) for number, one in numbered]
    shares = (("share", "share of weights taken over", _share(copied)),
              ("trained", "share of weights that were trained", _trained(copied)))  # fmt: skip
    return [*told, *(reading(f"fit/start/{key}", words, share, "share") for key, words, share in shares)]


def _share(copied: Sequence[Copied]) -> float:
    whole = sum({one.member: one.of_weights for one in copied}.values())
    return round(sum(one.weights for one in copied) / whole, 6)


def _trained(copied: Sequence[Copied]) -> float:
    """Of the weights of members that took something over; small matrices are weights too while they learn."""
    whole = sum({one.member: one.of_trained for one in copied}.values())
    return round(sum({one.member: one.trained for one in copied}.values()) / whole, 6)
