"""`weekbrief serve`: public pages and scheduler."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.output import say


@click.command("serve", epilog="Example: weekbrief serve --host 127.0.0.1 --port 8080")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--pages", is_flag=True, help="Only answer; `run` elsewhere sends and reads reports.")
@click.pass_obj
def command(config: Path, host: str, port: int, pages: bool) -> int:
    """Answer sign-up, confirm and unsubscribe links, and send each letter when it is due.

    Put a web server with https in front of it. `run` from cron may work beside it: only one sends.
    """
    from pipeline.cli.stopping import stop_on_signals
    from pipeline.service import serve
    from pipeline.wiring import settings_from

    settings = settings_from(config)
    settings.require_secrets()

    def ready(url: str) -> None:
        say(f"Serving {settings.newsletter.url} at {url}. Stop with Ctrl-C.")

    try:
        with stop_on_signals() as stop:
            serve(settings, host=host, port=port, stop=stop, ready=ready, pages_only=pages)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --port"
        ) from error
    return 0
