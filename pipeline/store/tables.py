"""The one schema, for SQLite and PostgreSQL alike. The database keeps the promises; code only asks.

Names and rules follow `docs/design.md`. Instants are UTC. An address that has been erased leaves NULL
behind, never its text.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows by itself only in a column that is exactly INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no zone, so one is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


NOBODY = {"address": None, "address_key": None, "name": ""}
"""What is left of a person who was erased, in `subscriber` and in `delivery`."""

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("installation_id", String(32), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("lease_epoch", BigInteger, nullable=False, server_default="0"),
    Column("ledger_seq", BigInteger, nullable=False, server_default="0"),
    Column("machine_fingerprint", String(64)),
    Column("secret_fingerprint", String(64)),
    Column("hold_reason", Text),
    Column("last_examined", Instant),
    CheckConstraint("id = 1", name="one"),
)

subscriber = Table(
    "subscriber",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("address", Text),
    Column("address_key", Text, unique=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("language", String(35), nullable=False),
    Column("state", String(16), nullable=False),
    Column("confirm_round", Integer, nullable=False, server_default="0"),
    Column("asks", Integer, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("asked_at", Instant),
    Column("confirmed_at", Instant),
    Column("unsubscribed_at", Instant),
    Column("reminded_at", Instant),
    Column("frequency", String(16), nullable=False, server_default="every"),
    Column("paused_until", Instant),
    Column("soft_bounces", Integer, nullable=False, server_default="0"),
    Column("soft_since", Instant),
    CheckConstraint("state in ('pending', 'active', 'unsubscribed', 'erased')", name="state"),
    sqlite_autoincrement=True,
)

consent = Table(
    "consent",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("subscriber_id", ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("wording", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default=""),
    Column("page", Text, nullable=False, server_default=""),
    Column("language", String(35), nullable=False, server_default=""),
    Column("occurred_at", Instant, nullable=False),
    Column("form", String(16), nullable=False, server_default=""),
    Column("network", Text),
    Column("network_salt", String(32)),
    Column("network_sha256", String(64), nullable=False, server_default=""),
    Column("previous", String(64), nullable=False, server_default=""),
    Column("sha256", String(64), nullable=False, server_default=""),
    sqlite_autoincrement=True,
)

address_change = Table(
    "address_change",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("subscriber_id", ForeignKey("subscriber.id"), nullable=False, index=True),
    Column("address", Text),
    Column("address_key", Text),
    Column("requested_at", Instant, nullable=False),
    Column("done_at", Instant),
    sqlite_autoincrement=True,
)

join_count = Table(
    "join_count",
    metadata,
    Column("scope", String(80), primary_key=True),
    Column("since", Instant, primary_key=True),
    Column("number", Integer, nullable=False),
)

suppression = Table(
    "suppression",
    metadata,
    Column("address_key", Text, primary_key=True),
    Column("reason", String(32), nullable=False),
    Column("source", Text, nullable=False, server_default=""),
    Column("since", Instant, nullable=False),
)

slot = Table(
    "slot",
    metadata,
    Column("schedule", String(64), nullable=False),
    Column("slot_key", String(96), primary_key=True),
    Column("day", String(10), nullable=False),
    Column("week", String(8), nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("state", String(16), nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    UniqueConstraint("schedule", "slot_key"),
)

edition = Table(
    "edition",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("slot_key", ForeignKey("slot.slot_key"), nullable=False, unique=True),
    Column("day", String(10), nullable=False, index=True),
    Column("week", String(8), nullable=False),
    Column("post_key", Text, nullable=False, index=True),
    Column("post_title", Text, nullable=False),
    Column("post_url", Text),
    Column("post_text", Text, nullable=False),
    Column("post_language", String(35), nullable=False, server_default=""),
    Column("question", Text, nullable=False),
    Column("question_start", Integer, nullable=False),
    Column("question_end", Integer, nullable=False),
    Column("example", Text, nullable=False),
    Column("example_start", Integer, nullable=False),
    Column("example_end", Integer, nullable=False),
    Column("mailing", Text, nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("hold_reason", Text),
    Column("approved_by", Text),
    Column("frozen_count", BigInteger, nullable=False, server_default="0"),
    Column("provider", String(32)),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("resumed_at", Instant),
    Column("finished_at", Instant),
    sqlite_autoincrement=True,
)

batch = Table(
    "batch",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("edition_id", ForeignKey("edition.id"), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("key", String(255), nullable=False),
    Column("request_sha256", String(64), nullable=False, server_default=""),
    Column("request_body", LargeBinary),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("deaths", Integer, nullable=False, server_default="0"),
    Column("first_submit_at", Instant),
    Column("last_submit_at", Instant),
    Column("key_expires_at", Instant),
    Column("not_before", Instant),
    Column("lease_epoch", BigInteger, nullable=False, server_default="0"),
    Column("reason", Text),
    CheckConstraint(
        "state in ('prepared', 'submitting', 'uncertain', 'accepted', 'refused', 'written_off')", name="state"
    ),
    Index("ix_batch_edition_id_state", "edition_id", "state"),
    sqlite_autoincrement=True,
)

delivery = Table(
    "delivery",
    metadata,
    Column("edition_id", ForeignKey("edition.id"), primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("subscriber_id", BigInteger, nullable=False),
    Column("delivery_id", String(40), nullable=False),
    Column("address", Text),
    Column("address_key", Text),
    Column("name", Text, nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("batch_id", BigInteger),
    Column("provider_id", Text),
    UniqueConstraint("edition_id", "subscriber_id"),
    UniqueConstraint("edition_id", "address_key"),
    CheckConstraint(
        # Tried in this order; `in (…)` would cost SQLite as much as all the rest of changing a row.
        "state = 'submitted' or state = 'accepted' or state = 'pending' or state = 'claimed' "
        "or state = 'refused' or state = 'skipped' or state = 'unconfirmed'",
        name="state",
    ),
    sqlite_with_rowid=False,
    # Rows change state twice in place: PostgreSQL leaves room on each page (`fillfactor`, in migration 0001)
    # and need not touch the indexes. To say so here would load its drivers, also for who uses SQLite.
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("batch_id", ForeignKey("batch.id"), nullable=False, index=True),
    Column("n", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("kind", String(16)),
    Column("http_status", Integer),
    Column("error", Text),
    Column("answer_sha256", String(64)),
    UniqueConstraint("batch_id", "n"),
    sqlite_autoincrement=True,
)

event = Table(
    "event",
    metadata,
    Column("event_key", String(255), primary_key=True),
    Column("received_at", Instant, nullable=False),
    Column("occurred_at", Instant),
    Column("edition_id", BigInteger, index=True),
    Column("delivery_id", String(40), index=True),
    Column("kind", String(32), nullable=False),
    Column("provider", String(32), nullable=False, server_default=""),
    Column("detail", Text),
)

incoming = Table(
    "incoming",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("provider", String(32), nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("headers", Text, nullable=False, server_default="{}"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("error", Text),
    sqlite_autoincrement=True,
)

sync_cursor = Table(
    "sync_cursor",
    metadata,
    Column("provider", String(32), primary_key=True),
    Column("cursor", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

gate = Table(
    "gate",
    metadata,
    Column("provider", String(32), primary_key=True),
    Column("opens", Instant, nullable=False),
)

decision = Table(
    "decision",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(32), nullable=False),
    Column("edition_id", BigInteger),
    Column("batch_id", BigInteger),
    Column("reason", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)
