"""Letters for anyone to read: what a page and a feed hold, and what they never hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emails.words import languages
from pipeline.archive import (
    IN_FEEDS,
    archived,
    found,
    in_a_folder,
    index_html,
    is_day,
    json_feed,
    letter_html,
    on_the_web,
    rss,
    static_site,
)
from pipeline.store.archive import Published
from tests.builders import newsletter

AT = datetime(2026, 11, 29, 7, 0, tzinfo=UTC)
NEWSLETTER = newsletter(url="https://stillepost.example/brief")
HOSTILE = (
    "</p><script>alert(1)</script>\"'><img src=x onerror=y> {{7*7}} {% x %} %recipient.name% ]]> &amp; \u0007"
)


def published(day: str = "2026-11-29", **changes: object) -> Published:
    values: dict[str, object] = {
        "day": day,
        "question": "Wat draag je nog mee?",
        "example": "Je komt thuis.\nJe zet je tas neer.\n\nJe ademt uit.",
        "post_title": "De tas bij de deur",
        "post_url": "https://stillepost.example/de-tas",
        "at": AT,
    }
    return Published(**{**values, **changes})  # type: ignore[arg-type]


LETTERS = [
    published(),
    published("2026-11-22", question="Mag het ook half af?", post_url=None, post_title="Half af"),
    published(
        "2025-12-28",
        question="Wie heb je niet bedankt?",
        example="Één kaartje naar Zoë, straße 3.",
        post_title="Dank",
    ),
]


class _Read(HTMLParser):
    """A page as a browser reads it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def links(self) -> list[str]:
        return [
            str(value)
            for _, attrs in self.tags
            for name, value in attrs.items()
            if name in {"href", "action"}
        ]

    def canonical(self) -> str:
        [found] = [attrs["href"] for _, attrs in self.tags if attrs.get("rel") == "canonical"]
        return str(found)


def index(query: str = "") -> str:
    return index_html(NEWSLETTER, on_the_web(NEWSLETTER), LETTERS, query=query, searchable=True)


@pytest.mark.parametrize("language", languages())
def test_pages_are_whole_in_every_language(language: str) -> None:
    spoken = replace(NEWSLETTER, language=language)
    for places in (on_the_web(spoken), in_a_folder(spoken)):
        for query in ("", "tas", "de", "nowhere"):
            html = index_html(spoken, places, LETTERS, query=query, searchable=True)
            assert f'<html lang="{language}" dir="ltr">' in html
            assert "%(" not in html
        html = letter_html(spoken, places, LETTERS[1], LETTERS)
        assert not re.search(r"\bpage\.[a-z]|\bletter\.[a-z]", html)
        assert "<script" not in html


def test_the_index_has_the_newest_first_under_its_year() -> None:
    page = _Read(index())
    years = [attrs["id"] for tag, attrs in page.tags if tag == "h2"]
    days = [attrs["datetime"] for tag, attrs in page.tags if tag == "time"]
    assert years == ["y2026", "y2025"]
    assert days == ["2026-11-29", "2026-11-22", "2025-12-28"]
    assert "/brief/archive/2026-11-29" in page.links()
    assert page.canonical() == "https://stillepost.example/brief/archive"


def test_a_letter_names_the_post_as_the_original_or_itself_where_there_is_none() -> None:
    places = on_the_web(NEWSLETTER)
    with_post, without = (_Read(letter_html(NEWSLETTER, places, one, LETTERS)) for one in LETTERS[:2])
    assert with_post.canonical() == "https://stillepost.example/de-tas"
    assert "https://stillepost.example/de-tas" in with_post.links()
    assert without.canonical() == "https://stillepost.example/brief/archive/2026-11-22"
    near = [(attrs["rel"], attrs["href"]) for tag, attrs in without.tags if tag == "a" and "rel" in attrs]
    assert near == [("prev", "/brief/archive/2025-12-28"), ("next", "/brief/archive/2026-11-29")]


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("tas", ["2026-11-29", "2026-11-22"]),
        ("TÁS neer", ["2026-11-29", "2026-11-22"]),
        ("een zoe", ["2025-12-28"]),
        ("strasse", ["2025-12-28"]),
        ("half", ["2026-11-22"]),
        ("tas bedankt", []),
        ("", ["2026-11-29", "2026-11-22", "2025-12-28"]),
        ("  ", ["2026-11-29", "2026-11-22", "2025-12-28"]),
    ],
)
def test_search_minds_neither_case_nor_accents_and_wants_every_word(query: str, days: list[str]) -> None:
    assert [one.day for one in found(LETTERS, query)] == days


def test_a_search_says_how_many_it_found_and_repeats_the_words_as_text() -> None:
    assert "Eén brief over “half”" in index("half")
    assert "2 brieven over “tas”" in index("tas")
    assert "Geen brief gevonden over “x”" in index("x")
    hostile = _Read(index('"><script>alert(1)</script>'))
    assert all(tag != "script" for tag, _ in hostile.tags)
    [typed] = [attrs["value"] for tag, attrs in hostile.tags if tag == "input"]
    assert typed == '"><script>alert(1)</script>'


@pytest.mark.parametrize(
    ("language", "said"),
    [
        *(("", ""), ("nl", ""), ("nl-BE", "")),
        *(("en", ' lang="en" dir="ltr"'), ("ar", ' lang="ar" dir="rtl"')),
        ('"><script>', ' lang="&#34;&gt;&lt;script&gt;" dir="ltr"'),
    ],
)
def test_words_in_another_language_than_the_page_are_marked(language: str, said: str) -> None:
    """WCAG 3.1.2; a feed has no `dir="auto"` of its own to fall back on."""
    one = published(language=language)
    page = letter_html(NEWSLETTER, on_the_web(NEWSLETTER), one, [one])
    where = said or ' dir="auto"'
    assert f'<h1 class="question"{where}>' in page
    assert f'<div class="example"{where}>' in page
    listing = index_html(NEWSLETTER, on_the_web(NEWSLETTER), [one], searchable=False)
    assert f'<a href="/brief/archive/2026-11-29"{where}>' in listing
    item = json.loads(json_feed(NEWSLETTER, [one]))["items"][0]
    assert item["content_html"].startswith(f"<p{said}><strong>")
    assert item.get("language", "") == (language if said else "")
    assert ET.fromstring(rss(NEWSLETTER, [one])).find("channel/item/description") is not None


@pytest.mark.fault(140)
@pytest.mark.fault(141)
def test_what_a_post_brings_along_stays_text() -> None:
    bad = published(
        question=HOSTILE,
        example=f"{HOSTILE}\n\n{HOSTILE}",
        post_title=HOSTILE,
        post_url="javascript:alert(1)",
    )
    known = {"script", "img"}
    for places in (on_the_web(NEWSLETTER), in_a_folder(NEWSLETTER)):
        for html in (
            index_html(NEWSLETTER, places, [bad], query="7", searchable=True),
            letter_html(NEWSLETTER, places, bad, [bad]),
        ):
            page = _Read(html)
            assert not known & {tag for tag, _ in page.tags}
            assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
            assert not any("javascript:" in link for link in page.links())
            assert "{{7*7}} {% x %} %recipient.name%" in "".join(page.text)
    inner = ET.fromstring(rss(NEWSLETTER, [bad])).findtext("channel/item/description") or ""
    item = json.loads(json_feed(NEWSLETTER, [bad]))["items"][0]
    assert item["content_html"].replace("\u0007", "\ufffd") == inner
    assert {tag for tag, _ in _Read(inner).tags} <= {"p", "strong", "br"}
    assert "external_url" not in item


@pytest.mark.fault(145)
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "https://a@evil.example",
        "\\\\evil",
        "http://evil.example",
    ],
)
def test_an_address_that_cannot_be_linked_to_is_left_out(url: str) -> None:
    assert archived(published(post_url=url)).url is None
    page = _Read(letter_html(NEWSLETTER, on_the_web(NEWSLETTER), published(post_url=url), LETTERS))
    assert page.canonical() == "https://stillepost.example/brief/archive/2026-11-29"
    assert all(
        link.startswith(("/brief/", "data:,", "https://stillepost.example/brief/")) for link in page.links()
    )


@pytest.mark.fault(145)
def test_rss_is_well_formed_and_every_link_begins_with_the_newsletters_address() -> None:
    feed = ET.fromstring(rss(NEWSLETTER, LETTERS))
    assert (feed.tag, feed.get("version")) == ("rss", "2.0")
    channel = feed.find("channel")
    assert channel is not None
    assert [channel.findtext(name) for name in ("title", "link", "language")] == [
        *("Stille post", "https://stillepost.example/brief/archive", "nl")
    ]
    itself = channel.find("{http://www.w3.org/2005/Atom}link")
    assert itself is not None
    assert itself.get("href") == "https://stillepost.example/brief/feed.xml"
    items = channel.findall("item")
    assert [item.findtext("guid") for item in items] == [
        f"https://stillepost.example/brief/archive/{one.day}" for one in LETTERS
    ]
    assert parsedate_to_datetime(items[0].findtext("pubDate") or "") == AT
    assert items[0].findtext("title") == "Wat draag je nog mee?"


def test_json_feed_has_what_the_format_asks_for() -> None:
    feed = json.loads(json_feed(NEWSLETTER, LETTERS))
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == "https://stillepost.example/brief/feed.json"
    ids = [item["id"] for item in feed["items"]]
    assert len(set(ids)) == len(ids) == 3
    for item in feed["items"]:
        assert item["url"].startswith("https://stillepost.example/brief/archive/")
        assert datetime.fromisoformat(item["date_published"]).tzinfo is not None
        assert item["content_html"]


def test_feeds_are_bounded_and_may_be_empty() -> None:
    many = [
        published((datetime(2026, 11, 29, tzinfo=UTC) - timedelta(weeks=n)).date().isoformat())
        for n in range(90)
    ]
    assert len(ET.fromstring(rss(NEWSLETTER, many)).findall("channel/item")) == IN_FEEDS
    assert len(json.loads(json_feed(NEWSLETTER, many))["items"]) == IN_FEEDS
    assert ET.fromstring(rss(NEWSLETTER, [])).find("channel") is not None
    assert json.loads(json_feed(NEWSLETTER, []))["items"] == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_a_page_or_a_feed(question: str, example: str) -> None:
    one = published(question=question, example=example, post_title=question)
    ET.fromstring(rss(NEWSLETTER, [one]))
    json.loads(json_feed(NEWSLETTER, [one]))
    assert next(static_site(NEWSLETTER, [one]))[1]


def test_as_a_folder_every_page_links_to_a_file_beside_it_or_to_the_web() -> None:
    files = dict(static_site(NEWSLETTER, LETTERS))
    assert set(files) == {
        *("index.html", "2026-11-29.html", "2026-11-22.html", "2025-12-28.html", "feed.xml", "feed.json")
    }
    for name, content in files.items():
        if name.endswith(".html"):
            for link in _Read(content.decode()).links():
                assert link in files or link.startswith(("https://stillepost.example/", "data:,")), link
            assert b"<form" not in content


@pytest.mark.fault(149)
@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "..",
            "2026-11-31",
            "2026-13-01",
            "26-11-29",
            "2026-11-29 ",
            "2026-11-29\n",
            "2026-W48",
            "1",
        ),
        *("٢٠٢٦-١١-٢٩", "2026/11/29", "2026-11-29.html", "2026-11-29%00", "0000-00-00", "2026-11-2９"),
    ],
)
def test_only_a_date_is_the_name_of_a_letter(text: str) -> None:
    assert not is_day(text)
    assert is_day("2026-11-29")
