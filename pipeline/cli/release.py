"""`weekbrief release`: a person says that this installation is the one that sends."""

from __future__ import annotations

import getpass
from pathlib import Path

import click


@click.command("release", epilog="Example: weekbrief release --confirm --by Gerrit")
@click.option("--confirm", is_flag=True, help="Lift the hold; without it, only say what is wrong.")
@click.option("--by", metavar="NAME", help="Who decides; the login name if left out.")
@click.pass_obj
def command(config: Path, confirm: bool, by: str | None) -> int:
    """Lift the hold of a restored backup, a moved folder or another machine.

    Before you confirm: no other copy of this newsletter may be running, and look at the editions that are
    not finished. Their people may have the letter already; `weekbrief cancel WEEK` sends them nothing more.
    """
    from pipeline.clock import SystemClock
    from pipeline.report import Exit
    from pipeline.store import sender_lock
    from pipeline.store.fence import machine_fingerprint
    from pipeline.week import standing_hold
    from pipeline.wiring import opened, settings_from, week_of

    settings = settings_from(config)
    with opened(settings) as store, sender_lock(store.engine):
        week = week_of(settings, store)
        problem = standing_hold(week)
        click.echo(problem or "Nothing holds this installation.")
        for edition in store.editions.unfinished():
            counts = store.counts(edition.id)
            click.echo(
                f"  edition {edition.day}: {edition.state}, {counts.open} of {counts.frozen} still open"
            )
        if problem is None or not confirm:
            return Exit.DONE if problem is None else Exit.HELD
        who, now = by or getpass.getuser(), SystemClock().now()
        seq = store.installations.release(who=who, machine=machine_fingerprint(), now=now)
        week.fence.adopt(installation=store.installation.id, ledger_seq=seq)
    click.echo(f"Released by {who}; the next run goes on.")
    return Exit.DONE
