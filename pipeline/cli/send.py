"""`weekbrief send`: an edition by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from pipeline.cli.output import print_json, sending_progress, tell


@click.command("send", epilog="Example: weekbrief send 2026-W48")
@click.argument("week")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def command(config: Path, week: str, as_json: bool) -> int:
    """Send the letter of WEEK now, early or late, or go on with it. WEEK is its date or ISO week.

    Nobody gets it twice: who has it is passed over, and an edition that is on hold stays there.
    """
    from pipeline.cli.stopping import stop_on_signals
    from pipeline.events import digest, heard
    from pipeline.stopping import until_stopped
    from pipeline.store.broken_text import told
    from pipeline.week import send_by_hand
    from pipeline.wiring import opened, settings_from, week_of

    settings = settings_from(config)
    settings.require_secrets()
    with opened(settings) as store, sending_progress(quiet=as_json) as (progress, frozen):
        parts = replace(week_of(settings, store), progress=progress, frozen=frozen)
        with stop_on_signals() as stop, told(store.engine), heard(parts) as heard_parts:
            digest(store, stop=stop)
            report = until_stopped(heard_parts, stop, lambda given: send_by_hand(given, week, stop=stop))
    print_json(report.as_json()) if as_json else tell(report)
    return report.exit_code
