"""What is on the disk before a letter leaves: the order of writes, syncs and sends as the kernel saw them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from pipeline.store.engine import is_sqlite, open_engine, readers
from tests import postgres
from tests.acceptance.newsletter import NOW, Folder, newsletter

PEOPLE, BATCH = 15, 5
WAL, DATABASE, FENCE = "weekbrief.db-wal", "weekbrief.db", "sending.fence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call, in the order in which they ended; a send where it began."""

    what: str
    """`write`, `sync` or `post`."""
    file: str = ""
    end: int = 0
    """Of a write: the first byte behind it."""


_LINE = re.compile(r"(?P<pid>\d+)\s+(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<fd>\d+)<(?P<path>[^>]*)>(?P<rest>.*)")
_WRITE = re.compile(r".*, (?P<length>\d+), (?P<offset>\d+)\)\s+= \d+$")


def read_trace(trace: Path) -> list[Call]:
    """The calls that matter. A call that other threads interrupted in the trace counts where it ended."""
    calls, begun = [], dict[str, str]()
    for line in trace.read_text("utf-8", "replace").splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        pid, rest = found["pid"], found["rest"]
        if '"POST /' in rest and "resumed" not in rest:
            calls.append(Call(what="post"))
            continue
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>").rstrip()
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", rest):
            rest = begun.pop(pid, "") + resumed[1]
        calls.extend(_call(rest))
    return calls


def _call(line: str) -> Iterator[Call]:
    found = _CALL.match(line)
    if found is None:
        return
    file = Path(found["path"]).name
    if found["name"] in ("fsync", "fdatasync") and line.endswith("= 0"):
        yield Call(what="sync", file=file)
    elif found["name"] == "pwrite64" and (numbers := _WRITE.match(line)):
        yield Call(what="write", file=file, end=int(numbers["offset"]) + int(numbers["length"]))


def too_early(calls: Sequence[Call]) -> list[str]:
    """What was not yet on the disk when a request began to leave."""
    complaints: list[str] = []
    since: list[Call] = []
    unsynced: dict[str, bool] = defaultdict(bool)
    for call in calls:
        if call.what != "post":
            since.append(call)
            unsynced[call.file] = call.what == "write"
            continue
        loose = [file for file in (WAL, FENCE) if unsynced[file]]
        complaints.extend(f"{file} was written and not synced" for file in loose)
        order = [(c.what, c.file) for c in since if c.file in (WAL, FENCE)]
        steps = [("write", WAL), ("sync", WAL), ("write", FENCE), ("sync", FENCE)]
        if _last_of_each(order, steps) != sorted(_last_of_each(order, steps)):
            complaints.append(f"not in the order intent, sync, fence, sync: {order}")
        if missing := [step for step in steps if step not in order]:
            complaints.append(f"not done before the request: {missing}")
        since = []
    return complaints


def _last_of_each(order: Sequence[tuple[str, str]], steps: Sequence[tuple[str, str]]) -> list[int]:
    return [max(n for n, each in enumerate(order) if each == step) for step in steps if step in order]


@pytest.fixture
def letter(tmp_path: Path) -> Iterator[Folder]:
    with newsletter(tmp_path / "brief", batch_size=BATCH) as folder:
        file = folder.path / "schedule.yaml"  # one worker: the calls of several would mix
        file.write_text(
            file.read_text("utf-8").replace("provider:\n", "provider:\n  concurrency: 1\n"), "utf-8"
        )
        folder.subscribe(PEOPLE)
        yield folder


def traced(letter: Folder, **more: str) -> list[Call]:
    """Run once under strace. Skips loudly where there is none."""
    strace = shutil.which("strace")
    if strace is None:
        missing = "strace is not installed: the order of sync and send was NOT checked"
        warnings.warn(missing, stacklevel=2)
        pytest.skip(missing)
    trace = letter.path / "trace"
    watched = "trace=pwrite64,fsync,fdatasync,sendto,sendmsg,write"
    command = letter.command("run", "--now", NOW)
    done = subprocess.run(
        [strace, "-f", "--seccomp-bpf", "-y", "-s", "12", "-e", watched, "-o", str(trace), *command],
        env=letter.environment(**more),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if "ptrace" in done.stderr.lower() and not trace.stat().st_size:
        pytest.skip(f"strace may not trace here: the order of sync and send was NOT checked ({done.stderr})")
    return read_trace(trace)


# The pragma, everywhere and always


@pytest.mark.fault(21, 22)
def test_every_connection_syncs_its_commits(storage: str) -> None:
    engine = open_engine(storage)
    try:
        with engine.connect() as one, readers(engine).connect() as other:
            for connection in (one, other):
                if is_sqlite(engine):
                    assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
                    assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
                else:
                    assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
    finally:
        engine.dispose()


# The order, as the kernel saw it


@pytest.mark.fault(21)
def test_intent_and_fence_are_on_the_disk_before_the_first_byte_leaves(letter: Folder) -> None:
    calls = traced(letter)
    assert [call.what for call in calls].count("post") == PEOPLE // BATCH
    assert too_early(calls) == []


def test_a_batch_costs_two_synced_commits_and_one_of_the_fence(letter: Folder) -> None:
    calls = traced(letter)
    posts = [place for place, call in enumerate(calls) if call.what == "post"]
    for one, next_one in pairwise(posts):
        between = calls[one:next_one]
        assert sum(call.what == "sync" and call.file == WAL for call in between) == 2
        assert sum(call.what == "sync" and call.file == FENCE for call in between) == 1


def test_the_check_notices_a_sync_that_is_missing_or_late() -> None:
    intent, sync = Call(what="write", file=WAL, end=100), Call(what="sync", file=WAL)
    fence, sync_fence = Call(what="write", file=FENCE), Call(what="sync", file=FENCE)
    post = Call(what="post")
    assert too_early([intent, sync, fence, sync_fence, post]) == []
    assert too_early([intent, fence, sync_fence, post, sync])
    assert too_early([intent, sync, fence, post, sync_fence])
    assert too_early([fence, sync_fence, intent, sync, post])
    assert too_early([intent, sync, fence, sync_fence, post, post])
    assert too_early([intent, sync, post])


# The power goes


def cut_power(letter: Folder, calls: Sequence[Call], *, lose: int = 0) -> None:
    """Leave of the write-ahead log what was synced, as a disk would that lost all the rest. With `lose` also
    that many syncs are forgotten, as by a disk that lies about them."""
    syncs = [place for place, call in enumerate(calls) if call == Call(what="sync", file=WAL)]
    until = syncs[-1 - lose]
    kept = max(call.end for call in calls[:until] if call.what == "write" and call.file == WAL)
    unsynced = [call for call in calls[until:] if call.what == "write" and call.file == DATABASE]
    assert not unsynced, "the database file itself was written without a sync"
    folder = letter.path / "var"
    log = folder / WAL
    assert 0 < kept <= log.stat().st_size
    os.truncate(log, kept)
    (folder / f"{DATABASE}-shm").unlink(missing_ok=True)


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    "place",
    [
        "before freeze commits:1",
        "before intent commits:2",
        "after intent:1",
        "after intent:2",
        "after fence:2",
        "after answer:2",
        "before outcome commits:2",
        "after outcome:2",
    ],
)
def test_after_a_power_cut_everyone_gets_one_letter(letter: Folder, place: str) -> None:
    cut_power(letter, traced(letter, WEEKBRIEF_CRASH_AT=place))
    said = letter.run()
    assert said["outcome"] == "sent", said
    copies = letter.copies()
    assert (len(copies), set(copies.values())) == (PEOPLE, {1})


@pytest.mark.fault(21, 32)
def test_a_disk_that_lost_what_it_called_synced_sends_nothing_more(letter: Folder) -> None:
    calls = traced(letter, WEEKBRIEF_CRASH_AT="after answer:2")
    before = letter.copies()
    cut_power(letter, calls, lose=1)
    said = letter.run()
    assert (said["outcome"], said["exit"]) == ("held", 3), said
    assert letter.copies() == before


@pytest.mark.fault(21)
@pytest.mark.parametrize("place", ["before intent commits:2", "after intent:2", "after answer:2"])
def test_sender_and_postgresql_die_together(tmp_path: Path, place: str) -> None:
    """The server is stopped as by a crash: what it has not put into its log is gone."""
    if os.environ.get("WEEKBRIEF_TEST_PG_URL"):
        pytest.skip("WEEKBRIEF_TEST_PG_URL names a server that is not ours to stop")
    with postgres.server() as url:
        if url is None:
            pytest.skip("no PostgreSQL found: install it (Debian: postgresql)")
        with newsletter(tmp_path / "brief", storage=url, batch_size=BATCH) as letter:
            letter.subscribe(PEOPLE)
            died = letter.weekbrief("run", "--now", NOW, WEEKBRIEF_CRASH_AT=place)
            assert died.returncode == -9, died.stderr
            _crash_and_start(Path(parse_qs(urlsplit(url).query)["host"][0]))
            said = letter.run()
            assert said["outcome"] == "sent", said
            copies = letter.copies()
            assert (len(copies), set(copies.values())) == (PEOPLE, {1})


def _crash_and_start(home: Path) -> None:
    binaries = postgres._binaries()
    assert binaries
    owner = "postgres" if os.getuid() == 0 else None
    options = (home / "data" / "postmaster.opts").read_text("utf-8").split('"', 1)[1]
    words = " ".join(word.strip('"') for word in options.split())
    pg_ctl = (binaries / "pg_ctl", "-D", home / "data")
    postgres._as(owner, *pg_ctl, "-m", "immediate", "stop")
    words = words.replace(f"-D {home / 'data'}", "")
    postgres._as(owner, *pg_ctl, "-w", "-o", words, "-l", home / "log", "start")
