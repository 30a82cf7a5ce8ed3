"""`weekbrief subscribers`: who asked for the letter."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.output import print_json
from pipeline.cli.subscribers_erase import erase
from pipeline.cli.subscribers_evidence import evidence, verify
from pipeline.cli.subscribers_lists import export, import_

if TYPE_CHECKING:
    from pipeline.store import Store
    from subscribers.addresses import Address
    from subscribers.consent import ConsentKind, ConsentRecord
    from subscribers.subscriber import Subscriber

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, an object a line.")
_confirmed = click.option(
    "--confirmed", is_flag=True, help="They confirmed already, elsewhere; needs --source and --date."
)
_source = click.option("--source", metavar="TEXT", help="Where they gave consent: 'old list', 'paper form'.")
_date = click.option("--date", metavar="D", help="When they gave it: 2024-05-01.")


@click.group("subscribers", epilog="Example: weekbrief subscribers list")
def command() -> None:
    """Add, import, export, list, show, remove and erase subscribers."""


command.add_command(erase)
command.add_command(evidence)
command.add_command(verify)
command.add_command(import_)
command.add_command(export)


@command.command("add", epilog="Example: weekbrief subscribers add anna@example.org --name Anna")
@click.argument("address")
@click.option("--name", default="", help="As the letter's To header shows it.")
@click.option("--language", help="Two letters; the newsletter's own if left out.")
@_confirmed
@_source
@_date
@click.pass_obj
def add(
    config: Path,
    address: str,
    name: str,
    language: str | None,
    confirmed: bool,
    source: str | None,
    date: str | None,
) -> int:
    """Add one person. Without --confirmed they are sent a letter that asks them to confirm."""
    from pipeline.notices import ask_to_confirm
    from pipeline.wiring import opened, settings_from
    from subscribers.addresses import clean_name

    settings = settings_from(config)
    person = parse_address(address)
    spoken = language or settings.newsletter.language
    with opened(settings) as store:
        consent = _consent(confirmed, source, date, spoken)
        if confirmed:
            added = store.subscribers.add_confirmed(
                person, name=clean_name(name), language=spoken, consent=consent
            )
            click.echo(f"{person.address}: {added.replace('_', ' ')}")
            return 0
        asked = ask_to_confirm(settings, store, [(person, clean_name(name), spoken)], consent=consent)
    outcome = "asked to confirm" if asked else "not asked: active, suppressed or asked lately"
    click.echo(f"{person.address}: {outcome}")
    return 0


@command.command("list", epilog="Example: weekbrief subscribers list --state active --json")
@click.option(
    "--state", type=click.Choice(["pending", "active", "unsubscribed"]), help="Only those in this state."
)
@_as_json
@click.pass_obj
def list_(config: Path, state: str | None, as_json: bool) -> int:
    """List everyone, by the order they came in."""
    from pipeline.wiring import opened, settings_from
    from subscribers.subscriber import SubscriberState

    with opened(settings_from(config)) as store:
        for person in store.subscribers.listed(state=SubscriberState(state) if state else None):
            if as_json:
                print_json(_as_object(person))
            else:
                click.echo(f"{person.address}\t{person.state}\t{person.language}\t{person.name}")
    return 0


@command.command("show", epilog="Example: weekbrief subscribers show anna@example.org")
@click.argument("address")
@_as_json
@click.pass_obj
def show(config: Path, address: str, as_json: bool) -> int:
    """Show what is held about one person, with the record of their consent; as JSON, all of it."""
    from pipeline.wiring import opened, settings_from

    with opened(settings_from(config)) as store:
        person = _known(store, address)
        held = store.preferences.holdings(person.id)
    if held is None:
        raise click.ClickException(f"nobody with the address {address} is known here")
    if as_json:
        print_json(held.as_object())
        return 0
    click.echo(f"{person.address}  {person.state}  {person.language}  {person.name}")
    for record in held.consents:
        click.echo(
            f"  {record.occurred_at:%Y-%m-%d %H:%M}Z  {record.kind}  {record.source}  {record.wording}"
        )
    return 0


@command.command("remove", epilog="Example: weekbrief subscribers remove anna@example.org")
@click.argument("address")
@click.pass_obj
def remove(config: Path, address: str) -> int:
    """Unsubscribe one person. They stay on record as someone who left, so that no import brings them back."""
    from pipeline.clock import SystemClock
    from pipeline.wiring import opened, settings_from

    with opened(settings_from(config)) as store:
        person = _known(store, address)
        left = store.subscribers.unsubscribe(person.id, at=SystemClock().now(), how="command")
    click.echo(f"{person.address}: {'unsubscribed' if left else 'had left already'}")
    return 0


def parse_address(text: str) -> Address:
    """The address a person typed. Raises `click.BadParameter` saying what is wrong with it."""
    from subscribers.addresses import AddressError, normalise

    try:
        return normalise(text)
    except AddressError as error:
        raise click.BadParameter(f"{text!r}: {error}") from error


def _known(store: Store, address: str) -> Subscriber:
    person = store.subscribers.by_key(parse_address(address).key)
    if person is None:
        raise click.ClickException(f"nobody with the address {address} is known here")
    return person


def _consent(confirmed: bool, source: str | None, date: str | None, language: str) -> ConsentRecord:
    from pipeline.clock import SystemClock
    from subscribers.consent import ConsentKind, ConsentRecord

    if confirmed and not (source and date):
        raise click.UsageError(
            "--confirmed needs --source and --date: consent nobody can show is no consent. "
            "Leave it out, and each person is asked to confirm."
        )
    kind: ConsentKind = ConsentKind.IMPORTED if confirmed else ConsentKind.REQUESTED
    return ConsentRecord(
        kind=kind,
        wording="",
        source=source or "command",
        page="",
        language=language,
        occurred_at=moment(date) if date else SystemClock().now(),
    )


def moment(date: str) -> datetime:
    from datetime import UTC

    from pipeline.due import NotATime, parse_now

    try:
        moment = parse_now(date, UTC)
    except NotATime as error:
        raise click.BadParameter(f"--date: {error}") from error
    if moment > datetime.now(UTC):
        raise click.BadParameter("--date: nobody gave consent in the future")
    return moment


def _as_object(person: Subscriber) -> dict[str, object]:
    return {
        "address": person.address,
        "name": person.name,
        "language": person.language,
        "state": person.state.value,
        "created_at": person.created_at.isoformat(),
        "confirmed_at": person.confirmed_at and person.confirmed_at.isoformat(),
        "unsubscribed_at": person.unsubscribed_at and person.unsubscribed_at.isoformat(),
    }
