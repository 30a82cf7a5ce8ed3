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


LOOP, END = "{% for a in 'abcdefghijklmnopqrstuvwxyz' %}", "{% endfor %}"


@pytest.mark.fault(142)
@pytest.mark.parametrize(
    "text",
    [
        "{{ newsletter.__class__ }}",
        "{{ newsletter.__init__.__globals__ }}",
        "{{ say.__globals__ }}",
        "{{ say.__func__.__globals__['os'].environ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ ''.join.__self__.__class__ }}",
        "{{ '{0.__class__.__mro__}'.format(newsletter) }}",
        "{{ '{a.__class__}'.format_map({'a': newsletter}) }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context.environment }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ namespace.__init__ }}",
        "{{ config }}{{ request }}{{ environ }}{{ os }}",
        "{{ recipient.address }}",
        "{{ subscribers }}",
        "{{ range(10 ** 9) | list }}",
        "{{ 'x' * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 9 ** 9 ** 9 }}",
        f"{LOOP}{LOOP}{LOOP}{LOOP}x{END}{END}{END}{END}",
        "{{ 'x' | center(1000000000) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ 'x' | indent(1000000000) }}",
        "{{ 'x'.ljust(1000000000) }}",
        "{{ '1'.zfill(1000000000) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{% set colours.page = 1 %}",
        "{{ colours.update({'page': 1}) }}",
        "{{ colours.clear() }}",
        "{% include '/etc/hostname' %}",
        "{% include '../../../../etc/hostname' %}",
        "{% import 'os' as os %}",
        "{% extends '/etc/hostname' %}",
    ],
)
def test_a_template_reaches_nothing_but_what_it_is_given(tmp_path: Path, text: str) -> None:
    write(tmp_path, "partials/footer.html", f'{text}<a href="{{{{ unsubscribe_url }}}}">weg</a>')
    with pytest.raises(RenderError):
        render(content(newsletter=newsletter(tmp_path)))


@pytest.mark.fault(142)
def test_the_corpus_fails_for_what_it_tries(tmp_path: Path) -> None:
    """The same footer with a harmless text is filled: so it is the text that is refused."""
    for harmless in ("", "{{ newsletter.name }}", "{{ 3 * 4 }}", "{% for c in 'abc' %}{{ c }}{% endfor %}"):
        write(tmp_path, "partials/footer.html", f'{harmless}<a href="{{{{ unsubscribe_url }}}}">weg</a>')
        assert ">weg</a>" in render(content(newsletter=newsletter(tmp_path))).html


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="or write the path of a folder"):
        render(content(newsletter=newsletter(tmp_path / "weg")))


@pytest.mark.standard("T-03")
def test_a_script_without_spaces_is_not_cut_by_counting() -> None:
    assert wrap("静けさとは何か。" * 20) == "静けさとは何か。" * 20
