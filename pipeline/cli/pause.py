"""`weekbrief pause`: a person steps in."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.steering import steer


@click.command("pause", epilog="Example: weekbrief pause 2026-W48 --by Gerrit")
@click.argument("week")
@click.option("--by", metavar="NAME", help="Who does it; the login name if left out.")
@click.pass_obj
def command(config: Path, week: str, by: str | None) -> int:
    """Stop the letter of WEEK: what is on its way ends, nothing new leaves until `resume`."""
    return steer(
        config,
        week,
        by,
        lambda store, edition, who, now: store.editions.pause(edition, who=who, now=now),
        done="is paused; go on with: weekbrief resume",
        already="is over; there is nothing to pause",
    )
