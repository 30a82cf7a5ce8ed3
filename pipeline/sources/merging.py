"""From what a feed says and the old copy of it to the new copy: which posts are new, which are known.
Touches nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from pipeline.post import Post
from pipeline.sameness import FEW_LETTERS, GOES_ON, canonical_link, letters, text_mark
from pipeline.sources.entries import dates, is_teaser, post_of
from pipeline.sources.feed_format import Entry
from pipeline.sources.kept import KeptPost

_TELLING = 200
"""Characters; fewer could be anybody's."""
_LONGEST_KEY = 300
_SAME_TIME = timedelta(hours=12)


def merged(
    kept: Mapping[str, KeptPost], entries: Sequence[Entry], *, feed: str, now: datetime, language: str
) -> tuple[dict[str, KeptPost], tuple[str, ...]]:
    """The copy after the feed said `entries`, and remarks for the editor. A post that is known by another id
    keeps its first key; one that is no longer shown stays."""
    posts = {key: replace(one, shown=False) for key, one in kept.items()}
    found = _keys(entries, feed, kept)
    keys = set(found)
    links = _known_links(kept, entries, keys)
    texts = {_mark(one.post, teaser=one.teaser): key for key, one in kept.items() if key not in keys}
    titles = _known_titles(kept, entries, keys)
    here: set[str] = set()
    remarks: list[str] = []
    for entry, key, published in zip(entries, found, dates(entries, now), strict=True):
        if not key:
            continue
        old = posts.get(key) or posts.get(links.get(_place(entry.link), ""))
        if old is not None and old.fingerprint == entry.fingerprint:
            posts[old.post.key] = replace(old, shown=True, gone=False, gone_since=None)
            here.add(_mark(old.post, teaser=old.teaser))
            continue
        post = post_of(entry, key=key, published=published, language=language, remarks=remarks)
        if post is None:
            continue
        one = KeptPost(post=post, fingerprint=entry.fingerprint, teaser=is_teaser(entry, post))
        mark = _mark(post, teaser=one.teaser)
        if mark in here:
            continue
        here.add(mark)
        old = old or posts.get(texts.get(mark, ""))
        begun = posts.get(titles.get(letters(post.title), "")) if entry.published else None
        if old is None and begun is not None and _begins(one, begun):
            # The feed gives less of it now: what is known of its text stays.
            old, one = begun, replace(one, post=replace(begun.post, url=post.url), teaser=begun.teaser)
        if old is not None:
            when = post.published if entry.published else old.post.published
            one = replace(one, post=replace(one.post, key=old.post.key, published=when))
        posts[one.post.key] = one
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


def _known_titles(kept: Mapping[str, KeptPost], entries: Sequence[Entry], keys: set[str]) -> dict[str, str]:
    """Keys of remembered posts by the letters of their title, where a title stands for one post: there, here,
    and by another id. The posts of a series have one title."""
    there = Counter(letters(one.post.title) for one in kept.values())
    here = Counter(letters(entry.title) for entry in entries)
    titles = ((letters(one.post.title), key) for key, one in kept.items() if key not in keys)
    return {title: key for title, key in titles if title and there[title] == 1 and here[title] <= 1}


def _begins(one: KeptPost, old: KeptPost) -> bool:
    """Whether `one` is the beginning of `old`, which has its title, and is of the same time.

    The time must be the same because the posts of a series may have one title and one opening; half a day is
    for a blog that moved and lost the zone of its times.
    """
    beginning = letters(GOES_ON.sub("", one.post.text))
    same_time = abs(old.post.published - one.post.published) <= _SAME_TIME
    return one.teaser and same_time and len(beginning) >= FEW_LETTERS and beginning in letters(old.post.text)


def _mark(post: Post, *, teaser: bool) -> str:
    """By which a post is known when its id and link are new. A few words alone could be anybody's; and so
    could a mere beginning, which may be that of a whole series."""
    if teaser:
        return text_mark(f"{post.text}\n{post.title}\n{post.published.isoformat()}")
    return text_mark(post.text if len(post.text) >= _TELLING else f"{post.text}\n{post.url}")
