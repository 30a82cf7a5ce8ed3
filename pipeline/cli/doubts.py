"""`weekbrief doubts`: deliveries nobody can be sure of."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.store import Store
    from pipeline.store.doubts import Doubt

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, a person a line.")
_week = click.argument("week")
_batch = click.option("--batch", type=int, help="Only this batch, by the number `doubts list` shows.")
_by = click.option("--by", metavar="NAME", help="Who decides; the login name if left out.")
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the decision.")


@click.group("doubts", invoke_without_command=True, epilog="Example: weekbrief doubts list 2026-W48")
@click.pass_context
def command(ctx: click.Context) -> None:
    """List and settle deliveries that the provider may or may not have.

    `uncertain` ones are still being settled; `unconfirmed` ones were given up and are not sent again.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, week=None, as_json=False)


@command.command("list", epilog="Example: weekbrief doubts list --json")
@click.argument("week", required=False)
@_as_json
@click.pass_obj
def list_(config: Path, week: str | None, as_json: bool) -> int:
    """Name everyone in doubt, in all editions or in WEEK."""
    from pipeline.wiring import opened, settings_from

    with opened(settings_from(config)) as store:
        doubts = _doubts(store, week)
        holds = _holds(store, doubts)
    for doubt in doubts:
        if as_json:
            print_json({name: getattr(doubt, name) for name in doubt.__slots__})
        else:
            since = f"{doubt.since:%Y-%m-%d %H:%M}Z"
            click.echo(
                f"{doubt.edition}  batch {doubt.batch}  {doubt.address}  {doubt.state}  {doubt.provider}"
                f"  {since}  {doubt.reason}"
            )
    if not doubts and not as_json:
        click.echo("Nobody is in doubt.")
    for edition, why in holds.items():
        say(f"{edition} is on hold: {why}")
    if any(doubt.state == "uncertain" for doubt in doubts):
        say("To ask the provider again: weekbrief doubts check WEEK. To decide yourself, with --reason TEXT:")
        say("weekbrief doubts release WEEK (they may get two) or write-off WEEK (they may get none).")
    return 0


@command.command("check", epilog="Example: weekbrief doubts check 2026-W48")
@_week
@click.pass_obj
def check(config: Path, week: str) -> int:
    """Ask the provider now about WEEK's doubts, with the key or in its records. Sends to nobody new."""
    from pipeline.cli.output import tell
    from pipeline.cli.stopping import stop_on_signals
    from pipeline.week import settle_doubts
    from pipeline.wiring import opened, settings_from, week_of

    settings = settings_from(config)
    settings.require_secrets()
    with opened(settings) as store, stop_on_signals() as stop:
        report = settle_doubts(week_of(settings, store), week, stop=stop)
    tell(report)
    return report.exit_code


@command.command(
    "release", epilog='Example: weekbrief doubts release 2026-W48 --by Gerrit --reason "not in its log"'
)
@_week
@_batch
@_by
@_reason
@click.pass_obj
def release(config: Path, week: str, batch: int | None, by: str | None, reason: str) -> int:
    """Send to WEEK's doubts again at the next run. Whoever has the letter gets a second copy."""
    return _decide(config, week, batch, by, reason, send_again=True)


@command.command("write-off", epilog='Example: weekbrief doubts write-off 2026-W48 --reason "a day old"')
@_week
@_batch
@_by
@_reason
@click.pass_obj
def write_off(config: Path, week: str, batch: int | None, by: str | None, reason: str) -> int:
    """Give WEEK's doubts up: these people are listed as unconfirmed and not sent to again."""
    return _decide(config, week, batch, by, reason, send_again=False)


def _decide(
    config: Path, week: str, batch: int | None, by: str | None, reason: str, *, send_again: bool
) -> int:
    from pipeline.clock import SystemClock
    from pipeline.store import sender_lock
    from pipeline.wiring import opened, settings_from

    with opened(settings_from(config)) as store, sender_lock(store.engine):
        batches = sorted({doubt.batch for doubt in _doubts(store, week) if batch in (None, doubt.batch)})
        act = store.doubts.release if send_again else store.doubts.write_off
        people = act(batches, who=by or getpass.getuser(), reason=reason, now=SystemClock().now())
    what = "are sent to again at the next run" if send_again else "are written off as unconfirmed"
    click.echo(f"{people} people {what}.")
    return 0


def _holds(store: Store, doubts: Sequence[Doubt]) -> dict[str, str]:
    """Why the editions of these doubts are on hold, by edition."""
    editions = (store.editions.find(day) for day in dict.fromkeys(doubt.edition for doubt in doubts))
    return {each.day: each.hold_reason for each in editions if each is not None and each.hold_reason}


def _doubts(store: Store, week: str | None) -> list[Doubt]:
    from pipeline.due import NoSuchSlot

    if week is None:
        return store.doubts.listed()
    edition = store.editions.find(week)
    if edition is None:
        raise NoSuchSlot(f"there is no edition of {week}; see `weekbrief plan`")
    return store.doubts.listed(edition_id=edition.id)
