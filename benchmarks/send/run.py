"""Interleaved rounds of whole `weekbrief run` processes and of the bare sender, and the table they make."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[2]
NOW = "2026-11-29T08:05"
SECRETS = {
    "WEEKBRIEF_SECRET": "a-secret-that-only-the-benchmark-knows-0123456789",
    "RESEND_API_KEY": "re_benchmark",
    "MAILGUN_API_KEY": "key-benchmark",
    "MAILGUN_DOMAIN": "mg.example.org",
}
STYLES = {"merge": ("mailgun", 1000), "full": ("resend", 100)}
"""Style → provider, people a call."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one child process used: seconds of processor time and of the wall clock, bytes at the peak."""

    cpu: float
    wall: float
    peak: int
    server: float = 0.0
    """Processor seconds of the PostgreSQL server for it."""


@dataclass(frozen=True, kw_only=True)
class Case:
    style: str
    people: int
    database: str = "sqlite"
    latency: float = 0.0
    limit: float | None = None
    rounds: int = 3
    concurrency: int = 4
    batch: int = 0
    """People a call; 0: as many as the provider takes."""

    @property
    def provider(self) -> str:
        return STYLES[self.style][0]

    @property
    def size(self) -> int:
        return self.batch or STYLES[self.style][1]

    def settings(self) -> str:
        lines = [f"concurrency: {self.concurrency}"]
        lines += [f"batch_size: {self.batch}"] if self.batch else []
        lines += [f"rate: {self.limit:g}/s"] if self.limit else []
        return "".join(f"  {line}\n" for line in lines)


@dataclass(frozen=True, kw_only=True)
class Round:
    """One `weekbrief run`, what the provider counted of it, and the bare senders beside it."""

    ours: Usage
    counted: dict[str, Any]
    bare: Usage | None = None
    tuned: Usage | None = None


def run_case(case: Case, home: Path, storages: Storages) -> list[Round]:
    """The rounds of a case, after a small one of each that warms the caches."""
    people = _people(home, case.people, storages)
    done = []
    for number in range(case.rounds):
        bare = tuned = None
        with _provider(case) as url:
            ours = _ours(case, people, home, url, storages)
            counted = _stats(url)
        _expect(counted, case.people, "weekbrief")
        if case.database == "sqlite" and not case.latency and case.limit is None:
            bare = _bare(case, people, home, tuned=False)
            tuned = _bare(case, people, home, tuned=True)
        done.append(Round(ours=ours, counted=counted, bare=bare, tuned=tuned))
        _tell(f"{case}: round {number + 1}: {_line(case, done[-1:])}")
    return done


def _ours(case: Case, people: Path, home: Path, url: str, storages: Storages) -> Usage:
    """A whole `weekbrief run` on a fresh copy of the newsletter."""
    folder = home / "newsletter"
    with storages.copy(case.database, people, folder) as (storage, server_seconds):
        _write_folder(folder, case, url, storage)
        before = server_seconds()
        command = ("-m", "pipeline", "-c", str(folder / "schedule.yaml"), "run", "--now", NOW, "--json")
        used, said = _measured(command, folder)
        used = replace(used, server=server_seconds() - before)
        report = json.loads(said)
        if report["outcome"] != "sent" or report["counts"]["accepted"] != case.people:
            raise SystemExit(f"the run did not end well: {said}")
        if case.database == "sqlite" and not (people / f"{case.style}.json").exists():
            _python("-m", "benchmarks.send.prepare", "template", str(folder), case.style)
            shutil.copy(folder / f"{case.style}.json", people)
    return used


def _bare(case: Case, people: Path, home: Path, *, tuned: bool) -> Usage:
    database = home / "bare.db"
    for old in home.glob("bare.db*"):
        old.unlink()
    shutil.copy(people / "bare.db", database)
    with _provider(case) as url:
        words = ["--style", case.style, "--batch", str(case.size), *(["--tuned"] if tuned else [])]
        command = (
            "-m",
            "benchmarks.send.bare",
            str(database),
            str(people / f"{case.style}.json"),
            url,
            *words,
        )
        used, _ = _measured(command, home)
        _expect(_stats(url), case.people, "bare")
    return used


def _expect(counted: dict[str, Any], people: int, who: str) -> None:
    if counted["recipients"] != people:
        raise SystemExit(f"{who}: the provider counted {counted['recipients']} of {people} recipients")


# Children


def _measured(command: Sequence[str], folder: Path) -> tuple[Usage, str]:
    """Run Python to its end; what it used, and what it printed."""
    out, err = folder / "stdout", folder / "stderr"
    started = time.monotonic()
    with out.open("wb") as stdout, err.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, *command],
            stdout=stdout,
            stderr=stderr,
            cwd=ROOT,
            env={**_environment(), **SECRETS},
        )
        _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(
            f"{' '.join(command)} ended with {child.returncode}:\n{out.read_text()}{err.read_text()}"
        )
    used = Usage(cpu=usage.ru_utime + usage.ru_stime, wall=wall, peak=usage.ru_maxrss * 1024)
    return used, out.read_text("utf-8")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("WEEKBRIEF_")}


def _python(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, cwd=ROOT, env=_environment())


@contextmanager
def _provider(case: Case) -> Iterator[str]:
    limit = ["--limit", str(case.limit)] if case.limit else []
    command = [sys.executable, "-m", "benchmarks.send.provider", "--latency", str(case.latency), *limit]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/stats", timeout=10) as answer:
        counted: dict[str, Any] = json.load(answer)
    return counted


def _write_folder(folder: Path, case: Case, url: str, storage: str) -> None:
    code = (
        "import sys; from pathlib import Path; from benchmarks.send.prepare import write_folder; "
        "write_folder(Path(sys.argv[1]), provider=sys.argv[2], base_url=sys.argv[3], storage=sys.argv[4], "
        "more=sys.argv[5])"
    )
    _python("-c", code, str(folder), case.provider, url, storage, case.settings())


def _people(home: Path, number: int, storages: Storages) -> Path:
    """A folder with a database of `number` subscribers, made once."""
    folder = home / f"people-{number}"
    if not folder.exists():
        folder.mkdir()
        _tell(f"making {number} subscribers")
        _python(
            "-m",
            "benchmarks.send.prepare",
            "people",
            str(folder),
            str(number),
            f"sqlite:///{folder}/weekbrief.db",
        )
    return folder


# Databases


class Storages:
    """Where the newsletter is stored: a file, or a database of a PostgreSQL server of our own."""

    def __init__(self, home: Path, postgres: str | None) -> None:
        self._home = home
        self._given = postgres
        self._server: PostgresServer | None = None

    @contextmanager
    def copy(self, kind: str, people: Path, folder: Path) -> Iterator[tuple[str, Callable[[], float]]]:
        """A fresh copy of the database with those people: (its URL, processor seconds of its server so far)."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if kind == "sqlite":
            shutil.copy(people / "weekbrief.db", folder / "weekbrief.db")
            yield f"sqlite:///{folder}/weekbrief.db", lambda: 0.0
            return
        self._server = self._server or PostgresServer(self._home)
        with self._server.copy(people) as url:
            yield url, self._server.seconds

    def close(self) -> None:
        if self._server:
            self._server.stop()


class PostgresServer:
    """A server with PostgreSQL's own settings, syncing as it does by default."""

    def __init__(self, home: Path) -> None:
        found = shutil.which("pg_ctl") or next(
            map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")), None
        )
        if found is None:
            raise SystemExit("no PostgreSQL found; leave it out with --database sqlite")
        self._binaries = Path(found).resolve().parent
        self._home = Path(tempfile.mkdtemp(prefix="wbpg", dir=home.parent))
        self._owner = "postgres" if os.getuid() == 0 else None
        if self._owner:
            shutil.chown(self._home, self._owner, self._owner)
        self._home.chmod(0o711)
        self._data = self._home / "data"
        self._call(
            "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"
        )
        options = f"-k {self._home} -c listen_addresses= -c shared_buffers=128MB"
        self._call("pg_ctl", "-D", self._data, "-w", "-o", options, "-l", self._home / "log", "start")
        self._pid = int((self._data / "postmaster.pid").read_text().split()[0])
        self._made: set[str] = set()

    @contextmanager
    def copy(self, people: Path) -> Iterator[str]:
        template = people.name.replace("-", "_")
        if template not in self._made:
            self._sql(f"CREATE DATABASE {template}")
            number = people.name.rpartition("-")[2]
            spare = people / "postgres"
            spare.mkdir(exist_ok=True)
            _python("-m", "benchmarks.send.prepare", "people", str(spare), number, self._url(template))
            self._made.add(template)
        self._sql(f"CREATE DATABASE newsletter TEMPLATE {template}", "CHECKPOINT")
        try:
            yield self._url("newsletter")
        finally:
            self._sql("DROP DATABASE newsletter WITH (FORCE)")

    def seconds(self) -> float:
        """Processor seconds of all back ends that have ended."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self._call("pg_ctl", "-D", self._data, "-m", "immediate", "stop")
        shutil.rmtree(self._home, ignore_errors=True)

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._home}"

    def _sql(self, *statements: str) -> None:
        for statement in statements:
            self._call("psql", "-h", self._home, "-U", "postgres", "-q", "-c", statement)

    def _call(self, *words: object) -> None:
        command = [str(self._binaries / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(
            command,
            user=self._owner,
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise SystemExit(f"{words[0]} failed: {done.stdout}{done.stderr}")


# Reporting


def _micro(case: Case, values: Sequence[float]) -> str:
    each = [value / case.people * 1e6 for value in values]
    return f"{median(each):.1f}" + (f" ({min(each):.1f}-{max(each):.1f})" if len(each) > 1 else "")


def _ratio(rounds: Sequence[Round], of: str) -> str:
    """Each round against its own neighbours, so that what else the machine does weighs on both."""
    found = [done.ours.cpu / usage.cpu for done in rounds if (usage := getattr(done, of)) is not None]
    if not found:
        return "-"
    return f"{median(found):.2f}" + (f" ({min(found):.2f}-{max(found):.2f})" if len(found) > 1 else "")


HEAD = (
    "| style | people | database | weekbrief µs | bare µs | × bare | tuned µs | × tuned | server µs | people/s | peak MB |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|\n"
)


def _line(case: Case, rounds: Sequence[Round]) -> str:
    ours = [done.ours for done in rounds]
    bare = [done.bare.cpu for done in rounds if done.bare]
    tuned = [done.tuned.cpu for done in rounds if done.tuned]
    columns = [
        case.style,
        f"{case.people:,}",
        case.database,
        _micro(case, [used.cpu for used in ours]),
        _micro(case, bare) if bare else "-",
        _ratio(rounds, "bare"),
        _micro(case, tuned) if tuned else "-",
        _ratio(rounds, "tuned"),
        _micro(case, [used.server for used in ours]) if case.database != "sqlite" else "-",
        f"{median(case.people / used.wall for used in ours):,.0f}",
        f"{max(used.peak for used in ours) / 1e6:.0f}",
    ]
    return f"| {' | '.join(columns)} |"


LATENCY_HEAD = "| style | database | latency ms | in flight | people/s | the most there can be | reached |\n|---|---|---|---|---|---|---|\n"


def _latency_line(case: Case, rounds: Sequence[Round]) -> str:
    """From the provider's first call to the last one answered: what the start-up costs stands in the other table."""
    flights = case.concurrency if case.style == "full" else 1
    most = case.size * flights / case.latency
    speeds = [case.people / (done.counted["last"] - done.counted["first"] + case.latency) for done in rounds]
    reached = [speed / most for speed in speeds]
    return (
        f"| {case.style} | {case.database} | {case.latency * 1000:.0f} | {flights} | {median(speeds):,.0f} | {most:,.0f} | "
        f"{median(reached):.1%} ({min(reached):.1%}-{max(reached):.1%}) |"
    )


LIMIT_HEAD = (
    "| style | database | limit | calls | calls/s | used | answered 429 |\n|---|---|---|---|---|---|---|\n"
)


def _limit_line(case: Case, rounds: Sequence[Round]) -> str:
    counted = rounds[0].counted
    limit = case.limit or 0.0
    speed = (counted["calls"] - 1) / (counted["last"] - counted["first"])
    return (
        f"| {case.style} | {case.database} | {limit:g}/s | {counted['calls']} | {speed:.2f} | {speed / limit:.1%} | "
        f"{counted['too_many']} ({counted['too_many'] / (counted['calls'] + counted['too_many']):.2%}) |"
    )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# What is run


def quick_cases() -> list[Case]:
    return [
        Case(style="merge", people=10_000, rounds=2),
        Case(style="full", people=10_000, rounds=2),
    ]


def full_cases(databases: Sequence[str], *, million: bool) -> list[Case]:
    cases = []
    for database in databases:
        for style in STYLES:
            cases.append(Case(style=style, people=10_000, database=database))
            cases.append(Case(style=style, people=100_000, database=database, rounds=5))
            if million:
                cases.append(Case(style=style, people=1_000_000, database=database, rounds=1))
    for style in STYLES:
        for latency in (0.05, 0.15, 0.3):
            cases.append(
                Case(style=style, people=100_000 if style == "merge" else 30_000, latency=latency, rounds=2)
            )
    cases.append(Case(style="full", people=10_000, limit=10, batch=20, rounds=1))
    cases.append(Case(style="merge", people=100_000, limit=10, batch=200, rounds=1))
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 recipients, no file written")
    parser.add_argument("--no-million", action="store_true", help="leave out the runs with a million")
    parser.add_argument("--database", action="append", choices=("sqlite", "postgresql"))
    parser.add_argument("--only", help="one case: STYLE,PEOPLE[,DATABASE[,LATENCY[,LIMIT[,BATCH]]]]")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--home", type=Path, help="keep the databases there between runs")
    parser.add_argument("--write", type=Path, help="write the tables to this file")
    options = parser.parse_args()
    cases = _chosen(options)
    made = Path(tempfile.mkdtemp(prefix="wbbench")) if options.home is None else options.home.resolve()
    made.mkdir(exist_ok=True)
    made.chmod(0o711)
    storages = Storages(made, None)
    try:
        found = [(case, run_case(case, made, storages)) for case in cases]
    finally:
        storages.close()
        if options.home is None:
            shutil.rmtree(made, ignore_errors=True)
    text = report(found)
    print(text)
    if options.write:
        options.write.write_text(text, "utf-8")


def _chosen(options: argparse.Namespace) -> list[Case]:
    if options.only:
        words = [*options.only.split(","), *[""] * 6]
        cases = [
            Case(
                style=words[0],
                people=int(words[1]),
                database=words[2] or "sqlite",
                latency=float(words[3] or 0),
                limit=float(words[4]) if words[4] else None,
                batch=int(words[5] or 0),
            )
        ]
    elif options.quick:
        cases = quick_cases()
    else:
        cases = full_cases(options.database or ["sqlite", "postgresql"], million=not options.no_million)
    return [replace(case, rounds=options.rounds) for case in cases] if options.rounds else cases


def report(found: Sequence[tuple[Case, list[Round]]]) -> str:
    """The tables, in Markdown."""
    limited = [pair for pair in found if pair[0].limit]
    delayed = [pair for pair in found if pair[0].latency and not pair[0].limit]
    plain = [pair for pair in found if not (pair[0].latency or pair[0].limit)]
    text = f"CPython {platform.python_version()}, {os.cpu_count()} processors, {platform.system()}.\n"
    for head, pairs, line in (
        (HEAD, plain, _line),
        (LATENCY_HEAD, delayed, _latency_line),
        (LIMIT_HEAD, limited, _limit_line),
    ):
        if pairs:
            text += "\n" + head + "".join(line(*pair) + "\n" for pair in pairs)
    return text


if __name__ == "__main__":
    main()
