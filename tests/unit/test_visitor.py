"""From where a visitor comes: nobody can say to be someone else, and nobody is told apart too finely."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from pipeline.settings import LOOPBACK
from pipeline.web.visitor import is_this_machine, visitor_network
from subscribers.networks import network_of

PROXIES = (*LOOPBACK, ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def request(peer: str | None, *headers: tuple[str, str]) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    client = None if peer is None else (peer, 4711)
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "client": client})


XFF = "x-forwarded-for"


@pytest.mark.parametrize(
    ("peer", "headers", "network"),
    [
        ("203.0.113.9", [], "203.0.113.0/24"),
        ("2001:db8:1:2::9", [], "2001:db8:1::/48"),
        ("::ffff:203.0.113.9", [], "203.0.113.0/24"),
        ("fe80::1%eth0", [], "fe80::/48"),
        (None, [], ""),
        ("somewhere", [], ""),
        # a stranger's word counts for nothing
        ("203.0.113.9", [(XFF, "198.51.100.1")], "203.0.113.0/24"),
        ("203.0.113.9", [("forwarded", "for=198.51.100.1")], "203.0.113.0/24"),
        ("203.0.113.9", [("x-real-ip", "198.51.100.1")], "203.0.113.0/24"),
        # a proxy's does
        ("127.0.0.1", [(XFF, "198.51.100.1")], "198.51.100.0/24"),
        ("::1", [(XFF, "198.51.100.1")], "198.51.100.0/24"),
        ("::ffff:127.0.0.1", [(XFF, "198.51.100.1")], "198.51.100.0/24"),
        ("10.1.2.3", [(XFF, "2001:db8:9::1")], "2001:db8:9::/48"),
        ("10.1.2.3", [(XFF, "198.51.100.1:5678")], "198.51.100.0/24"),
        ("10.1.2.3", [(XFF, "[2001:db8:9::1]:443")], "2001:db8:9::/48"),
        ("10.1.2.3", [("forwarded", 'for="[2001:db8:9::1]:443";proto=https')], "2001:db8:9::/48"),
        ("10.1.2.3", [("forwarded", "proto=https; For=198.51.100.1")], "198.51.100.0/24"),
        # what the visitor wrote stands on the left, and is not believed
        ("127.0.0.1", [(XFF, "1.1.1.1, 198.51.100.1")], "198.51.100.0/24"),
        ("127.0.0.1", [(XFF, "1.1.1.1"), (XFF, "198.51.100.1")], "198.51.100.0/24"),
        ("127.0.0.1", [(XFF, "1.1.1.1, 198.51.100.1, 10.9.9.9, 127.0.0.1")], "198.51.100.0/24"),
        ("127.0.0.1", [(XFF, "1.1.1.1, 10.9.9.9"), (XFF, "198.51.100.1")], "198.51.100.0/24"),
        ("127.0.0.1", [("forwarded", "for=1.1.1.1, for=198.51.100.1")], "198.51.100.0/24"),
        ("127.0.0.1", [("forwarded", "for=1.1.1.1"), (XFF, "198.51.100.1")], "198.51.100.0/24"),
        # the last one that no proxy bears, even if it is nonsense
        ("127.0.0.1", [(XFF, "1.1.1.1, unknown")], ""),
        ("127.0.0.1", [(XFF, "1.1.1.1, _hidden, 10.9.9.9")], ""),
        ("127.0.0.1", [(XFF, "10.9.9.9, 10.9.9.8")], "10.9.9.0/24"),
        ("127.0.0.1", [(XFF, ", ,")], ""),
        ("127.0.0.1", [], ""),
        ("127.0.0.1", [(XFF, ",".join(["1.1.1.1"] * 500 + ["10.9.9.9"] * 500))], "10.9.9.0/24"),
    ],
)
@pytest.mark.fault(125)
def test_the_network_is_the_one_the_last_of_our_proxies_saw(
    peer: str | None, headers: list[tuple[str, str]], network: str
) -> None:
    assert visitor_network(request(peer, *headers), PROXIES) == network


@given(
    st.lists(st.tuples(st.sampled_from([XFF, "forwarded", "x-real-ip"]), st.text(max_size=80)), max_size=4)
)
def test_whatever_a_stranger_writes_they_stay_who_they_are(headers: list[tuple[str, str]]) -> None:
    clean = [(name, value.encode("latin-1", "replace").decode("latin-1")) for name, value in headers]
    assert visitor_network(request("203.0.113.9", *clean), PROXIES) == "203.0.113.0/24"


@given(st.text(max_size=60))
def test_whatever_stands_before_what_our_proxy_wrote_changes_nothing(before: str) -> None:
    forged = before.encode("latin-1", "replace").decode("latin-1")
    asked = request("127.0.0.1", (XFF, f"{forged}, 198.51.100.1"))
    assert visitor_network(asked, PROXIES) == "198.51.100.0/24"


@pytest.mark.parametrize(
    ("peer", "headers", "here"),
    [
        ("127.0.0.1", [], True),
        ("::1", [], True),
        ("203.0.113.9", [], False),
        ("10.1.2.3", [], False),
        (None, [], False),
        ("127.0.0.1", [(XFF, "203.0.113.9")], False),
        ("127.0.0.1", [(XFF, "127.0.0.1")], False),
        ("127.0.0.1", [("forwarded", "for=203.0.113.9")], False),
        ("127.0.0.1", [("via", "1.1 proxy")], False),
        ("127.0.0.1", [("x-real-ip", "203.0.113.9")], False),
    ],
)
def test_this_machine_is_who_comes_from_it_and_through_nobody(
    peer: str | None, headers: list[tuple[str, str]], here: bool
) -> None:
    assert is_this_machine(request(peer, *headers)) is here


@given(st.ip_addresses())
def test_a_network_holds_its_addresses_and_256_at_least(address: object) -> None:
    written = network_of(str(address))
    network = ip_network(written)
    assert network.num_addresses >= 256
    assert network_of(str(network.network_address)) == written
