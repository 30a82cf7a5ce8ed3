"""Providers: one file each. `make_esp` gives the one that schedule.yaml names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from emails.delivery import Esp
from emails.esp.settings import EspSettings, EspSettingsError, MissingSecret, UnknownProvider

__all__ = [
    "EspSettings",
    "EspSettingsError",
    "MissingSecret",
    "UnknownProvider",
    "make_esp",
    "provider_names",
]

_PROVIDERS = (
    "sandbox",
    "outbox",
    "resend",
    "lettermint",
    "postmark",
    "brevo",
    "mailgun",
    "sendgrid",
    "ses",
    "mailjet",
    "sparkpost",
    "mailersend",
    "smtp",
)
"""Names as in schedule.yaml; each is a module here with a function `make`, imported when it is asked for."""


class _Provider(Protocol):
    def make(self, settings: EspSettings) -> Esp: ...


def provider_names() -> tuple[str, ...]:
    """All names that `provider.name` may have, the default for trying things first."""
    return _PROVIDERS


def make_esp(
    name: str,
    *,
    base_url: str | None = None,
    env: Mapping[str, str],
    batch_size: int | None = None,
    outbox_folder: Path,
) -> Esp:
    """The provider called `name`, ready to use; call its `close` in the end.

    `env` holds the secrets by name; only the chosen provider's are looked at. Raises `UnknownProvider`,
    `MissingSecret` or another `EspSettingsError`, each naming the setting and the mend.
    """
    if name not in _PROVIDERS:
        raise UnknownProvider(f"provider.name: there is no provider {name!r}{_meant(name)}")
    settings = EspSettings(
        base_url=base_url, env=env, batch_size=batch_size, outbox_folder=Path(outbox_folder)
    )
    provider = cast(_Provider, import_module(f"emails.esp.{name}"))
    return provider.make(settings)


def _meant(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), _PROVIDERS, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(_PROVIDERS)}"
