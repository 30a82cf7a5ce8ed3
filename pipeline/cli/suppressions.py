"""`weekbrief suppressions`: who must never be mailed."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.output import print_json, say

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.store.suppressions import Suppression

REASONS = ("unsubscribed", "hard_bounce", "complaint", "manual")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.group("suppressions", invoke_without_command=True, epilog="Example: weekbrief suppressions list")
@click.pass_context
def command(ctx: click.Context) -> None:
    """List and keep the addresses that are never written to: who left, complained, or cannot be reached."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, reason=None, as_json=False)


@command.command("list", epilog="Example: weekbrief suppressions list --reason complaint --json")
@click.option("--reason", type=click.Choice([*REASONS, "erased"]), help="Only those for this reason.")
@_as_json
@click.pass_obj
def list_(config: Path, reason: str | None, as_json: bool) -> int:
    """Show who is never written to, why, on whose word and since when."""
    from pipeline.wiring import opened, settings_from
    from subscribers.suppression import SuppressionReason

    with opened(settings_from(config)) as store:
        for each in store.suppressions.listed(reason=SuppressionReason(reason) if reason else None):
            _show(each, as_json=as_json)
    return 0


@command.command("add", epilog="Example: weekbrief suppressions add ann@example.org --source 'wrote to us'")
@click.argument("addresses", nargs=-1, required=True)
@click.option("--reason", type=click.Choice(REASONS), default="manual", show_default=True)
@click.option("--source", default="", metavar="TEXT", help="On whose word; kept with it.")
@_as_json
@click.pass_obj
def add(config: Path, addresses: tuple[str, ...], reason: str, source: str, as_json: bool) -> int:
    """Never write to ADDRESSES again, from now on. A stronger reason takes the place of a weaker one."""
    from pipeline.clock import SystemClock

    now = SystemClock().now()
    rows = ((address, reason, now) for address in addresses)
    return _take_in(config, rows, source=source or f"by {getpass.getuser()}", as_json=as_json)


@command.command(
    "remove", epilog="Example: weekbrief suppressions remove ann@example.org --reason 'new mailbox'"
)
@click.argument("address")
@click.option("--by", metavar="NAME", help="Who decides; the login name if left out.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the decision.")
@_as_json
@click.pass_obj
def remove(config: Path, address: str, by: str | None, reason: str, as_json: bool) -> int:
    """Let ADDRESS be written to again, if it is subscribed. Whoever left has to join again by themselves."""
    from pipeline.clock import SystemClock
    from pipeline.report import Exit
    from pipeline.wiring import opened, settings_from

    key = _key(address)
    with opened(settings_from(config)) as store:
        lifted = store.suppressions.lift(
            key, who=by or getpass.getuser(), reason=reason, now=SystemClock().now()
        )
    if as_json:
        print_json({"removed": lifted})
    else:
        click.echo("It may be written to again." if lifted else "It was not suppressed.")
    return Exit.DONE if lifted else Exit.WRONG_USE


@command.command(
    "import", epilog="Example: weekbrief suppressions import old-list.csv --source 'our old system'"
)
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--from-provider", is_flag=True, help="Take over the provider's own list instead of a file.")
@click.option(
    "--reason", type=click.Choice(REASONS), default="manual", show_default=True, help="Where a row has none."
)
@click.option("--source", default="", metavar="TEXT", help="Where they come from; kept with each.")
@_as_json
@click.pass_obj
def import_(
    config: Path, file: Path | None, from_provider: bool, reason: str, source: str, as_json: bool
) -> int:
    """Take in the addresses of a CSV FILE (columns email, and reason and since if you have them; or one
    address a line), or the provider's list. All at once in thousands; safe to repeat."""
    if from_provider == (file is not None):
        raise click.UsageError("Name a file, or give --from-provider.")
    if file is None:
        return _from_provider(config, as_json=as_json)
    rows = _rows(file, reason)
    return _take_in(config, rows, source=source or f"import: {file.name}", as_json=as_json)


def _from_provider(config: Path, *, as_json: bool) -> int:
    from emails.events.asking import puller
    from pipeline.clock import SystemClock
    from pipeline.report import Exit
    from pipeline.sync import suppressions_of
    from pipeline.wiring import esp_of, opened, settings_from, signer_of

    settings = settings_from(config)
    settings.require_secrets()
    name = settings.provider.name
    if puller(name) is None:
        raise settings.error("provider.name", f"{name} cannot be asked for its list")
    esp = esp_of(settings)
    try:
        found = suppressions_of(esp, now=SystemClock().now())
    finally:
        esp.close()
    if isinstance(found, str):
        say(f"weekbrief: {name} did not tell: {found}")
        return Exit.UNAVAILABLE
    with opened(settings) as store:
        signer_of(settings, store)  # by another secret nobody could tell who was erased
        changed = store.suppressions.add(found)
    _tell(len(found), changed, [], as_json=as_json)
    return Exit.DONE


def _take_in(
    config: Path, rows: Iterator[tuple[str, str, datetime | None]], *, source: str, as_json: bool
) -> int:
    """Suppress each (address, reason, since); a bad row is told with its number and costs no other."""
    from pipeline.clock import SystemClock
    from pipeline.report import Exit
    from pipeline.store.suppressions import Suppression
    from pipeline.wiring import opened, settings_from
    from subscribers.addresses import AddressError, normalise
    from subscribers.suppression import SuppressionReason

    now = SystemClock().now()
    read, bad = 0, []

    def found() -> Iterator[Suppression]:
        nonlocal read
        for number, (address, reason, since) in enumerate(rows, 1):
            try:
                key = normalise(address).key
            except AddressError as error:
                bad.append({"row": number, "why": str(error)})
                continue
            read += 1
            yield Suppression(
                address_key=key, reason=SuppressionReason(reason), source=source, since=since or now
            )

    with opened(settings_from(config)) as store:
        changed = store.suppressions.add(found())
    _tell(read, changed, bad, as_json=as_json)
    return Exit.WRONG_USE if bad and not read else Exit.DONE


def _tell(read: int, changed: int, bad: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print_json({"read": read, "new": changed, "bad": bad})
        return
    click.echo(f"{read} addresses, {changed} of them new.")
    for row in bad:
        say(f"row {row['row']}: {row['why']}")


def _rows(file: Path, reason: str) -> Iterator[tuple[str, str, datetime | None]]:
    """The rows of a CSV file with a head, or one address a line."""
    import csv

    with file.open(encoding="utf-8-sig", errors="replace", newline="") as opened:
        first = opened.readline()
        opened.seek(0)
        names = [name.strip().lower() for name in first.replace(";", ",").split(",")]
        dialect = ";" if ";" in first else ","
        if "email" not in names:
            for line in opened:
                if line.strip():
                    yield line.strip().strip('"'), reason, None
            return
        opened.readline()
        for row in csv.DictReader(opened, fieldnames=names, delimiter=dialect):
            given = (row.get("reason") or "").strip().lower()
            at = _since(row.get("since") or "")
            yield (row.get("email") or "").strip(), given if given in REASONS else reason, at


def _since(written: str) -> datetime | None:
    from emails.events.reading import when

    return when(written.strip()) if written.strip() else None


def _key(address: str) -> str:
    """The key of an address; what is no address may be a key itself, such as that of someone erased."""
    from subscribers.addresses import AddressError, normalise

    try:
        return normalise(address).key
    except AddressError:
        return address


def _show(each: Suppression, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "address": each.address_key,
                "reason": each.reason.value,
                "source": each.source,
                "since": each.since.isoformat(),
            }
        )
    else:
        click.echo(f"{each.address_key}  {each.reason.value}  {each.since:%Y-%m-%d}  {each.source}")
