"""The HTML: what mail programs, screen readers and dark mode make of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from pipeline.check import support
from pipeline.check.colours import LEAST, Scheme, pairs
from pipeline.check.findings import Severity, check
from pipeline.check.sample import Sample, classes_of, style_of

STYLE_BYTES = 8 * 1024
"""Gmail reads no more than 16 KiB of style sheets."""
_FORBIDDEN = re.findall(
    r"\w+",
    "script form input button iframe object embed video audio svg base link main nav section article header "
    "footer details",
)


@check("doctype", Severity.ERROR, "begin the template with <!DOCTYPE html>, in that case")
def doctype(sample: Sample) -> Iterator[str]:
    if not sample.html.startswith("<!DOCTYPE html>"):
        yield "the HTML does not begin with <!DOCTYPE html>"
    if '<meta charset="utf-8">' not in sample.html[:1024]:
        yield "the character set is not named at the top"
    title = sample.tree.css_first("title")
    if title is None or not title.text().strip():
        yield "the page has no title"


@check("forbidden-element", Severity.ERROR, "use div, p, h1 to h3, ul, blockquote and table")
def forbidden(sample: Sample) -> Iterator[str]:
    for tag in _FORBIDDEN:
        if sample.tree.css_first(tag) is not None:
            yield f"mail programs strip or block <{tag}>"
    if re.search(r"\son\w+\s*=|javascript:|@import|@font-face", sample.html, re.IGNORECASE):
        yield "something in it would run or be fetched"


@check("headings", Severity.ERROR, "one h1 that is the question, then h2; none empty, no level skipped")
def headings(sample: Sample) -> Iterator[str]:
    found = [
        (int((node.tag or "h0")[1]), node.text().strip()) for node in sample.tree.css("h1,h2,h3,h4,h5,h6")
    ]
    ranks = [rank for rank, _ in found]
    if ranks.count(1) != 1 or ranks[0] != 1:
        first = f"h{ranks[0]}" if ranks else "missing"
        yield f"there are {ranks.count(1)} first headings, and the first of all is {first}"
    if any(after > before + 1 for before, after in pairwise(ranks)):
        yield "a level of headings is skipped"
    if not all(text for _, text in found):
        yield "a heading is empty"
    if found and sample.question and " ".join(found[0][1].split()) != " ".join(sample.question.split()):
        yield "the first heading is not the question"


@check("question-first", Severity.ERROR, "let the question be the first thing that is read")
def question_first(sample: Sample) -> Iterator[str]:
    if sample.question and not _squeezed(sample.visible).startswith(_squeezed(sample.question)):
        yield "something stands before the question"


@check("language", Severity.ERROR, "set lang and dir on html and on the first div inside body")
def language(sample: Sample) -> Iterator[str]:
    wanted = sample.mailing.letter.language
    body = sample.tree.body
    wrapper = body.css_first("body > div") if body is not None else None
    for name, node in (("html", sample.tree.root), ("the wrapper", wrapper)):
        said = node.attributes if node is not None else {}
        if said.get("lang") != wanted or said.get("dir") not in ("ltr", "rtl"):
            yield f"{name} does not say its language and direction"


@check("layout-tables", Severity.ERROR, 'give each table role="presentation" and no border or spacing')
def layout_tables(sample: Sample) -> Iterator[str]:
    for table in sample.tree.css("table"):
        wanted = {"role": "presentation", "border": "0", "cellpadding": "0", "cellspacing": "0"}
        if any(table.attributes.get(name) != value for name, value in wanted.items()):
            yield "a table would be read out as data, or drawn with a border"
            return


@check("contrast-light", Severity.ERROR, "choose a darker text or a lighter ground in newsletter.colours")
def contrast_light(sample: Sample) -> Iterator[str]:
    yield from _contrast(sample, Scheme.LIGHT)


@check("contrast-dark", Severity.ERROR, "choose a lighter text or a darker ground in newsletter.colours")
def contrast_dark(sample: Sample) -> Iterator[str]:
    yield from _contrast(sample, Scheme.DARK)


@check(
    "contrast-forced", Severity.WARNING, "choose colours whose lightness differs more in newsletter.colours"
)
def contrast_forced(sample: Sample) -> Iterator[str]:
    yield from _contrast(sample, Scheme.FORCED)


@check("dark-colours", Severity.ERROR, "give the element the class of each colour it has")
def dark_colours(sample: Sample) -> Iterator[str]:
    ruled = set(re.findall(r"\.([\w-]+)\{(background-color|color|border-color):[^{}]*!important", sample.css))
    for node in sample.elements():
        for name in ("color", "background-color"):
            if name in style_of(node) and not any((one, name) in ruled for one in classes_of(node)):
                yield f"the {name} of a <{node.tag}> has no counterpart in dark mode"
                return


@check("colour-notation", Severity.ERROR, "write colours as six digits, #fdfdfd")
def colour_notation(sample: Sample) -> Iterator[str]:
    if found := re.search(r"rgba?\(|hsla?\(|var\(|light-dark\(|color-mix\(", sample.html):
        yield f"Gmail drops a style with {found[0]}"


@check("pure-colours", Severity.WARNING, "use #fdfdfd and #111111: pure white and black invert badly")
def pure_colours(sample: Sample) -> Iterator[str]:
    if found := re.search(r"#(fff|000)(?:\1)?\b", sample.html, re.IGNORECASE):
        yield f"{found[0]} stands in a style"


@check("small-text", Severity.ERROR, "make it 13 px or more")
def small_text(sample: Sample) -> Iterator[str]:
    sizes = {size for node in sample.texts() if (size := _size(node)) and size < 13}
    if sizes:
        yield f"text of {min(sizes):g} px is too small to read"


@check("important", Severity.ERROR, "!important belongs in media queries, and there in every line")
def important(sample: Sample) -> Iterator[str]:
    if any("!important" in (node.attributes.get("style") or "") for node in sample.elements()):
        yield "a style attribute holds !important, which no dark rule can overrule"
    for block in re.findall(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)", sample.css):
        for body in re.findall(r"\{([^{}]*)\}", block):
            if any("!important" not in part for part in body.split(";") if part.strip()):
                yield "a rule in a media query does nothing: it lacks !important"
                return


@check("style-size", Severity.ERROR, "shorten the style sheets of your template")
def style_size(sample: Sample) -> Iterator[str]:
    if (size := len(sample.css.encode())) > STYLE_BYTES:
        yield f"the style sheets have {size} bytes; Gmail drops them from 16 KiB on"


@check(
    "client-support",
    Severity.WARNING,
    "do without it, or make sure that nothing is lost where it does not work",
)
def client_support(sample: Sample) -> Iterator[str]:
    for feature in support.unsupported(sample.html):
        yield f"{feature.title} does not work in {', '.join(feature.clients)}"


def _contrast(sample: Sample, scheme: Scheme) -> Iterator[str]:
    seen = set()
    for pair in pairs(sample, scheme):
        if pair.ratio < LEAST and (pair.ink, pair.ground) not in seen:
            seen.add((pair.ink, pair.ground))
            colours = f"{pair.ink} on {pair.ground}"
            yield f"“{pair.text}”: {colours} has contrast {pair.ratio:.1f}, and needs {LEAST}"


def _size(node: object) -> float | None:
    at = getattr(node, "parent", None)
    while at is not None:
        if found := re.fullmatch(r"([\d.]+)px", style_of(at).get("font-size", "")):
            return float(found[1])
        at = at.parent
    return None


def _squeezed(text: str) -> str:
    return "".join(text.split())
