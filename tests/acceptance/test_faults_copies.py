"""Two copies of one newsletter, and one newsletter with two senders (`faults.md` 34)."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.faulty import NOW, Faulty, faulty

PEOPLE = 25
RUN = ("run", "--now", NOW, "--json")


@pytest.fixture
def original(tmp_path: Path) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", "sqlite:///var/weekbrief.db", concurrency=1) as letter:
        letter.subscribe(PEOPLE)
        yield letter


def copied(letter: Faulty) -> Faulty:
    """The whole folder, as a snapshot or `cp -a` makes it."""
    folder = letter.path.parent / "copy"
    shutil.copytree(letter.path, folder)
    return replace(letter, path=folder)


@pytest.mark.fault(34)
@pytest.mark.parametrize("before", ["the first letter", "the second half"])
def test_of_two_copies_started_at_once_exactly_one_sends(original: Faulty, before: str) -> None:
    if before == "the second half":
        died = original.weekbrief(*RUN, WEEKBRIEF_CRASH_AT="after outcome:1")
        assert (died.returncode, len(original.copies())) == (-9, 5)
    clone = copied(original)
    running = [each.start(*RUN) for each in (original, clone)]
    said = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    assert [each["outcome"] for each in said] == ["sent", "held"]
    assert "a copy or was restored" in " ".join(said[1]["notes"])
    assert original.once_each(PEOPLE)


@pytest.mark.fault(34)
def test_a_copy_that_a_person_releases_sends(original: Faulty) -> None:
    clone = copied(original)
    shutil.rmtree(original.path)
    assert clone.ask(*RUN, code=3)["outcome"] == "held"
    assert clone.weekbrief("release").returncode == 3, "without --confirm it only says what is wrong"
    assert clone.weekbrief("release", "--confirm", "--by", "Marijke").returncode == 0
    assert clone.ask(*RUN)["outcome"] == "sent"
    assert clone.once_each(PEOPLE)
    with sqlite3.connect(clone.path / "var" / "weekbrief.db") as ledger:
        assert ledger.execute("SELECT who, what FROM decision").fetchall() == [("Marijke", "release")]


@pytest.mark.fault(34)
def test_two_senders_on_one_database_are_one_sender(tmp_path: Path, storage: str) -> None:
    """Two machines with a folder each, and one database: the lock lets one of them send."""
    with faulty(tmp_path / "brief", storage, concurrency=1) as letter:
        letter.subscribe(PEOPLE)
        letter.provider.play([{"times": 0, "late": 0.3}])
        other = copied(letter)
        running = [each.start(*RUN) for each in (letter, other)]
        outs = [process.communicate(timeout=60) for process in running]
        codes = sorted(process.returncode for process in running)
        assert codes[0] == 0, outs
        assert codes[1] in (3, 6), outs
        assert letter.once_each(PEOPLE)
