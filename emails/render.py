"""Letters from values: templates filled, CSS inlined. Pure: same values in, same bytes out, no clock, no
network.

One page is rendered per edition, language and design; what differs per recipient stands in it as a merge
field and is put in by `emails.merge`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from textwrap import TextWrapper
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import idna
from jinja2 import FunctionLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from markupsafe import Markup, escape

from emails.bidi import fonts_for, isolate, mark_line
from emails.edition import MERGE_MARK, UNSUBSCRIBE_URL, Letter, LetterContent, Newsletter
from emails.inlining import inline
from emails.merge import Merge, Parts, UnsafeMergeValue, split
from emails.templating import Sandbox, compiled_beside, fill
from emails.words import Words, direction, words

__all__ = [
    "BadLink",
    "Merge",
    "Notice",
    "Parts",
    "RenderError",
    "UnsafeMergeValue",
    "designs",
    "href",
    "render",
    "render_notice",
    "split",
]

LINE = 72
"""Longest line of a text part, in characters (a web address may be longer)."""
OWN_DESIGN = "design.html"
"""The file of an operator's folder that is its design; without it the folder's letters look `quiet`."""


class RenderError(ValueError):
    """A letter cannot be made from these values; the message says which and how to mend it."""


class BadLink(RenderError):
    """An address that a letter must not link to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a letter says that is not an edition: one to one person, about one thing. Paragraphs are plain
    text, in the letter's language."""

    subject: str
    preheader: str
    heading: str
    before: tuple[str, ...] = ()
    question: str = ""
    example: str = ""
    facts: tuple[str, ...] = ()
    """Lines such as `Accepted: 24`."""
    link: tuple[str, str] | None = None
    """Text and address."""
    after: tuple[str, ...] = ()
    remarks_title: str = ""
    remarks: tuple[str, ...] = ()
    """The program's own sentences, in English whatever the letter's language."""
    commands: tuple[tuple[str, str], ...] = ()
    """What to type, each after a sentence that says when."""
    why: str = "footer.why_asked"
    unsubscribe_url: str | None = None
    quote_language: str = ""
    """Language of question and example where it is another one."""


def render(content: LetterContent) -> Letter:
    """The weekly letter of one edition, in the design its newsletter asks for.

    HTML and text hold `UNSUBSCRIBE_URL` where each recipient's own address goes. Raises `RenderError` (an
    unknown design, a template that cannot be filled, text that holds a merge field), `BadLink` and
    `emails.words.UnknownLanguage`.
    """
    tongue = words(content.language, content.newsletter.address_form)
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
        **_quoting(content.post_language, tongue),
        "why": "footer.why_subscribed",
        "unsubscribe_url": UNSUBSCRIBE_URL,
        "browser_url": href(content.browser_url) if content.browser_url else None,
        "preferences_url": f"{UNSUBSCRIBE_URL}{content.preferences}" if content.preferences else None,
    }
    _refuse_merge_marks(content)
    letter = _letter("weekly", content.newsletter, tongue, values)
    for name, body in (("html", letter.html), ("text", letter.text)):
        if UNSUBSCRIBE_URL not in body:
            raise RenderError(f"the {name} of design {content.newsletter.design!r} has no unsubscribe link")
    return letter


def render_notice(newsletter: Newsletter, language: str, notice: Notice) -> Letter:
    """A letter to one person, in the newsletter's design; no merge field is left in it.

    Its links are put in as they are and must be fit for a letter (`href`, `emails.merge.safe`). Raises
    `RenderError` and `emails.words.UnknownLanguage`.
    """
    tongue = words(language, newsletter.address_form)
    values = {
        **_shared(newsletter, tongue),
        "subject": notice.subject,
        "preheader": notice.preheader,
        "notice": notice,
        "example": _paragraphs(notice.example),
        **_quoting(notice.quote_language, tongue),
        "english": _foreign("en", tongue),
        "why": notice.why,
        "unsubscribe_url": notice.unsubscribe_url,
        "browser_url": None,
        "preferences_url": None,
    }
    return _letter("notice", newsletter, tongue, values)


def designs() -> tuple[str, ...]:
    """The names of the designs that ship with weekbrief, sorted."""
    folder = files("emails") / "templates" / "designs"
    return tuple(sorted(entry.name.removesuffix(".html") for entry in folder.iterdir()))


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


def _letter(folder: str, newsletter: Newsletter, tongue: Words, values: Mapping[str, Any]) -> Letter:
    own, design_file = _design(newsletter)
    values = {**values, "design_file": design_file}
    html = _fill(own, f"{folder}/body.html", {**values, **_html_words(tongue)})
    text = _fill(own, f"{folder}/body.txt", {**values, "say": tongue.say})
    return Letter(
        subject=values["subject"],
        html=inline(_trim_html(html)),
        text=_trim_text(text, right_to_left=tongue.direction == "rtl"),
        language=tongue.language,
    )


def _shared(newsletter: Newsletter, tongue: Words) -> dict[str, Any]:
    reply = (newsletter.reply_to or newsletter.sender).address
    name = newsletter.sender.name or newsletter.name
    leftward, script = tongue.direction == "rtl", fonts_for(tongue.language)
    return {
        "newsletter": newsletter,
        "language": tongue.language,
        "direction": tongue.direction,
        "start": "right" if leftward else "left",
        "way": Markup(' dir="rtl"') if leftward else "",
        "tall": bool(script),
        "stack": lambda fonts: _stack(fonts, script),
        "colours": {role: (light, dark) for role, light, dark in newsletter.colours},
        "fonts": dict(newsletter.fonts),
        "logo": newsletter.logo,
        "sender_name": name,
        "sender_line": name if name == newsletter.name else f"{newsletter.name}, {name}",
        "address_lines": [line.strip() for line in newsletter.address.splitlines() if line.strip()],
        "reply_address": reply,
        "reply_url": f"mailto:{quote(reply, safe='@')}",
        "privacy_url": f"{href(newsletter.url)}/privacy",
    }


def _stack(fonts: str, script: str) -> Markup:
    """A font stack with those of the letter's script before its generic family. Safe in a style sheet: fonts
    come from our designs, or checked from the configuration."""
    families = fonts.split(",")
    return Markup(",".join((*families[:-1], script, families[-1]) if script else families))  # noqa: S704


def _design(newsletter: Newsletter) -> tuple[str, str]:
    """The operator's folder, or nothing, and the template that is the design."""
    name = newsletter.design
    if name in designs():
        return "", f"designs/{name}.html"
    if "/" in name and Path(name).is_dir():
        own = (Path(name) / OWN_DESIGN).is_file()
        return name, OWN_DESIGN if own else "designs/quiet.html"
    raise RenderError(
        f"newsletter.design: {name!r} is not a design; choose one of {', '.join(designs())}, "
        "or write the path of a folder of your own"
    )


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


def _quoting(language: str, tongue: Words) -> dict[str, Any]:
    """How words of the post are set: `foreign` are their attributes, `quoted` puts them in."""
    foreign = _foreign(language, tongue)
    turned = tongue.direction == "rtl"
    attributes = foreign or (Markup(' dir="rtl"') if turned else Markup(""))
    return {"foreign": attributes, "quoted": isolate if turned and not foreign else escape}


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


_TEMPLATES = Path(str(files("emails"))) / "templates"


@lru_cache(maxsize=8)
def _environment(own: str = "", _state: tuple[tuple[str, int, int], ...] = ()) -> Sandbox:
    """Templates of the operator's folder `own` first, then ours; another `_state` of it is read anew."""
    environment = Sandbox(
        loader=FunctionLoader(lambda name: _source(name, own)),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=None if own else compiled_beside(_TEMPLATES, made_by=__file__),
    )
    environment.filters["wrap"] = wrap
    return environment


def _state(own: str) -> tuple[tuple[str, int, int], ...]:
    if not own:
        return ()
    found = ((path, path.stat()) for path in sorted(Path(own).rglob("*")) if path.is_file())
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in found)


def _source(name: str, own: str = "") -> str | None:
    parts = name.split("/")
    if ".." in parts or "" in parts:
        return None
    if own and Path(own, *parts).is_file():
        return Path(own, *parts).read_text(encoding="utf-8")
    path = (files("emails") / "templates").joinpath(*parts)
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _fill(own: str, name: str, values: Mapping[str, Any]) -> str:
    try:
        return fill(_environment(own, _state(own)).get_template(name), values)
    except TemplateSyntaxError as error:
        raise RenderError(f"{_place(own, error.name or name)}:{error.lineno}: {error.message}") from error
    except (TemplateError, UnicodeDecodeError) as error:
        raise RenderError(f"{_place(own, name)} cannot be filled: {error}") from error


def _place(own: str, name: str) -> str:
    return str(Path(own, name)) if own and Path(own, name).is_file() else f"the template {name}"


def _html_words(tongue: Words) -> dict[str, Callable[..., Markup]]:
    """`say` and `run` for HTML: in a right-to-left letter, Latin words stand in a span of their own."""
    run = isolate if tongue.direction == "rtl" else escape

    def say(key: str, **values: object) -> Markup:
        return run(tongue.say(key, **values))

    return {"say": say, "run": run}


# HTML ---------------------------------------------------------------------------------------------


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


def _trim_text(text: str, *, right_to_left: bool) -> str:
    """At most one empty line between paragraphs, nothing invisible, one line feed at the end."""
    visible = _INVISIBLE.sub("", _without_controls(text))
    lines = [mark_line(line) for line in visible.split("\n")] if right_to_left else [visible]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"
