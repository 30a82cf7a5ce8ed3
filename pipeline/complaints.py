"""What is wrong with the settings, in words that name file, line, field and the mend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing that must be mended before anything starts."""

    file: str
    text: str
    line: int = 0
    """From 1; 0 means the file as a whole."""
    field: str = ""
    """Dotted path, `schedule.on`; empty when the text is about no field."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        words = f"{place}: {self.field}: {self.text}" if self.field else f"{place}: {self.text}"
        return " ".join(words.split())


class SettingsError(Exception):
    """The settings cannot be used. Its text is every complaint, one a line, in the order of the lines."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(sorted(complaints, key=lambda c: (c.file, c.line)))
        super().__init__("\n".join(dict.fromkeys(str(c) for c in self.complaints)))


def nearest(word: str, options: Sequence[str]) -> str | None:
    """The option that `word` was most likely meant to be, or None when none is near."""
    near = get_close_matches(word.lower()[:60], options, n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(word: str, options: Sequence[str]) -> str:
    """`, did you mean 'sunday'?`, or nothing."""
    near = nearest(word, options)
    return f", did you mean {near!r}?" if near else ""


def one_of(options: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = options
    return f"{', '.join(most)} or {last}" if most else last


def shown(value: object) -> str:
    """A value as it may stand in a message: quoted, on one line, at most 60 characters."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
