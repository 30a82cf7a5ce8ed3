"""`weekbrief resume`: a person lifts a hold."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.steering import steer


@click.command("resume", epilog="Example: weekbrief resume 2026-11-29 --by Gerrit")
@click.argument("week")
@click.option("--by", metavar="NAME", help="Who lifts the hold; the login name if left out.")
@click.pass_obj
def command(config: Path, week: str, by: str | None) -> int:
    """Go on with the letter of WEEK at the next run, after what held it was mended."""
    return steer(
        config,
        week,
        by,
        lambda store, edition, who, now: store.editions.resume(edition, who=who, now=now),
        done="goes on at the next run",
        already="is finished or cancelled; there is nothing to resume",
    )
