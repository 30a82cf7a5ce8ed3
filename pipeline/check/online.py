"""Asking whether a page is there. Only when the editor says so: `check --online`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.sources.fetch import Fetcher, Forbidden, Inside, NotFetched, shown

SECONDS = 10
_ENOUGH = 1_000_000
"""Bytes after which a page is there, however long it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAnswer:
    """What is known of a page after asking for it."""

    status: int | None = None
    """After redirects; None for no answer."""
    said: str = ""
    """Why there is none, in words."""
    refused: bool = False
    """It leads somewhere that we do not follow and a reader's browser may: nothing is known of the page."""

    @property
    def dead(self) -> bool:
        return not self.refused and (self.status is None or self.status >= 400)


def page_answer(url: str, *, internal: str | None = None) -> PageAnswer:
    """What `url` answers, after redirects.

    An address on this machine or a private network is not asked, unless it has the host and port of
    `internal`: readers cannot reach it, and a post's link must not make us ask what stands there.
    """
    try:
        Fetcher().get(url, accept="text/html, */*;q=0.5", at_most=_ENOUGH, internal=internal, seconds=SECONDS)
    except NotFetched as error:
        refused = isinstance(error, Forbidden) and not isinstance(error, Inside)
        said = str(error).removeprefix(f"{shown(url)}: ")
        return PageAnswer(status=error.status, said=said, refused=refused)
    return PageAnswer(status=200)
