"""The disk fills up, the database is locked or goes away while an edition is being sent (`faults.md` 3.2)."""

from __future__ import annotations

import logging
import resource
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url

from pipeline.report import Report
from pipeline.store import Counts, engine
from pipeline.store.engine import StorageError, StorageTrouble
from pipeline.store.ledger import LostLease
from pipeline.store.lock import AnotherRun
from pipeline.week import run_due
from tests import postgres
from tests.acceptance.faulty import NOW, WEEK, Faulty, at_answer, faulty
from tests.pooler import pooler

PEOPLE = 25
EVERYONE = Counts(frozen=PEOPLE, accepted=PEOPLE)


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", f"sqlite:///{tmp_path / 'weekbrief.db'}", concurrency=1) as letter:
        letter.subscribe(PEOPLE)
        yield letter


@pytest.fixture
def postgres_storage(postgres_server: str) -> Iterator[str]:
    with postgres.database(postgres_server, f"faults_{uuid4().hex[:12]}") as url:
        yield url


@pytest.fixture
def on_server(tmp_path: Path, postgres_storage: str) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", postgres_storage, concurrency=1) as letter:
        letter.subscribe(PEOPLE)
        yield letter


def database(letter: Faulty) -> Path:
    return Path(letter.storage.removeprefix("sqlite:///"))


class Quota:
    """A disk that is full: the database may not grow by a page."""

    def __init__(self) -> None:
        self.full = False

    def watch(self, connection: Any, *_: object) -> None:
        """Before each transaction, as the disk is then."""
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages if self.full else 2**30}")


@contextmanager
def watched(letter: Faulty, quota: Quota) -> Iterator[Any]:
    with letter.week() as week:
        event.listen(week.store.engine, "checkout", quota.watch)
        yield week


# Full


@pytest.mark.fault(23)
def test_a_full_disk_before_anything_left(on_disk: Faulty) -> None:
    quota = Quota()
    with watched(on_disk, quota) as week:
        quota.full = True
        with pytest.raises(StorageTrouble, match=r"the disk is full.*make room, then run again") as full:
            _fill(week, on_disk)
        assert not full.value.passing
    assert on_disk.copies() == {}
    report = on_disk.run()
    assert report.counts == EVERYONE
    assert on_disk.once_each(PEOPLE)


def _fill(week: Any, letter: Faulty) -> None:
    """Run until the disk is full: what is free inside the database is used up first."""
    run_due(replace(week, source=_Long(week.source)), stop=Event())


class _Long:
    """Posts whose text is longer than the room that is left in any database page."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def posts(self) -> Any:
        return [replace(post, text=post.text + "\n" + "x" * 200_000) for post in self._source.posts()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


@pytest.mark.fault(23)
@pytest.mark.fault(24)
def test_the_command_says_that_the_disk_is_full_and_goes_on_when_there_is_room(on_disk: Faulty) -> None:
    """The kernel keeps the child's files from growing (`RLIMIT_FSIZE`) somewhere in the edition."""
    on_disk.write(patience=1)
    died = on_disk.weekbrief("run", "--now", NOW, WEEKBRIEF_CRASH_AT="edition written")
    assert died.returncode == -9, "the post is read and rendered, which needs room of its own"
    biggest = max(file.stat().st_size for file in database(on_disk).parent.iterdir() if file.is_file())
    room = biggest + 4_000  # bytes: a page of the database
    done = subprocess.run(
        on_disk.command("run", "--now", NOW, "--json"),
        env=on_disk.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert done.returncode == 3, done.stderr
    assert "storage: the disk is full or cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert "@example.org" not in done.stderr
    calls = len(on_disk.provider.truth.requests())
    assert calls <= 1, "nothing more was claimed"
    said = "recipients 1 to 5 (accepted) could not be stored" in done.stderr
    with closing(sqlite3.connect(database(on_disk))) as ledger:
        (stored,) = ledger.execute("SELECT count(*) FROM delivery WHERE state = 'accepted'").fetchone()
    assert said or stored == 5 * calls, "an answer is stored, or it is said that it is not"
    assert on_disk.ask("run", "--now", NOW)["outcome"] == "sent"
    assert on_disk.once_each(PEOPLE)


@pytest.mark.fault(24)
def test_a_full_disk_after_the_intent(
    on_disk: Faulty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The second answer cannot be stored: it stands in the log, nothing more is claimed, and the next run
    asks with the same key."""
    caplog.set_level(logging.ERROR)
    fails = [0]
    with on_disk.week() as week:
        real = type(week.store.ledger(1, epoch=1, provider="resend")).record

        def record(self: Any, intent: Any, answer: Any, **more: Any) -> Any:
            if intent.batch.first == 1:
                return real(self, intent, answer, **more)
            fails[0] += 1
            with self._engine.begin() as connection:
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
                connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                connection.exec_driver_sql("CREATE TABLE more AS SELECT randomblob(1000000) AS room")
            return real(self, intent, answer, **more)

        monkeypatch.setattr("pipeline.store.ledger.Ledger.record", record)
        with pytest.raises(StorageTrouble, match="the disk is full"):
            run_due(week, stop=Event())
    assert fails[0] > 2, "it was tried again"
    assert "the answer for recipients 6 to 15 (accepted) could not be stored" in caplog.text
    assert on_disk.sizes() == [5, 10], "nothing more was claimed"
    assert on_disk.counts() == Counts(frozen=PEOPLE, accepted=5, submitted=10, pending=10)
    monkeypatch.undo()
    report = on_disk.run()
    assert report.counts == EVERYONE
    assert on_disk.once_each(PEOPLE)
    asked = on_disk.provider.truth.requests()
    assert asked[1].key == asked[2].key


@pytest.mark.fault(24)
def test_an_answer_that_can_be_stored_a_little_later_is_no_doubt(
    on_disk: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = [0]
    with on_disk.week() as week:
        real = type(week.store.ledger(1, epoch=1, provider="resend")).record

        def record(self: Any, intent: Any, answer: Any, **more: Any) -> Any:
            if intent.batch.first != 1 and fails[0] < 3:
                fails[0] += 1
                with self._engine.begin() as connection:
                    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
                    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
                    connection.exec_driver_sql("CREATE TABLE more AS SELECT randomblob(1000000) AS room")
            return real(self, intent, answer, **more)

        monkeypatch.setattr("pipeline.store.ledger.Ledger.record", record)
        report = run_due(week, stop=Event())
    assert report.counts == Counts(frozen=PEOPLE, accepted=15, pending=10)
    assert report.exit_code == 5
    assert on_disk.run().counts == EVERYONE
    assert on_disk.once_each(PEOPLE)


# Locked


@contextmanager
def locked(letter: Faulty) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(database(letter), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        other.close()


@pytest.mark.fault(25)
def test_a_lock_that_ends_in_time_is_waited_for(on_disk: Faulty) -> None:
    with locked(on_disk) as other:
        threading.Timer(1.0, lambda: other.interrupt()).start()
        process = on_disk.start("run", "--now", NOW, "--json")
        time.sleep(3)
        assert process.poll() is None, "it waits"
        assert on_disk.provider.truth.requests() == []
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert '"sent"' in out
    assert on_disk.once_each(PEOPLE)


@pytest.mark.fault(25)
def test_a_lock_in_mid_edition_is_waited_for_without_spinning(
    on_disk: Faulty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The busy time-out passes, it is tried again, and nothing is half done."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 300)
    caplog.set_level(logging.WARNING)
    held: list[sqlite3.Connection] = []

    def lock() -> None:
        other = sqlite3.connect(database(on_disk), isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        held.append(other)
        threading.Timer(1.2, lambda: other.execute("ROLLBACK")).start()

    report = on_disk.run(**at_answer(1, lock))
    held[0].close()
    assert report.counts == EVERYONE
    assert on_disk.once_each(PEOPLE)
    waits = caplog.text.count("another program has kept the database locked")
    assert 2 <= waits <= 5, "each try waited for the busy time-out"


@pytest.mark.fault(25)
def test_a_lock_that_does_not_end_is_a_clear_message_and_run_again(on_disk: Faulty) -> None:
    with locked(on_disk):
        began = time.monotonic()
        done = on_disk.weekbrief("run", "--now", NOW)
        assert time.monotonic() - began > engine.BUSY_TIMEOUT_MS / 1000
    assert done.returncode == 5, done.stderr
    assert "another program has kept the database locked" in done.stderr
    assert "Traceback" not in done.stderr
    assert on_disk.copies() == {}


# Weak promises


@pytest.mark.fault(22)
def test_a_database_that_does_not_sync_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's or a library's `PRAGMA synchronous = normal` on every connection."""
    real = engine._sqlite_pragmas

    def weaker(connection: Any, entry: Any) -> None:
        real(connection, entry)
        connection.execute("PRAGMA synchronous = normal")

    monkeypatch.setattr(engine, "_sqlite_pragmas", weaker)
    with pytest.raises(StorageError, match=r"synchronous is 1, which can forget a letter.*must be FULL"):
        engine.open_engine(f"sqlite:///{tmp_path / 'weak.db'}")


def test_a_damaged_database_is_said_in_plain_words_and_nothing_is_sent(on_disk: Faulty) -> None:
    file = Path(make_url(on_disk.storage).database or "")
    on_disk.run()
    sent = on_disk.copies()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = bytearray(file.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    file.write_bytes(damaged)
    for words in (("run", "--now", NOW), ("status",)):
        done = on_disk.weekbrief(*words)
        assert done.returncode == 3
        assert "storage: the database is damaged" in done.stderr
        assert "Traceback" not in done.stderr
    assert file.read_bytes() == damaged
    assert on_disk.copies() == sent


@pytest.mark.fault(22)
def test_a_server_that_does_not_sync_is_refused(
    postgres_storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weaker(connection: Any, _entry: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
        connection.commit()

    monkeypatch.setattr(engine, "_postgresql_durable", weaker)
    with pytest.raises(StorageError, match="synchronous_commit is off"):
        engine.open_engine(postgres_storage)


@pytest.mark.fault(22)
def test_a_weaker_default_of_the_server_is_overruled(on_server: Faulty) -> None:
    name = make_url(on_server.storage).database
    with psycopg.connect(on_server.storage, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    with on_server.store() as store, store.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


@pytest.mark.fault(26)
def test_every_writer_begins_immediately(on_disk: Faulty) -> None:
    """All transactions of a whole week, as SQLite itself gets them: who writes has begun IMMEDIATE."""
    begun: dict[int, str] = {}
    written: list[str] = []
    wrong: list[str] = []

    def watch(connection: Any, *_: object) -> None:
        connection.set_trace_callback(lambda statement: seen(id(connection), statement))

    def seen(connection: int, statement: str) -> None:
        word = statement.split(maxsplit=1)[0].upper()
        if word == "BEGIN":
            begun[connection] = statement
        elif word in ("INSERT", "UPDATE", "DELETE"):
            written.append(statement)
            if "IMMEDIATE" not in begun[connection]:
                wrong.append(statement)

    with on_disk.week() as week:
        event.listen(week.store.engine, "checkout", watch)
        assert run_due(week, stop=Event()).counts == EVERYONE
    assert wrong == []
    assert any(statement.startswith("UPDATE delivery") for statement in written)
    assert set(begun.values()) <= {"BEGIN", "BEGIN IMMEDIATE"}


# PostgreSQL


def _kill_backends(letter: Faulty, *, besides: int = 0) -> int:
    """End every session of this database but our own; gives how many there were."""
    with psycopg.connect(letter.storage, autocommit=True) as admin:
        ended = admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> %s",
            (besides,),
        ).fetchall()
    return len(ended)


@pytest.mark.fault(36)
def test_the_connections_drop_between_intent_and_outcome(on_server: Faulty) -> None:
    """The outcome is stored on a new connection under the same epoch, and the rest is sent."""
    ended: list[int] = []

    def fence(*, installation: str, ledger_seq: int) -> None:
        if len(ended) < 2:
            ended.append(_kill_backends(on_server))

    with on_server.week() as week:
        week.fence.raise_to = fence
        report = run_due(week, stop=Event())
    assert min(ended) > 0
    assert report.counts == EVERYONE
    assert on_server.once_each(PEOPLE)
    assert len(on_server.provider.truth.requests()) == 3, "nothing was asked twice"


@pytest.mark.fault(36)
def test_the_connection_drops_inside_the_outcome(on_server: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the first statement of T2: all of it is rolled back, and stored at the next try."""
    ended: list[int] = []
    with on_server.week() as week:
        ledger = type(week.store.ledger(1, epoch=1, provider="resend"))
        real = ledger._settle

        def settle(self: Any, *arguments: Any) -> Any:
            if not ended:
                ended.append(_kill_backends(on_server))
            return real(self, *arguments)

        monkeypatch.setattr(ledger, "_settle", settle)
        report = run_due(week, stop=Event())
    assert ended
    assert report.counts == Counts(frozen=PEOPLE, accepted=5, pending=20)
    assert report.exit_code == 5
    assert on_server.run().counts == EVERYONE
    assert on_server.once_each(PEOPLE)
    assert len({seen.key for seen in on_server.provider.truth.requests()}) == 4, "nothing was asked twice"


@pytest.mark.fault(36)
def test_a_successor_makes_what_the_lost_sender_writes_worthless(on_server: Faulty) -> None:
    """All sessions die with the lock in them, and a second sender is quicker: the first finishes nothing."""
    done: list[Report] = []

    def fence(*, installation: str, ledger_seq: int) -> None:
        if ledger_seq == 2:
            _kill_backends(on_server)
            done.append(on_server.run())

    with on_server.week() as week:
        week.fence.raise_to = fence
        with pytest.raises(LostLease):
            run_due(week, stop=Event())
    assert done[0].counts == EVERYONE
    assert on_server.once_each(PEOPLE)


@pytest.mark.fault(38)
@pytest.mark.parametrize("hands_out", ["newest", "oldest"])
def test_a_transaction_pooler_is_noticed_before_anything_is_sent(on_server: Faulty, hands_out: str) -> None:
    straight = on_server.storage
    with pooler(straight, hands_out=hands_out) as pooled:
        on_server.storage = pooled
        on_server.write()
        with pytest.raises(StorageError, match=r"a pooler .* stands before PostgreSQL.*pool_mode = session"):
            on_server.run()
    assert on_server.copies() == {}
    on_server.storage = straight
    on_server.write()
    assert on_server.run().counts == EVERYONE


def test_the_lock_is_free_again_when_its_session_was_killed(on_server: Faulty) -> None:
    on_server.run(progress=lambda _kind, _people: _kill_backends(on_server))
    try:
        report = on_server.run()
    except AnotherRun:
        pytest.fail("a dead session still holds the lock")
    assert report.outcome == "nothing_due" or report.counts == EVERYONE
    assert on_server.weekbrief("status", WEEK).returncode == 0
