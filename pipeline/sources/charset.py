"""A feed's bytes into characters, by the rule of `pipeline.reading.charsets`."""

from __future__ import annotations

from pipeline.reading import charsets


def decode(raw: bytes, content_type: str = "") -> tuple[str, int]:
    """(the text of a feed, how many characters could not be read and became U+FFFD).

    The HTTP header counts more than the XML declaration, where either does (RFC 7303, 3).
    """
    return charsets.decode(raw, charsets.named_in_header(content_type), charsets.named_in_xml(raw))
