"""The public pages with a PostgreSQL role of their own (`faults.md` 155): all of them work, and whoever has
its password can make no edition, no audience and no ledger."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import make_url

from pipeline.store import open_store
from pipeline.store.roles import grants_for_pages
from subscribers.tokens import Signer
from tests import builders
from tests.acceptance.newsletter import newsletter
from tests.fakes import FakeClock
from tests.serving import SECRET, Site, newsletter_site

ROLE = "weekbrief_web"


@pytest.fixture
def owners(storage: str) -> str:
    """The owner's URL of a database with an edition that was sent to three people."""
    if storage.startswith("sqlite"):
        pytest.skip("SQLite has no roles")
    store = open_store(storage, now=builders.NOW)
    edition = builders.edition(store, people=3)
    store.editions.freeze(edition, provider="sandbox", now=builders.NOW)
    store.close()
    return storage


@pytest.fixture
def webs(owners: str) -> Iterator[str]:
    with role(owners) as url:
        yield url


@contextmanager
def role(owners: str) -> Iterator[str]:
    """The URL of the same database for the role of the pages, for the block."""
    with psycopg.connect(owners, autocommit=True) as admin:
        with suppress(psycopg.errors.DuplicateObject):
            admin.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'kept-by-nobody'")
        for statement in grants_for_pages(ROLE):
            admin.execute(statement.encode())
    url = make_url(owners).set(username=ROLE, password="kept-by-nobody")
    yield url.render_as_string(hide_password=False)
    with psycopg.connect(owners, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {ROLE}")


@pytest.fixture
def site(webs: str) -> Iterator[Site]:
    with newsletter_site(webs, at=builders.NOW + timedelta(hours=1)) as made:
        yield made


def post(site: Site, path: str, **fields: str) -> httpx.Response:
    return httpx.post(site.base + path, data=fields, trust_env=False)


@pytest.mark.fault(155)
def test_every_page_works_with_it(site: Site) -> None:
    joined = post(site, "/join", email="anna@example.org", name="Anna", language="nl")
    assert joined.status_code == 200
    site.wait_for_asks(1)
    assert post(site, urlsplit(site.asked[0].url).path).status_code == 200
    anna = site.opened.subscribers.by_key("anna@example.org")
    assert anna is not None
    assert anna.state == "active"
    unsubscribe = f"/u/{site.signer.unsubscribe_token(anna.id)}"
    for path, fields in (
        (unsubscribe, {"List-Unsubscribe": "One-Click"}),
        (f"{unsubscribe}/undo", {}),
        (f"{unsubscribe}/preferences", {"pause": "2"}),
        (f"{unsubscribe}/preferences", {"frequency": "month"}),
        (f"{unsubscribe}/preferences", {"language": "en"}),
        (f"{unsubscribe}/preferences/link", {}),
    ):
        assert post(site, path, **fields).status_code == 200, path
    own = urlsplit(site.wait_for_notices(2)[-1].url).path
    for path in (own, f"{own}/data.json", "/metrics", "/healthz", "/privacy"):
        assert httpx.get(site.base + path, trust_env=False).status_code == 200, path


@pytest.mark.fault(155)
def test_somebody_in_a_frozen_audience_can_be_forgotten_with_it(site: Site, owners: str) -> None:
    shadow = Signer(SECRET, scope=site.opened.installation.id).shadows("reader1@example.org")[0]
    assert site.opened.subscribers.erase(1, shadow=shadow, at=FakeClock()())
    with psycopg.connect(owners) as admin:
        rows = admin.execute("SELECT address, state FROM delivery ORDER BY subscriber_id").fetchall()
    assert [row[0] for row in rows] == [None, "reader2@example.org", "reader3@example.org"]


@pytest.mark.fault(155)
@pytest.mark.parametrize(
    "stolen",
    [
        "INSERT INTO edition SELECT * FROM edition",
        "UPDATE edition SET mailing = '{}'",
        "UPDATE edition SET state = 'approved', hold_reason = NULL",
        "DELETE FROM edition",
        "INSERT INTO slot SELECT * FROM slot",
        "INSERT INTO delivery SELECT * FROM delivery",
        "DELETE FROM delivery",
        "UPDATE delivery SET batch_id = 1",
        "UPDATE delivery SET subscriber_id = 99",
        "INSERT INTO batch SELECT * FROM batch",
        "UPDATE batch SET state = 'accepted'",
        "SELECT * FROM attempt",
        "INSERT INTO event SELECT * FROM event",
        "UPDATE event SET kind = 'accepted'",
        "UPDATE installation SET lease_epoch = 99",
        "UPDATE installation SET hold_reason = NULL",
        "SELECT * FROM decision",
        "UPDATE consent SET wording = 'something else'",
        "DELETE FROM consent",
        "DELETE FROM subscriber",
        "UPDATE alembic_version SET version_num = '0001'",
        "UPDATE gate SET opens = now()",
        "DROP TABLE edition",
        "TRUNCATE delivery",
        "CREATE TABLE public.mine (n int)",
    ],
)
def test_who_stole_its_password_sends_nothing(webs: str, stolen: str) -> None:
    with psycopg.connect(webs, autocommit=True) as thief, pytest.raises(InsufficientPrivilege):
        thief.execute(stolen.encode())


@pytest.mark.fault(155)
def test_the_real_service_runs_with_it(tmp_path: Path, storage: str) -> None:
    if storage.startswith("sqlite"):
        pytest.skip("SQLite has no roles")
    with newsletter(tmp_path / "brief", storage=storage) as letter:
        letter.subscribe(2)
        assert letter.run()["outcome"] == "sent"
        with role(storage) as webs:
            file = letter.path / "schedule.yaml"
            file.write_text(file.read_text("utf-8").replace(storage, webs), "utf-8")
            service = letter.start("serve", "--pages", "--port", "0")
            try:
                assert service.stderr
                url = service.stderr.readline().rpartition(" at ")[2].partition(". Stop")[0]
                assert httpx.get(f"{url}/archive/2026-11-29", trust_env=False).status_code == 200
                asked = httpx.post(f"{url}/join", data={"email": "anna@example.org"}, trust_env=False)
                assert asked.status_code == 200
                ends = time.monotonic() + 20
                while not letter.copies()["anna@example.org"] and time.monotonic() < ends:
                    time.sleep(0.05)
                assert letter.copies()["anna@example.org"] == 1
                service.terminate()
                assert service.wait(30) == 0
            finally:
                service.kill()
                service.communicate()


def test_the_command_prints_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "grants", 'web "role"'],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ},
    )
    assert done.stdout.splitlines() == list(grants_for_pages('web "role"'))
    assert 'TO "web ""role""";' in done.stdout
