"""Many subscribers, little memory (`faults.md` 43): a real run, whose peak the kernel measured."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from pipeline.store import Counts, Store
from pipeline.store.engine import is_sqlite
from tests.acceptance.faulty import NOW, WEEK, Faulty, faulty

MOST = 150
"""Megabytes for a whole run, however many people there are."""

_COLUMNS = "(address, address_key, name, language, state, created_at)"
_SQLITE = f"""
WITH RECURSIVE numbers(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
INSERT INTO subscriber {_COLUMNS}
SELECT 'r' || n || '@example.org', 'r' || n || '@example.org', 'Lezer ' || n, 'nl', 'active',
  '2026-01-05 00:00:00'
FROM numbers
"""
_POSTGRESQL = f"""
INSERT INTO subscriber {_COLUMNS}
SELECT 'r' || n || '@example.org', 'r' || n || '@example.org', 'Lezer ' || n, 'nl', 'active', '2026-01-05'
FROM generate_series(cast(:first AS int), cast(:last AS int)) AS n
"""


def _fill(store: Store, first: int, last: int) -> None:
    with store.engine.begin() as connection:
        words = _SQLITE if is_sqlite(connection) else _POSTGRESQL
        connection.execute(text(words), {"first": first, "last": last})


def _peak_of_a_run(letter: Faulty) -> float:
    """The most memory a whole `weekbrief run` held at a time, in megabytes: the kernel's own high-water mark.
    (What `wait4` tells is no use here: it begins with the mark of the process that started the other.)"""
    marks = [0]
    with letter.running("run", "--now", NOW, "--json") as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            marks += map(int, re.findall(r"VmHWM:\s+(\d+) kB", status.read_text("ascii")))
            time.sleep(0.02)
        out, err = process.communicate()
    assert process.returncode == 0, out + err
    return max(marks) / 1024


@pytest.fixture
def letter(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    with faulty(
        tmp_path / "brief", storage, speaks="mailgun", batch_size=1000, script={"bodies": False}
    ) as made:
        yield made


def _send_to(letter: Faulty, people: int) -> float:
    """Send to so many; gives the peak. The post names its language: to guess that of a short one takes a
    model of 100 MB, whatever the number of people."""
    post = letter.path / "posts" / "de-tas.md"
    post.write_text(post.read_text("utf-8").replace("title:", "language: nl\ntitle:", 1), "utf-8")
    with letter.store() as store:
        _fill(store, 1, people)
    peak = _peak_of_a_run(letter)
    assert letter.counts() == Counts(frozen=people, accepted=people)
    assert letter.once_each(people)
    return peak


@pytest.mark.fault(43)
@pytest.mark.slow
def test_twenty_times_as_many_people_need_no_more_memory(
    letter: Faulty, tmp_path: Path, storage: str
) -> None:
    with faulty(tmp_path / "small", "sqlite:///var/weekbrief.db", speaks="mailgun") as small:
        small.write(batch_size=1000)
        few = _send_to(small, 1_000)
    many = _send_to(letter, 20_000)
    print(f"peak memory: {few:.0f} MB for 1,000 people, {many:.0f} MB for 20,000")
    assert many < MOST
    assert many - few < 25, "the batches in the air, and no list of people"


@pytest.mark.fault(43)
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    not os.environ.get("WEEKBRIEF_LONG_TESTS"), reason="a million people: set WEEKBRIEF_LONG_TESTS=1"
)
def test_a_million_people_fit_into_the_same_memory(letter: Faulty) -> None:
    peak = _send_to(letter, 1_000_000)
    began = time.monotonic()
    assert letter.ask("status", WEEK)["counts"]["accepted"] == 1_000_000
    seconds = time.monotonic() - began
    print(f"peak memory: {peak:.0f} MB for 1,000,000 people; status in {seconds:.1f} s")
    assert peak < MOST
    assert seconds < 5
