"""One function for each kind of value in schedule.yaml: what stands there in, what we work with out.

Each raises ValueError with the second half of a complaint: "'sundya' is not a day, did you mean 'sunday'?".
"""

from __future__ import annotations

import ipaddress
import math
import re
import unicodedata
import zoneinfo
from collections.abc import Collection, Iterable, Iterator
from datetime import date, time, timedelta
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

import idna

from emails.edition import COLOUR_ROLES, FONT_ROLES, Logo, Mailbox
from pipeline.complaints import did_you_mean, nearest, one_of, shown
from pipeline.due import Day
from pipeline.sources.vetting import literal, odd_spelling, why_not
from subscribers.addresses import MAX_NAME, AddressError, normalise
from subscribers.links import LOCAL_HOSTS

MAX_URL = 200
"""Characters: with a token behind it a link still fits a header line (RFC 5322 2.1.1: 998)."""
MAX_FEED_URL = 500
"""Characters."""
MAX_LATENESS = timedelta(days=31)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DUTCH_DAYS = {
    "maandag": Day.MONDAY,
    "dinsdag": Day.TUESDAY,
    "woensdag": Day.WEDNESDAY,
    "donderdag": Day.THURSDAY,
    "vrijdag": Day.FRIDAY,
    "zaterdag": Day.SATURDAY,
    "zondag": Day.SUNDAY,
}
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)\Z", re.ASCII)
_DURATION = re.compile(r"(\d{1,5})\s*([mhd])\Z", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_RATE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*/\s*(s|m|h|second|minute|hour)\Z", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_SECONDS_TEXT = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)\s*s\Z", re.ASCII)
_DATE = re.compile(r"20\d\d-\d\d-\d\d\Z", re.ASCII)
_MAILBOX = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>\Z")
_NO_REPLY = re.compile(r"no[-_.]?reply|do[-_.]?not[-_.]?reply|geen[-_.]?antwoord", re.IGNORECASE)
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f\u20e3]")
_REPLY_MARK = re.compile(r"(re|fwd?|aw|antw|sv|vs)\s*:", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?\Z|[0-9a-f:.]+\Z")
_COLOURS = re.compile(r"(#[0-9a-f]{6})\s+(#[0-9a-f]{6})\Z", re.ASCII)
_FAMILY = re.compile(r"-?[A-Za-z][A-Za-z0-9 -]*\Z", re.ASCII)
_URL_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*\Z")


def text(value: object, *, at_most: int = 200) -> str:
    """One line of text that no header, page or log can be tricked with."""
    words = _string(value)
    if "\n" in words or "\r" in words:
        raise ValueError("must be on one line")
    if any(_hidden(character) for character in words):
        raise ValueError("holds a control character or an invisible one; type it again by hand")
    if "=?" in words:
        # an encoded word in a header can carry a line break past every check (CVE-2024-6923)
        raise ValueError("must not contain '=?'; write the letters themselves")
    if len(words) > at_most:
        raise ValueError(f"has {len(words)} characters and may have {at_most}")
    return words


def lines(value: object, *, at_most: int = 500) -> str:
    """A few lines of text, each as strict as `text`; empty lines go."""
    kept = [text(line, at_most=at_most) for line in _string(value).splitlines() if line.strip()]
    if sum(map(len, kept)) > at_most:
        raise ValueError(f"may have {at_most} characters in all")
    return "\n".join(kept)


def person(value: object) -> str:
    """A sender's name (e-mail standards H-02, H-13, H-14): at most 60 characters, no emoji, no "Re:"."""
    name = text(value, at_most=MAX_NAME)
    if _EMOJI.search(name):
        raise ValueError("must not contain emoji: mail programs take a sender with emoji for spam")
    if _REPLY_MARK.match(name):
        raise ValueError(f"must not begin with {name.split(':')[0]}: that is the mark of an answer")
    return name


def mailbox(value: object) -> Mailbox:
    """`Gerrit <brief@example.org>` or `brief@example.org`."""
    written = text(value, at_most=400)
    named = _MAILBOX.match(written)
    name, address = (named["name"].strip(), named["address"]) if named else ("", written)
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1].strip()
    if "@" in name:
        raise ValueError("must be one address; the name before it must not contain '@'")
    return Mailbox(address=_sender_address(address, written), name=person(name) if name else "")


def must_take_replies(sender: Mailbox, *, has_reply_to: bool) -> None:
    """A letter that asks a question takes answers (e-mail standards H-03)."""
    if is_no_reply(sender) and not has_reply_to:
        raise ValueError(
            f"{shown(sender.address)} refuses answers: use an address someone reads, or set reply_to"
        )


def reply_mailbox(value: object) -> Mailbox:
    """As `mailbox`, and never a no-reply address."""
    found = mailbox(value)
    if is_no_reply(found):
        raise ValueError(f"{shown(found.address)} refuses answers: use an address someone reads")
    return found


def is_no_reply(box: Mailbox) -> bool:
    return _NO_REPLY.search(box.address.rpartition("@")[0]) is not None


def choice(value: object, options: Iterable[str], noun: str) -> str:
    """One of `options`, whatever its case."""
    known = [str(option) for option in options]
    word = value.strip().lower() if isinstance(value, str) else value
    if word in known:
        return str(word)
    _refuse_nothing(value)
    near = did_you_mean(word, known) if isinstance(word, str) else ""
    raise ValueError(f"{shown(value)} is not {noun}{near or f': use {one_of(known)}'}")


def day(value: object) -> Day:
    """A day by its English name. Numbers are refused: 0 is Sunday to some and Monday to others."""
    if isinstance(value, str) and (meant := _DUTCH_DAYS.get(value.strip().lower())):
        raise ValueError(f"{shown(value)} is not a day here, did you mean {meant.value!r}?")
    return Day(choice(value, list(Day), "a day"))


def clock(value: object) -> time:
    """`08:00`, with or without quotes, 24 hours."""
    found = _CLOCK.match(value.strip()) if isinstance(value, str) else None
    if found and int(found[1]) < 24 and int(found[2]) < 60:
        return time(int(found[1]), int(found[2]))
    _refuse_nothing(value)
    raise ValueError(
        f"{shown(value)} is not a time of day: write hours and minutes, such as '08:00' or '20:30'"
    )


def zone(value: object) -> zoneinfo.ZoneInfo:
    """A zone by its IANA name, `Europe/Amsterdam`."""
    name = text(value, at_most=60)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = _nearest_zone(name)
        mend = f", did you mean {near!r}?" if near else ": use a name such as 'Europe/Amsterdam'"
        raise ValueError(f"{shown(name)} is not a time zone{mend}") from None


def _nearest_zone(name: str) -> str | None:
    """Compared without case, by whole name and by city: 'amsterdam' and 'europe/amsterdm' both find it."""
    by_word: dict[str, str] = {}
    for zone_name in sorted(zoneinfo.available_timezones()):
        by_word.setdefault(zone_name.lower(), zone_name)
        by_word.setdefault(zone_name.rpartition("/")[2].lower(), zone_name)
    near = nearest(name.replace(" ", "_"), list(by_word))
    return by_word[near] if near else None


def lateness(value: object) -> timedelta:
    """`24h`, `90m`, `2d`: more than nothing, at most 31 days."""
    found = _DURATION.match(value.strip().lower()) if isinstance(value, str) else None
    if not found:
        _refuse_nothing(value)
        raise ValueError(f"{shown(value)} is not a length of time: write '90m', '24h' or '2d'")
    length = int(found[1]) * _UNITS[found[2]]
    if not timedelta(0) < length <= MAX_LATENESS:
        raise ValueError(f"{shown(value)} must be more than nothing and at most {MAX_LATENESS.days}d")
    return length


def calendar_date(value: object) -> date:
    """`2026-11-29`."""
    try:
        if not (isinstance(value, str) and _DATE.match(value.strip())):
            raise ValueError
        return date.fromisoformat(value.strip())
    except ValueError:
        _refuse_nothing(value)
        raise ValueError(f"{shown(value)} is not a date: write year-month-day, such as 2026-11-29") from None


def rate(value: object) -> float:
    """`10/s`, `600/m`, `36000/h`, as provider calls a second."""
    found = _RATE.match(value.strip().lower()) if isinstance(value, str) else None
    if not found or float(found[1]) <= 0:
        _refuse_nothing(value)
        raise ValueError(
            f"{shown(value)} is not a rate: write calls per second, minute or hour, such as '10/s'"
        )
    return float(found[1]) / _SECONDS[found[2][0]]


def seconds(value: object, low: float, high: float) -> float:
    """`30` or `30s`."""
    found = _SECONDS_TEXT.match(value.strip().lower()) if isinstance(value, str) else None
    number = float(found[1]) if found else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        _refuse_nothing(value)
        raise ValueError(f"{shown(value)} is not a number of seconds: write '30s'")
    if not low <= number <= high:
        raise ValueError(f"{shown(value)} must be {low:g} to {high:g} seconds")
    return float(number)


def whole(value: object, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse_nothing(value)
        raise ValueError(f"{shown(value)} is not a whole number: write one from {low} to {high}")
    if not low <= value <= high:
        raise ValueError(f"{value} is not between {low} and {high}")
    return value


def web_address(value: object) -> str:
    """`https://brief.example.org`, without a slash at its end; http on this machine only.

    Mailbox providers take https links alone for one-click unsubscribe (RFC 8058 3.1;
    e-mail standards U-10), and a provider's key must not travel in the open.
    """
    written = text(value, at_most=MAX_URL)
    parts = _split(written)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user name or password")
    if parts.query or parts.fragment or written[-1] in "?#":
        raise ValueError(f"{shown(written)} must not contain '?' or '#'")
    if parts.scheme == "http" and parts.hostname not in LOCAL_HOSTS:
        raise ValueError(f"{shown(written)} must begin with https://; http:// is for localhost only")
    if not _URL_PATH.match(parts.path):
        raise ValueError(f"{shown(written)} has a character in its path that links cannot have")
    return f"{parts.scheme}://{_host(parts)}{parts.path.rstrip('/')}"


def feed_address(value: object) -> str:
    """`https://blog.example/feed`: the address of a feed. A query may follow, a user name may not."""
    written = text(value, at_most=MAX_FEED_URL)
    parts = _split(written)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user name or password")
    if parts.fragment or re.search(r"[\s<>\"\\]", written):
        raise ValueError(f"{shown(written)} must not contain '#', spaces, quotes or backslashes")
    host = _host(parts)
    if odd_spelling((parts.hostname or "").rstrip(".")):
        raise ValueError(f"{shown(written)} writes an IP address in an unusual way: write it as 192.0.2.1")
    return urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))


def internal_place(url: str) -> str | None:
    """What is internal about the host of a feed's address, as far as that can be seen without looking it
    up: `this machine`, `a private network`."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return "this machine"
    return why_not(host) if literal(host) else None


def origin(value: object) -> str:
    """`https://blog.example.org`: a site, as a browser names it in the Origin header (RFC 6454, 6.2)."""
    address = web_address(value)
    parts = _split(address)
    if parts.path:
        raise ValueError(f"{shown(address)} is a page; write its site only: {parts.scheme}://{parts.netloc}")
    usual = {"https": 443, "http": 80}[parts.scheme]
    return address.removesuffix(f":{usual}") if parts.port == usual else address


def network(value: object) -> Network:
    """`127.0.0.1`, `10.0.0.0/8` or `fd00::/8`."""
    written = text(value, at_most=60)
    try:
        found = ipaddress.ip_network(written, strict=False)
    except ValueError:
        raise ValueError(
            f"{shown(written)} is not the address of a machine or network: write one such as 127.0.0.1 or "
            "10.0.0.0/8; names of hosts are not looked up"
        ) from None
    if not found.prefixlen:
        raise ValueError(f"{shown(written)} is everyone: then any visitor could say to be another")
    return found


def yes_no(value: object) -> bool:
    """`true` or `false`."""
    if not isinstance(value, bool):
        _refuse_nothing(value)
        raise ValueError(f"{shown(value)} is neither true nor false")
    return value


def provider_address(value: object) -> str:
    """A web address, or that of a mail server such as `smtps://mail.example.org:465`.

    What else a mail server's address must be, `emails.esp.smtp` says when the provider is made.
    """
    written = text(value, at_most=MAX_URL)
    return written if written.startswith("smtp") and "://" in written else web_address(value)


def existing_folder(value: object, base: Path) -> Path:
    """A folder that is there; relative to `base`."""
    path = base / text(value, at_most=1000)
    if not is_folder(path):
        raise ValueError(f"there is no folder {shown(str(path))}; make it, or mend the name")
    return path


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long, a loop of links, no permission to look
        return False


def database(value: object, base: Path) -> str:
    """`sqlite:///var/weekbrief.db`, made absolute from `base`, or `postgresql://…` as it stands."""
    url = text(value, at_most=1000)
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError(f"{shown(url)} is not a database: did you mean {shown(f'sqlite:///{url}')}?")
    if scheme.lower() == "sqlite":
        return _sqlite(rest, base)
    if scheme.lower() in ("postgresql", "postgres"):
        return _postgresql(rest)
    near = did_you_mean(scheme, ("sqlite", "postgresql"))
    raise ValueError(
        f"{shown(scheme)} is not a database we know{near or ': use sqlite:/// or postgresql://'}"
    )


def _sqlite(rest: str, base: Path) -> str:
    if not rest.startswith("/"):
        meant = f"sqlite:///{rest}"
        raise ValueError(f"needs three slashes before a path, did you mean {shown(meant)}?")
    name = rest[1:]
    if not name or name == ":memory:":
        raise ValueError("must name a file: a database in memory forgets who got the letter")
    path = base / name
    if "?" in str(path) or "#" in str(path):
        raise ValueError(f"{shown(str(path))} must not contain '?' or '#'")
    if name.endswith("/") or is_folder(path):
        raise ValueError(f"{shown(str(path))} is a folder; name the file in it")
    return f"sqlite:///{path}"


def _postgresql(rest: str) -> str:
    """Messages never repeat the address: it may hold a password."""
    try:
        parts = urlsplit(f"postgresql://{rest}")
        has_port = parts.port != 0
    except ValueError:
        has_port = False
    if not has_port or any(c.isspace() for c in rest):
        raise ValueError("is not a database address: write postgresql://user@host:5432/name")
    if not parts.path.strip("/"):
        raise ValueError("names no database: write postgresql://user@host:5432/name")
    return f"postgresql://{rest}"


def colours(value: object) -> tuple[tuple[str, str, str], ...]:
    """`{accent: "#8c472c #e2a785"}`: for each role a colour in light and one in dark."""
    return tuple((role, *_two_colours(role, said)) for role, said in _group(value, COLOUR_ROLES, "a colour"))


def _two_colours(role: str, said: object) -> tuple[str, str]:
    found = _COLOURS.match(said.strip().lower()) if isinstance(said, str) else None
    if not found:
        raise ValueError(
            f"{role} needs two colours of six digits between quotes, the one in light and the one in dark: "
            f'{role}: "#8c472c #e2a785"'
        )
    if {found[1], found[2]} & {"#ffffff", "#000000"}:
        raise ValueError(f"{role}: pure black and white turn ugly in dark mode; use #fdfdfd or #111111")
    return found[1], found[2]


def fonts(value: object) -> tuple[tuple[str, str], ...]:
    """`{text: "Charter, Georgia, serif"}`: font stacks of installed fonts that end in a generic family."""
    return tuple((role, _font_stack(role, said)) for role, said in _group(value, FONT_ROLES, "a font"))


def _font_stack(role: str, said: object) -> str:
    families = [part.strip().strip("'\"").strip() for part in text(said).split(",")]
    if families[-1] not in ("serif", "sans-serif", "monospace") or not all(map(_FAMILY.match, families)):
        raise ValueError(
            f"{role} needs the names of fonts with commas between and serif, sans-serif or monospace at the "
            f"end: {role}: Charter, Georgia, serif"
        )
    return ",".join(f"'{name}'" if " " in name else name for name in families)


def logo(value: object) -> Logo:
    """`{url: https://…/logo.png, width: 120, height: 40}`, and `alt` if it says something else than the
    name."""
    said = dict(_group(value, ("url", "width", "height", "alt"), "a logo"))
    missing = [key for key in ("url", "width", "height") if key not in said]
    if missing:
        raise ValueError(f"needs {one_of(missing)} as well")
    url = text(said["url"], at_most=MAX_URL)
    parts = _split(url)
    if parts.scheme != "https" or not re.search(r"\.(png|jpe?g|gif)\Z", parts.path, re.IGNORECASE):
        raise ValueError("url must be https:// and end in .png, .jpg or .gif: mail programs show no others")
    return Logo(
        url=url,
        width=whole(said["width"], 16, 300),
        height=whole(said["height"], 16, 200),
        alt=text(said["alt"], at_most=120) if "alt" in said else "",
    )


def _group(value: object, known: Collection[str], noun: str) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict) or not value:
        _refuse_nothing(value)
        raise ValueError(f"must be a group of settings below it: {one_of(known)}")
    for key, said in value.items():
        if key not in known:
            raise ValueError(
                f"{shown(key)} is not {noun} here{did_you_mean(key, list(known)) or f': use {one_of(known)}'}"
            )
        yield key, said


def _string(value: object) -> str:
    _refuse_nothing(value)
    if not isinstance(value, str):
        kind = _kind(value)
        mend = ": put quotes around it" if isinstance(value, bool | int | float) else ""
        raise ValueError(f"must be text, not {kind}{mend}")
    return value.strip()


def _refuse_nothing(value: object) -> None:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError("is empty; write a value, or delete the line")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a list" if isinstance(value, list) else "a group of settings"


def _hidden(character: str) -> bool:
    category = unicodedata.category(character)
    joins = character in "\u200c\u200d"  # Persian and Indic names need them
    return category in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} or (category == "Cf" and not joins)


def _sender_address(address: str, written: str) -> str:
    try:
        found = normalise(address)
    except AddressError as error:
        raise ValueError(f"{shown(written)} is not an address: {error}") from error
    if not found.ascii_only:
        raise ValueError(f"{shown(address)}: few providers send from an address with letters outside a-z")
    return found.address


def _split(written: str) -> SplitResult:
    try:
        parts = urlsplit(written)
        sound = parts.port != 0 and parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(
            f"{shown(written)} is not a web address: write one such as https://brief.example.org"
        )
    return parts


def _host(parts: SplitResult) -> str:
    """Host and port in ASCII, as headers need them."""
    name = parts.hostname or ""
    try:
        host = name if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:  # idna's own error is one
        host = ""
    if not _HOST.match(host):
        raise ValueError(f"{shown(name)} is not the name of a host")
    bracketed = f"[{host}]" if ":" in host else host
    return f"{bracketed}:{parts.port}" if parts.port else bracketed
