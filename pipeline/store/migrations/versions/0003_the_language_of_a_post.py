"""the language of an edition's post, where it is another one than the newsletter's

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "edition", sa.Column("post_language", sa.String(length=35), server_default="", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("edition", "post_language")
