"""A database of an older weekbrief comes along: every row is still there, what is new has sensible values."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from pipeline.store import open_store, tables
from pipeline.store.engine import open_engine
from subscribers.subscriber import Frequency, SubscriberState
from tests.builders import NOW

OLD = (
    "INSERT INTO subscriber (id, address, address_key, name, language, state, created_at, confirmed_at) "
    "VALUES "
    "(1, 'Anna@example.org', 'anna@example.org', 'Anna', 'nl', 'active', '2026-01-05', '2026-01-05'), "
    "(2, NULL, NULL, '', 'nl', 'erased', '2026-01-05', NULL)",
    "INSERT INTO consent (subscriber_id, kind, wording, source, page, language, occurred_at) VALUES "
    "(1, 'requested', 'Ja, graag', 'page', 'https://brief.example.org/join', 'nl', '2026-01-04'), "
    "(1, 'confirmed', '', 'page', '', 'nl', '2026-01-05')",
    "INSERT INTO suppression (address_key, reason, source, since) VALUES "
    "('weg@example.org', 'unsubscribed', 'one-click', '2026-01-05')",
)


def at_revision(storage: str, revision: str) -> Engine:
    engine = open_engine(storage)
    config = Config()
    config.set_main_option("script_location", "pipeline.store:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


@pytest.mark.parametrize("since", ["0001", "0002"])
def test_an_older_database_comes_along(storage: str, since: str) -> None:
    engine = at_revision(storage, since)
    with engine.begin() as connection:
        for statement in OLD:
            connection.execute(text(statement))
    engine.dispose()
    store = open_store(storage, now=NOW)
    try:
        anna = store.subscribers.by_key("anna@example.org")
        assert anna is not None
        assert (anna.id, anna.name, anna.state) == (1, "Anna", SubscriberState.ACTIVE)
        assert (anna.frequency, anna.paused_until, anna.reminded_at) == (Frequency.EVERY, None, None)
        assert [record.wording for record in store.subscribers.consents(1)] == ["Ja, graag", ""]
        assert store.subscribers.suppression("weg@example.org") == "unsubscribed"
        assert store.subscribers.audience_size() == 1
        with store.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, tables.metadata) == []
    finally:
        store.close()


def test_there_and_back_again(storage: str) -> None:
    """Down to the first tables and up: for who tries a new release and goes back."""
    engine = at_revision(storage, "0001")
    config = Config()
    config.set_main_option("script_location", "pipeline.store:migrations")
    with engine.begin() as connection:
        connection.execute(text(OLD[0]))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        command.downgrade(config, "0001")
        command.upgrade(config, "head")
        assert connection.execute(text("SELECT count(*) FROM subscriber")).scalar_one() == 2
    engine.dispose()
