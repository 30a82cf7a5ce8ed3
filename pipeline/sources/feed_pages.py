"""The pages of a feed's posts: read for what the feed does not give, and looked at to see whether they are
still there."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from pipeline.post import Post
from pipeline.reading.read import Unreadable
from pipeline.sameness import FEW_LETTERS, GOES_ON, canonical_link, letters, vague_links
from pipeline.sources.feed_copy import FeedCopy
from pipeline.sources.fetch import DEADLINE, Fetcher, NotFetched
from pipeline.sources.kept import Kept, KeptPost, recent
from pipeline.sources.page import read_page

BELIEVED_AFTER: Final = timedelta(days=1)
"""A page that is missing is taken for taken back when it is still missing then."""
MOST_PAGES: Final = 10
"""Pages read for one letter of posts of which the feed gives only the beginning; as many are tried again, and
as many looked at to see whether an old post is still there."""
PAGES_SECONDS: Final = 60.0
"""For all of them."""


class PostPages:
    """The pages of the posts of one feed, `feed`. With `internal` that host may stand on the operator's own
    network; with `anew` a page is looked at whatever was found a moment ago."""

    def __init__(
        self, copy: FeedCopy, feed: str, *, internal: str | None, fetcher: Fetcher, anew: bool
    ) -> None:
        self._copy = copy
        self._feed = feed
        self._internal = internal
        self._fetcher = fetcher
        self._anew = anew
        self._now = datetime.min.replace(tzinfo=UTC)
        self._vague = self._hosts = frozenset[str]()
        self.begin_slot()

    def begin(self, now: datetime) -> None:
        """Look at the posts that the copy holds by `now`, for one letter."""
        kept = self._copy.now
        self._now = now
        self._vague = vague_links(one.post for one in kept.posts.values())
        self._hosts = _own_hosts(self._feed, kept)
        self.begin_slot()

    def begin_slot(self) -> None:
        """Let as many pages be read again as for one letter."""
        self._beginnings, self._again, self._checks = _Budget(), _Budget(), _Budget()

    def told(self, post: Post) -> Post:
        """`post` with what its link is worth among the others."""
        return replace(post, own_link=False) if canonical_link(post.url) in self._vague else post

    def whole(self, post: Post) -> Post | str:
        """`post` as it stands on its page when the feed gives only its beginning, else as it is; or why it
        cannot be used this time. A page of another site, or one that does not begin as the feed says, is not
        the post's own: then what the feed says must do."""
        kept = self._copy.now.posts[post.key]
        if not kept.teaser or post.url is None or _host(post.url) not in self._hosts:
            known = self.told(kept.post)
            return post if post == known else known
        seconds = (self._again if kept.tried else self._beginnings).next()
        if not seconds:
            return "the feed gives only its beginning, and enough pages were read for one run"
        try:
            page = self._page(post, seconds)
        except Unreadable as error:
            kept = self._in_vain(kept)
            if _is_gone(error):
                return self._missing(kept, error)
            return f"the feed gives only its beginning, and its page cannot be read: {error}"
        if letters(GOES_ON.sub("", kept.post.text))[:FEW_LETTERS] not in letters(f"{page.title} {page.text}"):
            self._in_vain(kept)
            return post
        found = kept.post
        if len(page.text) > len(found.text):
            found = replace(found, text=page.text, blocks=page.blocks, language=page.language)
        self._copy.know(replace(kept, post=found, teaser=False, gone_since=None, page_seen_at=self._now))
        return self.told(found)

    def gone(self, post: Post) -> str:
        """Why a post that the feed no longer shows must not be used: its writer may have taken it back. Empty
        when its page is there, does not say, or was seen a moment ago. While the feed itself fails no page is
        asked: then the whole site may be away."""
        kept = self._copy.now.posts[post.key]
        seen = not self._anew and recent(kept.page_seen_at, self._now)
        if kept.shown or seen or self._copy.now.problem:
            return ""
        if post.url is None or _host(post.url) not in self._hosts:
            return ""
        seconds = self._checks.next()
        if not seconds:
            return ""
        try:
            self._page(post, seconds)
        except Unreadable as error:
            return self._missing(kept, error) if _is_gone(error) else ""
        self._copy.know(replace(kept, gone_since=None, page_seen_at=self._now))
        return ""

    def _page(self, post: Post, seconds: float) -> Post:
        assert post.url is not None
        return read_page(
            post.url,
            default_language=post.language,
            internal=self._internal,
            fetcher=self._fetcher,
            seconds=seconds,
        )

    def _in_vain(self, kept: KeptPost) -> KeptPost:
        """Its page gave nothing: it may not keep others from being read, now or in the weeks to come."""
        if not kept.tried:
            kept = replace(kept, tried=True)
            self._copy.know(kept)
        return kept

    def _missing(self, kept: KeptPost, error: Unreadable) -> str:
        """What a page that is not there means. Once may be a fault of the site: it is believed when it is
        said again `BELIEVED_AFTER` later, and never of a post that the feed shows."""
        if not kept.shown and not self._copy.now.problem:
            if kept.gone_since is None or self._now < kept.gone_since:
                self._copy.know(replace(kept, gone_since=self._now))
            elif self._now - kept.gone_since >= BELIEVED_AFTER:
                self._copy.know(replace(kept, gone=True))
                return f"it was taken back: {error}"
        return f"its page is not there: {error}"


@dataclass(slots=True)
class _Budget:
    """Pages that may be read for one letter."""

    pages: int = 0
    ends: float = 0.0

    def next(self) -> float:
        """Seconds for one more page; 0 when enough were read."""
        if not self.pages:
            self.ends = time.monotonic() + PAGES_SECONDS
        left = self.ends - time.monotonic()
        if self.pages >= MOST_PAGES or left <= 0:
            return 0.0
        self.pages += 1
        return min(left, DEADLINE)


def _is_gone(error: Unreadable) -> bool:
    return isinstance(error.__cause__, NotFetched) and error.__cause__.gone


def _own_hosts(feed: str, kept: Kept) -> frozenset[str]:
    """The feed's host, and the one that most of its posts are on: many blogs have their feed elsewhere."""
    links = Counter(_host(one.post.url) for one in kept.posts.values() if one.post.url)
    most = (host for host, count in links.items() if 2 * count > links.total())
    return frozenset((_host(feed), *most))


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
