"""Bringing a database to the schema this program needs: all or nothing, one process at a time."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, inspect, text

from pipeline.store.engine import StorageError, is_sqlite

HEAD = "0003"
"""The newest migration; a test holds it to the folder."""

_ADVISORY_LOCK = 7_305_131_901


def migrate(engine: Engine) -> bool:
    """Upgrade to `HEAD`; True when something changed. Raises `StorageError` for a newer database."""
    with engine.begin() as connection:
        if not is_sqlite(connection):
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        found = _revision(connection)
        if found == HEAD:
            return False
        if found is not None and found > HEAD:
            raise StorageError(
                f"storage: this database has schema {found}, newer than this program knows ({HEAD}); "
                "install the newer weekbrief that made it"
            )
        _upgrade(connection)
        return True


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "pipeline.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
