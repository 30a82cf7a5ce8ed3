"""Signed links: who may leave, and who may confirm. No table is needed to know a true one.

A token is a keyed BLAKE2b code (RFC 7693) of 144 bits over installation, purpose and subscriber,
followed by the subscriber's number. It holds no address, never expires by itself, and is made of
letters, digits, `-` and `_`. Whoever holds it can do one thing for one person.
"""

from __future__ import annotations

import hmac
import re
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

MIN_SECRET: Final = 16
"""Octets: 128 bits, the least that a guesser should have to try."""
MAX_TOKEN: Final = 40
MAX_PERSONAL: Final = 60
"""Characters of a link to somebody's own data: it says when it was made, too."""

_MAC_OCTETS: Final = 18
_MAC_CHARS: Final = 24
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_LATEST: Final = 253_402_300_799
"""Seconds: the last moment that `datetime` knows."""
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_NUMBER = re.compile(r"[1-9a-f][0-9a-f]{0,15}\Z")
_NUMBERS = re.compile(r"([1-9a-f][0-9a-f]{0,15})-([1-9a-f][0-9a-f]{0,15})\Z")

# Part of every code ever mailed: changing one breaks the links in old letters.
_UNSUBSCRIBE: Final = b"unsubscribe"
_CONFIRM: Final = b"confirm"
_FINGERPRINT: Final = b"fingerprint"
# Of no weekly letter: these last days, not years.
_PERSONAL: Final = b"personal"
_MOVE: Final = b"move"
_FORM: Final = b"form"
_NETWORK: Final = b"network"
# Part of what is left of everyone who was erased: changing it forgets that they were.
_ERASED: Final = b"erased"


class SecretError(ValueError):
    """The signing secret cannot be used. Never repeats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What a true confirmation link says."""

    subscriber_id: int
    request: int
    """Which request it answers (`Subscriber.confirm_round`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """What a true link to somebody's own data says."""

    subscriber_id: int
    made_at: datetime


class Signer:
    """Makes and reads the links of one newsletter.

    `secret` is WEEKBRIEF_SECRET, at least 16 octets. `scope` names the installation, so that two
    newsletters with one secret do not accept each other's links; like the secret it must never change
    afterwards. `former` are secrets used before: their links are still read, none are made.
    Raises `SecretError`.
    """

    def __init__(self, secret: bytes, *, scope: str = "", former: Sequence[bytes] = ()) -> None:
        self._key = _Key(secret, scope)
        self._readers = (self._key, *(_Key(old, scope) for old in former))

    @property
    def fingerprint(self) -> str:
        """32 characters that tell one secret from another and nothing about it: keep them, and a changed
        secret is noticed before a letter with dead links goes out."""
        return self._key.fingerprint()

    def unsubscribe_token(self, subscriber_id: int) -> str:
        """The link of one person; the same on every call, for ever."""
        return self._key.unsubscribe(_positive(subscriber_id))

    def unsubscribe_tokens(self, subscriber_ids: Iterable[int]) -> list[str]:
        """The links of a batch, in the order of the numbers given."""
        numbers = list(subscriber_ids)
        if numbers:
            _positive(min(numbers)), _positive(max(numbers))
        return self._key.unsubscribe_each(numbers)

    def confirm_token(self, subscriber_id: int, request: int) -> str:
        """The link that answers one request of one person."""
        return self._key.confirm(_positive(subscriber_id), _positive(request))

    def stamp(self, at: datetime) -> str:
        """When a form was opened, to the second: stands in the form, so that nothing has to be stored."""
        return self._key.stamp(int(at.timestamp()))

    def read_stamp(self, stamp: str) -> datetime | None:
        """When the form with this stamp was opened, or None: damaged, forged, or meant for something else."""
        if len(stamp) > MAX_TOKEN or not stamp.isascii():
            return None
        number = _NUMBER.match(stamp[_MAC_CHARS:])
        seconds = min(int(number[0], 16), _LATEST) if number else 1
        genuine = any(_same(stamp, key.stamp(seconds)) for key in self._readers)
        return datetime.fromtimestamp(seconds, UTC) if genuine else None

    def personal_token(self, subscriber_id: int, at: datetime) -> str:
        """The link to one person's own data, made at that moment, to the millisecond."""
        return self._key.personal(_positive(subscriber_id), (at - _EPOCH) // _MILLISECOND)

    def move_token(self, change_id: int) -> str:
        """The link that confirms one change of address."""
        return self._key.move(_positive(change_id))

    def shadow(self, address_key: str) -> str:
        """What is kept of an address that was erased: a keyed hash, 40 characters. With the secret one can
        ask whether a given address is meant; without it, not even that."""
        return self._key.shadow(address_key)

    def shadows(self, address_key: str) -> tuple[str, ...]:
        """`shadow` by this secret and by each former one."""
        return tuple(key.shadow(address_key) for key in self._readers)

    def network_scope(self, network: str) -> str:
        """A keyed hash of a network, under which its sign-ups are counted: 32 characters."""
        return self._key.network(network)

    def read_unsubscribe(self, token: str) -> int | None:
        """Whose unsubscribe link this is, or None: damaged, forged, or meant for something else."""
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        number = _NUMBER.match(token[_MAC_CHARS:])
        subscriber_id = int(number[0], 16) if number else 1
        genuine = any(_same(token, key.unsubscribe(subscriber_id)) for key in self._readers)
        return subscriber_id if genuine else None

    def read_confirm(self, token: str) -> Confirmation | None:
        """Whose request this link confirms, or None as above."""
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        numbers = _NUMBERS.match(token[_MAC_CHARS:])
        subscriber_id, request = (int(numbers[1], 16), int(numbers[2], 16)) if numbers else (1, 1)
        genuine = any(_same(token, key.confirm(subscriber_id, request)) for key in self._readers)
        return Confirmation(subscriber_id=subscriber_id, request=request) if genuine else None

    def read_personal(self, token: str) -> Personal | None:
        """Whose link to their own data this is and when it was made, or None as above."""
        if len(token) > MAX_PERSONAL or not token.isascii():
            return None
        numbers = _NUMBERS.match(token[_MAC_CHARS:])
        subscriber_id, moment = (int(numbers[1], 16), int(numbers[2], 16)) if numbers else (1, 1)
        genuine = any(_same(token, key.personal(subscriber_id, moment)) for key in self._readers)
        made_at = _EPOCH + min(moment, _LATEST * 1000) * _MILLISECOND
        return Personal(subscriber_id=subscriber_id, made_at=made_at) if genuine else None

    def read_move(self, token: str) -> int | None:
        """Which change of address this link confirms, or None as above."""
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        number = _NUMBER.match(token[_MAC_CHARS:])
        change_id = int(number[0], 16) if number else 1
        genuine = any(_same(token, key.move(change_id)) for key in self._readers)
        return change_id if genuine else None


class _Key:
    """One secret, ready to sign. The keyed states are made once and copied: half the cost of a code."""

    def __init__(self, secret: bytes, scope: str) -> None:
        if len(secret) < MIN_SECRET:
            raise SecretError(
                f"WEEKBRIEF_SECRET has {len(secret)} characters and needs at least {MIN_SECRET}; "
                'make one with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        key = blake2b(secret, digest_size=32, person=b"weekbrief key 1").digest()
        bound = scope.encode() + b"\0"
        self._unsubscribe = blake2b(bound, digest_size=_MAC_OCTETS, key=key, person=_UNSUBSCRIBE)
        self._confirm = blake2b(bound, digest_size=_MAC_OCTETS, key=key, person=_CONFIRM)
        self._fingerprint = blake2b(digest_size=16, key=key, person=_FINGERPRINT)
        self._personal = blake2b(bound, digest_size=_MAC_OCTETS, key=key, person=_PERSONAL)
        self._move = blake2b(bound, digest_size=_MAC_OCTETS, key=key, person=_MOVE)
        self._erased = blake2b(bound, digest_size=20, key=key, person=_ERASED)
        self._form = blake2b(bound, digest_size=_MAC_OCTETS, key=key, person=_FORM)
        self._network = blake2b(bound, digest_size=16, key=key, person=_NETWORK)

    def fingerprint(self) -> str:
        return self._fingerprint.hexdigest()

    def personal(self, subscriber_id: int, moment: int) -> str:
        return _signed(self._personal.copy(), b"%x-%x" % (subscriber_id, moment))

    def move(self, change_id: int) -> str:
        return _signed(self._move.copy(), b"%x" % change_id)

    def shadow(self, address_key: str) -> str:
        code = self._erased.copy()
        code.update(address_key.encode())
        return code.hexdigest()

    def stamp(self, seconds: int) -> str:
        number = b"%x" % seconds
        code = self._form.copy()
        code.update(number)
        return (b2a_base64(code.digest(), newline=False).translate(_URL_SAFE) + number).decode("ascii")

    def network(self, network: str) -> str:
        code = self._network.copy()
        code.update(network.encode())
        return code.hexdigest()

    def unsubscribe(self, subscriber_id: int) -> str:
        return self.unsubscribe_each([subscriber_id])[0]

    def unsubscribe_each(self, subscriber_ids: Iterable[int]) -> list[str]:
        """Made into text all at once: one by one, that costs as much as the codes do."""
        copy = self._unsubscribe.copy
        tokens = []
        for subscriber_id in subscriber_ids:
            number = b"%x" % subscriber_id
            code = copy()
            code.update(number)
            tokens.append(b2a_base64(code.digest(), newline=False) + number)
        return b" ".join(tokens).translate(_URL_SAFE).decode("ascii").split()

    def confirm(self, subscriber_id: int, request: int) -> str:
        numbers = b"%x-%x" % (subscriber_id, request)
        code = self._confirm.copy()
        code.update(numbers)
        return (b2a_base64(code.digest(), newline=False).translate(_URL_SAFE) + numbers).decode("ascii")


def _signed(code: blake2b, said: bytes) -> str:
    code.update(said)
    return (b2a_base64(code.digest(), newline=False).translate(_URL_SAFE) + said).decode("ascii")


def _same(given: str, made: str) -> bool:
    return hmac.compare_digest(given.encode("ascii"), made.encode("ascii"))


def _positive(number: int) -> int:
    if not 0 < number < 1 << 63:
        raise ValueError(f"a subscriber's number is between 1 and 2**63, not {number}")
    return number
