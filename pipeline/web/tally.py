"""What the service counts about itself since it started: numbers of answers, never of people."""

from __future__ import annotations

import re
from collections import Counter
from threading import Lock

from subscribers.limits import Held

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Tally:
    """Safe for threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._held: Counter[Held] = Counter()

    def answered(self, place: str, status: int) -> None:
        """`place` is a path as it may stand in a log. Days in it are left out: anyone can ask for many."""
        with self._lock:
            self._answers[_DAY.sub("…", place), f"{status // 100}xx"] += 1

    def held_back(self, why: Held) -> None:
        with self._lock:
            self._held[why] += 1

    def answers(self) -> dict[tuple[str, str], int]:
        """By place and class of status, `2xx`."""
        with self._lock:
            return dict(self._answers)

    def held(self) -> dict[Held, int]:
        """Sign-ups that were held back, by reason."""
        with self._lock:
            return {why: self._held[why] for why in Held}
