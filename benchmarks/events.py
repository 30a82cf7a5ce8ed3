"""A hundred thousand reports while an edition is being sent: `python -m benchmarks.events [--provider mailgun]`.

`weekbrief serve` does all of it in one process, as an operator would start it: it takes reports, reads them and sends
an edition that falls due; with `--apart` it only takes and reads, and `weekbrief run` sends. Two processes post reports
that were signed before, each on some kept connections, the next call on each when the last is answered. The edition
of the week before is sent with nothing beside it. Printed are calls and reports a second until all
are stored, the processor's time of a call (that of the thread which takes calls, and that of the whole process, which
reads meanwhile), how long the edition took with and without the burst, when all were read, and how many were lost,
which must be none.
"""

from __future__ import annotations

import argparse
import itertools
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select

from benchmarks.leaving.__main__ import _child
from benchmarks.send.prepare import fill, post, write_folder
from benchmarks.send.run import ROOT, SECRETS
from pipeline.store import Store, open_store, tables
from tests.webhooks import About, Provider, Sent, providers, raw

CLIENTS = 2
CONNECTIONS = 64
"""Of each."""
KINDS = ("accepted", "delivered", "deferred", "soft_bounce")
"""What is reported, by turns; of these, what the provider knows a word for."""
LATENCY = 0.3
"""Seconds that the provider takes for a batch of a hundred; two are in the air."""
WEEK = timedelta(days=7)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--provider", default="mailgun", help="who reports: one event a call, or a list")
    parser.add_argument("--reports", type=int, default=100_000, help="in all")
    parser.add_argument(
        "--together", type=int, default=500, help="reports a call, of a provider that sends lists"
    )
    parser.add_argument("--people", type=int, default=20_000, help="recipients of the edition")
    parser.add_argument(
        "--apart", action="store_true", help="send with `weekbrief run`, in a process of its own"
    )
    parser.add_argument("--storage", help="an empty database; a new SQLite file if left out")
    parser.add_argument("--client", nargs=2, metavar=("PORT", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        return _client(int(options.client[0]), Path(options.client[1]))
    with tempfile.TemporaryDirectory(prefix="wbburst") as folder:
        storage = options.storage or f"sqlite:///{folder}/weekbrief.db"
        done = burst(
            Path(folder),
            storage,
            providers()[options.provider],
            reports=options.reports,
            together=options.together,
            people=options.people,
            apart=options.apart,
        )
    print(done.told())
    return 1 if done.lost or done.refused else 0


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of it; seconds, and processor seconds."""

    provider: str
    calls: int
    reports: int
    refused: int
    stored: float
    loop: float
    """Of the thread that takes calls, until all were stored."""
    process: float
    people: int
    alone: float
    beside: float
    read: float
    lost: int
    peak: int
    """Megabytes of memory that the service had at most."""

    def told(self) -> str:
        each = 1e6 / self.calls
        return (
            f"{self.provider}: {self.calls:,} calls with {self.reports:,} reports\n"
            f"stored   in {self.stored:.1f} s: {self.calls / self.stored:,.0f} calls, "
            f"{self.reports / self.stored:,.0f} reports a second; refused: {self.refused}\n"
            f"cost     {self.loop * each:.0f} µs of processor a call where it is taken, "
            f"{self.process * each:.0f} µs with storing and reading; {self.peak} MB at the most\n"
            f"edition  {self.people:,} people in {self.alone:.1f} s alone, in {self.beside:.1f} s beside the burst\n"
            f"read     all of them {self.read:.1f} s after the first came\n"
            f"lost     {self.lost}"
        )


def burst(
    folder: Path,
    storage: str,
    provider: Provider,
    *,
    reports: int,
    together: int,
    people: int,
    apart: bool,
) -> Done:
    fill(folder, people, storage)
    secrets = folder / ".env"
    secrets.write_text("".join(f"{name}={value}\n" for name, value in provider.secrets.items()), "utf-8")
    secrets.chmod(0o600)
    with ExitStack() as stack:
        _, port = stack.enter_context(_child("benchmarks.send.provider", "--latency", str(LATENCY)))
        url = f"http://127.0.0.1:{port.strip()}"
        # Apart, the slot is one that `serve` does not see coming: `run` is told to be there already.
        ahead = timedelta(days=1) if apart else timedelta(minutes=2)
        slot = datetime.now(UTC).replace(second=0, microsecond=0) + ahead
        config = _folder(folder, url, storage, slot)
        store = open_store(storage, now=datetime.now(UTC))
        stack.callback(store.close)
        _send(config, slot - WEEK)
        server, line = stack.enter_context(_child("pipeline", *config, "serve", "--port", "0"))
        at = urlsplit(line.rpartition(" at ")[2].partition(" ")[0].rstrip(".\n")).port
        if at is None:
            raise SystemExit(f"serve did not start: {line}{server.stdout.read() if server.stdout else ''}")
        calls = _prepare(store, folder, provider, reports=reports, together=together)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        sender = pool.submit(_send, config, slot) if apart else None
        _until_sending(store, min(300, people // 4))
        before, began = _processor(server.pid), time.perf_counter()
        clients = [_start("--client", str(at), str(folder / f"calls{n}")) for n in range(CLIENTS)]
        refused = sum(client.wait() for client in clients)
        stored, after = time.perf_counter() - began, _processor(server.pid)
        if sender:
            sender.result()
        _until(lambda: not _one(store, _unfinished()))
        _until(lambda: not store.incoming.unread()[0])
        read = time.perf_counter() - began
        known = _one(store, select(func.count()).select_from(tables.event))
        alone, beside = _took(store)
        return Done(
            provider=provider.name,
            calls=calls,
            reports=reports,
            refused=refused,
            stored=stored,
            loop=after[0] - before[0],
            process=after[1] - before[1],
            people=people,
            alone=alone,
            beside=beside,
            read=read,
            lost=reports - known,
            peak=_peak(server.pid),
        )


def _folder(folder: Path, url: str, storage: str, slot: datetime) -> Sequence[str]:
    """A newsletter that is due every week at that moment, with a post for each of two weeks; how it is named."""
    write_folder(folder, provider="resend", base_url=url, storage=storage, more="  concurrency: 2\n")
    again = post().replace("De tas bij de deur", "De tas bij het raam").replace("2026-09-06", "2026-09-07")
    (folder / "posts" / "het-raam.md").write_text(again, "utf-8")
    schedule = folder / "schedule.yaml"
    written = schedule.read_text("utf-8").replace("sunday", slot.strftime("%A").lower())
    written = written.replace("08:00", slot.strftime("%H:%M")).replace("Europe/Amsterdam", "UTC")
    schedule.write_text(written, "utf-8")
    return ("-c", str(schedule))


def _send(config: Sequence[str], now: datetime) -> None:
    """A whole `weekbrief run`. Raises SystemExit when not everybody was handed over."""
    words = ("run", "--now", now.strftime("%Y-%m-%dT%H:%M"), "--json")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *config, *words],
        cwd=ROOT,
        env={**os.environ, **SECRETS},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the edition was not sent: {done.stdout}{done.stderr}")


def _took(store: Store) -> list[float]:
    """Seconds from the first letter to the last, of each edition."""
    began, ended = tables.batch.c.first_submit_at, tables.attempt.c.ended_at
    query = (
        select(func.min(began), func.max(ended))
        .join(tables.attempt, tables.attempt.c.batch_id == tables.batch.c.id)
        .group_by(tables.batch.c.edition_id)
        .order_by(tables.batch.c.edition_id)
    )
    with store.engine.connect() as connection:
        return [(last - first).total_seconds() for first, last in connection.execute(query)]


def _unfinished() -> Any:
    return select(func.count()).select_from(tables.edition).where(tables.edition.c.state != "finished")


def _until_sending(store: Store, people: int) -> None:
    """Until the second edition has begun to leave."""
    state, edition = tables.delivery.c.state, tables.delivery.c.edition_id
    query = select(func.count()).select_from(tables.delivery).where(edition == 2, state == "accepted")
    _until(lambda: _one(store, query) >= people)


def _until(true: Any) -> None:
    ends = time.monotonic() + 1800
    while not true():
        if time.monotonic() > ends:
            raise SystemExit("it never came true")
        time.sleep(0.2)


def _one(store: Store, query: Any) -> Any:
    with store.engine.connect() as connection:
        return connection.execute(query).scalar_one()


# The calls


def _prepare(store: Store, folder: Path, provider: Provider, *, reports: int, together: int) -> int:
    """Write each client's calls to a file, about letters of the edition that has left; gives how many calls."""
    with store.engine.connect() as connection:
        ids = connection.execute(
            select(tables.delivery.c.delivery_id).where(tables.delivery.c.edition_id == 1)
        ).scalars()
        names = itertools.cycle(list(ids))
    day = _one(store, select(tables.edition.c.day))
    about = About(installation=store.installation.id, edition=day, at=datetime.now(UTC))
    abouts = (replace(about, delivery=next(names), id=f"report-{n}") for n in range(reports))
    number = 0
    with ExitStack() as stack:
        files = [stack.enter_context((folder / f"calls{n}").open("wb")) for n in range(CLIENTS)]
        for number, call in enumerate(_calls(provider, abouts, together), 1):
            written = _written(provider, call)
            files[number % CLIENTS].write(struct.pack("<I", len(written)) + written)
    return number


def _calls(provider: Provider, abouts: Iterator[About], together: int) -> Iterator[Sent]:
    kinds = itertools.cycle([kind for kind in KINDS if kind in provider.words])
    if not provider.many:
        yield from (provider.call(next(kinds), about) for about in abouts)
        return
    while some := list(itertools.islice(abouts, together)):
        bodies = [provider.body(provider.words[next(kinds)], about) for about in some]
        yield provider.prove(raw(bodies), some[0].at, some[0])


def _written(provider: Provider, call: Sent) -> bytes:
    lines = [
        f"POST /hooks/{provider.name}{call.path} HTTP/1.1",
        "Host: brief.example.org",
        "User-Agent: reports/1.0",
        "Accept: */*",
        "Content-Type: application/json",
        f"Content-Length: {len(call.body)}",
        *(f"{name}: {value}" for name, value in call.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + call.body


def _client(port: int, file: Path) -> int:
    """Post what is written in the file; gives how many were not answered 200. It must cost little: it shares
    the processors with what it measures."""
    with ExitStack() as stack, file.open("rb", buffering=1 << 20) as calls:
        lines = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=120))
            for _ in range(CONNECTIONS)
        ]
        for line in lines:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        refused, waiting = 0, []
        while True:
            for line in lines:
                if size := calls.read(4):
                    line.sendall(calls.read(struct.unpack("<I", size)[0]))
                    waiting.append(line)
            if not waiting:
                return min(refused, 250)
            refused += sum(_status(line) != b"200" for line in waiting)
            waiting = []


def _status(line: socket.socket) -> bytes:
    """Of the next answer, which is read whole: each of ours ends in a line feed."""
    got = line.recv(4096)
    while b"\r\n\r\n" not in got or got.endswith(b"\r\n\r\n"):
        more = line.recv(4096)
        if not more:
            return b""
        got += more
    return got[9:12]


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.events", *words], cwd=ROOT)


# What it costs


def _processor(process: int) -> tuple[float, float]:
    """Processor seconds of the main thread, which takes the calls, and of the whole process."""
    return _ticks(Path(f"/proc/{process}/task/{process}/stat")), _ticks(Path(f"/proc/{process}/stat"))


def _ticks(stat: Path) -> float:
    fields = stat.read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(main())
