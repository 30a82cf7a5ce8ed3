"""Ready-made values for tests: a newsletter, a post, a brief, an edition in a store."""

from __future__ import annotations

from datetime import UTC, date, datetime

from emails.edition import Letter, Mailbox, Mailing, Newsletter
from pipeline.due import Slot
from pipeline.post import Block, BlockKind, Brief, Post, Quote
from pipeline.store import Store
from pipeline.store.editions import Edition
from subscribers.addresses import normalise
from subscribers.consent import ConsentKind, ConsentRecord

NOW = datetime(2026, 11, 29, 7, 0, tzinfo=UTC)
"""08:00 in Amsterdam, on a Sunday."""

TEXT = "Wat laat je vandaag liggen?\nEen vrouw zet haar tas neer en blijft even staan bij het raam."


def newsletter(**changes: object) -> Newsletter:
    values = {
        "name": "Stille post",
        "sender": Mailbox(address="brief@stillepost.example", name="Marijke"),
        "language": "nl",
        "address": "Dorpsstraat 1, Utrecht",
        "url": "https://brief.stillepost.example",
    }
    return Newsletter(**{**values, **changes})  # type: ignore[arg-type]


def post(key: str = "eerste.md", **changes: object) -> Post:
    question_end = TEXT.index("\n")
    values = {
        "key": key,
        "title": "Laten liggen",
        "language": "nl",
        "published": datetime(2026, 9, 6, tzinfo=UTC),
        "text": TEXT,
        "blocks": (
            Block(kind=BlockKind.PARAGRAPH, start=0, end=question_end),
            Block(kind=BlockKind.PARAGRAPH, start=question_end + 1, end=len(TEXT)),
        ),
    }
    return Post(**{**values, **changes})  # type: ignore[arg-type]


def brief() -> Brief:
    about, end = post(), TEXT.index("\n")
    return Brief(
        post=about,
        question=Quote(text=TEXT[:end], start=0, end=end),
        example=Quote(text=TEXT[end + 1 :], start=end + 1, end=len(TEXT)),
    )


def letter() -> Letter:
    field = "WBMERGE-unsubscribe-url-WBEND"
    return Letter(
        subject="Wat laat je vandaag liggen?",
        html=f'<!DOCTYPE html><p>Wat laat je liggen?</p><a href="{field}">Uitschrijven</a>',
        text=f"Wat laat je liggen?\n\nUitschrijven:\n{field}\n",
        language="nl",
    )


def mailing(**changes: object) -> Mailing:
    values = {
        "installation": "inst2345",
        "edition": "2026-11-29",
        "newsletter": newsletter(),
        "letter": letter(),
        "list_id": "Stille post <inst2345.stillepost.example>",
    }
    return Mailing(**{**values, **changes})  # type: ignore[arg-type]


def slot(day: date = date(2026, 11, 29)) -> Slot:
    year, week, _ = day.isocalendar()
    return Slot(
        schedule="weekly",
        key=f"weekly:{day}",
        day=day,
        due_at=datetime(day.year, day.month, day.day, 7, tzinfo=UTC),
        week=f"{year}-W{week:02d}",
    )


def imported(at: datetime = NOW) -> ConsentRecord:
    return ConsentRecord(
        kind=ConsentKind.IMPORTED, wording="", source="test list", page="", language="nl", occurred_at=at
    )


def subscribe(store: Store, count: int, *, prefix: str = "reader") -> None:
    people = ((normalise(f"{prefix}{n}@example.org"), f"Lezer {n}", "nl") for n in range(1, count + 1))
    for _outcome in store.subscribers.add_many(people, consent=imported()):
        pass


def edition(store: Store, *, people: int = 25, approved: bool = True) -> Edition:
    """An edition with that many subscribers, not yet frozen."""
    subscribe(store, people)
    made = store.editions.create(slot(), brief(), mailing(), now=NOW, approved=approved)
    assert made is not None
    return made
