"""`weekbrief cancel`: a person steps in."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.steering import steer


@click.command("cancel", epilog="Example: weekbrief cancel 2026-W48 --by Gerrit")
@click.argument("week")
@click.option("--by", metavar="NAME", help="Who does it; the login name if left out.")
@click.pass_obj
def command(config: Path, week: str, by: str | None) -> int:
    """Send the letter of WEEK to nobody more, for good. Who has it keeps it; that stays recorded."""
    return steer(
        config,
        week,
        by,
        lambda store, edition, who, now: store.editions.cancel(edition, who=who, now=now),
        done="is cancelled",
        already="is over; there is nothing to cancel",
    )
