"""Killed in mid-send, really, and started again: nobody twice, nobody missing, on both databases."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.acceptance.newsletter import NOW, Folder, kill, newsletter

PEOPLE = 1_000
KILLS = 10


def _run_until_killed(letter: Folder, at_most: int) -> bool:
    """Start a run and kill it once that many letters have arrived; False when it ended before."""
    process = letter.start("run", "--now", NOW)
    while letter.record.counts().messages < at_most:
        if process.poll() is not None:
            process.communicate()
            return False
        time.sleep(0.002)
    kill(process)
    return True


@pytest.mark.slow
@pytest.mark.fault(15)
@pytest.mark.standard("D-05")
def test_ten_kills_at_random_places(storage: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # what to put here to see the same kills again
    chance = random.Random(seed)
    with newsletter(tmp_path / "brief", storage=storage, batch_size=20) as letter:
        letter.subscribe(PEOPLE)
        kills = 0
        for place in sorted(chance.sample(range(1, PEOPLE - 40), KILLS)):
            kills += _run_until_killed(letter, max(place, letter.record.counts().messages + 1))
        said = letter.run()
        copies = letter.copies()
        assert kills == KILLS
        assert (said["outcome"], said["exit"]) == ("sent", 0), said
        assert said["counts"]["accepted"] == PEOPLE
        assert len(copies) == PEOPLE
        assert set(copies.values()) == {1}
        assert letter.run()["outcome"] == "nothing_due"


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("edition written:1", marks=pytest.mark.fault(1)),
        pytest.param("audience frozen:1", marks=pytest.mark.fault(3)),
        pytest.param("built:2", marks=pytest.mark.fault(4)),
        pytest.param("after intent:2", marks=pytest.mark.fault(6)),
        pytest.param("after answer:2", marks=pytest.mark.fault(9)),
        pytest.param("after outcome:2", marks=pytest.mark.fault(11)),
    ],
)
def test_killed_at_a_named_place(storage: str, tmp_path: Path, place: str) -> None:
    with newsletter(tmp_path / "brief", storage=storage, batch_size=10) as letter:
        letter.subscribe(35)
        died = letter.weekbrief("run", "--now", NOW, WEEKBRIEF_CRASH_AT=place)
        assert died.returncode == -9, died.stderr
        said = letter.run()
        assert said["outcome"] == "sent"
        copies = letter.copies()
        assert (len(copies), set(copies.values())) == (35, {1})
