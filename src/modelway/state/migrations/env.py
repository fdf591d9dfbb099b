"""Alembic's entry: migrates over the connection that `Database.migrate` hands in."""

from alembic import context

from modelway.state.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
