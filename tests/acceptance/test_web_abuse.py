"""The public pages under abuse, over HTTP: robots, list bombing, other sites' programs, curious strangers."""

from __future__ import annotations

import json
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from emails.esp import make_esp
from emails.pages import consent_wording, signup_form
from pipeline.notices import Notices
from pipeline.settings import Web
from pipeline.web.tally import Tally
from subscribers.consent import FORM
from subscribers.limits import Limits
from subscribers.suppression import SuppressionReason
from tests.acceptance.newsletter import newsletter
from tests.serving import DAY, Site, newsletter_site

BLOG = "https://blog.voorbeeld.example"
HOUR = timedelta(hours=1)


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'weekbrief.db'}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with newsletter_site(sqlite(tmp_path), web=Web(origins=(BLOG,))) as running:
        yield running


@pytest.fixture
def web() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=False, timeout=30) as client:
        yield client


def join(
    web: httpx.Client, site: Site, email: str, *, visitor: str = "", stamp: str | None = "", **more: str
) -> httpx.Response:
    """Fill in the form of our own page, opened half a minute ago; `stamp=None`: a form on another site."""
    fields = {"email": email, "name": "", **more}
    if stamp is not None:
        fields["stamp"] = stamp or site.stamp()
    return web.post(f"{site.base}/join", data=fields, headers=from_(visitor))


def from_(visitor: str) -> dict[str, str]:
    return {"X-Forwarded-For": visitor} if visitor else {}


def ask(
    web: httpx.Client, site: Site, email: object, *, origin: str = BLOG, **more: object
) -> httpx.Response:
    """Sign up as a program on another site does."""
    return web.post(f"{site.base}/api/join", json={"email": email, **more}, headers={"Origin": origin})


def known(site: Site, address: str) -> bool:
    return site.opened.subscribers.by_key(address) is not None


# Robots


@pytest.mark.fault(126)
def test_the_form_carries_the_time_it_was_opened_and_a_person_is_taken_up(
    site: Site, web: httpx.Client
) -> None:
    page = web.get(f"{site.base}/join").text
    stamp = re.search(r'name="stamp" value="([^"]+)"', page)
    assert stamp is not None
    site.clock.move(timedelta(seconds=20))
    join(web, site, "lena@voorbeeld.example", stamp=stamp[1])
    site.wait_for_asks(1)
    record = site.opened.subscribers.consents(site.asked[0].subscriber.id)[0]
    assert (record.source, record.page, record.form) == ("page", "http://localhost/join", FORM)


@pytest.mark.fault(126)
@pytest.mark.fault(129)
def test_a_form_sent_back_at_once_or_with_a_false_or_old_stamp_looks_accepted_and_nothing_is_sent(
    site: Site, web: httpx.Client
) -> None:
    reader = site.reader()
    seen = {join(web, site, "person@voorbeeld.example").text}
    site.wait_for_asks(1)
    before = site.everything()
    stamps = {
        "at once": site.stamp(0),
        "in 200 ms": site.stamp(0.2),
        "in a second": site.stamp(1),
        "a day and a second ago": site.stamp(86_401),
        "in a minute": site.stamp(-60),
        "forged": "A" * 24 + site.stamp()[24:],
        "moved": site.stamp()[:-1] + "0",
        "empty": "x",
        "of another door": site.signer.unsubscribe_token(reader),
        "long": "A" * 5000,
        "not ASCII": "\N{GRINNING FACE}" * 8,
    }
    for number, stamp in enumerate(stamps.values()):
        answer = join(web, site, f"bot{number}@voorbeeld.example", stamp=stamp)
        assert answer.status_code == 200
        seen.add(answer.text)
    assert len(seen) == 1
    assert site.everything() == before
    assert len(site.asked) == 1
    for door in ("u", "c"):
        assert web.post(f"{site.base}/{door}/{site.stamp()}").status_code == 404, "and a stamp opens no door"


def test_a_mistyped_address_is_mended_in_a_second(site: Site, web: httpx.Client) -> None:
    answer = join(web, site, "lena@voorbeeld", stamp=site.stamp(10))
    assert answer.status_code == 422
    stamp = re.search(r'name="stamp" value="([^"]+)"', answer.text)
    assert stamp is not None
    join(web, site, "lena@voorbeeld.example", stamp=stamp[1])
    site.wait_for_asks(1)


# List bombing


@pytest.mark.fault(125)
def test_many_victims_from_many_networks_cost_a_bounded_number_of_messages_and_readers_notice_nothing(
    storage: str, web: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with newsletter_site(storage) as site:
        waiting = join(web, site, "early@voorbeeld.example", visitor="192.0.2.1")
        reader = site.reader()
        site.wait_for_asks(1)
        first = site.asked[0]

        def attack(number: int) -> tuple[int, str]:
            """One of 500 networks types in one of 2,000 victims."""
            visitor = f"100.{64 + number % 50}.{number // 50 % 10}.{number % 200}"
            answer = join(web, site, f"victim{number}@voorbeeld.example", visitor=visitor)
            return answer.status_code, answer.text

        with ThreadPoolExecutor(8) as pool:
            flood = [pool.submit(attack, number) for number in range(2_000)]
            confirmed = httpx.post(site.confirm_url(first), timeout=60)
            left = httpx.post(site.unsubscribe_url(reader), timeout=60)
            answers = {done.result() for done in flood}
        assert (confirmed.status_code, left.status_code) == (200, 200)
        assert (site.state(first.subscriber.id), site.state(reader)) == ("active", "unsubscribed")
        assert answers == {(200, waiting.text)}
        site.wait_for_asks(200)
        loud = [line for line in caplog.messages if "sign-ups are being held back: more than 200" in line]
        assert len(loud) == 1
        assert "192.0.2" not in caplog.text
        site.clock.move(HOUR)
        join(web, site, "later@voorbeeld.example", visitor="192.0.2.1")
        site.wait_for_asks(201)


@pytest.mark.fault(125)
def test_the_limits_hold_across_restarts_and_processes(storage: str, web: httpx.Client) -> None:
    limits = Web(limits=Limits(per_network=100, overall=5))
    with newsletter_site(storage, web=limits) as one, newsletter_site(storage, web=limits) as two:
        for number in range(6):
            join(web, (one, two)[number % 2], f"v{number}@voorbeeld.example")
        one.wait_for_asks(3)
        two.wait_for_asks(2)
    with newsletter_site(storage, web=limits) as again:
        join(web, again, "v9@voorbeeld.example")
        time.sleep(0.1)
        assert again.asked == []
        assert not known(again, "v9@voorbeeld.example")


@pytest.mark.fault(125)
@pytest.mark.parametrize(
    ("crowd", "neighbour", "stranger"),
    [
        ("203.0.113.%d", "203.0.113.250", "203.0.114.1"),
        ("2001:db8:7::%d", "2001:db8:7:ffff::1", "2001:db8:8::1"),
        ("::ffff:203.0.113.%d", "203.0.113.250", "198.51.100.1"),
    ],
)
def test_one_network_gets_ten_an_hour_and_the_next_one_its_own(
    site: Site, web: httpx.Client, caplog: pytest.LogCaptureFixture, crowd: str, neighbour: str, stranger: str
) -> None:
    pages = {join(web, site, f"v{n}@voorbeeld.example", visitor=crowd % n).text for n in range(1, 11)}
    site.wait_for_asks(10)
    for number in range(11, 14):
        pages.add(join(web, site, f"v{number}@voorbeeld.example", visitor=neighbour).text)
    assert len(pages) == 1
    assert len(site.asked) == 10
    assert not known(site, "v11@voorbeeld.example")
    assert caplog.text.count("more than 10 this hour from one network") == 1
    join(web, site, "other@voorbeeld.example", visitor=stranger)
    site.wait_for_asks(11)
    site.clock.move(HOUR)
    join(web, site, "v11@voorbeeld.example", visitor=neighbour)
    site.wait_for_asks(12)


@pytest.mark.fault(125)
def test_who_is_not_behind_a_proxy_of_ours_cannot_choose_a_network(tmp_path: Path, web: httpx.Client) -> None:
    with newsletter_site(sqlite(tmp_path), web=Web(proxies=())) as site:
        for number in range(30):
            headers = {
                "X-Forwarded-For": f"198.51.{number}.1",
                "Forwarded": f"for=198.51.{number}.1",
                "X-Real-IP": f"198.51.{number}.1",
            }
            fields = {"email": f"v{number}@voorbeeld.example", "stamp": site.stamp()}
            web.post(f"{site.base}/join", data=fields, headers=headers)
        site.wait_for_asks(10)
        record = site.opened.subscribers.consents(site.asked[0].subscriber.id)[0]
        assert record.network == "127.0.0.0/24"


@pytest.mark.fault(125)
def test_forms_elsewhere_and_programs_may_use_half(site: Site, web: httpx.Client) -> None:
    for number in range(8):
        join(web, site, f"f{number}@voorbeeld.example", visitor="203.0.113.5", stamp=None)
    site.wait_for_asks(5)
    for number in range(8):
        join(web, site, f"p{number}@voorbeeld.example", visitor="203.0.113.5")
    site.wait_for_asks(10)


@pytest.mark.fault(124)
def test_one_victim_uses_up_nobody_elses_room(tmp_path: Path, web: httpx.Client) -> None:
    with newsletter_site(sqlite(tmp_path), web=Web(limits=Limits(per_network=3, overall=2))) as site:
        for number in range(12):
            join(web, site, "victim@voorbeeld.example", visitor=f"198.51.{number}.1")
        join(web, site, "lena@voorbeeld.example", visitor="203.0.113.1")
        site.wait_for_asks(2)
        assert site.asked[1].subscriber.address == "lena@voorbeeld.example"


@pytest.mark.fault(127)
def test_the_answer_is_the_same_to_the_byte_whatever_is_known_and_whether_or_not_there_is_room(
    tmp_path: Path, web: httpx.Client
) -> None:
    with newsletter_site(sqlite(tmp_path), web=Web(limits=Limits(per_network=50, overall=3))) as site:
        site.reader("active@voorbeeld.example")
        site.suppress("complained@voorbeeld.example", SuppressionReason.COMPLAINT)
        web.post(site.unsubscribe_url(site.reader("left@voorbeeld.example")))
        seen = set()
        for who in ("new", "active", "complained", "left", "new", "second", "held", "held-too", "active"):
            answer = join(web, site, f"{who}@voorbeeld.example", visitor="203.0.113.1")
            headers = tuple(sorted((k, v) for k, v in answer.headers.items() if k != "date"))
            seen.add((answer.status_code, answer.content, headers))
        assert len(seen) == 1
        site.wait_for_asks(3)
        assert not known(site, "held@voorbeeld.example")


# Programs on other sites


@pytest.mark.fault(131)
def test_a_named_site_may_send_sign_ups_and_no_other_and_never_with_cookies(
    site: Site, web: httpx.Client
) -> None:
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    url = f"{site.base}/api/join"
    may = web.options(url, headers={"Origin": BLOG, **wanted})
    assert may.status_code == 204
    assert may.headers["access-control-allow-origin"] == BLOG
    assert may.headers["access-control-allow-methods"] == "POST"
    assert may.headers["access-control-allow-headers"] == "content-type"
    assert may.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in may.headers
    before = site.everything()
    for origin in (
        "https://evil.example",
        "null",
        "",
        f"{BLOG}.evil.example",
        f"{BLOG}:8443",
        "http" + BLOG[5:],
    ):
        headers = {"Origin": origin} if origin else {}
        for answer in (
            web.options(url, headers={**headers, **wanted}),
            web.post(url, json={"email": "lena@voorbeeld.example"}, headers=headers),
        ):
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers
    assert site.everything() == before
    for path in ("/join", "/", "/privacy", "/u/x", "/openapi.json"):
        elsewhere = web.options(f"{site.base}{path}", headers={"Origin": BLOG, **wanted})
        assert "access-control-allow-origin" not in elsewhere.headers


@pytest.mark.fault(127)
def test_a_program_learns_nothing_and_leaves_evidence_of_where_it_was(site: Site, web: httpx.Client) -> None:
    site.reader("active@voorbeeld.example")
    site.suppress("complained@voorbeeld.example", SuppressionReason.COMPLAINT)
    seen = set()
    for who in ("new", "active", "complained", "new"):
        answer = ask(web, site, f"{who}@voorbeeld.example", name="Lena", language="en")
        seen.add((answer.status_code, answer.text, answer.headers["access-control-allow-origin"]))
    trap = ask(web, site, "bot@voorbeeld.example", website="https://spam.example")
    seen.add((trap.status_code, trap.text, trap.headers["access-control-allow-origin"]))
    assert seen == {(202, '{"status":"asked"}', BLOG)}
    site.wait_for_asks(1)
    person = site.asked[0].subscriber
    assert (person.name, person.language) == ("Lena", "en")
    record = site.opened.subscribers.consents(person.id)[0]
    assert (record.source, record.page, record.wording, record.form) == ("api", BLOG, "", "")
    assert not known(site, "bot@voorbeeld.example")
    own = ask(web, site, "own@voorbeeld.example", origin="http://localhost")
    assert own.status_code == 202


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 422),
        (b'{"email": "lena"}', "application/json", 422),
        (b'{"email": 7}', "application/json", 422),
        (b'{"email": ["a@b.example"]}', "application/json", 422),
        (b'{"email": "a@b.example\\u0000"}', "application/json", 422),
        (b'{"email": "\\ud800@b.example"}', "application/json", 422),
        (
            b'{"email": "a@b.example", "name": "\\ud800\\u0000\\r\\nBcc: x@y.example"}',
            "application/json",
            202,
        ),
        (b'{"email": "a@b.example", "language": "\\ud800"}', "application/json; charset=utf-8", 202),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff\xfe{}", "application/json", 400),
        (b"[" * 16_000, "application/json", 400),
        (b'{"email":' * 1_700, "application/json", 400),
        (b'{"n": ' + b"9" * 10_000 + b"}", "application/json", 400),
        (b'{"n": NaN}', "application/json", 422),
        (b"email=a%40b.example", "application/x-www-form-urlencoded", 415),
        (b'{"email": "a@b.example"}', "text/plain", 415),
        (b'{"email": "a@b.example"}', "", 415),
        (b" " * 20_000, "application/json", 413),
    ],
)
@pytest.mark.fault(148)
@pytest.mark.fault(132)
def test_a_body_that_is_none_is_refused_with_what_is_wrong(
    site: Site, web: httpx.Client, body: bytes, kind: str, status: int
) -> None:
    headers = {"Origin": BLOG, "Content-Type": kind}
    answer = web.post(f"{site.base}/api/join", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["status"]
    assert answer.headers["access-control-allow-origin"] == BLOG
    if status == 202:
        site.wait_for_asks(1)
        name = site.asked[0].subscriber.name
        assert not re.search(r"[\r\n\0\ud800-\udfff]", name)


@pytest.mark.fault(148)
def test_the_same_bounds_hold_for_programs_and_many_ranges_or_fields_cost_nothing(
    site: Site, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.web.reading.BODY_SECONDS", 0.5)
    target = urlsplit(site.base)
    place = (target.hostname or "", target.port or 0)
    with socket.create_connection(place, timeout=10) as raw:
        raw.sendall(
            f"POST /api/join HTTP/1.1\r\nHost: x\r\nOrigin: {BLOG}\r\nContent-Type: application/json\r\n"
            "Content-Length: 50\r\n\r\n{".encode()
        )
        assert raw.makefile("rb").readline().split()[1] == b"408"
    ranges = ",".join(f"{n}-{n + 1}" for n in range(1_500))
    assert web.get(f"{site.base}/privacy", headers={"Range": f"bytes={ranges}"}).status_code == 200
    fields = "&".join(["a=1"] * 3_000)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert web.post(f"{site.base}/join", content=fields, headers=kind).status_code == 400
    with socket.create_connection(place, timeout=10) as raw:
        raw.sendall(b"GET /join HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000)
        assert raw.makefile("rb").readline().split()[1] == b"400"
    assert web.get(f"{site.base}/healthz").text == "ok\n"


@pytest.mark.fault(132)
@pytest.mark.parametrize(
    "name",
    [
        "Lena\r\nBcc: x@evil.example",
        "Lena\nX-Evil: 1",
        "Lena\0\x0b\x0c\x1c\x85\u2028\u2029Bcc: x@evil.example",
        "=?UTF-8?Q?=0A?=Bcc: x@evil.example",
        "=?utf-8?B?Cg==?= Bcc: x@evil.example",
        'Lena" <x@evil.example>, "',
        "x@evil.example, Lena",
    ],
)
def test_a_name_cannot_add_a_header_or_a_recipient_to_the_message_it_leads_to(
    site: Site, web: httpx.Client, tmp_path: Path, name: str
) -> None:
    ask(web, site, "lena@voorbeeld.example", name=name)
    site.wait_for_asks(1)
    esp = make_esp("outbox", base_url=None, env={}, batch_size=None, outbox_folder=tmp_path / "outbox")
    Notices(site.newsletter, esp, installation="abcdef", deadline=5).confirm(site.asked[0])
    (written,) = (tmp_path / "outbox").rglob("*.eml")
    message = message_from_bytes(written.read_bytes(), policy=default)
    assert [to.addr_spec for to in message["To"].addresses] == ["lena@voorbeeld.example"]
    assert not {"bcc", "cc", "x-evil"} & {header.lower() for header in message}
    assert "evil" not in "".join(str(message[key]) for key in message if key.lower() != "to")


# The form on the author's own site


@pytest.mark.standard("G-04")
def test_the_form_for_another_site_works_and_says_whom_one_signs_up_with(
    site: Site, web: httpx.Client
) -> None:
    html = signup_form(site.newsletter, "nl")
    wording = consent_wording(site.newsletter, "nl", "week")
    assert wording in html
    assert html.index(wording) < html.index("<button")
    assert 'href="http://localhost/privacy?language=nl"' in html
    assert not re.search(r"<script|<style|style=|src=|checkbox", html)
    action = re.search(r'action="http://localhost(/[^"]*)"', html)
    assert action is not None
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', html))
    names = set(re.findall(r'name="(\w+)"', html))
    assert names == {"language", "email", "name", "website"}
    sent = {**fields, "email": "lena@voorbeeld.example", "name": "Lena", "website": ""}
    answer = web.post(site.base + action[1], data=sent, headers={"Origin": BLOG})
    assert "Kijk even in je mailbox" in answer.text
    site.wait_for_asks(1)
    record = site.opened.subscribers.consents(site.asked[0].subscriber.id)[0]
    assert (record.source, record.page, record.wording, record.form) == ("form", BLOG, wording, FORM)


def test_the_command_prints_that_form(tmp_path: Path) -> None:
    with newsletter(tmp_path / "brief") as folder:
        done = folder.weekbrief("signup-form", "--language", "en")
        wrong = folder.weekbrief("signup-form", "--language", "tlh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('<form method="post" action="https://brief.stillepost.example/join">')
    assert "You can leave at any time, with one click." in done.stdout
    assert wrong.returncode == 2
    assert "there are no words for language 'tlh'" in wrong.stderr


def test_a_form_on_a_site_that_was_not_named_is_taken_and_its_claim_is_not(
    site: Site, web: httpx.Client
) -> None:
    fields = {"email": "lena@voorbeeld.example"}
    web.post(f"{site.base}/join", data=fields, headers={"Origin": "https://evil.example"})
    site.wait_for_asks(1)
    record = site.opened.subscribers.consents(site.asked[0].subscriber.id)[0]
    assert (record.source, record.page) == ("form", "")


# Evidence


@pytest.mark.standard("G-02")
def test_both_halves_of_consent_say_what_was_seen_where_and_from_which_network(
    site: Site, web: httpx.Client
) -> None:
    join(web, site, "lena@voorbeeld.example", visitor="203.0.113.77", language="en")
    site.wait_for_asks(1)
    site.clock.move(HOUR)
    page = web.get(site.confirm_url(site.asked[0])).text
    web.post(site.confirm_url(site.asked[0]), headers=from_("2001:db8:7:1::77"))
    asked, confirmed = site.opened.subscribers.consents(site.asked[0].subscriber.id)
    assert asked.wording == consent_wording(site.newsletter, "en", "week")
    assert (asked.network, confirmed.network) == ("203.0.113.0/24", "2001:db8:7::/48")
    assert (asked.form, confirmed.form) == (FORM, FORM)
    assert (asked.page, confirmed.page) == ("http://localhost/join", "http://localhost/c/")
    assert confirmed.occurred_at - asked.occurred_at == HOUR
    assert all(part in page for part in confirmed.wording.split(". "))


def test_a_link_whose_request_was_erased_says_that_it_is_over(site: Site, web: httpx.Client) -> None:
    join(web, site, "lena@voorbeeld.example")
    site.wait_for_asks(1)
    site.clock.move(15 * DAY)
    assert site.opened.requests.forget(site.asked[0].subscriber.id, at=site.clock())
    for answer in (web.get(site.confirm_url(site.asked[0])), web.post(site.confirm_url(site.asked[0]))):
        assert answer.status_code == 200
        assert "Deze link is verlopen" in answer.text
    join(web, site, "lena@voorbeeld.example")
    site.wait_for_asks(2)


# Who watches


def test_metrics_count_and_name_nobody(site: Site, web: httpx.Client) -> None:
    site.reader("canary@voorbeeld.example")
    for number in range(12):
        join(web, site, f"v{number}@voorbeeld.example", visitor="203.0.113.5")
    web.get(f"{site.base}/u/{site.signer.unsubscribe_token(1)}")
    web.get(f"{site.base}/nowhere")
    answer = web.get(f"{site.base}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = set(answer.text.splitlines())
    assert {
        'weekbrief_subscribers{state="active"} 1',
        'weekbrief_subscribers{state="pending"} 10',
        'weekbrief_subscribers{state="erased"} 0',
        "weekbrief_editions_held 0",
        "weekbrief_events_waiting 0",
        'weekbrief_sign_ups_held_back_total{reason="network"} 2',
        'weekbrief_sign_ups_held_back_total{reason="overall"} 0',
        'weekbrief_http_requests_total{page="/join",status="2xx"} 12',
        'weekbrief_http_requests_total{page="/u/…",status="2xx"} 1',
        'weekbrief_http_requests_total{page="(unknown path)",status="4xx"} 1',
    } <= lines
    for secret in ("canary", "voorbeeld", "203.0.113", site.signer.unsubscribe_token(1)):
        assert secret not in answer.text
    shape = re.compile(r'weekbrief_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? \d+')
    assert all(line.startswith("# ") or shape.fullmatch(line) for line in lines)


def test_what_is_counted_does_not_grow_with_the_days_that_strangers_ask_for() -> None:
    tally = Tally()
    for year in range(1000, 2000):
        tally.answered(f"/archive/{year}-01-01", 404)
    assert tally.answers() == {("/archive/…", "4xx"): 1000}


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}, {"Via": "1.1 x"}]
)
def test_metrics_are_not_there_for_who_comes_through_a_proxy(
    site: Site, web: httpx.Client, tmp_path: Path, headers: dict[str, str]
) -> None:
    hidden = web.get(f"{site.base}/metrics", headers=headers)
    nowhere = web.get(f"{site.base}/nowhere")
    assert (hidden.status_code, hidden.text) == (404, nowhere.text)
    with newsletter_site(sqlite(tmp_path / "open"), web=Web(metrics=True)) as open_:
        assert web.get(f"{open_.base}/metrics", headers=headers).status_code == 200


@pytest.mark.fault(146)
@pytest.mark.fault(130)
def test_neither_address_nor_network_nor_stamp_reaches_a_log_when_sign_ups_are_held_back_or_refused(
    site: Site, web: httpx.Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    stamp = site.stamp()
    for number in range(12):
        join(web, site, f"canary{number}@voorbeeld.example", visitor="203.0.113.5", stamp=stamp)
    join(web, site, "canary @", visitor="203.0.113.5", stamp=stamp)
    ask(web, site, "canary@voorbeeld.example")
    ask(web, site, "canary@voorbeeld.example", origin="https://canary.example")
    web.post(f"{site.base}/api/join", content=b'{"email": "canary', headers={"Origin": BLOG})
    web.get(f"{site.base}/metrics?canary=1")
    web.get(f"{site.base}/canary/metrics")
    # A line is written after its answer is out.
    ends = time.monotonic() + 10
    while caplog.text.count("POST /api/join") < 3 and time.monotonic() < ends:
        time.sleep(0.01)
    written = caplog.text + "".join(capfd.readouterr())
    assert "held back" in written
    assert "POST /api/join 202" in written
    for secret in ("canary", "203.0.113", stamp, site.signer.network_scope("203.0.113.0/24")):
        assert secret not in written


# Around everything


@pytest.mark.fault(151)
@pytest.mark.fault(156)
def test_answers_for_programs_carry_the_same_headers(site: Site, web: httpx.Client) -> None:
    answers = [
        ask(web, site, "lena@voorbeeld.example"),
        ask(web, site, "lena"),
        ask(web, site, "lena@voorbeeld.example", origin="https://evil.example"),
        web.options(f"{site.base}/api/join", headers={"Origin": BLOG}),
        web.get(f"{site.base}/api/join"),
        web.get(f"{site.base}/metrics"),
        web.get(f"{site.base}/healthz"),
        web.get(f"{site.base}/openapi.json"),
        join(web, site, "held@voorbeeld.example", stamp=site.stamp(0)),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers
        assert "server" not in answer.headers


@pytest.mark.fault(145)
@pytest.mark.parametrize("path", ["/api/join", "/openapi.json", "/metrics", "/healthz", "/join"])
def test_no_address_for_programs_redirects_or_repeats_what_it_was_told(
    site: Site, web: httpx.Client, path: str
) -> None:
    for odd in ("", "/", "//evil.example", "/../evil.example", "/%2f%2fevil.example", "?next=//evil.example"):
        for send in sending(web):
            answer = send(
                f"{site.base}{path}{odd}", {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
            )
            assert not answer.is_redirect
            assert "evil" not in answer.text
            assert "evil" not in str(answer.headers)


def sending(web: httpx.Client) -> list[Callable[[str, dict[str, str]], httpx.Response]]:
    return [
        lambda url, headers: web.get(url, headers=headers),
        lambda url, headers: web.post(url, headers=headers, content=json.dumps({})),
    ]
