"""Adding up what the runs of a sweep came to, and setting it as a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.sweep.points import SWEPT, Kind
from tests.sweep.scenario import FAULTS, SEVERAL, STORAGES
from tests.sweep.stand import Result

BEGIN, END = "<!-- sweep: begin -->", "<!-- sweep: end -->"

_COLUMNS: Sequence[tuple[str, Callable[[Sequence[Result]], int]]] = (
    ("runs", len),
    ("senders started", lambda results: sum(r.starts for r in results)),
    ("of them killed", lambda results: sum(len(r.deaths) for r in results)),
    ("letters taken", lambda results: sum(r.letters for r in results)),
    ("mailed twice", lambda results: sum(r.twice for r in results)),
    ("lost silently", lambda results: sum(r.lost for r in results)),
    ("named as unconfirmed", lambda results: sum(r.unconfirmed for r in results)),
    ("of them not mailed", lambda results: sum(r.missing for r in results)),
    ("most in doubt at once", lambda results: max((r.in_doubt for r in results), default=0)),
    ("rule broken", lambda results: sum(bool(r.complaints) for r in results)),
)


@dataclass(slots=True)
class Tally:
    """All results so far."""

    results: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.results.append(result)

    @property
    def broken(self) -> list[Result]:
        return [result for result in self.results if result.complaints]

    def died_at(self) -> dict[str, Counter[str]]:
        """Per crash point, how often a sender died there with each database."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for result in self.results:
            for place in result.deaths:
                found[place][result.scenario.storage] += 1
        return found

    def table(self) -> str:
        """Markdown: by kind of provider and by database; then deaths by crash point."""
        names = [name for name, _ in _COLUMNS]
        lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
        for label, results in self._groups():
            numbers = (f"{count(results):,}" for _, count in _COLUMNS)
            lines.append(f"| {label} | {' | '.join(numbers)} |")
        return "\n".join([*lines, "", *self._places()])

    def _groups(self) -> Iterable[tuple[str, list[Result]]]:
        for kind in Kind:
            yield str(kind), [r for r in self.results if r.scenario.kind is kind]
        for storage in STORAGES:
            yield storage, [r for r in self.results if r.scenario.storage == storage]
        yield "2 to 10 kills in a row", [r for r in self.results if r.scenario.point == SEVERAL]
        yield "**all**", self.results

    def _places(self) -> Iterable[str]:
        died = self.died_at()
        yield "| killed at | SQLite | PostgreSQL |"
        yield "|---|---:|---:|"
        for place in (*SWEPT, *sorted(set(died) - set(SWEPT))):
            numbers = (f"{died[place][storage]:,}" for storage in STORAGES)
            yield f"| {place} | {' | '.join(numbers)} |"
        yield ""
        yield "| the provider's fault | runs |"
        yield "|---|---:|"
        faults = Counter(result.scenario.fault for result in self.results)
        for fault in FAULTS:
            yield f"| {fault} | {faults[fault]:,} |"


def put_into(paper: Path, text: str) -> None:
    """Replace what stands between the markers of a page."""
    before, begin, rest = paper.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{paper}: the lines {BEGIN} and {END} are not there")
    paper.write_text(f"{before}{BEGIN}\n{text.strip()}\n{END}{after}", "utf-8")
