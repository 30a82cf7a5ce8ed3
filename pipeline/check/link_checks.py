"""Links and pictures: where they lead, what they say, and that none of them watches a reader."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from urllib.parse import urlsplit

from pipeline.check.findings import Severity, check
from pipeline.check.sample import Sample
from pipeline.check.wordlists import empty_link_texts

MOST_LINKS = 12
SHORTENERS = frozenset(
    re.findall(
        r"\S+",
        "bit.ly tinyurl.com t.co goo.gl ow.ly is.gd buff.ly rebrand.ly cutt.ly shorturl.at rb.gy t.ly "
        "lnkd.in",
    )
)
_PLACEHOLDER = re.compile(
    r"\{\{|\{%|%7B%7B|WBMERGE|^#|^$|//(www\.)?(example\.(com|org|net)|yourdomain|jouwdomein|domain\.com)\b",
    re.IGNORECASE,
)
_TRACKING = re.compile(r"[?&](utm_\w+|mc_[ce]id|fbclid|gclid|_hs\w+|mkt_tok)=", re.IGNORECASE)


@check("link-absolute", Severity.ERROR, "write the whole address: https://example.org/page")
def absolute(sample: Sample) -> Iterator[str]:
    for text, url in sample.links:
        if not re.match(r"(https?|mailto|tel):", url):
            yield f"the link “{text}” leads to {url!r}"


@check("link-https", Severity.ERROR, "use https://; set `url:` of the post, or newsletter.url")
def https(sample: Sample) -> Iterator[str]:
    own = urlsplit(sample.mailing.newsletter.url)
    for text, url in sample.links:
        local = own.scheme == "http" and urlsplit(url).netloc == own.netloc
        if url.startswith("http:") and not local:
            yield f"the link “{text}” is not https: {url}"


@check("link-shortener", Severity.ERROR, "link to the page itself: filters block what hides a target")
def shortener(sample: Sample) -> Iterator[str]:
    for text, url in sample.links:
        if (host := urlsplit(url).hostname or "").removeprefix("www.") in SHORTENERS:
            yield f"the link “{text}” goes through {host}"


@check("link-placeholder", Severity.ERROR, "put the real address in")
def placeholder(sample: Sample) -> Iterator[str]:
    for text, url in sample.links:
        if _PLACEHOLDER.search(url):
            yield f"the link “{text}” leads to a placeholder: {url!r}"


@check("link-text", Severity.ERROR, "let the words say where the link leads")
def link_text(sample: Sample) -> Iterator[str]:
    for text, url in sample.links:
        if not text:
            yield f"a link to {url} has no words"
        elif text.casefold().strip(" .!›»>") in empty_link_texts():
            yield f"the link “{text}” says nothing by itself"


@check("link-same-words", Severity.WARNING, "give two links two texts")
def same_words(sample: Sample) -> Iterator[str]:
    targets = defaultdict(set)
    for text, url in sample.links:
        targets[text].add(url)
    for text, urls in targets.items():
        if len(urls) > 1:
            yield f"“{text}” leads to {len(urls)} different places"


@check("link-count", Severity.WARNING, "a letter with few links reads better and is less like advertising")
def count(sample: Sample) -> Iterator[str]:
    if len(sample.links) > MOST_LINKS:
        yield f"there are {len(sample.links)} links; {MOST_LINKS} is a lot"


@check("link-host", Severity.WARNING, "leave links to other sites to the post itself")
def host(sample: Sample) -> Iterator[str]:
    own = {urlsplit(url).hostname for url in (sample.mailing.newsletter.url, sample.post_url or "")}
    for other in sorted({urlsplit(url).hostname or "" for _, url in sample.links} - own - {""}):
        yield f"a link leads to {other}, which is neither your site nor the post's"


@check(
    "link-tracking", Severity.ERROR, "take the parameter out: readers were promised that nothing is measured"
)
def tracking(sample: Sample) -> Iterator[str]:
    for text, url in sample.links:
        if found := _TRACKING.search(url):
            yield f"the link “{text}” carries {found[1]}"


@check(
    "link-visible-address",
    Severity.ERROR,
    "let the words of a link be words, or the very address it leads to",
)
def visible_address(sample: Sample) -> Iterator[str]:
    for text, url in sample.links:
        if re.fullmatch(r"https?://\S+", text) and urlsplit(text).hostname != urlsplit(url).hostname:
            yield f"a link says {text} and leads to {url}: that is how phishing looks"


@check("unsubscribe-link", Severity.ERROR, "put the link with `unsubscribe_url` back into your template")
def unsubscribe(sample: Sample) -> Iterator[str]:
    if sample.mailing.notice:
        return
    if not any(url == sample.unsubscribe_url for _, url in sample.links):
        yield "the HTML has no link to unsubscribe"
    if sample.unsubscribe_url not in sample.text.splitlines():
        yield "the text has no address to unsubscribe on a line of its own"


@check("post-link", Severity.INFO, "give the post `url:` in its front matter")
def post_link(sample: Sample) -> Iterator[str]:
    if not sample.post_url and not sample.mailing.notice:
        yield "there is no link to the whole post"


@check("link-dead", Severity.ERROR, "mend the address, or publish the page first")
def dead(sample: Sample) -> Iterator[str]:
    for url, answer in sample.pages.items():
        if answer.dead:
            yield (
                f"{url} answers {answer.status}" if answer.status else f"{url} does not answer: {answer.said}"
            )


@check("link-not-followed", Severity.WARNING, "open the link yourself; better, link to where it leads")
def not_followed(sample: Sample) -> Iterator[str]:
    for url, answer in sample.pages.items():
        if answer.refused:
            unknown = "was not followed to its end, so it is not known whether the page is there"
            yield f"{url} {unknown}: {answer.said}"


# Pictures


@check("image-alt", Severity.ERROR, 'write what it shows in alt, or alt="" for an ornament')
def image_alt(sample: Sample) -> Iterator[str]:
    for image in sample.tree.css("img"):
        alt = image.attributes.get("alt")
        if alt is None:
            yield f"the picture {image.attributes.get('src')} has no alt"
        elif len(alt) > 120 or re.match(
            r"(image|picture|photo|afbeelding|foto|bild|imagen) (of|van|von|de)\b", alt, re.I
        ):
            yield f"the alt of {image.attributes.get('src')} is not a name: “{alt[:60]}”"


@check("image-format", Severity.ERROR, "use a PNG, JPEG or GIF at an https address")
def image_format(sample: Sample) -> Iterator[str]:
    for image in sample.tree.css("img"):
        src = image.attributes.get("src") or ""
        if not re.match(r"https://[^?#]+\.(png|jpe?g|gif)([?#]|\Z)", src, re.IGNORECASE):
            yield f"mail programs do not show {src[:80]!r}"


@check(
    "image-size", Severity.WARNING, "give width and height in pixels: programs that block pictures need them"
)
def image_size(sample: Sample) -> Iterator[str]:
    images = sample.tree.css("img")
    for image in images:
        if not all(re.fullmatch(r"\d+", image.attributes.get(side) or "") for side in ("width", "height")):
            yield f"the picture {image.attributes.get('src')} has no size"
    if len(images) > 2:
        yield f"there are {len(images)} pictures; two are enough"


@check("tracking-pixel", Severity.ERROR, "take it out: readers were promised that nothing is measured")
def pixel(sample: Sample) -> Iterator[str]:
    for image in sample.tree.css("img"):
        if {image.attributes.get("width"), image.attributes.get("height")} & {"0", "1", "2"}:
            yield f"the picture {image.attributes.get('src')} is too small to be seen"
