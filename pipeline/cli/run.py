"""`weekbrief run`: the command for cron."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.output import print_json, sending_progress, tell


@click.command(
    "run",
    epilog="""\b
Examples:
  weekbrief run                          from cron, every few minutes
  weekbrief run --dry-run                what would go now, to how many
  weekbrief run --now 2026-11-29T08:00   as if it were then
""",
)
@click.option("--now", metavar="ISO", help="Act as if it were this moment (a test, or a week gone wrong).")
@click.option("--dry-run", is_flag=True, help="Show what would be sent; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def command(config: Path, now: str | None, dry_run: bool, as_json: bool) -> int:
    """Do what is due: finish what was begun, then send this week's letter.

    Safe to repeat as often as you like: nobody gets an edition twice. Exit codes: 0 done or nothing due,
    2 configuration, 3 a person is needed, 4 sent with some refused or in doubt, 5 provider away (run
    again), 6 another run is at work.
    """
    from dataclasses import replace

    from pipeline.cli.stopping import stop_on_signals
    from pipeline.due import parse_now
    from pipeline.events import digest, heard
    from pipeline.housekeeping import tidy
    from pipeline.stopping import until_stopped
    from pipeline.store.broken_text import told
    from pipeline.telling import tell_editor
    from pipeline.week import run_due
    from pipeline.wiring import opened, settings_from, week_of

    settings = settings_from(config)
    moment = parse_now(now, settings.zone) if now else None
    if dry_run:
        from pipeline.plan import rehearse

        report = rehearse(settings, now=moment)
    else:
        settings.require_secrets()
        with opened(settings) as store, sending_progress(quiet=as_json) as (progress, frozen):
            week = replace(week_of(settings, store, now=moment), progress=progress, frozen=frozen)
            with stop_on_signals() as stop:
                digest(store, stop=stop)
                with told(store.engine), heard(week) as heard_week:
                    report = until_stopped(heard_week, stop, lambda given: run_due(given, stop=stop))
                tidy(week, stop=stop)
                tell_editor(settings, week, report)
    print_json(report.as_json()) if as_json else tell(report)
    return report.exit_code
