"""Making the folder of a newsletter: configuration, secret, posts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path


def make_newsletter(folder: Path, *, samples: bool = False) -> Iterator[Path]:
    """Make what is missing in `folder`, naming each file made. Nothing that exists is touched.

    With `samples` the folder `posts` holds our own sample posts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    schedule = files("pipeline").joinpath("samples", "schedule.yaml").read_text("utf-8")
    yield from _write(folder / "schedule.yaml", schedule)
    yield from _write(folder / ".env", f"WEEKBRIEF_SECRET={secrets.token_urlsafe(32)}\n", mode=0o600)
    posts = folder / "posts"
    if not posts.is_dir():
        posts.mkdir()
        yield posts
    if samples:
        for sample in files("pipeline").joinpath("samples", "posts").iterdir():
            yield from _write(posts / sample.name, sample.read_text("utf-8"))


def _write(path: Path, text: str, *, mode: int = 0o644) -> Iterator[Path]:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    yield path
