"""Addresses and unsubscribe links of a whole batch, checked at once: one by one it would cost more than all
the rest of building a call for a provider that merges."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emails.delivery import Recipient
from emails.edition import Mailing
from emails.message import HeaderError, ascii_address, own_headers

_PLAIN_LINKS = re.compile(
    r"(?:https://[A-Za-z0-9.\-]++(?::[0-9]++)?(?:/[A-Za-z0-9._~/\-]*+)?(?:\?[A-Za-z0-9._~/=\-]*+)?\n)*+"
).fullmatch
_LONGEST = 900
"""Characters of a link that surely fit every header line."""
_ODD = re.compile(r"[^!#-'*+\--9=?-Z^-~]").search
"""Anything but a dot-atom's characters and @ (RFC 5322 3.2.3)."""
_SEVERAL = re.compile(r"[\s,;<>\x00-\x1f\x7f]")
"""What could make two addresses, or a name and an address, of one."""


def check_links(mailing: Mailing, recipients: Sequence[Recipient]) -> None:
    """See that each recipient's unsubscribe link can go into letter, headers and JSON as it is.

    Raises `emails.merge.UnsafeMergeValue` and `emails.message.HeaderError` as `own_headers` does.
    """
    if mailing.notice:
        return
    links = [person.unsubscribe_url for person in recipients]
    if _PLAIN_LINKS("\n".join([*links, ""])) and max(map(len, links), default=0) <= _LONGEST:
        return
    for person in recipients:
        own_headers(mailing, person)


def addresses(recipients: Sequence[Recipient]) -> list[str]:
    """Their addresses as a provider takes them: domains in ASCII, and each surely one address.

    One that cannot be written so goes nevertheless: the provider refuses it then, and its neighbours are sent
    without it.
    """
    found = [person.address for person in recipients]
    if not _ODD("".join(found)):
        return found
    return [_address(address) for address in found]


def plain(values: Sequence[str]) -> bool:
    """Can these stand between the quotes of a JSON string as they are?"""
    return not _ODD("".join(values))


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
