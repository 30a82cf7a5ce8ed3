"""Posts from a feed: asked, read, remembered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pipeline.post import Post
from pipeline.reading.language import two_letters
from pipeline.sources import Asking, SourceUnavailable
from pipeline.sources.feed_copy import FeedCopy
from pipeline.sources.feed_format import LARGEST_FEED, NotAFeed, read_feed
from pipeline.sources.feed_pages import PostPages
from pipeline.sources.fetch import Fetcher, NotFetched, shown
from pipeline.sources.kept import Kept, bounded, failed, recent
from pipeline.sources.merging import merged

FRESH_FOR: Final = timedelta(days=8)
"""How old the last good copy may be that is used while the feed fails: one week's letter, not two. A weekly
run never comes after exactly seven days."""
PAUSE: Final = timedelta(minutes=1)
"""After a failure the feed is left alone for so long: the service looks twice a minute."""
TRIED_AGAIN_AFTER: Final = timedelta(minutes=55)
"""The daily look at a feed that fails is repeated so soon, by who tidies up each hour."""
ACCEPT: Final = (
    "application/atom+xml, application/rss+xml, application/feed+json, "
    "application/rdf+xml;q=0.9, application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedResult:
    posts: tuple[Post, ...] = ()
    problems: tuple[str, ...] = ()
    """Why the posts may not be all of them."""
    remarks: tuple[str, ...] = ()
    """What the editor should know besides."""


class FeedReader:
    """One feed. `url` is its address; with `internal` that host may stand on the operator's own network;
    `file` holds what is remembered; `language` is what posts are in that do not look like any. With `anew`
    the feed is asked whatever was found a moment ago."""

    def __init__(
        self,
        url: str,
        *,
        file: Path,
        language: str,
        internal: bool = False,
        asking: Asking = Asking.KEEP,
        fetcher: Fetcher | None = None,
        anew: bool = False,
    ) -> None:
        self._url = url
        self._language = two_letters(language) or "en"
        self._internal = url if internal else None
        self._asking = asking
        self._fetcher = fetcher or Fetcher()
        self._anew = anew
        self._copy = FeedCopy(file, url, writes=asking is not Asking.LOOK)
        self._pages = PostPages(self._copy, url, internal=self._internal, fetcher=self._fetcher, anew=anew)

    def read(self, now: datetime) -> FeedResult:
        """All posts that the feed ever showed. Raises `SourceUnavailable` when it cannot be read and the copy
        is older than `FRESH_FOR`, and when there is a copy that cannot be read."""
        try:
            kept = self._copy.load()
        except SourceUnavailable as error:
            if self._asking is Asking.REMEMBER:
                return FeedResult(problems=(str(error),))
            raise
        if self._asking is Asking.LOOK:
            self._copy.look(lambda known: self._asked(known, now))
        elif self._asking is Asking.KEEP and (self._anew or not _just_asked(kept, now)):
            self._copy.keep(self._asked(kept, now))
        self._pages.begin(now)
        found = self._result() if self._asking is Asking.REMEMBER else self._judged(now)
        return replace(found, remarks=(*((kept.damage,) if kept.damage else ()), *found.remarks))

    def refresh(self, now: datetime, *, after: timedelta) -> None:
        """Take in what is new, if the feed was not asked for `after`, or failed a while ago. Never raises
        what the feed does; `SourceUnavailable` when the copy cannot be read."""
        kept = self._copy.load()
        wait = min(after, TRIED_AGAIN_AFTER) if kept.problem else after
        if kept.asked_at is None or not timedelta(0) <= now - kept.asked_at < wait:
            self._copy.keep(self._asked(kept, now))

    def has(self, post: Post) -> bool:
        return post.key in self._copy.now.posts

    def whole(self, post: Post) -> Post | str:
        """As `PostPages.whole`."""
        return self._pages.whole(post)

    def gone(self, post: Post) -> str:
        """As `PostPages.gone`."""
        return self._pages.gone(post)

    def begin_slot(self) -> None:
        """Let as many pages be read again as for one letter."""
        self._pages.begin_slot()

    def _asked(self, kept: Kept, now: datetime) -> Kept:
        """The copy after asking the feed once."""
        try:
            found = self._fetcher.get(
                self._url,
                accept=ACCEPT,
                at_most=LARGEST_FEED,
                internal=self._internal,
                etag=kept.etag if kept.posts else "",
                last_modified=kept.last_modified if kept.posts else "",
            )
            if found.unchanged:
                return replace(kept, read_at=now, asked_at=now, problem="")
            feed = read_feed(found.body, base=found.url, content_type=found.content_type)
        except NotFetched as error:
            return failed(kept, str(error), now=now)
        except NotAFeed as error:
            return failed(kept, f"{shown(self._url)}: {error}", now=now)
        posts, remarks = merged(kept.posts, feed.entries, feed=self._url, now=now, language=self._language)
        if not feed.entries:
            remarks = ("it holds no posts", *remarks)
        return Kept(
            posts=bounded(posts),
            read_at=now,
            asked_at=now,
            etag=found.etag,
            last_modified=found.last_modified,
            remarks=tuple(f"{shown(self._url)}: {remark}" for remark in (*feed.remarks, *remarks)),
        )

    def _result(self) -> FeedResult:
        posts = (self._pages.told(one.post) for one in self._copy.now.posts.values() if not one.gone)
        return FeedResult(posts=tuple(posts), remarks=self._copy.now.remarks)

    def _judged(self, now: datetime) -> FeedResult:
        kept = self._copy.now
        if not kept.problem:
            return self._result()
        if kept.posts and kept.read_at is not None and abs(now - kept.read_at) <= FRESH_FOR:
            copy = f"the copy of {kept.read_at:%Y-%m-%d %H:%M}Z is used"
            return FeedResult(posts=self._result().posts, problems=(f"{kept.problem}; {copy}",))
        since = f"; it was last read on {kept.read_at:%Y-%m-%d}" if kept.read_at else ""
        raise SourceUnavailable(f"{kept.problem}{since}: the week waits until the feed can be read again")


def _just_asked(kept: Kept, now: datetime) -> bool:
    """Whether the copy is an answer: the feed was read a moment ago, or failed just now."""
    if not kept.problem:
        return recent(kept.read_at, now)
    return kept.asked_at is not None and timedelta(0) <= now - kept.asked_at < PAUSE
