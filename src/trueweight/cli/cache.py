"""``trueweight cache``: the folder of encoded data."""

import shutil
from pathlib import Path

import click

from trueweight.cli.console import note

__all__ = ["cache"]


@click.command(short_help="List or clear encoded data kept for next time.")
@click.argument("action", type=click.Choice(["list", "clear", "path"]), default="list")
def cache(action: str) -> None:
    """List what is kept (the default), clear it, or print the folder's path.

    Encoded data holds what your tables hold. The folder is readable by you alone.

    \b
    Example:
        trueweight cache clear
    """
    from trueweight.files import cache_dir
    from trueweight.spec.units import describe_bytes

    folder = cache_dir()
    if action == "path":
        click.echo(folder)
        return
    sizes = {item.name: _size(item) for item in sorted(folder.iterdir())}
    if action == "clear":
        busy = sum(_remove(item) for item in folder.iterdir())
        left = f"; {busy} of its blocks in use by another run left alone" if busy else ""
        note(f"cleared {describe_bytes(sum(sizes.values()) - _size(folder))} in {folder}{left}")
        return
    for name, size in sizes.items():
        click.echo(f"{describe_bytes(size):>8}  {name}")
    note(f"{describe_bytes(sum(sizes.values()))} in {folder}")


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


def _remove(path: Path) -> int:
    """Remove a file, a link or a folder, but for what a run is writing at the moment, of which it gives the number."""
    from trueweight.errors import TrainError
    from trueweight.files import locked

    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return 0
    if path.suffix == ".part":
        try:
            with locked(path, purpose="encoding data"):
                shutil.rmtree(path)
        except TrainError:
            return 1
        return 0
    if busy := sum(_remove(item) for item in path.iterdir()):
        return busy
    shutil.rmtree(path, ignore_errors=True)  # a run may have put something new there
    return 0
