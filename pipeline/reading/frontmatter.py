"""Front matter: the YAML (or TOML) head of a Markdown, HTML or text file, and what we understand of it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

import yaml

_YAML_HEAD = re.compile(r"\A\s*---[ \t]*\n(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TOML_HEAD = re.compile(r"\A\s*\+\+\+[ \t]*\n(.*?\n)?\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL)
LONGEST_HEAD = 100_000
"""Characters."""
_FIELD = re.compile(r"^[\w-]+[ \t]*:", re.MULTILINE)
_KNOWN = re.compile(
    r"^(?:title|date|draft|publish\w*|pubDate|lang|language|locale|url|canonical\w*|permalink|question|example|"
    r"description|summary|excerpt|layout|slug|tags|categories|author)[ \t]*:",
    re.MULTILINE | re.IGNORECASE,
)
"""What tells a head with empty lines before it from text between two rules across the page."""


class BadFrontMatter(ValueError):
    """The head of a file is not valid YAML or TOML. The message names line and mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """What the head of a file says of its post; None or empty where it says nothing."""

    title: str = ""
    language: str = ""
    url: str | None = None
    published: datetime | None = None
    question: str | None = None
    example: str | None = None
    lead: str = ""
    draft: bool = False


def split_front_matter(text: str) -> tuple[FrontMatter, str]:
    """(what the head says, the text after it). `text` has line feeds only.

    Raises BadFrontMatter. A first line `---` that no second one closes is a rule across the page, not a head;
    so is one with no `field:` inside.
    """
    toml = _TOML_HEAD.match(text)
    head = toml or _YAML_HEAD.match(text)
    if head is None or not (toml or _FIELD.search(head.group(1) or "")):
        return FrontMatter(), text
    stands_first = text.lstrip("\ufeff").startswith(("-", "+"))
    if not (stands_first or toml or _KNOWN.search(head.group(1))):
        return FrontMatter(), text
    if head.end() - head.start(1) > LONGEST_HEAD:
        raise BadFrontMatter(f"the front matter is longer than {LONGEST_HEAD} characters, which is no head")
    line = text.count("\n", 0, head.start(1)) + 1
    found = _load_toml(head.group(1) or "") if toml else _load_yaml(head.group(1), line)
    return _understand(found), text[head.end() :]


def _load_toml(source: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(source)
    except (ValueError, RecursionError) as error:  # numbers of many digits are no TOMLDecodeError
        raise BadFrontMatter(f"the front matter is not valid TOML: {error}") from error


def _load_yaml(source: str, line: int) -> Mapping[str, Any]:
    """What stands in `source`, whose first line is this one of the file."""
    try:
        loaded = yaml.load(source, Loader=_TextLoader)  # noqa: S506 - _TextLoader is a SafeLoader
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        # PyYAML does not look whether a value fits its tag: `!!timestamp soon`, `!!bool maybe`.
        raise BadFrontMatter(_yaml_complaint(error, line)) from error
    if not isinstance(loaded, dict):
        raise BadFrontMatter(f"line {line}: the front matter must be `name: value` lines")
    return loaded


def _yaml_complaint(error: Exception, line: int) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + line}: " if mark is not None else ""
    problem = getattr(error, "problem", None) or str(error)
    return (
        f"{where}the front matter is not valid YAML ({problem}); put quotes round a value with a colon in it"
    )


class _TextLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # chosen at run time
    """Reads every scalar as text, so that `title: 1984`, `lang: no` and odd dates stay what was written. Only
    `null` and `~` are what they are in YAML: editors write them for a field that was left empty."""


_NULL = "tag:yaml.org,2002:null"
_TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == _NULL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _understand(raw: Mapping[str, Any]) -> FrontMatter:
    return FrontMatter(
        title=_text(raw, "title"),
        language=_text(raw, "language", "lang", "locale"),
        url=web_address(_text(raw, "canonical_url", "canonical", "url", "permalink")),
        published=parse_date(_text(raw, "date", "published", "published_at", "pubDate", "publishDate")),
        question=_text(raw, "question") or None,
        example=_text(raw, "example") or None,
        lead=_text(raw, "description", "summary", "excerpt"),
        draft=_text(raw, "draft").lower() in {"true", "yes", "on", "1"}
        or _text(raw, "published").lower() in {"false", "no", "off"},
    )


def _text(raw: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = raw.get(name)
        if isinstance(value, datetime | date):
            return value.isoformat()
        if isinstance(value, str | bool | int | float) and str(value).strip():
            return str(value).strip()
    return ""


LONGEST_ADDRESS = 2000
"""Characters."""


def web_address(value: str) -> str | None:
    """`value` when it is the whole address of a page, as it can be linked to; else None."""
    value = value.strip().replace(" ", "%20")
    if len(value) > LONGEST_ADDRESS or not value.isprintable() or re.search(r"[\s<>\"\\]", value):
        return None
    try:
        parts = urlsplit(value)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return value if sound else None


_DATE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?"
    r"\s*(Z|UTC|[+-]\d{2}:?\d{2})?\Z"
)


def parse_date(value: str) -> datetime | None:
    """An ISO-like date or time as UTC; None for anything else. A time without a zone is taken as UTC."""
    match = _DATE.match(value.strip())
    if match is None:
        return None
    numbers = [int(part or 0) for part in match.groups()[:6]]
    zone = (match.group(7) or "Z").replace("UTC", "Z").replace("Z", "+00:00")
    if len(zone) == 5:
        zone = f"{zone[:3]}:{zone[3:]}"
    year, month, day, hour, minute, second = numbers
    try:
        stamp = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}"
        return datetime.fromisoformat(stamp).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
