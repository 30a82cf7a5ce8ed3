"""joining, leaving and what comes back from providers

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for column in (
        sa.Column("reminded_at", MOMENT, nullable=True),
        sa.Column("frequency", sa.String(length=16), server_default="every", nullable=False),
        sa.Column("paused_until", MOMENT, nullable=True),
        sa.Column("soft_bounces", sa.Integer(), server_default="0", nullable=False),
        sa.Column("soft_since", MOMENT, nullable=True),
    ):
        op.add_column("subscriber", column)
    for column in (
        sa.Column("form", sa.String(length=16), server_default="", nullable=False),
        sa.Column("network", sa.Text(), nullable=True),
        sa.Column("network_salt", sa.String(length=32), nullable=True),
        sa.Column("network_sha256", sa.String(length=64), server_default="", nullable=False),
        sa.Column("previous", sa.String(length=64), server_default="", nullable=False),
        sa.Column("sha256", sa.String(length=64), server_default="", nullable=False),
    ):
        op.add_column("consent", column)
    op.create_index(op.f("ix_event_edition_id"), "event", ["edition_id"], unique=False)
    op.create_table(
        "address_change",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("subscriber_id", BIG_ID, nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("address_key", sa.Text(), nullable=True),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_address_change_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_change")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_address_change_subscriber_id"), "address_change", ["subscriber_id"], unique=False
    )
    op.create_table(
        "join_count",
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "since", name=op.f("pk_join_count")),
    )
    op.create_table(
        "incoming",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", sa.Text(), server_default="{}", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incoming")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sync_cursor",
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_sync_cursor")),
    )


def downgrade() -> None:
    for table in ("sync_cursor", "incoming", "join_count", "address_change"):
        op.drop_table(table)
    op.drop_index(op.f("ix_event_edition_id"), table_name="event")
    for name in ("form", "network", "network_salt", "network_sha256", "previous", "sha256"):
        op.drop_column("consent", name)
    for name in ("reminded_at", "frequency", "paused_until", "soft_bounces", "soft_since"):
        op.drop_column("subscriber", name)
