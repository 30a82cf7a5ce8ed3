"""What we remember of a feed: every post it ever showed us, and how it was the last time.

A feed shows its newest ten or twenty posts. The copy takes in each one by its key and lets none go when it
drops off the feed's end, so that the back catalogue grows week by week. It is one file beside the database,
written whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pipeline.post import Block, BlockKind, Post

FORMAT: Final = 1
MOST_POSTS: Final = 10_000
MOST_TEXT: Final = 60_000_000
"""Characters of all posts together."""

log = logging.getLogger("weekbrief.feed")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPost:
    """One post and what we know about it."""

    post: Post
    fingerprint: str
    """Of what the feed said; empty once it has to be read anew."""
    teaser: bool = False
    """The feed gives only its beginning: the whole stands on its page."""
    shown: bool = True
    """It stood in the feed the last time."""
    gone: bool = False
    """Its page is not there any more: it was taken back, and is not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The copy of one feed. All instants are UTC."""

    posts: Mapping[str, KeptPost] = field(default_factory=dict)
    read_at: datetime | None = None
    """When the feed was last read whole."""
    asked_at: datetime | None = None
    problem: str = ""
    """Why the last time failed; empty when it did not."""
    etag: str = ""
    last_modified: str = ""
    remarks: tuple[str, ...] = ()
    """Of the last time."""


def kept_file(folder: Path, url: str) -> Path:
    """Where the copy of the feed at `url` is kept, below weekbrief's own `folder`."""
    return folder / "feeds" / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"


def load(file: Path) -> Kept:
    """The copy in `file`; an empty one where there is none or it cannot be understood."""
    try:
        told = json.loads(file.read_bytes())
        if told["format"] != FORMAT:
            raise ValueError(f"format {told['format']}")
        return _kept(told)
    except FileNotFoundError:
        return Kept()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.warning(
            "the copy of a feed in %s cannot be read and is made anew (%s)", file, type(error).__name__
        )
        return Kept()


def save(file: Path, url: str, kept: Kept) -> None:
    """Write the copy; whoever reads sees the old one or the new one. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".feed-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as written:
            json.dump(_told(kept, url), written, ensure_ascii=False, separators=(",", ":"))
            written.flush()
            os.fsync(written.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def bounded(posts: Mapping[str, KeptPost]) -> dict[str, KeptPost]:
    """`posts` within the bounds: of those that the feed no longer shows the oldest go first."""
    text = sum(len(kept.post.text) for kept in posts.values())
    left = dict(posts)
    for key in sorted(posts, key=lambda key: (posts[key].shown, posts[key].post.published)):
        if len(left) <= MOST_POSTS and text <= MOST_TEXT:
            break
        text -= len(left.pop(key).post.text)
    return left


def _told(kept: Kept, url: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "url": url,
        "read_at": kept.read_at and kept.read_at.isoformat(),
        "asked_at": kept.asked_at and kept.asked_at.isoformat(),
        "problem": kept.problem,
        "etag": kept.etag,
        "last_modified": kept.last_modified,
        "remarks": kept.remarks,
        "posts": [
            {
                **{each.name: getattr(one.post, each.name) for each in fields(one.post)},
                "published": one.post.published.isoformat(),
                "blocks": [[b.kind.value, b.start, b.end, b.level] for b in one.post.blocks],
                "fingerprint": one.fingerprint,
                "teaser": one.teaser,
                "shown": one.shown,
                "gone": one.gone,
            }
            for one in kept.posts.values()
        ],
    }


def _kept(told: Mapping[str, Any]) -> Kept:
    posts = [_post(one) for one in told["posts"]]
    return Kept(
        posts={one.post.key: one for one in posts},
        read_at=_instant(told["read_at"]),
        asked_at=_instant(told["asked_at"]),
        problem=str(told["problem"]),
        etag=str(told["etag"]),
        last_modified=str(told["last_modified"]),
        remarks=tuple(map(str, told["remarks"])),
    )


def _post(told: Mapping[str, Any]) -> KeptPost:
    values = dict(told)
    own = {name: values.pop(name) for name in ("fingerprint", "teaser", "shown", "gone")}
    blocks = tuple(
        Block(kind=BlockKind(kind), start=start, end=end, level=level)
        for kind, start, end, level in values.pop("blocks")
    )
    published = datetime.fromisoformat(values.pop("published"))
    if published.tzinfo is None:
        raise ValueError("an instant without a zone")
    return KeptPost(post=Post(**values, blocks=blocks, published=published), **own)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def failed(kept: Kept, problem: str, *, now: datetime) -> Kept:
    """The copy after a try that gave nothing."""
    return replace(kept, asked_at=now, problem=problem)
