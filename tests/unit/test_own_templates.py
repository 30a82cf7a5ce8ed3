"""An operator's folder: its files stand for ours, its design is the design, its mistakes are named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from emails.edition import Newsletter
from emails.render import RenderError, render, wrap
from tests.letters import NEWSLETTER, content, letter


def newsletter(folder: Path) -> Newsletter:
    return replace(NEWSLETTER, design=str(folder))


def write(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def test_an_empty_folder_is_quiet(tmp_path: Path) -> None:
    assert render(content(newsletter=newsletter(tmp_path))).html == letter().html


def test_a_file_stands_for_ours_and_a_change_shows(tmp_path: Path) -> None:
    write(tmp_path, "partials/footer.txt", "-- \nMijn voet\n{{ unsubscribe_url }}\n")
    made = render(content(newsletter=newsletter(tmp_path)))
    assert "Mijn voet" in made.text
    assert made.html == letter().html
    write(tmp_path, "partials/footer.txt", "-- \nEen andere voet\n{{ unsubscribe_url }}\n")
    assert "Een andere voet" in render(content(newsletter=newsletter(tmp_path))).text


def test_a_design_of_ones_own_extends_one_of_ours(tmp_path: Path) -> None:
    write(
        tmp_path,
        "design.html",
        '{% extends "designs/plain.html" %}{% block phone %}.text{color:#123456 !important}\n{% endblock %}',
    )
    html = render(content(newsletter=newsletter(tmp_path))).html
    assert ".text{color:#123456 !important}" in html
    assert "#26282a" in html


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% if x %}", r"footer\.html:1: "),
        ("{{ nobody }}", r"footer\.html|'nobody' is undefined"),
        ('{% include "nowhere.html" %}', "cannot be filled: nowhere.html"),
        ('{% include "../../secret.txt" %}', "cannot be filled"),
        ("{{ ''.__class__.__mro__ }}", "cannot be filled"),
        ("geen link", "has no unsubscribe link"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, "partials/footer.html", text)
    with pytest.raises(RenderError, match=said):
        render(content(newsletter=newsletter(tmp_path)))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="or write the path of a folder"):
        render(content(newsletter=newsletter(tmp_path / "weg")))


@pytest.mark.standard("T-03")
def test_a_script_without_spaces_is_not_cut_by_counting() -> None:
    assert wrap("静けさとは何か。" * 20) == "静けさとは何か。" * 20
