"""A burst of reports while an edition is being sent: `python -m benchmarks.events --calls 100000`.

Two processes post signed reports as fast as they are taken; the service stores them, a reader reads them, and a
sender hands an edition over meanwhile. Printed are calls a second until all are stored, the processor's time of a
call, when all were read, how long the same edition takes with and without the burst, and how many were lost, which
must be none.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import func, select

from pipeline.events import digest, reading
from pipeline.store import Store, tables
from pipeline.store.editions import Edition
from pipeline.web.hooks import Hooks
from tests import builders
from tests.acceptance.test_faults_events import Desk, hooks_of
from tests.builders import NOW
from tests.scripted import ScriptedEsp
from tests.serving import newsletter_site
from tests.webhooks import About, providers

CLIENTS = 2
PER_CLIENT = 8
"""Connections of each."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000, help="reports in all")
    parser.add_argument("--people", type=int, default=5_000, help="recipients of the edition")
    parser.add_argument("--storage", help="a database that may be filled; a new SQLite file if left out")
    parser.add_argument("--client", nargs=3, metavar=("URL", "FILE", "NUMBER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        _client(*options.client[:2], int(options.client[2]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        storage = options.storage or f"sqlite:///{folder}/burst.db"
        return _burst(storage, Path(folder), calls=options.calls, people=options.people)


def _burst(storage: str, folder: Path, *, calls: int, people: int) -> int:
    bell = threading.Event()

    def rooms(store: Store, clock: object) -> Sequence[Hooks]:
        return hooks_of(store, clock)  # type: ignore[arg-type]

    with newsletter_site(storage, at=NOW, rooms=rooms) as site:
        store = site.opened
        edition = builders.edition(store, people=people)
        store.editions.freeze(edition, provider="scripted", now=NOW)
        desk = Desk(site, edition)
        alone = _send(desk, again=True)
        (next_one,) = _another(store)
        names = _names(store, edition, folder, calls)
        desk.edition = next_one
        took: list[float] = []
        sender = threading.Thread(target=lambda: took.append(_send(desk)))
        began, processor = time.perf_counter(), time.process_time()
        with reading(store, bell=bell, every=0.5):
            clients = [
                subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "benchmarks.events",
                        "--client",
                        site.base,
                        str(names),
                        str(number),
                    ]
                )
                for number in range(CLIENTS)
            ]
            sender.start()
            codes = [client.wait() for client in clients]
            stored, burned = time.perf_counter() - began, time.process_time() - processor
            sender.join()
            while store.incoming.unread()[0]:
                time.sleep(0.1)
        digest(store)
        read = time.perf_counter() - began
        with store.engine.connect() as connection:
            known = connection.execute(select(func.count()).select_from(tables.event)).scalar_one()
    lost = calls - known
    print(
        f"stored   {calls} calls in {stored:.1f} s, {calls / stored:.0f}/s, {1000 * burned / calls:.2f} ms of processor each"
    )
    print(f"read     all of them {read:.1f} s after the first came")
    print(f"edition  {people} people in {alone:.1f} s alone, in {took[0]:.1f} s beside the burst")
    print(f"lost     {lost}")
    return 1 if lost or any(codes) else 0


def _send(desk: Desk, *, again: bool = False) -> float:
    began = time.perf_counter()
    desk.run(ScriptedEsp(max_batch=100), batch_size=100, canary=0)
    return time.perf_counter() - began


def _another(store: Store) -> list[Edition]:
    from tests.acceptance.test_faults_events import SOFT_WEEKS

    day = SOFT_WEEKS[0]
    made = store.editions.create(
        builders.slot(day),
        builders.brief(),
        builders.mailing(edition=day.isoformat()),
        now=NOW,
        approved=True,
    )
    assert made is not None
    store.editions.freeze(made, provider="scripted", now=NOW)
    return [made]


def _names(store: Store, edition: Edition, folder: Path, calls: int) -> Path:
    """What the clients report about: deliveries of the edition that has left, again and again."""
    with store.engine.connect() as connection:
        ids = connection.execute(
            select(tables.delivery.c.delivery_id).where(tables.delivery.c.edition_id == edition.id)
        ).scalars()
        known = {
            "installation": store.installation.id,
            "edition": edition.day,
            "ids": list(ids),
            "calls": calls,
        }
    path = folder / "names.json"
    path.write_text(json.dumps(known), "utf-8")
    return path


def _client(url: str, names: str, number: int) -> None:
    known = json.loads(Path(names).read_text("utf-8"))
    resend, where = providers()["resend"], urlsplit(url)
    about = About(installation=known["installation"], edition=known["edition"], at=NOW)
    kinds = ("accepted", "delivered", "deferred", "soft_bounce")
    mine = range(number, known["calls"], CLIENTS)

    def some(part: int) -> None:
        web = HTTPConnection(where.hostname or "", where.port, timeout=120)
        for each in mine[part::PER_CLIENT]:
            who = known["ids"][each % len(known["ids"])]
            call = resend.call(kinds[each % len(kinds)], replace(about, delivery=who, id=f"r{each}"))
            web.request("POST", "/hooks/resend", body=call.body, headers=dict(call.headers))
            with web.getresponse() as answer:
                answer.read()
                if answer.status != 200:
                    raise SystemExit(f"answered {answer.status}")

    threads = [threading.Thread(target=some, args=(part,)) for part in range(PER_CLIENT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
