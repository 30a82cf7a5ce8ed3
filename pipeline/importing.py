"""Bringing a list of people in: never un-suppresses anyone, never invents consent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pipeline.notices import ask_to_confirm
from pipeline.settings import Settings
from pipeline.store import Store
from subscribers.addresses import Address
from subscribers.consent import ConsentRecord
from subscribers.importing import ImportRow
from subscribers.ports import AddOutcome
from subscribers.subscriber import SubscriberState

_People = Iterable[tuple[Address, str, str]]


def import_rows(
    settings: Settings,
    store: Store,
    rows: Iterable[ImportRow],
    *,
    consent: ConsentRecord,
    confirmed: bool,
    dry_run: bool,
) -> dict[str, int]:
    """Take in `rows`; gives how many had which outcome.

    Running it twice, or again after being cut off, ends in the same list as running it once.
    """
    people: _People = ((row.address, row.name, row.language or settings.newsletter.language) for row in rows)
    if dry_run:
        return _counted(_foreseen(store, people, confirmed=confirmed))
    if confirmed:
        return _counted(store.subscribers.add_many(people, consent=consent))
    seen = Counter[str]()
    asked = ask_to_confirm(settings, store, _tallied(people, seen), consent=consent)
    return {"asked": asked, "not_asked": seen["rows"] - asked}


def _foreseen(store: Store, people: _People, *, confirmed: bool) -> Iterator[str]:
    for address, _name, _language in people:
        known = store.subscribers.by_key(address.key)
        if store.subscribers.suppression(address.key) is not None:
            yield AddOutcome.SUPPRESSED
        elif known is not None and known.state is SubscriberState.ACTIVE:
            yield AddOutcome.ALREADY_ACTIVE
        elif confirmed:
            yield AddOutcome.CONFIRMED if known else AddOutcome.ADDED
        else:
            yield "asked"


def _tallied(people: _People, seen: Counter[str]) -> Iterator[tuple[Address, str, str]]:
    for person in people:
        seen["rows"] += 1
        yield person


def _counted(outcomes: Iterable[str]) -> dict[str, int]:
    found = Counter(str(outcome) for outcome in outcomes)
    names = [*map(str, AddOutcome), *found]
    return {name: found[name] for name in names}
