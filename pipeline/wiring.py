"""Builds the real parts from the settings: the only place that names every concrete class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from emails.delivery import Esp
from emails.edition import Mailing
from emails.esp import EspSettingsError, make_esp
from pipeline import collecting
from pipeline.briefing import read_choice
from pipeline.catalogue import Catalogue
from pipeline.clock import Clock, SystemClock
from pipeline.condense.chooser import chooser_from_environment
from pipeline.pacing import Pace
from pipeline.post import Brief
from pipeline.secrets import SIGNING
from pipeline.settings import Approval, Settings, load_settings
from pipeline.sources import Asking
from pipeline.store import Store, open_store
from pipeline.store.fence import Fence
from pipeline.week import Week
from subscribers.tokens import Signer

NO_LIMIT = 10_000


def settings_from(path: Path) -> Settings:
    """The settings of `path` with the secrets of this process. Raises `SettingsError`."""
    return load_settings(path, os.environ)


def signer_of(settings: Settings, store: Store) -> Signer:
    """The signer of this newsletter's links; a secret that has changed is refused (`StorageError`)."""
    settings.require_secrets(sending=False)
    signer = _signer(settings, store)
    store.installations.adopt_secret(signer.fingerprint)
    return signer


def _signer(settings: Settings, store: Store) -> Signer:
    return Signer(settings.secrets[SIGNING].reveal().encode(), scope=store.installation.id)


def esp_of(settings: Settings) -> Esp:
    """The provider, ready to send. Raises `SettingsError` naming the line.

    A sandbox that is named without an address and does not run is brought along.
    """
    provider = settings.provider
    if provider.name == "sandbox" and provider.base_url is None:
        # A web server comes with it: imported only when it is needed.
        from pipeline.own_sandbox import bring_along

        return bring_along(state_folder(settings), lambda url: _made(settings, base_url=url))
    return _made(settings, base_url=provider.base_url)


def _made(settings: Settings, *, base_url: str | None) -> Esp:
    provider = settings.provider
    try:
        return make_esp(
            provider.name,
            base_url=base_url,
            env=settings.revealed,
            batch_size=provider.batch_size,
            outbox_folder=state_folder(settings) / "outbox",
        )
    except EspSettingsError as error:
        raise settings.error("provider.name", str(error)) from error


def state_folder(settings: Settings) -> Path:
    """Where weekbrief keeps files of its own: beside the database, or `var` beside schedule.yaml."""
    scheme, _, path = settings.storage.partition("///")
    return Path(path).parent if scheme.startswith("sqlite") else settings.folder / "var"


def catalogue_of(
    settings: Settings, *, clock: Clock | None = None, asking: Asking = Asking.LOOK, made_up: bool = False
) -> Catalogue:
    """All posts of the newsletter's sources. Feeds are asked, and what they say is forgotten, unless
    `asking` says otherwise. `made_up`: the clock shows a time that somebody thought of."""
    return Catalogue(settings, kept_in=state_folder(settings), clock=clock, asking=asking, made_up=made_up)


def _why_unfit(brief: Brief, mailing: Mailing) -> Sequence[str]:
    # The checks are imported when there is a letter to check; most runs have none.
    from pipeline.check.unfit import why_unfit

    return why_unfit(brief, mailing)


def pace_of(settings: Settings) -> Pace:
    provider = settings.provider
    return Pace(
        batch_size=provider.batch_size or NO_LIMIT,
        canary=provider.canary,
        concurrency=provider.concurrency,
        deadline=provider.timeout,
        patience=provider.patience,
        rate=provider.rate,
        per_day=provider.per_day,
        doubt=provider.doubt,
    )


@contextmanager
def opened(settings: Settings, *, clock: Clock | None = None) -> Iterator[Store]:
    """The newsletter's database for the block."""
    store = open_store(settings.storage, now=(clock or SystemClock()).now())
    collecting.loaded()
    try:
        if SIGNING in settings.secrets:
            signer = _signer(settings, store)
            store.shadows.know(signer.shadows, fingerprint=signer.fingerprint)
        if not store.installation.ledger_seq:
            Fence(state_folder(settings)).begin(installation=store.installation.id)
        yield store
    finally:
        store.close()


def week_of(settings: Settings, store: Store, *, now: datetime | None = None) -> Week:
    """The parts of one week. `now` is a time the operator made up (`run --now`)."""
    clock = SystemClock(now)
    return Week(
        newsletter=settings.newsletter,
        schedule=settings.schedule,
        rule=settings.pick,
        no_pick=settings.no_pick,
        choice=lambda slot: read_choice(settings.folder, slot),
        chooser=chooser_from_environment(),
        approval_required=settings.approval is Approval.REQUIRED,
        why_unfit=_why_unfit,
        pace=pace_of(settings),
        store=store,
        source=catalogue_of(settings, clock=clock, asking=Asking.KEEP, made_up=now is not None),
        esp=lambda: esp_of(settings),
        signer=signer_of(settings, store),
        fence=Fence(state_folder(settings)),
        clock=clock,
        clock_is_real=now is None,
    )
