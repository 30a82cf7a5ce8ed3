"""Which post goes next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from pipeline.post import Post
from pipeline.sameness import Covered
from pipeline.settings import Pick


def pick(posts: Iterable[Post], *, covered: Covered, now: datetime, rule: Pick) -> list[Post]:
    """The published posts that no edition has covered, the next one first. A post of a feed is known by its
    id, its link and its text, so that a new id does not bring it back.

    The second and later ones matter when the first has no question or no example. `shuffle` is an order
    of its own that never changes: by a hash of the post's key, so that a plan stays true.
    """
    waiting = [post for post in posts if post.published <= now and not covered.has(post)]
    match rule:
        case Pick.OLDEST:
            return sorted(waiting, key=lambda post: (post.published, post.key))
        case Pick.NEWEST:
            return sorted(waiting, key=lambda post: (post.published, post.key), reverse=True)
        case Pick.SHUFFLE:
            return sorted(waiting, key=lambda post: hashlib.sha256(post.key.encode()).digest())
