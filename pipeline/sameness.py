"""When two posts are the same one: by key, else by link, else by text. Feeds change their ids, blogs move
from a folder to a feed, and a reader must not get the same letter again. Decides; touches nothing.

A file is what its name says: against other files only its key counts, against what came from a feed its link
and text as well."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit

from pipeline.post import Post

FEW_LETTERS = 60
"""A beginning with fewer could be anybody's."""
GOES_ON = re.compile(
    r"(?:…|\.\.\.|\[(?:…|\.\.\.)\]|(?:continue reading|read (?:more|the rest|on)|lees (?:meer|verder)|"
    r"verder lezen|weiterlesen|mehr lesen|lire (?:la suite|plus)|seguir leyendo|leer m[aá]s)\b[^.!?]{0,60})"
    r"[\s\]→»>.]*\Z",
    re.IGNORECASE,
)
"""How the beginning of a post ends in a feed that gives no more of it."""
_ADDED_ON_THE_WAY = ("utm_", "mc_", "fbclid", "gclid", "mtm_", "pk_")
"""Beginnings of the parameters that newsletters, feeds and advertisers hang on a link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPost:
    """A post that an edition was made from, as far as it is remembered."""

    key: str
    url: str | None
    title: str
    text: str
    example: str = ""
    """The one that was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """The posts that an edition was made from, by all that they can be known by again."""

    keys: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    """As `canonical_link` gives them."""
    texts: frozenset[str] = frozenset()
    """As `text_mark` gives them."""
    feed_links: frozenset[str] = frozenset()
    feed_texts: frozenset[str] = frozenset()
    """Those of posts that came from a feed."""
    by_title: Mapping[str, tuple[SentPost, ...]] = field(default_factory=dict)
    """By the letters of their titles."""
    marks: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The mark of each text that was asked about, shared by all that are made from one another: a plan asks
    about each text once a week."""

    def has(self, post: Post) -> bool:
        """Whether an edition was made from this post."""
        if post.key in self.keys:
            return True
        links = self.feed_links if post.stable_key else self.links
        texts = self.feed_texts if post.stable_key else self.texts
        link = canonical_link(post.url)
        return (bool(link) and post.own_link and link in links) or self._mark(post.text) in texts

    def resembles(self, post: Post) -> bool:
        """Whether `post` is in all likelihood one that was sent, although all that it is known by is new: it
        has the title of that one, and is the beginning of it, or holds the example that was sent.

        It is not certain: the posts of a series may have one title, and one opening longer than what a feed
        shows of them. So a person is told, and may say that it is another.
        """
        sent = self.by_title.get(letters(post.title), ())
        if post.stable_key:
            sent = tuple(one for one in sent if is_of_feed(one.key))
        here = letters(GOES_ON.sub("", post.text)) if sent else ""
        return any(_alike(here, letters(one.text), letters(one.example)) for one in sent)

    def with_post(self, post: Post, *, example: str = "") -> Covered:
        """The same after an edition with this `example` was made from `post`."""
        sent = SentPost(key=post.key, url=post.url, title=post.title, text=post.text, example=example)
        return covered_by([sent], before=self)

    def _mark(self, text: str) -> str:
        found = self.marks.get(text)
        if found is None:
            found = self.marks[text] = text_mark(text)
        return found


NOTHING_COVERED = Covered()


def covered_by(posts: Sequence[SentPost], *, before: Covered | None = None) -> Covered:
    """`before` and these posts."""
    before = before or Covered()
    known = [(one.key, canonical_link(one.url), before._mark(one.text)) for one in posts]
    of_feeds = [(link, text) for key, link, text in known if is_of_feed(key)]
    by_title = defaultdict(tuple, before.by_title)
    for one in posts:
        if title := letters(one.title):
            by_title[title] += (one,)
    return Covered(
        keys=before.keys | {key for key, _, _ in known},
        links=before.links | {link for _, link, _ in known if link},
        texts=before.texts | {text for _, _, text in known},
        feed_links=before.feed_links | {link for link, _ in of_feeds if link},
        feed_texts=before.feed_texts | {text for _, text in of_feeds},
        by_title=dict(by_title),
        marks=before.marks,
    )


def _alike(here: str, sent: str, example: str) -> bool:
    """Whether the letters of a text are some of those that were sent, or hold the example of these."""
    return (len(here) >= FEW_LETTERS and here in sent) or (len(example) >= FEW_LETTERS and example in here)


def is_of_feed(key: str) -> bool:
    """Whether a post's key is one that a feed gives: these have a colon (`https:`, `tag:`, `sha256:` …), and
    a file's path has none."""
    return ":" in key


def vague_links(posts: Iterable[Post]) -> frozenset[str]:
    """Links that stand at more than one text of one source, such as a home page or the subject of a link
    blog: they do not tell one post from another."""
    texts: dict[str, set[str]] = defaultdict(set)
    for post in posts:
        if link := canonical_link(post.url):
            texts[link].add(post.text)
    return frozenset(link for link, found in texts.items() if len(found) > 1)


@lru_cache(maxsize=20_000)
def canonical_link(url: str | None) -> str:
    """`url` without what does not change the page: scheme, `www.`, fragment, campaign parameters, the slash
    at the end. Empty for a home page and for what is no web address."""
    try:
        parts = urlsplit(url or "")
        host, port = (parts.hostname or "").removeprefix("www."), parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    kept = [pair for pair in parse_qsl(parts.query) if not pair[0].lower().startswith(_ADDED_ON_THE_WAY)]
    path = parts.path.rstrip("/")
    if not path and not kept:
        return ""
    place = host if port in (None, 80, 443) else f"{host}:{port}"
    return f"{place}{path}{'?' if kept else ''}{urlencode(kept)}"


def text_mark(text: str) -> str:
    """A hash of the words alone: white space and case do not make another text."""
    return hashlib.sha256("".join(text.casefold().split()).encode("utf-8", "replace")).hexdigest()


@lru_cache(maxsize=1_000)
def letters(text: str) -> str:
    """Letters and digits alone: space, case and the kind of quotes make no difference."""
    return "".join(filter(str.isalnum, text.casefold()))
