"""Evidence of consent: what was shown, where and when. Kept as written, never changed afterwards.

Each record holds the hash of the one before it, so that none can be changed, put in between or taken out
without a trace (AVG/GDPR 7(1): we must be able to show consent; evidence that anyone could have edited
shows little). The visitor's network takes part by a salted hash only: its text and salt can be removed and
the chain still holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

FORM: Final = "2026-11-24"
"""Version of the words on the sign-up form and the confirmation page. It changes whenever they change in
any language, so that what someone saw can be looked up in the program's history."""
NETWORK_LIFE: Final = timedelta(days=30)
"""How long the text of a visitor's network is kept (e-mail standards G-02)."""


class ConsentKind(StrEnum):
    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"
    RESUBSCRIBED = "resubscribed"
    IMPORTED = "imported"
    """Confirmed elsewhere; `source` says where and when."""
    ADDED = "added"
    """By the operator, at the person's own request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """One thing a person agreed to or withdrew (AVG/GDPR 7(1): we must be able to show it)."""

    kind: ConsentKind
    wording: str
    """The exact sentence they saw."""
    source: str
    """How it reached us: `page`, `form`, `api`, `one-click`, `command`, `import: old list, 2024-05-01`."""
    page: str
    """Address of the page it was given on, without any token; empty if there was none."""
    language: str
    occurred_at: datetime
    form: str = ""
    """`FORM` at that moment; empty where no form of ours was shown."""
    network: str = ""
    """The visitor's network, `203.0.113.0/24` or `2001:db8:1::/48`; empty if unknown or removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A consent record with its place in the chain."""

    number: int
    """The row's own, going up along the chain; 0 before it has one."""
    subscriber_id: int
    record: ConsentRecord
    network_salt: str = ""
    network_sha256: str = ""
    previous: str = ""
    """`sha256` of the record before; empty for the first."""
    sha256: str = ""
    """Over everything above but the number and the network's text and salt. Empty: written before there
    was a chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a walk along the whole chain found."""

    records: int
    """Whose hash was checked."""
    older: int
    """Before the chain began: nothing is known about them."""
    head: str
    """The last hash. Written down elsewhere, it shows later that nothing was cut off at the end."""
    broken: int | None = None
    """Number of the first record that does not hold."""
    why: str = ""


def chained(subscriber_id: int, record: ConsentRecord, *, previous: str, salt: str) -> Evidence:
    """The record as it stands in the chain behind `previous`. `salt` is random, 128 bits or more."""
    salt = salt if record.network else ""
    placed = Evidence(
        number=0,
        subscriber_id=subscriber_id,
        record=record,
        network_salt=salt,
        network_sha256=_network_hash(salt, record.network),
        previous=previous,
    )
    return replace(placed, sha256=_hash(placed))


def verify(chain: Iterable[Evidence]) -> Verdict:
    """Walk along `chain`, given oldest first, up to the first record that does not hold."""
    records = older = 0
    head = ""
    for found in chain:
        if not records and not found.sha256:
            older += 1
            continue
        if why := fault(found, previous=head):
            return Verdict(records=records, older=older, head=head, broken=found.number, why=why)
        records, head = records + 1, found.sha256
    return Verdict(records=records, older=older, head=head)


def fault(found: Evidence, *, previous: str) -> str:
    """What is wrong with a record that follows the hash `previous`; empty if it holds."""
    if not found.sha256:
        return "it was put in without a place in the chain"
    if found.previous != previous:
        return "the record before it was changed, put in or taken out"
    return altered(found)


def altered(found: Evidence) -> str:
    """What of this one record differs from what was written; empty if nothing does."""
    if found.sha256 != _hash(found):
        return "it is not what was written"
    network = found.record.network
    if network and found.network_sha256 != _network_hash(found.network_salt, network):
        return "its network is not what was written"
    return ""


def _hash(placed: Evidence) -> str:
    """SHA-256 of the record as canonical JSON: keys sorted, no spaces, ASCII, UTC to the microsecond."""
    record = placed.record
    content = {
        "form": record.form,
        "kind": record.kind.value,
        "language": record.language,
        "network_sha256": placed.network_sha256,
        "occurred_at": record.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "page": record.page,
        "previous": placed.previous,
        "source": record.source,
        "subscriber": placed.subscriber_id,
        "wording": record.wording,
    }
    return hashlib.sha256(
        json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    ).hexdigest()


def _network_hash(salt: str, network: str) -> str:
    return hashlib.sha256((salt + network).encode()).hexdigest() if network else ""
