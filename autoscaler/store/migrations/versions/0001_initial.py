"""The schema of version 0.1.0, whose stores have its number in ``schema_version``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
PACKED = sa.LargeBinary(2**24 - 1)


def _job() -> sa.Column[int]:
    return sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), nullable=False)


def upgrade() -> None:
    op.create_table("schema_version", sa.Column("version", sa.Integer, nullable=False))
    op.create_table(
        "jobs",
        sa.Column("id", ID, primary_key=True),
        sa.Column("identity", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("absent_since", sa.BigInteger),
        sa.Column("memory", PACKED),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "plans",
        sa.Column("id", ID, primary_key=True),
        _job(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("topology", PACKED, nullable=False),
        sa.Index("plans_by_job", "job_id", "id"),
    )
    op.create_table(
        "samples",
        sa.Column("id", ID, primary_key=True),
        _job(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("plan_id", sa.BigInteger, nullable=False),
        sa.Column("running_since", sa.BigInteger, nullable=False),
        sa.Column("measured", PACKED, nullable=False),
        sa.Index("samples_by_job", "job_id", "at"),
    )
    op.create_table(
        "decisions",
        sa.Column("id", ID, primary_key=True),
        _job(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("decided", PACKED, nullable=False),
        sa.Index("decisions_by_job", "job_id", "at"),
    )
    op.create_table(
        "requests",
        sa.Column("id", ID, primary_key=True),
        _job(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("request", PACKED, nullable=False),
        sa.Index("requests_by_job", "job_id", "at"),
        sa.Index("requests_by_state", "state"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "statuses",
        sa.Column("job_id", ID, sa.ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
        sa.Column("status", PACKED, nullable=False),
    )
    op.create_table(
        "operator_commands",
        sa.Column("id", ID, primary_key=True),
        sa.Column("identity", sa.String(64), nullable=False, unique=True),
        sa.Column("until", sa.BigInteger),
        sa.Column("command", PACKED, nullable=False),
    )
