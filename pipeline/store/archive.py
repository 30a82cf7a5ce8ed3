"""Letters that went out, for anyone to read: nothing of a draft, of a stop or of a recipient is in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select

from emails.delivery import BatchState, EditionState
from pipeline.store import tables
from pipeline.store.engine import readers

_edition, _batch = tables.edition.c, tables.batch.c
_UNDER_WAY = (EditionState.SENDING, EditionState.SETTLING)
_LEFT = (BatchState.SUBMITTING, BatchState.UNCERTAIN, BatchState.ACCEPTED, BatchState.WRITTEN_OFF)
"""Of a batch that somebody may have got."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One edition as everyone got it."""

    day: str
    question: str
    example: str
    post_title: str
    post_url: str | None
    language: str = ""
    """Of the post, and so of question, example and title; empty where it is not known."""
    at: datetime
    """When it began to go out."""


class Archive:
    def __init__(self, engine: Engine) -> None:
        self._readers = readers(engine)

    def listed(self) -> list[Published]:
        """Every edition that is finished, newest first; one a day."""
        return self._found(_edition.state == EditionState.FINISHED)

    def letter(self, day: str) -> Published | None:
        """The edition of a local date, as soon as it goes out: the first reader's link works. It goes on
        working when the edition is held after somebody may have it; before, a hold hides it."""
        left = select(_batch.id).where(_batch.edition_id == _edition.id, _batch.state.in_(_LEFT)).exists()
        under_way = _edition.state.in_(_UNDER_WAY) & (_edition.hold_reason.is_(None) | left)
        found = self._found(_edition.day == day, (_edition.state == EditionState.FINISHED) | under_way)
        return found[0] if found else None

    def _found(self, *conditions: Any) -> list[Published]:
        query = (
            select(
                _edition.day,
                _edition.question,
                _edition.example,
                _edition.post_title,
                _edition.post_url,
                _edition.post_language,
                _edition.created_at,
                _edition.started_at,
            )
            .where(*conditions)
            .order_by(_edition.day.desc(), _edition.id.desc())
        )
        with self._readers.connect() as connection:
            newest: dict[str, Published] = {}
            for row in connection.execute(query).all():
                newest.setdefault(row.day, _published(row))
        return list(newest.values())


def _published(row: Any) -> Published:
    return Published(
        day=row.day,
        question=row.question,
        example=row.example,
        post_title=row.post_title,
        post_url=row.post_url,
        language=row.post_language,
        at=row.started_at or row.created_at,
    )
