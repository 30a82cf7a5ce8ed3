"""The editor's word above the machine's: front matter, the week's file, and a week that waits for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.newsletter import POST, Folder, newsletter

OTHER = POST.replace("De tas bij de deur", "Het lege stoeltje").replace("2026-09-06", "2026-09-13")


@pytest.fixture
def letter(tmp_path: Path) -> Iterator[Folder]:
    with newsletter(tmp_path / "brief") as folder:
        folder.subscribe(2)
        (folder.path / "editions").mkdir()
        yield folder


def _steer(folder: Folder, text: str, name: str = "2026-11-29") -> None:
    (folder.path / "editions" / f"{name}.yaml").write_text(text, "utf-8")


@pytest.mark.parametrize("name", ["2026-11-29", "2026-W48"])
def test_the_weeks_file_wins(letter: Folder, name: str) -> None:
    _steer(letter, 'question: "Wat zet jij vanavond neer?"\n', name)
    said = letter.run()
    assert said["outcome"] == "sent"
    assert said["question"] == "Wat zet jij vanavond neer?"
    assert said["example"].startswith("Je komt thuis")
    [line, _] = letter.record.page(limit=5)
    assert line.subject == "Wat zet jij vanavond neer?"


def test_the_weeks_file_chooses_another_post(letter: Folder) -> None:
    (letter.path / "posts" / "het-stoeltje.md").write_text(OTHER, "utf-8")
    _steer(letter, "post: het-stoeltje.md\n")
    assert letter.run("--dry-run")["post"] == "Het lege stoeltje"
    assert letter.run()["post"] == "Het lege stoeltje"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("vraag: Wat?\n", "2026-11-29.yaml:1: vraag: is not a key here"),
        ("post: de-tsa.md\n", "did you mean 'de-tas.md'"),
        ("question: 12\n", "2026-11-29.yaml:1: question: must be text"),
        ("question: [\n", "2026-11-29.yaml:2"),
    ],
)
def test_a_mistake_in_the_weeks_file_is_said_and_nothing_goes(
    letter: Folder, text: str, complaint: str
) -> None:
    _steer(letter, text)
    done = letter.weekbrief("run", "--now", "2026-11-29T08:05")
    assert done.returncode == 2
    assert complaint in done.stderr
    assert letter.record.counts().messages == 0


def test_a_week_may_wait_for_its_editor(letter: Folder) -> None:
    (letter.path / "posts" / "aankondiging.md").write_text(
        "---\ntitle: Even stil\ndate: 2026-08-01\nlanguage: nl\n---\nDeze week is het stil.\n",
        "utf-8",
    )
    file = letter.path / "schedule.yaml"
    file.write_text("no_pick: hold\n" + file.read_text("utf-8"), "utf-8")
    said = letter.run()
    assert (said["outcome"], said["exit"]) == ("held", 3)
    _steer(letter, "question: Wat laat je liggen?\nexample: Een vrouw zet haar tas neer.\n")
    said = letter.run()
    assert (said["outcome"], said["post"]) == ("sent", "Even stil")


def test_the_plan_tells_the_editor_what_to_look_at(letter: Folder) -> None:
    _steer(letter, 'question: "Wat doe jij volgende week dinsdag?"\n')
    planned = json.loads(letter.weekbrief("plan", "--weeks", "1", "--json").stdout)
    assert planned["edition"] <= "2026-11-29"
    said = letter.run("--dry-run")
    assert any(note.startswith("look at: ") for note in said["notes"])
