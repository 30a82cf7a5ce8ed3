"""Posts from a feed: asked, read, remembered."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

from pipeline.post import Post
from pipeline.reading.html import HtmlContent, read_html
from pipeline.reading.language import identify, two_letters
from pipeline.reading.normal import clean_inline
from pipeline.reading.plain import read_plain
from pipeline.reading.read import Unreadable, first_paragraph
from pipeline.sameness import canonical_link, text_mark
from pipeline.sources import Asking, SourceUnavailable
from pipeline.sources.feed_format import LARGEST_FEED, LONGEST_ENTRY, Entry, NotAFeed, read_feed
from pipeline.sources.fetch import DEADLINE, Fetcher, NotFetched, shown
from pipeline.sources.kept import Kept, KeptPost, bounded, failed, load, save
from pipeline.sources.page import read_page

FRESH_FOR: Final = timedelta(days=7)
"""How old the last good copy may be that is used while the feed fails: one week's letter, not two."""
PAUSE: Final = timedelta(minutes=1)
"""After a failure the feed is left alone for so long: the service looks twice a minute."""
LOOKED_FOR: Final = 60.0
"""Seconds for which a look that keeps nothing is not repeated: the editor's desk looks at each keystroke."""
MOST_PAGES: Final = 10
"""Pages read in one run for posts of which the feed gives only the beginning."""
PAGES_SECONDS: Final = 60.0
"""For all of them."""
ACCEPT: Final = (
    "application/atom+xml, application/rss+xml, application/feed+json, "
    "application/rdf+xml;q=0.9, application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, */*;q=0.1"
)

log = logging.getLogger("weekbrief.feed")

_SHORT = 1500
"""Characters; a summary that is longer is taken for the post."""
_VERY_SHORT = 500
_TELLING = 200
_GOES_ON = re.compile(
    r"(?:…|\.\.\.|\[(?:…|\.\.\.)\]|(?:continue reading|read (?:more|the rest|on)|lees (?:meer|verder)|"
    r"verder lezen|weiterlesen|mehr lesen|lire (?:la suite|plus)|seguir leyendo|leer m[aá]s)\b[^.!?]{0,60})"
    r"[\s\]→»>.]*\Z",
    re.IGNORECASE,
)
_LONGEST_KEY = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedResult:
    posts: tuple[Post, ...] = ()
    problems: tuple[str, ...] = ()
    """Why the posts may not be all of them."""
    remarks: tuple[str, ...] = ()
    """What the editor should know besides."""


class FeedReader:
    """One feed. `url` is its address; with `internal` that host may stand on the operator's own network;
    `file` holds what is remembered; `language` is what posts are in that do not look like any."""

    def __init__(
        self,
        url: str,
        *,
        file: Path,
        language: str,
        internal: bool = False,
        asking: Asking = Asking.KEEP,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._url = url
        self._file = file
        self._language = two_letters(language) or "en"
        self._internal = url if internal else None
        self._asking = asking
        self._fetcher = fetcher or Fetcher()
        self._kept = Kept()
        self._pages, self._pages_end = 0, 0.0

    def read(self, now: datetime) -> FeedResult:
        """All posts that the feed ever showed. Raises `SourceUnavailable` when it cannot be read and the copy
        is older than `FRESH_FOR`."""
        self._kept = load(self._file)
        if self._asking is Asking.REMEMBER:
            return _result(self._kept)
        if self._asking is Asking.LOOK:
            self._kept = _looked(self._file, lambda: self._asked(self._kept, now))
        elif not _paused(self._kept, now):
            self._keep(self._asked(self._kept, now))
        return self._judged(now)

    def refresh(self, now: datetime, *, after: timedelta) -> None:
        """Take in what is new, if the feed was not asked for `after`. Never raises what the feed does."""
        kept = load(self._file)
        if kept.asked_at is None or not timedelta(0) <= now - kept.asked_at < after:
            self._keep(self._asked(kept, now))

    def has(self, post: Post) -> bool:
        return post.key in self._kept.posts

    def whole(self, post: Post) -> Post | str:
        """`post` as it stands on its page when the feed gives only its beginning, else as it is; or why it
        cannot be used this time. A post that the feed no longer shows is only used if its page is still
        there, as far as that can be seen: its writer may have taken it back."""
        kept = self._kept.posts[post.key]
        if post.url is None or (kept.shown and not kept.teaser):
            return kept.post
        left = self._pages_end - time.monotonic() if self._pages else PAGES_SECONDS
        if self._pages >= MOST_PAGES or left <= 0:
            if not kept.teaser:
                return kept.post
            return "the feed gives only its beginning, and enough pages were read for one run"
        if not self._pages:
            self._pages_end = time.monotonic() + PAGES_SECONDS
        self._pages += 1
        try:
            page = read_page(
                post.url,
                default_language=post.language,
                internal=self._internal,
                fetcher=self._fetcher,
                seconds=min(left, DEADLINE),
            )
        except Unreadable as error:
            if isinstance(error.__cause__, NotFetched) and error.__cause__.gone:
                self._know(replace(kept, gone=True))
                return f"it was taken back: {error}"
            if not kept.teaser:
                return kept.post
            return f"the feed gives only its beginning, and its page cannot be read: {error}"
        if not kept.teaser:
            return kept.post
        found = kept.post
        if len(page.text) > len(found.text):
            found = replace(found, text=page.text, blocks=page.blocks, language=page.language)
        self._know(replace(kept, post=found, teaser=False))
        return found

    def _know(self, one: KeptPost) -> None:
        self._keep(replace(self._kept, posts={**self._kept.posts, one.post.key: one}))

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

    def _keep(self, kept: Kept) -> None:
        self._kept = kept
        if self._asking is Asking.LOOK:
            with _looking:
                _looks[self._file] = (time.monotonic(), kept)
            return
        try:
            save(self._file, self._url, kept)
        except OSError as error:
            # The letter can go without it: which posts were sent stands in the database.
            log.error("the copy of a feed cannot be written to %s: %s", self._file, error.strerror)

    def _judged(self, now: datetime) -> FeedResult:
        kept = self._kept
        if not kept.problem:
            return _result(kept)
        if kept.posts and kept.read_at is not None and abs(now - kept.read_at) <= FRESH_FOR:
            copy = f"the copy of {kept.read_at:%Y-%m-%d %H:%M}Z is used"
            return FeedResult(posts=_result(kept).posts, problems=(f"{kept.problem}; {copy}",))
        since = f"; it was last read on {kept.read_at:%Y-%m-%d}" if kept.read_at else ""
        raise SourceUnavailable(f"{kept.problem}{since}: the week waits until the feed can be read again")


def _result(kept: Kept) -> FeedResult:
    return FeedResult(
        posts=tuple(one.post for one in kept.posts.values() if not one.gone), remarks=kept.remarks
    )


def _paused(kept: Kept, now: datetime) -> bool:
    failed_at = kept.asked_at if kept.problem else None
    return failed_at is not None and timedelta(0) <= now - failed_at < PAUSE


_looks: dict[Path, tuple[float, Kept]] = {}
_looking = Lock()


def _looked(file: Path, ask: Callable[[], Kept]) -> Kept:
    """What a look that keeps nothing found, at most `LOOKED_FOR` ago."""
    with _looking:
        at, kept = _looks.get(file, (0.0, Kept()))
        if not at or time.monotonic() - at > LOOKED_FOR:
            kept = ask()
            _looks[file] = (time.monotonic(), kept)
        return kept


# From what the feed says to posts, and from these and the old ones to the new copy. Touches nothing.


def merged(
    kept: Mapping[str, KeptPost], entries: Sequence[Entry], *, feed: str, now: datetime, language: str
) -> tuple[dict[str, KeptPost], tuple[str, ...]]:
    """The copy after the feed said `entries`, and remarks for the editor. A post that is known by another id
    keeps its first key; one that is no longer shown stays."""
    posts = {key: replace(one, shown=False) for key, one in kept.items()}
    keys = {key_of(entry, feed) for entry in entries}
    links = _known_links(kept, entries, keys)
    texts = {_mark(one.post): key for key, one in kept.items() if key not in keys}
    here: set[str] = set()
    remarks: list[str] = []
    for entry, published in zip(entries, _dates(entries, now), strict=True):
        key = key_of(entry, feed)
        old = posts.get(key) or posts.get(links.get(canonical_link(entry.link), ""))
        if old is not None and old.fingerprint == entry.fingerprint:
            posts[old.post.key] = replace(old, shown=True, gone=False)
            here.add(_mark(old.post))
            continue
        post = _post(entry, key=key, published=published, language=language, remarks=remarks)
        if post is None or _mark(post) in here:
            continue
        here.add(_mark(post))
        old = old or posts.get(texts.get(_mark(post), ""))
        if old is not None:
            when = post.published if entry.published else old.post.published
            post = replace(post, key=old.post.key, published=when)
        posts[post.key] = KeptPost(post=post, fingerprint=entry.fingerprint, teaser=_is_teaser(entry, post))
    return posts, tuple(remarks)


def key_of(entry: Entry, feed: str) -> str:
    """What a post is known by: its id, else its link, else its words. An id that is unique in its feed alone
    (`123`) gets the feed's host before it."""
    plain = "".join(entry.id.split())
    if not plain:
        words = f"{entry.title}\n{entry.body}".encode("utf-8", "replace")
        return canonical_link(entry.link) or f"sha256:{sha256(words).hexdigest()}"
    if ":" not in plain:
        plain = f"{urlsplit(feed).hostname}:{plain}"
    if len(plain) > _LONGEST_KEY or not plain.isprintable():
        return f"sha256:{sha256(plain.encode('utf-8', 'replace')).hexdigest()}"
    return plain


def _known_links(kept: Mapping[str, KeptPost], entries: Sequence[Entry], keys: set[str]) -> dict[str, str]:
    """Keys of remembered posts by link, where a link stands for one post: there, here, and by another id."""
    there = Counter(canonical_link(one.post.url) for one in kept.values())
    now = Counter(canonical_link(entry.link) for entry in entries)
    links = ((canonical_link(one.post.url), key) for key, one in kept.items() if key not in keys)
    return {link: key for link, key in links if link and there[link] == 1 and now[link] == 1}


def _mark(post: Post) -> str:
    """By which a post is known when its id and link are new. A few words alone could be anybody's."""
    return text_mark(post.text if len(post.text) >= _TELLING else f"{post.text}\n{post.url}")


def _dates(entries: Sequence[Entry], now: datetime) -> list[datetime]:
    """When each was published. One without a date comes a second before the one above it, so that the feed's
    order, newest first, holds."""
    found: list[datetime] = []
    for entry in entries:
        above = min(found[-1], now) if found else now + timedelta(seconds=1)
        found.append(entry.published or above - timedelta(seconds=1))
    return found


def _post(entry: Entry, *, key: str, published: datetime, language: str, remarks: list[str]) -> Post | None:
    name = entry.title or entry.link or key
    if len(entry.body) > LONGEST_ENTRY:
        remarks.append(f"“{name[:80]}” is longer than any post and was not read")
        return None
    content = _content(entry.body, html=entry.body_is_html)
    if not content.text:
        if not entry.link:
            remarks.append(f"“{name[:80]}” holds no text")
            return None
        content = replace(content, text=clean_inline(name), blocks=())
    title = _line(entry.title, html=entry.title_is_html) or _opening(content.text)
    if "\ufffd" in content.text or "\ufffd" in title:
        remarks.append(f"“{title[:80]}” has characters that could not be read (�)")
    lead = _line(entry.summary, html=entry.summary_is_html) if entry.whole else ""
    return Post(
        key=key,
        title=title,
        language=identify(content.text) or two_letters(entry.language) or language,
        published=published,
        text=content.text,
        blocks=content.blocks,
        url=entry.link or None,
        stable_key=False,
        lead=lead if 0 < len(lead) <= 400 else first_paragraph(content),
    )


def _content(body: str, *, html: bool) -> HtmlContent:
    if html:
        return read_html(body)
    text, blocks = read_plain(body)
    return HtmlContent(text=text, blocks=blocks)


def _line(text: str, *, html: bool) -> str:
    return clean_inline(read_html(text).text.replace("\n", " ") if html else text)


def _opening(text: str) -> str:
    line = text.split("\n", 1)[0]
    return line if len(line) <= 80 else line[:80].rsplit(" ", 1)[0] + "…"


def _is_teaser(entry: Entry, post: Post) -> bool:
    if not entry.link:
        return False
    length = len(post.text)
    if entry.whole:
        return length < _VERY_SHORT and _GOES_ON.search(post.text) is not None
    return length < _SHORT
