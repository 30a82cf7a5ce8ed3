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

    def outranks(self, other: SuppressionReason) -> bool:
        """True if this is the stronger reason: what consent can lift gives way to what it cannot."""
        return self.strength > other.strength

    @property
    def strength(self) -> int:
        """Its place among the reasons, the weakest first."""
        return _STRENGTH.index(self)


_STRENGTH = (
    SuppressionReason.ERASED,
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.HARD_BOUNCE,
    SuppressionReason.COMPLAINT,
    SuppressionReason.MANUAL,
)
