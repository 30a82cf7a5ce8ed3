"""What the letter says: its length, words that filters score, what was never filled in, the law's lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.check.findings import Severity, check
from pipeline.check.sample import Sample
from pipeline.check.wordlists import sample_words, spam_words
from pipeline.reading.charsets import misread

LETTER = (40, 300)
"""Words of question and example together. Longer is an article, shorter is a slogan."""
_TEMPLATE = re.compile(r"\{\{|\{%|\{#|%7B%7B|%\(\w+\)s|WBMERGE|\*\|[A-Z_]+\|\*|\bNone\b|\bUndefined\b")


@check("left-over", Severity.ERROR, "look at the template or the post: this was to be replaced")
def left_over(sample: Sample) -> Iterator[str]:
    own = f"{sample.question} {sample.example} {sample.post_title}"
    for name, body in (("HTML", sample.visible), ("text", sample.text), ("subject", sample.subject)):
        if (found := _TEMPLATE.search(body)) and found[0] not in own:
            yield f"“{found[0]}” is left in the {name}"


@check("lost-characters", Severity.ERROR, "mend the post, or its feed's charset: readers would see \ufffd")
def lost_characters(sample: Sample) -> Iterator[str]:
    """A source whose charset was a lie leaves U+FFFD behind (`pipeline.reading.charsets`), and one that was
    copied wrongly `Ã©`."""
    said = f"{sample.subject}\n{sample.preheader}\n{sample.visible}"
    if found := re.search(r"[^\n]{0,30}\ufffd[^\n]{0,30}", said):
        yield f"a character was lost in “{found[0].strip()}”"
    if odd := misread(said):
        yield f"“{odd}” was read in a wrong charset"


@check("sample-text", Severity.ERROR, "put your own words there")
def sample_text(sample: Sample) -> Iterator[str]:
    newsletter = sample.mailing.newsletter
    own = (newsletter.name, newsletter.address, newsletter.sign_off, sample.subject, sample.example)
    said = "\n".join(own).lower()
    for word in sample_words():
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", said):
            yield f"“{word}” looks like sample text"


@check("postal-address", Severity.ERROR, "write newsletter.address: many laws want it in every letter")
def postal_address(sample: Sample) -> Iterator[str]:
    address = sample.mailing.newsletter.address
    first = address.splitlines()[0].split()[0] if address.strip() else ""
    if not first or first.lower() not in sample.visible.lower() or first.lower() not in sample.text.lower():
        yield "the postal address is not in the letter"


@check("length", Severity.WARNING, "choose another example, or cut it in the post's front matter")
def length(sample: Sample) -> Iterator[str]:
    count = len(f"{sample.question} {sample.example}".split())
    if sample.question and not LETTER[0] <= count <= LETTER[1]:
        yield f"question and example have {count} words; {LETTER[0]} to {LETTER[1]} read well"


@check("spam-words", Severity.WARNING, "say it in other words if you can: spam filters score this")
def spam(sample: Sample) -> Iterator[str]:
    said = f"{sample.subject} {sample.preheader} {sample.visible}".lower()
    for word in spam_words(sample.mailing.letter.language):
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", said):
            yield f"“{word}”"


@check("shouting", Severity.WARNING, "write it in lower case")
def shouting(sample: Sample) -> Iterator[str]:
    if found := re.search(r"\b[A-ZÀ-Þ]{4,}(?:[ ,]+[A-ZÀ-Þ]{2,}){2,}", sample.visible):
        yield f"“{found[0][:60]}”"
    if re.search(r"!{2,}|\?{2,}", sample.visible):
        yield "marks stand in a row"


@check(
    "condenser", Severity.WARNING, "pick other words with question: and example: in the post's front matter"
)
def condenser(sample: Sample) -> Iterator[str]:
    yield from sample.findings
