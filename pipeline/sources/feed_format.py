"""RSS (0.9 to 2.0), Atom and JSON Feed: from bytes to entries, and nothing else.

The parser is expat, which is handed text and knows neither files nor network. A document type is refused at
its first character, so no entity is ever declared, let alone resolved or expanded. No tree is built: what is
not of use is gone as soon as it was read, and the number of elements, their depth and the length of one tag
are bounded.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html.entities import html5
from typing import Any, Final
from urllib.parse import urljoin, urlsplit
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from pipeline.reading.frontmatter import parse_date
from pipeline.sources.charset import decode

LARGEST_FEED: Final = 20_000_000
"""Bytes, decoded."""
MOST_ENTRIES: Final = 5_000
LONGEST_ENTRY: Final = 1_000_000
"""Characters; a novel has half a million."""
MOST_ELEMENTS: Final = 250_000
DEEPEST: Final = 200
LONGEST_TAG: Final = 1_000_000
"""Characters of one tag, comment or instruction. Thousands of attributes cost expat the most."""
_PIECE: Final = 500_000
_MOST_BRACKETS: Final = 400_000
_MOST_QUOTES: Final = 600_000
_MOST_COMMAS: Final = 1_000_000
"""Of a JSON Feed. What they hold costs Python twenty times its own size; 5 000 posts have less."""

_MOST_NAMED: Final = 300_000
"""Of HTML's named characters in a feed that should have none."""

_ATOM: Final = ("http://www.w3.org/2005/Atom", "http://purl.org/atom/ns#")
_RSS: Final = (
    "",
    "http://purl.org/rss/1.0/",
    "http://my.netscape.com/rdf/simple/0.9/",
    "http://channel.netscape.com/rdf/simple/0.9/",
    "http://backend.userland.com/rss2",
)
_FIELDS: Final = {
    "http://purl.org/rss/1.0/modules/content/ encoded": "encoded",
    "http://purl.org/dc/elements/1.1/ date": "date",
    "http://purl.org/dc/elements/1.1/ language": "language",
    "http://purl.org/dc/terms/ modified": "updated",
    "http://rssnamespace.org/feedburner/ext/1.0 origLink": "original",
}
"""Elements of other namespaces that say something about an entry."""
_OWN: Final = {
    "title": "title", "link": "link", "guid": "id", "id": "id", "description": "summary",
    "summary": "summary", "content": "content", "pubDate": "date", "published": "date", "issued": "date",
    "updated": "updated", "modified": "updated",
}  # fmt: skip
_XML: Final = "http://www.w3.org/XML/1998/namespace"
_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NAMED: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,30};)")


class NotAFeed(ValueError):
    """What came is no feed that can be read whole. The message says what it is instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One post as a feed tells of it. Text that is HTML is named so; everything else is plain."""

    id: str = ""
    link: str = ""
    """An absolute web address, or empty."""
    title: str = ""
    title_is_html: bool = False
    body: str = ""
    body_is_html: bool = False
    whole: bool = False
    """The feed says that `body` is the content and not a summary."""
    summary: str = ""
    summary_is_html: bool = False
    published: datetime | None = None
    language: str = ""

    @property
    def fingerprint(self) -> str:
        """The same as long as the feed says the same about the post."""
        said = (self.link, self.title, self.body, self.summary, self.published, self.language, self.whole)
        return hashlib.sha256(repr(said).encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """All entries, in the feed's order, and what was odd about reading them."""

    entries: tuple[Entry, ...]
    remarks: tuple[str, ...] = ()


def read_feed(raw: bytes, *, base: str, content_type: str = "") -> Feed:
    """The feed in `raw`; `base` is the address it came from, for relative links. Raises `NotAFeed`."""
    if not raw.strip():
        raise NotAFeed("the answer is empty")
    text, lost = decode(raw, content_type)
    text = text.lstrip("\ufeff \t\r\n\0")
    if text.startswith("{"):
        entries = list(_json_entries(text, base))
    elif text.startswith("<"):
        entries = _xml_entries(text, base)
    else:
        raise NotAFeed("the answer is neither RSS nor Atom nor JSON Feed")
    remarks = []
    if lost:
        remarks.append(f"{lost} characters could not be read (the feed is not in the charset it names)")
    if len(entries) > MOST_ENTRIES:
        remarks.append(f"it has more than {MOST_ENTRIES} entries; the others were not read")
    return Feed(entries=tuple(entries[:MOST_ENTRIES]), remarks=tuple(remarks))


# XML


def _xml_entries(text: str, base: str) -> list[Entry]:
    if _first_tag(text).startswith(("<!doctype html", "<html")):
        raise NotAFeed("the answer is a web page and no feed (a login page, an error, or the wrong address)")
    text = _UNFIT.sub("", text)
    try:
        return _Reader(base).read(text)
    except expat.ExpatError as error:
        undefined = error.code == expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]
        if not undefined or text.count("&") > _MOST_NAMED:
            raise NotAFeed(_broken(error)) from error
    try:
        # `&nbsp;` and its like are HTML's: no XML without a document type knows them, yet feeds hold them.
        return _Reader(base).read(_NAMED.sub(_character, text))
    except expat.ExpatError as error:
        raise NotAFeed(_broken(error)) from error


def _first_tag(text: str) -> str:
    """How the first tag or document type begins, in lower case, after comments and instructions."""
    at, endings = 0, {"<!--": "-->", "<?": "?>"}
    for _ in range(1000):
        opening = next((mark for mark in endings if text.startswith(mark, at)), None)
        if opening is None:
            return " ".join(text[at : at + 60].lower().split())
        end = text.find(endings[opening], at)
        if end < 0:
            return ""
        at = end + len(endings[opening])
        while text[at : at + 1].isspace():
            at += 1
    return ""


def _character(found: re.Match[str]) -> str:
    return escape(html5[found[1]]) if found[1] in html5 else found[0]


def _broken(error: expat.ExpatError) -> str:
    endings = ("XML_ERROR_NO_ELEMENTS", "XML_ERROR_UNCLOSED_TOKEN", "XML_ERROR_UNCLOSED_CDATA_SECTION")
    cut = [expat.errors.codes[getattr(expat.errors, name)] for name in endings]
    words = expat.errors.messages[error.code]
    where = f"line {error.lineno}, column {error.offset + 1}"
    return f"it breaks off at {where}" if error.code in cut else f"it is not sound XML: {words} at {where}"


@dataclass(slots=True)
class _Field:
    """The element of an entry that is being read."""

    name: str
    depth: int
    kind: str
    """`text`, `html` or `xhtml`."""
    base: str
    parts: list[str] = field(default_factory=list)
    marked: bool = False
    """Has elements inside."""


class _Reader:
    """Takes in what expat tells, and keeps what makes an entry."""

    def __init__(self, base: str) -> None:
        self._entries: list[Entry] = []
        self._path: list[str] = []
        self._bases: list[str] = [base]
        self._languages: list[str] = [""]
        self._elements = 0
        self._found: dict[str, Any] | None = None
        self._entry_depth = 0
        self._field: _Field | None = None
        self._feed_language: list[str] | None = None
        self._language = ""
        self._kind = ""

    def read(self, text: str) -> list[Entry]:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.buffer_size = 65_536
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        fed = 0
        for start in range(0, len(text), _PIECE):
            piece = text[start : start + _PIECE]
            parser.Parse(piece, False)
            fed += len(piece.encode("utf-8"))
            if fed - parser.CurrentByteIndex > LONGEST_TAG:
                raise NotAFeed(f"it has a tag of more than {LONGEST_TAG} characters, which no feed has")
            if len(self._entries) > MOST_ENTRIES:
                return self._entries
        parser.Parse("", True)
        return self._entries

    def _doctype(self, *_: object) -> None:
        raise NotAFeed("it begins with a document type (<!DOCTYPE …>), which feeds do not need and we refuse")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._path.append(name)
        if self._elements > MOST_ELEMENTS or len(self._path) > DEEPEST:
            raise NotAFeed(
                f"it has more than {MOST_ELEMENTS} elements, or more than {DEEPEST} in one another"
            )
        depth = len(self._path)
        here = attributes.get(f"{_XML} base", "")
        self._bases.append(_joined(self._bases[-1], here) if here else self._bases[-1])
        self._languages.append(attributes.get(f"{_XML} lang", self._languages[-1]))
        space, _, local = name.rpartition(" ")
        if depth == 1:
            self._kind = _kind_of(space, local)
        elif self._field is not None:
            self._nested(self._field, local, attributes)
        elif self._found is not None and depth == self._entry_depth + 1:
            self._begin(space, local, attributes, depth)
        elif self._found is None and self._is_entry(space, local):
            self._found, self._entry_depth = {"language": self._languages[-1] or self._language}, depth
        elif self._found is None and local == "language" and depth == 3 and space in (*_RSS, _DC):
            self._feed_language = []

    def _is_entry(self, space: str, local: str) -> bool:
        parent = self._path[-2].rpartition(" ")[2]
        if self._kind == "atom":
            return local == "entry" and space in _ATOM and parent == "feed"
        return local == "item" and space in _RSS and parent in ("channel", "rss", "RDF", "items")

    def _begin(self, space: str, local: str, attributes: Mapping[str, str], depth: int) -> None:
        assert self._found is not None
        own = space in (_ATOM if self._kind == "atom" else _RSS)
        name = _OWN.get(local, "") if own else _FIELDS.get(f"{space} {local}", "")
        if not name:
            return
        if name == "link" and self._kind == "atom":
            self._atom_link(attributes)
            return
        if name == "content" and "src" in attributes:
            return
        kind = attributes.get("type", "text").strip().lower() if self._kind == "atom" else "html"
        if attributes.get("mode") == "escaped":  # Atom 0.3
            kind = "html"
        kind = {"text/html": "html", "application/xhtml+xml": "xhtml", "text/plain": "text"}.get(kind, kind)
        if name == "id" and attributes.get("isPermaLink", "").lower() != "false" and self._kind == "rss":
            self._found["permanent"] = True
        self._field = _Field(name=name, depth=depth, kind=kind, base=self._bases[-1])

    def _atom_link(self, attributes: Mapping[str, str]) -> None:
        assert self._found is not None
        if attributes.get("rel", "alternate") == "alternate" and attributes.get("href"):
            page = "html" in attributes.get("type", "html")
            if "link" not in self._found or (page and not self._found.get("page")):
                self._found["link"] = _joined(self._bases[-1], attributes["href"])
                self._found["page"] = page

    def _nested(self, reading: _Field, local: str, attributes: Mapping[str, str]) -> None:
        if not reading.marked:
            reading.marked = True
            reading.parts[:] = [escape(part) for part in reading.parts if part.strip()]
        plain = {name: value for name, value in attributes.items() if " " not in name}
        written = "".join(f" {name}={quoteattr(value)}" for name, value in plain.items())
        reading.parts.append(f"<{local}{written}>")

    def _characters(self, text: str) -> None:
        if self._field is not None:
            self._field.parts.append(escape(text) if self._field.marked else text)
        elif self._feed_language is not None:
            self._feed_language.append(text)

    def _end(self, name: str) -> None:
        depth, local = len(self._path), name.rpartition(" ")[2]
        if self._field is not None:
            if depth == self._field.depth:
                self._take(self._field)
                self._field = None
            elif local not in ("br", "hr", "img", "input", "wbr"):
                self._field.parts.append(f"</{local}>")
        elif self._found is not None and depth == self._entry_depth:
            self._entries.append(_entry(self._found, self._bases[-1]))
            self._found = None
        elif self._feed_language is not None:
            self._language = "".join(self._feed_language).strip()[:20]
            self._feed_language = None
        self._path.pop()
        self._bases.pop()
        self._languages.pop()

    def _take(self, read: _Field) -> None:
        assert self._found is not None
        text = "".join(read.parts).strip()
        if not text or (read.name in self._found and read.name != "language"):
            return
        self._found[read.name] = text
        self._found[f"{read.name} html"] = read.marked or read.kind in ("html", "xhtml")
        if read.name in ("link", "original"):
            self._found[read.name] = _joined(read.base, text)


_DC: Final = "http://purl.org/dc/elements/1.1/"


def _kind_of(space: str, local: str) -> str:
    if local == "feed" and space in _ATOM:
        return "atom"
    if local == "rss" or (local == "RDF" and space.endswith("22-rdf-syntax-ns#")):
        return "rss"
    if local.lower() == "html":
        raise NotAFeed("the answer is a web page and no feed (a login page, an error, or the wrong address)")
    raise NotAFeed(f"it is XML, but no feed: its first element is <{local[:40]}>")


def _entry(found: Mapping[str, Any], base: str) -> Entry:
    content = "encoded" if "encoded" in found else "content" if "content" in found else ""
    body = content or "summary"
    link = found.get("original") or found.get("link") or ""
    identity = str(found.get("id", ""))
    if not link and found.get("permanent") and identity.startswith(("http://", "https://")):
        link = _joined(base, identity)
    return Entry(
        id=identity,
        link=link,
        title=found.get("title", "")[:1000],
        title_is_html=bool(found.get("title html")),
        body=found.get(body, ""),
        body_is_html=bool(found.get(f"{body} html")),
        whole=bool(content),
        summary=found.get("summary", "")[:20_000],
        summary_is_html=bool(found.get("summary html")),
        published=_date(found.get("date", "")) or _date(found.get("updated", "")),
        language=str(found.get("language", ""))[:20],
    )


# JSON


def _json_entries(text: str, base: str) -> Iterator[Entry]:
    if _has_too_many_parts(text):
        raise NotAFeed("it has more parts than any feed has")
    try:
        told = json.loads(text)
    except RecursionError as error:
        raise NotAFeed("its parts are nested deeper than any feed's") from error
    except ValueError as error:
        raise NotAFeed("it breaks off, or is not sound JSON") from error
    items = told.get("items")
    if "jsonfeed.org" not in str(told.get("version", ""))[:100] or not isinstance(items, list):
        raise NotAFeed("it is JSON, but no JSON Feed")
    language = _text(told, "language")
    for item in items[: MOST_ENTRIES + 1]:
        if isinstance(item, dict):
            yield _json_entry(item, base, language)


def _has_too_many_parts(text: str) -> bool:
    # No string opens with an escaped quote, so at least one of each string's two counts.
    return (
        text.count("{") + text.count("[") > _MOST_BRACKETS
        or text.count('"') - text.count('\\"') > _MOST_QUOTES
        or text.count(",") > _MOST_COMMAS
    )


def _json_entry(item: Mapping[str, Any], base: str, language: str) -> Entry:
    html, plain = _text(item, "content_html"), _text(item, "content_text")
    summary = _text(item, "summary")
    return Entry(
        id=_text(item, "id"),
        link=_joined(base, _text(item, "url")),
        title=_text(item, "title")[:1000],
        body=html or plain or summary,
        body_is_html=bool(html),
        whole=bool(html or plain),
        summary=summary[:20_000],
        published=_date(_text(item, "date_published")) or _date(_text(item, "date_modified")),
        language=(_text(item, "language") or language)[:20],
    )


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return _UNFIT.sub("", str(value).encode("utf-8", "replace").decode("utf-8")).strip()


# Both


def _joined(base: str, link: str) -> str:
    """An absolute web address; empty for anything else (`javascript:`, `file:`, `/etc/passwd` of no site)."""
    try:
        whole = urljoin(base, link.strip()) if link.strip() else ""
        parts = urlsplit(whole)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return ""
    return whole if sound and len(whole) <= 2000 and not re.search(r"[\s<>\"\\]", whole) else ""


def _date(text: str) -> datetime | None:
    """RFC 822 (RSS) or RFC 3339 (Atom, Dublin Core, JSON Feed); a time without a zone is UTC."""
    text = text.strip()[:80]
    found = parse_date(text)
    if found is None and text:
        try:
            parsed = parsedate_to_datetime(text)
            found = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return found if found is not None and 1990 <= found.year <= 2200 else None
