"""How a call proves where it comes from: the ways that several providers share. All in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from emails.events.event import Call, Forged

OLDEST = timedelta(days=2)
"""How old a signed call may be. The longest retry plan we know of goes on for a day (Mailjet, SendGrid), and
some sign the first try's time. A repeat inside this time is known by its key and changes nothing."""
AHEAD = timedelta(minutes=5)
"""How far a provider's clock may be ahead of ours."""


def check_hmac(secret: bytes, signed: bytes, given: Iterable[bytes]) -> None:
    """One of `given` must be the HMAC-SHA256 of `signed` (raw bytes). Raises `Forged`."""
    wanted = hmac.digest(secret, signed, "sha256")
    if not any(hmac.compare_digest(wanted, each) for each in given):
        raise Forged("the signature is not right")


def from_hex(value: str) -> bytes:
    """The bytes of a signature in hexadecimal; none for anything else."""
    try:
        return bytes.fromhex(value) if value.isascii() and value.isalnum() else b""
    except ValueError:
        return b""


def from_base64(value: str) -> bytes:
    """The bytes of a signature or key in base64; none for anything else, such as stray bits at its end."""
    try:
        found = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return found if base64.b64encode(found).decode() == value else b""


def check_time(seconds: str, now: datetime) -> None:
    """The time that was signed, in seconds since 1970, must be of these days. Raises `Forged`."""
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 11):
        raise Forged("the time of the call is missing")
    at = datetime.fromtimestamp(int(seconds), UTC)
    if at < now - OLDEST:
        raise Forged("the call is too old")
    if at > now + AHEAD:
        raise Forged("the call comes from the future")


def check_shared(call: Call, secret: str) -> None:
    """The secret must be in the path, or be the password or token of `Authorization`. For providers that
    sign nothing. Raises `Forged`."""
    if not any(_same(secret, given) for given in (call.path_secret, *_authorization(call))):
        raise Forged("the secret in the address is missing or wrong")


def check_path(call: Call, secret: str) -> None:
    """The secret must be in the path. Raises `Forged`."""
    if not _same(secret, call.path_secret):
        raise Forged("the secret in the address is missing or wrong")


def _same(secret: str, given: str) -> bool:
    """Compared as hashes, so that the time does not tell the length either."""
    wanted, had = (
        hashlib.sha256(each.encode("utf-8", "surrogateescape")).digest() for each in (secret, given)
    )
    return hmac.compare_digest(wanted, had)


def _authorization(call: Call) -> tuple[str, ...]:
    """The token of `Bearer`, or the password of `Basic` (RFC 7617)."""
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return (value.strip(),)
    if scheme.lower() == "basic":
        return (from_base64(value.strip()).decode("utf-8", "replace").partition(":")[2],)
    return ()
