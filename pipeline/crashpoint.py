"""Places where a process may be killed on purpose, to prove that a real death there does no harm.

In production this is one look into a dictionary. A test names a place, and which visit to it, in the
environment: `WEEKBRIEF_CRASH_AT=after intent:3` ends the process with SIGKILL at the third visit.
"""

from __future__ import annotations

import os
import signal
import threading

_visits = 0
_counting = threading.Lock()


def crashpoint(name: str) -> None:
    """Die here if the environment says so."""
    wanted = os.environ.get("WEEKBRIEF_CRASH_AT")
    if wanted is None:
        return
    place, _, visit = wanted.partition(":")
    if place == name and _visit_number() == int(visit or 1):
        os.kill(os.getpid(), signal.SIGKILL)


def _visit_number() -> int:
    global _visits
    with _counting:
        _visits += 1
        return _visits
