"""Requests that nobody answers, from the database to the mail: reminded once, then forgotten."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import select, update

from pipeline.housekeeping import REMINDERS_AT_ONCE, Tidied, tidy
from pipeline.settings import load_settings
from pipeline.store import Store, open_store, tables
from pipeline.week import Week
from pipeline.wiring import week_of
from subscribers.addresses import normalise
from subscribers.consent import FORM, ConsentKind, ConsentRecord, verify
from subscribers.suppression import SuppressionReason
from tests.acceptance.newsletter import SECRET, Folder, newsletter

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Clock:
    """The week's clock, moved by hand."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    def wait(self, seconds: float, stop: Event) -> bool:
        return stop.is_set()


@dataclass
class House:
    """A newsletter to keep tidy."""

    week: Week
    folder: Folder
    clock: Clock

    @property
    def store(self) -> Store:
        return self.week.store

    def ask(self, address: str) -> int:
        found = self.store.subscribers.request(
            normalise(address), name="Lena", language="nl", consent=asked(self.clock.at)
        )
        assert found is not None
        return found.id

    def after(self, span: timedelta) -> Tidied:
        self.clock.at += span
        return tidy(self.week, stop=Event())

    def database_files(self) -> list[Path]:
        """SQLite's own; none on PostgreSQL."""
        return list(self.folder.path.parent.glob("weekbrief.db*"))

    def mailed(self) -> int:
        return self.folder.copies().total()


def asked(at: datetime) -> ConsentRecord:
    return ConsentRecord(
        kind=ConsentKind.REQUESTED,
        wording="Ja",
        source="page",
        page="https://brief.stillepost.example/join",
        language="nl",
        occurred_at=at,
        form=FORM,
        network="203.0.113.0/24",
    )


@contextmanager
def house(path: Path, storage: str) -> Iterator[House]:
    with newsletter(path / "brief", storage=storage) as folder:
        settings = load_settings(folder.path / "schedule.yaml", {"WEEKBRIEF_SECRET": SECRET})
        store, clock = open_store(settings.storage, now=START), Clock()
        try:
            yield House(replace(week_of(settings, store), clock=clock, clock_is_real=True), folder, clock)
        finally:
            store.close()


@pytest.fixture
def home(tmp_path: Path, storage: str) -> Iterator[House]:
    with house(tmp_path, storage) as found:
        yield found


def everything(store: Store) -> str:
    """All that the database holds, as text."""
    with store.engine.connect() as connection:
        return repr([connection.execute(select(table)).all() for table in tables.metadata.sorted_tables])


@pytest.mark.standard("G-03")
def test_a_request_is_brought_to_mind_once_and_forgotten_after_fourteen_days(home: House) -> None:
    lena = home.ask("lena@voorbeeld.example")
    assert home.after(2 * DAY) == Tidied()
    assert home.after(DAY).reminded == 1
    for _ in range(9):
        assert home.after(DAY).reminded == 0
    assert home.mailed() == 1
    assert "lena@voorbeeld.example" in everything(home.store)
    assert home.after(2 * DAY).forgotten == 1
    left = everything(home.store)
    for trace in ("lena", "voorbeeld.example", "Lena", "203.0.113"):
        assert trace not in left
    files = b"".join(file.read_bytes() for file in home.database_files())
    assert (b"SQLite format 3" in files) is (home.store.engine.dialect.name == "sqlite")
    assert b"lena@" not in files
    assert b"203.0.113" not in files
    assert home.store.subscribers.by_state()["erased"] == 1
    assert verify(home.store.consents.chain()).broken is None
    assert home.after(DAY) == Tidied()
    assert home.ask("lena@voorbeeld.example") != lena, "and nothing bars a new request"


def test_the_reminder_says_that_it_is_one_and_its_link_confirms(home: House) -> None:
    lena = home.ask("lena@voorbeeld.example")
    home.after(4 * DAY)
    line = home.folder.record.page(limit=1)[0]
    stored = home.folder.record.find(line.id)
    assert stored is not None
    text = str(stored.message["text"])
    assert "Een paar dagen geleden" in text
    token = home.week.signer.confirm_token(lena, 1)
    assert f"https://brief.stillepost.example/c/{token}" in text
    assert home.store.subscribers.confirm(lena, at=home.clock.at, how="page")
    assert home.after(20 * DAY) == Tidied()
    found = home.store.subscribers.by_id(lena)
    assert found is not None
    assert (found.state, found.reminded_at) == ("active", None)


def test_asking_again_starts_the_fourteen_days_anew(home: House) -> None:
    home.ask("lena@voorbeeld.example")
    assert home.after(9 * DAY).reminded == 1
    home.clock.at += DAY
    home.ask("lena@voorbeeld.example")
    assert home.after(5 * DAY).forgotten == 0
    assert home.after(9 * DAY).forgotten == 1


def test_a_former_reader_who_does_not_confirm_is_one_who_left_as_before(home: House) -> None:
    lena = home.ask("lena@voorbeeld.example")
    home.store.subscribers.confirm(lena, at=home.clock.at, how="page")
    home.store.subscribers.unsubscribe(lena, at=home.clock.at, how="page")
    home.clock.at += 2 * DAY
    assert home.ask("lena@voorbeeld.example") == lena
    assert home.after(15 * DAY).forgotten == 1
    found = home.store.subscribers.by_id(lena)
    assert found is not None
    assert (found.state, found.address) == ("unsubscribed", "lena@voorbeeld.example")
    assert home.store.subscribers.suppression("lena@voorbeeld.example") is SuppressionReason.UNSUBSCRIBED


@pytest.mark.parametrize("reason", [SuppressionReason.HARD_BOUNCE, SuppressionReason.COMPLAINT])
def test_nobody_is_reminded_whose_mailbox_refused_or_who_complained(
    home: House, reason: SuppressionReason
) -> None:
    home.ask("lena@voorbeeld.example")
    home.store.subscribers.suppress("lena@voorbeeld.example", reason, source="test", at=START)
    assert home.after(4 * DAY).reminded == 0
    assert home.mailed() == 0
    assert home.after(11 * DAY).forgotten == 1
    assert home.store.subscribers.suppression("lena@voorbeeld.example") is reason


def test_many_programs_at_once_remind_once(home: House) -> None:
    from concurrent.futures import ThreadPoolExecutor

    for number in range(5):
        home.ask(f"r{number}@voorbeeld.example")
    home.clock.at += 4 * DAY
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: tidy(home.week, stop=Event()), range(6)))
    assert sum(tidied.reminded for tidied in done) == 5
    assert set(home.folder.copies().values()) == {1}


def test_a_provider_that_is_away_costs_one_person_the_reminder_and_no_run_its_letter(
    home: House, caplog: pytest.LogCaptureFixture
) -> None:
    people = [home.ask(f"r{number}@voorbeeld.example") for number in range(3)]
    home.week = replace(home.week, esp=_no_provider)
    assert home.after(4 * DAY) == Tidied()
    assert "tidying up failed (ZeroDivisionError)" in caplog.text
    assert "voorbeeld.example" not in caplog.text
    assert all(found and not found.reminded_at for found in map(home.store.subscribers.by_id, people))


def _no_provider() -> object:
    return 1 / 0


def test_nothing_is_done_at_a_made_up_time_or_twice_in_an_hour_or_by_a_wrong_clock(home: House) -> None:
    home.ask("lena@voorbeeld.example")
    real = home.week
    home.week = replace(real, clock_is_real=False)
    assert home.after(30 * DAY) == Tidied()
    home.week = real
    home.clock.at = START
    home.store.installations.examined(START)
    assert home.after(800 * DAY) == Tidied(), "a clock two years ahead erases nobody"
    home.clock.at = START + 4 * DAY
    assert home.after(timedelta(0)).reminded == 1
    home.ask("bo@voorbeeld.example")
    with home.store.engine.begin() as connection:
        connection.execute(update(tables.subscriber).values(asked_at=START, reminded_at=None))
    assert home.after(HOUR / 2) == Tidied()
    assert home.after(HOUR / 2).reminded == 2


def test_a_crowd_is_reminded_in_parts(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.housekeeping.REMINDERS_AT_ONCE", 3)
    assert REMINDERS_AT_ONCE == 200
    for number in range(5):
        home.ask(f"r{number}@voorbeeld.example")
    assert [home.after(4 * DAY).reminded, home.after(HOUR).reminded, home.after(HOUR).reminded] == [3, 2, 0]


@pytest.mark.standard("G-02")
def test_counters_and_networks_do_not_outlive_their_time(home: House) -> None:
    lena = home.ask("lena@voorbeeld.example")
    home.store.subscribers.confirm(lena, at=home.clock.at, how="page")
    assert home.store.joins.count("all", since=START, most=9)
    assert home.after(2 * DAY + HOUR) == Tidied()
    assert home.store.joins.number("all", since=START) == 0
    assert home.after(29 * DAY).networks == 1
    assert [found.record.network for found in home.store.consents.of(lena)] == ["", ""]


def test_run_does_it_by_itself(home: House, caplog: pytest.LogCaptureFixture) -> None:
    """`weekbrief run` as cron calls it, on the machine's own clock."""
    caplog.set_level(logging.WARNING)
    home.clock.at = datetime.now(UTC) - 5 * DAY
    lena = home.ask("lena@voorbeeld.example")
    home.clock.at = datetime.now(UTC) - 15 * DAY
    bo = home.ask("bo@voorbeeld.example")
    done = home.folder.weekbrief("run", "--json")
    assert done.returncode in (0, 3), done.stderr
    assert home.folder.copies()["lena@voorbeeld.example"] >= 1
    assert home.folder.copies()["bo@voorbeeld.example"] == 0
    found = home.store.subscribers.by_id(bo)
    assert found is not None
    assert (found.state, found.address) == ("erased", "")
    reminded = home.store.subscribers.by_id(lena)
    assert reminded is not None
    assert reminded.reminded_at is not None
