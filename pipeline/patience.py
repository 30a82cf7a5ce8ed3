"""How one sender waits, and when and why it stops."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from threading import Event
from typing import TypeVar

from pipeline.clock import Clock
from pipeline.store.engine import StorageTrouble

log = logging.getLogger("weekbrief.deliver")

Written = TypeVar("Written")


class StopReason(StrEnum):
    NONE = "none"
    HELD = "held"
    UNAVAILABLE = "unavailable"
    QUOTA = "quota"
    """As many as may go in a day have gone; the rest goes on tomorrow."""
    ASKED = "asked"
    """A signal or an operator asked us to stop."""


class Patience:
    """Shared by the threads of a sender. `seconds` is how long it goes on without any success; `asked` is set
    by a signal or an operator."""

    def __init__(self, seconds: float, *, clock: Clock, asked: Event) -> None:
        self._seconds = seconds
        self._clock = clock
        self._asked = asked
        self._stop = Event()
        self._bad_since: float | None = None
        self.reason = StopReason.NONE
        self.why = ""
        """Why it stopped; before that, what the provider last complained of."""

    def halt(self, reason: StopReason, why: str) -> None:
        """Stop all threads. The first reason stays."""
        self._stop.set()
        if self.reason is StopReason.NONE:
            self.reason, self.why = reason, why

    def break_off(self) -> None:
        """Stop all threads: one of them failed, and its error tells why."""
        self._stop.set()

    def over(self) -> bool:
        if self._asked.is_set():
            self.halt(StopReason.ASKED, "asked to stop")
        return self._stop.is_set()

    def succeeded(self) -> None:
        self._bad_since = None

    def failed(self) -> None:
        self._bad_since = self._bad_since or self._clock.monotonic()

    def until(self, moment: datetime | None, *, patiently: bool = False) -> bool:
        """True when the moment has come; False when we stop instead of waiting for it. `patiently`: a wait
        that our own pace asks for is no sign that the provider is away."""
        seconds = (moment - self._clock.now()).total_seconds() if moment else 0.0
        if seconds <= 0:
            return not self.over()
        waited = self._clock.monotonic() - self._bad_since if self._bad_since is not None else 0.0
        if not patiently and waited + seconds > self._seconds:
            self.halt(StopReason.UNAVAILABLE, self.why or f"nothing may leave before {moment:%H:%M:%S} UTC")
            return False
        self._clock.wait(seconds, self._asked)
        return not self.over()

    def when_free(self, write: Callable[[], Written]) -> Written:
        """Write, and again while another program keeps the database locked: each try waits by itself, and
        nothing was written by the one before."""
        ends = self._clock.monotonic() + self._seconds
        while True:
            try:
                return write()
            except StorageTrouble as trouble:
                if not trouble.locked or self.over() or self._clock.monotonic() > ends:
                    raise
                log.warning("%s", trouble)

    def insist(self, write: Callable[[], Written], *, pause: float, about: str) -> Written:
        """Write what must not be lost, whatever ails the database, every `pause` seconds; meanwhile nothing
        new is begun. `about` says what it is, for the log."""
        ends = self._clock.monotonic() + self._seconds
        while True:
            try:
                return write()
            except StorageTrouble as trouble:
                log.error("%s could not be stored: %s", about, trouble)
                self.halt(StopReason.UNAVAILABLE, str(trouble))
                if self._clock.monotonic() > ends or self._clock.wait(pause, self._asked):
                    raise
