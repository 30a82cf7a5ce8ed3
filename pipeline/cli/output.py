"""How commands speak: programs on stdout, people on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.deliver import Progress
    from pipeline.report import Report
    from pipeline.store.counting import Counts
    from pipeline.store.editions import Edition

    Frozen = Callable[[Edition, Counts], None]


def say(text: str = "") -> None:
    """A line for people."""
    click.echo(text, err=True)


def print_json(value: object) -> None:
    """One JSON object on a line of stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def tell(report: Report) -> None:
    """A report for people: what went out, where everyone is, what needs attention."""
    from pipeline.report import Outcome

    headline = {
        Outcome.SENT: "Sent.",
        Outcome.PARTIAL: "Sent in part.",
        Outcome.NOTHING_DUE: "Nothing is due.",
        Outcome.NOTHING_TO_SEND: "Nothing to send.",
        Outcome.HELD: "Held: a person is needed.",
        Outcome.DRY_RUN: "Dry run: nothing was sent or changed.",
    }[report.outcome]
    click.echo(headline)
    if report.edition:
        click.echo(f"  edition   {report.edition} ({report.week})")
    if report.post:
        click.echo(f"  post      {report.post}")
        click.echo(f"  question  {report.question}")
        click.echo(f"  example   {shortened(report.example or '')}")
        click.echo(f"  counts    {counted(report.counts)}")
    for note in report.notes:
        click.echo(f"  note      {note}")


def counted(counts: Counts) -> str:
    """`25 frozen = 24 accepted + 1 skipped`: a sum that can be checked by eye."""
    parts = {
        "pending": counts.pending,
        "submitted": counts.submitted,
        "accepted": counts.accepted,
        "refused": counts.refused,
        "skipped": counts.skipped,
        "in doubt": counts.uncertain,
        "unconfirmed": counts.unconfirmed,
    }
    shown = [f"{number} {name}" for name, number in parts.items() if number] or ["0 pending"]
    return f"{counts.frozen} frozen = {' + '.join(shown)}"


def shortened(text: str, limit: int = 90) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= limit else one_line[: limit - 1].rsplit(" ", 1)[0] + " …"


@contextmanager
def sending_progress(*, quiet: bool) -> Iterator[tuple[Progress, Frozen]]:
    """A progress bar, if stderr is a terminal: (told after each answer, told when the audience is frozen)."""
    if quiet or not sys.stderr.isatty():
        yield (lambda _kind, _people: None), (lambda _edition, _counts: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from emails.delivery import AnswerClass

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sending", total=None)

        def frozen(_edition: Edition, counts: Counts) -> None:
            bar.update(task, total=counts.frozen, completed=counts.frozen - counts.open)

        def answered(kind: AnswerClass | None, people: int) -> None:
            if kind in (None, AnswerClass.ACCEPTED):
                bar.advance(task, people)

        yield answered, frozen
