"""The table of which standards hold is made from the tests and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.standards import BEGIN, DUTY, END, LACKING, LINES, PAPER, proofs, table


def test_the_table_is_fresh() -> None:
    said = PAPER.read_text("utf-8").split(BEGIN)[1].split(END)[0].strip()
    assert said == table(), "run: python -m tests.standards"


def test_every_line_of_ours_has_a_test_or_is_the_operator_s() -> None:
    tests = proofs()
    assert [line for line in LINES if line not in tests and line not in DUTY and line not in LACKING] == []
    assert not set(LACKING) & {*tests, *DUTY}, "what has a test is not lacking"
    assert "**no**" not in table()


def test_no_line_of_these_sections_is_left_out(shared: Path) -> None:
    standards = shared / "email-standards.md"
    if not standards.is_file():
        pytest.skip("the team's standards are not here")
    lines = set(re.findall(r"^\| ([HMTCAPLUD]-\d\d) \|", standards.read_text("utf-8"), re.MULTILINE))
    assert lines == set(LINES)
