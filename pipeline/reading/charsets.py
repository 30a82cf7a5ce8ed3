"""Bytes into characters, by one rule for files, pages and feeds: what they declare is often wrong."""

from __future__ import annotations

import codecs
import re
from typing import Final

_AS_BROWSERS_DO: Final = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874",
    "tis-620": "cp874", "shift_jis": "cp932", "euc_kr": "cp949", "gb2312": "gb18030", "gbk": "gb18030",
    "big5": "big5hkscs",
}  # fmt: skip
"""Names that mean a larger charset by now (WHATWG Encoding, "Names and labels")."""
_KNOWN: Final = {
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", *(f"iso8859-{n}" for n in range(2, 17)),
    *(f"cp125{n}" for n in range(9)), "koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "cp866", "cp874",
    "euc_jp", "iso2022_jp", "gb18030", "big5hkscs", "cp932", "cp949", "cp950",
}  # fmt: skip
"""Python knows many more codecs. Some are no character sets at all, and some cost quadratic time."""
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF_16: Final = re.compile(rb"(?:[ \t\r\n]\x00)*[<{]\x00|(?:\x00[ \t\r\n])*\x00[<{]")
_IN_HEADER: Final = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_XML_DECLARATION: Final = re.compile(
    rb"\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})[\"']"
)
_META: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_MISREAD: Final = re.compile(
    "Ã[\u00a1-\u00ba\u00bc-\u00bf€‚ƒ„†‡ˆ‰Š‹ŒŽ•˜™š›œžŸ]|Â[\u00a1-\u00ba\u00bc-\u00bf]|â€|â‚¬|ðŸ|ï¿½|â[†œ˜ž](?!\\w)"
)
_COMMENT: Final = re.compile(rb"<!--.*?-->", re.DOTALL)
_HEAD: Final = 2048
"""Bytes in which a page names its charset; the standard wants it within the first 1024."""


def decode(raw: bytes, *labels: str) -> tuple[str, int]:
    """(the text, how many characters could not be read and became U+FFFD). `labels` are the names of charsets
    that were declared, the most trusted first; empty and unknown ones do not count.

    A byte-order mark counts most. Then: text with more than ASCII in it, most of which is sound UTF-8, is
    UTF-8, whatever is declared; what is broken in it is lost. Then the declared charsets, if they fit; then
    Windows-1252, in which five bytes mean nothing. Browsers make invisible controls of these; here they are
    lost, so that whoever vets a letter sees that a letter of a word may be missing.
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
    foreign = [name for name in map(codec_of, labels) if _says_something(name)]
    for encoding in foreign:
        try:
            return raw.decode(encoding), 0
        except UnicodeDecodeError:
            continue
    if not lost:
        return text, 0
    return _replacing(raw, foreign[0] if foreign else "cp1252")


def misread(text: str) -> str:
    """The first few characters that are UTF-8 read as Windows-1252 before they came to us (`Ã©` for é, `â€™`
    for ’, `ðŸ` for an emoji); empty where there are none. Only what no language writes."""
    found = _MISREAD.search(text)
    return found[0] if found else ""


def codec_of(label: str) -> str:
    """The codec for a charset's name as it stands in a header or a page; empty for one not to be used."""
    for name in (label, label.lower().removeprefix("x-")):
        try:
            codec = codecs.lookup(name).name if name else ""
        except (LookupError, ValueError):
            continue
        codec = _AS_BROWSERS_DO.get(codec, codec)
        if codec in _KNOWN:
            return codec
    return ""


def named_in_header(content_type: str) -> str:
    """The charset of a `Content-Type`, as it stands there; empty where there is none."""
    found = _IN_HEADER.search(content_type)
    return found[1] if found else ""


def named_in_xml(raw: bytes) -> str:
    """The charset of an XML declaration, likewise."""
    found = _XML_DECLARATION.match(raw)
    return found[1].decode("ascii") if found else ""


def named_in_page(raw: bytes) -> str:
    """The charset that the head of a page names, else its XML declaration, likewise; not within a comment
    (WHATWG HTML, "prescan a byte stream to determine its encoding")."""
    found = _META.search(_COMMENT.sub(b"", raw[:_HEAD]))
    return found[1].decode("ascii") if found else named_in_xml(raw)


def _says_something(codec: str) -> bool:
    """Whether a declaration helps: UTF-8 and Windows-1252 are recognised without one, and what was read as
    single bytes so far is no UTF-16."""
    return codec not in ("", "utf-8", "cp1252") and not codec.startswith(("utf-16", "utf-32"))


def _replacing(raw: bytes, encoding: str) -> tuple[str, int]:
    before = raw.count("\ufffd".encode()) if encoding == "utf-8" else 0
    text = raw.decode(encoding, "replace")
    return text, text.count("\ufffd") - before
