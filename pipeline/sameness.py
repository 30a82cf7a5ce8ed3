"""When two posts are the same one: by key, else by link, else by text. Feeds change their ids, blogs move
from a folder to a feed, and a reader must not get the same letter again. Decides; touches nothing.

A file is what its name says: against other files only its key counts, against what came from a feed its link
and text as well."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from pipeline.post import Post

_ADDED_ON_THE_WAY = ("utm_", "mc_", "fbclid", "gclid", "mtm_", "pk_")
"""Beginnings of the parameters that newsletters, feeds and advertisers hang on a link."""


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

    def has(self, post: Post) -> bool:
        """Whether an edition was made from this post."""
        if post.key in self.keys:
            return True
        links = self.feed_links if post.stable_key else self.links
        texts = self.feed_texts if post.stable_key else self.texts
        link = canonical_link(post.url)
        return (bool(link) and post.own_link and link in links) or text_mark(post.text) in texts

    def with_post(self, post: Post) -> Covered:
        return covered_by([(post.key, post.url, post.text)], before=self)


NOTHING_COVERED = Covered()


def covered_by(posts: Sequence[tuple[str, str | None, str]], *, before: Covered = NOTHING_COVERED) -> Covered:
    """`before` and these posts: key, link and text of each."""
    known = [(key, canonical_link(url), text_mark(text)) for key, url, text in posts]
    of_feeds = [(link, text) for key, link, text in known if is_of_feed(key)]
    return Covered(
        keys=before.keys | {key for key, _, _ in known},
        links=before.links | {link for _, link, _ in known if link},
        texts=before.texts | {text for _, _, text in known},
        feed_links=before.feed_links | {link for link, _ in of_feeds if link},
        feed_texts=before.feed_texts | {text for _, text in of_feeds},
    )


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
