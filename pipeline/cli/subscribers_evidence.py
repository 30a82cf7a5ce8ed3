"""`weekbrief subscribers evidence` and `verify`: showing that someone asked, and that nothing was edited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.output import print_json

if TYPE_CHECKING:
    from subscribers.consent import Evidence, Verdict


@click.command("evidence", epilog="Example: weekbrief subscribers evidence anna@example.org --json")
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def evidence(config: Path, address: str, as_json: bool) -> int:
    """Show the evidence of one person's consent: what they saw, where and when, and whether it is unaltered.

    Exit code 3 if a record is not what was written.
    """
    from pipeline.cli.subscribers import parse_address
    from pipeline.report import Exit
    from pipeline.wiring import opened, settings_from
    from subscribers.consent import altered

    with opened(settings_from(config)) as store:
        person = store.subscribers.by_key(parse_address(address).key)
        if person is None:
            raise click.ClickException(f"nobody with the address {address} is known here")
        records = store.consents.of(person.id)
    if as_json:
        print_json({"address": person.address, "state": person.state, "records": [*map(_as_object, records)]})
    else:
        click.echo(f"{person.address}  {person.state}")
        for found in records:
            click.echo("\n".join(_lines(found)))
    return Exit.HELD if any(found.sha256 and altered(found) for found in records) else Exit.DONE


@click.command("verify", epilog="Example: weekbrief subscribers verify")
@click.option("--head", metavar="HASH", help="Also look for this hash, noted at an earlier walk.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def verify(config: Path, head: str | None, as_json: bool) -> int:
    """Walk along all evidence of consent and name the first record that was changed, put in or taken out.

    The last hash it prints, kept elsewhere and given as --head later, shows that nothing was cut off at the
    end. Exit code 3 if something is wrong.
    """
    from pipeline.report import Exit
    from pipeline.wiring import opened, settings_from
    from subscribers.consent import verify as walk

    seen = not head
    with opened(settings_from(config)) as store:

        def chain() -> Iterator[Evidence]:
            nonlocal seen
            for found in store.consents.chain():
                seen = seen or found.sha256 == head
                yield found

        verdict = walk(chain())
    sound = verdict.broken is None and seen
    if as_json:
        print_json({**_verdict_object(verdict), "head_found": seen if head else None, "sound": sound})
    else:
        click.echo("\n".join(_verdict_lines(verdict, head=head or "", seen=seen)))
    return Exit.DONE if sound else Exit.HELD


def _verdict_lines(verdict: Verdict, *, head: str, seen: bool) -> Iterator[str]:
    if verdict.broken is not None:
        yield f"Record {verdict.broken} does not hold: {verdict.why}. {verdict.records} before it do."
    else:
        yield f"{verdict.records} records hold."
    if verdict.older:
        yield f"{verdict.older} records are older than the chain; nothing is known about them."
    if not seen:
        yield f"The hash {head} is not there: records were cut off at the end, or before."
    yield f"Last hash: {verdict.head or 'none yet'}"


def _verdict_object(verdict: Verdict) -> dict[str, object]:
    return {
        "records": verdict.records,
        "older": verdict.older,
        "head": verdict.head,
        "broken": verdict.broken,
        "why": verdict.why,
    }


def _lines(found: Evidence) -> Iterator[str]:
    from subscribers.consent import altered

    record = found.record
    yield f"{record.occurred_at:%Y-%m-%d %H:%M:%S}Z  {record.kind}  by {record.source}"
    told = {
        "saw": record.wording,
        "on": record.page,
        "language": record.language,
        "form": record.form,
        "network": record.network,
        "hash": found.sha256 or "none: older than the chain",
        "altered": altered(found) if found.sha256 else "",
    }
    yield from (f"    {name:8} {text}" for name, text in told.items() if text)


def _as_object(found: Evidence) -> dict[str, object]:
    from subscribers.consent import altered

    record = found.record
    return {
        "number": found.number,
        "kind": record.kind.value,
        "occurred_at": record.occurred_at.isoformat(),
        "source": record.source,
        "wording": record.wording,
        "page": record.page,
        "language": record.language,
        "form": record.form,
        "network": record.network,
        "previous": found.previous,
        "sha256": found.sha256,
        "altered": altered(found) if found.sha256 else None,
    }
