"""Keys and tokens: from the environment, from `.env` beside the settings, or from files named by `NAME_FILE`.

They are never in schedule.yaml, and never in a log, a message or a `repr`.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.complaints import Complaint, SettingsError

SIGNING = "WEEKBRIEF_SECRET"
"""Signs the links in letters. Changed, every link ever sent stops working."""
MIN_SIGNING = 32
"""Characters: 128 bits and more, however it is written."""
HOW_TO_MAKE_ONE = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"

_PROVIDER_NEEDS: Mapping[str, tuple[str, ...]] = {
    "sandbox": (),
    "outbox": (),
    "resend": ("RESEND_API_KEY",),
    "lettermint": ("LETTERMINT_TOKEN",),
    "mailgun": ("MAILGUN_API_KEY", "MAILGUN_DOMAIN"),
    "postmark": ("POSTMARK_SERVER_TOKEN",),
    "sendgrid": ("SENDGRID_API_KEY",),
    "brevo": ("BREVO_API_KEY",),
    "ses": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"),
    "mailjet": ("MAILJET_API_KEY", "MAILJET_SECRET_KEY"),
    "sparkpost": ("SPARKPOST_API_KEY",),
    "mailersend": ("MAILERSEND_API_KEY",),
    "smtp": (),
}
_OPTIONAL = ("SANDBOX_API_KEY", "AWS_SESSION_TOKEN", "SMTP_USERNAME", "SMTP_PASSWORD")
"""Read where they are set; no provider insists on them."""
_WEBHOOKS: Mapping[str, tuple[str, ...]] = {
    "resend": ("RESEND_WEBHOOK_SECRET",),
    "lettermint": ("LETTERMINT_WEBHOOK_SECRET",),
    "mailgun": ("MAILGUN_WEBHOOK_KEY", "MAILGUN_WEBHOOK_SECRET"),
    "postmark": ("POSTMARK_WEBHOOK_SECRET",),
    "sendgrid": ("SENDGRID_WEBHOOK_KEY",),
    "brevo": ("BREVO_WEBHOOK_SECRET",),
    "ses": ("SES_TOPIC_ARN",),
    "mailjet": ("MAILJET_WEBHOOK_SECRET",),
    "sparkpost": ("SPARKPOST_WEBHOOK_SECRET",),
    "mailersend": ("MAILERSEND_WEBHOOK_SECRET",),
}
"""What a provider's reports are checked with; without them they are not taken."""
IN_ADDRESSES = frozenset(
    f"{name}_WEBHOOK_SECRET" for name in ("MAILGUN", "POSTMARK", "BREVO", "MAILJET", "SPARKPOST")
)
"""Made by the operator, and part of a web address."""
MIN_IN_ADDRESS = 24
SECRET_NAMES = (
    SIGNING,
    *(name for names in (*_PROVIDER_NEEDS.values(), *_WEBHOOKS.values()) for name in names),
    *_OPTIONAL,
)

_MAX_BYTES = 64 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<inside>.*)(?P=quote)\s*(?:#.*)?\Z""")


class Secret:
    """A value that shows itself only when asked by `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('…')"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not written to disk")


def new_secret() -> str:
    """A fresh value for `WEEKBRIEF_SECRET`: 384 random bits, 64 characters."""
    return secrets.token_urlsafe(48)


def provider_needs(provider: str) -> tuple[str, ...]:
    """The names of the secrets a provider cannot send without. Raises ValueError for an unknown provider."""
    try:
        return _PROVIDER_NEEDS[provider]
    except KeyError:
        raise ValueError(f"no provider is called {provider!r}") from None


def webhook_needs(provider: str) -> tuple[str, ...]:
    """The names of what a provider's reports are checked with; none for one that makes no reports."""
    return _WEBHOOKS.get(provider, ())


def read_secrets(folder: Path, env: Mapping[str, str]) -> Mapping[str, Secret]:
    """The secrets we know by name that are set and not empty.

    The environment wins over `folder/.env`; in each of them `NAME` wins over `NAME_FILE`, the path of a file
    that holds the value (relative to `folder`).

    Raises SettingsError with every bad line of `.env`, every unreadable file, every value that cannot be a
    secret. No message repeats a value.
    """
    complaints: list[Complaint] = []
    in_file, lines = _read_env_file(folder / ".env", complaints)
    found: dict[str, Secret] = {}
    for name in SECRET_NAMES:
        value = _first(name, ((env, {}), (in_file, lines)), folder, complaints)
        if value:
            complaints.extend(_unfit(name, value, lines if value == in_file.get(name) else {}, folder))
            found[name] = Secret(value)
    if complaints:
        raise SettingsError(complaints)
    return found


def missing(names: tuple[str, ...], found: Mapping[str, Secret]) -> str | None:
    """Which of `names` are not there and how to mend that, or None."""
    absent = [name for name in names if name not in found]
    if not absent:
        return None
    how = f"; {HOW_TO_MAKE_ONE}" if SIGNING in absent else ""
    verb = "is" if len(absent) == 1 else "are"
    names_in_words = " and ".join(absent)
    return (
        f"{names_in_words} {verb} not set: put {absent[0]}=… in .env beside schedule.yaml, "
        f"or in the environment{how}"
    )


def _first(
    name: str,
    places: tuple[tuple[Mapping[str, str], Mapping[str, int]], ...],
    folder: Path,
    complaints: list[Complaint],
) -> str:
    for values, lines in places:
        if value := values.get(name, "").strip():
            return value
        if path := values.get(f"{name}_FILE", "").strip():
            return _read_secret_file(f"{name}_FILE", folder, path, lines, complaints)
    return ""


def _read_secret_file(
    name: str, folder: Path, path: str, lines: Mapping[str, int], complaints: list[Complaint]
) -> str:
    file, line = (str(folder / ".env"), lines[name]) if name in lines else ("environment", 0)
    try:
        with (folder / path).open("rb") as opened:
            value = opened.read(_MAX_BYTES).decode().strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        complaints.append(Complaint(file=file, line=line, text=f"{name}: cannot read {path!r}: {reason}"))
        return ""
    if not value:
        complaints.append(Complaint(file=file, line=line, text=f"{name}: {path!r} is empty"))
    return value


def _unfit(name: str, value: str, lines: Mapping[str, int], folder: Path) -> Iterator[Complaint]:
    file, line = (str(folder / ".env"), lines[name]) if name in lines else ("environment", 0)
    if not (value.isascii() and value.isprintable()):
        yield Complaint(file=file, line=line, text=f"{name} has characters that no key has; copy it again")
    elif name == SIGNING and len(value) < MIN_SIGNING:
        text = f"{name} has {len(value)} characters and needs {MIN_SIGNING} or more; {HOW_TO_MAKE_ONE}"
        yield Complaint(file=file, line=line, text=text)
    elif name in IN_ADDRESSES and not re.fullmatch(rf"[A-Za-z0-9_-]{{{MIN_IN_ADDRESS},200}}", value):
        text = (
            f"{name} must be {MIN_IN_ADDRESS} or more letters, digits, - and _, as it is part of an address; "
            f"{HOW_TO_MAKE_ONE}"
        )
        yield Complaint(file=file, line=line, text=text)


def _read_env_file(path: Path, complaints: list[Complaint]) -> tuple[dict[str, str], dict[str, int]]:
    """The values and the line of each; nothing when there is no such file."""
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(_env_lines(path, complaints), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            name, value = _assignment(text)
        except ValueError as error:
            complaints.append(Complaint(file=str(path), line=number, text=str(error)))
            continue
        values[name], lines[name] = value, number
    return values, lines


def _env_lines(path: Path, complaints: list[Complaint]) -> list[str]:
    try:
        with path.open("rb") as opened:
            return opened.read(_MAX_BYTES).decode("utf-8-sig").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        complaints.append(Complaint(file=str(path), text=f"cannot be read: {reason}"))
        return []


def _assignment(text: str) -> tuple[str, str]:
    """`NAME=value`, `export NAME="value"  # comment`. Raises ValueError that does not repeat the value."""
    name, equals, value = text.removeprefix("export ").partition("=")
    name, value = name.strip(), value.strip()
    if not equals:
        raise ValueError("is not NAME=value")
    if not _NAME.match(name):
        raise ValueError("the name before '=' may hold letters, digits and _ only")
    if value[:1] in ("'", '"'):
        quoted = _QUOTED.match(value)
        if not quoted:
            raise ValueError(f"{name}: the quote is not closed")
        return name, quoted["inside"]
    return name, re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
