"""The tables. Portable SQLAlchemy Core: SQLite by default, PostgreSQL and MySQL by URL.

Values are packed by ``codec`` into one column per row; only what a query looks for has a column of its own. A
row belongs to a job by ``job_id``; ``jobs.identity`` is a digest of (cluster, application, job), because
names have no length limit, may hold any character, and must not be compared without case as MySQL does by
default.

A change here needs a step in ``migrations/versions`` that makes it in the stores there are.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from autoscaler.model import Command, JobKey
from autoscaler.store.codec import to_json

# SQLite numbers rows by itself only where the type is literally INTEGER; its integers have 64 bits anyway.
_Id = BigInteger().with_variant(Integer, "sqlite")
_Time = BigInteger  # epoch milliseconds
_Packed = LargeBinary(2**24 - 1)  # the length makes MySQL choose MEDIUMBLOB over its 64-KiB BLOB

metadata = MetaData()

# Numbers of jobs and requests are never given twice (AUTOINCREMENT): another process may still hold an old
# one.
jobs = Table(
    "jobs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("identity", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),  # JSON [cluster, application, job], readable in any SQL client
    Column("absent_since", _Time),
    Column("memory", _Packed),
    sqlite_autoincrement=True,
)

# One row per change of topology. No foreign key from samples to plans: it would cost an index over all
# samples.
plans = Table(
    "plans",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    Column("at", _Time, nullable=False),
    Column("topology", _Packed, nullable=False),
    Index("plans_by_job", "job_id", "id"),
)

# Rows are appended in the order of time over all jobs, so the oldest ones share pages and free them when
# deleted.
samples = Table(
    "samples",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    Column("at", _Time, nullable=False),
    Column("plan_id", BigInteger, nullable=False),
    Column("running_since", _Time, nullable=False),
    Column("measured", _Packed, nullable=False),
    Index("samples_by_job", "job_id", "at"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    Column("at", _Time, nullable=False),
    Column("decided", _Packed, nullable=False),
    Index("decisions_by_job", "job_id", "at"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    Column("at", _Time, nullable=False),
    Column("state", String(16), nullable=False),
    Column("request", _Packed, nullable=False),
    Index("requests_by_job", "job_id", "at"),
    Index("requests_by_state", "state"),
    sqlite_autoincrement=True,
)

statuses = Table(
    "statuses",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    Column("status", _Packed, nullable=False),
)

# Of no job's own: a command outlives the history of its job, and may be about jobs to come.
commands = Table(
    "operator_commands",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("identity", String(64), nullable=False, unique=True),
    Column("until", _Time),
    Column("command", _Packed, nullable=False),
)

# One row per cluster, found by a digest of its name: who may act and write.
leases = Table(
    "leases",
    metadata,
    Column("cluster", String(64), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", _Time, nullable=False),
)

OF_ONE_JOB = (samples, plans, decisions, requests, statuses)


def name_of(key: JobKey) -> str:
    """Return the key as it stands in ``jobs.name``."""
    return to_json([key.cluster, key.application, key.job])


def identity_of(key: JobKey) -> str:
    """Return the digest a job is found by."""
    return _digest(name_of(key))


def identity_of_command(command: Command) -> str:
    """Return the digest a command is found by: what it sets, and of whom."""
    return _digest(to_json([command.cluster, command.target, command.option]))


def identity_of_cluster(cluster: str) -> str:
    """Return the digest a cluster's lease is found by."""
    return _digest(cluster)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
