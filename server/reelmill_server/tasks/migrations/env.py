"""Entry point for Alembic: applies the steps on the connection of migrate.py, inside its transaction."""

from alembic import context

from reelmill_server.tasks.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
