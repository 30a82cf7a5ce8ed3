"""One post from one web address."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from pipeline.post import Post
from pipeline.reading.read import LARGEST, SUFFIXES, Unreadable, read_post
from pipeline.sources.fetch import DEADLINE, Fetcher, NotFetched, shown

_READ = ("text/html", "application/xhtml+xml", "text/markdown", "text/plain")
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
    raw, kind = _fetch(address, internal, fetcher or Fetcher(), seconds)
    name = PurePosixPath(urlsplit(address).path.rstrip("/")).name or urlsplit(address).netloc
    if PurePosixPath(name).suffix.lower() not in SUFFIXES:
        name += ".html" if "html" in kind else ".txt"
    return read_post(raw, name=name, language=language, default_language=default_language)


def _fetch(address: str, internal: str | None, fetcher: Fetcher, seconds: float) -> tuple[bytes, str]:
    try:
        found = fetcher.get(address, accept=ACCEPT, at_most=LARGEST, internal=internal, seconds=seconds)
    except NotFetched as error:
        raise Unreadable(str(error)) from error
    kind = re.split("[;,]", found.content_type)[0].strip().lower()
    if kind and kind not in _READ:
        named = kind if re.fullmatch(r"[a-z0-9!#$&^_.+/-]{1,100}", kind) else "something unknown"
        raise Unreadable(f"{shown(address)}: is {named}; a post is read as {', '.join(_READ)}")
    return found.body, kind
