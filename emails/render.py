"""Letters from values: templates filled, CSS inlined. Pure: same values in, same bytes out, no clock, no
network.

One page is rendered per edition, language and design; what differs per recipient stands in it as a merge
field and is put in by `emails.merge`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from ipaddress import ip_address
from textwrap import TextWrapper
from threading import Lock
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import cssutils
import idna
from jinja2 import FunctionLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape
from premailer import Premailer

from emails.edition import MERGE_MARK, UNSUBSCRIBE_URL, Letter, LetterContent, Newsletter
from emails.merge import Merge, Parts, UnsafeMergeValue, safe, split
from emails.words import Words, direction, words

__all__ = [
    "BadLink",
    "Merge",
    "Parts",
    "RenderError",
    "UnsafeMergeValue",
    "designs",
    "href",
    "render",
    "render_confirm",
    "split",
]

LINE = 72
"""Longest line of a text part, in characters (a web address may be longer)."""


class RenderError(ValueError):
    """A letter cannot be made from these values; the message says which and how to mend it."""


class BadLink(RenderError):
    """An address that a letter must not link to."""


def render(content: LetterContent) -> Letter:
    """The weekly letter of one edition, in the design its newsletter asks for.

    HTML and text hold `UNSUBSCRIBE_URL` where each recipient's own address goes. Raises `RenderError` (an
    unknown design, text that holds a merge field), `BadLink` and `emails.words.UnknownLanguage`.
    """
    tongue = words(content.language)
    values = {
        **_shared(content.newsletter, tongue),
        "subject": content.subject,
        "preheader": content.preheader,
        "question": content.question,
        "example": _paragraphs(content.example),
        "lead": content.lead,
        "day": tongue.day(content.date),
        "post_title": content.post_title,
        "post_url": href(content.post_url) if content.post_url else None,
        "minutes": tongue.count("letter.minutes", content.reading_minutes),
        "sign_off": _sign_off(content.newsletter, tongue),
        "foreign": _foreign(content.post_language, tongue),
        "why": "footer.why_subscribed",
        "unsubscribe_url": UNSUBSCRIBE_URL,
    }
    _refuse_merge_marks(content)
    letter = _letter(f"weekly/{_design(content.newsletter)}", tongue, values)
    for name, body in (("html", letter.html), ("text", letter.text)):
        if UNSUBSCRIBE_URL not in body:
            raise RenderError(f"the {name} of design {content.newsletter.design!r} has no unsubscribe link")
    return letter


def render_confirm(newsletter: Newsletter, language: str, confirm_url: str) -> Letter:
    """The letter that asks one person to confirm (no merge field is left in it).

    `confirm_url` must be a plain ASCII address, as signed links are. Raises `UnsafeMergeValue`,
    `RenderError` and `emails.words.UnknownLanguage`.
    """
    address = safe(confirm_url)
    letter = _confirm(newsletter, language)
    return Letter(
        subject=letter.subject,
        html=letter.html.replace(_CONFIRM_URL, address),
        text=letter.text.replace(_CONFIRM_URL, address),
        language=letter.language,
    )


@cache
def designs() -> tuple[str, ...]:
    """The names of the designs that ship with weekbrief, sorted."""
    return tuple(
        sorted(entry.name for entry in (files("emails") / "templates" / "weekly").iterdir() if entry.is_dir())
    )


def href(url: str) -> str:
    """`url` as a letter may link to it: absolute, percent-encoded ASCII, an international host in punycode.

    Only https, and http on this machine. What is encoded already stays as it is. Raises `BadLink`.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadLink(f"{url!r} is not a web address: {error}") from error
    if parts.scheme not in {"https", "http"} or not host or parts.username or parts.password:
        raise BadLink(f"{url!r} cannot be linked to: write it as https://example.org/page")
    if parts.scheme == "http" and not _on_this_machine(host):
        raise BadLink(f"{url!r} must begin with https://: mail programs and spam filters distrust http links")
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise BadLink(f"{url!r} has a host name that does not exist: {error}") from error
    network = (f"[{name}]" if ":" in name else name) + (f":{port}" if port else "")
    path, query, fragment = (
        quote(part, safe="/%:@!$&()*+,;=~?") for part in (parts.path, parts.query, parts.fragment)
    )
    return urlunsplit((parts.scheme, network, path, query, fragment))


_CONFIRM_URL = f"{MERGE_MARK}-confirm-url-WBEND"
_EVERY = {"week": "every_week", "2 weeks": "every_two_weeks", "month": "every_month"}


@lru_cache(maxsize=16)
def _confirm(newsletter: Newsletter, language: str) -> Letter:
    tongue = words(language)
    if newsletter.every not in _EVERY:
        raise RenderError(f"newsletter.every: {newsletter.every!r} is none of {', '.join(map(repr, _EVERY))}")
    _design(newsletter)
    values = {
        **_shared(newsletter, tongue),
        "confirm_url": _CONFIRM_URL,
        "every": _EVERY[newsletter.every],
        "why": "footer.why_asked",
        "unsubscribe_url": None,
        "foreign": "",
    }
    say = {**values, "say": tongue.say}
    values |= {name: _one_line(f"confirm/{name}.txt", say) for name in ("subject", "preheader")}
    return _letter("confirm", tongue, values)


def _letter(folder: str, tongue: Words, values: Mapping[str, Any]) -> Letter:
    html = _fill(f"{folder}/body.html", {**values, "say": _html_say(tongue)})
    text = _fill(f"{folder}/body.txt", {**values, "say": tongue.say})
    return Letter(
        subject=values["subject"],
        html=inline(_trim_html(html)),
        text=_trim_text(text),
        language=tongue.language,
    )


def _shared(newsletter: Newsletter, tongue: Words) -> dict[str, Any]:
    reply = (newsletter.reply_to or newsletter.sender).address
    name = newsletter.sender.name or newsletter.name
    return {
        "newsletter": newsletter,
        "language": tongue.language,
        "direction": tongue.direction,
        "start": "right" if tongue.direction == "rtl" else "left",
        "sender_name": name,
        "sender_line": name if name == newsletter.name else f"{newsletter.name}, {name}",
        "address_lines": [line.strip() for line in newsletter.address.splitlines() if line.strip()],
        "reply_address": reply,
        "reply_url": f"mailto:{quote(reply, safe='@')}",
        "privacy_url": f"{href(newsletter.url)}/privacy",
    }


def _design(newsletter: Newsletter) -> str:
    if newsletter.design not in designs():
        raise RenderError(
            f"newsletter.design: {newsletter.design!r} is not a design; choose one of {', '.join(designs())}"
        )
    return newsletter.design


def _sign_off(newsletter: Newsletter, tongue: Words) -> list[str]:
    own = [line.strip() for line in newsletter.sign_off.splitlines() if line.strip()]
    return own or [tongue.say("letter.sign_off"), newsletter.sender.name or newsletter.name]


def _paragraphs(text: str) -> list[list[str]]:
    """Paragraphs stand apart by an empty line; a single line feed is a break the author forced."""
    blocks = re.split(r"\n[ \t]*\n", text.strip())
    return [
        [line.strip() for line in block.splitlines() if line.strip()] for block in blocks if block.strip()
    ]


def _foreign(language: str, tongue: Words) -> Markup:
    """Attributes for words in another language than the letter's (WCAG 3.1.2)."""
    if not language or language.split("-")[0] == tongue.language.split("-")[0]:
        return Markup("")
    way = direction(language)
    attributes = Markup(' lang="{}" dir="{}"').format(language, way)
    if way == tongue.direction:
        return attributes
    return attributes + Markup(' style="text-align:{}"').format("right" if way == "rtl" else "left")


def _refuse_merge_marks(content: LetterContent) -> None:
    said = (
        content.subject,
        content.preheader,
        content.question,
        content.example,
        content.lead,
        content.post_title,
    )
    own = (
        content.newsletter.name,
        content.newsletter.address,
        content.newsletter.sign_off,
        content.post_url or "",
    )
    if any(MERGE_MARK in text for text in (*said, *own)):
        raise RenderError(
            f"the letter holds the text {MERGE_MARK!r}, which weekbrief keeps for itself: reword it"
        )


def _on_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


# Templates ----------------------------------------------------------------------------------------


@cache
def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        loader=FunctionLoader(_source),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["wrap"] = wrap
    environment.globals.clear()
    return environment


def _source(name: str) -> str | None:
    path = (files("emails") / "templates").joinpath(*name.split("/"))
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _fill(name: str, values: Mapping[str, Any]) -> str:
    return _environment().get_template(name).render(values)


def _one_line(name: str, values: Mapping[str, Any]) -> str:
    return re.sub(r"[ \t\n]+", " ", _fill(name, values)).strip(" ")


def _html_say(tongue: Words) -> Callable[..., Markup]:
    def say(key: str, **values: object) -> Markup:
        return escape(tongue.raw(key)) % values

    return say


# HTML ---------------------------------------------------------------------------------------------

# A three-digit colour is dropped by Lotus Notes and misread by some spam filters; this switch is global to
# cssutils.
cssutils.ser.prefs.minimizeColorHash = False
_INLINING = Lock()
"""cssutils keeps its log and serialiser in globals that threads would share."""


def inline(html: str) -> str:
    """`html` with its style sheet moved into style attributes; a sheet marked `data-premailer="ignore"`
    stays.

    Opens no socket and reads no file.
    """
    with _INLINING:
        done: str = Premailer(
            html,
            strip_important=False,
            allow_network=False,
            allow_loading_external_files=False,
            disable_validation=True,
            keep_style_tags=False,
            remove_classes=False,
            disable_basic_attributes=["width", "height", "align", "valign", "bgcolor"],
        ).transform(pretty_print=False)
    return done


def _trim_html(html: str) -> str:
    """Without indentation and empty lines: they mean nothing in HTML and cost bytes."""
    return re.sub(r"[ \t]*\n[ \t\n]*", "\n", _without_controls(html)).strip() + "\n"


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def _without_controls(text: str) -> str:
    """Without characters that HTML and mail forbid (C0, C1, lone surrogates); a post as read holds none."""
    return _CONTROLS.sub("", text)


# Text ---------------------------------------------------------------------------------------------

_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u200c\ufeff]")
_WRAPPER = TextWrapper(width=LINE, break_long_words=False, break_on_hyphens=False, expand_tabs=False)


def wrap(text: str) -> str:
    """`text` in lines of at most `LINE` characters; words are never split."""
    return _WRAPPER.fill(text)


def _trim_text(text: str) -> str:
    """At most one empty line between paragraphs, nothing invisible, one line feed at the end."""
    visible = _INVISIBLE.sub("", _without_controls(text))
    return re.sub(r"\n{3,}", "\n\n", visible).strip("\n") + "\n"
