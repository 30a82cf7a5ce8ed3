"""Which HTML and CSS the mail programs that matter do not know, by the data of caniemail.com.

`caniemail.json` beside this file holds what we need of it, with its licence;
`python -m pipeline.check.refresh FILE` makes it anew from the npm package `caniemail`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

from selectolax.lexbor import LexborHTMLParser

HARMLESS = {
    "css-border-radius": "corners are square in Word",
    "css-at-media-prefers-color-scheme": "the light colours stay; they survive forced inversion",
    "css-at-media": "the letter is one fluid column without it",
    "css-selector-attribute": "only Outlook sets these attributes, and it knows the selector",
    "css-color-scheme": "the media query and the colours themselves do the work",
    "css-max-height": "the preheader is hidden by display:none and mso-hide as well",
    "css-overflow": "the preheader is hidden by display:none and mso-hide as well",
    "css-overflow-wrap": "word-break says the same",
    "css-word-break": "long words run on; nothing is lost",
    "html-aria-label": "the title and the h1 say the same",
    "css-height": "the height attribute says the same",
    "html-body": "the wrapper repeats its colours",
}
"""Features that the shipped designs use although a program that matters lacks them, and what is lost."""

_PARTS = ("border", "padding", "margin", "font", "background", "list-style", "text-decoration")
_TAGS = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), "h1-h6"),
    **dict.fromkeys(("ul", "ol", "li"), "lists"),
    **dict.fromkeys(("table", "tr", "td"), "table"),
    **dict.fromkeys(("strong", "em", "b", "i"), "strong"),
}
_ATTRIBUTES = (
    "lang",
    "dir",
    "role",
    "aria-label",
    "aria-hidden",
    "align",
    "valign",
    "width",
    "height",
    "target",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    slug: str
    title: str
    clients: tuple[str, ...]
    """Programs that do not know it, `Outlook Windows`."""


def unsupported(html: str) -> tuple[Feature, ...]:
    """Features of `html` that a program which matters does not know, except `HARMLESS` ones."""
    data = _data()["features"]
    found = [slug for slug in sorted(used(html)) if slug in data and slug not in HARMLESS]
    lacking = ((slug, tuple(data[slug]["lacking"])) for slug in found)
    return tuple(
        Feature(slug=slug, title=data[slug]["title"], clients=clients) for slug, clients in lacking if clients
    )


def used(html: str) -> set[str]:
    """The slugs of caniemail for the HTML and CSS in `html`."""
    bare = re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)
    tree = LexborHTMLParser(bare)
    sheets = "\n".join(re.findall(r"<style[^>]*>(.*?)</style>", bare, flags=re.DOTALL))
    styles = ";".join(node.attributes.get("style") or "" for node in tree.css("[style]"))
    found = set(_css(sheets, styles))
    for node in tree.css("*"):
        found.add(f"html-{_TAGS.get(node.tag or '', node.tag)}")
        found |= {f"html-{name}" for name in _ATTRIBUTES if name in node.attributes}
        src = (node.attributes.get("src") or "").partition("?")[0]
        if node.tag == "img" and "." in src:
            found.add("image-" + src.rpartition(".")[2].lower().replace("jpeg", "jpg"))
    return found


def _css(sheets: str, styles: str) -> Iterator[str]:
    bodies = ";".join(re.findall(r"\{([^{}]*)\}", sheets))
    for name, value in re.findall(r"([a-z-]+)\s*:\s*([^;]+)", f"{styles};{bodies}"):
        yield f"css-{name}"
        yield from (f"css-{part}" for part in _PARTS if name.startswith(f"{part}-"))
        if name == "display":
            yield f"css-display-{value.split()[0]}"
        yield from (f"css-unit-{unit}" for unit in re.findall(r"\d(px|em|rem|vh|vw|ch|pt|calc)\b", value))
        yield from (f"css-function-{name}" for name in re.findall(r"\b(clamp|min|max|light-dark)\(", value))
        yield from ("css-unit-calc" for _ in re.findall(r"\bcalc\(", value))
        yield from (
            f"css-{name}" for name in re.findall(r"\b(linear-gradient|radial-gradient|rgba?)\(", value)
        )
    for name in re.findall(r"@([a-z-]+)", sheets):
        yield f"css-at-{name}"
    if "prefers-color-scheme" in sheets:
        yield "css-at-media-prefers-color-scheme"
    selectors = " ".join(re.findall(r"([^{};]+)\{", sheets))
    for pattern, slug in (
        (r"\.\w", "class"),
        (r"\[", "attribute"),
        (r"\]\s+\.", "descendant"),
        (r">", "child"),
        (r"\*", "universal"),
    ):
        if re.search(pattern, selectors):
            yield f"css-selector-{slug}"
    yield from (
        f"css-pseudo-class-{name}"
        for name in re.findall(r"(?<!:):(hover|active|focus|first-child|last-child|has|not)\b", selectors)
    )


@cache
def _data() -> dict[str, Any]:
    text = (files("pipeline") / "check" / "caniemail.json").read_text("utf-8")
    return cast("dict[str, Any]", json.loads(text))
