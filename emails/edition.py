"""The letter of one week, before and after rendering. Values only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A name and an address, as in a From or To header."""

    address: str
    name: str = ""


COLOUR_ROLES = ("page", "card", "band", "mark", "ink", "soft", "accent", "over", "line")
"""What a colour of `schedule.yaml` may be for. Not every design has every role: `over` is text on `band`."""
FONT_ROLES = ("text", "heading")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logo:
    """A picture at the foot of the letter, shown at `width` by `height` pixels."""

    url: str
    width: int
    height: int
    alt: str = ""
    """Empty: the newsletter's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newsletter:
    """Who sends this: the same in every letter."""

    name: str
    sender: Mailbox
    language: str
    address: str
    """Postal address for the footer."""
    url: str
    """Base of every link we make; no trailing slash."""
    reply_to: Mailbox | None = None
    design: str = "quiet"
    sign_off: str = ""
    """The editor's own greeting, in lines; empty: the catalogue's, then the sender's name."""
    every: str = "week"
    """How often a letter goes out: `week`, `2 weeks` or `month`. The confirm letter says it."""
    colours: tuple[tuple[str, str, str], ...] = ()
    """The operator's own: role, colour in light, colour in dark (six-digit hex)."""
    fonts: tuple[tuple[str, str], ...] = ()
    """The operator's own: role, font stack that ends in a generic family."""
    logo: Logo | None = None
    address_form: str = "je"
    """How Dutch letters address a reader: `je` or `u`."""
    archive: bool = False
    """Letters that went out can be read at `url`/archive."""

    def __post_init__(self) -> None:
        """JSON, in which an edition is kept, knows no tuples: what was read back is made the same again."""
        object.__setattr__(self, "colours", tuple((role, light, dark) for role, light, dark in self.colours))
        object.__setattr__(self, "fonts", tuple((role, stack) for role, stack in self.fonts))
        logo: object = self.logo
        if isinstance(logo, dict):
            object.__setattr__(self, "logo", Logo(**logo))


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterContent:
    """Everything an edition says, the same for all its recipients."""

    newsletter: Newsletter
    edition: str
    """Local date of the slot, `2026-11-29`."""
    date: date
    language: str
    subject: str
    preheader: str
    question: str
    example: str
    post_title: str
    post_url: str | None = None
    reading_minutes: int = 1
    lead: str = ""
    post_language: str = ""
    """Language of question and example where it is not `language`; empty: the same."""
    browser_url: str | None = None
    """The same letter as a web page, with no token in it; None: there is no such page."""
    preferences: str = ""
    """What to put behind a recipient's unsubscribe link to come to their preferences; empty: no such page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One rendered letter: CSS inlined, with merge fields where recipients differ.

    A merge field is one of `MERGE_FIELDS`, standing literally in `html` and `text`.
    """

    subject: str
    html: str
    text: str
    language: str

    def to_json(self) -> str:
        """The letter as stored with its edition."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Letter:
        return cls(**json.loads(text))


UNSUBSCRIBE_URL = "WBMERGE-unsubscribe-url-WBEND"
MERGE_FIELDS = (UNSUBSCRIBE_URL,)
MERGE_NAMES = {"unsubscribe": UNSUBSCRIBE_URL}
"""The name that `Merge.fill` takes for each merge field."""
MERGE_MARK = "WBMERGE"
"""How every merge field begins. No text of a post may hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    """What every message of an edition shares on its way to a provider."""

    installation: str
    edition: str
    newsletter: Newsletter
    letter: Letter
    list_id: str
    """Value of the List-ID header (RFC 2919), e.g. `Weekbrief <weekbrief.example.org>`."""
    feedback_id: str = ""
    notice: bool = False
    """A letter that answers what one person did (confirm your address): no List-* headers, and it says that
    a program wrote it (RFC 3834)."""
    tags: dict[str, str] = field(default_factory=dict)
