"""The archive over HTTP and as a folder: only what went out, for anyone, and nothing of any reader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert, update

from emails.delivery import EditionState
from pipeline.archive_folder import MADE, NotOurs, replace_folder
from pipeline.service import public_pages
from pipeline.settings import load_settings
from pipeline.store import Store, tables
from pipeline.store.archive import Archive
from pipeline.web.archive import Archiving
from pipeline.wiring import esp_of, opened
from tests import builders
from tests.acceptance.newsletter import SECRET, Folder, newsletter
from tests.builders import NOW
from tests.serving import Site, newsletter_site, serving

CANARY = "kanarie"
LETTER = builders.newsletter(url="http://localhost", archive=True)


@pytest.fixture
def site(storage: str) -> Iterator[Site]:
    rooms = lambda store, _clock: [Archiving(LETTER, Archive(store.engine))]  # noqa: E731  short, and only here
    with newsletter_site(storage, rooms=rooms) as running:
        yield running


@pytest.fixture
def web() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=False, timeout=10) as client:
        yield client


def edition(
    store: Store, day: str, state: EditionState, *, hold: str | None = None, begun: bool = True
) -> None:
    made = store.editions.create(
        builders.slot(date.fromisoformat(day)), builders.brief(), builders.mailing(), now=NOW, approved=True
    )
    assert made is not None
    with store.engine.begin() as connection:
        connection.execute(
            update(tables.edition)
            .where(tables.edition.c.id == made.id)
            .values(state=state, hold_reason=hold, started_at=NOW if begun else None)
        )


STATES = [
    ("2026-11-29", EditionState.FINISHED, None, True, True),
    ("2026-11-22", EditionState.SENDING, None, False, True),
    ("2026-11-15", EditionState.SETTLING, None, False, True),
    ("2026-11-08", EditionState.SENDING, "paused by Marijke", False, False),
    ("2026-11-01", EditionState.DRAFT, None, False, False),
    ("2026-10-25", EditionState.APPROVED, None, False, False),
    ("2026-10-18", EditionState.FREEZING, None, False, False),
    ("2026-10-11", EditionState.HELD, "a person is needed", False, False),
    ("2026-10-04", EditionState.CANCELLED, None, False, False),
]


@pytest.mark.fault(149)
def test_only_letters_that_went_out_can_be_read(site: Site, web: httpx.Client) -> None:
    for day, state, hold, _, _ in STATES:
        edition(site.opened, day, state, hold=hold)
    index = web.get(f"{site.base}/archive").text
    feed, feed_json = web.get(f"{site.base}/feed.xml").text, web.get(f"{site.base}/feed.json").text
    for day, state, _, listed, readable in STATES:
        assert (day in index) is listed, state
        assert (day in feed) is listed, state
        assert (day in feed_json) is listed, state
        assert web.get(f"{site.base}/archive/{day}").status_code == (200 if readable else 404), state


@pytest.mark.parametrize(
    ("batch", "readable"),
    [
        *(("accepted", True), ("uncertain", True), ("submitting", True), ("written_off", True)),
        *(("prepared", False), ("refused", False)),
    ],
)
def test_a_hold_hides_a_letter_only_as_long_as_nobody_has_it(
    site: Site, web: httpx.Client, batch: str, readable: bool
) -> None:
    edition(site.opened, "2026-11-29", EditionState.SENDING, hold="paused by Marijke")
    edition(site.opened, "2026-11-22", EditionState.SENDING, hold="paused by Marijke")
    with site.opened.engine.begin() as connection:
        values = {"edition_id": 1, "first": 1, "last": 1, "size": 1, "provider": "sandbox", "key": "k"}
        connection.execute(insert(tables.batch).values(**values, state=batch))
    page = web.get(f"{site.base}/archive/2026-11-29")
    assert page.status_code == (200 if readable else 404)
    assert web.get(f"{site.base}/archive/2026-11-22").status_code == 404, "another letter's batch"
    assert "2026-11-29" not in web.get(f"{site.base}/archive").text, "the index waits for the end"


def test_a_letter_from_a_post_in_another_language_says_so(site: Site, web: httpx.Client) -> None:
    english = replace(builders.brief(), post=builders.post(language="en"))
    for day, brief in (("2026-11-29", english), ("2026-11-22", builders.brief())):
        slot = builders.slot(date.fromisoformat(day))
        made = site.opened.editions.create(slot, brief, builders.mailing(), now=NOW, approved=True)
        assert made is not None
        site.opened.editions.finish(made, now=NOW)
    foreign, own = (web.get(f"{site.base}/archive/{day}").text for day in ("2026-11-29", "2026-11-22"))
    assert '<h1 class="question" lang="en" dir="ltr">' in foreign
    assert '<h1 class="question" dir="auto">' in own
    assert 'lang="en"' in own, "the way to the newer letter"


@pytest.mark.fault(149)
@pytest.mark.parametrize(
    "path",
    [
        *("/archive/..", "/archive/../", "/archive/%2e%2e", "/archive/%2e%2e%2fmetrics", "/archive/..%5c"),
        *(
            "/archive/2026-11-29%00",
            "/archive/%00",
            "/archive/2026-11-29/../../p",
            "/archive/1",
            "/archive/%",
        ),
        *("/archive/2026-11-30", "/archive/2026-W48", "/archive/2026-11-29.html", "/archive//2026-11-29"),
        *(
            "/archive/%32%30%32%36-11-29%0a",
            "/archive/2026-11-29%20",
            "/archive/2026-11-29/x",
            "/archive/draft",
        ),
        *(
            "/ARCHIVE",
            "/archive/%D9%A2%D9%A0%D9%A2%D9%A6-11-29",
            "/archive/weekly:2026-11-29",
            "/archive.xml",
        ),
        "/archive/" + "a" * 3000,
    ],
)
def test_no_odd_path_finds_anything(site: Site, web: httpx.Client, path: str) -> None:
    edition(site.opened, "2026-11-29", EditionState.FINISHED)
    answer = raw_get(site.base, path)
    assert answer.startswith("HTTP/1.1 404") or answer.startswith("HTTP/1.1 400"), answer[:60]
    assert "Wat laat je vandaag liggen" not in answer


def raw_get(base: str, path: str) -> str:
    """Ask for a path as it is written: a client library would tidy it up first."""
    import socket

    host, _, port = base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := wire.recv(65_536):
            answer += chunk
    return answer.decode("utf-8", "replace")


@pytest.mark.fault(150)
def test_nothing_of_any_reader_is_in_it(site: Site, web: httpx.Client) -> None:
    """Every text about people in the database is looked for in everything that the archive answers."""
    edition(site.opened, "2026-11-29", EditionState.FINISHED)
    for number in range(3):
        site.reader(f"{CANARY}{number}@voorbeeld.example")
    with site.opened.engine.begin() as connection:
        connection.execute(update(tables.subscriber).values(name=f"Naam {CANARY}"))
        connection.execute(
            insert(tables.delivery).values(
                edition_id=1,
                ordinal=1,
                subscriber_id=1,
                delivery_id=f"{CANARY}-delivery",
                address=f"{CANARY}0@voorbeeld.example",
                address_key=f"{CANARY}0@voorbeeld.example",
                name=f"Naam {CANARY}",
                state="accepted",
            )
        )
    tokens = [site.signer.unsubscribe_token(number) for number in (1, 2, 3)]
    for path in ("/archive", "/archive?q=liggen", "/archive/2026-11-29", "/feed.xml", "/feed.json"):
        answer = web.get(
            f"{site.base}{path}", headers={"Cookie": f"reader={CANARY}", "Referer": f"http://{CANARY}"}
        )
        assert answer.status_code == 200
        assert "Wat laat je vandaag liggen?" in answer.text
        assert CANARY not in answer.text + str(answer.headers)
        assert not any(token in answer.text for token in tokens)
        assert not re.search(r"/[upca]/|WBMERGE|unsubscribe|/preferences", answer.text)


@pytest.mark.fault(145)
def test_no_header_of_a_request_gets_into_a_link(site: Site, web: httpx.Client) -> None:
    edition(site.opened, "2026-11-29", EditionState.FINISHED)
    for path in (
        "/archive",
        "/archive/2026-11-29",
        "/feed.xml",
        "/feed.json",
        "/archive?q=x&next=//evil.example",
    ):
        answer = web.get(
            f"{site.base}{path}", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        )
        assert "evil.example" not in answer.text + str(answer.headers)


def test_pages_may_be_kept_for_five_minutes_and_load_nothing(site: Site, web: httpx.Client) -> None:
    edition(site.opened, "2026-11-29", EditionState.FINISHED)
    for path in ("/archive", "/archive/", "/archive/2026-11-29", "/archive/2026-11-29/"):
        answer = web.get(f"{site.base}{path}")
        assert answer.headers["cache-control"] == "public, max-age=300"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "x-robots-tag" not in answer.headers
        assert "set-cookie" not in answer.headers
    assert web.get(f"{site.base}/archive?q=tas").headers["x-robots-tag"] == "noindex"
    assert web.get(f"{site.base}/archive/2026-11-30").headers["cache-control"] == "no-store"
    assert web.get(f"{site.base}/feed.xml").headers["content-type"].startswith("application/rss+xml")
    assert web.get(f"{site.base}/feed.json").headers["content-type"].startswith("application/feed+json")
    assert web.post(f"{site.base}/archive").status_code == 405
    assert web.head(f"{site.base}/archive").status_code == 200
    assert web.get(f"{site.base}/archive", params={"q": "x" * 9_000}).status_code == 200


def test_the_letter_links_to_its_page_and_the_page_is_there(tmp_path: Path) -> None:
    with newsletter(tmp_path / "brief") as letter:
        letter.subscribe(1)
        assert letter.run()["outcome"] == "sent"
        [line] = letter.record.page(limit=10)
        stored = letter.record.find(line.id)
        assert stored is not None
        for body in ("html", "text"):
            assert "https://brief.stillepost.example/archive/2026-11-29" in stored.message[body]
        settings = load_settings(letter.path / "schedule.yaml", {"WEEKBRIEF_SECRET": SECRET})
        with opened(settings) as store:
            esp = esp_of(settings)
            try:
                with serving(public_pages(settings, store, esp)) as base:
                    page = httpx.get(f"{base}/archive/2026-11-29")
            finally:
                esp.close()
        assert page.status_code == 200
        assert "Wat draag jij nog met je mee" in page.text
        assert 'rel="canonical" href="https://stillepost.example/de-tas"' in page.text


def test_without_an_archive_there_is_neither_page_nor_link(tmp_path: Path) -> None:
    with newsletter(tmp_path / "brief") as letter:
        file = letter.path / "schedule.yaml"
        file.write_text(file.read_text("utf-8") + "web:\n  archive: false\n", "utf-8")
        letter.subscribe(1)
        letter.run()
        [line] = letter.record.page(limit=10)
        stored = letter.record.find(line.id)
        assert stored is not None
        assert "/archive/" not in stored.message["html"] + stored.message["text"]
        settings = load_settings(file, {"WEEKBRIEF_SECRET": SECRET})
        with opened(settings) as store:
            esp = esp_of(settings)
            try:
                with serving(public_pages(settings, store, esp)) as base:
                    for path in ("/archive", "/archive/2026-11-29", "/feed.xml", "/feed.json"):
                        assert httpx.get(f"{base}{path}").status_code == 404
            finally:
                esp.close()


# As a folder


@pytest.fixture
def letter(tmp_path: Path) -> Iterator[Folder]:
    with newsletter(tmp_path / "brief") as folder:
        folder.subscribe(1)
        folder.run()
        yield folder


@pytest.mark.fault(150)
def test_the_archive_is_built_as_a_folder_and_again(letter: Folder) -> None:
    out = letter.path / "public" / "letters"
    for _ in range(2):
        done = letter.weekbrief("archive", "build", str(out))
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{out}: 1 letters in 4 files\n"
        made = {path.name for path in out.iterdir()}
        assert made == {"index.html", "2026-11-29.html", "feed.xml", "feed.json", MADE}
        assert [path.name for path in out.parent.iterdir()] == ["letters"]
    assert out.stat().st_mode & 0o777 == 0o755
    everything = "".join(path.read_text("utf-8") for path in out.iterdir())
    assert "lezer1@example.org" not in everything
    assert "Lezer 1" not in everything
    assert "/u/" not in everything
    assert json.loads((out / "feed.json").read_text("utf-8"))["items"]


def test_a_folder_with_other_things_in_it_is_left_alone(letter: Folder) -> None:
    out = letter.path / "site"
    out.mkdir()
    (out / "mine.html").write_text("mine", "utf-8")
    done = letter.weekbrief("archive", "build", str(out))
    assert done.returncode == 1
    assert "did not make" in done.stderr
    assert [path.name for path in out.iterdir()] == ["mine.html"]
    (out / "mine.html").unlink()
    assert letter.weekbrief("archive", "build", str(out)).returncode == 0
    (out / "extra.txt").write_text("mine", "utf-8")
    done = letter.weekbrief("archive", "build", str(out))
    assert "extra.txt" in done.stderr
    assert (out / "extra.txt").read_text("utf-8") == "mine"
    assert (out / "index.html").exists()


def test_a_build_that_breaks_off_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "letters"
    replace_folder(out, [("index.html", b"old")])

    def broken() -> Iterator[tuple[str, bytes]]:
        yield "index.html", b"new"
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        replace_folder(out, broken())
    assert (out / "index.html").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["letters"]
    file = tmp_path / "file"
    file.write_text("x", "utf-8")
    with pytest.raises(NotOurs, match="is a file"):
        replace_folder(file, [])
