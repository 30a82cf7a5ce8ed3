"""What would go when. Reads all, changes nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.briefing import Briefed, first_brief, in_order, read_choice
from pipeline.catalogue import Catalogue
from pipeline.clock import SystemClock
from pipeline.due import Slot, decide, next_slots
from pipeline.pick import pick
from pipeline.post import Brief, Post
from pipeline.report import Outcome, Report
from pipeline.sameness import Covered
from pipeline.settings import Settings
from pipeline.sources import SourceUnavailable
from pipeline.store import Store, open_store
from pipeline.store.counting import Counts
from pipeline.store.covered import covered_posts
from pipeline.wiring import catalogue_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWeek:
    """One future slot and the post that would be its edition; `why` says how it was chosen."""

    slot: Slot
    brief: Brief | None
    why: str
    findings: tuple[str, ...] = ()
    """For the editor: what to look at before it goes."""

    def as_json(self) -> dict[str, object]:
        """The object that `plan --json` prints for this week."""
        brief = self.brief
        return {
            "edition": self.slot.day.isoformat(),
            "week": self.slot.week,
            "due_at": self.slot.due_at.isoformat(),
            "post": brief.post.title if brief else None,
            "key": brief.post.key if brief else None,
            "question": brief.question.text if brief else None,
            "example": brief.example.text if brief else None,
            "why": self.why,
            "findings": list(self.findings),
        }


def plan(settings: Settings, *, weeks: int, now: datetime | None = None) -> list[PlannedWeek]:
    """The next `weeks` slots, each with the post that would go if nothing changes until then."""
    clock = SystemClock(now)
    with _reading(settings) as store:
        covered, sent = covered_posts(store.engine), store.editions.questions()
    slots = next_slots(settings.schedule, clock.now(), weeks)
    catalogue = catalogue_of(settings, clock=clock)
    try:
        posts = catalogue.posts()
    except SourceUnavailable as error:
        return [PlannedWeek(slot=slot, brief=None, why=str(error)) for slot in slots]
    planned = []
    for slot in slots:
        waiting = pick(posts, covered=covered, now=slot.due_at, rule=settings.pick)
        found, ordered = _brief(settings, slot, waiting, posts, sent, catalogue, covered)
        why = _why(settings, ordered, found)
        planned.append(PlannedWeek(slot=slot, brief=found.brief, why=why, findings=found.findings))
        if found.brief:
            brief = found.brief
            covered = covered.with_post(brief.post, example=brief.example.text)
            sent = (*sent, brief.question.text)
    return planned


def rehearse(settings: Settings, *, now: datetime | None = None) -> Report:
    """What `run` would do at this moment, without doing it."""
    clock = SystemClock(now)
    with _reading(settings) as store:
        due = decide(
            settings.schedule,
            last_examined=None,
            now=clock.now(),
            newest_taken=store.editions.newest_day(),
        )
        if due.slot is None:
            return Report(outcome=Outcome.DRY_RUN, notes=_begun(store) or ("nothing is due now",))
        catalogue, covered = catalogue_of(settings, clock=clock), covered_posts(store.engine)
        try:
            posts = catalogue.posts()
        except SourceUnavailable as error:
            return Report(
                outcome=Outcome.DRY_RUN,
                edition=due.slot.day.isoformat(),
                week=due.slot.week,
                notes=(str(error),),
            )
        waiting = pick(posts, covered=covered, now=clock.now(), rule=settings.pick)
        people, sent = store.editions.audience_size(due.slot), store.editions.questions()
    found, _ = _brief(settings, due.slot, waiting, posts, sent, catalogue, covered)
    said = (*catalogue.problems(), *catalogue.remarks())
    brief, notes = found.brief, (*said, *found.notes, *(f"look at: {finding}" for finding in found.findings))
    return Report(
        outcome=Outcome.DRY_RUN,
        edition=due.slot.day.isoformat(),
        week=due.slot.week,
        post=brief.post.title if brief else None,
        question=brief.question.text if brief else None,
        example=brief.example.text if brief else None,
        counts=Counts(frozen=people, pending=people),
        notes=notes if brief else (*notes, "no waiting post has a question and an example"),
    )


def _begun(store: Store) -> tuple[str, ...]:
    return tuple(
        f"edition {edition.day} is not finished ({edition.state}); a run would go on with it"
        for edition in store.editions.unfinished()
    )


def _brief(
    settings: Settings,
    slot: Slot,
    waiting: Sequence[Post],
    posts: Sequence[Post],
    sent: Sequence[str],
    catalogue: Catalogue,
    covered: Covered,
) -> tuple[Briefed, Sequence[Post]]:
    choice = read_choice(settings.folder, slot)
    ordered = in_order(waiting, posts, choice)
    catalogue.begin_slot()
    found = first_brief(
        ordered,
        choice=choice,
        sent=sent,
        no_pick=settings.no_pick,
        whole=catalogue.whole,
        gone=catalogue.gone,
        covered=covered,
    )
    return found, ordered


def _why(settings: Settings, waiting: Sequence[Post], found: Briefed) -> str:
    if found.brief is None:
        return "; ".join(found.notes) or "no post is left"
    left = len(waiting) - 1
    others = "no other is waiting" if not left else f"{left} more {'is' if left == 1 else 'are'} waiting"
    return "; ".join((f"the {settings.pick} post not yet sent; {others}", *found.notes))


@contextmanager
def _reading(settings: Settings) -> Iterator[Store]:
    """The store as it is; where there is none yet, an empty one that is gone afterwards."""
    scheme, _, path = settings.storage.partition("///")
    with tempfile.TemporaryDirectory(prefix="weekbrief-plan-") as nowhere:
        missing = scheme.startswith("sqlite") and not Path(path).exists()
        storage = f"sqlite:///{nowhere}/empty.db" if missing else settings.storage
        store = open_store(storage, now=SystemClock().now())
        try:
            yield store
        finally:
            store.close()
