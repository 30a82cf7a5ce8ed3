"""Writes that share a transaction: each has its own end, and after a failed commit nobody is told yes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, text

from pipeline.store.engine import open_engine
from pipeline.store.together import Together


@pytest.fixture
def engine(storage: str) -> Iterator[Engine]:
    made = open_engine(storage)
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE mark (n INTEGER PRIMARY KEY)"))
    yield made
    made.dispose()


def mark(number: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO mark VALUES (:n)"), {"n": number})
        if number % 10 == 7:
            raise ValueError(f"not {number}")
        return number

    return work


def marks(engine: Engine) -> set[int]:
    with engine.connect() as connection:
        return set(connection.execute(text("SELECT n FROM mark")).scalars())


def test_each_write_has_its_own_end(engine: Engine) -> None:
    together, began = Together(engine), threading.Barrier(32)

    def one(number: int) -> int | None:
        if number < 32:
            began.wait(30)
        try:
            return together.write(mark(number))
        except ValueError:
            return None

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(one, range(200)))
    good = {number for number in range(200) if number % 10 != 7}
    assert {number for number in found if number is not None} == good
    assert marks(engine) == good


def test_they_share_commits(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'weekbrief.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE mark (n INTEGER PRIMARY KEY)"))
    commits: list[int] = []
    event.listen(engine, "commit", lambda _connection: commits.append(1))
    together, begun, go = Together(engine), threading.Event(), threading.Event()

    def first(connection: Connection) -> None:
        begun.set()
        go.wait(30)

    with ThreadPoolExecutor(21) as pool:
        slow = pool.submit(together.write, first)
        begun.wait(30)
        rest = [pool.submit(together.write, mark(number * 10)) for number in range(20)]
        while len(together._waiting) < 20:
            pass
        go.set()
        slow.result()
        assert [done.result() for done in rest] == [number * 10 for number in range(20)]
    assert len(commits) == 2
    engine.dispose()


def test_a_commit_that_fails_fails_for_all(engine: Engine) -> None:
    def refuse(_connection: Connection) -> None:
        raise OSError("the disk is away")

    together = Together(engine)
    event.listen(engine, "commit", refuse)
    with pytest.raises(OSError, match="the disk is away"):
        together.write(mark(1))
    event.remove(engine, "commit", refuse)
    assert marks(engine) == set()
    assert together.write(mark(2)) == 2
