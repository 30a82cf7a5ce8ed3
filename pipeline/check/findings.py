"""A finding, its severity, and the list of checks. Each check is a function of a `Sample`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import import_module

from pipeline.check.sample import Sample


class Severity(StrEnum):
    ERROR = "error"
    """Stops an approval."""
    WARNING = "warning"
    INFO = "info"


_ORDER = list(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to mend, or to leave for a reason."""

    id: str
    severity: Severity
    message: str
    mend: str
    waived: str = ""
    """Why a person let it pass; empty: nobody did."""

    def as_json(self) -> dict[str, str]:
        """The object that `check --json` prints for it."""
        found = {"id": self.id, "severity": self.severity.value, "message": self.message, "mend": self.mend}
        return {**found, "waived": self.waived} if self.waived else found


Look = Callable[[Sample], Iterator[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`look` gives a sentence for each thing that is wrong."""

    id: str
    severity: Severity
    mend: str
    look: Look


_CHECKS: dict[str, Check] = {}
_ROOMS = ("message_checks", "subject_checks", "link_checks", "html_checks", "text_checks", "content_checks")


def check(name: str, severity: Severity, mend: str) -> Callable[[Look], Look]:
    """Puts a function on the list. `name` is the id that people waive and scripts look for; it never
    changes."""

    def add(look: Look) -> Look:
        assert name not in _CHECKS, name
        _CHECKS[name] = Check(id=name, severity=severity, mend=mend, look=look)
        return look

    return add


def all_checks() -> tuple[Check, ...]:
    """Every check there is, in the order in which they look."""
    for room in _ROOMS:
        import_module(f"pipeline.check.{room}")
    return tuple(_CHECKS.values())


def inspect(
    sample: Sample,
    *,
    waived: dict[str, str] | None = None,
    only: Mapping[str, Collection[str]] | None = None,
) -> tuple[Finding, ...]:
    """What every check finds, the worst first. `waived` gives reasons by check id, `only` the checks that are
    to look, by the module they stand in."""
    reasons = waived or {}
    looking = all_checks() if only is None else _chosen(only)
    found = [
        Finding(id=one.id, severity=one.severity, message=message, mend=one.mend)
        for one in looking
        for message in one.look(sample)
    ]
    marked = (replace(finding, waived=reasons.get(finding.id, "")) for finding in found)
    return tuple(sorted(marked, key=lambda finding: _ORDER.index(finding.severity)))


def _chosen(only: Mapping[str, Collection[str]]) -> list[Check]:
    for room in only:
        import_module(f"pipeline.check.{room}")
    return [_CHECKS[name] for names in only.values() for name in sorted(names)]
