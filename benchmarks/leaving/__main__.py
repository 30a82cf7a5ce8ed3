"""64 clients leave one after the other, first from a bare endpoint, then from `weekbrief serve` while `weekbrief
run` sends from the same database. Prints a table; ends with 1 if somebody was lost.

    python -m benchmarks.leaving [--clients 64] [--each 50] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from benchmarks.send.prepare import fill, write_folder
from benchmarks.send.run import NOW, ROOT, SECRETS
from pipeline.store import open_store
from subscribers.tokens import Signer

BODY = b"List-Unsubscribe=One-Click"
SENDING = 30_000
"""People of the edition that is being sent meanwhile, in batches of a hundred to a provider that takes 0.2 s."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What the clients saw, and what it cost the server."""

    seconds: float
    waits: Sequence[float]
    """Seconds each request took, sorted."""
    cpu: float
    """Processor seconds of the serving process."""

    @property
    def rate(self) -> float:
        return len(self.waits) / self.seconds

    def at(self, share: float) -> float:
        """The wait in seconds that this share of the requests stayed under."""
        return self.waits[min(len(self.waits) - 1, int(share * len(self.waits)))]


async def _client(port: int, paths: Sequence[str], waits: list[float]) -> None:
    """Post to each path on one connection. Raises RuntimeError for any answer but 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for path in paths:
        began = time.perf_counter()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(BODY)}\r\n\r\n"
        )
        writer.write(head.encode("ascii") + BODY)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        await reader.readexactly(length)
        waits.append(time.perf_counter() - began)
        status = answer.split(b" ", 2)[1]
        if status != b"200":
            raise RuntimeError(f"answered {status!r}")
    writer.close()


def load(port: int, paths: Sequence[str], clients: int, process: int) -> Round:
    """All paths, spread over so many clients at once."""
    waits: list[float] = []

    async def everyone() -> None:
        await asyncio.gather(*(_client(port, paths[number::clients], waits) for number in range(clients)))

    before, began = _cpu(process), time.perf_counter()
    asyncio.run(everyone())
    seconds = time.perf_counter() - began
    return Round(seconds=seconds, waits=sorted(waits), cpu=_cpu(process) - before)


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _child(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A Python process for the block, and the first line it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, **SECRETS},
    )
    try:
        yield process, process.stdout.readline() if process.stdout else ""
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.communicate()


def bare(home: Path, number: int, clients: int) -> Round:
    database = home / f"bare{time.monotonic_ns()}.db"
    with _child("benchmarks.leaving.bare", str(database)) as (process, port):
        done = load(int(port), [f"/u/{token:032x}" for token in range(number)], clients, process.pid)
    with closing(sqlite3.connect(database)) as connection:
        kept = connection.execute("SELECT count(*) FROM gone").fetchone()[0]
    if kept != number:
        raise SystemExit(f"bare: {number} left and {kept} are noted")
    return done


def ours(home: Path, number: int, clients: int) -> tuple[Round, int]:
    """The round, and how many letters went out meanwhile. Everybody who left must be found gone."""
    folder = home / f"weekbrief{time.monotonic_ns()}"
    folder.mkdir()
    storage = f"sqlite:///{folder}/weekbrief.db"
    fill(folder, SENDING + number, storage)
    store = open_store(storage, now=_now())
    signer = Signer(SECRETS["WEEKBRIEF_SECRET"].encode(), scope=store.installation.id)
    store.close()
    leaving = range(SENDING + 1, SENDING + number + 1)
    paths = [f"/u/{signer.unsubscribe_token(person)}" for person in leaving]
    with _child("benchmarks.send.provider", "--latency", "0.2") as (_, port):
        url = f"http://127.0.0.1:{port.strip()}"
        write_folder(folder, provider="resend", base_url=url, storage=storage, more="  concurrency: 2\n")
        config = ("-c", str(folder / "schedule.yaml"))
        with _child("pipeline", *config, "serve", "--port", "0") as (server, line):
            at = urlsplit(line.rpartition(" at ")[2].partition(" ")[0].rstrip(".\n")).port
            if at is None:
                raise SystemExit(
                    f"serve did not start: {line}{server.stdout.read() if server.stdout else ''}"
                )
            with _running(config):
                _until_sending(folder)
                before = _accepted(folder)
                done = load(at, paths, clients, server.pid)
                sent = _accepted(folder) - before
    with closing(sqlite3.connect(folder / "weekbrief.db")) as connection:
        gone = connection.execute(
            "SELECT count(*) FROM subscriber WHERE state = 'unsubscribed' AND id > ?", (SENDING,)
        ).fetchone()[0]
    if gone != number:
        raise SystemExit(f"weekbrief: {number} left and {gone} are gone")
    return done, sent


@contextmanager
def _running(config: Sequence[str]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *config, "run", "--now", NOW, "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, **SECRETS},
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _accepted(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "weekbrief.db")) as connection:
        query = "SELECT count(*) FROM delivery WHERE state = 'accepted'"
        return int(connection.execute(query).fetchone()[0])


def _until_sending(folder: Path) -> None:
    ends = time.monotonic() + 60
    while _accepted(folder) < 300:
        if time.monotonic() > ends:
            raise SystemExit("the edition did not begin to be sent within a minute")
        time.sleep(0.1)


def _now() -> datetime:
    return datetime.now(UTC)


def _line(name: str, rounds: Sequence[Round], beside: str) -> str:
    count = len(rounds[0].waits)
    return (
        f"| {name} | {median(r.rate for r in rounds):,.0f} | {median(r.at(0.5) for r in rounds) * 1000:.0f} | "
        f"{max(r.at(0.99) for r in rounds) * 1000:.0f} | {max(r.waits[-1] for r in rounds) * 1000:.0f} | "
        f"{median(r.cpu / count for r in rounds) * 1000:.2f} | {beside} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaving", description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--each", type=int, default=50, help="people who leave, per client")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    number = options.clients * options.each
    plain: list[Round] = []
    real: list[Round] = []
    sent: list[int] = []
    with tempfile.TemporaryDirectory(prefix="wbleave") as home:
        for _ in range(options.rounds):
            plain.append(bare(Path(home), number, options.clients))
            done, letters = ours(Path(home), number, options.clients)
            real.append(done)
            sent.append(letters)
    print(f"{number:,} people leave through {options.clients} clients; CPython {platform.python_version()}, ")
    print(f"{os.cpu_count()} processors; {options.rounds} rounds, all of them found gone.\n")
    print("| | a second | ms, middle | ms, 99th of 100 | ms, worst | CPU ms each | letters sent meanwhile |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    print(_line("bare endpoint", plain, "-"))
    print(_line("weekbrief", real, f"{median(sent):,.0f}"))
    ratio = median(r.cpu for r in real) / median(p.cpu for p in plain)
    print(f"\nCPU of a leave, against the bare endpoint: {ratio:.1f}x.")
    print(f"99th of 100 under one second: {'yes' if max(r.at(0.99) for r in real) < 1 else 'NO'}.")


if __name__ == "__main__":
    main()
