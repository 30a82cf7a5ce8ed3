"""Which addresses may be asked for posts: those of the open internet. Touches nothing.

A feed's address, and every address it leads on to, is text that somebody else may have written. Without this
table it could make us ask a router, a database or a cloud's metadata service on the operator's own network.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_ENDS_IN_A_NUMBER: Final = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?\Z", re.IGNORECASE)
"""The rule by which browsers take a host for an IPv4 address (WHATWG URL, "ends in a number checker")."""


def _networks(*written: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, written))


_INTERNAL: Final = {
    "this machine": _networks("127.0.0.0/8", "::1/128"),
    "a private network": _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    "a network shared behind a provider": _networks("100.64.0.0/10"),
}
"""What an operator may mean: their blog stands there."""
_NEVER: Final = {
    # Clouds hand out their machines' credentials here; two of them within networks that may be meant, and
    # one that looks like any address of the internet (Azure's WireServer).
    "a cloud's metadata service": _networks(
        "169.254.169.254/32", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::254/128"
    ),
    "a link's own network": _networks("169.254.0.0/16", "fe80::/10", "fec0::/10"),
    "no address at all": _networks("0.0.0.0/8", "::/128"),
    "a group of machines": _networks("224.0.0.0/4", "ff00::/8"),
    # IANA special-purpose address registries (RFC 6890 and its updates).
    "reserved": _networks(
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20",
    ),
    "a tunnel to another address": _networks("2002::/16", "64:ff9b:1::/48"),
}  # fmt: skip
_OPEN_IPV6: Final = IPv6Network("2000::/3")
"""All that is given out for use on the internet (RFC 4291 2.4)."""
_WRAPPED: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""IPv4 addresses in an IPv6 coat: mapped ones (RFC 4291 2.5.5.2) and those of NAT64 (RFC 6052)."""


def why_not(address: str, *, internal: bool = False) -> str | None:
    """Why this IP address must not be connected to, in a few words; None when it may. `internal` lets this
    machine and private networks pass, never a metadata service or a link-local address."""
    try:
        found = ip_address(address)
    except ValueError:
        return "no address that we can read"
    if getattr(found, "scope_id", None):
        return "a link's own network"
    found = _inside(found)
    for what, networks in _NEVER.items():
        if _in(found, networks):
            return what
    for what, networks in _INTERNAL.items():
        if _in(found, networks):
            return None if internal else what
    if isinstance(found, IPv6Address) and found not in _OPEN_IPV6:
        return "reserved"
    return None


def odd_spelling(host: str) -> bool:
    """True for an IPv4 address in any but its usual form: `2130706433`, `0x7f.1`, `0177.0.0.1`, `127.1`,
    `127.0.0.1.`. Programs disagree about what such a host means, so we ask none."""
    if not _ENDS_IN_A_NUMBER.match(host):
        return False
    try:
        return str(IPv4Address(host)) != host
    except ValueError:
        return True


def literal(host: str) -> bool:
    """True for an address written out, so that no name has to be looked up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _inside(address: Address) -> Address:
    if isinstance(address, IPv6Address) and any(address in network for network in _WRAPPED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
