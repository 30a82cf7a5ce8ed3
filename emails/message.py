"""The finished MIME message for one recipient, and its headers for providers that build it themselves.

Written out by hand rather than by the `email` package, whose generators fold List-Unsubscribe into encoded
words (cpython #85725), damage long mixed-script subjects and make encoded words of 76 characters (cpython
#78206). Every byte is decided here: RFC 5322 (headers), RFC 2047 (encoded words), RFC 2045/2046 (parts),
RFC 8058 (one-click).
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from base64 import encodebytes
from collections.abc import Iterable, Sequence
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache

import idna

from emails.delivery import Recipient
from emails.edition import Letter, Mailbox, Mailing, Newsletter
from emails.graphemes import length
from emails.merge import safe, split

NAME_LENGTH = 60
"""Longest display name, in characters."""
SUBJECT_LENGTH = 70
"""Longest subject, in characters a reader sees; phones show 35 to 45 of them."""
_HEADER_LINE = 998
_FOLDED_LINE = 78
_ENCODED_WORD = 75
_LIST_ID_BYTES = 255
_SPECIAL = re.compile(r"[\s<>,;\"()\\\x00-\x1f\x7f]").search
_PLAIN_ADDRESSES = re.compile(r"(?:[!#-'*+\--9=?A-Z^-~]++@[!#-'*+\--9=?A-Z^-~]++\n)*+").fullmatch
"""A dot-atom's characters around one @ (RFC 5322 3.2.3), an address a line."""
_BOUNDARY = "=_weekbrief_part_=_"
"""May be the same in every message: `=_` cannot occur in quoted-printable, nor `_` in base64."""


class HeaderError(ValueError):
    """A header cannot be made of this value; the message names the header and the mend."""


def build_message(mailing: Mailing, recipient: Recipient, *, date: datetime | None) -> bytes:
    """The letter of `mailing` for one recipient, as complete RFC 5322 bytes with CRLF line ends.

    `date` is when it is sent, timezone-aware; None leaves the Date header out, for a provider that adds its
    own. A name that no header can hold is left out: the letter reaches its reader without it. Pure: the same
    values give the same bytes. Raises `HeaderError`.
    """
    newsletter, parts = mailing.newsletter, split(mailing.letter)
    values = {"unsubscribe": recipient.unsubscribe_url}
    name = "" if header_problem(recipient.name) else recipient.name
    to = Mailbox(address=recipient.address, name=name)
    return _message(
        [
            *_envelope(newsletter, mailing.letter, to, recipient.message_id, date),
            *list_headers(mailing, recipient).items(),
        ],
        html=parts.html.fill(values),
        text=parts.text.fill(values),
    )


def list_headers(mailing: Mailing, recipient: Recipient) -> dict[str, str]:
    """The headers beside From, To, Subject and the like that a provider must be told: those of the edition
    and the recipient's own unsubscribe link. Values go verbatim on one line each. Raises `HeaderError`.
    """
    return {**edition_headers(mailing), **own_headers(mailing, recipient)}


def own_headers(mailing: Mailing, recipient: Recipient) -> dict[str, str]:
    """The headers that differ per recipient; a notice has none. Raises `HeaderError`."""
    return {} if mailing.notice else unsubscribe_headers(recipient.unsubscribe_url)


def unsubscribe_headers(url: str) -> dict[str, str]:
    """List-Unsubscribe and List-Unsubscribe-Post for a recipient's own link (RFC 8058, section 3.1).

    Raises `HeaderError` for an address that is not https (http on this machine) or too long for a line, and
    `emails.merge.UnsafeMergeValue` for one that is not plain ASCII.
    """
    if not re.match(r"https://|http://(localhost|127\.[0-9.]+)[:/]", safe(url)):
        raise HeaderError("List-Unsubscribe: one-click works for https addresses only; mend newsletter.url")
    return {
        "List-Unsubscribe": _one_line("List-Unsubscribe", f"<{url}>"),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def edition_headers(mailing: Mailing) -> dict[str, str]:
    """Headers that every message of a mailing shares: Content-Language, and List-ID and Feedback-ID, or for a
    notice Auto-Submitted.

    Raises `HeaderError`.
    """
    if mailing.notice:
        return {"Content-Language": mailing.letter.language, "Auto-Submitted": "auto-generated"}
    headers = {"Content-Language": mailing.letter.language, "List-ID": _list_id(mailing.list_id)}
    if mailing.feedback_id:
        headers["Feedback-ID"] = _one_line("Feedback-ID", mailing.feedback_id)
    return headers


def feedback_id(*, edition: str, language: str, label: str, sender: str) -> str:
    """A Feedback-ID value, `edition:language:list:sender`: what Gmail groups its complaint reports by.

    Nothing in it may tell one recipient from another.
    """
    return ":".join(
        re.sub(r"[^A-Za-z0-9._-]+", "-", part) or "-" for part in (edition, language, label, sender)
    )


def mailbox_header(name: str, mailbox: Mailbox) -> str:
    """`mailbox` as the value of header `name` (From, To, Reply-To): RFC 5322 with RFC 2047 names, folded by
    CRLF.

    Raises `HeaderError`.
    """
    address = ascii_address(mailbox.address)
    if not mailbox.name:
        return address
    _refuse(name, mailbox.name)
    phrase = _phrase(name, mailbox.name)
    last_line = f"{name}: {phrase}".rsplit("\r\n", 1)[-1]
    fold = "\r\n " if len(last_line) + len(address) + 3 > _FOLDED_LINE else " "
    return f"{phrase}{fold}<{address}>"


def subject_header(subject: str) -> str:
    """`subject` as a header value: plain where it can be, else encoded words, folded by CRLF (RFC 2047).

    Raises `HeaderError`.
    """
    _refuse("Subject", subject)
    if _plain(subject) and len(f"Subject: {subject}") <= _FOLDED_LINE:
        return subject
    return _encoded("Subject", subject)


def ascii_address(address: str) -> str:
    """`address` with an international domain in punycode (RFC 5891).

    Raises `HeaderError` for what is no address, and for a local part that only SMTPUTF8 could carry.
    """
    local, at, domain = address.rpartition("@")
    if header_problem(address) or not at or not local or not domain or "@" in local or _SPECIAL(address):
        raise HeaderError(f"{address!r} is not an e-mail address")
    if not local.isascii():
        raise HeaderError(
            f"{address!r}: the part before @ must be ASCII, most mail servers take nothing else"
        )
    try:
        return f"{local}@{domain if domain.isascii() else idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError as error:
        raise HeaderError(f"{address!r}: the part after @ is no domain: {error}") from error


def unwritable(addresses: Sequence[str], *, ascii_only: bool) -> list[int]:
    """The places in `addresses` of those that no message can be written to.

    Whoever writes to the database beside us may leave such in it. `ascii_only`: neither can one whose local
    part is beyond ASCII, for want of SMTPUTF8 (RFC 6531). All at once, as nearly every list has none.
    """
    text = "\n".join([*addresses, ""])
    one_each = text.count("\n") == len(addresses)
    if one_each and "=?" not in text and _PLAIN_ADDRESSES(text):
        return []
    return [place for place, address in enumerate(addresses) if not _writable(address, ascii_only)]


def _writable(address: str, ascii_only: bool) -> bool:
    local, at, domain = address.rpartition("@")
    plain_local = local if local.isascii() or ascii_only else "x"
    try:
        ascii_address(f"{plain_local}{at}{domain}")
    except HeaderError:
        return False
    return header_problem(local) is None and not _SPECIAL(local) and "@" not in local


# What configuration asks --------------------------------------------------------------------------


def header_problem(value: str) -> str | None:
    """Why `value` must not become (part of) a header, or None. To be asked when it is entered."""
    for char in value:
        if char in "\r\n\x00":
            return "it holds a line break or NUL, which would end the header: write it on one line"
        if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}:
            return f"it holds the invisible control character U+{ord(char):04X}: take it out"
    if "=?" in value:
        return "it holds =?, which mail programs take for encoded text: leave that out"
    return None


def mailbox_problem(mailbox: Mailbox, *, reply_to: Mailbox | None = None) -> str | None:
    """Why `mailbox` must not be a sender, or None. A no-reply address needs a `reply_to` that people read."""
    problem = name_problem(mailbox.name)
    if problem:
        return problem
    try:
        ascii_address(mailbox.address)
    except HeaderError as error:
        return str(error)
    answers = reply_to or mailbox
    if _NO_REPLY.search(answers.address.rpartition("@")[0]):
        return f"{answers.address} does not take answers: use an address that is read, or set reply_to to one"
    return None


def name_problem(name: str) -> str | None:
    """Why `name` must not be a sender's display name, or None."""
    problem = header_problem(name)
    if problem:
        return problem
    if length(name) > NAME_LENGTH:
        return f"it has {length(name)} characters: use at most {NAME_LENGTH}"
    if _REPLY_MARK.match(name):
        return (
            "it begins like an answer (Re:, Fwd:), which mailbox providers take for deception: take that off"
        )
    if any(unicodedata.category(char) == "So" for char in name):
        return "it holds an emoji, which mailbox providers count against a sender: use letters"
    return None


def subject_problem(subject: str) -> str | None:
    """Why `subject` must not be sent, or None."""
    problem = header_problem(subject)
    if problem:
        return problem
    if not subject.strip() or subject != subject.strip():
        return "it is empty or begins or ends with a space"
    if _REPLY_MARK.match(subject):
        return "it begins like an answer (Re:, Fwd:, Antw:), which deceives: take that off"
    if length(subject) > SUBJECT_LENGTH:
        return f"it has {length(subject)} characters: use at most {SUBJECT_LENGTH}"
    if len([char for char in subject if char.isalpha()]) > 3 and subject.isupper():
        return "it is all capitals: use normal case"
    return None


_NO_REPLY = re.compile(r"no[-_.]?reply|do[-_.]?not[-_.]?reply|geen[-_.]?antwoord", re.IGNORECASE)
_REPLY_MARK = re.compile(r"\s*(re|fwd?|antw|aw|wg|tr|rv)\s*:", re.IGNORECASE)


# Headers ------------------------------------------------------------------------------------------


def _envelope(
    newsletter: Newsletter, letter: Letter, to: Mailbox, message_id: str, date: datetime | None
) -> Iterable[tuple[str, str]]:
    yield "From", mailbox_header("From", newsletter.sender)
    yield "To", mailbox_header("To", to)
    if newsletter.reply_to:
        yield "Reply-To", mailbox_header("Reply-To", newsletter.reply_to)
    yield "Subject", subject_header(letter.subject)
    if date:
        yield "Date", _date(date)
    yield "Message-ID", _message_id(message_id, newsletter.sender)


def _date(date: datetime) -> str:
    if date.tzinfo is None:
        raise HeaderError("Date: the time needs a time zone")
    return format_datetime(date)


def _message_id(message_id: str, sender: Mailbox) -> str:
    """RFC 5322 3.6.4; a domain other than the sender's looks forged to filters."""
    if not re.fullmatch(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+>", message_id):
        raise HeaderError(f"Message-ID: {message_id!r} is not <unique@domain>")
    domain, own = (
        message_id[1:-1].rpartition("@")[2].lower(),
        ascii_address(sender.address).rpartition("@")[2].lower(),
    )
    if domain != own and not domain.endswith(f".{own}"):
        raise HeaderError(f"Message-ID: its domain {domain} must be that of the sender, {own}, or below it")
    return _one_line("Message-ID", message_id)


@lru_cache(maxsize=16)
def _list_id(value: str) -> str:
    """RFC 2919: a readable name, then the identifier in angle brackets, at most 255 bytes on one line."""
    match = re.fullmatch(r"(?P<name>[^<>]*?)\s*<(?P<id>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)>", value)
    if not match:
        raise HeaderError(f"List-ID: {value!r} is not Name <label.example.org>")
    name = match["name"].strip().strip('"')
    phrase = _phrase("List-ID", name).replace("\r\n", "") + " " if name else ""
    line = f"{phrase}<{match['id']}>"
    if len(line) > _LIST_ID_BYTES:
        raise HeaderError(
            f"List-ID: {len(line)} bytes; use a shorter newsletter.name, at most {_LIST_ID_BYTES} fit"
        )
    return line


def _one_line(name: str, value: str) -> str:
    """`value` unfolded and unencoded. Raises `HeaderError` if it is not ASCII or too long."""
    if not _plain(value):
        raise HeaderError(f"{name}: {value!r} must be plain ASCII")
    if len(name) + 2 + len(value) > _HEADER_LINE:
        raise HeaderError(f"{name}: {len(value)} characters do not fit a header line; shorten newsletter.url")
    return value


def _refuse(name: str, value: str) -> None:
    problem = header_problem(value)
    if problem:
        raise HeaderError(f"{name}: {value!r}: {problem}")


def _plain(value: str) -> bool:
    """Can stand in a header as it is: printable ASCII that nothing takes for an encoded word."""
    return bool(re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", value)) and "=?" not in value


def _phrase(name: str, text: str) -> str:
    """A display name: bare words, a quoted string, or encoded words (RFC 5322 3.2.5, RFC 2047 5(3))."""
    if not _plain(text) or len(text) > NAME_LENGTH:
        return _encoded(name, text)
    if re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+", text) and "  " not in text:
        return text
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return f'"{escaped}"'


def _encoded(name: str, text: str) -> str:
    """Encoded words of at most 75 characters that split no character."""
    return str(Header(text, "utf-8", maxlinelen=_ENCODED_WORD, header_name=name).encode(linesep="\r\n"))


# Body ---------------------------------------------------------------------------------------------


def _message(headers: Iterable[tuple[str, str]], *, html: str, text: str) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers]
    lines += ["MIME-Version: 1.0", f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"', ""]
    for subtype, body in (("plain", text), ("html", html)):
        encoding, encoded = transfer_encoded(body)
        lines += [f"--{_BOUNDARY}", f"Content-Type: text/{subtype}; charset=utf-8"]
        lines += [f"Content-Transfer-Encoding: {encoding}", "", encoded]
    lines += [f"--{_BOUNDARY}--", ""]
    return "\r\n".join(lines).encode("ascii")


def transfer_encoded(body: str) -> tuple[str, str]:
    """The transfer encoding that makes `body` smallest, and `body` so encoded in CRLF lines of at most 76.

    Quoted-printable for Latin scripts, base64 where nearly every letter would need escaping (RFC 2045 6).
    Decoded, it is `body` with CRLF line ends; the last line end belongs to it.
    """
    canonical = body.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n").encode()
    quoted = _quoted_printable(canonical)
    if len(quoted) * 3 <= len(canonical) * 4:
        return "quoted-printable", quoted
    based = encodebytes(canonical).decode("ascii").replace("\n", "\r\n")
    return ("quoted-printable", quoted) if len(quoted) <= len(based) else ("base64", based)


def _quoted_printable(canonical: bytes) -> str:
    encoded = "\r\n" + binascii.b2a_qp(canonical, istext=True).decode("ascii")
    # Programs that keep mail in mbox files change "From " at a line's start: it breaks DKIM (RFC 2049 3).
    return encoded.replace("\r\nFrom ", "\r\n=46=\r\nrom ")[2:]
