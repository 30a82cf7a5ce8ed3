"""Where posts may be fetched from: the table of addresses, without any network."""

from __future__ import annotations

from collections.abc import Sequence

import httpcore
import pytest

from pipeline.sources.fetch import Fetcher, Forbidden, NotFetched, shown
from pipeline.sources.vetting import odd_spelling, why_not

OPEN = [
    "93.184.215.14",
    "168.63.129.15",
    "1.1.1.1",
    "2606:4700::1111",
    "2a00:1450:400e:80c::200e",
    "::ffff:1.1.1.1",
]
OURS = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
]  # fmt: skip
NEVER = [
    "168.63.129.16", "::ffff:168.63.129.16",
    "169.254.169.254", "169.254.1.1", "100.100.100.200", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
    "fec0::1", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.1.1.1", "ff02::1",
    "240.0.0.1", "255.255.255.255",
    "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
    "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2001::1", "2001:0:7f00:1::", "2001:db8::1", "3fff::1", "5f00::1", "::127.0.0.1", "4000::1",
    "no address", "",
]  # fmt: skip


@pytest.mark.fault(136)
@pytest.mark.parametrize("address", OPEN)
def test_the_open_internet_may_be_asked(address: str) -> None:
    assert why_not(address) is None
    assert why_not(address, internal=True) is None


@pytest.mark.fault(136)
@pytest.mark.parametrize("address", OURS)
def test_this_machine_and_private_networks_only_when_they_are_meant(address: str) -> None:
    assert why_not(address)
    assert why_not(address, internal=True) is None


@pytest.mark.fault(136)
@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_meant(address: str) -> None:
    assert why_not(address)
    assert why_not(address, internal=True)


@pytest.mark.fault(136)
@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "127.0.0.01",
        "1.2.3.4.5",
        "1.2.3.4.",
        "a.1",
    ],
)
def test_an_odd_way_to_write_an_address(host: str) -> None:
    assert odd_spelling(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "blog.example", "1.example", "::1", "0x.example", "a1"])
def test_a_usual_way_to_write_a_host(host: str) -> None:
    assert not odd_spelling(host)


class Resolver:
    """Answers with one list after the other, and remembers who asked for what."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int, _seconds: float) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def get(address: str, resolver: Resolver, **more: str) -> str:
    with pytest.raises(NotFetched) as caught:
        Fetcher(resolve=resolver).get(address, accept="*/*", at_most=1000, seconds=5, **more)
    kind = "Forbidden" if isinstance(caught.value, Forbidden) else "NotFetched"
    return f"{kind}: {caught.value}"


@pytest.mark.fault(136)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("address", [*OURS, *NEVER])
def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(scheme: str, address: str) -> None:
    said = get(f"{scheme}://blog.example/feed", Resolver([address]))
    assert said.startswith("Forbidden: blog.example: leads to ")


@pytest.mark.fault(136)
def test_one_inner_address_among_open_ones_is_enough_to_refuse() -> None:
    assert get("https://blog.example/", Resolver(["93.184.215.14", "10.0.0.1"])).startswith("Forbidden")


@pytest.mark.fault(136)
@pytest.mark.fault(138)
@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd", "/etc/passwd", "etc/passwd", "ftp://blog.example/", "gopher://blog.example/",
        "data:text/xml,<rss/>", "javascript:alert(1)", "unix:///run/db.sock", "//blog.example/feed", "",
        "http:",         "http://", "http:///feed", "https://:443/", "http://2130706433/", "http://0x7f.1/", "http://127.1/",
        "http://0177.0.0.1/", "http://127.0.0.1./", "http://１２７.0.0.1/", "http://user:pass@blog.example/",
        "http://blog.example\\@127.0.0.1/", "http://blog.example:99999/", "http://blog.example:0/",
        "http://[::1%25lo]/", "http://bl og.example/", "https://" + "x" * 3000,
    ],
)  # fmt: skip
def test_what_is_no_plain_web_address_asks_nobody(address: str) -> None:
    resolver = Resolver(["127.0.0.1"])
    get(address, resolver)
    assert resolver.asked == []


@pytest.mark.fault(136)
@pytest.mark.parametrize("host", ["localhost", "local_host", "LOCALHOST.", "blog.example.", "bücher.example"])
def test_a_name_is_judged_by_where_it_leads(host: str) -> None:
    assert get(f"http://{host}/", Resolver(["127.0.0.1"])).startswith("Forbidden")


@pytest.mark.fault(136)
@pytest.mark.parametrize(
    "address", ["http://[::1]/", "http://[::ffff:7f00:1]/", "http://127.0.0.1/", "http://10.0.0.1/"]
)
def test_an_address_written_out_is_vetted_too(address: str) -> None:
    with pytest.raises(Forbidden):
        Fetcher().get(address, accept="*/*", at_most=1000)


def test_a_host_that_is_not_there() -> None:
    def resolve(*_: object) -> Sequence[str]:
        raise httpcore.ConnectError

    with pytest.raises(NotFetched, match="there is no such host"):
        Fetcher(resolve=resolve).get("https://blog.example/feed?key=secret", accept="*/*", at_most=1000)


@pytest.mark.fault(146)
def test_a_message_names_neither_password_nor_query() -> None:
    assert shown("https://ann:secret@blog.example:8443/feed?key=secret#x") == "https://blog.example:8443/feed"
    assert "secret" not in get("https://ann:secret@blog.example/?key=secret", Resolver(["127.0.0.1"]))
