"""What we remember of a feed: every post it ever showed us, and how it was the last time.

A feed shows its newest ten or twenty posts. The copy takes in each one by its key and lets none go when it
drops off the feed's end, so that the back catalogue grows week by week. It is one file beside the database,
written whole or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pipeline.post import Block, BlockKind, Post
from pipeline.sources import SourceUnavailable

FORMAT: Final = 1
MOST_POSTS: Final = 10_000
MOST_TEXT: Final = 60_000_000
"""Characters of all posts together."""
RECENT: Final = timedelta(minutes=10)
"""A feed or page that was read is not asked again for so long, when a letter is due and none goes."""

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
    gone_since: datetime | None = None
    """When its page was first found missing, if it was missing ever since."""
    page_seen_at: datetime | None = None
    """When its page was last seen."""
    tried: bool = False
    """Its page was asked for the rest of the post, and did not give it."""


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
    damage: str = ""
    """Why the file could not be understood. It is set aside when a new one is written."""


def kept_file(folder: Path, url: str) -> Path:
    """Where the copy of the feed at `url` is kept, below weekbrief's own `folder`."""
    return folder / "feeds" / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"


def load(file: Path) -> Kept:
    """The copy in `file`; an empty one, with its `damage`, where there is none or it cannot be understood.

    Raises `SourceUnavailable` when the file is there and does not let itself be read: it may hold all that
    is left of old posts, and must not be written over.
    """
    try:
        return _understood(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Kept()
    except OSError as error:
        raise SourceUnavailable(f"the copy of a feed in {file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        damage = (
            f"the copy of a feed in {file} cannot be understood ({type(error).__name__}): "
            f"when it is made anew, this one is put aside as {_aside(file).name}"
        )
        log.warning("%s", damage)
        return Kept(damage=damage)


def save(file: Path, url: str, kept: Kept, *, before: Kept | None = None) -> None:
    """Write the copy; whoever reads sees the old one or the new one, and whoever else writes loses no post.

    `before` is the copy that `kept` was made from. A file that cannot be understood is renamed first.
    Raises OSError, and `SourceUnavailable` as `load` does.
    """
    with _locked(file):
        there = load(file)
        if there.damage:
            file.rename(_aside(file))
        _write(file, url, joined(there, kept, before=before))


def learn(file: Path, url: str, one: KeptPost) -> None:
    """Write what was found out of one post, if the feed has not said something else of it since.

    Raises as `save`.
    """
    with _locked(file):
        there = load(file)
        known = there.posts.get(one.post.key)
        if known is not None and known.fingerprint == one.fingerprint:
            new = replace(one, shown=known.shown)
            _write(file, url, replace(there, posts={**there.posts, one.post.key: new}))


def joined(there: Kept, ours: Kept, *, before: Kept | None) -> Kept:
    """Of a copy that another has written since `before` and ours: all posts of both, else the younger one's
    word; ours when the feed was not asked since."""
    unread = before is not None and (there.read_at, there.asked_at) == (before.read_at, before.asked_at)
    if unread or there.read_at is None or (ours.read_at is not None and ours.read_at >= there.read_at):
        old, new = there, ours
    else:
        old, new = ours, there
    left = {key: replace(one, shown=False) for key, one in old.posts.items() if key not in new.posts}
    return replace(new, posts=bounded({**left, **new.posts})) if left else new


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Alone with `file` among all who write it, of this process and others."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _aside(file: Path) -> Path:
    """Where a file that cannot be understood is put: beside its place, with its time."""
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return file.with_name(f"{file.name}.broken-{written:%Y%m%dT%H%M%SZ}")


def _write(file: Path, url: str, kept: Kept) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".feed-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as written:
            if file.exists():
                os.fchmod(written.fileno(), file.stat().st_mode & 0o777)
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
                "tried": one.tried,
                "gone_since": one.gone_since and one.gone_since.isoformat(),
                "page_seen_at": one.page_seen_at and one.page_seen_at.isoformat(),
            }
            for one in kept.posts.values()
        ],
    }


def _understood(raw: bytes) -> Kept:
    told = json.loads(raw)
    if told["format"] != FORMAT:
        raise ValueError(f"format {told['format']}")
    return _kept(told)


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
    gone_since, page_seen_at = (
        _instant(values.pop("gone_since", None)),
        _instant(values.pop("page_seen_at", None)),
    )
    own["tried"] = values.pop("tried", False)
    blocks = tuple(
        Block(kind=BlockKind(kind), start=start, end=end, level=level)
        for kind, start, end, level in values.pop("blocks")
    )
    published = datetime.fromisoformat(values.pop("published"))
    if published.tzinfo is None:
        raise ValueError("an instant without a zone")
    return KeptPost(
        post=Post(**values, blocks=blocks, published=published),
        gone_since=gone_since,
        page_seen_at=page_seen_at,
        **own,
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def failed(kept: Kept, problem: str, *, now: datetime) -> Kept:
    """The copy after a try that gave nothing."""
    return replace(kept, asked_at=now, problem=problem)


def recent(at: datetime | None, now: datetime) -> bool:
    """Whether something that was read `at` an instant, if ever, is not asked again by `now`."""
    return at is not None and timedelta(0) <= now - at < RECENT
