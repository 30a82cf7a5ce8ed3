"""Posts whose charset lies, from a folder to the letter: what was written arrives, or nothing goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from pipeline.report import Report
from pipeline.week import run_due
from pipeline.wiring import catalogue_of
from tests import faultfeed
from tests.acceptance.faulty import Faulty, faulty

QUESTION = "Wat draag jij nog met je mee, Zoë?"
PAGE = (
    "<html lang='nl'><head><meta charset='{label}'><title>Eén tas</title></head><body><article>"
    + faultfeed.story("tas").replace(faultfeed.question("tas"), QUESTION)
    + "</article></body></html>"
)


@pytest.fixture
def letter(tmp_path: Path, storage: str) -> Iterator[Faulty]:
    with faulty(tmp_path / "brief", storage) as made:
        for post in (made.path / "posts").iterdir():
            post.unlink()
        made.subscribe(3)
        yield made


def sent(letter: Faulty, raw: bytes) -> Report:
    (letter.path / "posts" / "tas.html").write_bytes(raw)
    with letter.week(source=catalogue_of(letter.settings(), clock=letter.clock)) as week:
        return run_due(week, stop=Event())


@pytest.mark.fault(96)
@pytest.mark.parametrize(
    ("label", "written"),
    [("iso-8859-1", "utf-8"), ("windows-1252", "utf-8"), ("utf-8", "cp1252"), ("iso-8859-5", "utf-8")],
)
def test_the_letter_says_what_was_written(letter: Faulty, label: str, written: str) -> None:
    report = sent(letter, PAGE.format(label=label).encode(written, "xmlcharrefreplace"))
    assert (report.outcome, report.post, report.question) == ("sent", "Eén tas", QUESTION)
    assert letter.once_each(3)


@pytest.mark.fault(96)
@pytest.mark.parametrize("written", ["utf-8", "cp1252"])
def test_a_letter_with_a_byte_that_means_nothing_waits_for_a_person(letter: Faulty, written: str) -> None:
    raw = PAGE.format(label="iso-8859-1").encode(written, "xmlcharrefreplace")
    report = sent(letter, raw.replace(b"draag", b"dr\x9dag"))
    assert (report.outcome, report.exit_code) == ("held", 3)
    assert any("lost-characters" in note for note in report.notes)
    assert letter.copies() == {}


@pytest.mark.fault(96)
def test_a_letter_that_was_mangled_before_it_came_here_waits_for_a_person(letter: Faulty) -> None:
    """The post is sound UTF-8; what it says was read as Windows-1252 when it was copied once."""
    report = sent(letter, PAGE.format(label="utf-8").replace("Zoë", "ZoÃ«").encode())
    assert (report.outcome, report.exit_code) == ("held", 3)
    assert any("lost-characters" in note and "Ã«" in note for note in report.notes)
    assert letter.copies() == {}
