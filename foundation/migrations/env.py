"""Alembic's way in: migrations run on the connection handed over by `Database.migrate`."""

from alembic import context

from foundation.database import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
