"""Reads a bundle, or refuses it and says why. Parts are found by registry name only; no code is in a bundle."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trueweight.bundle.format import (
    ANSWERS,
    CARD,
    EVIDENCE,
    MANIFEST,
    PLAN,
    PREDICTOR,
    RESOLVED,
    ROWS,
    SIGNATURE,
    SPEC,
    Manifest,
)  # fmt: skip
from trueweight.bundle.golden import Golden, GoldenResult, check_golden
from trueweight.bundle.integrity import Content, parse_json, read_content
from trueweight.bundle.migrate import Documents, migrate
from trueweight.bundle.parts import check_allowed, parts_of
from trueweight.bundle.specs import parse_yaml, run_spec
from trueweight.bundle.summary import column_summary, made_up_row
from trueweight.bundle.tree import read_tree
from trueweight.data.signature import Signature
from trueweight.errors import TrueweightError, VerifyError
from trueweight.evidence.record import Evidence
from trueweight.model.protocols import Predictor, State
from trueweight.spec.run import RunSpec

__all__ = ["Loaded", "answered", "build", "load_bundle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A bundle in memory."""

    path: Path
    manifest: Manifest
    spec: RunSpec
    """As asked for."""
    spec_yaml: str
    resolved: RunSpec
    """With every default."""
    resolved_yaml: str
    plan: Mapping[str, Any]
    signature: Signature
    predictor: Predictor
    evidence: Evidence
    card: str
    golden: Golden | None


def load_bundle(path: Path | str, *, allow: Sequence[str] = (), check: Literal["full", "digests"] = "full") -> Loaded:
    """Read a bundle that is whole, unchanged and answers as it should.

    Args:
        path: The bundle's folder.
        allow: Distributions beside Trueweight whose parts may be imported, e.g. ``["their-package"]``;
            ``"this process"`` for parts registered by decorator.
        check: "digests" leaves out answering the golden rows.

    Raises:
        VerifyError: Not a bundle, changed, cut short, too new, pointing outside itself, in need of a part that is
            missing or not allowed, or answering its golden rows differently.
    """
    loaded = build(read_content(Path(path)), allow)
    if check == "full" and loaded.golden is not None:
        result = answered(loaded.predictor, loaded.golden)
        if not result.ok:
            hint = "do not use it here: another version of a library may compute differently (`trueweight doctor`)"
            raise VerifyError(f"the golden rows get other answers: {result.problems[0]}", where=str(path), hint=hint)
    return loaded


def answered(predictor: Predictor, golden: Golden) -> GoldenResult:
    """Answer golden rows; see :func:`~trueweight.bundle.golden.check_golden`.

    Raises:
        VerifyError: The answers, or what the signature says of a column, are not what a bundle may hold.
    """
    with _refusing(ANSWERS):
        return check_golden(predictor, golden)


def build(content: Content, allow: Sequence[str]) -> Loaded:
    """Interpret a bundle's bytes. Golden rows are read, not answered.

    Raises:
        VerifyError: See :func:`load_bundle`.
    """
    documents = _documents(content)
    manifest = Manifest.from_json(documents[MANIFEST])
    with _refusing(SIGNATURE):
        signature = Signature.from_json(documents[SIGNATURE])
    specs = {name: _text(content, name) for name in (SPEC, RESOLVED)}
    parsed = {name: parse_yaml(text, name) for name, text in specs.items()}
    with _refusing(PREDICTOR):
        state = read_tree(documents[PREDICTOR], lambda name: documents[name], content.files)
        recorded = {(kind, name) for kind, names in manifest.parts.items() for name in names}
        check_allowed(parts_of(state, signature, list(parsed.values())) | recorded, manifest.parts, allow)
    with _refusing(SIGNATURE):  # what is told of columns can be told
        for facts in signature.columns.values():
            column_summary(facts)
        made_up_row(signature)
    return Loaded(
        path=content.path,
        manifest=manifest,
        spec=run_spec(parsed[SPEC], SPEC),
        spec_yaml=specs[SPEC],
        resolved=run_spec(parsed[RESOLVED], RESOLVED),
        resolved_yaml=specs[RESOLVED],
        plan=documents[PLAN],
        signature=signature,
        predictor=_predictor(state, signature),
        evidence=Evidence.from_json(documents[EVIDENCE]),
        card=_text(content, CARD),
        golden=_golden(content, documents),
    )


def _documents(content: Content) -> Documents:
    """Every JSON file, as today's format would have written it."""
    found = {name: parse_json(data, name) for name, data in content.files.items() if name.endswith(".json")}
    with _refusing(MANIFEST):
        return migrate({MANIFEST: dict(content.manifest), **found}, content.manifest["format"])


def _text(content: Content, name: str) -> str:
    with _refusing(name):
        return content.files[name].decode("utf-8")


def _golden(content: Content, documents: Documents) -> Golden | None:
    if ROWS not in content.files or ANSWERS not in documents:
        return None
    with _refusing(ROWS):
        return Golden.from_files(content.files[ROWS], documents[ANSWERS])


def _predictor(state: State, signature: Signature) -> Predictor:
    from trueweight.model.predictors.tree import predictor_from_state

    with _refusing(PREDICTOR):
        return predictor_from_state(state, signature)


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Whatever cannot be understood in ``name`` is the bundle's fault, not a bug: its digests may be forged."""
    try:
        yield
    except VerifyError:
        raise
    except TrueweightError as error:
        raise VerifyError(
            f"{name} cannot be used: {error.problem}", where=error.where or name, hint=error.hint
        ) from error
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise VerifyError(f"{name} cannot be understood: {error!r}", where=name) from error
