"""Which letter is to be checked: an edition, a week to come, or a file; and what was waived for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import insert, select

from emails.edition import LetterContent
from emails.render import render
from pipeline.check.findings import Finding, Severity, all_checks, inspect
from pipeline.check.sample import Sample
from pipeline.clock import SystemClock
from pipeline.compose import compose
from pipeline.condense import condense
from pipeline.due import NoSuchSlot, Slot, next_slots
from pipeline.plan import PlannedWeek, plan
from pipeline.post import Brief, Condensed
from pipeline.settings import Settings
from pipeline.sources import Asking
from pipeline.sources.folder import read_file
from pipeline.store import Store, tables
from pipeline.store.editions import Edition
from pipeline.week import mailing_of
from pipeline.wiring import catalogue_of

WEEKS_AHEAD = 53


class NothingToCheck(Exception):
    """There is no letter for what was named; says why."""


class NotFit(Exception):
    """An approval was refused; says what stands in its way and how to mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A letter with what was found in it."""

    name: str
    """`2026-11-29`, or the file."""
    subject: str
    findings: tuple[Finding, ...]
    edition: Edition | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What stops an approval."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR and not f.waived)

    def as_json(self) -> dict[str, object]:
        """The object that `check --json` prints."""
        open_ = [finding for finding in self.findings if not finding.waived]
        return {
            "edition": self.name,
            "subject": self.subject,
            "fit": not self.errors,
            "counts": {severity.value: sum(f.severity is severity for f in open_) for severity in Severity},
            "findings": [finding.as_json() for finding in self.findings],
        }


def check_edition(settings: Settings, store: Store, edition: Edition, *, online: bool = False) -> Checked:
    """What is in the way of an edition as it is stored."""
    sample = Sample(
        mailing=edition.mailing,
        question=edition.question,
        example=edition.example,
        post_title=edition.post_title,
        post_url=edition.post_url,
        findings=_condensed_anew(settings, store, edition),
        online=online,
    )
    found = inspect(sample, waived=waivers(store, edition))
    return Checked(name=edition.day, subject=sample.subject, findings=found, edition=edition)


def check_week(settings: Settings, store: Store, wanted: str | None, *, online: bool = False) -> Checked:
    """The edition of a date or ISO week, or the letter that would be made for it; None: the next.

    Raises `NothingToCheck`, `pipeline.due.NoSuchSlot`, and what rendering raises.
    """
    if wanted is None:
        waiting = store.editions.unfinished()
        edition = waiting[0] if waiting else None
    else:
        edition = store.editions.find(wanted)
    if edition is not None:
        return check_edition(settings, store, edition, online=online)
    week = _planned(settings, wanted)
    if week.brief is None:
        raise NothingToCheck(f"there is no letter for {week.slot.day}: {week.why}")
    return _check_brief(settings, store, week.brief, week.slot, name=week.slot.day.isoformat(), online=online)


def check_file(settings: Settings, store: Store, file: Path, *, online: bool = False) -> Checked:
    """The letter that a post would make, as if it were next. Raises `NothingToCheck`, and what reading and
    rendering raise."""
    post = read_file(file, name=file.name, default_language=settings.newsletter.language)
    condensed = condense(post, sent=store.editions.questions())
    brief = condensed.brief()
    if brief is None:
        reasons = "; ".join(filter(None, (condensed.no_question, condensed.no_example)))
        raise NothingToCheck(f"{file}: {reasons}")
    slot = next_slots(settings.schedule, SystemClock().now(), 1)[0]
    return _check_brief(settings, store, brief, slot, name=str(file), condensed=condensed, online=online)


def waive(store: Store, edition: Edition, check: str, *, reason: str, who: str, now: datetime) -> None:
    """Let what a check found in this edition pass, for a reason that is kept. Raises `NothingToCheck` for a
    check there is not."""
    if check not in {one.id for one in all_checks()}:
        raise NothingToCheck(f"there is no check {check!r}; `weekbrief check` shows the names")
    with store.engine.begin() as connection:
        connection.execute(
            insert(tables.decision).values(
                at=now, who=who, what="waive", edition_id=edition.id, reason=f"{check}: {reason}"
            )
        )


def waivers(store: Store, edition: Edition) -> dict[str, str]:
    """Reasons by check id; the last one counts."""
    decision = tables.decision.c
    with store.engine.connect() as connection:
        rows = connection.execute(
            select(decision.who, decision.reason)
            .where(decision.edition_id == edition.id, decision.what == "waive")
            .order_by(decision.id)
        )
        pairs = ((row.who, *row.reason.split(": ", 1)) for row in rows)
        return {check: f"{reason} ({who})" for who, check, reason in pairs}


def refuse_unfit(settings: Settings, store: Store, edition: Edition) -> None:
    """Raises `NotFit` when the pre-flight finds an error that nobody waived."""
    errors = check_edition(settings, store, edition).errors
    if errors:
        listed = "\n".join(f"  {f.id}: {f.message}; {f.mend}" for f in errors)
        raise NotFit(
            f"the letter of {edition.day} is not fit to go:\n{listed}\n"
            f"Mend it, or let one pass: weekbrief check {edition.day} --waive ID --reason WHY"
        )


def _check_brief(
    settings: Settings,
    store: Store,
    brief: Brief,
    slot: Slot,
    *,
    name: str,
    online: bool,
    condensed: Condensed | None = None,
) -> Checked:
    content = compose(brief, newsletter=settings.newsletter, edition=slot.day.isoformat(), day=slot.day)
    findings = (condensed or condense(brief.post, sent=store.editions.questions())).findings
    sample = _sample(content, store.installation.id, findings, online=online)
    return Checked(name=name, subject=content.subject, findings=inspect(sample))


def _sample(content: LetterContent, installation: str, findings: tuple[str, ...], *, online: bool) -> Sample:
    letter = render(content)
    return Sample(
        mailing=mailing_of(content.newsletter, letter, installation=installation, edition=content.edition),
        question=content.question,
        example=content.example,
        post_title=content.post_title,
        post_url=content.post_url,
        findings=findings,
        online=online,
    )


def _condensed_anew(settings: Settings, store: Store, edition: Edition) -> tuple[str, ...]:
    """What the condenser says of the post today, if it is still there and would still give this edition."""
    posts = {post.key: post for post in catalogue_of(settings, asking=Asking.REMEMBER).posts()}
    post = posts.get(edition.post_key)
    if post is None:
        return ()
    sent = tuple(question for question in store.editions.questions() if question != edition.question)
    condensed = condense(post, sent=sent)
    brief = condensed.brief()
    same = brief and (brief.question.text, brief.example.text) == (edition.question, edition.example)
    return condensed.findings if same else ()


def _planned(settings: Settings, wanted: str | None) -> PlannedWeek:
    if wanted is None:
        return plan(settings, weeks=1)[0]
    if not re.fullmatch(r"\d{4}-(\d\d-\d\d|W\d\d)", wanted):
        raise NothingToCheck(f"{wanted!r} is no file that is there, no date and no ISO week")
    for week in plan(settings, weeks=WEEKS_AHEAD):
        if wanted in (week.slot.day.isoformat(), week.slot.week):
            return week
    raise NoSuchSlot(f"no letter goes on {wanted} in the year to come; see `weekbrief plan`")
