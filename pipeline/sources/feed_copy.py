"""The copy of one feed while it is worked with: in memory, and on the disk unless it is a mere look."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Final

from pipeline.sources import SourceUnavailable
from pipeline.sources.kept import Kept, KeptPost, learn, load, save

LOOKED_FOR: Final = 60.0
"""Seconds for which a look that keeps nothing is not repeated: the editor's desk looks at each keystroke."""

log = logging.getLogger("weekbrief.feed")

_looks: dict[Path, tuple[float, Kept]] = {}
_looking = Lock()


class FeedCopy:
    """What is remembered of the feed at `url`, in `file`. With `writes` false nothing is written: what was
    found is shared for a while by all who look in this process."""

    def __init__(self, file: Path, url: str, *, writes: bool) -> None:
        self._file = file
        self._url = url
        self._writes = writes
        self._before = Kept()
        self.now = Kept()
        """As it is by now, with all that was found out since it was loaded."""

    def load(self) -> Kept:
        """Read it from the disk. Raises `SourceUnavailable` when it is there and cannot be read."""
        self.now = self._before = load(self._file)
        return self.now

    def look(self, ask: Callable[[Kept], Kept]) -> None:
        """Take what a look found at most `LOOKED_FOR` ago, else `ask` for what is new since the copy."""
        with _looking:
            at, kept = _looks.get(self._file, (0.0, Kept()))
            if not at or time.monotonic() - at > LOOKED_FOR:
                kept = ask(self.now)
                _looks[self._file] = (time.monotonic(), kept)
        self.now = kept

    def keep(self, kept: Kept) -> None:
        """Take this for the copy, and write it."""
        self.now = kept
        self._write(lambda: save(self._file, self._url, kept, before=self._before))

    def know(self, one: KeptPost) -> None:
        """Take in what was found out of one post, and write it."""
        self.now = replace(self.now, posts={**self.now.posts, one.post.key: one})
        self._write(lambda: learn(self._file, self._url, one))

    def _write(self, write: Callable[[], None]) -> None:
        if not self._writes:
            with _looking:
                _looks[self._file] = (time.monotonic(), self.now)
            return
        try:
            write()
        except (OSError, SourceUnavailable) as error:
            # The letter can go without it: which posts were sent stands in the database.
            why = error.strerror if isinstance(error, OSError) else error
            log.error("the copy of a feed cannot be written to %s: %s", self._file, why)
