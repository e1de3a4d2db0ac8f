"""``trueweight serve``: answers over HTTP, and a page."""

from collections.abc import Sequence
from pathlib import Path

import click

from trueweight.cli.console import note
from trueweight.cli.machine import leave_pandas_out, prepare_torch

__all__ = ["serve"]


@click.command(short_help="Answer over HTTP, with a page to try models on.")
@click.argument("bundles", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that answer.")
@click.option("--engine", type=click.Choice(("uvicorn", "ray")), default="uvicorn", show_default=True,
              help="What carries it: this machine, or Ray Serve on a cluster.")  # fmt: skip
@click.option("--open", "open_", is_flag=True, help="Ask for no keys; only on this machine's own address.")
@click.option("--keys", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Where keys are kept; see trueweight keys.")  # fmt: skip
@click.option("--audit", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Where it is noted who asked; the state folder by default.")  # fmt: skip
@click.option("--no-audit", is_flag=True, help="Note nowhere who asked.")
@click.option("--certificate", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="For TLS, as PEM.")
@click.option("--private-key", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Of it, as PEM.")
@click.option("--runtime", type=click.Choice(["auto", "eager", "onnx", "channels_last", "channels_first", "compiled"]),
              default="auto", show_default=True,
              help="How networks are run; auto: whichever is fastest here and answers alike.")  # fmt: skip
@click.option("--bake-off", type=click.FloatRange(0), default=8.0, show_default=True, metavar="SECONDS",
              help="How long auto may measure, for each model; 0 for not at all.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="PACKAGE", help="Let bundles load parts of this installed package.")
def serve(
    bundles: tuple[Path, ...], host: str, port: int, workers: int, engine: str, open_: bool, keys: Path | None,
    audit: Path | None, no_audit: bool, certificate: Path | None, private_key: Path | None, runtime: str,
    bake_off: float, allow: tuple[str, ...],
) -> None:  # fmt: skip
    """Answer over HTTP with BUNDLES until Ctrl-C: the same answers as predict gives, and a page to try them on.

    Every bundle is verified first. Keys are needed, unless --open says otherwise; a first one is made and shown once.

    \b
    Examples:
        trueweight serve claims.bundle
        curl http://127.0.0.1:8000/v1/models/claims/predict -H "Authorization: Bearer tw_…" \\
             -H "Content-Type: text/csv" --data-binary @new.csv
    """
    from trueweight import api

    if audit is not None and no_audit:
        raise click.UsageError("--audit and --no-audit contradict each other")
    if audit is None and not no_audit:
        from trueweight.files import private_dir, state_dir

        audit = private_dir(state_dir() / "audit")
    prepare_torch()
    leave_pandas_out()
    scheme = "https" if certificate else "http"
    shown = f"[{host}]" if ":" in host else host

    def listening(names: Sequence[str], key: str | None, port: int) -> None:
        address = f"{scheme}://{shown}:{port}/"
        note(f"serving {', '.join(names)} at {address}")
        if key is not None:
            note(f"first key, shown this once: {key}")
            note(f"the page with it: {address}#key={key}")
        elif not open_:
            note("keys: trueweight keys add LABEL")

    api.serve(
        bundles, host=host, port=port, workers=workers, open=open_, keys=keys, audit=audit, certificate=certificate,
        private_key=private_key, allow=allow, engine=engine, runtime=runtime, bake_off=bake_off, listening=listening,
    )  # fmt: skip
