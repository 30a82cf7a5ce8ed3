"""From where a visitor comes: the connection says so, or a web server of the operator's that sits in between.

Anyone can write `X-Forwarded-For`. It is read only when the peer is one of the configured proxies, and from
the right: each proxy adds whom it saw at the end, so the last name that no proxy of ours bears is true.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from starlette.requests import Request

from pipeline.settings_fields import Network
from subscribers.networks import network_of

MAX_HOPS: Final = 10
FORWARDING: Final = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
"""Headers that tell of a proxy in between."""

_FOR = re.compile(r'(?:^|[;,\s])for\s*=\s*("[^"]*"|[^;,\s]+)', re.IGNORECASE)
_WITH_PORT = re.compile(r"\[(?P<six>[0-9A-Fa-f:.]+)\](?::\d+)?\Z|(?P<four>[\d.]+)(?::\d+)?\Z")


def visitor_network(request: Request, proxies: Sequence[Network]) -> str:
    """The visitor's network (`subscribers.networks`); empty when nobody knows: a proxy that names no one."""
    peer = _address(request.client.host if request.client else "")
    if not _is_one_of(peer, proxies):
        return network_of(peer)
    visitor = ""
    for visitor in islice(reversed(_named(request)), MAX_HOPS):
        if not _is_one_of(visitor, proxies):
            break
    return network_of(visitor)


def is_this_machine(request: Request) -> bool:
    """True for a request that a program on this machine made, and no proxy passed on."""
    peer = _address(request.client.host if request.client else "")
    if any(name in request.headers for name in FORWARDING) or not peer:
        return False
    return ipaddress.ip_address(peer).is_loopback


def _named(request: Request) -> list[str]:
    """Whom the proxies saw, in the order they wrote it. `X-Forwarded-For` goes before `Forwarded` (RFC 7239):
    what a proxy does not write itself it often passes on unread, and most write the former."""
    written = ",".join(request.headers.getlist("x-forwarded-for"))
    if written.strip(" ,"):
        return [_address(part) for part in written.split(",")]
    return _addresses(_FOR.findall(",".join(request.headers.getlist("forwarded"))))


def _addresses(parts: Iterable[str]) -> list[str]:
    return [_address(part.strip('"')) for part in parts]


def _address(written: str) -> str:
    """An IP address without port, brackets and zone; empty for anything else (`unknown`, `_hidden`)."""
    written = written.strip()
    found = _WITH_PORT.match(written)
    written = (found["six"] or found["four"]) if found else written
    try:
        address = ipaddress.ip_address(written.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _is_one_of(address: str, networks: Sequence[Network]) -> bool:
    return bool(address) and any(ipaddress.ip_address(address) in network for network in networks)
