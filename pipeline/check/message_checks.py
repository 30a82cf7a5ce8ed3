"""The message: its size, headers and parts. Rules: RFC 5322, RFC 2045, RFC 8058, mailbox providers' pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from emails.message import HeaderError, mailbox_problem, transfer_encoded
from pipeline.check.findings import Severity, check
from pipeline.check.sample import Sample

CLIPPED = 102_000
"""Bytes of HTML after which Gmail hides the rest, and the unsubscribe link with it."""
HTML_BYTES = 30 * 1024
MESSAGE_BYTES = 40_000
_ONCE = ("from", "to", "subject", "date", "message-id", "mime-version", "content-type")


@check("message-cannot-be-made", Severity.ERROR, "mend what the message names; nothing can be sent before")
def cannot_be_made(sample: Sample) -> Iterator[str]:
    if problem := _problem(sample):
        yield problem


@check("clipped-by-gmail", Severity.ERROR, "shorten the example: Gmail hides what is past it")
def clipped(sample: Sample) -> Iterator[str]:
    if (size := _html_size(sample)) >= CLIPPED:
        yield f"the HTML has {size} bytes; Gmail cuts at {CLIPPED}"


@check("html-size", Severity.WARNING, "shorten the example, or take what a template of yours repeats out")
def html_size(sample: Sample) -> Iterator[str]:
    if HTML_BYTES < (size := _html_size(sample)) < CLIPPED:
        yield f"the HTML has {size} bytes as sent; {HTML_BYTES} is plenty"


@check("message-size", Severity.WARNING, "shorten the example")
def message_size(sample: Sample) -> Iterator[str]:
    if not _problem(sample) and len(sample.raw) > MESSAGE_BYTES:
        yield f"the whole message has {len(sample.raw)} bytes; {MESSAGE_BYTES} is plenty"


@check("message-bytes", Severity.ERROR, "this is a fault in weekbrief: please report it")
def message_bytes(sample: Sample) -> Iterator[str]:
    if _problem(sample):
        return
    if not sample.raw.isascii() or b"\x00" in sample.raw:
        yield "the message holds bytes that mail servers may change"
    if re.search(rb"\r(?!\n)|(?<!\r)\n", sample.raw):
        yield "a line does not end in CRLF"
    if max(map(len, sample.raw.split(b"\r\n"))) > 998:
        yield "a line is longer than 998 bytes"


@check("message-defects", Severity.ERROR, "this is a fault in weekbrief: please report it")
def message_defects(sample: Sample) -> Iterator[str]:
    if _problem(sample):
        return
    parsed = sample.parsed
    parts = [part.get_content_type() for part in parsed.walk()]
    if parts != ["multipart/alternative", "text/plain", "text/html"]:
        yield f"the parts are {', '.join(parts)}, not text and then HTML"
    if parsed.defects or any(part.defects for part in parsed.walk()):
        yield "the message cannot be read back without complaint"


@check("headers-once", Severity.ERROR, "this is a fault in weekbrief: please report it")
def headers_once(sample: Sample) -> Iterator[str]:
    if _problem(sample):
        return
    names = [name.lower() for name in sample.parsed]
    for name in _ONCE:
        if names.count(name) != 1:
            yield f"the header {name} stands {names.count(name)} times"
    for name in sorted({name for name in names if names.count(name) > 1} - set(_ONCE)):
        yield f"the header {name} stands twice"


@check("one-click", Severity.ERROR, "set newsletter.url to the https address of your pages")
def one_click(sample: Sample) -> Iterator[str]:
    if _problem(sample) or sample.mailing.notice:
        return
    parsed = sample.parsed
    if not re.fullmatch(r"<https?://[!-~]+>", str(parsed["List-Unsubscribe"] or "")):
        yield "List-Unsubscribe is not one address in angle brackets"
    if parsed["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click":
        yield "List-Unsubscribe-Post does not offer one click"


@check("local-address", Severity.WARNING, "set newsletter.url to the https address where readers reach you")
def local_address(sample: Sample) -> Iterator[str]:
    url = sample.mailing.newsletter.url
    if url.startswith("http://"):
        yield f"links of the letter lead to {url}, which works on this machine only"


@check("sender", Severity.ERROR, "mend newsletter.sender or newsletter.reply_to")
def sender(sample: Sample) -> Iterator[str]:
    newsletter = sample.mailing.newsletter
    if problem := mailbox_problem(newsletter.sender, reply_to=newsletter.reply_to):
        yield f"the sender: {problem}"


@check("list-id", Severity.ERROR, "this is a fault in weekbrief: please report it")
def list_id(sample: Sample) -> Iterator[str]:
    if sample.mailing.notice or _problem(sample):
        return
    if not re.search(r"<[A-Za-z0-9.-]+>\Z", str(sample.parsed["List-ID"] or "")):
        yield "the List-ID has no identifier in angle brackets"


@check("spamassassin-spam", Severity.ERROR, "look up the named rules and reword what they point at")
def spamassassin_spam(sample: Sample) -> Iterator[str]:
    from pipeline.check.spamassassin import SPAM, verdict

    found = verdict(sample.raw) if sample.others and not _problem(sample) else None
    if found and found.score >= SPAM:
        yield f"SpamAssassin scores it {found.score:g}, which is spam: {', '.join(found.rules)}"


@check("spamassassin", Severity.WARNING, "look up the named rules and reword what they point at")
def spamassassin(sample: Sample) -> Iterator[str]:
    from pipeline.check.spamassassin import SPAM, SUSPECT, verdict

    found = verdict(sample.raw) if sample.others and not _problem(sample) else None
    if found and SUSPECT <= found.score < SPAM:
        yield f"SpamAssassin scores it {found.score:g}: {', '.join(found.rules)}"


def _problem(sample: Sample) -> str | None:
    try:
        return None if sample.raw else "it is empty"
    except (HeaderError, ValueError) as error:
        return str(error)


def _html_size(sample: Sample) -> int:
    return len(transfer_encoded(sample.html)[1])
