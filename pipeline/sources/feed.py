"""Posts from a feed: asked, read, remembered."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
from pipeline.sameness import canonical_link, text_mark, vague_links
from pipeline.sources import Asking, SourceUnavailable
from pipeline.sources.feed_format import LARGEST_FEED, LONGEST_ENTRY, Entry, NotAFeed, read_feed
from pipeline.sources.fetch import DEADLINE, Fetcher, NotFetched, shown
from pipeline.sources.kept import Kept, KeptPost, bounded, failed, learn, load, save
from pipeline.sources.page import read_page

FRESH_FOR: Final = timedelta(days=8)
"""How old the last good copy may be that is used while the feed fails: one week's letter, not two. A weekly
run never comes after exactly seven days."""
PAUSE: Final = timedelta(minutes=1)
"""After a failure the feed is left alone for so long: the service looks twice a minute."""
RECENT: Final = timedelta(minutes=10)
"""A feed or page that was read is not asked again for so long, when a letter is due and none goes."""
TRIED_AGAIN_AFTER: Final = timedelta(minutes=55)
"""The daily look at a feed that fails is repeated so soon, by who tidies up each hour."""
BELIEVED_AFTER: Final = timedelta(days=1)
"""A page that is missing is taken for taken back when it is still missing then."""
LOOKED_FOR: Final = 60.0
"""Seconds for which a look that keeps nothing is not repeated: the editor's desk looks at each keystroke."""
MOST_PAGES: Final = 10
"""Pages read for one letter of posts of which the feed gives only the beginning; as many are tried again, and
as many looked at to see whether an old post is still there."""
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
_OPENING = 60
"""Letters."""
_INLINE = re.compile(r"data:image/[^\"'\s<>)]*")


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
        self._file = file
        self._language = two_letters(language) or "en"
        self._internal = url if internal else None
        self._asking = asking
        self._fetcher = fetcher or Fetcher()
        self._anew = anew
        self._kept = self._before = Kept()
        self._now = datetime.min.replace(tzinfo=UTC)
        self._vague = self._hosts = frozenset[str]()
        self.begin_slot()

    def read(self, now: datetime) -> FeedResult:
        """All posts that the feed ever showed. Raises `SourceUnavailable` when it cannot be read and the copy
        is older than `FRESH_FOR`, and when there is a copy that cannot be read."""
        self._now = now
        self.begin_slot()
        try:
            self._kept = self._before = load(self._file)
        except SourceUnavailable as error:
            if self._asking is Asking.REMEMBER:
                return FeedResult(problems=(str(error),))
            raise
        damage = (self._kept.damage,) if self._kept.damage else ()
        if self._asking is Asking.LOOK:
            self._kept = _looked(self._file, lambda: self._asked(self._kept, now))
        elif self._asking is Asking.KEEP and (self._anew or not _just_asked(self._kept, now)):
            self._keep(self._asked(self._kept, now))
        self._vague = vague_links(one.post for one in self._kept.posts.values())
        self._hosts = _own_hosts(self._url, self._kept)
        found = self._result() if self._asking is Asking.REMEMBER else self._judged(now)
        return replace(found, remarks=(*damage, *found.remarks))

    def refresh(self, now: datetime, *, after: timedelta) -> None:
        """Take in what is new, if the feed was not asked for `after`, or failed a while ago. Never raises
        what the feed does; `SourceUnavailable` when the copy cannot be read."""
        kept = self._before = load(self._file)
        wait = min(after, TRIED_AGAIN_AFTER) if kept.problem else after
        if kept.asked_at is None or not timedelta(0) <= now - kept.asked_at < wait:
            self._keep(self._asked(kept, now))

    def has(self, post: Post) -> bool:
        return post.key in self._kept.posts

    def begin_slot(self) -> None:
        """Let as many pages be read again as for one letter."""
        self._beginnings, self._again, self._checks = _Budget(), _Budget(), _Budget()

    def whole(self, post: Post) -> Post | str:
        """`post` as it stands on its page when the feed gives only its beginning, else as it is; or why it
        cannot be used this time. A page of another site, or one that does not begin as the feed says, is not
        the post's own: then what the feed says must do."""
        kept = self._kept.posts[post.key]
        if not kept.teaser or post.url is None or _host(post.url) not in self._hosts:
            known = self._told(kept.post)
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
        if _letters(_GOES_ON.sub("", kept.post.text))[:_OPENING] not in _letters(f"{page.title} {page.text}"):
            self._in_vain(kept)
            return post
        found = kept.post
        if len(page.text) > len(found.text):
            found = replace(found, text=page.text, blocks=page.blocks, language=page.language)
        self._know(replace(kept, post=found, teaser=False, gone_since=None, page_seen_at=self._now))
        return self._told(found)

    def gone(self, post: Post) -> str:
        """Why a post that the feed no longer shows must not be used: its writer may have taken it back. Empty
        when its page is there, does not say, or was seen a moment ago. While the feed itself fails no page is
        asked: then the whole site may be away."""
        kept = self._kept.posts[post.key]
        seen = not self._anew and _recent(kept.page_seen_at, self._now)
        if kept.shown or seen or self._kept.problem or post.url is None or _host(post.url) not in self._hosts:
            return ""
        seconds = self._checks.next()
        if not seconds:
            return ""
        try:
            self._page(post, seconds)
        except Unreadable as error:
            return self._missing(kept, error) if _is_gone(error) else ""
        self._know(replace(kept, gone_since=None, page_seen_at=self._now))
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
            self._know(kept)
        return kept

    def _missing(self, kept: KeptPost, error: Unreadable) -> str:
        """What a page that is not there means. Once may be a fault of the site: it is believed when it is
        said again `BELIEVED_AFTER` later, and never of a post that the feed shows."""
        if not kept.shown and not self._kept.problem:
            if kept.gone_since is None or self._now < kept.gone_since:
                self._know(replace(kept, gone_since=self._now))
            elif self._now - kept.gone_since >= BELIEVED_AFTER:
                self._know(replace(kept, gone=True))
                return f"it was taken back: {error}"
        return f"its page is not there: {error}"

    def _know(self, one: KeptPost) -> None:
        self._kept = replace(self._kept, posts={**self._kept.posts, one.post.key: one})
        self._write(lambda: learn(self._file, self._url, one))

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
        self._write(lambda: save(self._file, self._url, kept, before=self._before))

    def _write(self, write: Callable[[], None]) -> None:
        if self._asking is Asking.LOOK:
            with _looking:
                _looks[self._file] = (time.monotonic(), self._kept)
            return
        try:
            write()
        except (OSError, SourceUnavailable) as error:
            # The letter can go without it: which posts were sent stands in the database.
            why = error.strerror if isinstance(error, OSError) else error
            log.error("the copy of a feed cannot be written to %s: %s", self._file, why)

    def _told(self, post: Post) -> Post:
        return replace(post, own_link=False) if canonical_link(post.url) in self._vague else post

    def _result(self) -> FeedResult:
        posts = (self._told(one.post) for one in self._kept.posts.values() if not one.gone)
        return FeedResult(posts=tuple(posts), remarks=self._kept.remarks)

    def _judged(self, now: datetime) -> FeedResult:
        kept = self._kept
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
        return _recent(kept.read_at, now)
    return kept.asked_at is not None and timedelta(0) <= now - kept.asked_at < PAUSE


def _recent(at: datetime | None, now: datetime) -> bool:
    return at is not None and timedelta(0) <= now - at < RECENT


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


def _letters(text: str) -> str:
    """Letters and digits alone: space, case and the kind of quotes make no difference."""
    return "".join(filter(str.isalnum, text.casefold()))


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
    found = _keys(entries, feed, kept)
    keys = set(found)
    links = _known_links(kept, entries, keys)
    texts = {_mark(one.post): key for key, one in kept.items() if key not in keys}
    here: set[str] = set()
    remarks: list[str] = []
    for entry, key, published in zip(entries, found, _dates(entries, now), strict=True):
        if not key:
            continue
        old = posts.get(key) or posts.get(links.get(_place(entry.link), ""))
        if old is not None and old.fingerprint == entry.fingerprint:
            posts[old.post.key] = replace(old, shown=True, gone=False, gone_since=None)
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
    (`123`) gets the feed's host and path before it. A key always holds a colon, and no space."""
    plain = "".join(entry.id.split())
    if not plain:
        place = _place(entry.link)
        plain = f"link:{place}" if place else f"sha256:{_hash(_words(entry))}"
    elif ":" not in plain:
        where = urlsplit(feed)
        plain = f"{where.hostname}{where.path}:{plain}"
    if len(plain) > _LONGEST_KEY or not plain.isprintable():
        return f"sha256:{_hash(plain)}"
    return plain


def _keys(entries: Sequence[Entry], feed: str, kept: Mapping[str, KeptPost]) -> list[str]:
    """The key of each entry; empty for one that the feed repeats: the first is the newest and counts. Where
    different posts share an id, now or ever before, each gets a mark of its own behind it."""
    first: dict[str, Entry] = {}
    shared = {key.partition(" ")[0] for key in kept if " " in key}
    plain = [key_of(entry, feed) for entry in entries]
    for key, entry in zip(plain, entries, strict=True):
        if _differ(entry, first.setdefault(key, entry)):
            shared.add(key)
    found: list[str] = []
    taken: set[str] = set()
    for key, entry in zip(plain, entries, strict=True):
        mark = _place(entry.link) if entry.id and entry.link else _words(entry)
        own = f"{key} {_hash(mark)[:20]}" if key in shared else key
        found.append("" if own in taken else own)
        taken.add(own)
    return found


def _differ(one: Entry, other: Entry) -> bool:
    """Whether two entries with one key are different posts."""
    if one.id and one.link and other.link:
        return _place(one.link) != _place(other.link)
    return _words(one) != _words(other)


def _place(link: str | None) -> str:
    """A link as it tells one post from another within a feed: some blogs put all on one page."""
    canonical = canonical_link(link)
    fragment = urlsplit(link or "").fragment if canonical else ""
    return f"{canonical}#{fragment}" if fragment else canonical


def _words(entry: Entry) -> str:
    return f"{entry.title}\n{entry.body}"


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()


def _known_links(kept: Mapping[str, KeptPost], entries: Sequence[Entry], keys: set[str]) -> dict[str, str]:
    """Keys of remembered posts by link, where a link stands for one post: there, here, and by another id."""
    there = Counter(_place(one.post.url) for one in kept.values())
    now = Counter(_place(entry.link) for entry in entries)
    links = ((_place(one.post.url), key) for key, one in kept.items() if key not in keys)
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
    body = entry.body if len(entry.body) <= LONGEST_ENTRY else _INLINE.sub("", entry.body)
    if len(body) > LONGEST_ENTRY:
        remarks.append(f"“{name[:80]}” is longer than any post and was not read")
        return None
    content = _content(body, html=entry.body_is_html)
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
