"""When two posts are the same one: by key, else by link, else by text. Feeds change their ids, blogs move
from a folder to a feed, and a reader must not get the same letter again. Decides; touches nothing.

A file is what its name says: of a folder's posts only the key counts."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
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

    def has(self, post: Post, *, vague: frozenset[str] = frozenset()) -> bool:
        """Whether an edition was made from this post. `vague` links say nothing about that."""
        if post.stable_key or post.key in self.keys:
            return post.key in self.keys
        link = canonical_link(post.url)
        by_link = bool(link) and link not in vague and link in self.links
        return by_link or text_mark(post.text) in self.texts

    def with_post(self, post: Post) -> Covered:
        return Covered(
            keys=self.keys | {post.key},
            links=self.links | set(filter(None, [canonical_link(post.url)])),
            texts=self.texts | {text_mark(post.text)},
        )


NOTHING_COVERED = Covered()


def vague_links(posts: Iterable[Post]) -> frozenset[str]:
    """Links that stand at more than one text, such as a home page or the subject of a link blog: they do not
    tell one post from another."""
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
