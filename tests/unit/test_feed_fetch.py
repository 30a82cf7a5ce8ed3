"""The fetcher against a real server that misbehaves, on loopback by the documented allow-list."""

from __future__ import annotations

import gzip
import random
import ssl
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import h11
import pytest

from pipeline.sources.fetch import Fetched, Fetcher, Forbidden, NotFetched
from tests import faultfeed
from tests.faultfeed import FaultFeed, fault_feed, make_certificate

MEGABYTE = 1_000_000


@pytest.fixture
def blog() -> Iterator[FaultFeed]:
    with fault_feed() as made:
        yield made


def get(
    blog: FaultFeed, path: str = "/feed", *, seconds: float = 30, resolve: object = None, **more: str
) -> Fetched:
    fetcher = Fetcher(resolve=resolve) if callable(resolve) else Fetcher()
    return fetcher.get(
        f"{blog.url}{path}", accept="*/*", at_most=MEGABYTE, internal=blog.url, seconds=seconds, **more
    )


def fails(blog: FaultFeed, path: str = "/feed", **more: float) -> str:
    with pytest.raises(NotFetched) as caught:
        get(blog, path, **more)
    return str(caught.value)


def test_a_feed_is_fetched_with_what_to_ask_next_time(blog: FaultFeed) -> None:
    blog.play(faultfeed.body("<rss/>", ETag='"een"', Last_Modified="Sun, 06 Sep 2026 10:00:00 GMT"))
    found = get(blog)
    assert (found.body, found.content_type, found.etag) == (b"<rss/>", "application/rss+xml", '"een"')
    assert found.last_modified == "Sun, 06 Sep 2026 10:00:00 GMT"
    (told,) = blog.told
    assert told["host"] == blog.url.removeprefix("http://")
    assert told["user-agent"].startswith("weekbrief/")
    assert not {"cookie", "authorization", "referer"} & set(told)


def test_what_did_not_change_is_not_sent_again(blog: FaultFeed) -> None:
    blog.play(faultfeed.with_etag("<rss/>"))
    assert not get(blog).unchanged
    assert get(blog, etag='"een"').unchanged
    blog.play(faultfeed.status(304))
    assert "status 304" in fails(blog), "nobody asked whether it changed"


@pytest.mark.fault(93)
@pytest.mark.parametrize(
    "etag", ['"caf\xe9"', '"v1\x7f"', '"a  b"', '"a\tb"', "\xa0", f'"{"a" * 499}"', f'"{"a" * 498} b"']
)
def test_a_validator_that_cannot_be_sent_back_whole_is_forgotten(blog: FaultFeed, etag: str) -> None:
    blog.play(faultfeed.body("<rss/>", ETag=etag, Last_Modified=etag))
    found = get(blog)
    assert (found.body, found.etag, found.last_modified) == (b"<rss/>", "", "")
    blog.play(faultfeed.body("<rss/>", Last_Modified="x" * 101))
    assert get(blog).last_modified == ""


@pytest.mark.fault(93)
@pytest.mark.parametrize(
    "kept", ['"caf\xe9"', '"caf\u20ac"', '"a\r\nX: y"', " ", '"a" ', '"' + "a" * 500, "a\n"]
)
def test_a_copy_that_holds_such_a_validator_heals(blog: FaultFeed, kept: str) -> None:
    blog.play(faultfeed.body("<rss/>", ETag='"een"'))
    assert get(blog, etag=kept, last_modified=kept).etag == '"een"'
    assert not {"if-none-match", "if-modified-since", "x"} & set(blog.told[0])


@pytest.mark.fault(93)
def test_a_validator_of_the_longest_kind_comes_back_as_it_went(blog: FaultFeed) -> None:
    etag, date = f'W/"{"a b~" * 124}"', "Sun, 06 Sep 2026 10:00:00 GMT"
    assert len(etag) == 500
    blog.play(faultfeed.with_etag("<rss/>", etag))
    found = get(blog)
    assert found.etag == etag
    assert get(blog, etag=found.etag, last_modified=date).unchanged
    assert blog.told[1]["if-modified-since"] == date


@pytest.mark.fault(93)
@pytest.mark.parametrize("error", [TypeError, ValueError, h11.LocalProtocolError, RuntimeError, OSError])
def test_whatever_else_goes_wrong_costs_one_address(blog: FaultFeed, error: type[Exception]) -> None:
    def resolve(*_: object) -> Sequence[str]:
        raise error("unforeseen")

    with pytest.raises(NotFetched, match=error.__name__) as caught:
        get(blog, resolve=resolve)
    assert isinstance(caught.value.__cause__, error)


def test_compressed_answers_are_read(blog: FaultFeed) -> None:
    blog.play(faultfeed.zipped("<rss/>" * 50_000))
    assert get(blog).body == b"<rss/>" * 50_000
    assert blog.told[0]["accept-encoding"] == "gzip"
    blog.play(faultfeed.body(zlib.compress(b"<rss/>"), Content_Encoding="deflate"))
    assert get(blog).body == b"<rss/>", "not asked for, yet plain to read"


def raw_deflate(content: bytes, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize("size", [0, 1, 200_000])
def test_deflate_is_read_in_both_of_its_forms(blog: FaultFeed, level: int, size: int) -> None:
    """With the wrapper that the name means, and without, as some servers send it (RFC 9110, 8.4.1.2)."""
    whole = random.Random(7).randbytes(size)
    for packed in (zlib.compress(whole, level), raw_deflate(whole, level), gzip.compress(whole)):
        blog.play(faultfeed.body(packed, Content_Encoding="deflate"))
        assert get(blog).body == whole


def test_its_form_is_known_also_when_the_bytes_come_one_by_one(blog: FaultFeed) -> None:
    def play(answer: faultfeed.Answer) -> None:
        answer.begin(Content_Encoding="deflate")
        for byte in raw_deflate(b"<rss/>"):
            answer.write(bytes((byte,)))

    blog.play(play)
    assert get(blog).body == b"<rss/>"


@pytest.mark.fault(97)
def test_raw_deflate_is_bounded_like_the_rest(blog: FaultFeed) -> None:
    blog.play(faultfeed.body(raw_deflate(b"x" * 2 * MEGABYTE), Content_Encoding="deflate"))
    assert "larger than 1 MB" in fails(blog)
    blog.play(faultfeed.body(raw_deflate(b"<rss/>" * 1000)[:-3], Content_Encoding="deflate"))
    assert "broke off" in fails(blog)
    blog.play(faultfeed.body(raw_deflate(b"<rss/>") + b"more", Content_Encoding="deflate"))
    assert "broke off" in fails(blog)


def test_every_member_of_a_gzip_answer_is_read(blog: FaultFeed) -> None:
    """RFC 1952, 2.2. Also where a member is larger than what is read or decoded at once."""
    parts = [b"<rss>", b"", random.Random(7).randbytes(150_000), b"x" * 300_000, b"</rss>"]
    blog.play(faultfeed.body(b"".join(map(gzip.compress, parts)), Content_Encoding="gzip"))
    assert get(blog).body == b"".join(parts)


@pytest.mark.fault(97)
@pytest.mark.parametrize(
    ("more", "says"),
    [
        (gzip.compress(b"more")[:-3], "broke off"),
        (b"not gzip", "broke off"),
        (zlib.compress(b"more"), "broke off"),
        (gzip.compress(b"") * 1_000, "more than 1000 parts"),
        (gzip.compress(b"x" * 2 * MEGABYTE), "larger than 1 MB"),
    ],
    ids=["cut", "text", "zlib", "many", "large"],
)
def test_nothing_after_a_gzip_member_is_dropped_in_silence(blog: FaultFeed, more: bytes, says: str) -> None:
    blog.play(faultfeed.body(gzip.compress(b"<rss/>") + more, Content_Encoding="gzip"))
    assert says in fails(blog)


@pytest.mark.fault(97)
def test_compressed_bytes_that_hold_nothing_are_bounded_too(blog: FaultFeed) -> None:
    nothing = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    head = nothing.compress(b"") + nothing.flush(zlib.Z_FULL_FLUSH)

    def play(answer: faultfeed.Answer) -> None:
        answer.begin(Content_Encoding="gzip")
        answer.write(head)
        while not answer.stop.is_set():
            answer.write(b"\x00\x00\x00\xff\xff" * 20_000)  # empty blocks of DEFLATE

    blog.play(play)
    assert "larger than 1 MB" in fails(blog)


@pytest.mark.fault(93)
@pytest.mark.parametrize("code", [204, 206, 302, 400, 401, 403, 404, 410, 429, 500, 503])
def test_no_other_status_than_200_is_an_answer(blog: FaultFeed, code: int) -> None:
    blog.play(faultfeed.status(code))
    assert f"status {code}" in fails(blog)


@pytest.mark.fault(93)
@pytest.mark.fault(97)
@pytest.mark.parametrize("play", ["silence", "drip", "dripping_headers"])
def test_a_server_that_is_slow_in_any_way_is_left(blog: FaultFeed, play: str) -> None:
    blog.play(getattr(faultfeed, play))
    assert "no whole answer within 1 seconds" in fails(blog, seconds=1)


@pytest.mark.fault(93)
def test_a_host_that_takes_no_connection() -> None:
    with fault_feed() as gone:
        pass
    assert "takes no connection" in fails(gone)


@pytest.mark.fault(97)
def test_an_answer_that_breaks_off_is_none(blog: FaultFeed) -> None:
    blog.play(faultfeed.cut(faultfeed.rss(faultfeed.item("tas"))))
    assert "broke off" in fails(blog)
    whole = faultfeed.gzip.compress(b"<rss/>" * 1000)
    blog.play(faultfeed.body(whole[:-9], Content_Encoding="gzip"))
    assert "broke off" in fails(blog)
    blog.play(faultfeed.body(b"no gzip", Content_Encoding="gzip"))
    assert "broke off" in fails(blog)
    blog.play(faultfeed.body(b"x", Content_Encoding="br"))
    assert "did not ask for" in fails(blog)


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [("br", b"x"), ("gzip", b"no gzip"), ("gzip", gzip.compress(b"x")[:-3]), ("deflate", b"<rss/>")],
    ids=["other", "text", "cut", "no deflate"],
)
def test_what_the_server_answered_is_known_also_when_its_body_cannot_be_read(
    blog: FaultFeed, encoding: str, raw: bytes
) -> None:
    blog.play(faultfeed.body(raw, Content_Encoding=encoding))
    with pytest.raises(NotFetched) as caught:
        get(blog)
    assert caught.value.status == 200
    assert not caught.value.gone


CHILD = """
import re, sys, time
from pathlib import Path
from pipeline.sources.fetch import Fetcher, NotFetched
def peak():  # not ru_maxrss, which a child begins with that of its parent
    return int(re.search(r"VmHWM:[^0-9]*([0-9]+) kB", Path("/proc/self/status").read_text())[1])
fetcher = Fetcher()
before = peak()
began = time.process_time()
try:
    fetcher.get(sys.argv[1], accept="*/*", at_most=20_000_000, internal=sys.argv[1], seconds=60)
except NotFetched as error:
    print(error)
print(time.process_time() - began)
print(peak() - before)
"""


@pytest.mark.fault(97)
@pytest.mark.parametrize("play", ["endless", "gzip_bomb"])
def test_a_feed_without_end_is_cut_and_memory_stays_flat(blog: FaultFeed, play: str) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a process's peak of memory in /proc")
    blog.play(getattr(faultfeed, play))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, blog.feed], capture_output=True, text=True, check=True, timeout=120
    )
    said, took, grew = done.stdout.splitlines()
    assert "larger than 20 MB" in said
    assert float(took) < 5, "CPU seconds"
    assert int(grew) < 100_000, "kB"


@pytest.mark.fault(137)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_an_inner_address_is_not_followed(blog: FaultFeed, code: int) -> None:
    """The feed itself may be internal; another port of the same machine may not."""
    with fault_feed() as inner:
        inner.play(faultfeed.body("the secret"))
        blog.play(faultfeed.redirect(inner.feed, code))
        with pytest.raises(Forbidden, match="this machine; it is not asked"):
            get(blog)
        assert inner.asked == []


@pytest.mark.fault(137)
@pytest.mark.parametrize(
    "to",
    [
        "http://localhost:1/", "http://[::1]/", "http://169.254.169.254/latest/meta-data/", "//10.0.0.1/",
        "file:///etc/passwd", "http://2130706433/", "http://0x7f.1/", "http://u:p@127.0.0.1/", "ftp://127.0.0.1/",
        "gopher://127.0.0.1:11211/x", "http://[::ffff:169.254.169.254]/", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_where_a_redirect_must_not_lead(blog: FaultFeed, to: str) -> None:
    blog.play(faultfeed.redirect(to))
    with pytest.raises(Forbidden):
        get(blog)
    assert blog.asked == ["/feed"]


@pytest.mark.fault(137)
def test_a_redirect_on_the_same_host_is_followed_five_times(blog: FaultFeed) -> None:
    for n in range(5):
        blog.play(faultfeed.redirect(f"/{n + 1}" if n else "1", 301), path=f"/{n}" if n else "/feed")
    blog.play(faultfeed.body("<rss/>"), path="/5")
    assert get(blog).url == f"{blog.url}/5"
    blog.play(faultfeed.redirect("/6"), path="/5")
    assert "redirects more than 5 times" in fails(blog)
    blog.play(faultfeed.redirect("/feed"))
    assert "redirects more than 5 times" in fails(blog)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/café", "/caf%C3%A9"),
        ("/voilà", "/voil%C3%A0"),
        ("/日本?q=é", "/%E6%97%A5%E6%9C%AC?q=%C3%A9"),
        ("/caf%C3%A9", "/caf%C3%A9"),
    ],
)
def test_a_redirect_in_plain_utf_8_is_encoded_once(blog: FaultFeed, location: str, path: str) -> None:
    blog.play(faultfeed.redirect(location.encode().decode("latin-1")))
    blog.play(faultfeed.body("<rss/>"), path=path.partition("?")[0])
    assert get(blog).body == b"<rss/>"
    assert blog.asked == ["/feed", path]


class Rebinding:
    """A name that means an open address at first and this machine afterwards."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int, _seconds: float) -> Sequence[str]:
        self.asked.append(host)
        return [self._answers.pop(0)]


@pytest.mark.fault(137)
def test_the_vetted_address_is_the_one_connected_to(blog: FaultFeed) -> None:
    """The name is looked up once a hop; what it means later is nobody's business."""
    port = blog.url.rpartition(":")[2]
    blog.play(faultfeed.body("<rss/>"))
    resolve = Rebinding("127.0.0.1", "10.0.0.1")
    address = f"http://blog.example:{port}/feed"
    found = Fetcher(resolve=resolve).get(address, accept="*/*", at_most=MEGABYTE, internal=address)
    assert found.body == b"<rss/>"
    assert resolve.asked == ["blog.example"]
    assert blog.told[0]["host"] == f"blog.example:{port}", "the server is told the name"


@pytest.mark.fault(137)
def test_a_name_that_turns_inwards_between_two_hops_is_caught(blog: FaultFeed) -> None:
    """First hop: the operator's own blog. Second: another name, which is vetted anew."""
    port = blog.url.rpartition(":")[2]
    blog.play(faultfeed.redirect(f"http://other.example:{port}/secret"))
    blog.play(faultfeed.body("the secret"), path="/secret")
    address = f"http://blog.example:{port}/feed"
    with pytest.raises(Forbidden, match=r"other\.example: leads to 127\.0\.0\.1"):
        Fetcher(resolve=Rebinding("127.0.0.1", "127.0.0.1")).get(
            address, accept="*/*", at_most=MEGABYTE, internal=address
        )
    assert blog.asked == ["/feed"]


@pytest.mark.fault(137)
def test_the_same_name_is_vetted_again_at_each_hop(blog: FaultFeed) -> None:
    port = blog.url.rpartition(":")[2]
    blog.play(faultfeed.redirect("/next"))
    address = f"http://blog.example:{port}/feed"
    resolve = Rebinding("127.0.0.1", "169.254.169.254")
    with pytest.raises(Forbidden, match="a cloud's metadata service"):
        Fetcher(resolve=resolve).get(address, accept="*/*", at_most=MEGABYTE, internal=address)
    assert resolve.asked == ["blog.example", "blog.example"]


@pytest.mark.fault(136)
def test_this_machine_is_not_asked_unless_it_is_meant(blog: FaultFeed) -> None:
    blog.play(faultfeed.body("<rss/>"))
    with pytest.raises(Forbidden, match="this machine"):
        Fetcher().get(blog.feed, accept="*/*", at_most=MEGABYTE)
    assert blog.asked == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`blog.pem` and its key, for blog.example, signed by itself."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.mark.fault(137)
def test_tls_proves_the_name_although_the_vetted_address_is_connected_to(certificate: Path) -> None:
    named: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "blog.pem", certificate / "blog.key")
    context.sni_callback = lambda _socket, name, _context: named.append(name)
    trusted = ssl.create_default_context(cafile=certificate / "blog.pem")
    with fault_feed(context) as blog:
        port = blog.url.rpartition(":")[2]
        blog.play(faultfeed.body("<rss/>"))
        fetcher = Fetcher(resolve=lambda *_: ["127.0.0.1"], ssl_context=trusted)
        for host, fits in (("blog.example", True), ("other.example", False)):
            address = f"https://{host}:{port}/feed"
            try:
                found = fetcher.get(address, accept="*/*", at_most=MEGABYTE, internal=address)
            except NotFetched as error:
                assert not fits
                assert "certificate is not valid for its name" in str(error)
            else:
                assert (fits, found.body) == (True, b"<rss/>")
        blog.play(faultfeed.redirect(f"http://blog.example:{port}/feed"))
        address = f"https://blog.example:{port}/feed"
        with pytest.raises(Forbidden, match="from https:// to http://"):
            fetcher.get(address, accept="*/*", at_most=MEGABYTE, internal=address)
    assert named == ["blog.example", "other.example", "blog.example"]


def test_no_proxy_of_the_environment_is_used(blog: FaultFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    blog.play(faultfeed.body("<rss/>"))
    with fault_feed() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert get(blog).body == b"<rss/>"
        assert proxy.asked == []
