"""A folder of pages that is there whole or as it was: made beside its place, then put there by renaming."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MADE: Final = ".weekbrief-archive"
"""The file that says: this folder is ours to replace. It names every file in it."""


class NotOurs(Exception):
    """The folder holds something that this program did not make."""


def replace_folder(folder: Path, files: Iterable[tuple[str, bytes]]) -> int:
    """Put `files` (name, content) in the place of `folder`; gives how many. Raises `NotOurs` or OSError,
    and then nothing has changed."""
    folder = folder.resolve()
    _check(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        names = [_written(making, name, content) for name, content in files]
        (making / MADE).write_text("".join(f"{name}\n" for name in names), "utf-8")
        making.chmod(0o755)
        _swap(making, folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return len(names)


def _check(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise NotOurs(f"{folder} is a file")
    there = {path.name for path in folder.iterdir()}
    if not there:
        return
    if MADE not in there:
        raise NotOurs(f"{folder} holds files that this command did not make; name a new or an empty folder")
    made = {MADE, *(folder / MADE).read_text("utf-8").splitlines()}
    if strange := sorted(there - made):
        raise NotOurs(
            f"{folder} holds {strange[0]}, which this command did not make; move it, then build again"
        )


def _written(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    return name


def _swap(making: Path, folder: Path) -> None:
    """A rename replaces an empty folder at once; a full one is moved aside for that moment."""
    if not folder.exists() or not any(folder.iterdir()):
        making.replace(folder)
        return
    aside = making.with_name(f"{making.name}.old")
    folder.replace(aside)
    try:
        making.replace(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.replace(folder)
        raise
    shutil.rmtree(aside)
