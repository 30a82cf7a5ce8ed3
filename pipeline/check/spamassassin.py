"""SpamAssassin, when it is installed: its local rules only, so that nothing leaves the machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache

SUSPECT, SPAM = 1.0, 5.0
"""Points from which we warn, and from which a default installation calls it spam."""
_SECONDS = 60
_SCORE = re.compile(r"X-Spam-Status: \w+, score=(-?[\d.]+)")
_RULE = re.compile(r"^\s*(-?\d+\.\d+) ([A-Z][A-Z0-9_]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    score: float
    rules: tuple[str, ...]
    """Names of the rules that added points."""


def installed() -> bool:
    """Is there a `spamassassin` to ask?"""
    return shutil.which("spamassassin") is not None


def verdict(message: bytes) -> Verdict | None:
    """What SpamAssassin makes of a message; None when it is not installed or does not answer in time."""
    return _ask(message) if installed() else None


@lru_cache(maxsize=8)
def _ask(message: bytes) -> Verdict | None:
    try:
        done = subprocess.run(
            ["spamassassin", "--local", "--test-mode"],
            input=message,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    said = done.stdout.decode("utf-8", "replace")
    score = _SCORE.search(said)
    if score is None:
        return None
    rules = tuple(name for points, name in _RULE.findall(said) if float(points) > 0)
    return Verdict(score=float(score[1]), rules=rules)
