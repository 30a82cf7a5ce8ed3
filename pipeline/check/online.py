"""Asking whether a page is there. Only when the editor says so: `check --online`."""

from __future__ import annotations

from pipeline.sources.fetch import Fetcher, NotFetched

SECONDS = 10
_ENOUGH = 1_000_000
"""Bytes after which a page is there, however long it is."""


def page_status(url: str, *, internal: str | None = None) -> int | None:
    """The status that `url` answers with, after redirects; None for no answer.

    An address on this machine or a private network is not asked, unless it has the host and port of
    `internal`: readers cannot reach it, and a post's link must not make us ask what stands there.
    """
    try:
        Fetcher().get(url, accept="text/html, */*;q=0.5", at_most=_ENOUGH, internal=internal, seconds=SECONDS)
    except NotFetched as error:
        return error.status
    return 200
