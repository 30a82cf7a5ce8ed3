"""The plain text part: that it says the same, and reads well in a terminal and a screen reader."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.check.findings import Severity, check
from pipeline.check.sample import Sample

LINE = 72


@check("text-differs", Severity.ERROR, "say in the text what the HTML says: filters compare the two")
def differs(sample: Sample) -> Iterator[str]:
    said = set(re.findall(r"\w{4,}", sample.visible.lower()))
    written = set(re.findall(r"\w{4,}", sample.text.lower()))
    if said and len(said & written) < 0.8 * len(said):
        missing = ", ".join(sorted(said - written)[:5])
        yield f"{len(said - written)} words of the HTML are not in the text: {missing} …"


@check("text-opening", Severity.ERROR, "begin the text with the question: some inboxes show its first line")
def opening(sample: Sample) -> Iterator[str]:
    wanted = re.sub(r"[\s\u00ad\u200b\u200c\u200f\ufeff]+", "", sample.question)
    if not re.sub(r"[\s\u200f]+", "", sample.text).startswith(wanted):
        yield "the text does not begin with the question"


@check("text-lines", Severity.WARNING, "wrap the text at 72 characters; an address stands alone on its line")
def lines(sample: Sample) -> Iterator[str]:
    for line in sample.text.splitlines():
        if re.search(r"https?://", line) and not re.fullmatch(r"https?://[!-~]+", line):
            yield f"an address shares its line: “{line[:60]}”"
        elif len(line) > LINE and " " in line.strip():
            yield f"a line has {len(line)} characters: “{line[:40]}…”"


@check("text-links", Severity.ERROR, "put every address of the HTML into the text as well")
def links(sample: Sample) -> Iterator[str]:
    written = sample.text.splitlines()
    for text, url in sample.links:
        if url.removeprefix("mailto:") not in written:
            yield f"the text lacks the address of “{text}”"


@check("text-invisible", Severity.ERROR, "take the invisible characters out of your text template")
def invisible(sample: Sample) -> Iterator[str]:
    if found := re.search("[\u034f\u200b\u200c\ufeff\u00ad]", sample.text):
        yield f"the text holds the invisible character U+{ord(found[0]):04X}"


@check("text-blank-lines", Severity.INFO, "leave one empty line between paragraphs")
def blank_lines(sample: Sample) -> Iterator[str]:
    if "\n\n\n\n" in sample.text:
        yield "more than two empty lines stand together in the text"
