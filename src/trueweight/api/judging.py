"""Verbs that judge: ``evaluate``, ``verify``, ``gate``, ``diff``, ``report``."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueweight.api.opening import media_of, opened_bundle, read_like

if TYPE_CHECKING:
    from trueweight.api.compare import Comparison
    from trueweight.api.judge import Judgement
    from trueweight.bundle.bundle import Bundle
    from trueweight.bundle.verify import Verification
    from trueweight.evidence.record import Evidence
    from trueweight.spec.policy import PolicySpec

__all__ = ["diff", "evaluate", "gate", "report", "verify"]


def evaluate(
    bundle: "Bundle | str | Path | Any", source: Any, *, target: str | Sequence[str] | None = None,
    features: Sequence[str] | None = None, classes: "Sequence[Any] | Mapping[str, Sequence[Any]] | None" = None,
    settings: Sequence[str] = (), out: str | Path | None = None, keep: bool = True, by: str = "unknown",
    media_dir: str | Path | None = None, allow: Sequence[str] = (),
    measured: "Callable[[Evidence], object] | None" = None,
) -> "Evidence":  # fmt: skip
    """Measure a model on rows that it has not seen: a bundle, or any other model.

    Rows that are known as test rows in the look ledger beside the run count as looked at once more.

    Args:
        bundle: A bundle or its path. With ``target``, a model that was trained elsewhere: the path of an ONNX file, a
            fitted estimator, a Keras model, or a function from a frame to labels, probabilities or numbers.
        source: A file or a frame with at least one target column.
        target: Columns that the model predicts. Says that it is not a bundle.
        features: Columns that such a model reads, in its order. What it says itself by default, else all others.
        classes: In the order of its probabilities' columns, of the target or by target. What it says itself by default.
        settings: Keys of a spec, ``"evaluate.checks=[]"`` or ``"data.primary_key=id"``.
        out: Folder of the evidence of such a model. Beside an ONNX file by default; of others none is written.
        keep: Write the facts beside the bundle, into ``NAME.evidence/``.
        media_dir: As for :func:`predict`.
        by: Who measures, such as ``"Ann <ann@example.org>"``; kept with the facts.
        allow: Distributions, beside trueweight, whose parts a bundle opened here may import.
        measured: Called with the facts before they are kept, so that a full disk does not take them.

    Raises:
        SpecError: A setting that makes no sense, or a model file that cannot be run.
        DataError: The source cannot be read, lacks all of the model's columns, or holds no true values; or the model
            failed.
        TrainError: The facts cannot be kept where they belong: no permission, no space.
    """
    from trueweight.api.later import evaluate_later

    if target is not None:
        from trueweight.api.foreign import Foreign, evaluate_foreign

        targets = [target] if isinstance(target, str) else list(target)
        asked = Foreign(bundle, source, targets, features, classes, list(settings))
        place = None if out is None else Path(out)
        return evaluate_foreign(asked, out=place, keep=keep, by=by, measured=measured)
    opened = opened_bundle(bundle, allow)
    read = partial(read_like, opened, source, **media_of(media_dir))
    return evaluate_later(opened, read, keep=keep, by=by, measured=measured)


def verify(
    path: str | Path, *, recompute: bool = False, data: Any = None, media_dir: str | Path | None = None,
    allow: Sequence[str] = (),
) -> "Verification":  # fmt: skip
    """Say whether a bundle is unchanged, who signed it, and whether its numbers come out again.

    Args:
        path: The bundle's folder.
        recompute: Measure again on ``data``.
        data: What it was trained from; the split is drawn again from the bundle's own spec.
        media_dir: As for :func:`predict`.
        allow: Distributions, beside trueweight, whose parts may be imported.

    Raises:
        VerifyError: It cannot be opened at all.
        DataError: ``data`` cannot be read.
    """
    from trueweight.api.recompute import verify_path

    return verify_path(Path(path), recompute=recompute, data=data, allow=allow, **media_of(media_dir))


def gate(
    subject: "Bundle | Evidence | str | Path",
    policy: "PolicySpec | Mapping[str, Any] | Sequence[Any] | str | Path | None" = None,
) -> "Judgement":
    """Hold evidence against rules, each number at the unfavourable end of its interval.

    Args:
        subject: A bundle, its path, evidence, or the path of a ``NAME.evidence`` folder or of a file in it.
        policy: A YAML file of rules, or the same as plain data; the rules of the bundle's own spec by default.

    Returns:
        One ruling for each rule, and ``passed``.

    Raises:
        SpecError: There are no rules, or a mistake in them.
        VerifyError: There is no evidence, or the bundle was changed.
    """
    from trueweight.api.judge import judge

    return judge(subject, policy)


def diff(
    a: "Bundle | str | Path", b: "Bundle | str | Path", data: Any = None, *, allow: Sequence[str] = (),
) -> "Comparison":  # fmt: skip
    """Put two models side by side: is the second better or worse than the first?

    Args:
        a: A bundle or its path; a ``NAME.evidence`` folder or a file in it where there are no ``data``.
        b: Another one.
        data: Rows to ask both about. What both were trained from, if they were measured on the same rows of it; or rows
            that neither has seen. Left out: their evidence is compared, with wider intervals.
        allow: Distributions, beside trueweight, whose parts may be imported.

    Raises:
        VerifyError: One of them cannot be opened.
        DataError: ``data`` cannot be read, or does not fit.
    """
    from trueweight.api.compare import compare

    return compare(a, b, data, allow)


def report(
    bundle: "Bundle | str | Path", out: str | Path | None = None, *, language: str = "en", examples: Any = None,
    rows: int = 3, allow: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Write a bundle's evidence, and what was measured later, for people.

    Args:
        bundle: A bundle or its path; of a model that was trained elsewhere the ``NAME.evidence`` folder that
            :func:`evaluate` wrote, or a file in it.
        out: ``.html`` is the page, ``.md`` the model card, ``.cdx.json`` a CycloneDX bill of materials,
            ``.annex-iv.md`` a map to Annex IV of the EU AI Act. ``NAME.html`` beside the bundle by default.
        language: ``"en"`` or ``"zh"``.
        examples: A file or a frame whose first rows the page explains. Their content is then in it.
        rows: How many of them.
        allow: Distributions, beside trueweight, whose parts a bundle opened here may import.

    Returns:
        The file.

    Raises:
        SpecError: There is no such language or kind of report.
        VerifyError: It is no bundle, or was changed.
        DataError: ``examples`` cannot be read.
    """
    from trueweight.api.reported import report_bundle, report_evidence

    to = None if out is None else Path(out)
    if (written := report_evidence(bundle, to, language, explain=examples is not None)) is not None:
        return written
    opened = opened_bundle(bundle, allow)
    table = None if examples is None else read_like(opened, examples)
    return report_bundle(opened, to, language, table, rows)
