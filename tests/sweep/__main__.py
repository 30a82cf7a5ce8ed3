"""The long sweep: `python -m tests.sweep --runs 10000 --seed 1`. Prints progress; stops by itself."""

from __future__ import annotations

import argparse
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock

import psycopg

from tests import postgres
from tests.sweep.scenario import Scenario, again, long
from tests.sweep.stand import Result, Stand
from tests.sweep.tally import Tally, put_into

PAPER = Path(__file__).parents[2] / "docs" / "reliability.md"
MEMORY = Path("/dev/shm")
"""Kills need no disk: what a process has written survives its death. Power cuts are tested elsewhere."""
TOO_MANY = 25
"""Broken runs after which more tell nothing new."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    chosen = [again(options.again)] if options.again else list(long(options.runs, options.seed))
    began = time.monotonic()
    with postgres.server() as server, tempfile.TemporaryDirectory(prefix="sweep", dir=_where()) as folder:
        if server is None:
            print("no PostgreSQL here: install it (Debian: postgresql)", file=sys.stderr)
            return 2
        with psycopg.connect(server) as connection:
            version = connection.info.server_version // 10_000

        def keep(tally: Tally) -> None:
            if options.write:
                minutes = (time.monotonic() - began) / 60
                put_into(PAPER, _summary(options.seed, tally, minutes, version))

        tally = _play(chosen, Path(folder), server, options.workers, keep, loud=bool(options.again))
        keep(tally)
    print(_summary(options.seed, tally, (time.monotonic() - began) / 60, version))
    return 1 if tally.broken else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sweep", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="of the whole sweep")
    parser.add_argument("--workers", type=int, default=2, help="stands side by side")
    parser.add_argument("--again", metavar="ID", help="only this scenario, as a complaint names it")
    parser.add_argument("--write", action="store_true", help=f"keep the result in docs/{PAPER.name}")
    return parser.parse_args(arguments)


def _where() -> Path | None:
    return MEMORY if MEMORY.is_dir() else None


def _play(
    chosen: Sequence[Scenario],
    folder: Path,
    server: str,
    workers: int,
    keep: Callable[[Tally], None],
    *,
    loud: bool,
) -> Tally:
    """Every stand takes the next scenario when it is done with one. What there is is kept now and then, so
    that a sweep that is stopped was not for nothing."""
    waiting, lock, enough = iter(chosen), Lock(), Event()
    tally, began = Tally(), time.monotonic()

    def next_ones() -> Iterator[Scenario]:
        while not enough.is_set():
            with lock:
                scenario = next(waiting, None)
            if scenario is None:
                return
            yield scenario

    def told(result: Result) -> None:
        with lock:
            tally.add(result)
            _tell(result, tally, len(chosen), began, always=loud)
            if len(tally.results) % 1000 == 0:
                keep(tally)
            if len(tally.broken) >= TOO_MANY:
                enough.set()

    def work(number: int) -> None:
        with Stand(folder / f"stand{number}", server=server, name=f"sweep{number}") as stand:
            for scenario in next_ones():
                told(stand.play(scenario))

    workers = min(workers, len(chosen))
    with ThreadPoolExecutor(workers) as pool:
        for done in as_completed([pool.submit(work, number) for number in range(workers)]):
            if done.exception():
                enough.set()
            done.result()
    return tally


def _tell(result: Result, tally: Tally, runs: int, began: float, *, always: bool) -> None:
    if result.complaints or always:
        print(f"{'BROKEN' if result.complaints else 'held'}: {result.scenario}; died at {result.deaths}")
        for complaint in result.complaints:
            print(f"    {complaint}")
    done = len(tally.results)
    if done % 250 == 0 or done == runs:
        seconds = time.monotonic() - began
        left = seconds / done * (runs - done) / 60
        print(f"{done} of {runs} runs, {len(tally.broken)} broken, about {left:.0f} minutes left", flush=True)


def _summary(seed: int, tally: Tally, minutes: float, postgresql: int) -> str:
    parts = f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, PostgreSQL {postgresql}"
    runs = len(tally.results)
    held = "every rule held in every run" if not tally.broken else f"{len(tally.broken)} runs broke a rule"
    head = (
        f"{runs:,} runs, seed {seed}, {datetime.now(UTC):%d %B %Y}, {parts}, {minutes:.0f} minutes: {held}."
    )
    return f"{head}\n\n{tally.table()}"


if __name__ == "__main__":
    sys.exit(main())
