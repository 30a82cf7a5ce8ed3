"""A reader's own choices over HTTP, on both databases: less often, a pause; and with a link that was mailed
to their own address, what we hold, another address, and being forgotten."""

from __future__ import annotations

import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import insert, select, update

from pipeline.clock import SystemClock
from pipeline.due import next_slots
from pipeline.store import tables
from pipeline.wiring import signer_of
from subscribers.addresses import normalise
from subscribers.consent import ConsentKind, ConsentRecord
from subscribers.notices import DataLink, MoveLink, Welcome
from subscribers.preferences import frequencies
from subscribers.subscriber import Frequency, Subscriber
from subscribers.suppression import SuppressionReason
from tests import builders
from tests.running import link, running, text_of
from tests.serving import DAY, Site, newsletter_site

LENA, BO = "lena@voorbeeld.example", "bo@voorbeeld.example"
WEEK = timedelta(weeks=1)


@pytest.fixture
def site(storage: str) -> Iterator[Site]:
    with newsletter_site(storage) as running:
        yield running


@pytest.fixture
def web() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=False, timeout=10) as client:
        yield client


def person(site: Site, number: int) -> Subscriber:
    found = site.opened.subscribers.by_id(number)
    assert found is not None
    return found


def preferences_url(site: Site, number: int) -> str:
    return f"{site.unsubscribe_url(number)}/preferences"


def own_url(site: Site, number: int) -> str:
    return f"{site.base}/p/{site.signer.personal_token(number, site.clock())}"


def here(site: Site, url: str) -> str:
    """A link of a letter, on the port of this test."""
    return site.base + url.removeprefix(site.newsletter.url)


def everything(site: Site) -> list[list[tuple[object, ...]]]:
    """Every row of every table that a visitor could change."""
    with site.opened.engine.connect() as connection:
        return [
            [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in tables.metadata.sorted_tables
        ]


def heading(answer: httpx.Response) -> str:
    found = re.search(r"<h1>(.*?)</h1>", answer.text)
    assert found is not None, answer.text
    return found[1]


# Less often, and a pause


@pytest.mark.standard("U-04")
@pytest.mark.parametrize("weeks", [2, 4, 8])
def test_a_pause_ends_by_itself_and_can_be_lifted(site: Site, web: httpx.Client, weeks: int) -> None:
    reader = site.reader()
    url = preferences_url(site, reader)
    answer = web.post(url, data={"pause": str(weeks)})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert person(site, reader).paused_until == site.clock() + weeks * WEEK
    assert "Stop de pauze" in answer.text
    assert 'role="status"' in answer.text
    assert "Je hebt pauze tot" in web.get(url).text
    site.clock.move(weeks * WEEK)
    assert "Je hebt pauze tot" not in web.get(url).text, "over, without anybody doing anything"
    web.post(url, data={"pause": "2"})
    lifted = web.post(url, data={"pause": "0"})
    assert "De pauze is voorbij" in lifted.text
    assert person(site, reader).paused_until is None
    assert site.state(reader) == "active"


def test_how_often_and_in_which_language(site: Site, web: httpx.Client) -> None:
    reader, other = site.reader(), site.reader(BO)
    url = preferences_url(site, reader)
    answer = web.post(url, data={"frequency": "second", "language": "en"})
    assert (answer.status_code, heading(answer)) == (200, "Your preferences")
    assert "That is saved." in answer.text
    assert (person(site, reader).frequency, person(site, reader).language) == (Frequency.SECOND, "en")
    assert re.search(r'value="second" checked', web.get(url).text)
    assert re.search(r'<option value="en" lang="en" selected>English', web.get(url).text)
    untouched = person(site, other)
    assert (untouched.frequency, untouched.language) == (Frequency.EVERY, "nl")


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"pause": "3"},
        {"pause": "-2"},
        {"pause": "2 weeks"},
        {"pause": "99999999999999999999"},
        {"frequency": "never"},
        {"frequency": ""},
        {"language": "en"},
        {"state": "unsubscribed"},
    ],
)
def test_what_the_form_cannot_say_changes_nothing(
    site: Site, web: httpx.Client, form: dict[str, str]
) -> None:
    reader = site.reader()
    before = everything(site)
    assert web.post(preferences_url(site, reader), data=form).status_code == 200
    assert everything(site) == before


def test_a_monthly_letter_offers_no_one_a_month() -> None:
    assert frequencies("week") == frequencies("2 weeks") == ("every", "second", "month")
    assert frequencies("month") == ("every", "second")


def test_a_language_without_words_leaves_the_one_there_was(site: Site, web: httpx.Client) -> None:
    reader = site.reader(language="de")
    web.post(preferences_url(site, reader), data={"frequency": "month", "language": "tlh"})
    assert (person(site, reader).frequency, person(site, reader).language) == (Frequency.MONTH, "de")


def test_who_has_left_can_set_nothing_but_can_still_ask_for_the_link(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    url = preferences_url(site, reader)
    web.post(site.unsubscribe_url(reader))
    before = everything(site)
    for form in ({"pause": "2"}, {"frequency": "second", "language": "en"}):
        answer = web.post(url, data=form)
        assert answer.status_code == 200
        assert "Je bent afgemeld" in answer.text
    assert everything(site) == before
    web.post(f"{url}/link")
    assert isinstance(site.wait_for_notices(1)[0], DataLink)


# What opening links does not do


@pytest.mark.fault(121)
@pytest.mark.fault(123)
@pytest.mark.standard("U-01")
def test_opening_any_of_the_links_with_any_method_but_post_changes_nothing(
    site: Site, web: httpx.Client
) -> None:
    reader = site.reader()
    own, move = own_url(site, reader), move_url(site, web, reader, "nieuw@voorbeeld.example")
    urls = [
        preferences_url(site, reader),
        f"{preferences_url(site, reader)}/link",
        own,
        *(f"{own}/{what}" for what in ("data.json", "name", "address", "erase")),
        move,
    ]
    before = everything(site)
    for url in urls:
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
            answer = web.request(
                method, url, headers={"Purpose": "prefetch", "X-HTTP-Method-Override": "POST"}
            )
            assert answer.status_code == (200 if method in {"GET", "HEAD"} else 405), (method, url)
        assert (
            web.get(f"{url}?pause=8&frequency=month&_method=POST&name=x&email=x@y.example").status_code == 200
        )
    assert everything(site) == before
    assert len(site.noticed) == 1, "the letter to the new address, and no other"


@pytest.mark.fault(123)
@pytest.mark.parametrize("method", ["post", "Post", "POST/", "PoSt"])
def test_a_method_is_written_as_it_is_written(site: Site, method: str) -> None:
    reader = site.reader()
    before = everything(site)
    target = urlsplit(f"{own_url(site, reader)}/erase")
    with socket.create_connection((target.hostname or "", target.port or 0), timeout=10) as raw:
        raw.sendall(f"{method} {target.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status = raw.makefile("rb").readline().split()[1]
    assert status in {b"400", b"405"}
    assert everything(site) == before


@pytest.mark.fault(129)
@pytest.mark.standard("U-05")
def test_a_link_opens_its_own_door_for_its_own_person_and_no_other(site: Site, web: httpx.Client) -> None:
    reader, other = site.reader(), site.reader(BO)
    now = site.clock()
    unsubscribe, personal = site.signer.unsubscribe_token(reader), site.signer.personal_token(reader, now)
    foreign = site.signer.personal_token(other, now)
    mixed = personal[:24] + foreign[24:]
    older = personal[:24] + site.signer.personal_token(reader, now + DAY)[24:]
    before = everything(site)
    answers = set()
    for path in (
        f"/p/{unsubscribe}",
        f"/u/{personal}",
        f"/u/{personal}/preferences",
        f"/a/{personal}",
        f"/p/{site.signer.confirm_token(reader, 1)}",
        f"/p/{site.signer.move_token(reader)}",
        f"/a/{unsubscribe}",
        f"/a/{site.signer.move_token(99)}",
        f"/p/{mixed}",
        f"/p/{older}",
        f"/p/{mixed}/data.json",
        f"/p/{unsubscribe}/erase",
        f"/u/{unsubscribe[:-1]}x/preferences",
        "/p/x",
        "/a/x",
        "/nowhere",
    ):
        for answer in (web.get(site.base + path), web.get(site.base + path + "/")):
            answers.add((answer.status_code, answer.text))
        answers.add((web.post(site.base + f"/p/{mixed}/erase").status_code, answer.text))
    assert len(answers) == 1
    assert answers.pop()[0] == 404
    assert everything(site) == before


@pytest.mark.fault(131)
@pytest.mark.standard("U-03")
def test_no_cookie_and_no_log_in_and_nothing_from_elsewhere_without_a_token(
    site: Site, web: httpx.Client
) -> None:
    reader = site.reader()
    evil = {
        "Origin": "https://evil.example",
        "Referer": "https://evil.example/",
        "Cookie": "subscriber=1; p=1",
    }
    before = everything(site)
    for path in (
        "/u/1/preferences",
        "/u/1/preferences/link",
        "/p/1/erase",
        "/p/1/address",
        "/p/1/name",
        "/a/1",
    ):
        answer = web.post(site.base + path, headers=evil, data={"email": BO, "pause": "2", "name": "x"})
        assert answer.status_code == 404
        assert "access-control-allow-origin" not in answer.headers
    assert everything(site) == before
    answer = web.post(preferences_url(site, reader), headers=evil, data={"pause": "2"})
    assert answer.status_code == 200, "the token in the path is the authority"
    assert "set-cookie" not in answer.headers


@pytest.mark.fault(151)
@pytest.mark.standard("U-09")
def test_no_page_of_a_person_is_kept_or_listed_or_passed_on(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    own, move = own_url(site, reader), move_url(site, web, reader, "nieuw@voorbeeld.example")
    for url in (preferences_url(site, reader), own, f"{own}/data.json", f"{own}/erase", move):
        for answer in (web.get(url), web.post(url)):
            if answer.status_code == 405:
                continue
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "noindex" in answer.headers["x-robots-tag"]
            assert "set-cookie" not in answer.headers
            assert "location" not in answer.headers


def wait_for(caplog: pytest.LogCaptureFixture, words: str) -> None:
    """A line is written after the answer went out: wait for it, five seconds."""
    deadline = time.monotonic() + 5
    while words not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.fault(130)
@pytest.mark.standard("U-09")
def test_no_token_and_no_address_reaches_a_log(
    site: Site, web: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    reader = site.reader()
    new = "nieuw@voorbeeld.example"
    own = own_url(site, reader)
    with caplog.at_level(logging.DEBUG):
        site.refuse_to_send.append(RuntimeError(f"no such mailbox: {LENA}"))
        web.post(f"{preferences_url(site, reader)}/link")
        web.get(own)
        web.get(f"{own}/data.json")
        web.post(f"{own}/name", data={"name": "Lena van Dam"})
        site.refuse_to_send.append(RuntimeError(f"no such mailbox: {new}"))
        web.post(f"{own}/address", data={"email": new})
        web.post(f"{own}/erase")
        wait_for(caplog, "POST /p/…/erase 200")
    told = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("weekbrief"))
    for secret in (LENA, "lena", new, own.rpartition("/")[2], site.signer.unsubscribe_token(reader)):
        assert secret not in told
    assert "POST /u/…/preferences/link 200" in told
    assert "POST /p/…/erase 200" in told
    assert f"the DataLink to subscriber {reader} was not sent" in told


@pytest.mark.fault(130)
def test_a_forwarded_letter_tells_nothing_and_can_only_make_the_letter_come_less(
    site: Site, web: httpx.Client
) -> None:
    """Whatever its holder presses: no address, no name; and the link to more goes to the reader."""
    reader = site.reader()
    site.opened.preferences.rename(reader, name="Lena")
    url = preferences_url(site, reader)
    shown = web.get(url).text + web.post(url, data={"pause": "8"}).text + web.post(f"{url}/link").text
    assert "lena" not in shown.lower().replace("lena</", "")
    links = re.findall(r'(?:href|action)="([^"]+)"', shown)
    assert not [link for link in links if link.startswith(("/p/", "/a/"))]
    sent = site.wait_for_notices(1)[0]
    assert isinstance(sent, DataLink)
    assert sent.subscriber.address == LENA


# The mailed link


def test_the_link_goes_to_the_readers_own_address_three_times_a_day(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    url = f"{preferences_url(site, reader)}/link"
    pages = {web.post(url).text for _ in range(6)}
    assert len(pages) == 1, "the page is the same when nothing is sent any more"
    assert len(site.wait_for_notices(3)) == 3
    site.clock.move(DAY)
    web.post(url)
    assert len(site.wait_for_notices(4)) == 4
    sent = site.noticed[-1]
    assert isinstance(sent, DataLink)
    assert "Wat we van je bewaren" in web.get(here(site, sent.url)).text


@pytest.mark.parametrize("reason", [SuppressionReason.COMPLAINT, SuppressionReason.HARD_BOUNCE])
def test_a_mailbox_that_refused_us_gets_no_link(
    site: Site, web: httpx.Client, reason: SuppressionReason
) -> None:
    reader = site.reader()
    site.suppress(LENA, reason)
    assert web.post(f"{preferences_url(site, reader)}/link").status_code == 200
    other = site.reader(BO)
    web.post(f"{preferences_url(site, other)}/link")
    assert [notice.subscriber.id for notice in site.wait_for_notices(1)] == [other]


def test_the_link_works_for_a_day_and_the_page_says_so(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    own = own_url(site, reader)
    site.clock.move(DAY - timedelta(seconds=1))
    assert web.get(own).status_code == 200
    assert LENA in web.get(own).text
    site.clock.move(timedelta(seconds=1))
    before = everything(site)
    for answer in (
        web.get(own),
        web.get(f"{own}/data.json"),
        web.post(f"{own}/erase"),
        web.post(f"{own}/name", data={"name": "x"}),
        web.post(f"{own}/address", data={"email": "nieuw@voorbeeld.example"}),
    ):
        assert (answer.status_code, heading(answer)) == (200, "Deze link is verlopen")
        assert "lena" not in answer.text
    assert everything(site) == before


def test_a_link_from_the_future_opens_nothing(site: Site, web: httpx.Client) -> None:
    """A clock that went back must not make links that live longer."""
    reader = site.reader()
    token = site.signer.personal_token(reader, site.clock() + 2 * DAY)
    assert heading(web.get(f"{site.base}/p/{token}")) == "Deze link is verlopen"


# Seeing


def letter_sent(site: Site, reader: int) -> str:
    """An edition that went to `reader`, with what the provider told; the delivery's id."""
    edition = site.opened.editions.create(
        builders.slot(), builders.brief(), builders.mailing(), now=site.clock(), approved=True
    )
    assert edition is not None
    site.opened.editions.freeze(edition, provider="sandbox", now=site.clock())
    row = tables.delivery.c
    with site.opened.engine.begin() as connection:
        mine = row.subscriber_id == reader
        connection.execute(update(tables.delivery).where(mine).values(state="accepted", provider_id="m-1"))
        found: str = connection.execute(select(row.delivery_id).where(mine)).scalar_one()
        connection.execute(
            insert(tables.event).values(
                event_key="resend:1",
                received_at=site.clock(),
                edition_id=edition.id,
                delivery_id=found,
                kind="delivered",
                provider="resend",
                detail="250 ok",
            )
        )
    return found


@pytest.mark.standard("G-09")
def test_everything_that_is_held_is_shown_and_can_be_downloaded(site: Site, web: httpx.Client) -> None:
    asked = ConsentRecord(
        kind=ConsentKind.REQUESTED,
        wording="Met deze knop vraag je erom.",
        source="page",
        page="https://brief.example/join",
        language="nl",
        occurred_at=site.clock(),
        network="203.0.113.0/24",
    )
    known = site.opened.subscribers.request(normalise(LENA), name="Lena", language="nl", consent=asked)
    assert known is not None
    site.opened.subscribers.confirm(known.id, at=site.clock(), how="page", wording="Ja", page="https://x/c/")
    letter_sent(site, known.id)
    site.opened.preferences.pause(known.id, until=site.clock() + WEEK)
    own = own_url(site, known.id)
    page = web.get(own).text
    for part in (
        LENA,
        "Lena",
        "Wat laat je vandaag liggen?",
        "Met deze knop vraag je erom.",
        "203.0.113.0/24",
    ):
        assert part in page
    answer = web.get(f"{own}/data.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="my-data.json"'
    held = json.loads(answer.content)
    assert held["address"] == LENA
    assert (held["name"], held["state"], held["frequency"]) == ("Lena", "active", "every")
    assert held["paused_until"].endswith("+00:00")
    assert [consent["kind"] for consent in held["consents"]] == ["requested", "confirmed"]
    assert held["consents"][0]["wording"] == "Met deze knop vraag je erom."
    assert held["consents"][0]["network"] == "203.0.113.0/24"
    assert [(each["edition"], each["state"], each["message"]) for each in held["letters"]] == [
        ("2026-11-29", "accepted", "m-1")
    ]
    assert [report["kind"] for report in held["letters"][0]["reports"]] == ["delivered"]


@pytest.mark.standard("G-09")
def test_no_column_about_a_person_is_left_out_of_what_they_can_see(site: Site, web: httpx.Client) -> None:
    """A column that is added to the tables shows up here: say whether it is about a person."""
    told = json.loads(web.get(f"{own_url(site, site.reader())}/data.json").content)
    other_names = {
        "id": "number",
        "address_key": "address_as_compared",
        "asks": "times_asked",
        "confirm_round": "requests",
        "soft_bounces": "refused_for_now",
        "soft_since": "refused_since",
    }
    for column in tables.subscriber.columns:
        assert other_names.get(column.name, column.name) in told, column.name


def test_a_name_is_corrected_and_cannot_end_a_header(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    answer = web.post(f"{own_url(site, reader)}/name", data={"name": " Lena\r\nBcc: x@y.example <b>\u202e "})
    assert answer.status_code == 200
    assert person(site, reader).name == "Lena Bcc: x@y.example <b>"
    assert "&lt;b&gt;" in answer.text
    assert "<b>" not in answer.text


# Another address


def move_url(site: Site, web: httpx.Client, reader: int, address: str) -> str:
    """The link that the new address gets."""
    before = len(site.noticed)
    answer = web.post(f"{own_url(site, reader)}/address", data={"email": address})
    assert (answer.status_code, heading(answer)) == (200, "Kijk in je nieuwe mailbox")
    sent = site.wait_for_notices(before + 1)[-1]
    assert isinstance(sent, MoveLink)
    assert sent.change.address == normalise(address).address
    return here(site, sent.url)


@pytest.mark.fault(84)
def test_a_new_address_counts_once_it_is_confirmed_from_its_own_mailbox(
    site: Site, web: httpx.Client
) -> None:
    reader = site.reader()
    url = move_url(site, web, reader, "Nieuw@Voorbeeld.example")
    assert person(site, reader).address == LENA
    site.clock.move(DAY)
    assert heading(web.get(url)) == "De brief voortaan hier?"
    assert person(site, reader).address == LENA, "opening the link is not a yes"
    answer = web.post(url)
    assert (answer.status_code, heading(answer)) == (200, "Dat is geregeld")
    assert (person(site, reader).address, person(site, reader).address_key) == (
        "Nieuw@voorbeeld.example",
        "nieuw@voorbeeld.example",
    )
    assert site.opened.subscribers.by_key(LENA) is None
    kind, wording, source, page = site.consents(reader)[-1]
    assert (kind, source, page) == ("confirmed", "address change", "http://localhost/a/")
    assert "voorbeeld.example" not in wording, "evidence cannot be changed: it names no address"
    before = everything(site)
    assert heading(web.post(url)) == heading(web.get(url)) == "Dat is geregeld"
    assert everything(site) == before


@pytest.mark.fault(84)
def test_whoever_presses_many_times_at_once_moves_once(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    url = move_url(site, web, reader, "nieuw@voorbeeld.example")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: httpx.post(url, timeout=30), range(16)))
    assert {(answer.status_code, heading(answer)) for answer in answers} == {(200, "Dat is geregeld")}
    assert [kind for kind, *_ in site.consents(reader)] == ["added", "confirmed"]


@pytest.mark.fault(85)
def test_whoever_presses_erase_many_times_at_once_is_erased_once(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    url = f"{own_url(site, reader)}/erase"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: httpx.post(url, timeout=30), range(16)))
    assert {(answer.status_code, heading(answer)) for answer in answers} == {(200, "Alles is gewist")}
    assert site.state(reader) == "erased"
    assert site.suppression(LENA) is SuppressionReason.ERASED


@pytest.mark.fault(84)
def test_a_link_that_was_mailed_to_the_old_address_opens_nothing_any_more(
    site: Site, web: httpx.Client
) -> None:
    reader = site.reader()
    old = own_url(site, reader)
    url = move_url(site, web, reader, "nieuw@voorbeeld.example")
    site.clock.move(timedelta(minutes=5))
    web.post(url)
    assert heading(web.get(old)) == "Deze link is verlopen"
    assert heading(web.post(f"{old}/erase")) == "Deze link is verlopen"
    assert site.state(reader) == "active"
    assert "nieuw@voorbeeld.example" in web.get(own_url(site, reader)).text


@pytest.mark.fault(127)
@pytest.mark.parametrize("known", ["nobody", "active", "pending", "left", "complained", "erased", "own"])
def test_nobody_learns_who_is_subscribed_by_asking_for_an_address(
    site: Site, web: httpx.Client, known: str
) -> None:
    reader = site.reader()
    other = site.reader(BO) if known not in {"nobody", "own"} else 0
    if known == "left":
        site.opened.subscribers.unsubscribe(other, at=site.clock(), how="page")
    if known == "complained":
        site.suppress(BO, SuppressionReason.COMPLAINT)
    if known == "erased":
        site.opened.subscribers.erase(other, shadow=site.signer.shadow(BO), at=site.clock())
    answer = web.post(f"{own_url(site, reader)}/address", data={"email": LENA if known == "own" else BO})
    assert (answer.status_code, heading(answer)) == (200, "Kijk in je nieuwe mailbox")
    assert BO not in answer.text
    site.wait_for_notices(0 if known in {"complained", "own"} else 1)


@pytest.mark.fault(84)
@pytest.mark.parametrize("left", [False, True], ids=["gets the letter", "has left"])
def test_an_address_that_is_somebody_here_goes_on_and_the_old_subscription_ends(
    site: Site, web: httpx.Client, left: bool
) -> None:
    reader, other = site.reader(), site.reader(BO)
    if left:
        site.opened.subscribers.unsubscribe(other, at=site.clock(), how="page")
    assert heading(web.post(move_url(site, web, reader, BO))) == "Dat is geregeld"
    assert (site.state(reader), site.state(other)) == ("unsubscribed", "active")
    assert site.suppression(BO) is None
    assert site.suppression(LENA) is SuppressionReason.UNSUBSCRIBED
    assert site.opened.subscribers.audience_size() == 1
    assert [kind for kind, *_ in site.consents(other)][-1] == "confirmed"
    assert [kind for kind, *_ in site.consents(reader)][-1] == "unsubscribed"


@pytest.mark.fault(84)
def test_only_the_newest_request_counts_and_for_three_days(site: Site, web: httpx.Client) -> None:
    """Who mistyped an address and mended it must not lose the letter to a stranger."""
    reader = site.reader()
    mistyped = move_url(site, web, reader, "niew@voorbeeld.example")
    right = move_url(site, web, reader, "nieuw@voorbeeld.example")
    assert heading(web.post(mistyped)) == "Deze link is verlopen"
    assert person(site, reader).address == LENA
    site.clock.move(3 * DAY)
    assert heading(web.post(right)) == "Deze link is verlopen"
    late = move_url(site, web, reader, "later@voorbeeld.example")
    site.opened.subscribers.unsubscribe(reader, at=site.clock(), how="page")
    assert heading(web.post(late)) == "Deze link is verlopen"
    assert person(site, reader).address == LENA
    assert site.state(reader) == "unsubscribed"


def test_an_address_that_complained_meanwhile_is_not_taken(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    url = move_url(site, web, reader, "nieuw@voorbeeld.example")
    site.suppress("nieuw@voorbeeld.example", SuppressionReason.COMPLAINT)
    assert heading(web.post(url)) == "Deze link is verlopen"
    assert person(site, reader).address == LENA


def test_few_letters_go_to_addresses_that_somebody_typed_in(site: Site, web: httpx.Client) -> None:
    reader, other = site.reader(), site.reader(BO)
    for number in range(6):
        web.post(f"{own_url(site, reader)}/address", data={"email": f"a{number}@voorbeeld.example"})
    site.wait_for_notices(3)
    web.post(f"{own_url(site, other)}/address", data={"email": "a0@voorbeeld.example"})
    web.post(f"{own_url(site, other)}/address", data={"email": "b0@voorbeeld.example"})
    to = [notice.change.address for notice in site.wait_for_notices(4) if isinstance(notice, MoveLink)]
    assert to == [f"{name}@voorbeeld.example" for name in ("a0", "a1", "a2", "b0")]


def test_a_mistyped_address_comes_back_to_be_mended(site: Site, web: httpx.Client) -> None:
    reader = site.reader()
    before = everything(site)
    answer = web.post(f"{own_url(site, reader)}/address", data={"email": "lena@"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="lena@"' in answer.text
    assert everything(site) == before


# Welcome


def test_who_confirms_is_welcomed_once(site: Site, web: httpx.Client) -> None:
    web.post(f"{site.base}/join", data={"email": LENA, "name": "Lena"})
    site.wait_for_asks(1)
    url = site.confirm_url(site.asked[0])
    web.get(url)
    for _ in range(3):
        assert web.post(url).status_code == 200
    sent = site.wait_for_notices(1)[0]
    assert isinstance(sent, Welcome)
    assert web.get(here(site, sent.unsubscribe_url)).status_code == 200


def test_who_complained_since_is_not_welcomed(site: Site, web: httpx.Client) -> None:
    web.post(f"{site.base}/join", data={"email": LENA})
    site.wait_for_asks(1)
    site.suppress(LENA, SuppressionReason.COMPLAINT)
    assert web.post(site.confirm_url(site.asked[0])).status_code == 200
    reader = site.reader(BO)
    web.post(f"{preferences_url(site, reader)}/link")
    assert [type(notice) for notice in site.wait_for_notices(1)] == [DataLink]


@pytest.mark.parametrize("welcome", [True, False])
def test_the_welcome_can_be_switched_off(tmp_path: Path, web: httpx.Client, welcome: bool) -> None:
    with running(tmp_path / "brief", welcome=welcome) as made:
        web.post(f"{made.base}/join", data={"email": LENA, "name": "Lena"})
        web.post(link(made.letter(1), r"/c/[\w-]+"))
        if welcome:
            made.letter(2)
        lena = made.store.subscribers.by_key(LENA)
        assert lena is not None
        signer = signer_of(made.settings, made.store)
        web.post(f"{made.base}/u/{signer.unsubscribe_token(lena.id)}/preferences/link")
        last = made.letter(3 if welcome else 2)
        subjects = [letter["Subject"] for letter in made.letters()]
    assert subjects[1:-1] == (["Welkom bij Stille post"] if welcome else [])
    assert last["Subject"] == "Je link naar je gegevens"


def test_the_welcome_says_when_the_first_letter_comes_and_how_to_leave(
    tmp_path: Path, web: httpx.Client
) -> None:
    with running(tmp_path / "brief") as made:
        web.post(f"{made.base}/join", data={"email": LENA, "name": "Lena"})
        web.post(link(made.letter(1), r"/c/[\w-]+"))
        said = text_of(made.letter(2))
        day = next_slots(made.settings.schedule, SystemClock().now(), 1)[0].day
        assert f"{day.day} " in said
        assert str(day.year) in said
        assert web.get(link(made.letters()[1], r"/u/[\w-]+")).status_code == 200
