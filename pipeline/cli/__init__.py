"""The command line. `main` is the console script.

Each command lives in a module of its own, imported when it is asked for: `weekbrief --help` stays quick.
"""

from __future__ import annotations

import atexit
import gc
import sys
from importlib import import_module
from pathlib import Path

import click

from pipeline import __version__, collecting

COMMANDS = {
    "demo": "A week on sample content, sent to a sandbox you can look into.",
    "init": "Make the folder of a new newsletter.",
    "condense": "Show the question and the example of posts.",
    "plan": "Show what goes when, and why. Changes nothing.",
    "check": "Look at a letter before it goes.",
    "preview": "Show this week's letter in the browser.",
    "run": "Do what is due. Safe to repeat; the command for cron.",
    "approve": "Let a week that waits for approval go.",
    "resume": "Lift the hold on a week.",
    "send": "Send a week by hand.",
    "pause": "Stop a week until it is resumed.",
    "cancel": "Send a week to nobody more.",
    "doubts": "List and settle deliveries nobody can be sure of.",
    "audit": "Show what became of each recipient.",
    "release": "Lift the hold of a restored or moved installation.",
    "status": "Show where everyone of an edition is.",
    "subscribers": "Add, import, export, list, show and remove subscribers.",
    "archive": "Make pages of the letters that went out.",
    "signup-form": "Print a sign-up form for a page of your own site.",
    "suppressions": "List and keep who is never written to.",
    "sync": "Ask the provider for bounces, complaints and the like.",
    "serve": "Run the public pages and the scheduler.",
    "sandbox": "Run the sandbox provider and its inbox page.",
    "grants": "Print the SQL for a database role of the public pages.",
    "migrate": "Bring the database to this version's schema.",
}
"""Name → what `--help` says of it. A test holds this list to the modules."""


class _Commands(click.Group):
    """Knows every command's name and first line without importing it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"pipeline.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"There is no command '{args[0]}'.{meant}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: weekbrief demo --once",
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default=Path("schedule.yaml"),
    show_default=True,
    help="The newsletter's configuration file.",
)
@click.option("-v", "--verbose", count=True, help="Say more on stderr; twice for everything.")
@click.version_option(__version__, prog_name="weekbrief")
@click.pass_context
def weekbrief(ctx: click.Context, config: Path, verbose: int) -> None:
    """One question and one example from your blog, every week, to everyone who asked for it."""
    ctx.obj = config
    _log(verbose)


def _log(verbose: int) -> None:
    import logging

    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(
        stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING
    )
    logging.getLogger("weekbrief").setLevel(level)


def main() -> None:
    """Run the command line and leave with its exit code; every expected error is one clear message."""
    collecting.begin()
    # What is left at the end dies with the process: to look through it once more takes a fifth of a second.
    atexit.register(gc.freeze)
    try:
        result = weekbrief.main(standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        from pipeline.cli.errors import exit_code_of

        code = exit_code_of(error)
        if code is None:
            raise
        click.echo(f"weekbrief: {error}", err=True)
        sys.exit(code)
