"""`weekbrief serve`: the bell rings, the letter goes, and a stop in the middle harms nobody."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.newsletter import Folder, newsletter


@pytest.fixture
def due_now(tmp_path: Path) -> Iterator[Folder]:
    """A newsletter whose time came a minute ago, on the real clock."""
    with newsletter(tmp_path / "brief", batch_size=5) as folder:
        when = datetime.now(UTC) - timedelta(minutes=1)
        file = folder.path / "schedule.yaml"
        text = (
            file.read_text("utf-8")
            .replace("Europe/Amsterdam", "UTC")
            .replace("on: sunday", f"on: {when:%A}".lower())
        )
        file.write_text(re.sub(r'at: "08:00"', f'at: "{when:%H:%M}"', text), "utf-8")
        yield folder


def _wait(folder: Folder, messages: int, process_alive: object) -> None:
    ends = time.monotonic() + 60
    while folder.record.counts().messages < messages:
        assert process_alive.poll() is None  # type: ignore[attr-defined]
        assert time.monotonic() < ends, "the letter did not go"
        time.sleep(0.005)


@pytest.mark.fault(107)
def test_two_services_send_one_letter(due_now: Folder) -> None:
    due_now.subscribe(40)
    services = [due_now.start("serve", "--port", "0") for _ in range(2)]
    try:
        _wait(due_now, 40, services[0])
        time.sleep(1)
    finally:
        for service in services:
            service.send_signal(signal.SIGTERM)
        said = [service.communicate(timeout=60) for service in services]
    assert [service.returncode for service in services] == [0, 0], said
    assert set(due_now.copies().values()) == {1}
    assert due_now.copies().total() == 40


@pytest.mark.fault(17)
def test_sigterm_to_the_service_lets_the_batch_on_its_way_end(due_now: Folder) -> None:
    due_now.subscribe(400)
    service = due_now.start("serve", "--port", "0")
    _wait(due_now, 20, service)
    service.send_signal(signal.SIGTERM)
    _out, err = service.communicate(timeout=60)
    assert service.returncode == 0, err
    done = due_now.weekbrief("status", "--json")
    assert '"uncertain": 0' in done.stdout
    assert '"submitted": 0' in done.stdout
    assert due_now.weekbrief("run").returncode == 0
    assert due_now.copies().total() == 400
    assert set(due_now.copies().values()) == {1}
