"""Run by Alembic: the steps go through the connection, and in the transaction, of whoever wants them."""

from __future__ import annotations

from alembic import context

from autoscaler.store.migrating import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
