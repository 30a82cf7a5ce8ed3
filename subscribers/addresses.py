"""One person, one key: what an e-mail address is mailed as, and what tells two of them apart.

Case, Unicode form, the spelling of an international domain and invisible characters never make two
people of one. Plus-signs and dots do: `ann+a@` and `ann+b@` may belong to different people, and only
their provider knows. Nothing before the @ is ever rewritten.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import idna

MAX_TYPED = 320
"""Longest text that is looked at: 64 + 1 + 255 (RFC 3696 erratum 1690)."""
MAX_LOCAL = 64
"""Octets before the @ (RFC 5321, 4.5.3.1.1)."""
MAX_ADDRESS = 254
"""Octets in all: a path of 256 with its angle brackets (RFC 5321, 4.5.3.1.3)."""
MAX_NAME = 60
"""Characters of a display name that we keep."""

_JOINERS = "\u200c\u200d"
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+\Z")
_DIGITS = re.compile(r"[0-9]+\Z")


class AddressError(ValueError):
    """This text is not an address that mail can be sent to. Says why, and never repeats the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address as we mail it, and the key under which it is one person."""

    address: str
    """As mailed: local part as it was written, domain in its ASCII form (RFC 5890, A-labels)."""
    key: str
    """Lower-cased and NFC, domain by IDNA 2008: equal keys are the same person."""

    @property
    def ascii_only(self) -> bool:
        """False: the provider must support SMTPUTF8 (RFC 6531) to reach this one."""
        return self.address.isascii()


def normalise(text: str) -> Address:
    """The address in `text`, and its key. Raises `AddressError` with a sentence for people.

    IDNA 2008 keeps `straße` and `strasse` apart, as registries do; the mapping before it (UTS 46) folds
    case and full-width letters.
    """
    if len(text) > MAX_TYPED + 64:
        raise AddressError(f"it is longer than {MAX_ADDRESS} characters")
    typed = unicodedata.normalize("NFC", _visible(text, keep=_JOINERS).strip())
    _refuse_controls(typed)
    local, domain = _split(typed)
    local = _visible(local, keep="")
    _check_local(local)
    host = _ascii_domain(domain)
    address = f"{local}@{host}"
    if len(address.encode()) > MAX_ADDRESS:
        raise AddressError(f"it is longer than {MAX_ADDRESS} characters")
    return Address(address=address, key=f"{_folded(local)}@{host}")


def clean_name(text: str) -> str:
    """A subscriber's name as we keep it: one line, at most `MAX_NAME` characters.

    Control characters become spaces, so that a name can never end a header line; marks that turn the
    direction of the text around it are dropped. Joiners stay: Persian and many emoji need them. What would
    begin an encoded word (RFC 2047) gets a space: it can carry a line break past every check (CVE-2024-6923).
    """
    one_line = "".join(
        " " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text[: 4 * MAX_TYPED]
    )
    shown = _visible(one_line, keep=_JOINERS)
    composed = unicodedata.normalize("NFC", "".join(c for c in shown if unicodedata.category(c) != "Cs"))
    return _cut(" ".join(composed.split()).replace("=?", "= ?"), MAX_NAME)


def _visible(text: str, *, keep: str) -> str:
    """Without the characters that show nothing: zero-width spaces, soft hyphens, direction marks, BOM."""
    if text.isascii():
        return text
    return "".join(c for c in text if unicodedata.category(c) != "Cf" or c in keep)


def _refuse_controls(typed: str) -> None:
    if typed.isascii() and typed.isprintable():
        return
    if any(unicodedata.category(c) in {"Cc", "Cs", "Co", "Cn"} for c in typed):
        raise AddressError("it contains a control character; type the address again by hand")


def _split(typed: str) -> tuple[str, str]:
    if not typed:
        raise AddressError("it is empty")
    if "<" in typed or ">" in typed:
        raise AddressError("write the address alone, without a name and without < and >")
    if any(c.isspace() for c in typed):
        raise AddressError("it contains a space")
    local, at, domain = typed.rpartition("@")
    if not at:
        raise AddressError("the @ is missing")
    if not local or not domain:
        raise AddressError("something is missing before or after the @")
    return local, domain


def _check_local(local: str) -> None:
    """Dot-atom of RFC 5321 and 6531. Quoted local parts exist on paper; no provider here takes them."""
    if '"' in local or "\\" in local:
        raise AddressError("quotes and backslashes before the @ are not supported")
    if "=?" in local:  # RFC 5322 allows it; mail programs take it for an encoded word
        raise AddressError("'=?' before the @ is not supported")
    if len(local.encode()) > MAX_LOCAL:
        raise AddressError(f"the part before the @ is longer than {MAX_LOCAL} characters")
    atoms = local.split(".")
    if not all(atoms):
        raise AddressError("the part before the @ has a dot at its edge, or two dots in a row")
    if not all(map(_ATOM.match, atoms)):
        raise AddressError("there is a character before the @ that an address cannot have")


def _ascii_domain(domain: str) -> str:
    if domain.startswith("["):
        raise AddressError("write a domain after the @, not a number in brackets")
    host = _encoded(domain)
    labels = host.split(".")
    if len(labels) < 2 or not all(labels):
        raise AddressError("the part after the @ is not complete; it needs a dot, as in example.org")
    if _DIGITS.match(labels[-1]):
        raise AddressError("write a domain after the @, not a number")
    return host


@lru_cache(maxsize=4096)
def _encoded(domain: str) -> str:
    """The A-labels of a domain. Joiners stay where IDNA 2008 allows them (RFC 5892, A.1) and go elsewhere."""
    without = _visible(domain, keep="")
    for candidate in dict.fromkeys((domain, without)):
        try:
            return (
                idna.encode(candidate, uts46=True, std3_rules=True, transitional=False)
                .decode("ascii")
                .lower()
            )
        except (idna.IDNAError, UnicodeError):
            continue
    raise AddressError("the part after the @ is not a domain name")


def _folded(local: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).lower())


def _cut(text: str, length: int) -> str:
    """At most `length` characters, and no letter cut from its accent or half an emoji."""
    if len(text) <= length:
        return text
    end = length
    while end > 0 and (
        unicodedata.combining(text[end]) or text[end] in _JOINERS or text[end - 1] in _JOINERS
    ):
        end -= 1
    return text[:end].rstrip()
