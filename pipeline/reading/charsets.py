"""Which of Python's codecs are character sets that a text may name."""

from __future__ import annotations

import codecs
from typing import Final

_WESTERN: Final = {"ascii", "iso8859-1", "cp1252"}
"""All read as Windows-1252, as browsers do (WHATWG Encoding, "Names and labels")."""
_KNOWN: Final = {
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", *(f"iso8859-{n}" for n in range(2, 17)),
    *(f"cp125{n}" for n in range(9)), "koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "cp866", "cp874",
    "tis-620", "shift_jis", "euc_jp", "iso2022_jp", "gb2312", "gbk", "gb18030", "big5", "big5hkscs",
    "euc_kr", "cp932", "cp949", "cp950",
}  # fmt: skip
"""Python knows many more codecs. Some are no character sets at all, and some cost quadratic time."""


def codec_of(label: str) -> str:
    """The codec for a charset's name as it stands in a header or a page; empty for one not to be used."""
    try:
        name = codecs.lookup(label).name if label else ""
    except (LookupError, ValueError):
        return ""
    return "cp1252" if name in _WESTERN else name if name in _KNOWN else ""
