"""Evidence of consent: what was shown, where and when. Kept as written, never changed afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ConsentKind(StrEnum):
    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"
    RESUBSCRIBED = "resubscribed"
    IMPORTED = "imported"
    """Confirmed elsewhere; `source` says where and when."""
    ADDED = "added"
    """By the operator, at the person's own request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """One thing a person agreed to or withdrew (AVG/GDPR 7(1): we must be able to show it)."""

    kind: ConsentKind
    wording: str
    """The exact sentence they saw."""
    source: str
    """How it reached us: `page`, `one-click`, `command`, `import: old list, 2024-05-01`."""
    page: str
    """Address of the page it was given on, without any token; empty if there was none."""
    language: str
    occurred_at: datetime
