"""One post from one web address."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from pipeline.post import Post
from pipeline.reading.read import LARGEST, SUFFIXES, Unreadable, read_post
from pipeline.sources.fetch import DEADLINE, Fetched, Fetcher, NotFetched, shown

_READ = ("text/html", "application/xhtml+xml", "text/markdown", "text/plain")
_BY_NAME = ("application/octet-stream", "binary/octet-stream", "text/x-markdown", "application/markdown")
"""What servers call a file whose kind they do not know, and names of Markdown before RFC 7763. Such is read
where its name says what it is."""
ACCEPT = ", ".join(_READ)


def read_page(
    address: str,
    *,
    language: str | None = None,
    default_language: str = "en",
    internal: str | None = None,
    fetcher: Fetcher | None = None,
    seconds: float = DEADLINE,
) -> Post:
    """The post at an `http://` or `https://` address. Its key is the last part of the address's path.

    `internal` is an address whose host and port may be on this machine or a private network; others may not,
    also when they are redirected to.

    Raises Unreadable when the page cannot be fetched, must not be, is of another kind than text, or holds
    none.
    """
    found = _fetch(address, internal, fetcher or Fetcher(), seconds)
    kind, name = _kind(found), _name(address)
    ending = _suffix(name) or _suffix(_name(found.url))
    if kind and kind not in _READ and not (kind in _BY_NAME and ending):
        named = kind if re.fullmatch(r"[a-z0-9!#$&^_.+/-]{1,100}", kind) else "something unknown"
        raise Unreadable(f"{shown(address)}: is {named}; a post is read as {', '.join(_READ)}")
    if not _suffix(name):
        name += ending or (".html" if "html" in kind else ".txt")
    return read_post(
        found.body,
        name=name,
        language=language,
        default_language=default_language,
        content_type=found.content_type,
    )


def _fetch(address: str, internal: str | None, fetcher: Fetcher, seconds: float) -> Fetched:
    try:
        return fetcher.get(address, accept=ACCEPT, at_most=LARGEST, internal=internal, seconds=seconds)
    except NotFetched as error:
        raise Unreadable(str(error)) from error


def _kind(found: Fetched) -> str:
    return re.split("[;,]", found.content_type)[0].strip().lower()


def _name(address: str) -> str:
    parts = urlsplit(address)
    return PurePosixPath(parts.path.rstrip("/")).name or parts.netloc


def _suffix(name: str) -> str:
    """The ending that says how a file is read; empty for every other."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if suffix in SUFFIXES else ""
