"""What the commands that steer a week share: find it, act once in a person's name, say what happened."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.store import Store
    from pipeline.store.editions import Edition

Action = Callable[["Store", "Edition", str, datetime], bool]


def steer(config: Path, week: str, by: str | None, act: Action, *, done: str, already: str) -> int:
    """Run `act` on the edition of `week`. Raises `NoSuchSlot` when there is none."""
    from pipeline.clock import SystemClock
    from pipeline.due import NoSuchSlot
    from pipeline.wiring import opened, settings_from

    with opened(settings_from(config)) as store:
        edition = store.editions.find(week)
        if edition is None:
            raise NoSuchSlot(f"there is no edition of {week} yet; see `weekbrief plan`")
        changed = act(store, edition, by or getpass.getuser(), SystemClock().now())
    click.echo(f"{edition.day} ({edition.week}) {done if changed else already}")
    return 0


def steering_command(name: str, purpose: str, act: Action, *, done: str, already: str) -> click.Command:
    """A command `weekbrief NAME WEEK [--by WHO]` that does `act`; `purpose` is its help."""

    @click.command(name, help=purpose, epilog=f"Example: weekbrief {name} 2026-W48 --by Gerrit")
    @click.argument("week")
    @click.option("--by", metavar="NAME", help="Who does it; the login name if left out.")
    @click.pass_obj
    def command(config: Path, week: str, by: str | None) -> int:
        return steer(config, week, by, act, done=done, already=already)

    return command
