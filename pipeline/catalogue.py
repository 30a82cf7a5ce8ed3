"""All posts of all sources of a newsletter."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final

from pipeline.clock import Clock, SystemClock
from pipeline.post import Post
from pipeline.settings import FeedSource, Settings
from pipeline.sources import Asking, SourceUnavailable
from pipeline.sources.folder import read_folder

if TYPE_CHECKING:
    from pipeline.sources.feed import FeedReader
    from pipeline.sources.fetch import Fetcher

log = logging.getLogger("weekbrief.feed")

REFRESHED_EVERY: Final = timedelta(days=1)
"""A feed shows its newest few posts: whoever looks once a month would miss those between."""


class Catalogue:
    """The posts of `sources:`, read at each call, so that a post saved now is a post seen now.

    `kept_in` is the folder of what is remembered of feeds; `asking` says whether they are asked, and whether
    what they say is kept. With `made_up` the clock shows a time that somebody thought of (`run --now`): what
    is remembered never gets a time that has not come, and feeds are asked whatever was found a moment ago.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        kept_in: Path,
        clock: Clock | None = None,
        asking: Asking = Asking.LOOK,
        fetcher: Fetcher | None = None,
        made_up: bool = False,
    ) -> None:
        self._settings = settings
        self._kept_in = kept_in
        self._clock = clock or SystemClock()
        self._asking = asking
        self._fetcher = fetcher
        self._made_up = made_up
        self._stop: Event | None = None
        self._problems: tuple[str, ...] = ()
        self._remarks: tuple[str, ...] = ()
        self._feeds: list[FeedReader] = []

    def heed(self, stop: Event) -> None:
        """From now on, whatever asks a feed raises `AskedToStop` once `stop` is set."""
        self._stop = stop

    def posts(self) -> Sequence[Post]:
        """Raises `SourceUnavailable` when a feed cannot be read and its copy is too old."""
        posts: list[Post] = []
        problems: list[str] = []
        remarks: list[str] = []
        self._feeds = []
        for source in self._settings.sources:
            if isinstance(source, FeedSource):
                feed = self._reader(source)
                read = feed.read(self._now())
                self._feeds.append(feed)
                posts += read.posts
                problems += read.problems
                remarks += read.remarks
            else:
                found = read_folder(source.path, language=self._settings.newsletter.language)
                posts += found.posts
                problems += found.problems
        self._problems, self._remarks = tuple(problems), tuple(remarks)
        return posts

    def problems(self) -> Sequence[str]:
        """What could not be read in the last call of `posts`, a sentence each."""
        return self._problems

    def remarks(self) -> Sequence[str]:
        """What else the editor should know of it."""
        return self._remarks

    def whole(self, post: Post) -> Post | str:
        """A post of the last call of `posts` with all of its text, or why it cannot be had now."""
        feed = self._feed_of(post)
        return post if feed is None else feed.whole(post)

    def refresh(self) -> None:
        """Take in what feeds show that were not asked for a day."""
        for source in self._settings.sources:
            if isinstance(source, FeedSource):
                try:
                    self._reader(source).refresh(self._now(), after=REFRESHED_EVERY)
                except SourceUnavailable as error:
                    log.error("%s", error)

    def gone(self, post: Post) -> str:
        """Why a post of the last call of `posts` was taken back, as far as its page says; else empty."""
        feed = self._feed_of(post)
        return "" if feed is None else feed.gone(post)

    def begin_slot(self) -> None:
        """Let as many pages be read again as for one letter: for a plan of several."""
        for feed in self._feeds:
            feed.begin_slot()

    def _feed_of(self, post: Post) -> FeedReader | None:
        return None if post.stable_key else next((feed for feed in self._feeds if feed.has(post)), None)

    def _now(self) -> datetime:
        now = self._clock.now()
        return min(now, SystemClock().now()) if self._made_up else now

    def _reader(self, source: FeedSource) -> FeedReader:
        # What reads feeds is imported by who has one.
        from pipeline.sources.feed import FeedReader
        from pipeline.sources.fetch import Fetcher
        from pipeline.sources.kept import kept_file

        return FeedReader(
            source.url,
            file=kept_file(self._kept_in, source.url),
            language=self._settings.newsletter.language,
            internal=source.internal,
            asking=self._asking,
            fetcher=self._fetcher or Fetcher(stop=self._stop),
            anew=self._made_up,
        )
