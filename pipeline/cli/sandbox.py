"""`weekbrief sandbox`: a provider on this machine with an inbox page."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("sandbox")
@click.option("--port", default=8026, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option(
    "--folder",
    default=None,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the messages are kept, in sandbox.db. [default: the newsletter's own, else ./sandbox]",
)
@click.option(
    "--api-key",
    envvar="SANDBOX_API_KEY",
    show_envvar=True,
    default=None,
    help="Take calls with this key only.",
)
@click.pass_obj
def command(config: Path, port: int, folder: Path | None, api_key: str | None) -> None:
    """Run a provider on this machine that mails nobody and shows an inbox page, until stopped.

    \b
    Set it in schedule.yaml:
      provider:
        name: sandbox
        base_url: http://127.0.0.1:8026

    \b
    Example:
      weekbrief sandbox --port 8026 --folder sandbox
    """
    import sqlite3

    from emails.sandbox import SandboxRecord, serve

    folder = folder or _own_folder(config)
    try:
        with SandboxRecord(folder / "sandbox.db") as record:
            serve(record, port=port, api_key=api_key or None, ready=_say)
    except OSError as error:
        raise click.UsageError(
            f"the sandbox cannot start on port {port} with folder {folder}: {error.strerror or error}; "
            "choose another with --port or --folder"
        ) from error
    except sqlite3.DatabaseError as error:
        raise click.UsageError(
            f"{folder / 'sandbox.db'} cannot be used: {error}; move it away or choose another --folder"
        ) from error


def _own_folder(config: Path) -> Path:
    """Where a run of this newsletter keeps its sandbox, so that its letters can be looked at afterwards."""
    from pipeline.wiring import settings_from, state_folder

    return state_folder(settings_from(config)) / "sandbox" if config.exists() else Path("sandbox")


def _say(url: str) -> None:
    click.echo(f"Sandbox at {url} (inbox page and provider.base_url). Stop with Ctrl-C.", err=True)
