"""`weekbrief demo`: see a whole week before setting anything up."""

from __future__ import annotations

import click

from pipeline.cli.output import say, sending_progress, tell


@click.command("demo", epilog="Example: weekbrief demo --once --subscribers 1000")
@click.option("--once", is_flag=True, help="Send and end, instead of keeping the inbox page open.")
@click.option("--subscribers", default=25, show_default=True, type=click.IntRange(1, 100_000), metavar="N")
@click.option(
    "--port",
    default=8025,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Of the inbox page; 0: a free one.",
)
def command(once: bool, subscribers: int, port: int) -> int:
    """Send this week's letter of a sample newsletter to sample subscribers, in a sandbox.

    Nothing is set up and nobody is mailed: posts, subscribers and provider are made in a temporary folder.
    The inbox page shows what each subscriber got; the unsubscribe links work.
    """
    from pipeline.cli.stopping import stop_on_signals
    from pipeline.demo import demo_newsletter, send_week

    try:
        with (
            demo_newsletter(subscribers=subscribers, port=0 if once else port) as demo,
            sending_progress(quiet=False) as (progress, _),
        ):
            report = send_week(demo, progress=progress)
            tell(report)
            click.echo(f"  inbox     {demo.inbox}")
            click.echo(f"  pages     {demo.settings.newsletter.url}/join")
            if not once:
                say("Open the inbox in a browser. Stop with Ctrl-C.")
                with stop_on_signals() as stop:
                    stop.wait()
    except OSError as error:
        raise click.ClickException(
            f"port {port}: {error.strerror or error}; choose another with --port"
        ) from error
    return report.exit_code
