"""schedule.yaml to `Settings`, or every complaint at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Final, cast
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from emails.edition import Mailbox, Newsletter
from pipeline.complaints import Complaint, SettingsError
from pipeline.due import Schedule
from pipeline.secrets import SIGNING, Secret, missing, provider_needs, read_secrets
from pipeline.settings_fields import Network
from pipeline.settings_shape import (
    Approval,
    Doubt,
    FeedSource,
    File,
    FolderSource,
    NoPick,
    Pick,
    Reports,
    ScheduleSection,
    Source,
    WebSection,
    complaint_of_secret,
    complaints_of,
    secrets_in,
)
from pipeline.yaml_lines import Document, Place, read_document
from subscribers.limits import Limits

__all__ = [
    "Approval",
    "Complaint",
    "Doubt",
    "FeedSource",
    "FolderSource",
    "NoPick",
    "Pick",
    "Provider",
    "Reports",
    "Settings",
    "SettingsError",
    "Source",
    "Web",
    "load_settings",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Who sends for us, and how hard we lean on them."""

    name: str = "outbox"
    base_url: str | None = None
    batch_size: int | None = None
    """None: as many as the provider takes."""
    rate: float | None = None
    """Calls a second; None: as the provider allows."""
    doubt: Doubt = Doubt.AT_MOST_ONCE
    canary: int = 5
    """Recipients of the first batch, which finds a wrong key before thousands are involved."""
    concurrency: int = 4
    """Calls in flight."""
    timeout: float = 30.0
    """Seconds for one whole call, however slowly the answer drips."""
    per_day: int | None = None
    """People in any 24 hours; None: no limit."""
    patience: float = 60.0
    """Seconds without any success after which a run ends, to be repeated."""


LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """How the public pages stand in the world."""

    proxies: tuple[Network, ...] = LOOPBACK
    """Who may say from where a visitor comes: the web servers in front of us."""
    origins: tuple[str, ...] = ()
    """Sites whose pages may send sign-ups, as browsers name them: `https://blog.example.org`."""
    limits: Limits = field(default_factory=Limits)
    metrics: bool = False
    """Answer `/metrics` to others than this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything schedule.yaml and the secrets say, checked."""

    file: Path
    """As it was named on the command line."""
    folder: Path
    """Absolute; what every relative path in the file is relative to."""
    newsletter: Newsletter
    sources: tuple[Source, ...]
    schedule: Schedule
    welcome: bool = True
    """Write to somebody who has just confirmed?"""
    pick: Pick = Pick.OLDEST
    no_pick: NoPick = NoPick.NEXT
    reports: Reports = Reports.PROBLEMS
    approval: Approval = Approval.AUTO
    provider: Provider = field(default_factory=Provider)
    web: Web = field(default_factory=Web)
    storage: str = field(repr=False)
    """`sqlite:////absolute/path` or `postgresql://…`; not in a repr, for it may hold a password."""
    secrets: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    lines: Mapping[Place, int] = field(default_factory=dict, repr=False, compare=False)
    """The line of each key, for later complaints."""

    @property
    def zone(self) -> ZoneInfo:
        return cast(ZoneInfo, self.schedule.zone)

    @property
    def revealed(self) -> dict[str, str]:
        """The secrets as plain text, for the part that uses them; never to be logged."""
        return {name: secret.reveal() for name, secret in self.secrets.items()}

    def error(self, place: str, text: str) -> SettingsError:
        """A complaint that only shows when the parts are built, with the line of its field.

        `place` is the dotted field, `provider.batch_size`.
        """
        document = Document(value={}, lines=self.lines)
        line = document.line(tuple(place.split(".")))
        return SettingsError([Complaint(file=str(self.file), line=line, field=place, text=text)])

    def require_secrets(self, *, sending: bool = True) -> None:
        """Check that links can be signed and, when `sending`, that the provider has its keys.

        Raises SettingsError with the line of `provider.name` and how to set what is missing.
        """
        needed = (SIGNING, *(provider_needs(self.provider.name) if sending else ()))
        if problem := missing(needed, self.secrets):
            raise self.error("provider.name", problem)


def load_settings(path: Path, env: Mapping[str, str]) -> Settings:
    """The settings in the file `path`, with the secrets of `env` and of `.env` beside the file.

    Touches nothing but these files and the names of the folders they speak of. Secrets that are missing are
    no error here: `Settings.require_secrets` asks for them when something is to be sent.

    Raises SettingsError with all complaints: YAML, unknown keys, wrong values, bad lines of `.env`.
    """
    document = read_document(_content(path), str(path))
    folder = path.absolute().parent
    complaints = [*document.complaints]
    found: Mapping[str, Secret] = {}
    try:
        found = read_secrets(path.parent, env)
    except SettingsError as error:
        complaints += error.complaints
    written_secrets = list(secrets_in(document.value, ()))
    complaints += (complaint_of_secret(place, document, path) for place in written_secrets)
    try:
        shape = File.model_validate(document.value, context=folder)
    except ValidationError as error:
        complaints += complaints_of(error, document, path, said=written_secrets)
    if complaints:
        raise SettingsError(complaints)
    return _settings(shape, path=path, folder=folder, found=found, lines=document.lines)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        mend = f"make a newsletter with: weekbrief init {_init_folder(path)}; or name its file: --config FILE"
        raise SettingsError([Complaint(file=str(path), text=f"there is no such file; {mend}")]) from None
    except OSError as error:
        reason = error.strerror or "it is no file"
        raise SettingsError([Complaint(file=str(path), text=f"cannot be read: {reason}")]) from error


def _init_folder(path: Path) -> str:
    return str(path.parent) if path.parent != Path() else "my-newsletter"


def _settings(
    shape: File, *, path: Path, folder: Path, found: Mapping[str, Secret], lines: Mapping[Place, int]
) -> Settings:
    return Settings(
        file=path,
        folder=folder,
        newsletter=_newsletter(shape),
        welcome=shape.newsletter.welcome,
        sources=tuple({_place(entry.source): entry.source for entry in shape.sources}.values()),
        pick=shape.pick,
        no_pick=shape.no_pick,
        reports=shape.reports,
        schedule=_schedule(shape.schedule),
        approval=shape.schedule.approval,
        provider=Provider(**dict(shape.provider)),
        web=_web(shape.web),
        storage=shape.storage,
        secrets=found,
        lines=lines,
    )


def _place(source: Source) -> str:
    """Where a source stands: one that is named twice is read once."""
    return source.url if isinstance(source, FeedSource) else str(source.path)


def _newsletter(shape: File) -> Newsletter:
    """A sender without a name of its own is shown as the newsletter."""
    written = {key: value for key, value in shape.newsletter if key != "welcome"}
    sender = shape.newsletter.sender
    written["sender"] = Mailbox(address=sender.address, name=sender.name or shape.newsletter.name)
    return Newsletter(**written, every=shape.schedule.every.value, archive=shape.web.archive)


def _web(shape: WebSection) -> Web:
    return Web(
        proxies=tuple(shape.proxies),
        origins=tuple(shape.origins),
        limits=Limits(per_network=shape.sign_ups_per_network, overall=shape.sign_ups_per_hour),
        metrics=shape.metrics,
    )


def _schedule(shape: ScheduleSection) -> Schedule:
    return Schedule(
        every=shape.every,
        on=shape.on,
        at=shape.at,
        zone=shape.timezone,
        max_lateness=shape.max_lateness,
        starting=shape.starting,
    )
