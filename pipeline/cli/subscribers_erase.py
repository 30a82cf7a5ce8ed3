"""`weekbrief subscribers erase`: forget one person for good."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.output import print_json, say


@click.command("erase", epilog="Example: weekbrief subscribers erase anna@example.org")
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def erase(config: Path, address: str, as_json: bool) -> int:
    """Erase one person: address and name go from every table, and cannot be brought back.

    What stays is a keyed hash, so that no import adds them again, and the numbers of past editions. A letter
    that is on its way keeps the address until its answer is there. Backups and the provider's own records
    are yours to see to.
    """
    from pipeline.cli.subscribers import parse_address
    from pipeline.clock import SystemClock
    from pipeline.wiring import opened, settings_from, signer_of

    settings, wanted, now = settings_from(config), parse_address(address), SystemClock().now()
    with opened(settings) as store:
        shadow = signer_of(settings, store).shadow(wanted.key)
        person = store.subscribers.by_key(wanted.key)
        if person is not None:
            erased = store.subscribers.erase(person.id, shadow=shadow, at=now)
        else:
            erased = store.subscribers.erase_stranger(wanted.key, shadow=shadow, at=now)
    if as_json:
        print_json({"erased": erased})
    elif erased:
        click.echo("erased: a keyed hash is all that is left of this address here")
        say("backups and your mail provider's records still hold it; see docs/privacy.md")
    else:
        raise click.ClickException("nobody with this address is known here")
    return 0
