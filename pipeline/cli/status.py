"""`weekbrief status`: where everyone of an edition is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from pipeline.cli.output import counted, print_json


@click.command("status", epilog="Example: weekbrief status 2026-W48 --json")
@click.argument("week", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def command(config: Path, week: str | None, as_json: bool) -> int:
    """Show where everyone of an edition is: WEEK is its date or ISO week, the newest one if left out."""
    from pipeline.due import NoSuchSlot
    from pipeline.wiring import opened, settings_from

    with opened(settings_from(config)) as store:
        edition = store.editions.find(week) if week else store.editions.newest()
        if edition is None and week:
            raise NoSuchSlot(f"there is no edition of {week}; see `weekbrief plan`")
        if edition is None:
            print_json({"state": None, "counts": None}) if as_json else click.echo("No edition was made yet.")
            return 0
        counts = store.counts(edition.id)
        reported = store.events.counts(edition.id)
        waiting, unreadable = store.incoming.unread()
    state = "held" if edition.hold_reason else edition.state.value
    if as_json:
        print_json(
            {
                "edition": edition.day,
                "week": edition.week,
                "state": state,
                "reason": edition.hold_reason,
                "post": edition.post_title,
                "counts": asdict(counts),
                "reported": {kind.value: number for kind, number in reported.items()},
                "reports": {"waiting": waiting, "unreadable": unreadable},
            }
        )
        return 0
    click.echo(f"{edition.day} ({edition.week})  {state}")
    click.echo(f"  post      {edition.post_title}")
    click.echo(f"  counts    {counted(counts)}")
    if reported:
        told = (f"{number} {kind.value.replace('_', ' ')}" for kind, number in sorted(reported.items()))
        click.echo(f"  reported  {', '.join(told)}")
    if unreadable:
        click.echo(f"  reports   {unreadable} of all editions cannot be read; the log says why")
    if edition.hold_reason:
        click.echo(f"  held      {edition.hold_reason}")
    return 0
