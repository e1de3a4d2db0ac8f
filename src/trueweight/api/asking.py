"""Verbs that ask: ``predict``, ``stream``, ``explain``, ``show``, ``serve``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueweight.api.opening import load, media_of, read_like

if TYPE_CHECKING:
    import numpy as np

    from trueweight.bundle.bundle import Bundle
    from trueweight.explain.record import Explanations
    from trueweight.model.predictors.stream import Piece
    from trueweight.nn.decoding import Decoding

__all__ = ["explain", "predict", "serve", "show", "stream"]


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
    table = read_like(opened, source, max_bad_rows=0.0, **media_of(media_dir))
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
    table = read_like(opened, source, max_bad_rows=0.0, **media_of(media_dir))
    return opened.stream_table(table, target=target, how=how or GREEDY, seed=seed)


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
    return explain_bundle(opened, read_like(opened, source), wish)


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
