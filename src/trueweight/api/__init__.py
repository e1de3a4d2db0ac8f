"""The golden path: one short function per verb. The command line and Python users call the same ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueweight.spec.run import RunSpec

if TYPE_CHECKING:
    import numpy as np

    from trueweight.api.compare import Comparison
    from trueweight.api.describe import CheckReport
    from trueweight.api.judge import Judgement
    from trueweight.bundle.bundle import Bundle
    from trueweight.bundle.verify import Verification
    from trueweight.data.table import Table
    from trueweight.evidence.record import Evidence
    from trueweight.explain.record import Explanations
    from trueweight.model.predictors.stream import Piece
    from trueweight.nn.decoding import Decoding
    from trueweight.spec.policy import PolicySpec

__all__ = [
    "check", "diff", "evaluate", "explain", "gate", "init", "load", "memory", "predict", "report", "serve", "show",
    "stream", "train", "verify",
]  # fmt: skip


def train(
    data: Any = None, *, target: str | Sequence[str] | None = None,
    spec: RunSpec | Mapping[str, Any] | str | Path | None = None, budget: str | float | None = None,
    seed: int | None = None, name: str | None = None, out: str | Path | None = None, resume: bool = False,
    plan: str | Path | None = None, sealed: bool = False, settings: Sequence[str] = (), base: Path | None = None,
    prepared: Callable[[], object] = lambda: None,
) -> "Bundle":  # fmt: skip
    """Train a model and measure it; everything is kept in a bundle.

    Args:
        data: A file, a glob, a list of them, or a frame (pandas, Polars, Arrow, a dict of arrays). May be left out
            when the spec names its source.
        target: Column or columns to predict, their types guessed. Needed unless ``spec`` names targets.
        spec: A RunSpec, the same as plain data, or the path of a YAML file.
        budget: Time for fitting, such as ``"2m"`` or seconds.
        seed: Of every random choice.
        name: Of the bundle.
        out: Folder of the run; ``runs/<name>-01`` by default.
        resume: Take up the unfinished run instead of starting one.
        plan: A ``plan.json`` to replay: no clock decides anything.
        sealed: Do not open the test rows: report validation only.
        settings: Changes to the spec, ``"train.budget.time=2m"``; recorded.
        base: Folder that relative sources in the spec start from; the spec's own by default.
        prepared: Called once the data is prepared, before torch computes.

    Returns:
        The bundle, on disk.

    Raises:
        SpecError: The request cannot be built; all mistakes at once.
        DataError: The data does not fit it.
        TrainError: The run could not finish.
    """
    from trueweight.api.begin import trained

    return trained(
        data, target=target, spec=spec, budget=budget, seed=seed, name=name, out=out, resume=resume, plan=plan,
        sealed=sealed, settings=settings, base=base, prepared=prepared,
    )  # fmt: skip


def load(path: str | Path, *, allow: Sequence[str] = ()) -> "Bundle":
    """Open a bundle, checking every digest and that its golden rows still get the same answers.

    Args:
        path: The bundle's folder.
        allow: Distributions, beside trueweight, whose parts may be imported.

    Raises:
        VerifyError: It is changed, cut short, too new, or answers differently.
    """
    from trueweight.bundle.bundle import open_bundle

    return open_bundle(Path(path), allow=allow)


def predict(
    bundle: "Bundle | str | Path", source: Any, *, media_dir: str | Path | None = None, ood: bool = False,
    times: bool = False, how: "Decoding | None" = None, seed: int = 0, allow: Sequence[str] = (),
) -> "dict[str, np.ndarray]":  # fmt: skip
    """Answers for every row of a source, in its order.

    Args:
        bundle: A bundle or its path.
        source: A file, ``"-"`` for standard input, or a frame.
        media_dir: Folder that paths of pictures and sounds in cells start from, and stay in. None: as in the spec that
            the model was trained with, from the folder of the source.
        ood: Add a column ``ood``: how unlike the training rows each row is; 99 in 100 rows like them are below 1.
        times: Add a column ``TARGET.times`` for texts read off sounds: words with their seconds, from and to, as JSON.
        how: Of models that write: ``trueweight.decoding(beams=4)`` and the like.
        seed: Of whatever is drawn.
        allow: Distributions, beside trueweight, whose parts a bundle opened here may import.

    Returns:
        Columns by name, each (N,): the key column if there is one, then the answers with their fixed names. Of a folder
        of pictures or sounds, with class folders or without, the files come first.

    Raises:
        DataError: The source cannot be read, has a row that cannot (each row gets an answer: none is skipped), or
            lacks all of the model's columns.
        SpecError: ``ood`` of a model that does not know what is usual, ``times`` of one that aligns no text, ``how`` of
            one that writes nothing.
    """
    from trueweight.api.times import drawn_how, require_times
    from trueweight.data.folders import FILE
    from trueweight.nn.decoding import GREEDY

    opened = load(bundle, allow=allow) if isinstance(bundle, str | Path) else bundle
    table = _read_like(opened, source, max_bad_rows=0.0, **_media(media_dir))
    files = {FILE: table.column(FILE).to_numpy()} if table.provenance.format == "folder" else {}
    if times:
        require_times(opened.name, opened.signature)
    how = drawn_how(how or GREEDY, times=times)
    return files | opened.predict_columns(table, how=how, seed=seed, ood=ood)


def stream(
    bundle: "Bundle | str | Path", source: Any, *, target: str | None = None, how: "Decoding | None" = None,
    seed: int = 0, media_dir: str | Path | None = None, allow: Sequence[str] = (),
) -> "Iterator[Piece]":  # fmt: skip
    """The texts that a model writes for the rows of a source, one row after the other, piece by piece.

    Args:
        bundle: A bundle or its path.
        source: A file, ``"-"`` for standard input, or a frame.
        target: Which text, where the model writes several.
        how: ``trueweight.decoding(temperature=0.8)`` and the like, without beams and with one sample.
        seed: Of whatever is drawn.
        media_dir: As for :func:`predict`.
        allow: As for :func:`predict`.

    Yields:
        Pieces: the row's number, whole characters, and whether the row has no more. A row's pieces together are what
        :func:`predict` answers.

    Raises:
        SpecError: The model writes no text, or ``how`` knows texts only at their end.
    """
    from trueweight.nn.decoding import GREEDY

    opened = load(bundle, allow=allow) if isinstance(bundle, str | Path) else bundle
    table = _read_like(opened, source, max_bad_rows=0.0, **_media(media_dir))
    return opened.stream_table(table, target=target, how=how or GREEDY, seed=seed)


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
    opened = _opened(bundle, allow)
    read = partial(_read_like, opened, source, **_media(media_dir))
    return evaluate_later(opened, read, keep=keep, by=by, measured=measured)


def explain(
    bundle: "Bundle | str | Path", source: Any, *, rows: int = 5, row: int | None = None, methods: Sequence[str] = (),
    target: str | None = None, keep: Sequence[str] = (), allow: Sequence[str] = (),
) -> "Explanations":  # fmt: skip
    """Say why a model answers rows as it does. Each explanation is checked, and one that fails is marked so.

    Args:
        bundle: A bundle or its path.
        source: A file or a frame. Its other rows lend their cells and serve for the checks, so give more than one; with
            the target column, the importance of columns is told too.
        rows: How many rows to explain, the first ones.
        row: Explain this one alone, counted from 0.
        methods: Some of importance, shapley, occlusion, gradients, dependence, counterfactual, prototypes; () for all.
        target: Explain answers for this one alone.
        keep: Columns that counterfactuals must not change.
        allow: Distributions, beside trueweight, whose parts a bundle opened here may import.

    Raises:
        SpecError: An unknown method, target or column.
        DataError: The source cannot be read, lacks all of the model's columns, or has no such row.
    """
    from trueweight.api.explained import explain_bundle
    from trueweight.explain.ask import Wish

    opened = load(bundle, allow=allow) if isinstance(bundle, str | Path) else bundle
    wish = Wish(rows, row, tuple(methods), target, tuple(keep))
    return explain_bundle(opened, _read_like(opened, source), wish)


def _opened(bundle: Any, allow: Sequence[str]) -> "Bundle":
    """A bundle, from its path too.

    Raises:
        SpecError: Something else, such as a model that was trained elsewhere.
    """
    from trueweight.bundle.bundle import Bundle
    from trueweight.errors import SpecError

    opened = load(bundle, allow=allow) if isinstance(bundle, str | Path) else bundle
    if not isinstance(opened, Bundle):
        hint = "for a model that was trained elsewhere name what it predicts: target='COLUMN'"
        raise SpecError(f"a {type(bundle).__name__} is no bundle", hint=hint)
    return opened


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

    return verify_path(Path(path), recompute=recompute, data=data, allow=allow, **_media(media_dir))


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
    opened = _opened(bundle, allow)
    table = None if examples is None else _read_like(opened, examples)
    return report_bundle(opened, to, language, table, rows)


def init(source: Any, target: str | Sequence[str], *, name: str | None = None) -> str:
    """A first spec for a data set, as commented YAML.

    Args:
        source: A file or a frame.
        target: Column or columns to predict.
        name: Of the run; from the file's name by default.

    Raises:
        DataError: The source cannot be read, or has no such column.
    """
    from trueweight.api.propose import propose

    return propose(source, [target] if isinstance(target, str) else list(dict.fromkeys(target)), name=name)


def check(spec: str | Path, *, settings: Sequence[str] = ()) -> "CheckReport":
    """Say whether a spec would run, without running it. Reads at most the first 1,000 rows.

    Raises:
        SpecError: Every mistake at once, each with file, line and column.
        DataError: The data does not fit the spec.
    """
    from trueweight.api.describe import check_spec

    return check_spec(Path(spec), settings)


def show(path: str | Path, *, allow: Sequence[str] = ()) -> dict[str, Any]:
    """The facts of a bundle as plain data: columns, model, evidence, and a ``predict`` line with a made-up row.

    Args:
        path: The bundle's folder.
        allow: Distributions, beside trueweight, whose parts may be imported.

    Raises:
        VerifyError: It is no bundle.
    """
    from trueweight.api.shown import show_bundle

    return show_bundle(load(path, allow=allow))


def memory(spec: str | Path, *, settings: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What memory one training step of each member of a spec will need at its peak, in bytes, by what it is for.

    All rows are read, a few are encoded, and nothing is trained. Members that are solved take no steps and need little
    beside the rows.

    Args:
        spec: Path of a YAML file.
        settings: Changes to the spec.

    Returns:
        For each member ``name``, ``fitter``, ``parameters``, ``batch_size``, and for those that take steps ``weights``,
        ``gradients``, ``optimizer``, ``copies``, ``activations``, ``rows`` and their sum ``total``.

    Raises:
        SpecError: The request cannot be built; all mistakes at once.
        DataError: The data does not fit it.
    """
    from trueweight.api.needs import memory_of

    return memory_of(Path(spec), settings)


def serve(
    bundles: "str | Path | Sequence[str | Path]", *, host: str = "127.0.0.1", port: int = 8000, workers: int = 1,
    open: bool = False, keys: str | Path | None = None, audit: str | Path | None = None,
    certificate: str | Path | None = None, private_key: str | Path | None = None, allow: Sequence[str] = (),
    engine: str = "uvicorn", limits: Mapping[str, Any] | None = None, runtime: str = "auto", bake_off: float = 8.0,
    listening: "Callable[[Sequence[str], str | None, int], object]" = lambda *_: None,
) -> None:  # fmt: skip
    """Answer over HTTP until a signal says to stop, with a page to try the models on.

    Args:
        bundles: Paths of bundles.
        host: Address to listen on; only this machine by default.
        port: As usual; 0 takes a free one.
        workers: Processes, each with the models in its memory.
        open: Ask for no keys. Refused where other machines can reach us.
        keys: File of the keys, in which the first one is made.
        audit: Folder in which it is noted who asked what when, without the rows; None: nowhere.
        certificate: For TLS, a PEM file.
        private_key: Of the certificate.
        allow: Distributions, beside trueweight, whose parts bundles may import.
        engine: "uvicorn" on this machine, or "ray": as so many replicas (``workers``) of Ray Serve, on a cluster.
        limits: Fields of :class:`trueweight.serve.limits.Limits` that are to differ.
        runtime: How networks are run: "auto" measures on each bundle's golden rows what is fastest here and answers
            alike; or one of "eager" (as they were tested), "onnx", "channels_last", "channels_first", "compiled".
        bake_off: Seconds to measure it for each model; 0: models are run as they were tested.
        listening: Called with the names of the models, the first key if one was made, and the port, when all is ready.

    Raises:
        VerifyError: A bundle is changed, cut short, too new, or answers differently.
        SpecError: Something asked for is not safe or makes no sense, or the extra is not installed.
        TrainError: The address cannot be listened on.
    """
    from trueweight.api.serving import serve_bundles
    from trueweight.serve.server import Wish

    paths = [bundles] if isinstance(bundles, str | Path) else list(bundles)
    wish = Wish(
        [str(path) for path in paths], host, port, workers, engine, open, audit=None if audit is None else str(audit),
        certificate=None if certificate is None else str(certificate), allow=tuple(allow), limits=dict(limits or {}),
        private_key=None if private_key is None else str(private_key), runtime=runtime, bake_off=bake_off,
    )  # fmt: skip
    serve_bundles(wish, None if keys is None else Path(keys), listening)


def _media(folder: str | Path | None) -> dict[str, str]:
    """The folder as a spec says it, whole: here it starts from where we are, there from the data."""
    return {} if folder is None else {"media_dir": str(Path(folder).expanduser().absolute())}


def _read_like(bundle: "Bundle", source: Any, **changes: Any) -> "Table":
    """Read new rows by the spec the bundle was trained with, but for what belongs to its file, and ``changes``.

    Where the model was trained on cases of several rows, a table without their column has one row a case.
    """
    from trueweight.api.request import as_cases
    from trueweight.data.read import read_table
    from trueweight.data.table import Table

    if isinstance(source, Table):
        return source
    own = {"source": None, "format": None, "delimiter": None, "encoding": None}
    data = bundle.resolved.data.model_copy(update=own | changes)
    table = read_table(source, data, classes=False)
    if data.cases.case not in table.names:
        return table
    single = [*bundle.resolved.targets, *(name for name in (data.primary_key, data.sample_weight) if name)]
    return as_cases(table, data, single=single)
