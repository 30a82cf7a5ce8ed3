"""`weekbrief serve --pages` takes reports in, and `weekbrief run` beside it hears of them while it sends."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from pipeline.events import digest, heard
from pipeline.store import Counts, tables
from pipeline.store.incoming import Raw
from tests import webhooks
from tests.acceptance.faulty import DAY, NOW, WEEK, Faulty, eventually, faulty, kill
from tests.fault_esp import FaultServer, Received, Wire, http
from tests.webhooks import About, Sent, providers

PEOPLE = 45
"""Five in the canary, then four batches of ten."""
RESEND = providers()["resend"]


@dataclass
class SlowProvider:
    """Answers its first call at once and the others when it is told to."""

    go: Event = field(default_factory=Event)
    calls: int = 0

    def answer(self, wire: Wire, request: Received) -> bool:
        self.calls += 1
        if self.calls > 1:
            assert self.go.wait(120)
        ids = [{"id": str(uuid4())} for _ in json.loads(request.body)]
        wire.send(http(200, json.dumps({"data": ids}).encode()))
        return True


@pytest.fixture
def slow() -> Iterator[SlowProvider]:
    made = SlowProvider()
    yield made
    made.go.set()


@pytest.fixture
def letter(tmp_path: Path, storage: str, slow: SlowProvider) -> Iterator[Faulty]:
    with (
        FaultServer([slow.answer]) as server,
        faulty(tmp_path / "brief", storage, concurrency=1, timeout=120) as made,
    ):
        made.write(base_url=server.url)
        made.more = {"RESEND_WEBHOOK_SECRET": webhooks.WHSEC}
        made.subscribe(PEOPLE)
        yield made


@contextmanager
def serving(letter: Faulty) -> Iterator[str]:
    """`weekbrief serve --pages`, and its address."""
    process = letter.start("serve", "--pages", "--port", "0")
    assert process.stderr is not None
    try:
        line = ""
        while " at http" not in line:
            line = process.stderr.readline()
            assert line, "the service did not start"
        yield line.partition(" at ")[2].split()[0].rstrip(".")
    finally:
        kill(process)
        process.communicate()


def post(base: str, call: Sent) -> int:
    url = f"{base}/hooks/resend"
    return httpx.post(url, content=call.body, headers=dict(call.headers), timeout=60).status_code


def complaints(letter: Faulty, number: int) -> list[Sent]:
    """Of people of the canary, who have the letter."""
    with letter.store() as store, store.engine.connect() as connection:
        query = select(tables.delivery.c.delivery_id).order_by(tables.delivery.c.ordinal).limit(number)
        ids = list(connection.execute(query).scalars())
        here = store.installation.id
    about = About(installation=here, edition=DAY, at=datetime.now(UTC))
    return [
        RESEND.call("complaint", replace(about, delivery=one, id=f"complaint-{one}", address="x@example.org"))
        for one in ids
    ]


def hold_of(letter: Faulty) -> str | None:
    with letter.store() as store:
        edition = store.editions.find(DAY)
        return None if edition is None else edition.hold_reason


def ended(process: subprocess.Popen[str]) -> int:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    assert process.returncode is not None, out
    return process.returncode


def sending(letter: Faulty, words: Sequence[str], slow: SlowProvider) -> subprocess.Popen[str]:
    """The command, with its second batch on the way."""
    process = letter.start(*words)
    try:
        eventually(lambda: slow.calls == 2, process)
    except BaseException:
        kill(process)
        raise
    return process


@pytest.mark.fault(79)
@pytest.mark.parametrize("words", [("run", "--now", NOW), ("send", WEEK)], ids=["run", "send"])
def test_complaints_taken_in_by_the_pages_stop_an_edition_that_another_process_sends(
    letter: Faulty, slow: SlowProvider, words: Sequence[str]
) -> None:
    if words[0] == "send":
        asked = Event()
        asked.set()
        letter.run(stop=asked)
        assert letter.counts() == Counts(frozen=PEOPLE, pending=PEOPLE)
    with serving(letter) as base:
        process = sending(letter, words, slow)
        try:
            assert [post(base, call) for call in complaints(letter, 3)] == [200] * 3
            eventually(lambda: hold_of(letter), process)
            slow.go.set()
            assert ended(process) == 3
        finally:
            if process.poll() is None:
                kill(process)
    assert "complained" in (hold_of(letter) or "")
    assert slow.calls == 2, "nothing was handed over after that"
    assert letter.counts() == Counts(frozen=PEOPLE, accepted=15, pending=PEOPLE - 15)
    with letter.store() as store:
        assert store.incoming.unread() == (0, 0)


def test_where_nothing_is_sent_no_thread_starts(letter: Faulty) -> None:
    def ours() -> set[str]:
        return {thread.name for thread in threading.enumerate()} & {"reports", "watch"}

    frozen: list[object] = []
    with letter.week(frozen=lambda edition, counts: frozen.append((edition, counts))) as week:
        with heard(week) as sending_week:
            assert ours() == set()
            sending_week.frozen("an edition", "its counts")  # type: ignore[arg-type]
            sending_week.frozen("another", "its counts")  # type: ignore[arg-type]
            assert ours() == {"reports", "watch"}
        assert ours() == set()
    assert frozen == [("an edition", "its counts"), ("another", "its counts")]


def test_two_who_cannot_read_a_call_at_the_same_look_count_one_try(letter: Faulty) -> None:
    with letter.store() as store:
        store.incoming.keep([Raw(provider="resend", received_at=datetime.now(UTC), body=b"[7]")])
        (call,) = store.incoming.waiting(limit=10)
        assert [store.incoming.failed(call, "no report") for _ in range(2)] == [1, 1]
        digest(store)
        (again,) = store.incoming.waiting(limit=10)
        assert again.tries == 2


def test_who_complained_before_a_letter_is_sent_by_hand_does_not_get_it(
    letter: Faulty, slow: SlowProvider
) -> None:
    """Nobody read the report meanwhile: `send` does, before it freezes who gets the letter."""
    slow.go.set()
    letter.ask("run", "--now", NOW)
    letter.add_post("two", "2026-09-13", "Een ander stuk")
    with serving(letter) as base:
        assert {post(base, call) for call in complaints(letter, 2)} == {200}
    letter.ask("send", "2026-12-06")
    with letter.store() as store:
        edition = store.editions.find("2026-12-06")
        assert edition is not None
        assert edition.frozen_count == PEOPLE - 2
