"""What an operator sets about a provider, and the complaints about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from emails.delivery import Capabilities


class EspSettingsError(ValueError):
    """The provider cannot be used as it is set. The message names the setting and the mend."""


class MissingSecret(EspSettingsError):
    """A secret is not there."""

    def __init__(self, name: str, provider: str) -> None:
        super().__init__(
            f"{name} is missing: provider {provider} needs it. "
            f"Set it in the environment or in .env, or point {name}_FILE at a file that holds it."
        )
        self.name = name
        self.provider = provider


class UnknownProvider(EspSettingsError):
    """No provider has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EspSettings:
    """`provider:` of schedule.yaml with what belongs to it. `env` holds the secrets and is never shown."""

    base_url: str | None
    env: Mapping[str, str]
    batch_size: int | None
    outbox_folder: Path

    def __repr__(self) -> str:
        return f"EspSettings(base_url={self.base_url!r}, batch_size={self.batch_size!r})"

    def secret(self, name: str, provider: str) -> str:
        """The secret `name`, without white space around it. Raises `MissingSecret`, or
        `EspSettingsError` for one that no HTTP header can hold."""
        value = self.env.get(name, "").strip()
        if not value:
            raise MissingSecret(name, provider)
        if not (value.isascii() and value.isprintable()):
            raise EspSettingsError(f"{name} holds a line break or a character outside ASCII; copy it again")
        return value

    def url(self, default: str) -> str:
        """Where the provider's API is, without a slash at the end. Raises `EspSettingsError`."""
        url = (self.base_url or default).rstrip("/")
        parts = _split(url)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
            raise EspSettingsError(
                f"provider.base_url: {url!r} is no web address such as https://api.example"
            )
        if parts.username or parts.password:
            raise EspSettingsError("provider.base_url: leave name and password out; secrets go in .env")
        if parts.scheme == "http" and not local:
            raise EspSettingsError(
                f"provider.base_url: {url!r} must start with https://, or the key travels in the open"
            )
        return url

    def limited(self, capabilities: Capabilities) -> Capabilities:
        """The provider's capabilities with the operator's batch size. Raises `EspSettingsError`."""
        if self.batch_size is None:
            return capabilities
        if not 1 <= self.batch_size <= capabilities.max_batch:
            raise EspSettingsError(
                f"provider.batch_size: {self.batch_size} is not between 1 and {capabilities.max_batch}, "
                f"the most that {capabilities.name} takes in one call"
            )
        return replace(capabilities, max_batch=self.batch_size)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError as error:
        raise EspSettingsError(f"provider.base_url: {url!r} is no web address ({error})") from error
    return parts
