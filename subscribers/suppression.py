"""A standing reason not to mail an address. It outlives the subscriber and every import."""

from __future__ import annotations

from enum import StrEnum


class SuppressionReason(StrEnum):
    UNSUBSCRIBED = "unsubscribed"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    MANUAL = "manual"
    """Entered by the operator."""
    ERASED = "erased"
    """They asked to be forgotten; what is left is a keyed hash."""

    @property
    def lifted_by_consent(self) -> bool:
        """True if a new sign-up of their own, confirmed from their own mailbox, ends it."""
        return self in {SuppressionReason.UNSUBSCRIBED, SuppressionReason.ERASED}
