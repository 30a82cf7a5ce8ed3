"""Joining, confirming and leaving over HTTP, against the running server and the real store."""

from __future__ import annotations

import logging
import re
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from emails.pages import confirm_wording, consent_wording
from subscribers.links import LinkError, check_base_url
from subscribers.suppression import SuppressionReason
from subscribers.tokens import Signer
from tests.serving import DAY, SECRET, Site, newsletter_site

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
SCANNERS = [
    {},
    {"User-Agent": "Mozilla/5.0 (compatible; Proofpoint URL Defense)", "Sec-Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch", "X-Moz": "prefetch"},
    {"Origin": "https://mail.voorbeeld.example", "Cookie": "session=1", "Authorization": "Bearer x"},
    {"List-Unsubscribe": "One-Click", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
    {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"},
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with newsletter_site(sqlite(tmp_path)) as running:
        yield running


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'weekbrief.db'}"


@pytest.fixture
def web() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=False, timeout=10) as client:
        yield client


def join(web: httpx.Client, site: Site, email: str, **more: str) -> httpx.Response:
    return web.post(f"{site.base}/join", data={"email": email, "name": "", "stamp": site.stamp(), **more})


# What the links of a letter do, and what opening them does not


@pytest.mark.fault(121)
@pytest.mark.standard("U-01")
@pytest.mark.parametrize("headers", SCANNERS)
def test_opening_links_changes_nothing(site: Site, web: httpx.Client, headers: dict[str, str]) -> None:
    reader = site.reader()
    join(web, site, "nieuw@voorbeeld.example")
    site.wait_for_asks(1)
    before = site.everything()
    for url in (site.unsubscribe_url(reader), site.confirm_url(site.asked[0])):
        for method in ("GET", "HEAD", "OPTIONS"):
            for _ in range(3):
                web.request(method, url, headers=headers)
            web.request(method, f"{url}?List-Unsubscribe=One-Click&_method=POST", headers=headers)
    assert site.everything() == before
    assert web.post(site.confirm_url(site.asked[0])).status_code == 200, "and the link is not used up"
    assert site.state(site.asked[0].subscriber.id) == "active"


@pytest.mark.fault(123)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "OPTIONS", "post", "Post"])
def test_odd_methods_are_refused_and_change_nothing(site: Site, method: str) -> None:
    reader = site.reader()
    before = site.everything()
    target = urlsplit(site.unsubscribe_url(reader))
    with socket.create_connection((target.hostname or "", target.port or 0), timeout=10) as raw:
        raw.sendall(
            f"{method} {target.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\nList-Unsubscribe=One-Click".encode()
        )
        status = raw.makefile("rb").readline().split()[1]
    assert status == b"405"
    assert site.everything() == before


@pytest.mark.fault(122)
@pytest.mark.standard("U-02")
@pytest.mark.standard("U-03")
@pytest.mark.standard("U-04")
@pytest.mark.standard("U-05")
@pytest.mark.parametrize("encoding", ["urlencoded", "multipart"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_one_click_leaves_at_once_without_cookies_or_redirect_also_twice_and_after_erasure(
    site: Site, web: httpx.Client, encoding: str, slash: str
) -> None:
    reader, other = site.reader(), site.reader("bo@voorbeeld.example")
    url = site.unsubscribe_url(reader) + slash
    body = (
        {"data": ONE_CLICK}
        if encoding == "urlencoded"
        else {"files": {"List-Unsubscribe": (None, "One-Click")}}
    )
    first, again = web.post(url, **body), web.post(url, **body)
    for answer in (first, again):
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert "location" not in answer.headers
    assert site.state(reader) == "unsubscribed"
    assert site.state(other) == "active"
    assert site.suppression("lena@voorbeeld.example") is SuppressionReason.UNSUBSCRIBED
    assert [kind for kind, *_ in site.consents(reader)] == ["added", "unsubscribed"]
    site.erase(reader)
    after = web.post(url, **body)
    assert after.status_code == 200
    assert site.state(other) == "active"


@pytest.mark.fault(122)
@pytest.mark.standard("U-02")
@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "text/plain", "", "multipart/form-data; boundary=no"]
)
def test_a_body_that_cannot_be_read_still_unsubscribes(site: Site, web: httpx.Client, kind: str) -> None:
    """A provider that encodes badly must not make our promise fail."""
    reader = site.reader()
    answer = web.post(
        site.unsubscribe_url(reader), content=b"List-Unsubscribe=One-Click", headers={"Content-Type": kind}
    )
    assert answer.status_code == 200
    assert site.state(reader) == "unsubscribed"


@pytest.mark.standard("U-03")
def test_how_someone_left_is_kept(site: Site, web: httpx.Client) -> None:
    machine, person = site.reader("a@voorbeeld.example"), site.reader("b@voorbeeld.example")
    web.post(site.unsubscribe_url(machine), data=ONE_CLICK)
    web.post(site.unsubscribe_url(person))
    assert [source for _, _, source, _ in site.consents(machine)][-1] == "one-click"
    assert [source for _, _, source, _ in site.consents(person)][-1] == "page"


@pytest.mark.standard("U-08")
def test_a_link_works_after_ten_years_and_after_having_left(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    url = site.unsubscribe_url(reader)
    web.post(url, data=ONE_CLICK)
    site.clock.move(timedelta(days=3653))
    assert web.get(url).status_code == 200
    assert web.post(url, data=ONE_CLICK).status_code == 200


@pytest.mark.standard("U-11")
def test_one_click_for_many_people_from_one_address_is_never_limited(site: Site) -> None:
    readers = [site.reader(f"r{n}@voorbeeld.example") for n in range(120)]

    def leave(reader: int) -> int:
        return httpx.post(site.unsubscribe_url(reader), data=ONE_CLICK, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(leave, readers)) == {200}
    assert {site.state(reader) for reader in readers} == {"unsubscribed"}


@pytest.mark.standard("U-07")
@pytest.mark.parametrize(
    ("language", "ask", "done", "undo"),
    [
        ("nl", "Wil je je afmelden?", "Je bent afgemeld", "Maak het ongedaan"),
        ("en", "Would you like to unsubscribe?", "You are unsubscribed", "Undo this"),
    ],
)
def test_the_page_has_one_button_in_the_readers_language_says_what_happened_and_offers_undo(
    site: Site, web: httpx.Client, language: str, ask: str, done: str, undo: str
) -> None:
    reader = site.reader(language=language)
    url = site.unsubscribe_url(reader)
    page = web.get(url).text
    assert f'<html lang="{language}" dir="ltr">' in page
    assert ask in page
    assert page.count("<button") == page.count("<form") == 1
    assert re.search(r'<form method="post">', page), "posts to the same address"
    assert "<input" not in page
    goodbye = web.post(url)
    assert done in goodbye.text
    assert undo in goodbye.text
    undo_path = re.search(r'action="([^"]+)"', goodbye.text)
    assert undo_path is not None
    assert web.post(site.base + undo_path[1]).status_code == 200
    assert site.state(reader) == "active"
    assert site.suppression("lena@voorbeeld.example") is None


def test_undo_is_not_offered_a_day_later_and_does_nothing(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    url = site.unsubscribe_url(reader)
    web.post(url, data=ONE_CLICK)
    site.clock.move(DAY)
    assert "/undo" not in web.get(url).text
    assert "verlopen" in web.post(f"{url}/undo").text
    assert site.state(reader) == "unsubscribed"


def test_undo_does_not_bring_back_someone_who_complained(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    site.suppress("lena@voorbeeld.example", SuppressionReason.COMPLAINT)
    url = site.unsubscribe_url(reader)
    web.post(url, data=ONE_CLICK)
    web.post(f"{url}/undo")
    assert site.state(reader) == "unsubscribed"
    assert site.suppression("lena@voorbeeld.example") is SuppressionReason.COMPLAINT


# Tokens


@pytest.mark.fault(128)
@pytest.mark.standard("U-05")
def test_every_unknown_address_gets_the_same_page(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    token = site.signer.unsubscribe_token(reader)
    forged = Signer(b"x" * 32, scope=site.opened.installation.id).unsubscribe_token(reader)
    paths = [
        f"/u/{token[:-1]}",
        f"/u/{token}0",
        f"/u/{token.swapcase()}",
        f"/u/{forged}",
        "/u/x",
        f"/u/{'x' * 4000}",
        "/u/%00",
        "/u/%F0%9F%92%A1",
        "/u/..%2f..%2fetc%2fpasswd",
        f"/u/{token}/x",
        f"/c/{token}",
        "/c/x",
        "/c/",
        "/u/",
        "/nowhere",
        "/archive/../u",
        "//evil.example",
        "/u/'%20OR%201=1--",
        "/u/{{7*7}}",
        "/u/%0d%0aX-A:b",
    ]
    before = site.everything()
    answers = {(a.status_code, a.text) for path in paths for a in (web.get(site.base + path),)}
    posted = {(a.status_code, a.text) for path in paths for a in (web.post(site.base + path),)}
    assert len(answers | posted) == 1
    assert next(iter(answers))[0] == 404
    assert site.everything() == before


@pytest.mark.fault(128)
def test_guessing_finds_nobody_and_takes_the_same_time(site: Site, web: httpx.Client) -> None:
    readers = [site.reader(f"r{n}@voorbeeld.example") for n in range(20)]
    code = site.signer.unsubscribe_token(readers[0])[:24]
    before = site.everything()
    times: dict[str, list[float]] = {"near": [], "far": []}
    for number in range(60):
        for kind, token in (("near", f"{code}{number + 2:x}"), ("far", f"{'A' * 24}{number + 10**9:x}")):
            began = time.perf_counter()
            assert web.post(f"{site.base}/u/{token}").status_code == 404
            times[kind].append(time.perf_counter() - began)
    assert site.everything() == before
    near, far = (statistics.median(times[kind]) for kind in ("near", "far"))
    assert max(near, far) < 3 * min(near, far) + 0.002


@pytest.mark.fault(129)
def test_a_token_for_one_door_opens_no_other(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    join(web, site, "nieuw@voorbeeld.example")
    site.wait_for_asks(1)
    before = site.everything()
    confirm_token = site.asked[0].url.rpartition("/")[2]
    assert web.post(f"{site.base}/u/{confirm_token}").status_code == 404
    assert web.post(f"{site.base}/c/{site.signer.unsubscribe_token(reader)}").status_code == 404
    assert site.everything() == before


@pytest.mark.fault(130)
def test_a_forwarded_letter_unsubscribes_its_owner_only_and_names_nobody(
    site: Site, web: httpx.Client
) -> None:
    reader, other = site.reader("lena@voorbeeld.example"), site.reader("bo@voorbeeld.example")
    url = site.unsubscribe_url(reader)
    pages = web.get(url).text + web.post(url).text + web.post(f"{url}/undo").text
    assert "lena" not in pages
    assert site.state(other) == "active"


@pytest.mark.fault(131)
@pytest.mark.standard("U-03")
def test_a_post_from_elsewhere_can_do_nothing_without_a_token_and_nothing_is_known_by_cookie(
    site: Site, web: httpx.Client
) -> None:
    site.reader()
    before = site.everything()
    evil = {
        "Origin": "https://evil.example",
        "Referer": "https://evil.example/",
        "Cookie": "subscriber=1; id=1",
    }
    for path in ("/", "/join", "/u/1", "/c/1", "/u/1/undo", "/privacy", "/healthz"):
        answer = web.post(site.base + path, headers=evil)
        assert answer.status_code in {404, 405, 415, 422}
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
    assert site.everything() == before


# Joining


@pytest.mark.standard("G-01")
@pytest.mark.standard("G-02")
@pytest.mark.standard("G-03")
def test_joining_asks_first_and_only_the_button_behind_the_link_makes_someone_active(
    site: Site, web: httpx.Client
) -> None:
    answer = join(web, site, "  Zoë.Jansen+brief@Voorbeeld.Example ", name="Zoë\r\nBcc: x")
    assert answer.status_code == 200
    assert "Kijk even in je mailbox" in answer.text
    site.wait_for_asks(1)
    asked = site.asked[0]
    assert asked.subscriber.address == "Zoë.Jansen+brief@voorbeeld.example"
    assert asked.subscriber.name == "Zoë Bcc: x"
    assert asked.url.startswith("http://localhost/c/")
    assert site.state(asked.subscriber.id) == "pending"
    site.clock.move(timedelta(hours=48))
    page = web.get(site.confirm_url(asked))
    assert page.text.count("<button") == 1
    assert site.state(asked.subscriber.id) == "pending"
    done = web.post(site.confirm_url(asked))
    assert "Fijn dat je meeleest" in done.text
    assert site.state(asked.subscriber.id) == "active"
    assert web.post(site.confirm_url(asked)).text == done.text, "pressing twice is no fault"
    wording = consent_wording(site.newsletter, "nl", "week")
    assert site.consents(asked.subscriber.id) == [
        ("requested", wording, "page", "http://localhost/join"),
        ("confirmed", confirm_wording(site.newsletter, "nl", "week"), "page", "http://localhost/c/"),
    ]
    assert wording in web.get(f"{site.base}/join").text, "the evidence is what was shown"


@pytest.mark.standard("G-04")
@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_form_says_who_what_and_how_often_and_links_the_privacy_text_before_the_button(
    site: Site, web: httpx.Client, language: str
) -> None:
    page = web.get(f"{site.base}/join?language={language}").text
    form = page[page.index("<form") : page.index("<button")]
    assert "Gerrit" in form
    assert "Weekbrief" in form
    assert {"nl": "elke week", "en": "every week"}[language] in form
    link = re.search(r'href="(/privacy[^"]*)"', form)
    assert link is not None
    assert "checkbox" not in page
    assert web.get(site.base + link[1].replace("&amp;", "&")).status_code == 200
    assert web.get(f"{site.base}/?language={language}").text == page


@pytest.mark.standard("G-08")
@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_privacy_text_names_who_to_write_to_and_whom_to_complain_to(
    site: Site, web: httpx.Client, language: str
) -> None:
    text = web.get(f"{site.base}/privacy?language={language}").text
    for said in ("Gerrit", "Voorbeeldstraat 1", "brief@voorbeeld.example", "Autoriteit Persoonsgegevens"):
        assert said in text


@pytest.mark.fault(127)
@pytest.mark.standard("G-03")
def test_nobody_learns_from_the_form_who_is_subscribed(tmp_path: Path, web: httpx.Client) -> None:
    with newsletter_site(sqlite(tmp_path), join_seconds=0.15) as site:
        site.reader("active@voorbeeld.example")
        web.post(site.unsubscribe_url(site.reader("left@voorbeeld.example")))
        site.reader("complained@voorbeeld.example")
        site.suppress("complained@voorbeeld.example", SuppressionReason.COMPLAINT)
        site.suppress("bounced@voorbeeld.example", SuppressionReason.HARD_BOUNCE)
        join(web, site, "pending@voorbeeld.example")
        seen: set[tuple[int, str, tuple[tuple[str, str], ...]]] = set()
        times: dict[str, float] = {}
        for who in ("new", "pending", "active", "left", "complained", "bounced") * 4:
            began = time.perf_counter()
            answer = join(web, site, f"{who}@voorbeeld.example")
            took = time.perf_counter() - began
            assert took >= 0.15
            # The quickest of four: what a busy machine adds says nothing about the address.
            times[who] = min(took, times.get(who, took))
            headers = tuple(sorted((k, v) for k, v in answer.headers.items() if k != "date"))
            seen.add((answer.status_code, answer.text, headers))
        assert len(seen) == 1
        assert max(times.values()) - min(times.values()) < 0.1
        site.wait_for_asks(3)
        asked = {ask.subscriber.address.partition("@")[0] for ask in site.asked}
        assert asked == {"pending", "new", "left"}


@pytest.mark.fault(124)
def test_a_thousand_sign_ups_for_one_victim_make_one_message_a_day_and_three_in_all(
    site: Site, web: httpx.Client
) -> None:
    def attack(number: int) -> int:
        variant = ["victim@voorbeeld.example", "VICTIM@Voorbeeld.example", " victim@voorbeeld.example"][
            number % 3
        ]
        return httpx.post(f"{site.base}/join", data={"email": variant}, timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(attack, range(200))) == {200}
    site.wait_for_asks(1)
    for _ in range(8):
        site.clock.move(DAY)
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(attack, range(4))) == {200}
    site.wait_for_asks(3)
    time.sleep(0.1)
    assert len(site.asked) == 3
    assert len(site.consents(site.asked[0].subscriber.id)) == 3


@pytest.mark.fault(126)
def test_a_program_that_fills_in_every_field_sees_the_same_page_and_nothing_happens(
    site: Site, web: httpx.Client
) -> None:
    before = site.everything()
    answer = join(web, site, "bot@voorbeeld.example", website="https://spam.example")
    assert answer.text == join(web, site, "person@voorbeeld.example").text
    site.wait_for_asks(1)
    assert site.asked[0].subscriber.address == "person@voorbeeld.example"
    assert before[0] == []
    assert site.opened.subscribers.by_key("bot@voorbeeld.example") is None


@pytest.mark.fault(140)
@pytest.mark.parametrize(
    "typed", ["lena", '"><script>alert(1)</script>@x.example', "{{7*7}}", "a@x.example\0"]
)
def test_a_mistyped_address_is_shown_again_with_the_mistake_and_no_harm(
    site: Site, web: httpx.Client, typed: str
) -> None:
    answer = join(web, site, typed, name="<b>Lena</b>")
    assert answer.status_code == 422
    assert "Er klopt iets niet" in answer.text
    assert 'value="&lt;b&gt;Lena&lt;/b&gt;"' in answer.text
    assert "<script" not in answer.text
    assert "49" not in answer.text
    assert site.everything()[0] == []


def test_someone_who_left_comes_back_by_confirming_and_not_by_an_old_link(
    site: Site, web: httpx.Client
) -> None:
    join(web, site, "lena@voorbeeld.example")
    site.wait_for_asks(1)
    old = site.asked[0]
    web.post(site.confirm_url(old))
    web.post(site.unsubscribe_url(old.subscriber.id), data=ONE_CLICK)
    assert "verlopen" in web.post(site.confirm_url(old)).text
    assert site.state(old.subscriber.id) == "unsubscribed"
    site.clock.move(2 * DAY)
    join(web, site, "lena@voorbeeld.example")
    site.wait_for_asks(2)
    web.post(site.confirm_url(site.asked[1]))
    assert site.state(old.subscriber.id) == "active"
    assert site.suppression("lena@voorbeeld.example") is None


def test_a_confirmation_link_of_three_weeks_ago_says_so_and_leads_back_to_the_form(
    site: Site, web: httpx.Client
) -> None:
    join(web, site, "lena@voorbeeld.example")
    site.wait_for_asks(1)
    site.clock.move(21 * DAY)
    answer = web.post(site.confirm_url(site.asked[0]))
    assert "Deze link is verlopen" in answer.text
    assert 'href="/join?language=nl"' in answer.text
    assert site.state(site.asked[0].subscriber.id) == "pending"


@pytest.mark.fault(122)
@pytest.mark.standard("U-02")
def test_a_whole_life_on_each_database(storage: str, web: httpx.Client) -> None:
    """Join, confirm, leave by one click, undo, leave again, come back: on SQLite and on PostgreSQL."""
    with newsletter_site(storage) as site:
        assert join(web, site, "Lena@Voorbeeld.example", name="Lena").status_code == 200
        site.wait_for_asks(1)
        lena = site.asked[0].subscriber.id
        assert web.post(site.confirm_url(site.asked[0])).status_code == 200
        assert site.opened.subscribers.audience_size() == 1
        url = site.unsubscribe_url(lena)
        assert web.post(url, data=ONE_CLICK).status_code == 200
        assert site.opened.subscribers.audience_size() == 0
        assert web.post(f"{url}/undo").status_code == 200
        assert site.opened.subscribers.audience_size() == 1
        assert web.post(url, data=ONE_CLICK).status_code == 200
        site.clock.move(2 * DAY)
        join(web, site, "lena@voorbeeld.example")
        site.wait_for_asks(2)
        assert site.state(lena) == "pending"
        web.post(site.confirm_url(site.asked[1]))
        assert site.state(lena) == "active"
        assert [kind for kind, *_ in site.consents(lena)] == [
            "requested",
            "confirmed",
            "unsubscribed",
            "resubscribed",
            "unsubscribed",
            "requested",
            "confirmed",
        ]


# Around everything


@pytest.mark.fault(156)
@pytest.mark.fault(151)
@pytest.mark.standard("U-09")
def test_every_answer_carries_the_headers_that_keep_it_private_and_framed_by_nobody(
    site: Site, web: httpx.Client
) -> None:
    reader = site.reader()
    url = site.unsubscribe_url(reader)
    answers = [
        web.get(url),
        web.post(url),
        web.post(f"{url}/undo"),
        web.get(f"{site.base}/c/x"),
        web.get(f"{site.base}/"),
        web.put(url),
        web.get(f"{site.base}/privacy"),
        web.post(url, content=b"x" * 20_000),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers, "http on this machine"
        assert ("x-robots-tag" in answer.headers) is (answer.request.url.path not in {"/", "/privacy"})
        assert not re.search(r'(src|href)="(https?:)?//', answer.text), "loads and links nothing elsewhere"
        assert "<script" not in answer.text


@pytest.mark.fault(156)
def test_over_https_browsers_are_told_to_stay_there(tmp_path: Path, web: httpx.Client) -> None:
    with newsletter_site(sqlite(tmp_path), url="https://brief.voorbeeld.example") as site:
        assert web.get(f"{site.base}/join").headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.fault(145)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "ftp"},
        {"Forwarded": "host=evil.example"},
        {"X-Original-URL": "//evil.example", "X-Rewrite-URL": "//evil.example"},
    ],
)
def test_links_come_from_the_configuration_whatever_a_request_says(
    site: Site, web: httpx.Client, headers: dict[str, str]
) -> None:
    answers = [web.post(f"{site.base}/join", data={"email": "lena@voorbeeld.example"}, headers=headers)]
    site.wait_for_asks(1)
    assert site.asked[0].url.startswith("http://localhost/c/")
    answers += [
        web.get(site.base + path, headers=headers)
        for path in (
            "/?next=//evil.example",
            "//evil.example/%2f..",
            "/\\evil.example",
            "/@evil.example",
            "/join/",
        )
    ]
    for answer in answers:
        assert not answer.is_redirect
        assert "evil" not in answer.text
        assert "evil" not in str(answer.headers)


@pytest.mark.fault(148)
def test_large_bodies_are_refused_early_and_many_fields_too(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    url = site.unsubscribe_url(reader)
    assert web.post(url, content=b"x" * 20_000).status_code == 413
    assert web.post(url, content=(b"x" * 1000 for _ in range(200))).status_code == 413
    fields = "&".join(f"f{n}=1" for n in range(1000))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert web.post(f"{site.base}/join", content=fields, headers=kind).status_code == 400
    assert web.post(f"{site.base}/join", content=b"\xff\xfe=\x00", headers=kind).status_code == 400
    assert (
        web.post(f"{site.base}/join", content=b"{}", headers={"Content-Type": "application/json"}).status_code
        == 415
    )
    assert web.post(f"{site.base}/join", files={"email": ("x.txt", b"x")}).status_code == 415
    with socket.create_connection((urlsplit(site.base).hostname or "", urlsplit(site.base).port or 0)) as raw:
        raw.sendall(b"POST /join HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        assert raw.makefile("rb").readline().split()[1] == b"413"
    assert site.state(reader) == "active"


@pytest.mark.fault(148)
def test_a_body_that_drips_keeps_nobody_else_waiting(
    site: Site, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.web.reading.BODY_SECONDS", 0.5)
    reader = site.reader()
    target = urlsplit(site.base)
    slow = [
        socket.create_connection((target.hostname or "", target.port or 0), timeout=10) for _ in range(20)
    ]
    for raw in slow:
        raw.sendall(b"POST /join HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nemail=")
    began = time.monotonic()
    assert web.post(site.unsubscribe_url(reader), data=ONE_CLICK).status_code == 200
    assert time.monotonic() - began < 0.5
    assert [raw.makefile("rb").readline().split()[1] for raw in slow] == [b"408"] * 20
    for raw in slow:
        raw.close()


@pytest.mark.fault(146)
@pytest.mark.fault(130)
@pytest.mark.standard("U-09")
def test_no_token_and_no_address_reaches_a_log_not_even_when_something_breaks(
    site: Site,
    web: httpx.Client,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    reader = site.reader("canary@voorbeeld.example")
    token = site.signer.unsubscribe_token(reader)
    url = site.unsubscribe_url(reader)
    site.refuse_to_send.append(RuntimeError("no route to canary@voorbeeld.example"))
    join(web, site, "canary-two@voorbeeld.example")
    for method in ("GET", "POST", "PUT"):
        web.request(method, url)
    web.post(f"{url}/undo")
    web.get(f"{site.base}/u/{token}/canary-path?email=canary@voorbeeld.example")
    with monkeypatch.context() as broken_store:
        broken_store.setattr(site.opened.subscribers, "unsubscribe", _broken)
        broken = web.post(url)
    assert broken.status_code == 500
    assert "Er ging iets mis bij ons" in broken.text
    assert broken.headers["cache-control"] == "no-store"
    _wait_for_log(caplog, "confirmation message to subscriber")
    _wait_for_log(caplog, "POST /u/… 500")
    written = caplog.text + "".join(capfd.readouterr())
    assert "POST /u/… 500" in written
    assert "OSError" in written
    assert "canary" not in written
    assert token not in written
    assert SECRET.decode() not in written


def _broken(*_: object, **__: object) -> bool:
    raise OSError("disk full while writing canary@voorbeeld.example")


def _wait_for_log(caplog: pytest.LogCaptureFixture, words: str) -> None:
    deadline = time.monotonic() + 5
    while words not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    assert words in caplog.text


@pytest.mark.fault(125)
def test_a_flood_of_sign_ups_does_not_slow_leaving(site: Site) -> None:
    reader = site.reader()
    stop = threading.Event()

    def flood(number: int) -> None:
        with httpx.Client(timeout=30) as client:
            count = 0
            while not stop.is_set() and count < 500:
                client.post(f"{site.base}/join", data={"email": f"v{number}-{count}@voorbeeld.example"})
                count += 1

    threads = [threading.Thread(target=flood, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    answer = httpx.post(site.unsubscribe_url(reader), data=ONE_CLICK, timeout=30)
    took = time.monotonic() - began
    stop.set()
    for thread in threads:
        thread.join()
    assert answer.status_code == 200
    assert site.state(reader) == "unsubscribed"
    assert took < 2


def test_health_is_told_while_the_store_answers_and_not_otherwise(
    site: Site, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert web.get(f"{site.base}/healthz").text == "ok\n"
    monkeypatch.setattr(site.opened.subscribers, "by_id", _broken)
    assert web.get(f"{site.base}/healthz").status_code == 500


@pytest.mark.standard("U-10")
@pytest.mark.parametrize(
    "url",
    [
        "http://brief.voorbeeld.example",
        "ftp://brief.voorbeeld.example",
        "brief.voorbeeld.example",
        "https://",
        "https://user:word@brief.voorbeeld.example",
        "https://x.example/?a=b",
        "https://x.example/#a",
        "https://x.exa\nmple",
        "https://bücher.example",
        "",
    ],
)
def test_an_address_that_mail_programs_would_not_take_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(LinkError, match=r"newsletter\.url"):
        check_base_url(url)


@pytest.mark.standard("U-10")
@pytest.mark.parametrize(
    "url", ["https://brief.voorbeeld.example", "http://localhost:8000", "http://127.0.0.1:1"]
)
def test_https_is_taken_and_http_on_this_machine(url: str) -> None:
    assert check_base_url(url + "/") == url
