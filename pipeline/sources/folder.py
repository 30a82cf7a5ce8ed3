"""Posts from a folder of Markdown, HTML and plain-text files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.post import Post
from pipeline.reading.read import LARGEST, SUFFIXES, Draft, Unreadable, read_post


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """The posts of a source, and what could not be read: one sentence each, naming the file."""

    posts: tuple[Post, ...]
    problems: tuple[str, ...] = ()


def read_folder(path: Path, *, language: str, forced: str | None = None, drafts: bool = False) -> ReadResult:
    """Every post below `path`, in the order of their names.

    A post's key is its path below `path`, with `/`. `language` is what a post is taken to be in when
    neither it nor its text says so; `forced` overrules even those. Hidden files and folders, files of other
    kinds and what is no file (a pipe) are passed over, and so are drafts, unless `drafts`. A file that
    cannot be read becomes a problem and keeps no other from being read. The date of a post is its front
    matter's `date:`, else a date in its file's name, else the file's time of change.

    Raises NotADirectoryError when `path` is no folder.
    """
    if not path.is_dir():
        raise NotADirectoryError(f"{path}: there is no such folder")
    posts: list[Post] = []
    problems: list[str] = []
    for file in _files(path, problems):
        name = _utf_8(file.relative_to(path).as_posix())
        try:
            posts.append(
                read_file(file, name=name, language=forced, default_language=language, drafts=drafts)
            )
        except Draft:
            continue
        except (Unreadable, OSError) as error:
            problems.append(_problem(name, error))
    return ReadResult(posts=tuple(posts), problems=tuple(problems))


def read_file(
    file: Path,
    *,
    name: str,
    language: str | None = None,
    default_language: str = "en",
    drafts: bool = False,
) -> Post:
    """One file as a post with the key `name`; else like `read_post`. Raises Unreadable or OSError."""
    with file.open("rb") as opened:
        modified = datetime.fromtimestamp(os.fstat(opened.fileno()).st_mtime, UTC)
        raw = opened.read(LARGEST + 1)  # enough to see that it is too large
    return read_post(
        raw,
        name=_utf_8(name),
        language=language,
        modified=modified,
        default_language=default_language,
        drafts=drafts,
    )


def _problem(name: str, error: Exception) -> str:
    return (
        str(error)
        if isinstance(error, Unreadable)
        else f"{name}: {getattr(error, 'strerror', None) or error}"
    )


def _utf_8(name: str) -> str:
    """A file's name. Bytes in it that are no UTF-8, which no database takes, are written `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _files(path: Path, problems: list[str]) -> list[Path]:
    def unreadable_folder(error: OSError) -> None:
        name = _utf_8(Path(error.filename).relative_to(path).as_posix())
        problems.append(f"{name}: {error.strerror}")

    found = []
    for folder, folders, names in os.walk(path, onerror=unreadable_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(file for file in found if file.suffix.lower() in SUFFIXES and _may_be_read(file))


def _may_be_read(file: Path) -> bool:
    """Not for what would wait for a writer. A link that leads nowhere is read, and named as a problem."""
    return file.is_file() or not file.exists()
