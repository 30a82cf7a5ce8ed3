"""Cells that a spreadsheet would run as a formula, made harmless on the way out and put back on the way in.

A cell that begins with `=`, `+`, `-` or `@`, also behind white space, or with a tab or a line's end, is a
formula or a command to common spreadsheets (OWASP, "CSV Injection"). An apostrophe in front makes it text.
"""

from __future__ import annotations

import re
from typing import Final

_RUNS: Final = re.compile(r"'*(?:\s*[=+\-@＝＋－＠]|[\t\r\n])")
"""Apostrophes that stand there already count, so that `plain(neutral(text))` is always `text`."""


def neutral(text: str) -> str:
    """The text as a cell that no spreadsheet runs."""
    return "'" + text if _RUNS.match(text) else text


def plain(cell: str) -> str:
    """What `neutral` was given."""
    return cell[1:] if cell.startswith("'") and _RUNS.match(cell, 1) else cell
