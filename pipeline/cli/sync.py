"""`weekbrief sync`: ask the provider for what it would have reported."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.output import print_json, say


@click.command("sync", epilog="Example: weekbrief sync --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def command(config: Path, as_json: bool) -> int:
    """Ask the provider for bounces, complaints and the like since the last time, and act on them.

    For after an outage, or where its webhooks cannot reach you. What is known already changes nothing. Exit
    codes: 0 done, 2 this provider cannot be asked, 5 it did not answer (run again).
    """
    from dataclasses import asdict

    from emails.events.asking import puller
    from pipeline.clock import SystemClock
    from pipeline.events import digest
    from pipeline.report import Exit
    from pipeline.sync import sync
    from pipeline.wiring import esp_of, opened, settings_from, signer_of

    settings = settings_from(config)
    settings.require_secrets()
    name = settings.provider.name
    if puller(name) is None:
        raise settings.error("provider.name", f"{name} cannot be asked for its reports; set up its webhook")
    with opened(settings) as store:
        signer_of(settings, store)  # by another secret nobody could tell who was erased
        digest(store)
        esp = esp_of(settings)
        try:
            synced = sync(store, esp, now=SystemClock().now())
        finally:
            esp.close()
        unread, kept = store.incoming.unread()
    taken = synced.digest.taken
    if as_json:
        counts = {key: value for key, value in asdict(taken).items() if key != "struck"}
        held = [asdict(each) for each in synced.digest.held]
        print_json(
            {
                "provider": name,
                "told": synced.asked,
                **counts,
                "held": held,
                "unread": unread,
                "unreadable": kept,
                "error": synced.error,
            }
        )
    elif synced.error is None:
        click.echo(
            f"{name} told of {synced.asked}: {taken.new} new, {taken.suppressed} suppressed, "
            f"{taken.proven} doubts cleared, {taken.foreign} about nobody here."
        )
        if kept:
            click.echo(f"{kept} reports that came by webhook cannot be read; see the log.")
    if synced.error:
        say(f"weekbrief: {name} did not tell: {synced.error}")
        return Exit.UNAVAILABLE
    return Exit.DONE
