"""The archive of published letters: from what is stored to pages and feeds. Pure: no recipient comes in, so
none can come out.

Every absolute link is built from `newsletter.url`; what a post brought along is text, and is escaped.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from email.utils import format_datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET  # only to write

from markupsafe import escape

from emails.archive import (
    ArchivedLetter,
    Places,
    index_page,
    language_attributes,
    letter_page,
    paragraphs,
)
from emails.edition import Newsletter
from emails.pages import page_words
from emails.render import BadLink, href
from pipeline.store.archive import Published
from subscribers.links import archive_url

IN_FEEDS: Final = 50
"""Letters in a feed; readers of feeds keep what they have seen."""
MAX_QUERY: Final = 100
MAX_WORDS: Final = 5

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_ATOM: Final = "http://www.w3.org/2005/Atom"
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, however it is written (section 2.2)."""


def is_day(text: str) -> bool:
    """True for the name of an edition, `2026-11-29`, and for nothing else."""
    if not _DAY.match(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def archived(published: Published) -> ArchivedLetter:
    """A letter as pages show it; an address that cannot be linked to is left out."""
    try:
        url = href(published.post_url) if published.post_url else None
    except BadLink:
        url = None
    return ArchivedLetter(
        day=published.day,
        question=published.question.strip(),
        example=published.example.strip("\n"),
        title=" ".join(published.post_title.split()),
        url=url,
        language=published.language,
    )


def found(letters: Sequence[Published], query: str) -> list[Published]:
    """Those that hold every word of `query` in question, example or title, whatever its case and accents."""
    wanted = folded(query[:MAX_QUERY]).split()[:MAX_WORDS]
    return [one for one in letters if all(word in _searched(one) for word in wanted)]


@lru_cache(maxsize=4096)
def _searched(one: Published) -> str:
    """What a letter is searched by. Kept: making it anew for twenty years of letters takes 40 ms."""
    return folded(f"{one.question}\n{one.example}\n{one.post_title}")


def folded(text: str) -> str:
    """Text as it is compared: `Één Straße` is `een strasse`."""
    apart = unicodedata.normalize("NFKD", text)
    return "".join(c for c in apart if not unicodedata.combining(c)).casefold()


def on_the_web(newsletter: Newsletter) -> Places:
    """Paths below the newsletter's own address."""
    home = urlsplit(newsletter.url).path.rstrip("/")
    language = newsletter.language
    return Places(
        index=f"{home}/archive",
        rss=f"{home}/feed.xml",
        json=f"{home}/feed.json",
        join=f"{home}/join?language={language}",
        privacy=f"{home}/privacy?language={language}",
        letter=lambda day: f"{home}/archive/{day}",
    )


def in_a_folder(newsletter: Newsletter) -> Places:
    """Files beside each other."""
    return Places(
        index="index.html",
        rss="feed.xml",
        json="feed.json",
        join=f"{newsletter.url}/join?language={newsletter.language}",
        privacy=f"{newsletter.url}/privacy?language={newsletter.language}",
        letter=lambda day: f"{day}.html",
    )


def index_html(
    newsletter: Newsletter, places: Places, letters: Sequence[Published], *, query: str = "", searchable: bool
) -> str:
    """The index; with a query, what is found for it."""
    query = " ".join(query[:MAX_QUERY].split())
    shown = found(letters, query) if query else letters
    return index_page(
        newsletter,
        places,
        [archived(one) for one in shown],
        canonical=f"{newsletter.url}/archive",
        query=query,
        searchable=searchable,
    )


def letter_html(
    newsletter: Newsletter, places: Places, published: Published, letters: Sequence[Published]
) -> str:
    """One letter. Search engines are sent to the post, which is the original; without one, to this page."""
    older = next((one for one in letters if one.day < published.day), None)
    newer = next((one for one in reversed(letters) if one.day > published.day), None)
    letter = archived(published)
    return letter_page(
        newsletter,
        places,
        letter,
        canonical=letter.url or archive_url(newsletter.url, published.day),
        older=archived(older) if older else None,
        newer=archived(newer) if newer else None,
    )


def rss(newsletter: Newsletter, letters: Sequence[Published]) -> bytes:
    """RSS 2.0 (https://www.rssboard.org/rss-specification) with a link to itself in Atom."""
    ET.register_namespace("atom", _ATOM)
    feed = ET.Element("rss", version="2.0")
    channel = ET.SubElement(feed, "channel")
    _put(channel, "title", newsletter.name)
    _put(channel, "link", f"{newsletter.url}/archive")
    _put(channel, "description", _about(newsletter))
    _put(channel, "language", newsletter.language)
    href_of = {"href": f"{newsletter.url}/feed.xml", "rel": "self", "type": "application/rss+xml"}
    ET.SubElement(channel, f"{{{_ATOM}}}link", href_of)
    if letters:
        _put(channel, "lastBuildDate", format_datetime(letters[0].at))
    for one in letters[:IN_FEEDS]:
        item = ET.SubElement(channel, "item")
        _put(item, "title", _one_line(one.question))
        _put(item, "link", archive_url(newsletter.url, one.day))
        _put(item, "guid", archive_url(newsletter.url, one.day))
        _put(item, "pubDate", format_datetime(one.at))
        _put(item, "description", _content(newsletter, archived(one)))
    written: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return written


def json_feed(newsletter: Newsletter, letters: Sequence[Published]) -> bytes:
    """JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/)."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": newsletter.name,
        "description": _about(newsletter),
        "home_page_url": f"{newsletter.url}/archive",
        "feed_url": f"{newsletter.url}/feed.json",
        "language": newsletter.language,
        "authors": [{"name": newsletter.sender.name or newsletter.name}],
        "items": [_item(newsletter, one) for one in letters[:IN_FEEDS]],
    }
    return json.dumps(feed, ensure_ascii=False, indent=1).encode("utf-8", "replace")


def static_site(newsletter: Newsletter, letters: Sequence[Published]) -> Iterator[tuple[str, bytes]]:
    """Every file of the archive as a folder: name and content. There is no search in it: that would need a
    script, or a server."""
    places = in_a_folder(newsletter)
    yield "index.html", index_html(newsletter, places, letters, searchable=False).encode("utf-8", "replace")
    for one in letters:
        page = letter_html(newsletter, places, one, letters)
        yield f"{one.day}.html", page.encode("utf-8", "replace")
    yield "feed.xml", rss(newsletter, letters)
    yield "feed.json", json_feed(newsletter, letters)


def _item(newsletter: Newsletter, one: Published) -> Mapping[str, object]:
    letter = archived(one)
    item = {
        "id": archive_url(newsletter.url, one.day),
        "url": archive_url(newsletter.url, one.day),
        "title": _one_line(one.question),
        "content_html": _content(newsletter, letter),
        "date_published": one.at.isoformat(),
    }
    if language_attributes(letter, newsletter.language):
        item["language"] = letter.language
    return item | ({"external_url": letter.url} if letter.url else {})


def _content(newsletter: Newsletter, letter: ArchivedLetter) -> str:
    """Question, example and the way to the post, as HTML."""
    said = page_words(newsletter.language, newsletter.address_form)
    spoken = language_attributes(letter, newsletter.language)
    parts = [f"<p{spoken}><strong>{escape(letter.question)}</strong></p>"]
    parts += (f"<p{spoken}>{'<br>'.join(map(escape, lines))}</p>" for lines in paragraphs(letter.example))
    if letter.url:
        onward = escape(said.say("letter.read", title=letter.title))
        parts.append(f'<p><a href="{escape(letter.url)}">{onward}</a></p>')
    return "".join(parts)


def _about(newsletter: Newsletter) -> str:
    return page_words(newsletter.language, newsletter.address_form).say("page.archive.lead")


def _put(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = _NO_XML.sub("\ufffd", text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
