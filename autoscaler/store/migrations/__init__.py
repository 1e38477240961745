"""The history of the schema, one file per step in ``versions``; Alembic runs those a store has not seen."""
