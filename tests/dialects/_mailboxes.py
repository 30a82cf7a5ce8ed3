"""Addresses as providers read them."""

from __future__ import annotations

import re
from email.header import decode_header, make_header
from email.utils import parseaddr


def is_address(text: str) -> bool:
    """What every provider takes: one @, no space, a dot in an ASCII domain."""
    return bool(re.fullmatch(r"[^\s@<>,;]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", only_address(text)))


def only_address(text: str) -> str:
    """The address of `Name <address>`."""
    return parseaddr(text)[1] if "<" in text else text.strip()


def as_mailbox(text: str) -> str:
    """`Name <address>` with the name decoded and unquoted, or the bare address."""
    name, address = parseaddr(text)
    return named(str(make_header(decode_header(name))), address)


def named(name: str | None, address: str) -> str:
    """`Name <address>` of a name and an address that come apart."""
    return f"{name} <{address}>" if name else address
