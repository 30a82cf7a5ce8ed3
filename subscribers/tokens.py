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
from hashlib import blake2b
from typing import Final

MIN_SECRET: Final = 16
"""Octets: 128 bits, the least that a guesser should have to try."""
MAX_TOKEN: Final = 40

_MAC_OCTETS: Final = 18
_MAC_CHARS: Final = 24
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_NUMBER = re.compile(r"[1-9a-f][0-9a-f]{0,15}\Z")
_NUMBERS = re.compile(r"([1-9a-f][0-9a-f]{0,15})-([1-9a-f][0-9a-f]{0,15})\Z")

# Part of every code ever mailed: changing one breaks the links in old letters.
_UNSUBSCRIBE: Final = b"unsubscribe"
_CONFIRM: Final = b"confirm"
_FINGERPRINT: Final = b"fingerprint"


class SecretError(ValueError):
    """The signing secret cannot be used. Never repeats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What a true confirmation link says."""

    subscriber_id: int
    request: int
    """Which request it answers (`Subscriber.confirm_round`)."""


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
        return [self._key.unsubscribe(_positive(number)) for number in subscriber_ids]

    def confirm_token(self, subscriber_id: int, request: int) -> str:
        """The link that answers one request of one person."""
        return self._key.confirm(_positive(subscriber_id), _positive(request))

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

    def fingerprint(self) -> str:
        return self._fingerprint.hexdigest()

    def unsubscribe(self, subscriber_id: int) -> str:
        number = b"%x" % subscriber_id
        code = self._unsubscribe.copy()
        code.update(number)
        return (b2a_base64(code.digest(), newline=False).translate(_URL_SAFE) + number).decode("ascii")

    def confirm(self, subscriber_id: int, request: int) -> str:
        numbers = b"%x-%x" % (subscriber_id, request)
        code = self._confirm.copy()
        code.update(numbers)
        return (b2a_base64(code.digest(), newline=False).translate(_URL_SAFE) + numbers).decode("ascii")


def _same(given: str, made: str) -> bool:
    return hmac.compare_digest(given.encode("ascii"), made.encode("ascii"))


def _positive(number: int) -> int:
    if not 0 < number < 1 << 63:
        raise ValueError(f"a subscriber's number is between 1 and 2**63, not {number}")
    return number
