"""A stop that is asked for while a feed says nothing: it is heard, and nothing comes of what was read."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Timer

import pytest

from pipeline.sources import AskedToStop
from pipeline.sources.fetch import Fetcher, NotFetched
from tests.acceptance.faulty import DAY, NOW, WEEK, Faulty, eventually, faulty, kill
from tests.fault_esp import FaultServer, Received, Wire, says


def hangs(wire: Wire, _request: Received) -> bool:
    """Whoever does not hear of the stop is told in the end that the answer broke off."""
    wire.wait()
    return False


@pytest.fixture
def feed() -> Iterator[FaultServer]:
    with FaultServer([hangs]) as server:
        yield server


@pytest.fixture
def letter(tmp_path: Path, feed: FaultServer) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", f"sqlite:///{tmp_path}/weekbrief.db") as made:
        written = made.file.read_text("utf-8")
        asks = f"- feed: {feed.url}/feed\n    internal: true\n"
        made.file.write_text(written.replace("- folder: posts\n", asks), "utf-8")
        made.subscribe(3)
        yield made


def stopped(letter: Faulty, feed: FaultServer, words: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that was stopped while the feed was asked."""
    process = letter.start(*words)
    try:
        eventually(lambda: feed.received, process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            kill(process)
    assert "Traceback" not in err, err
    return process.returncode, out, err


@pytest.mark.parametrize("words", [("run", "--now", NOW), ("send", WEEK)], ids=["run", "send"])
def test_a_run_that_waits_for_a_feed_hears_that_it_is_to_stop(
    letter: Faulty, feed: FaultServer, words: Sequence[str]
) -> None:
    code, out, err = stopped(letter, feed, (*words, "--json"))
    assert code == 0, err
    report = json.loads(out)
    assert (report["outcome"], report["edition"]) == ("partial", None)
    assert "asked to stop" in report["notes"][0]
    with letter.store() as store:
        assert store.editions.find(DAY) is None, "the next run begins anew"


def test_a_service_that_waits_for_a_feed_hears_that_it_is_to_stop(letter: Faulty, feed: FaultServer) -> None:
    """Whatever the day: the service looks at feeds once a day, due or not."""
    code, _, err = stopped(letter, feed, ("-v", "serve", "--port", "0"))
    assert code == 0, err
    assert "asked to stop" in err


def test_a_fetch_gives_up_when_it_is_told_to(feed: FaultServer) -> None:
    stop = Event()
    teller = Timer(0.5, stop.set)
    teller.start()
    with pytest.raises(AskedToStop):
        Fetcher(stop=stop).get(f"{feed.url}/feed", accept="*/*", at_most=1000, internal=feed.url)
    teller.join()
    asked = len(feed.received)
    with pytest.raises(AskedToStop):
        Fetcher(stop=stop).get(f"{feed.url}/feed", accept="*/*", at_most=1000, internal=feed.url)
    assert len(feed.received) == asked, "nothing is asked any more"


def test_a_fetch_that_may_be_stopped_gives_and_raises_as_any_other() -> None:
    with FaultServer([says(200, b"here"), says(404)]) as server:
        fetcher = Fetcher(stop=Event())
        found = fetcher.get(f"{server.url}/feed", accept="*/*", at_most=1000, internal=server.url)
        assert found.body == b"here"
        with pytest.raises(NotFetched) as away:
            fetcher.get(f"{server.url}/feed", accept="*/*", at_most=1000, internal=server.url)
        assert away.value.status == 404


def test_a_stop_does_not_swallow_the_word_about_a_letter_that_was_missed(
    letter: Faulty, feed: FaultServer
) -> None:
    """The slot is written off, so no later run would say it."""
    day = datetime.now(UTC).strftime("%A").lower()
    written = letter.file.read_text("utf-8").replace("on: sunday", f"on: {day}")
    written = written.replace('at: "08:00"', 'at: "00:00"').replace("Europe/Amsterdam", "UTC")
    letter.file.write_text(written, "utf-8")
    with letter.store() as store:
        store.installations.examined(datetime.now(UTC) - timedelta(days=10))
    code, out, err = stopped(letter, feed, ("run", "--json"))
    assert code == 0, err
    first, last = json.loads(out)["notes"]
    assert "was not sent" in first
    assert "asked to stop" in last
