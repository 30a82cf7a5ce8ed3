"""A post as we keep it, and the brief that condensing it gives. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class BlockKind(StrEnum):
    """What a stretch of a post is, as far as a letter is concerned."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    QUOTE = "quote"
    CODE = "code"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One heading, paragraph, list item … as a span of `Post.text`.

    `start` and `end` count characters (Python string indices); `level` is a heading's rank (1-6) or a
    list item's depth (0 = outermost).
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One published article. `text` is the normalised text that every citation is a span of."""

    key: str
    """Stable name within its source, e.g. the file's path below the folder. Never shown to a reader."""
    title: str
    language: str
    """Two-letter code (ISO 639-1)."""
    published: datetime
    """Timezone-aware, UTC."""
    text: str
    blocks: tuple[Block, ...]
    url: str | None = None
    question: str | None = None
    """The editor's own choice, from the post's front matter."""
    example: str | None = None
    lead: str = ""
    """The post's summary: front matter `description`, `summary` or `excerpt`, else its first paragraph."""
    stable_key: bool = True
    """False where a source may give the post another key one day: then its link and text count as well."""
    own_link: bool = True
    """False where other posts of the same source have this link: then it does not tell one from another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A span of a post, or words the editor wrote (`editor_written`, then the span is empty)."""

    text: str
    start: int
    end: int
    section: str = ""
    score: float = 0.0
    reasons: tuple[str, ...] = ()
    editor_written: bool = False
    kind: str = ""
    """`question` or `example`; says what a candidate was weighed as."""


class NotVerbatim(ValueError):
    """A quote does not stand in the post where it says it does."""


def checked_quote(
    post: Post, start: int, end: int, kind: str, section: str, score: float, reasons: tuple[str, ...]
) -> Quote:
    """The quote of `post.text[start:end]`. Raises NotVerbatim when there is no such span or it is blank."""
    text = post.text[start:end]
    if not 0 <= start < end <= len(post.text) or not text.strip():
        raise NotVerbatim(f"there is no {kind} at {start}-{end} of “{post.title}”")
    return Quote(text=text, start=start, end=end, section=section, score=score, reasons=reasons, kind=kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """The gate: exactly one question and one example, each the cited span of the stored post.

    Raises `NotVerbatim` when built with anything else.
    """

    post: Post
    question: Quote
    example: Quote

    def __post_init__(self) -> None:
        for name, quote in (("question", self.question), ("example", self.example)):
            if not isinstance(quote, Quote):
                raise NotVerbatim(f"the {name} of “{self.post.title}” is not one quote")
            if not quote.text.strip():
                raise NotVerbatim(f"the {name} of “{self.post.title}” is empty")
            if quote.editor_written:
                continue
            inside = 0 <= quote.start < quote.end <= len(self.post.text)
            if not inside or self.post.text[quote.start : quote.end] != quote.text:
                raise NotVerbatim(f"the {name} of “{self.post.title}” is not the span it cites")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condensed:
    """What condensing gives: a question or an honest reason for none, and the same for the example."""

    post: Post
    question: Quote | None
    example: Quote | None
    no_question: str | None = None
    """Why there is no question, in plain words; None when there is one."""
    no_example: str | None = None
    findings: tuple[str, ...] = ()
    candidates: tuple[Quote, ...] = field(default=())

    def brief(self) -> Brief | None:
        """The brief, or None when either half is missing."""
        if self.question is None or self.example is None:
            return None
        return Brief(post=self.post, question=self.question, example=self.example)
