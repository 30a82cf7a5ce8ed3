"""Where posts come from: folders, feeds and single pages."""

from __future__ import annotations

from enum import StrEnum


class Asking(StrEnum):
    """How a source on the web is read."""

    KEEP = "keep"
    """Asked, and what it says is remembered."""
    LOOK = "look"
    """Asked, and nothing is written: for plans."""
    REMEMBER = "remember"
    """Not asked: what is remembered must do."""


class AskedToStop(Exception):
    """A source was being asked when the program was told to stop; nothing came of it."""


class SourceUnavailable(Exception):
    """A source cannot be read, and what we remember of it is too old to be used. The message says why."""
