"""Other people's words, made fit for a log."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")


def plain(message: str) -> str:
    """A provider's words, fit for a log: no address, no line break, not long."""
    one_line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return _ADDRESS.sub("<address>", one_line)[:200]
