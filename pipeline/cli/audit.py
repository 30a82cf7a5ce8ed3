"""`weekbrief audit`: proof, recipient by recipient."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.output import print_json


@click.command("audit", epilog="Example: weekbrief audit 2026-W48 --address anna@example.org --json")
@click.argument("week")
@click.option("--address", help="Only this recipient.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, a recipient a line.")
@click.pass_obj
def command(config: Path, week: str, address: str | None, as_json: bool) -> int:
    """Show what became of each recipient of WEEK: state, reason, batch, the provider's id, every attempt and
    what the provider reported later."""
    from pipeline.cli.subscribers import parse_address
    from pipeline.due import NoSuchSlot
    from pipeline.wiring import opened, settings_from

    key = parse_address(address).key if address else None
    found = False
    with opened(settings_from(config)) as store:
        edition = store.editions.find(week)
        if edition is None:
            raise NoSuchSlot(f"there is no edition of {week}; see `weekbrief plan`")
        for line in store.doubts.audit(edition.id, address_key=key):
            found = True
            if as_json:
                print_json(line.as_json())
                continue
            known = (line.address, line.state, line.reason, line.provider_id)
            click.echo("  ".join(word for word in known if word))
            for attempt in line.attempts if address else ():
                said = " ".join(str(attempt[k]) for k in ("kind", "http_status", "error") if attempt[k])
                click.echo(f"    try {attempt['n']}  {attempt['started']}  {said}")
            for told in line.reports if address else ():
                said = " ".join(str(told[k]) for k in ("kind", "detail") if told[k])
                click.echo(f"    report {told['at']}  {said}")
    if address and not found:
        raise click.ClickException(f"{address} is not a recipient of {edition.day}")
    return 0
