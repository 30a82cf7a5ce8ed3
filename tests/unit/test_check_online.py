"""`check --online` against a real server on loopback."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from pipeline.check.online import page_answer
from pipeline.sources.fetch import Fetcher
from tests import faultfeed
from tests.faultfeed import FaultFeed, fault_feed, make_certificate


@pytest.fixture
def site() -> Iterator[FaultFeed]:
    with fault_feed() as made:
        made.play(faultfeed.body("a page", "text/html"), path="/there")
        made.play(faultfeed.body("x" * 2_000_000, "text/html"), path="/long")
        made.play(faultfeed.redirect("/there", 301), path="/moved")
        made.play(faultfeed.status(403), path="/forbidden")
        made.play(faultfeed.body("x", "text/html", Content_Encoding="br"), path="/brotli")
        yield made


def dead(url: str, internal: str | None = None) -> bool:
    return page_answer(url, internal=internal).dead


@pytest.mark.parametrize(
    ("path", "status"),
    [("/there", 200), ("/long", 200), ("/moved", 200), ("/gone", 404), ("/forbidden", 403), ("/brotli", 200)],
)
def test_what_a_page_answers(site: FaultFeed, path: str, status: int) -> None:
    """`/brotli` cannot be read by us: it is there all the same."""
    answer = page_answer(site.url + path, internal=site.url)
    assert (answer.status, answer.dead, answer.refused) == (status, status >= 400, False)


def test_nobody_answers() -> None:
    with fault_feed() as gone:
        pass
    answer = page_answer(f"{gone.url}/?key=1", internal=gone.url)
    assert (answer.status, answer.dead) == (None, True)
    assert answer.said.startswith("cannot be fetched: there is no such host")
    assert page_answer("mailto:marijke@example.org").status is None
    assert dead("http://[bad")


@pytest.mark.fault(137)
def test_a_link_that_leads_inside_is_dead_to_readers_and_not_asked(site: FaultFeed) -> None:
    answer = page_answer(f"{site.url}/there")
    assert (answer.status, answer.dead) == (None, True)
    assert answer.said == "127.0.0.1: leads to 127.0.0.1, which is this machine; it is not asked"
    with fault_feed() as inner:
        site.play(faultfeed.redirect(inner.feed), path="/inside")
        assert dead(f"{site.url}/inside", site.url)
        assert inner.asked == []
    assert site.asked == ["/inside"]


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("http://ann:secret@blog.example/", "holds a user name or password"),
        ("http://127.1/", "in an unusual way"),
        ("mailto:ann@blog.example", "is not a web address"),
        ("/round", "redirects more than 5 times"),
    ],
)
def test_where_a_reader_may_follow_and_we_do_not_is_not_called_dead(
    site: FaultFeed, to: str, says: str
) -> None:
    site.play(faultfeed.redirect(to), path="/round")
    answer = page_answer(f"{site.url}/round", internal=site.url)
    assert (answer.status, answer.dead, answer.refused) == (None, False, True)
    assert says in answer.said
    assert "secret" not in answer.said


def test_a_redirect_from_https_to_http_is_not_called_dead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "blog.pem", tmp_path / "blog.key")
    trusted = ssl.create_default_context(cafile=tmp_path / "blog.pem")
    with fault_feed(server) as blog:
        address = f"https://blog.example:{blog.url.rpartition(':')[2]}/feed"
        blog.play(faultfeed.redirect(address.replace("https", "http")))
        fetcher: Callable[[], Fetcher] = partial(
            Fetcher, resolve=lambda *_: ["127.0.0.1"], ssl_context=trusted
        )
        monkeypatch.setattr("pipeline.check.online.Fetcher", fetcher)
        answer = page_answer(address, internal=address)
    assert (answer.status, answer.dead, answer.refused) == (None, False, True)
    assert answer.said == "redirects from https:// to http://, where anyone can change it"
