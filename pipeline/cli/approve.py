"""`weekbrief approve`: a person says yes to a week."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.steering import steer

if TYPE_CHECKING:
    from pipeline.store import Store
    from pipeline.store.editions import Edition


@click.command("approve", epilog="Example: weekbrief approve 2026-W48 --by Gerrit")
@click.argument("week")
@click.option("--by", metavar="NAME", help="Who approves; the login name if left out.")
@click.pass_obj
def command(config: Path, week: str, by: str | None) -> int:
    """Let the letter of WEEK go at the next run. WEEK is its date or ISO week.

    Refused while `weekbrief check WEEK` finds an error.
    """
    from pipeline.check.week import refuse_unfit
    from pipeline.wiring import settings_from

    settings = settings_from(config)

    def approve(store: Store, edition: Edition, who: str, now: datetime) -> bool:
        refuse_unfit(settings, store, edition)
        return store.editions.approve(edition, who=who, now=now)

    return steer(
        config,
        week,
        by,
        approve,
        done="is approved; the next run sends it",
        already="was not waiting for approval",
    )
