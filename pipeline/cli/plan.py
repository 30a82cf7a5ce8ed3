"""`weekbrief plan`: what goes when, and why."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.output import print_json, shortened


@click.command("plan", epilog="Example: weekbrief plan --weeks 8")
@click.option("--weeks", type=click.IntRange(1, 520), default=4, show_default=True, help="How far to look.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a week on stdout.")
@click.pass_obj
def command(config: Path, weeks: int, as_json: bool) -> int:
    """Show the coming weeks: when each letter goes, what it asks, and why that post. Changes nothing."""
    from pipeline.plan import plan
    from pipeline.wiring import settings_from

    settings = settings_from(config)
    for week in plan(settings, weeks=weeks):
        if as_json:
            print_json(week.as_json())
            continue
        due = week.slot.due_at.astimezone(settings.zone)
        click.echo(
            f"{week.slot.week}  {due:%a %Y-%m-%d %H:%M}  {week.brief.post.title if week.brief else '—'}"
        )
        if week.brief:
            click.echo(f"          {shortened(week.brief.question.text)}")
        click.echo(f"          ({week.why})")
        for finding in week.findings:
            click.echo(f"          look at: {finding}")
    return 0
