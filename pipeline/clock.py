"""Time, handed in: the wall for what people see, the monotonic clock for how long things take."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, timezone-aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...

    def wait(self, seconds: float, stop: Event) -> bool:
        """Wait, or until `stop` is set; True when it was."""
        ...


class SystemClock:
    """The machine's clock, or one that started at another moment (`run --now`)."""

    def __init__(self, starts_at: datetime | None = None) -> None:
        self._shift = timedelta() if starts_at is None else starts_at - datetime.now(UTC)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._shift

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, stop: Event) -> bool:
        return stop.wait(max(0.0, seconds))
