"""``report`` on evidence of a model that was trained elsewhere: what is kept beside its facts, read and checked."""

from dataclasses import replace
from pathlib import Path

from trueweight.bundle.detached import Detached, read_detached_file, read_folder
from trueweight.bundle.format import MANIFEST, SUFFIX
from trueweight.bundle.specs import run_spec
from trueweight.bundle.summary import column_summary
from trueweight.data.signature import Signature
from trueweight.errors import SpecError, VerifyError
from trueweight.files import digest_file, require_types
from trueweight.report.subject import Elsewhere, Later, Subject

__all__ = ["evidence_name", "is_evidence", "subject_elsewhere"]


def is_evidence(path: Path) -> bool:
    """Whether a path is of facts kept apart from a bundle: a folder of them, or one file."""
    return path.name.endswith(".evidence") or path.is_file() or (path.is_dir() and _holds_facts(path))


def _holds_facts(path: Path) -> bool:
    return not path.name.endswith(SUFFIX) and not (path / MANIFEST).exists() and any(path.glob("[!.]*.json"))


def evidence_name(path: Path) -> str:
    """What a report of it is called."""
    return path.name.removesuffix(".json").removesuffix(".evidence")


def subject_elsewhere(path: Path) -> Subject:
    """What a report needs of the latest facts in a folder, or of one file; earlier ones in it are added.

    Raises:
        SpecError: The facts are of a bundle, whose report has them too.
        VerifyError: There are none, or they lack what a report needs.
    """
    found = [read_detached_file(path)] if path.is_file() else read_folder(path)
    if not found:
        raise VerifyError(f"{str(path)!r} holds no evidence", hint="trueweight evaluate writes some")
    latest = found[-1]
    if latest.model is None:
        hint = f"its report has these facts too: trueweight report {evidence_name(path)}{SUFFIX}"
        raise SpecError(f"{str(path)!r} is about a bundle", hint=hint)
    subject, folder = _subject(latest, evidence_name(path)), path.parent if path.is_dir() else path.parent.parent
    # A file in memory has no digest: facts that came with the same name may still be of another model.
    earlier = [Later(one.by, one.produced_at, one.evidence, _alike(one, latest)) for one in found[:-1]]
    return replace(subject, later=tuple(earlier), elsewhere=replace(_elsewhere(latest), same=_same(latest, folder)))


def _alike(one: Detached, latest: Detached) -> bool:
    return one.bundle == latest.bundle and one.model == latest.model


def _same(found: Detached, folder: Path) -> bool | None:
    """Whether the model's file, if it lies there, is the one that was measured."""
    name = found.model["name"] if found.model and found.bundle else ""
    file = folder / Path(name).name
    return digest_file(file) == found.bundle if name and file.is_file() else None


_PARTS = {"signature": dict, "spec": dict, "command": str, "trueweight": str}


def _about(found: Detached) -> dict[str, object]:
    if not isinstance(found.about, dict):
        hint = "measure it again: trueweight evaluate keeps it since"
        raise VerifyError(
            "a report needs to know its columns, which this file does not hold", where=str(found.path), hint=hint
        )
    require_types(found.about, _PARTS, f"what {found.path.name!r} says of the model")
    return {key: found.about[key] for key in _PARTS}


def _elsewhere(found: Detached) -> Elsewhere:
    assert found.model is not None
    return Elsewhere(found.model["kind"], found.model["name"], found.by, str(_about(found)["command"]))


def _subject(found: Detached, name: str) -> Subject:
    about = _about(found)
    try:
        signature = Signature.from_json(about["signature"])
        summaries = {facts.name: column_summary(facts) for facts in signature.columns.values()}
    except KeyError as error:
        raise VerifyError(f"what is said of its columns lacks {error}", where=str(found.path)) from None
    return Subject(
        name=name, created=found.produced_at, digest=found.bundle, trueweight=str(about["trueweight"]), torch="",
        files={}, parts={}, spec=run_spec(about["spec"], found.path.name), signature=signature,
        evidence=found.evidence, summaries=summaries, elsewhere=_elsewhere(found),
    )  # fmt: skip
