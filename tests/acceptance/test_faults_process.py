"""Processes that die or are told to stop (`faults.md` 3.1): real commands, real signals, a provider with a
log of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline.store import Counts
from subscribers.links import unsubscribe_url
from subscribers.subscriber import SubscriberState
from subscribers.tokens import Signer
from tests.acceptance.faulty import NOW, WEEK, Faulty, eventually, faulty, kill
from tests.acceptance.newsletter import SECRET

PEOPLE = 25
RUN = ("run", "--now", NOW, "--json")


@pytest.fixture
def letter(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", storage, concurrency=1) as made:
        made.subscribe(PEOPLE)
        yield made


def finish(letter: Faulty) -> None:
    """Run again to the end: everyone once, by the provider's own log."""
    said = letter.ask(*RUN)
    assert said["outcome"] == "sent", said
    assert letter.once_each(PEOPLE)


def arrived(letter: Faulty, number: int) -> Callable[[], bool]:
    return lambda: len(letter.provider.truth.requests()) >= number


def end_of(process: subprocess.Popen[str], seconds: float) -> tuple[int, dict[str, Any], float]:
    """Exit code, what it printed, and how long it took to end."""
    began = time.monotonic()
    out, _err = process.communicate(timeout=seconds)
    return process.returncode, json.loads(out) if out else {}, time.monotonic() - began


# Killed


@pytest.mark.parametrize(
    ("when", "copies"),
    [
        pytest.param("head", 0, marks=pytest.mark.fault(7)),
        pytest.param("recorded", 10, marks=pytest.mark.fault(8)),
    ],
)
def test_killed_by_its_provider_in_mid_request(letter: Faulty, when: str, copies: int) -> None:
    running: list[subprocess.Popen[str]] = []
    letter.provider._kill = lambda: running[0].kill()
    letter.provider.play([{}, {"kill": when}])
    running.append(letter.start(*RUN))
    running[0].communicate(timeout=60)
    assert running[0].returncode == -signal.SIGKILL
    assert sum(letter.copies().values()) == 5 + copies
    finish(letter)
    asked = letter.provider.truth.requests()
    assert asked[1].key == asked[2].key


@pytest.mark.fault(16)
def test_a_batch_that_every_run_dies_on_is_set_aside(letter: Faulty) -> None:
    running: list[subprocess.Popen[str]] = []
    letter.provider._kill = lambda: running[-1].kill()
    letter.provider.play([{}, {"kill": "recorded"}, {"kill": "head", "times": 0}])
    for _ in range(3):
        running.append(letter.start(*RUN))
        running[-1].communicate(timeout=60)
        assert running[-1].returncode == -signal.SIGKILL
    held = letter.ask(*RUN, code=3)
    assert held["outcome"] == "held"
    assert "recipients 6 to 15" in " ".join(held["notes"])
    assert held["counts"]["uncertain"] == held["counts"]["pending"] == 10
    assert len(letter.provider.truth.requests()) == 4, "the fourth run did not touch it"
    letter.provider.play([])
    assert letter.weekbrief("resume", WEEK, "--by", "Marijke").returncode == 0
    finish(letter)


# Told to stop


@pytest.mark.fault(17)
def test_sigterm_in_mid_request_waits_for_the_answer_and_claims_nothing_more(letter: Faulty) -> None:
    letter.provider.play([{}, {"late": 1.0}])
    process = letter.start(*RUN)
    eventually(arrived(letter, 2), process)
    process.send_signal(signal.SIGTERM)
    code, said, seconds = end_of(process, 10)
    assert (code, said["outcome"]) == (0, "partial")
    assert seconds < 5
    assert letter.counts() == Counts(frozen=PEOPLE, accepted=15, pending=10)
    assert letter.sizes() == [5, 10]
    finish(letter)


@pytest.mark.fault(18)
def test_sigterm_while_the_provider_is_silent_ends_at_the_deadline_in_doubt(letter: Faulty) -> None:
    letter.write(timeout=2)
    letter.provider.play([{}, {"late": 5.0}])
    process = letter.start(*RUN)
    eventually(arrived(letter, 2), process)
    process.send_signal(signal.SIGTERM)
    code, said, seconds = end_of(process, 10)
    assert (code, seconds < 5) == (0, True)
    assert said["counts"]["uncertain"] == said["counts"]["pending"] == 10
    letter.write(timeout=30)
    letter.provider.play([{}])
    finish(letter)


@pytest.mark.fault(19)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once_and_leaves_only_a_doubt(letter: Faulty, second: signal.Signals) -> None:
    letter.provider.play([{}, {"late": 4.0}])
    process = letter.start(*RUN)
    eventually(arrived(letter, 2), process)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None, "it drains"
    process.send_signal(second)
    code, _said, seconds = end_of(process, 10)
    assert (code, seconds < 2) == (128 + second, True)
    assert letter.counts() == Counts(frozen=PEOPLE, accepted=5, submitted=10, pending=10)
    letter.provider.play([])
    finish(letter)


# The service beside it


@contextmanager
def serving(letter: Faulty) -> Iterator[subprocess.Popen[str]]:
    """`weekbrief serve` at the address the letter's links point to, until the block ends."""
    port = int(letter.settings().newsletter.url.rsplit(":", 1)[1])
    process = letter.start("serve", "--port", str(port))
    try:
        eventually(lambda: _listens(port), process)
        yield process
    finally:
        if process.poll() is None:
            kill(process)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def with_pages(letter: Faulty) -> int:
    """Point the letter's links to a free port on this machine; gives the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    letter.write(url=f"http://127.0.0.1:{port}")
    return port


def one_click(port: int, path: str, timeout: float = 10) -> int:
    """The request a mailbox provider makes (RFC 8058 3.1)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, b"List-Unsubscribe=One-Click", kind)
        return connection.getresponse().status
    finally:
        connection.close()


def leaving(letter: Faulty, number: int) -> str:
    """The path of a subscriber's unsubscribe link."""
    with letter.store() as store:
        signer = Signer(SECRET.encode(), scope=store.installation.id)
        person = store.subscribers.by_key(f"reader{number}@example.org")
        assert person is not None
        token = signer.unsubscribe_tokens([person.id])[0]
    return unsubscribe_url("http://here", token).removeprefix("http://here")


@contextmanager
def busy(letter: Faulty) -> Iterator[None]:
    """Another program keeps the subscribers locked: a handler gets as far as its first write, or half-way
    (the suppression, on PostgreSQL), and no further."""
    if letter.storage.startswith("sqlite"):
        other = sqlite3.connect(letter.storage.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
        other.close()
        return
    with psycopg.connect(letter.storage) as taken:
        taken.execute("LOCK TABLE suppression IN ACCESS EXCLUSIVE MODE")
        yield
        taken.rollback()


def standing(letter: Faulty, number: int) -> tuple[SubscriberState, object, int]:
    """State, suppression, and how often this person has said something."""
    with letter.store() as store:
        person = store.subscribers.by_key(f"reader{number}@example.org")
        assert person is not None
        suppression = store.subscribers.suppression(person.address_key)
        return person.state, suppression, len(store.subscribers.consents(person.id))


@pytest.mark.fault(14)
def test_killed_while_someone_leaves_nothing_is_half_done(letter: Faulty) -> None:
    port = with_pages(letter)
    path = leaving(letter, 3)
    with serving(letter) as service, busy(letter):
        with pytest.raises((TimeoutError, OSError)):
            one_click(port, path, timeout=0.8)
        kill(service)
    assert standing(letter, 3) == (SubscriberState.ACTIVE, None, 1), "as if never pressed"
    with serving(letter) as service:
        assert one_click(port, path) == 200
        kill(service)
    state, suppression, said = standing(letter, 3)
    assert (state, suppression, said) == (SubscriberState.UNSUBSCRIBED, "unsubscribed", 2)
    with serving(letter):
        assert one_click(port, path) == 200
    assert standing(letter, 3) == (state, suppression, said), "pressed again, counted once"


@pytest.mark.fault(20)
def test_the_sender_does_not_notice_that_the_pages_died(letter: Faulty) -> None:
    with_pages(letter)
    letter.provider.play([{"times": 0, "late": 0.2}])
    with serving(letter) as service:
        process = letter.start(*RUN)
        eventually(arrived(letter, 2), process)
        kill(service)
        code, said, _seconds = end_of(process, 30)
    assert (code, said["outcome"]) == (0, "sent")
    assert letter.once_each(PEOPLE)


@pytest.mark.fault(20)
def test_the_pages_do_not_notice_that_the_sender_died(letter: Faulty) -> None:
    port = with_pages(letter)
    path = leaving(letter, 25)
    letter.provider.play([{}, {"late": 3.0}])
    with serving(letter) as service:
        process = letter.start(*RUN)
        eventually(arrived(letter, 2), process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert one_click(port, path) == 200
        assert service.poll() is None
    letter.provider.play([])
    said = letter.ask(*RUN)
    assert said["counts"]["skipped"] == 1
    assert letter.once_each(PEOPLE - 1)
