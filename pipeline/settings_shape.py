"""The shape of schedule.yaml, and what is wrong with a file that has another. Used by `settings` alone."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, cast
from zoneinfo import ZoneInfo

# Plugins of others have no business in our settings, and to look for some takes as long as all models do.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from emails.edition import Logo, Mailbox
from emails.esp import provider_names
from emails.words import languages
from pipeline import secrets
from pipeline import settings_fields as fields
from pipeline.complaints import Complaint, did_you_mean, nearest, one_of, shown
from pipeline.due import Day, Every
from pipeline.yaml_lines import Document, Place, dotted

MAX_BATCH = 10_000
"""More than any provider takes; each provider checks its own limit."""
MAX_CANARY = 10
MAX_CONCURRENCY = 32
MAX_TIMEOUT = 300
MAX_PATIENCE = 3600
MAX_PER_DAY = 10_000_000
MAX_SIGN_UPS = 100_000


class Pick(StrEnum):
    """Which waiting post goes next."""

    OLDEST = "oldest"
    NEWEST = "newest"
    SHUFFLE = "shuffle"


class Reports(StrEnum):
    """What the editor is told by letter."""

    PROBLEMS = "problems"
    ALL = "all"
    NONE = "none"


class NoPick(StrEnum):
    """What happens when the next post has no question or no example."""

    NEXT = "next"
    """The post after it is used."""
    HOLD = "hold"
    """The week waits for the editor."""


class Approval(StrEnum):
    AUTO = "auto"
    REQUIRED = "required"


class Doubt(StrEnum):
    """What becomes of a delivery that nobody can be sure of."""

    AT_MOST_ONCE = "at_most_once"
    AT_LEAST_ONCE = "at_least_once"
    ASK = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """Posts from a folder."""

    path: Path
    """Absolute."""
    name: str
    """As written in schedule.yaml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSource:
    """Posts from a feed: RSS, Atom or JSON Feed."""

    url: str
    internal: bool = False
    """The operator says that this host may stand on this machine or a private network."""


Source = FolderSource | FeedSource


# Names are the keys people write; docs/configuration.md explains each.


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def _sender(value: object, info: ValidationInfo) -> Mailbox:
    sender = fields.mailbox(value)
    # a reply_to that is wrong is not in `data`; it has its own complaint, which is enough
    fields.must_take_replies(sender, has_reply_to=info.data.get("reply_to", sender) is not None)
    return sender


def _base(info: ValidationInfo) -> Path:
    """The folder of schedule.yaml, handed in by `load_settings`."""
    return cast(Path, info.context)


def _folder(value: object, info: ValidationInfo) -> FolderSource:
    return FolderSource(
        path=fields.existing_folder(value, _base(info)), name=fields.text(value, at_most=1000)
    )


def _storage(value: object, info: ValidationInfo) -> str:
    return fields.database(value, _base(info))


def _design(value: object, info: ValidationInfo) -> str:
    """A shipped design's name, or the absolute path of a folder of the operator's."""
    name = fields.text(value)
    if name in _shipped_designs():
        return name
    if fields.is_folder(_base(info) / name):
        return str(_base(info) / name)
    if "/" in name:
        raise ValueError(f"there is no folder {shown(str(_base(info) / name))}")
    return fields.choice(value, _shipped_designs(), "a design")


def _shipped_designs() -> tuple[str, ...]:
    folder = files("emails") / "templates" / "designs"
    return tuple(sorted(entry.name.removesuffix(".html") for entry in folder.iterdir()))


def _language(value: object) -> str:
    """`nl`, or a region of one we have words for, `nl-BE`."""
    tag = fields.text(value, at_most=20)
    language, _, region = tag.partition("-")
    if re.fullmatch(r"[A-Za-z]{2}|", region) and language.lower() in languages():
        return f"{language.lower()}-{region.upper()}" if region else language.lower()
    return fields.choice(value, languages(), "a language we have words for")


class NewsletterSection(_Section):
    name: Annotated[str, PlainValidator(fields.person), Field(examples=["Weekbrief"])]
    reply_to: Annotated[Mailbox | None, PlainValidator(fields.reply_mailbox)] = None
    sender: Annotated[Mailbox, PlainValidator(_sender), Field(examples=["Gerrit <brief@example.org>"])]
    language: Annotated[str, PlainValidator(_language), Field(examples=["nl"])]
    address: Annotated[str, PlainValidator(fields.text), Field(examples=["Voorbeeldstraat 1, Utrecht"])]
    url: Annotated[str, PlainValidator(fields.web_address), Field(examples=["https://brief.example.org"])]
    design: Annotated[str, PlainValidator(_design)] = "quiet"
    sign_off: Annotated[str, PlainValidator(fields.lines)] = ""
    welcome: Annotated[bool, PlainValidator(fields.yes_no)] = True
    address_form: Annotated[
        str, PlainValidator(lambda v: fields.choice(v, ("je", "u"), "a form of address"))
    ] = "je"
    colours: Annotated[tuple[tuple[str, str, str], ...], PlainValidator(fields.colours)] = ()
    fonts: Annotated[tuple[tuple[str, str], ...], PlainValidator(fields.fonts)] = ()
    logo: Annotated[Logo | None, PlainValidator(fields.logo)] = None


class SourceEntry(_Section):
    folder: Annotated[FolderSource | None, PlainValidator(_folder), Field(examples=["posts"])] = None
    feed: Annotated[
        str | None, PlainValidator(fields.feed_address), Field(examples=["https://blog.example/feed"])
    ] = None
    internal: Annotated[bool, PlainValidator(fields.yes_no)] = False

    @model_validator(mode="after")
    def _is_one_source(self) -> SourceEntry:
        if (self.folder is None) == (self.feed is None):
            said = "names no source" if self.folder is None else "names two sources"
            raise ValueError(f"{said}: write '- folder: posts' or '- feed: https://…'")
        if self.internal and self.feed is None:
            raise ValueError("internal belongs to a feed: a folder is always read")
        if self.feed is not None and not self.internal and (place := fields.internal_place(self.feed)):
            raise ValueError(
                f"the feed's address is {place}; if you mean that, write 'internal: true' below the feed"
            )
        return self

    @property
    def source(self) -> Source:
        if self.feed is not None:
            return FeedSource(url=self.feed, internal=self.internal)
        assert self.folder is not None
        return self.folder


def _choice(kind: type[StrEnum], noun: str) -> PlainValidator:
    return PlainValidator(lambda value: kind(fields.choice(value, list(kind), noun)))


class ScheduleSection(_Section):
    every: Annotated[Every, _choice(Every, "a rhythm")] = Every.WEEK
    on: Annotated[Day, PlainValidator(fields.day), Field(examples=["sunday"])]
    at: Annotated[time, PlainValidator(fields.clock), Field(examples=['"08:00"'])]
    timezone: Annotated[ZoneInfo, PlainValidator(fields.zone), Field(examples=["Europe/Amsterdam"])]
    max_lateness: Annotated[timedelta, PlainValidator(fields.lateness)] = timedelta(hours=24)
    approval: Annotated[Approval, _choice(Approval, "a way to approve")] = Approval.AUTO
    starting: Annotated[date | None, PlainValidator(fields.calendar_date)] = None


class ProviderSection(_Section):
    name: Annotated[str, PlainValidator(lambda v: fields.choice(v, provider_names(), "a provider"))] = (
        "outbox"
    )
    base_url: Annotated[str | None, PlainValidator(fields.provider_address)] = None
    batch_size: Annotated[int | None, PlainValidator(lambda v: fields.whole(v, 1, MAX_BATCH))] = None
    rate: Annotated[float | None, PlainValidator(fields.rate)] = None
    doubt: Annotated[Doubt, _choice(Doubt, "a rule for doubt")] = Doubt.AT_MOST_ONCE
    canary: Annotated[int, PlainValidator(lambda v: fields.whole(v, 1, MAX_CANARY))] = 5
    concurrency: Annotated[int, PlainValidator(lambda v: fields.whole(v, 1, MAX_CONCURRENCY))] = 4
    timeout: Annotated[float, PlainValidator(lambda v: fields.seconds(v, 1, MAX_TIMEOUT))] = 30.0
    per_day: Annotated[int | None, PlainValidator(lambda v: fields.whole(v, 1, MAX_PER_DAY))] = None
    patience: Annotated[float, PlainValidator(lambda v: fields.seconds(v, 1, MAX_PATIENCE))] = 60.0


class WebSection(_Section):
    proxies: Annotated[
        list[Annotated[fields.Network, PlainValidator(fields.network)]], Field(examples=["[127.0.0.1]"])
    ] = Field(default=["127.0.0.0/8", "::1"], validate_default=True)
    origins: Annotated[
        list[Annotated[str, PlainValidator(fields.origin)]], Field(examples=["[https://blog.example.org]"])
    ] = Field(default_factory=lambda: [])  # pydantic takes long to see what `list` is
    sign_ups_per_hour: Annotated[int, PlainValidator(lambda v: fields.whole(v, 1, MAX_SIGN_UPS))] = 200
    sign_ups_per_network: Annotated[int, PlainValidator(lambda v: fields.whole(v, 1, MAX_SIGN_UPS))] = 10
    metrics: Annotated[bool, PlainValidator(fields.yes_no)] = False
    archive: Annotated[bool, PlainValidator(fields.yes_no)] = True


class File(_Section):
    newsletter: NewsletterSection
    sources: list[SourceEntry] = Field(min_length=1)
    pick: Annotated[Pick, _choice(Pick, "a way to pick")] = Pick.OLDEST
    no_pick: Annotated[NoPick, _choice(NoPick, "a rule for a post without a pick")] = NoPick.NEXT
    reports: Annotated[Reports, _choice(Reports, "a kind of report")] = Reports.PROBLEMS
    schedule: ScheduleSection
    provider: ProviderSection = Field(default_factory=ProviderSection)
    web: WebSection = Field(default_factory=WebSection)
    storage: Annotated[str, PlainValidator(_storage)] = Field(
        default="sqlite:///var/weekbrief.db", validate_default=True
    )


SECTIONS: Mapping[str, type[BaseModel]] = {
    "newsletter": NewsletterSection,
    "sources": SourceEntry,
    "schedule": ScheduleSection,
    "provider": ProviderSection,
    "web": WebSection,
}


# From what pydantic found to what people read.


def complaints_of(
    error: ValidationError, document: Document, path: Path, *, said: Collection[Place]
) -> Iterator[Complaint]:
    """What pydantic found, in plain words with file and line. Places in `said` have had their complaint."""
    details = error.errors(include_url=False, include_input=False)
    meant = {_meant(d["loc"]) for d in details if d["type"] == "extra_forbidden"}
    for detail in details:
        place = detail["loc"]
        if place in said or (detail["type"] == "missing" and place in meant):
            continue
        words = _words(detail, place)
        yield Complaint(file=str(path), line=document.line(place), field=dotted(place), text=words)


def _meant(place: Place) -> Place:
    """Where a misspelt key was to stand: that `name` is missing beside `nmae` is no second mistake."""
    known = list(_model_at(place[:-1]).model_fields)
    near = nearest(str(place[-1]), known)
    return (*place[:-1], near or "")


def _words(error: ErrorDetails, place: Place) -> str:
    kind = error["type"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "missing":
        return _missing(place)
    if kind == "extra_forbidden":
        return _unknown_key(place)
    if kind == "too_short":
        return "names no source: write '- folder: posts' below it"
    if kind == "list_type" and place[0] == "web":
        return f"must be a list: write for example: {_example(place)}"
    if kind == "list_type":
        return "must be a list: write '- folder: posts' below it"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        key = next(iter(_model_at(place).model_fields))
        return f"must be a group of settings: lines such as '{key}: …', indented below it"
    return error["msg"]


def _missing(place: Place) -> str:
    if example := _example(place):
        return f"is missing; write for example: {example}"
    return "is missing; docs/configuration.md shows what belongs in it"


def _example(place: Place) -> str:
    key = str(place[-1])
    examples = _model_at(place[:-1]).model_fields[key].examples
    return f"{key}: {examples[0]}" if examples else ""


def _unknown_key(place: Place) -> str:
    key = str(place[-1])
    known = list(_model_at(place[:-1]).model_fields)
    if place[0] == "sources":
        mend = did_you_mean(key, known) or ": use folder or feed"
        return f"is not a kind of source that this version reads{mend}"
    homes = [section for section, model in SECTIONS.items() if key in model.model_fields]
    if near := did_you_mean(key, known):
        return f"is not a key here{near}"
    if homes:
        return f"is not a key here; it belongs below '{homes[0]}:'"
    return f"is not a key here: use {one_of(known)}"


def _model_at(place: Place) -> type[BaseModel]:
    return SECTIONS.get(str(place[0]), File) if place else File


# Secrets that stand where they must not.

_SECRET_KEY = re.compile(r"(?i)api[_-]?key|access[_-]?key|token|secret|passw(or)?d\b|^key$")
_SECRET_VALUE = re.compile(
    r"(re_[A-Za-z0-9_]{16,}|SG\.[\w-]{16,}\.[\w-]{16,}|xkeysib-[\w-]{16,}|AKIA[0-9A-Z]{16}|key-[0-9a-f]{32})\Z"
)


def secrets_in(value: Any, place: Place) -> Iterator[Place]:
    """Where keys are named like secrets, or values look like a provider's key."""
    if isinstance(value, dict):
        for key, inside in value.items():
            if _SECRET_KEY.search(key):
                yield (*place, key)
            else:
                yield from secrets_in(inside, (*place, key))
    elif isinstance(value, list):
        for number, inside in enumerate(value):
            yield from secrets_in(inside, (*place, number))
    elif isinstance(value, str) and _SECRET_VALUE.match(value.strip()):
        yield place


def complaint_of_secret(place: Place, document: Document, path: Path) -> Complaint:
    section = document.value.get("provider")
    provider = section.get("name") if isinstance(section, dict) else None
    needs = secrets.provider_needs(provider) if provider in provider_names() else ()
    what = f"{needs[0]}=…" if needs else "it"
    return Complaint(
        file=str(path),
        line=document.line(place),
        field=dotted(place),
        text=f"is a secret, and this file is not: put {what} in .env beside it, and revoke this one",
    )
