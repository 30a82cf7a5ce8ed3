"""Every `crashpoint("…")` in the code, and how the sweep gets there."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipeline", "emails", "subscribers")


class Kind(StrEnum):
    """What a provider can do about a batch in doubt."""

    KEYED = "keyed"
    """Honours an idempotency key."""
    UNKEYED = "unkeyed"
    """No key, and nobody can ask it what it took."""
    COMPLETE = "complete"
    """No key, but its records can be searched and leave nothing out."""
    PARTIAL = "partial"
    """No key; its records can be searched, but what they do not hold proves nothing."""


ALL = frozenset(Kind)
SEARCHABLE = frozenset({Kind.COMPLETE, Kind.PARTIAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which senders come by a place. `after`: only those whose predecessor died there."""

    kinds: frozenset[Kind] = ALL
    after: str | None = None
    often: bool = False
    """Once a batch, not once a run."""


_ONCE, _EACH_BATCH, _IN_DOUBT = Reach(), Reach(often=True), "after fence"

SWEPT: Mapping[str, Reach] = {
    "before edition commits": _ONCE,
    "edition written": _ONCE,
    "audience half frozen": _ONCE,
    "before freeze commits": _ONCE,
    "audience frozen": _ONCE,
    "built": _EACH_BATCH,
    "before intent commits": _EACH_BATCH,
    "after intent": _EACH_BATCH,
    "after fence": _EACH_BATCH,
    "after answer": _EACH_BATCH,
    "before outcome commits": _EACH_BATCH,
    "after outcome": _EACH_BATCH,
    "before finish commits": _ONCE,
    "finished": _ONCE,
    "before recovery commits": Reach(after=_IN_DOUBT),
    "recovered": Reach(after=_IN_DOUBT),
    "before second intent commits": Reach(kinds=frozenset({Kind.KEYED}), after=_IN_DOUBT),
    "before look-up": Reach(kinds=SEARCHABLE, after=_IN_DOUBT),
    "looked up": Reach(kinds=SEARCHABLE, after=_IN_DOUBT),
    "before proof commits": Reach(kinds=SEARCHABLE, after=_IN_DOUBT),
    "proven": Reach(kinds=SEARCHABLE, after=_IN_DOUBT),
    "before release commits": Reach(kinds=frozenset({Kind.COMPLETE}), after=_IN_DOUBT),
    "before write-off commits": Reach(kinds=frozenset({Kind.UNKEYED, Kind.PARTIAL}), after=_IN_DOUBT),
    "written off": Reach(kinds=frozenset({Kind.UNKEYED, Kind.PARTIAL}), after=_IN_DOUBT),
}
"""The sweep's own list. A test holds it to the code."""

BESIDE: Mapping[str, str] = {
    "call stored": "test_faults_events",
    "before reports commit": "test_faults_events",
    "import chunk written": "test_lists_commands",
    "import chunk committed": "test_lists_commands",
}
"""Places that no sender comes by, and the acceptance test that dies there."""


def in_code() -> set[str]:
    """The names of all crash points. Raises ValueError for one whose name is not written out."""
    found: set[str] = set()
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for call in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(call, ast.Call) and _called(call) == "crashpoint":
                    found.add(_name(call, file))
    return found


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _name(call: ast.Call, file: Path) -> str:
    match call.args:
        case [ast.Constant(value=str(name))]:
            return name
    place = f"{file.relative_to(ROOT)}:{call.lineno}"
    raise ValueError(f"{place}: the name of a crash point must be written out")
