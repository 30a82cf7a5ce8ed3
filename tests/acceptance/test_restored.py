"""The past comes back: a restored backup, a copied folder, the wrong database. Nothing leaves until a person
has looked."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import postgres
from tests.acceptance.newsletter import NOW, Folder, newsletter

PEOPLE = 30


@pytest.fixture
def letter(tmp_path: Path) -> Iterator[Folder]:
    with newsletter(tmp_path / "brief", batch_size=5) as folder:
        folder.subscribe(PEOPLE)
        yield folder


def _stop_after_two_batches(folder: Folder) -> int:
    """Kill a run after its second batch; gives how many letters had arrived."""
    died = folder.weekbrief("run", "--now", NOW, WEEKBRIEF_CRASH_AT="after outcome:2")
    assert died.returncode == -9, died.stderr
    return folder.record.counts().messages


def _backup(database: Path, copy: Path) -> None:
    with sqlite3.connect(database) as source, sqlite3.connect(copy) as target:
        source.backup(target)


def _put_back(copy: Path, database: Path) -> None:
    for leftover in database.parent.glob(database.name + "-*"):
        leftover.unlink()
    shutil.copyfile(copy, database)


def _held(folder: Folder, words: str) -> None:
    before = folder.record.counts().calls
    said = folder.run()
    assert (said["outcome"], said["exit"]) == ("held", 3), said
    assert any(words in note and "weekbrief release --confirm" in note for note in said["notes"]), said
    assert folder.record.counts().calls == before


@pytest.mark.fault(32)
def test_an_old_backup_sends_nothing_until_it_is_released(letter: Folder, tmp_path: Path) -> None:
    database = letter.path / "var" / "weekbrief.db"
    _stop_after_two_batches(letter)
    _backup(database, tmp_path / "old.db")
    assert letter.run()["outcome"] == "sent"
    _put_back(tmp_path / "old.db", database)
    _held(letter, "older than what was sent from it")
    looked = letter.weekbrief("release")
    assert looked.returncode == 3
    assert re.search(r"edition 2026-11-29: sending, \d+ of 30 still open", looked.stdout)
    assert letter.weekbrief("release", "--confirm", "--by", "Marijke").returncode == 0
    # This provider is keyed: what goes again is swallowed by the keys, which are derived and not random.
    assert letter.run()["outcome"] == "sent"
    assert set(letter.copies().values()) == {1}
    assert len(letter.copies()) == PEOPLE


@pytest.mark.fault(32)
def test_a_cancelled_edition_goes_to_nobody_after_a_release(letter: Folder, tmp_path: Path) -> None:
    database = letter.path / "var" / "weekbrief.db"
    _stop_after_two_batches(letter)
    _backup(database, tmp_path / "old.db")
    letter.run()
    _put_back(tmp_path / "old.db", database)
    assert letter.weekbrief("cancel", "2026-W48", "--by", "Marijke").returncode == 0
    assert letter.weekbrief("release", "--confirm", "--by", "Marijke").returncode == 0
    calls = letter.record.counts().calls
    assert letter.run()["outcome"] == "nothing_due"
    assert letter.record.counts().calls == calls


@pytest.mark.fault(33)
def test_a_whole_folder_put_back_is_noticed_by_its_fence(letter: Folder, tmp_path: Path) -> None:
    _stop_after_two_batches(letter)
    shutil.copytree(letter.path / "var", tmp_path / "var")
    letter.run()
    # Moved away, not removed: the file system could give its inode to the copy.
    (letter.path / "var").rename(tmp_path / "gone")
    shutil.copytree(tmp_path / "var", letter.path / "var")
    _held(letter, "is a copy or was restored")


@pytest.mark.fault(34)
def test_of_an_original_and_its_clone_one_sends(letter: Folder, tmp_path: Path) -> None:
    _stop_after_two_batches(letter)
    shutil.copytree(letter.path, tmp_path / "clone", ignore=shutil.ignore_patterns("sandbox.db*"))
    clone = Folder(tmp_path / "clone", letter.record)
    _held(clone, "is a copy or was restored")
    assert letter.run()["outcome"] == "sent"
    _held(clone, "is a copy or was restored")
    assert set(letter.copies().values()) == {1}


@pytest.mark.fault(35)
def test_an_empty_database_by_mistake_sends_to_nobody(letter: Folder) -> None:
    letter.run()
    file = letter.path / "schedule.yaml"
    file.write_text(file.read_text("utf-8").replace("var/weekbrief.db", "var/other.db"), "utf-8")
    letter.subscribe(PEOPLE)
    _held(letter, "point `storage:` back to it")


@pytest.mark.fault(37)
def test_a_failover_that_lost_the_last_commits_is_noticed(postgres_server: str, tmp_path: Path) -> None:
    name = f"failover_{os.getpid()}"
    with (
        postgres.database(postgres_server, name) as storage,
        newsletter(tmp_path / "brief", storage=storage, batch_size=5) as letter,
    ):
        letter.subscribe(PEOPLE)
        _stop_after_two_batches(letter)
        with psycopg.connect(postgres_server, autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}_old" TEMPLATE "{name}"')  # type: ignore[call-overload]
            assert letter.run()["outcome"] == "sent"
            file = letter.path / "schedule.yaml"
            file.write_text(file.read_text("utf-8").replace(f"/{name}", f"/{name}_old"), "utf-8")
            _held(letter, "older than what was sent from it")
            admin.execute(f'DROP DATABASE "{name}_old" WITH (FORCE)')  # type: ignore[call-overload]


def test_another_machine_waits_for_a_person(letter: Folder) -> None:
    letter.run()
    with sqlite3.connect(letter.path / "var" / "weekbrief.db") as database:
        if database.execute("select machine_fingerprint from installation").fetchone() == (None,):
            pytest.skip("this machine has no name of its own (/etc/machine-id)")
        database.execute("update installation set machine_fingerprint = 'another'")
    _held(letter, "another machine")
    assert letter.weekbrief("release", "--confirm", "--by", "Marijke").returncode == 0
    assert letter.run()["outcome"] == "nothing_due"
