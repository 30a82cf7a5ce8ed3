"""One post from one web address."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

from pipeline.post import Post
from pipeline.reading.read import LARGEST, SUFFIXES, Unreadable, read_post
from pipeline.sources.fetch import DEADLINE, Fetcher, NotFetched

ACCEPT = "text/html, application/xhtml+xml, text/markdown, text/plain"


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

    Raises Unreadable when the page cannot be fetched, must not be, or holds no text.
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
    return found.body, found.content_type
