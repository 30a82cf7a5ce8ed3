"""A second opinion on messages: RFC 5322 and RFC 2047 read anew, sharing no code with ours."""

from __future__ import annotations

import re
from base64 import b64decode

_WORD = re.compile(rb"=\?([^?]+)\?([bBqQ])\?([^?]*)\?=")


def raw_headers(message: bytes) -> list[tuple[str, bytes]]:
    """Every header with its value as it stands, folds included, in order."""
    head = message.split(b"\r\n\r\n", 1)[0]
    fields = re.split(rb"\r\n(?![ \t])", head)
    return [
        (name.decode("ascii"), value.removeprefix(b" ")) for name, value in (f.split(b":", 1) for f in fields)
    ]


def header(message: bytes, name: str) -> bytes:
    """The one value of a header, as it stands."""
    (value,) = [value for field, value in raw_headers(message) if field.lower() == name.lower()]
    return value


def unfold(value: bytes) -> bytes:
    """RFC 5322 2.2.3: a fold is CRLF before white space; only the CRLF goes."""
    return value.replace(b"\r\n", b"")


def decode(value: bytes) -> str:
    """RFC 2047: encoded words into text; white space between two of them is not text (6.2)."""
    joined = re.sub(rb"(\?=)[ \t\r\n]+(?==\?)", rb"\1", unfold(value))
    out, end = [], 0
    for match in _WORD.finditer(joined):
        out.append(joined[end : match.start()].decode("ascii"))
        out.append(_decode_word(*match.groups()))
        end = match.end()
    return "".join(out) + joined[end:].decode("ascii")


def encoded_words(value: bytes) -> list[bytes]:
    """The encoded words in a header value."""
    return [match.group(0) for match in _WORD.finditer(value)]


def mailbox(value: bytes) -> tuple[str, str]:
    """Name and address of one mailbox (RFC 5322 3.4)."""
    text = unfold(value).decode("ascii")
    match = re.fullmatch(r"(?:(?P<phrase>.*?)\s*)<(?P<address>[^<>]+)>", text, re.DOTALL)
    if not match:
        return "", text
    phrase = match["phrase"]
    if phrase.startswith('"') and phrase.endswith('"'):
        return re.sub(r"\\(.)", r"\1", phrase[1:-1]), match["address"]
    return decode(phrase.encode("ascii")), match["address"]


def parts(message: bytes) -> list[tuple[dict[str, str], bytes]]:
    """Headers and raw body of each part of a multipart message (RFC 2046 5.1)."""
    found = re.search(rb'boundary="([^"]+)"', header(message, "Content-Type"))
    assert found
    mark = b"--" + found.group(1)
    body = b"\r\n" + message.split(b"\r\n\r\n", 1)[1]
    preamble, *pieces, epilogue = re.split(rb"\r\n" + re.escape(mark), body)
    assert preamble == b""
    assert epilogue == b"--\r\n"
    out = []
    for piece in pieces:
        head, content = piece.removeprefix(b"\r\n").split(b"\r\n\r\n", 1)
        fields = (line.split(b": ", 1) for line in head.split(b"\r\n"))
        out.append(({name.decode(): value.decode() for name, value in fields}, content))
    return out


def _decode_word(charset: bytes, how: bytes, data: bytes) -> str:
    if how in b"bB":
        return b64decode(data, validate=True).decode(charset.decode())
    spaced = data.replace(b"_", b" ")
    return re.sub(rb"=([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), spaced).decode(charset.decode())
