"""Addresses and unsubscribe links of a whole batch, checked at once: one by one it would cost more than all
the rest of building a call for a provider that merges."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emails.delivery import Recipient, Recipients
from emails.edition import Mailing
from emails.message import HeaderError, ascii_address, own_headers

_PLAIN_LINKS = re.compile(
    r"(?:https://[A-Za-z0-9.\-]++(?::[0-9]++)?(?:/[A-Za-z0-9._~/\-]*+)?(?:\?[A-Za-z0-9._~/=\-]*+)?\n)*+"
).fullmatch
_LONGEST = 900
"""Characters of a link that surely fit every header line."""
_DOT_ATOMS = bytes(sorted({*range(0x21, 0x7F)} - set(b'"(),:;<>[\\]')))
"""A dot-atom's characters and @ (RFC 5322 3.2.3)."""
_UNRESERVED = b"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""RFC 3986 2.3."""
_SEVERAL = re.compile(r"[\s,;<>\x00-\x1f\x7f]")
"""What could make two addresses, or a name and an address, of one."""


def check_links(mailing: Mailing, recipients: Sequence[Recipient]) -> None:
    """See that each recipient's unsubscribe link can go into letter, headers and JSON as it is.

    Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` as `own_headers` does.
    """
    if mailing.notice or _fit(recipients):
        return
    for person in recipients:
        own_headers(mailing, person)


def _fit(recipients: Sequence[Recipient]) -> bool:
    """Surely all of them, seen at a glance: most often they differ in nothing but a token at the end."""
    if isinstance(recipients, Recipients) and recipients.base.endswith("/"):
        ends, base = recipients.tokens, recipients.base
        return _made_of(_UNRESERVED, ends) and bool(_PLAIN_LINKS(f"{base}\n")) and _short(ends, len(base))
    links = unsubscribe_urls(recipients)
    return bool(_PLAIN_LINKS("\n".join([*links, ""]))) and _short(links, 0)


def _short(texts: Sequence[str], more: int) -> bool:
    return max(map(len, texts), default=0) + more <= _LONGEST


def _made_of(characters: bytes, texts: Sequence[str]) -> bool:
    """Do these texts hold nothing but these ASCII characters? Four times as quick as a regular expression."""
    text = "".join(texts)
    return text.isascii() and not text.encode("ascii").translate(None, characters)


def delivery_ids(recipients: Sequence[Recipient]) -> Sequence[str]:
    if isinstance(recipients, Recipients):
        return recipients.delivery_ids
    return [person.delivery_id for person in recipients]


def unsubscribe_urls(recipients: Sequence[Recipient]) -> Sequence[str]:
    if isinstance(recipients, Recipients):
        return recipients.unsubscribe_urls
    return [person.unsubscribe_url for person in recipients]


def addresses(recipients: Sequence[Recipient]) -> Sequence[str]:
    """Their addresses as a provider takes them: domains in ASCII, and each surely one address.

    One that cannot be written so goes nevertheless: the provider refuses it then, and its neighbours are sent
    without it.
    """
    found = given_addresses(recipients)
    return found if plain(found) else [_address(address) for address in found]


def given_addresses(recipients: Sequence[Recipient]) -> Sequence[str]:
    if isinstance(recipients, Recipients):
        return recipients.addresses
    return [person.address for person in recipients]


def plain(values: Sequence[str]) -> bool:
    """Can these stand between the quotes of a JSON string as they are?"""
    return _made_of(_DOT_ATOMS, values)


def _address(address: str) -> str:
    if _SEVERAL.search(address):
        return _quoted(address)
    if address.isascii():
        return address
    try:
        return ascii_address(address)
    except HeaderError:
        return address


def _quoted(address: str) -> str:
    """With the local part as a quoted string (RFC 5321 4.1.2), so that `a@b,c@d` is no list of two."""
    local, _, domain = address.rpartition("@")
    escaped = re.sub(r'(["\\])', r"\\\1", re.sub(r"[\x00-\x1f\x7f]", " ", local))
    return f'"{escaped}"@{_SEVERAL.sub("_", domain)}'
