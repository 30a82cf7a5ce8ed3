"""What the checks look at: the letter as one reader would get it, taken apart once."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cached_property
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser, LexborNode

from emails.delivery import Recipient
from emails.edition import Mailing
from emails.merge import split
from emails.message import build_message

if TYPE_CHECKING:
    from pipeline.check.online import PageAnswer

READER = "lezer@voorbeeld.example"
_TOKEN = "MTIzNDU2Nzg5MC4xMjM0NQ.k3v9Qm2x7Rr1cT0yHnB5wLq8"  # noqa: S105  # a sample, as long as real ones get


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A letter before it is sent, with what it was made of."""

    mailing: Mailing
    question: str
    example: str
    post_title: str
    post_url: str | None = None
    findings: tuple[str, ...] = ()
    """What the condenser wants an editor to look at."""
    online: bool = False
    """May links be asked for?"""
    others: bool = True
    """Ask other programs, such as SpamAssassin, if they are installed."""

    @property
    def unsubscribe_url(self) -> str:
        """The sample reader's own link."""
        return f"{self.mailing.newsletter.url}/u/{_TOKEN}"

    @cached_property
    def raw(self) -> bytes:
        """The message as it would leave. Raises `emails.message.HeaderError`."""
        domain = self.mailing.newsletter.sender.address.rpartition("@")[2]
        reader = Recipient(
            delivery_id="sample",
            address=READER,
            name="",
            unsubscribe_url=self.unsubscribe_url,
            message_id=f"<sample.{self.mailing.edition}@{domain}>",
        )
        return build_message(self.mailing, reader, date=datetime(2026, 1, 1, tzinfo=UTC))

    @cached_property
    def parsed(self) -> EmailMessage:
        """`raw` as a mail program reads it."""
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @cached_property
    def html(self) -> str:
        values = {"unsubscribe": self.unsubscribe_url}
        return split(self.mailing.letter).html.fill(values)

    @cached_property
    def text(self) -> str:
        values = {"unsubscribe": self.unsubscribe_url}
        return split(self.mailing.letter).text.fill(values)

    @property
    def subject(self) -> str:
        return self.mailing.letter.subject

    @cached_property
    def tree(self) -> LexborHTMLParser:
        return LexborHTMLParser(self.html)

    @cached_property
    def preheader(self) -> str:
        """The hidden first line."""
        node = self.tree.css_first(".preheader")
        return " ".join(node.text().split()) if node is not None else ""

    @cached_property
    def links(self) -> tuple[tuple[str, str], ...]:
        """(text, address) of each link of the HTML."""
        return tuple(
            (" ".join(a.text().split()), a.attributes.get("href") or "") for a in self.tree.css("a[href]")
        )

    @cached_property
    def pages(self) -> dict[str, PageAnswer]:
        """What each linked page answers, by address; nobody is asked unless `online`."""
        if not self.online:
            return {}
        from pipeline.check.online import page_answer

        urls = {url for _, url in self.links if url.startswith("http") and "/u/" not in url}
        return {url: page_answer(url, internal=self.mailing.newsletter.url) for url in sorted(urls)}

    @cached_property
    def visible(self) -> str:
        """The words a reader sees in the HTML."""
        return " ".join(" ".join(node.text(deep=False).split()) for node in self.texts())

    @cached_property
    def css(self) -> str:
        """The style sheets that mail programs are given, without those for Word."""
        bare = re.sub(r"<!--.*?-->", "", self.html, flags=re.DOTALL)
        return "\n".join(re.findall(r"<style[^>]*>(.*?)</style>", bare, flags=re.DOTALL))

    def texts(self) -> Iterator[LexborNode]:
        """Each text node of the body that shows."""
        body = self.tree.body
        assert body is not None, "a parser of HTML always makes a body"
        for node in body.traverse(include_text=True):
            if node.tag == "-text" and (node.text_content or "").strip() and not _hidden(node):
                yield node

    def elements(self) -> Iterator[LexborNode]:
        """Each element of the body."""
        body = self.tree.body
        assert body is not None, "a parser of HTML always makes a body"
        yield from body.traverse(include_text=False)


def sample_of(
    mailing: Mailing,
    *,
    question: str,
    example: str,
    post_title: str,
    post_url: str | None = None,
    findings: tuple[str, ...] = (),
    online: bool = False,
) -> Sample:
    """A sample of an edition's mailing."""
    return Sample(
        mailing=mailing,
        question=question,
        example=example,
        post_title=post_title,
        post_url=post_url,
        findings=findings,
        online=online,
    )


def style_of(node: LexborNode) -> dict[str, str]:
    """The declarations of an element's style attribute."""
    style = node.attributes.get("style") or ""
    pairs = (part.split(":", 1) for part in style.split(";") if ":" in part)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def classes_of(node: LexborNode) -> list[str]:
    return (node.attributes.get("class") or "").split()


def _hidden(node: LexborNode) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.tag in {"style", "script", "title"} or style_of(parent).get("display") == "none":
            return True
        parent = parent.parent
    return False
