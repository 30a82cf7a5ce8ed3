"""Right-to-left letters: Latin words that keep their place, and fonts that have the script."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

_LATIN = "A-Za-zÀ-ɏ"
_RUN = re.compile(rf"[{_LATIN}0-9](?:[{_LATIN}0-9 .,:;/@&'’+\-_#?=%()]*[{_LATIN}0-9)?!])?")
_RIGHT_TO_LEFT_MARK = "\u200f"

_FONTS = {
    "Arab": "'Geeza Pro','Noto Naskh Arabic','Segoe UI',Tahoma",
    "Hebr": "'Arial Hebrew','Noto Sans Hebrew',Arial",
    "Jpan": "'Hiragino Sans','Yu Gothic','Noto Sans CJK JP'",
    "Hans": "'PingFang SC','Microsoft YaHei','Noto Sans CJK SC'",
    "Kore": "'Apple SD Gothic Neo','Malgun Gothic','Noto Sans CJK KR'",
    "Deva": "'Kohinoor Devanagari','Nirmala UI','Noto Sans Devanagari'",
}
_SCRIPTS = {
    **dict.fromkeys(("ar", "fa", "ur", "ps", "ckb"), "Arab"),
    **dict.fromkeys(("he", "yi"), "Hebr"),
    **dict.fromkeys(("hi", "mr", "ne"), "Deva"),
    "ja": "Jpan",
    "zh": "Hans",
    "ko": "Kore",
}


def isolate(text: str) -> Markup:
    """`text`, escaped, with every Latin run in a `<span dir="ltr">`, so that brackets and full stops beside a
    name or an address keep their place in right-to-left text."""
    out, end = Markup(""), 0
    for run in _RUN.finditer(text):
        if not re.search(f"[{_LATIN}]", run[0]):
            continue
        # a closing bracket belongs to the run only if its opening one does, and a number after a comma not
        latin = run[0] if run[0].count("(") == run[0].count(")") else run[0].split(")")[0].rstrip("( ")
        latin = re.sub(r"[,.;:]\s*[0-9 ]+\Z", "", latin)
        out += escape(text[end : run.start()]) + Markup('<span dir="ltr">{}</span>').format(latin)
        end = run.start() + len(latin)
    return out + escape(text[end:])


def mark_line(line: str) -> str:
    """A line of right-to-left plain text that starts with a Latin word, told which way it runs."""
    first = next((char for char in line if unicodedata.bidirectional(char) in {"L", "R", "AL"}), "")
    mixed = any(unicodedata.bidirectional(char) in {"R", "AL"} for char in line)
    starts_latin = bool(first) and unicodedata.bidirectional(first) == "L"
    return _RIGHT_TO_LEFT_MARK + line if starts_latin and mixed else line


def fonts_for(language: str) -> str:
    """System fonts that have the script of `language`; empty for those that every font has."""
    return _FONTS.get(_SCRIPTS.get(language.partition("-")[0], ""), "")
