"""Everything that is held about subscribers, in open formats: for a backup, or to move elsewhere.

CSV holds a row a person with the latest evidence of their consent, for spreadsheets and other programs;
`weekbrief subscribers import` reads it back. JSON Lines holds all of it. Nobody who was erased is in
either: what is left of them is no address.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from pipeline.store.bulk import Held
from pipeline.store.suppressions import Suppression
from subscribers.cells import neutral
from subscribers.consent import ConsentKind, ConsentRecord

COLUMNS: Final = (
    *("email", "name", "language", "status", "frequency", "paused_until"),
    *("created_at", "asked_at", "confirmed_at", "unsubscribed_at"),
    *("suppressed_at", "suppressed_by"),
    *("consent_kind", "consent_at", "consent_source", "consent_page", "consent_wording"),
)
_GIVEN: Final = (ConsentKind.CONFIRMED, ConsentKind.IMPORTED, ConsentKind.ADDED, ConsentKind.RESUBSCRIBED)


def as_csv(people: Iterable[Held]) -> Iterator[str]:
    """The header line and a line a person, with CRLF (RFC 4180). No cell runs in a spreadsheet."""
    row = io.StringIO(newline="")
    writer = csv.writer(row)
    for values in _csv_rows(people):
        writer.writerow(values)
        yield row.getvalue()
        row.seek(0)
        row.truncate()


def as_json_lines(people: Iterable[Held]) -> Iterator[str]:
    """An object a line."""
    for held in people:
        yield json.dumps(_object(held), ensure_ascii=False) + "\n"


def _csv_rows(people: Iterable[Held]) -> Iterator[list[str]]:
    yield list(COLUMNS)
    for held in people:
        found = _object(held)
        if found["email"]:
            consent = next((one for one in reversed(held.consents) if one.kind in _GIVEN), None)
            found |= (
                {f"consent_{name}": value for name, value in _consent(consent).items()} if consent else {}
            )
            yield [neutral(str(found.get(name) or "")) for name in COLUMNS]


def _object(held: Held) -> dict[str, object]:
    person, suppression = held.subscriber, held.suppression
    found: dict[str, object] = {}
    if person is not None:
        found = {
            "email": person.address,
            "name": person.name,
            "language": person.language,
            "status": person.state.value,
            "frequency": person.frequency.value,
            "paused_until": _text(person.paused_until),
            "created_at": _text(person.created_at),
            "asked_at": _text(person.asked_at),
            "confirmed_at": _text(person.confirmed_at),
            "unsubscribed_at": _text(person.unsubscribed_at),
            "consents": [_consent(one) for one in held.consents],
        }
    return found | _suppression(suppression, known=person is not None)


def _suppression(suppression: Suppression | None, *, known: bool) -> dict[str, object]:
    """A suppression outranks the state: whoever reads the file must not mail them."""
    if suppression is None:
        return {}
    erased = suppression.hidden
    address = {"email": None if erased else suppression.address_key}
    return {
        **({} if known else address),
        **({"erased": suppression.address_key} if erased else {}),
        "status": suppression.reason.value,
        "suppressed_at": _text(suppression.since),
        "suppressed_by": suppression.source,
    }


def _consent(record: ConsentRecord) -> dict[str, object]:
    return {
        "kind": record.kind.value,
        "at": _text(record.occurred_at),
        "source": record.source,
        "page": record.page,
        "wording": record.wording,
        "language": record.language,
        "form": record.form,
        "network": record.network,
    }


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
