"""A visitor's network: enough to tell one crowd from another, too little to tell who it was."""

from __future__ import annotations

import ipaddress


def network_of(address: str) -> str:
    """`203.0.113.0/24` for an IPv4 address, `2001:db8:1::/48` for an IPv6 one; empty for anything else.

    A house or phone has one IPv4 address, and a provider hands out neighbours; an IPv6 site gets up to a /48
    (RFC 6177). An IPv4 address in IPv6 clothes counts as what it is.
    """
    try:
        found = ipaddress.ip_address(address.strip())
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((int(found), 48), strict=False))
        found = found.ipv4_mapped
    return str(ipaddress.IPv4Network((int(found), 24), strict=False))
