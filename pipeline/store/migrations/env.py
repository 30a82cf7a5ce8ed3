"""Alembic's entry: runs migrations on the connection that `pipeline.store.schema` hands over."""

from alembic import context

from pipeline.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
