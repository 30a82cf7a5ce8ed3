"""A feed's bytes into characters, by rule: what is declared about them is often wrong."""

from __future__ import annotations

import codecs
import re

from pipeline.reading.charsets import codec_of

_DECLARED = re.compile(rb"\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']")
_UTF_16 = re.compile(rb"(?:[ \t\r\n]\x00)*[<{]\x00|(?:\x00[ \t\r\n])*\x00[<{]")
_IN_HEADER = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(raw: bytes, content_type: str = "") -> tuple[str, int]:
    """(the text of a feed, how many characters could not be read and became U+FFFD).

    A byte-order mark counts most. Then: text with more than ASCII in it, most of which is sound UTF-8, is
    UTF-8, whatever is declared; what is broken in it is lost. Then the charset of the HTTP header and that
    of the XML declaration, if they fit; then Windows-1252.
    """
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            return _replacing(raw[len(mark) :] if encoding == "utf-8" else raw, encoding)
    if _UTF_16.match(raw):
        return _replacing(raw, "utf-16-be" if raw[0] == 0 else "utf-16-le")
    text, lost = _replacing(raw, "utf-8")
    # A character of four bytes that is sound by chance is rarer than one of two: each byte after the first
    # counts. U+FFFD has two such.
    sound = len(text.encode()) - len(text) - 2 * lost
    if sound > lost:
        return text, lost
    foreign = [name for name in _declared(raw, content_type) if name not in ("utf-8", "cp1252")]
    for encoding in foreign:
        try:
            return raw.decode(encoding), 0
        except UnicodeDecodeError:
            continue
    if not lost:
        return text, 0
    return _replacing(raw, foreign[0] if foreign else "cp1252")


def _declared(raw: bytes, content_type: str) -> list[str]:
    """The codecs of the HTTP header and of the XML declaration, as far as there are any."""
    header, declaration = _IN_HEADER.search(content_type), _DECLARED.match(raw)
    labels = (header[1] if header else "", declaration[1].decode("ascii") if declaration else "")
    known = filter(None, map(codec_of, labels))
    return [name for name in known if not name.startswith(("utf-16", "utf-32"))]


def _replacing(raw: bytes, encoding: str) -> tuple[str, int]:
    before = raw.count("\ufffd".encode()) if encoding == "utf-8" else 0
    text = raw.decode(encoding, "replace")
    return text, text.count("\ufffd") - before
