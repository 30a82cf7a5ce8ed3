"""What a reader counts as one character (Unicode annex 29, the rules that living text needs)."""

from __future__ import annotations

import unicodedata

_JOINER = "\u200d"


def graphemes(text: str) -> list[str]:
    """`text` in grapheme clusters: a letter with its accents, an emoji with its skin tone, a flag."""
    clusters: list[str] = []
    for char in text:
        if clusters and _belongs_to(clusters[-1], char):
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


def length(text: str) -> int:
    """How many characters a reader sees."""
    return len(graphemes(text))


def shorten(text: str, limit: int, ellipsis: str = "…") -> str:
    """`text` in at most `limit` clusters, cut between words where it can be and never inside a cluster."""
    clusters = graphemes(text)
    if len(clusters) <= limit:
        return text
    head = "".join(clusters[: limit - length(ellipsis)])
    if not clusters[limit - length(ellipsis)].isspace() and " " in head:
        head = head.rsplit(" ", 1)[0]
    return head.rstrip(" ,;:.–—-(“‘«") + ellipsis


def _belongs_to(cluster: str, char: str) -> bool:
    if unicodedata.category(char) in {"Mn", "Mc", "Me"} or char == _JOINER:
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff" or "\U000e0020" <= char <= "\U000e007f":
        return True
    if cluster.endswith(_JOINER) and unicodedata.category(char) == "So":
        return True
    return _is_flag_letter(char) and len(cluster) == 1 and _is_flag_letter(cluster)


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
