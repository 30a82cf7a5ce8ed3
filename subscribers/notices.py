"""Letters to one reader that follow from what they did on a page; whoever carries the pages sends them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from subscribers.moving import AddressChange
from subscribers.subscriber import Subscriber


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """To somebody who has just confirmed."""

    subscriber: Subscriber
    unsubscribe_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataLink:
    """To their own address: the link to what we hold about them."""

    subscriber: Subscriber
    url: str
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLink:
    """To their new address: the link that confirms it."""

    subscriber: Subscriber
    change: AddressChange
    url: str


Notice = Welcome | DataLink | MoveLink
