"""What the editor is told by letter of a run, and that it is said once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from pipeline.settings import Reports, load_settings
from pipeline.telling import tell_editor
from pipeline.week import run_due
from tests.acceptance.faulty import DAY, Faulty, faulty

EDITOR = "brief@stillepost.example"


def run_and_tell(letter: Faulty) -> bool:
    with letter.week() as week:
        return tell_editor(letter.settings(), week, run_due(week, stop=Event()))


def subjects(letter: Faulty) -> list[str]:
    """Of the letters to the editor, in the order in which the provider took them."""
    return [seen.subject for seen in letter.provider.truth.messages() if seen.address == EDITOR]


def set_to(letter: Faulty, line: str) -> None:
    letter.file.write_text(letter.file.read_text("utf-8").replace("schedule:", f"{line}\nschedule:"), "utf-8")


@pytest.fixture
def letter(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", storage) as made:
        made.subscribe(12)
        yield made


def test_a_letter_that_went_well_needs_no_word(letter: Faulty) -> None:
    assert not run_and_tell(letter)
    assert letter.once_each(12)


def test_all_reports_tell_it_once(letter: Faulty) -> None:
    set_to(letter, "reports: all")
    assert run_and_tell(letter)
    assert not run_and_tell(letter)
    assert letter.copies()[EDITOR] == 1


def test_a_draft_that_waits_is_told_once(letter: Faulty) -> None:
    letter.file.write_text(
        letter.file.read_text("utf-8").replace("timezone:", "approval: required\n  timezone:"), "utf-8"
    )
    assert [run_and_tell(letter) for _ in range(3)] == [True, False, False]
    assert letter.copies() == {EDITOR: 1}


def test_a_letter_that_is_held_is_told_once_for_each_reason(letter: Faulty) -> None:
    letter.provider.play({"steps": [{}, {"status": 403, "body": '{"name": "invalid_from_address"}'}]})
    assert run_and_tell(letter)
    letter.clock.jump(minutes=10)
    assert not run_and_tell(letter)
    assert letter.copies()[EDITOR] == 1
    assert letter.weekbrief("pause", DAY, "--by", "Marijke").returncode == 0
    assert run_and_tell(letter)
    assert letter.copies()[EDITOR] == 2


def test_nothing_is_told_where_nobody_wants_it(letter: Faulty) -> None:
    set_to(letter, "reports: none")
    letter.provider.play({"steps": [{}, {"status": 403, "body": '{"name": "invalid_from_address"}'}]})
    assert not run_and_tell(letter)
    assert EDITOR not in letter.copies()


def test_a_provider_that_does_not_take_the_word_breaks_nothing(
    letter: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    letter.provider.play({"steps": [{}, {"status": 403, "body": "{}", "times": 9}]})
    assert not run_and_tell(letter)
    assert "the word about 2026-11-29 was not sent" in caplog.text
    assert "reader" not in caplog.text


def test_the_setting(letter: Faulty) -> None:
    set_to(letter, "reports: alles")
    with pytest.raises(Exception, match=r"schedule\.yaml:\d+: reports: 'alles' is not a kind of report"):
        load_settings(letter.file, letter.environment())
    assert Reports.PROBLEMS == "problems"
