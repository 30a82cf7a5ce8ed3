"""Showing consent from the command line: one person's evidence, and that none was edited."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from pipeline.store import open_store
from tests import builders
from tests.acceptance.newsletter import Folder, newsletter


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with newsletter(tmp_path / "brief") as found:
        store = open_store(f"sqlite:///{found.path / 'var' / 'weekbrief.db'}", now=builders.NOW)
        builders.subscribe(store, 4)
        store.close()
        yield found


@pytest.fixture
def database(folder: Folder) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{folder.path / 'var' / 'weekbrief.db'}")
    yield engine
    engine.dispose()


def verified(folder: Folder, *words: str) -> tuple[dict[str, Any], int]:
    done = folder.weekbrief("subscribers", "verify", "--json", *words)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done.returncode


def change(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount == 1


@pytest.mark.standard("G-02")
def test_the_evidence_of_one_person_is_one_record_with_everything(folder: Folder) -> None:
    done = folder.weekbrief("subscribers", "evidence", "Reader1@Example.org", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["address"], found["state"]) == ("reader1@example.org", "active")
    (record,) = found["records"]
    assert record["kind"] == "imported"
    assert record["occurred_at"] == builders.NOW.isoformat()
    assert record["source"] == "test list"
    assert len(record["sha256"]) == 64
    assert record["altered"] == ""
    people = folder.weekbrief("subscribers", "evidence", "reader1@example.org").stdout
    assert "imported  by" in people
    assert record["sha256"] in people


def test_nobody_has_no_evidence(folder: Folder) -> None:
    done: subprocess.CompletedProcess[str] = folder.weekbrief("subscribers", "evidence", "x@example.org")
    assert done.returncode == 1
    assert "nobody with the address" in done.stderr


def test_an_untouched_chain_holds_and_grows_behind_a_noted_hash(folder: Folder) -> None:
    before, code = verified(folder)
    assert (before["records"], before["older"], before["broken"]) == (4, 0, None)
    assert (before["sound"], code) == (True, 0)
    assert folder.weekbrief("subscribers", "remove", "reader2@example.org").returncode == 0
    after, code = verified(folder, "--head", before["head"])
    assert (code, after["records"], after["head_found"]) == (0, 5, True)
    assert "5 records hold." in folder.weekbrief("subscribers", "verify").stdout


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("update consent set source = 'paper form' where id = 2", 2),
        ("update consent set occurred_at = '2020-01-01 00:00:00.000000' where id = 3", 3),
        ("update consent set subscriber_id = 1 where id = 2", 2),
        ("delete from consent where id = 2", 3),
    ],
)
def test_an_edited_chain_names_the_first_record_that_does_not_hold(
    folder: Folder, database: Engine, statement: str, broken: int
) -> None:
    change(database, statement)
    found, code = verified(folder)
    assert (code, found["broken"], found["sound"]) == (3, broken, False)
    said = folder.weekbrief("subscribers", "verify")
    assert said.returncode == 3
    assert f"Record {broken} does not hold" in said.stdout


def test_what_was_cut_off_at_the_end_is_missed_by_its_noted_hash(folder: Folder, database: Engine) -> None:
    noted, _ = verified(folder)
    change(database, "delete from consent where id = 4")
    assert verified(folder)[1] == 0, "the rest of a chain is a chain"
    found, code = verified(folder, "--head", noted["head"])
    assert (code, found["head_found"], found["sound"]) == (3, False, False)


def test_evidence_of_someone_whose_record_was_edited_says_so(folder: Folder, database: Engine) -> None:
    change(database, "update consent set wording = 'Ja, graag' where id = 1")
    done = folder.weekbrief("subscribers", "evidence", "reader1@example.org")
    assert done.returncode == 3
    assert "altered" in done.stdout
