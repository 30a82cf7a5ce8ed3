"""Subject, preheader and sender as an inbox shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from emails.graphemes import graphemes, length
from emails.message import subject_problem
from pipeline.check.findings import Severity, check
from pipeline.check.sample import Sample

SUBJECT = 50
"""Characters that a desktop inbox shows; a phone shows 35."""
PREHEADER = (85, 140)
_FILLER = re.compile("[\u2007\u034f\u200b\u200c\ufeff\u00ad]{3,}")


@check("subject", Severity.ERROR, "give the post a shorter question, or a title that can be the subject")
def subject(sample: Sample) -> Iterator[str]:
    if problem := subject_problem(sample.subject):
        yield f"the subject cannot be sent: {problem}"


@check("subject-long", Severity.INFO, "a question of at most 50 characters is read whole in an inbox")
def subject_long(sample: Sample) -> Iterator[str]:
    if (count := length(sample.subject)) > SUBJECT:
        front = "".join(graphemes(sample.subject)[:35])
        yield f"the subject has {count} characters; a phone shows “{front}”"


@check("subject-shouts", Severity.WARNING, "take the exclamation marks and capitals out")
def subject_shouts(sample: Sample) -> Iterator[str]:
    loud = [word for word in re.findall(r"\w{5,}", sample.subject) if word.isupper()]
    if loud or sample.subject.count("!") > 1 or re.search(r"[!?]{2,}|[€$£]{2,}", sample.subject):
        yield f"the subject shouts: “{sample.subject}”"


@check("preheader-missing", Severity.ERROR, "put the preheader back into your template")
def preheader_missing(sample: Sample) -> Iterator[str]:
    if not sample.preheader:
        yield "there is no preheader: inboxes show whatever comes first"


@check("preheader-length", Severity.WARNING, "85 to 140 characters fill the line that an inbox shows")
def preheader_length(sample: Sample) -> Iterator[str]:
    count = length(sample.preheader)
    if count and not PREHEADER[0] <= count <= PREHEADER[1]:
        yield f"the preheader has {count} characters"


@check("preheader-repeats", Severity.WARNING, "let the preheader say something the subject does not")
def preheader_repeats(sample: Sample) -> Iterator[str]:
    if sample.preheader and sample.subject.casefold() in sample.preheader.casefold():
        yield "the preheader repeats the subject"


@check("preheader-filler", Severity.WARNING, "take the invisible characters out: filters count them")
def preheader_filler(sample: Sample) -> Iterator[str]:
    if _FILLER.search(sample.html):
        yield "a run of invisible characters stands in the HTML"
