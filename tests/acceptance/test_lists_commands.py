"""Whole lists on the command line: killed half-way, tried dry, taken whole, and out again."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.importing import costs
from tests.acceptance.newsletter import Folder, newsletter

CONFIRMED = ("--confirmed", "--source", "old list", "--date", "2024-05-01")


@pytest.fixture
def letter(tmp_path: Path) -> Iterator[Folder]:
    with newsletter(tmp_path / "brief") as folder:
        yield folder


def put(letter: Folder, text: str, name: str = "list.csv") -> str:
    file = letter.path / name
    file.write_text(text, "utf-8")
    return str(file)


def importing(letter: Folder, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return letter.weekbrief("subscribers", "import", *words, **more)


def exported(letter: Folder) -> list[dict[str, object]]:
    done = letter.weekbrief("subscribers", "export", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.fault(92)
@pytest.mark.parametrize(
    ("place", "whole"),
    [
        ("import chunk written:2", False),
        ("import chunk committed:2", False),
        ("import chunk written:2", True),
    ],
)
def test_killed_half_way_and_run_again_is_the_same_as_once(
    storage: str, tmp_path: Path, place: str, whole: bool
) -> None:
    people = "".join(
        f"p{n}@example.org,P {n},{'unsubscribed' if n % 10 == 0 else 'active'}\n" for n in range(2_500)
    )
    words = (*CONFIRMED, *(["--all-or-nothing"] if whole else []))
    with newsletter(tmp_path / "brief", storage=storage) as letter:
        file = put(letter, "email,name,status\n" + people)
        dead = importing(letter, file, *words, WEEKBRIEF_CRASH_AT=place)
        assert dead.returncode == -9
        if whole:
            assert exported(letter) == []
        done = importing(letter, file, *words)
        assert done.returncode == 0, done.stderr
        found = exported(letter)
        assert Counter(str(one["status"]) for one in found) == {"active": 2_250, "unsubscribed": 250}
        given = [one["consents"] for one in found if one["status"] == "active"]
        assert all(isinstance(one, list) and len(one) == 1 for one in given)
        said = importing(letter, file, *words, "--json")
        assert json.loads(said.stdout)["already_active"] == 2_250
        assert exported(letter) == found


@pytest.mark.fault(91)
def test_a_dry_run_shows_each_decision_and_changes_nothing(letter: Folder) -> None:
    file = put(
        letter, "email,status\na@example.org,active\nb@example.org,bounced\nnot an address,\na@example.org,\n"
    )
    said = importing(letter, file, *CONFIRMED, "--dry-run")
    assert said.returncode == 4
    assert said.stdout.splitlines() == [
        "2\ta@example.org\tadded",
        "3\tb@example.org\tkept out (hard bounce)",
        "5\ta@example.org\talready active",
        "1 added, 1 already active, 1 kept out, 1 bad rows",
    ]
    assert "list.csv:4: email: it contains a space" in said.stderr
    lines = importing(letter, file, *CONFIRMED, "--dry-run", "--json").stdout.splitlines()
    first = json.loads(lines[0])
    assert (first["line"], first["decision"], first["consent_source"]) == (2, "added", "old list")
    assert json.loads(lines[-1])["dry_run"] is True
    assert exported(letter) == []


@pytest.mark.fault(91)
def test_all_or_nothing_takes_nothing_when_one_row_is_bad(letter: Folder) -> None:
    file = put(letter, "email\na@example.org\nbad\n")
    done = importing(letter, file, *CONFIRMED, "--all-or-nothing")
    assert done.returncode == 4
    assert done.stderr.count("list.csv:3:") == 1
    assert "Nothing was changed" in done.stderr
    assert exported(letter) == []
    good = put(letter, "email\na@example.org\n")
    assert importing(letter, good, "--all-or-nothing").stdout == "1 asked\n"
    assert [one["status"] for one in exported(letter)] == ["pending"]


def test_an_export_of_another_program_brings_its_own_dates(letter: Folder) -> None:
    file = put(
        letter,
        "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,CONFIRM_TIME\n"
        "a@example.org,Anna,Bos,2,2021-03-04 10:00:00,2021-03-04 10:05:00\n"
        "b@example.org,Bo,,2,,\n",
        "subscribed_members_export_1f.csv",
    )
    done = importing(letter, file, "--confirmed")
    assert done.returncode == 0, done.stderr
    assert "read as the list that Mailchimp exports" in done.stderr
    assert done.stdout == "1 added, 1 asked\n"
    anna, bo = exported(letter)
    assert (anna["name"], anna["status"], anna["confirmed_at"]) == (
        "Anna Bos",
        "active",
        "2021-03-04T10:05:00+00:00",
    )
    assert isinstance(anna["consents"], list)
    assert anna["consents"][0]["source"] == "Mailchimp: CONFIRM_TIME"
    assert bo["status"] == "pending"
    # Asked once: asking again at once is not for an import.
    assert importing(letter, file, "--confirmed").stdout == "1 already active, 1 not asked\n"
    assert set(letter.copies()) == {"b@example.org"}


def test_who_left_there_is_kept_out_and_never_asked(letter: Folder) -> None:
    head = "Email Address,MEMBER_RATING\n"
    gone = put(letter, head + "a@example.org,2\n", "unsubscribed_members_export_1f.csv")
    assert importing(letter, gone).stdout == "1 kept out\n"
    assert importing(letter, put(letter, "email\na@example.org\n")).stdout == "1 suppressed\n"
    assert importing(letter, put(letter, "email\nb@example.org\n"), "--status", "complained").returncode == 0
    assert [one["status"] for one in exported(letter)] == ["unsubscribed", "complaint"]
    assert not letter.copies()


def test_options_that_cannot_be_are_said_in_a_sentence(letter: Folder) -> None:
    file = put(letter, "email\na@example.org\n")
    for words, said in (
        (("--from", "pigeon"), "is not one of auto"),
        (("--map", "mail=x"), "is not understood"),
        (("--encoding", "klingon"), "there is none called"),
        (("--status", "gone"), "is not one of active"),
        (("--confirmed",), "--source and --date"),
        ((*CONFIRMED[:-1], "2099-01-01"), "in the future"),
    ):
        done = importing(letter, file, *words)
        assert done.returncode == 2, words
        assert said in done.stderr
    assert exported(letter) == []


def test_windows_1252_is_said_aloud(letter: Folder) -> None:
    file = letter.path / "list.csv"
    file.write_bytes("email;naam\na@example.org;Zoë\n".encode("cp1252"))
    done = importing(letter, str(file), *CONFIRMED)
    assert "read as Windows-1252" in done.stderr
    assert exported(letter)[0]["name"] == "Zoë"


def test_a_list_from_a_pipe_is_read_and_can_be_taken_whole(letter: Folder) -> None:
    for words in ((), ("--all-or-nothing",)):
        done = subprocess.run(
            letter.command("subscribers", "import", "-", *CONFIRMED, *words),
            input="email\na@example.org\n",
            env=letter.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert len(exported(letter)) == 1


def test_a_progress_bar_is_for_terminals(letter: Folder) -> None:
    file = put(letter, "email\n" + "".join(f"p{n}@example.org\n" for n in range(3_000)))
    ours, theirs = pty.openpty()
    done = subprocess.run(
        letter.command("subscribers", "import", file, *CONFIRMED),
        env=letter.environment(TERM="xterm"),
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        timeout=120,
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "importing" in shown
    assert done.stdout == "3000 added\n"
    assert importing(letter, file, *CONFIRMED).stderr == ""


@pytest.mark.fault(144)
def test_an_export_is_a_file_of_its_owner_and_there_whole(letter: Folder) -> None:
    importing(letter, put(letter, "email,name\na@example.org,=1+1\n"), *CONFIRMED)
    out = letter.path / "out.csv"
    done = letter.weekbrief("subscribers", "export", "--output", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"1 written to {out}\n"
    assert out.stat().st_mode & 0o077 == 0
    head, row = out.read_text("utf-8").splitlines()
    assert head.startswith("email,name,language,status,")
    assert row.startswith("a@example.org,'=1+1,nl,active,")
    assert importing(letter, str(out), "--confirmed").stdout == "1 already active\n"
    assert [one.name for one in letter.path.glob(".out*")] == []


@pytest.mark.fault(91)
def test_a_long_list_is_read_and_written_in_the_memory_of_a_short_one(tmp_path: Path) -> None:
    """`benchmarks/importing.py` in small; with a million, run by hand, it is the same memory."""
    (tmp_path / "short").mkdir()
    (tmp_path / "long").mkdir()
    short = costs(tmp_path / "short", 1_000)
    long = costs(tmp_path / "long", 20_000)
    assert long["import"].said == "19600 added, 400 kept out"
    assert long["import again"].said == "19600 already active, 400 kept out already"
    assert long["export csv"].said.startswith("20000 written to ")
    for step, cost in long.items():
        assert cost.megabytes < short[step].megabytes + 60, step
