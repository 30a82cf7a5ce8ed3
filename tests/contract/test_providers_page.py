"""The page about providers says what their code says."""

from __future__ import annotations

import re

import pytest

from emails.esp import provider_names
from tests.providers_table import PAGE, capabilities, filled, table


def test_the_tables_are_fresh() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == filled(page), "run: python -m tests.providers_table --write"


def test_every_provider_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)`", table(), re.MULTILINE)
    assert rows == list(provider_names())


def test_a_stale_page_is_noticed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page.replace("`lettermint` | 500", "`lettermint` | 499")) == page


def test_a_page_without_its_marks_is_told() -> None:
    with pytest.raises(ValueError, match="must stand there once"):
        filled("# Providers")


def test_no_cell_breaks_the_table() -> None:
    lines = table().splitlines()
    assert {line.count(" | ") for line in lines if not line.startswith("|--")} == {5}
    assert all("\n" not in note for can in capabilities() for note in can.notes)
