"""Taking up a request: who may be asked to confirm, and the link that answers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from subscribers.addresses import Address
from subscribers.consent import ConsentRecord
from subscribers.links import confirm_url
from subscribers.ports import SubscriberStore
from subscribers.subscriber import Subscriber, may_ask
from subscribers.tokens import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Send this person the link that confirms their request."""

    subscriber: Subscriber
    url: str


def take_up(
    store: SubscriberStore,
    signer: Signer,
    base_url: str,
    *,
    address: Address,
    name: str,
    language: str,
    consent: ConsentRecord,
    room: Callable[[], bool] = lambda: True,
) -> Ask | None:
    """Store a request and give the message to send; None when this address may not be asked now: it gets
    the letter already, refused it for good, or was asked lately. `room` is asked last: may a message go?"""
    known, suppressed = store.by_key(address.key), store.suppression(address.key)
    if not may_ask(known, suppressed, at=consent.occurred_at) or not room():
        return None
    subscriber = store.request(address, name=name, language=language, consent=consent)
    if subscriber is None:
        return None
    token = signer.confirm_token(subscriber.id, subscriber.confirm_round)
    return Ask(subscriber=subscriber, url=confirm_url(base_url, token))
