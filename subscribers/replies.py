"""What a visitor is answered, as values: the page, and what is still to be done for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from subscribers.asking import Ask
from subscribers.limits import Held
from subscribers.notices import Notice


class PageName(StrEnum):
    """One template each, in `emails/templates/pages`."""

    JOIN = "join"
    ASKED = "asked"
    CONFIRM = "confirm"
    CONFIRMED = "confirmed"
    LEAVE = "leave"
    LEFT = "left"
    BACK = "back"
    OVER = "over"
    PREFERENCES = "preferences"
    LINK = "link"
    OWN = "own"
    MOVE_ASKED = "move_asked"
    MOVE = "move"
    MOVED = "moved"
    ERASE = "erase"
    ERASED = "erased"
    EXPIRED = "expired"
    PRIVACY = "privacy"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the visitor sees, and what is still to be done for them."""

    page: PageName
    language: str
    status: int = 200
    values: Mapping[str, object] = field(default_factory=dict)
    ask: Ask | None = None
    """A confirmation message to send. The page is the same with or without it."""
    notice: Notice | None = None
    """A letter that follows from what they did."""
    held: Held | None = None
    """Why a sign-up was held back: for the operator, never for the visitor."""

    @property
    def findable(self) -> bool:
        """May search engines list this page?"""
        return self.page in {PageName.JOIN, PageName.PRIVACY}
