"""Taking an address out of what somebody else wrote: the calls of providers as they came."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

NOBODY: Final = b"erased@erased.invalid"
"""Still reads as an address where one must stand; `.invalid` is nobody's (RFC 6761, 6.4)."""


def scrubbed(body: bytes, addresses: Iterable[str]) -> bytes:
    """`body` with each of `addresses` replaced by `NOBODY`, whatever the case it is written in, as it is, or
    as JSON, web forms and quoted-printable write it. Base64 is not looked into."""
    spellings = {spelling for address in addresses for spelling in _spellings(address)}
    if not spellings:
        return body
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.sub(b"|".join(map(re.escape, longest_first)), NOBODY, body, flags=re.IGNORECASE)


def _spellings(address: str) -> Iterable[bytes]:
    plain = address.encode()
    for written in (plain, json.dumps(address)[1:-1].encode(), quote(address, safe="").encode()):
        yield written
        yield written.replace(b"@", b"\\u0040")
        yield written.replace(b"@", b"%40")
        yield written.replace(b"@", b"=40")
