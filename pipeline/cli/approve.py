"""`weekbrief approve`: a person says yes to a week."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.steering import steer


@click.command("approve", epilog="Example: weekbrief approve 2026-W48 --by Gerrit")
@click.argument("week")
@click.option("--by", metavar="NAME", help="Who approves; the login name if left out.")
@click.pass_obj
def command(config: Path, week: str, by: str | None) -> int:
    """Let the letter of WEEK go at the next run. WEEK is its date or ISO week."""
    return steer(
        config,
        week,
        by,
        lambda store, edition, who, now: store.editions.approve(edition, who=who, now=now),
        done="is approved; the next run sends it",
        already="was not waiting for approval",
    )
