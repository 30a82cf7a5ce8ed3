"""Which posts an edition was made from, read from the ledger."""

from __future__ import annotations

from sqlalchemy import Engine, or_, select

from emails.delivery import EditionState
from pipeline.sameness import Covered, SentPost, covered_by
from pipeline.store import tables
from pipeline.store.engine import readers


def covered_posts(engine: Engine) -> Covered:
    """Of all editions but those that were cancelled before they began."""
    edition = tables.edition.c
    with readers(engine).connect() as connection:
        rows = connection.execute(
            select(
                edition.post_key.label("key"),
                edition.post_url.label("url"),
                edition.post_title.label("title"),
                edition.post_text.label("text"),
                edition.example,
            ).where(or_(edition.state != EditionState.CANCELLED, edition.started_at.is_not(None)))
        )
        return covered_by([SentPost(**row._mapping) for row in rows])
